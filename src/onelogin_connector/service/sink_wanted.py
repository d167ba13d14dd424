"""
What a person enters for a sink, read by the settings that its kind declares, every mistake beside its field.

The same struct is the console's form, the body of the API, and – without secrets – what the state keeps. A
setting that names something of this machine is the settings file's alone; a host has to be one that may be reached; a
secret is entered as text, never as a reference, and belongs to the addresses and names that were entered with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from re import fullmatch
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

from msgspec import Meta, Struct, ValidationError, convert, json, structs, to_builtins

from onelogin_connector.config import HttpUrl, Secret, SinkSettings
from onelogin_connector.config.reading import UNITS, amount, in_words
from onelogin_connector.config.settings import SinkOptions
from onelogin_connector.config.toml import changed
from onelogin_connector.reach import Reach
from onelogin_connector.service.wanted import LONGEST_CREDENTIAL, FieldErrors
from onelogin_connector.setting import TAG, Setting, settings_of
from onelogin_connector.sinks import registry

NAME = r"[a-z0-9_-]{1,40}"
MOST_RECORDS = 1 << 53  # what JSON holds exactly everywhere; a journal never has so many
LONGEST_TEXT = 2_000
"""Characters of one value."""

Stored = Callable[[str], Secret | None]
"""Path of a secret (``credential.client_secret``) → what is stored of it, where it may be used."""

Path = tuple[str, ...]


class WantedSink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A sink as a person enters it.
    """

    name: str = ""
    """1 to 40 of ``a-z``, ``0-9``, ``_`` and ``-``; given once, when it is made."""
    kind: str
    """What kind of destination it is; never changed after."""
    enabled: bool = True
    """A disabled sink gets nothing, and keeps nothing in the journal."""
    backlog_limit: Annotated[int, Meta(ge=1_000, le=MOST_RECORDS)] | None = None
    """How many records may wait for it before it is detached; without a limit the disk is the limit."""
    pause_after_refusals: Annotated[int, Meta(ge=1, le=MOST_RECORDS)] = 100
    """How many records it may refuse in a row before it is paused."""
    begin: Literal["held", "now"] = "held"
    """Where a new one begins: with what the journal still holds, or with what comes from now on."""
    settings: dict[str, Any] = {}
    """Those of its kind. Secrets are write-only: without one the stored one stays, as long as it may be used."""

    def __repr__(self) -> str:
        return f"WantedSink({self.name!r}, {self.kind!r})"  # never the secrets


def read(wanted: WantedSink, stored: Stored, reach: Reach) -> SinkSettings:
    """
    Return what was entered as settings.

    Args:
        stored: Gives the secrets that were left out.
        reach: Where the console may send anything.

    Raises:
        FieldErrors: Something cannot be used; every field is named.
        ConfigError: There is no such kind, or it cannot be used.
    """
    settings = settings_from(registry.settings_type(wanted.kind), wanted.settings, stored, reach)
    common = {setting.name: getattr(wanted, setting.name) for setting in settings_of(SinkOptions)}
    return SinkSettings(**common, settings=settings)


def settings_from(struct: type[Struct], entered: Mapping[str, Any], stored: Stored, reach: Reach) -> Struct:
    """
    Return a table that was entered as the settings of a kind.

    Raises:
        FieldErrors: Something cannot be used; every field is named.
    """
    wrong: dict[str, str] = {}
    settings = _Reading(stored, reach, wrong).table(struct, entered, ("settings",))
    if settings is not None and not wrong and hasattr(settings, "check_entered"):
        _told(settings.check_entered, reach, wrong=wrong, path=("settings",))
    if wrong or settings is None:
        raise FieldErrors(wrong)
    return settings


def kept(wanted: WantedSink, read: SinkSettings) -> WantedSink:
    """
    Return what the state keeps: in its normal form, without secrets and without what is a default.
    """
    return structs.replace(wanted, settings=_plain(read.settings))


def stored(name: str, settings: Mapping[str, Any]) -> WantedSink:
    """
    Return what the state keeps as it was entered.

    Raises:
        msgspec.ValidationError: A newer version wrote it.
    """
    return convert({**settings, "name": name}, WantedSink)


def bound_to(struct: Struct) -> str:
    """
    Return where, and as whom, the secrets of some settings are used: what they are bound to.
    """
    return json.encode(dict(sorted(_binding(struct, ())))).decode()


def bound_words(text: str) -> str:
    """
    Say to people what secrets are bound to.
    """
    found: dict[str, str] = json.decode(text) if text else {}
    names = {name: name.rpartition(".")[2] for name in found}
    return ", ".join(
        f"{names[name].replace('_', ' ')} {value}"
        for name, value in found.items()
        if value and names[name] != TAG
    )


def secrets_of(settings: Struct, above: Path = ()) -> Iterator[tuple[str, Secret]]:
    """
    Give the secrets of some settings by their paths, those of inner tables too.
    """
    for setting in settings_of(type(settings)):
        value, path = getattr(settings, setting.name), (*above, setting.name)
        if isinstance(value, Secret):
            yield ".".join(path), value
        elif isinstance(value, Struct):
            yield from secrets_of(value, path)


def changed_fields(before: WantedSink | None, after: WantedSink, secrets: Iterable[str]) -> list[str]:
    """
    Return the names of what was entered anew, for the audit log, which holds no values.

    Args:
        before: As it was; None for a new one.
        after: In its normal form.
        secrets: Paths of the secrets that were entered.
    """
    was, now = _flat(before or WantedSink(kind="")), _flat(after)
    return sorted({*(name for name in {**was, **now} if was.get(name) != now.get(name)), *secrets})


def _flat(wanted: WantedSink) -> dict[str, Any]:
    found: dict[str, Any] = to_builtins(wanted)
    settings = found.pop("settings")
    for name, value in settings.items():
        parts = value.items() if isinstance(value, dict) else ()
        found |= {f"{name}.{part}": inner for part, inner in parts} if parts else {name: value}
    return found


def _plain(struct: Struct) -> dict[str, Any]:
    """
    Return settings as they would be entered, without secrets and without what is a default.
    """
    found = {}
    for name, value in changed(struct).items():
        if isinstance(value, Struct):
            found[name] = _plain(value)
        elif not isinstance(value, Secret):
            found[name] = to_builtins(value, enc_hook=str)
    return found


def _binding(struct: Struct, above: Path) -> Iterator[tuple[str, str]]:
    tag = struct.__struct_config__.tag
    if tag is not None:
        yield ".".join((*above, TAG)), str(tag)
    for setting in settings_of(type(struct)):
        value, path = getattr(struct, setting.name), (*above, setting.name)
        if isinstance(value, Struct):
            yield from _binding(value, path)
        elif setting.binds:
            yield ".".join(path), "" if value is None else str(value)


class _Reading:
    """
    One reading of what was entered, which goes on behind a mistake.
    """

    def __init__(self, stored: Stored, reach: Reach, wrong: dict[str, str]) -> None:
        self._stored, self._reach, self.wrong = stored, reach, wrong

    def table(self, struct: type[Struct], entered: Any, path: Path) -> Struct | None:
        if not isinstance(entered, dict):
            self.wrong[".".join(path)] = "Expected an object with its settings."
            return None
        known = settings_of(struct)
        for name in entered:
            if name not in [*(setting.name for setting in known), TAG]:
                self.wrong[".".join((*path, str(name)[:80]))] = "There is no such setting."
        values = {}
        before = len(self.wrong)
        for setting in known:
            value = self._value(setting, entered.get(setting.name), (*path, setting.name))
            if value is not None:
                values[setting.name] = value
        if len(self.wrong) > before:
            return None
        found: Struct | None = _told(struct, wrong=self.wrong, path=path, **values)
        return found

    def _value(self, setting: Setting, entered: Any, path: Path) -> Any:
        if setting.local and entered not in (None, ""):
            self._refuse(path, "It names something of this machine, so only the settings file may set it.")
            return None
        if setting.holds is Secret:
            return self._secret(setting, entered, path)
        if entered is None or entered == "":
            if setting.required:
                self._refuse(path, "Enter it." if not setting.variants else "Choose one.")
            return None
        if setting.variants:
            return self._variant(setting, entered, path)
        if setting.table is not None:
            return self.table(setting.table, entered, path)
        try:
            value = convert(
                _prepared(setting, entered), setting.annotation, strict=False, dec_hook=self._special
            )
        except (ValidationError, ValueError) as error:
            self._refuse(path, _sentence(in_words(str(error))))
            return None
        return self._checked(value, path)

    def _variant(self, setting: Setting, entered: Any, path: Path) -> Struct | None:
        kind = entered.get(TAG) if isinstance(entered, dict) else None
        struct = setting.variants.get(kind) if isinstance(kind, str) else None
        if struct is None:
            self._refuse((*path, TAG), f"One of {', '.join(setting.variants)}.")
            return None
        return self.table(struct, {name: part for name, part in entered.items() if name != TAG}, path)

    def _secret(self, setting: Setting, entered: Any, path: Path) -> Secret | None:
        if entered in (None, ""):
            found = self._stored(".".join(path[1:]))
            if found is None and setting.required:
                self._refuse(path, "Enter it: no secret is stored that may be used with what stands here.")
            return found
        if not isinstance(entered, str) or not fullmatch(
            rf"[!-~]{{1,{LONGEST_CREDENTIAL}}}", entered.strip()
        ):
            self._refuse(path, "It holds a blank or another character that none has: copy it anew.")
            return None
        return Secret(entered.strip())

    def _checked(self, value: Any, path: Path) -> Any:
        """
        Return a value if it may be set in the console.
        """
        for text in _inside(value):
            if isinstance(text, float) and not isfinite(text):
                self._refuse(path, "Expected a number.")
            elif isinstance(text, str) and (len(text) > LONGEST_TEXT or not text.isprintable()):
                self._refuse(path, "It is too long, or holds characters that cannot be shown.")
            elif isinstance(text, HttpUrl) and (why := refusal_of_host(text, self._reach)):
                self._refuse(path, why)
        return value

    def _special(self, wanted: type, found: Any) -> Any:
        if not isinstance(found, str):
            raise TypeError("expected text")
        return wanted(found)

    def _refuse(self, path: Path, why: str) -> None:
        self.wrong[".".join(path)] = why


def refusal_of_host(url: HttpUrl, reach: Reach) -> str:
    """
    Say why an address may not be entered; empty if it may.
    """
    host = urlsplit(url).hostname or ""
    if reach.refuses(host):
        return "This host is not public. List it in allow_private_hosts under [web] if it is meant."
    return "Use https." if url.startswith("http:") and not reach.allows(host) else ""


def _inside(value: Any) -> Iterator[Any]:
    """
    Give a value, or what a list or table holds, however deep.
    """
    if isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _inside(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _inside(part)
    else:
        yield value


def _told(check: Callable[..., Any], *values: Any, wrong: dict[str, str], path: Path, **named: Any) -> Any:
    """
    Call what may refuse settings as a whole; such an error begins with the name of the setting.
    """
    try:
        return check(*values, **named)
    except ValueError as error:
        name, _, what = str(error).partition(": ")
        wrong[".".join((*path, name))] = _sentence(what)
        return None


def _prepared(setting: Setting, entered: Any) -> Any:
    """
    Return a value as its type reads it: an amount with a unit as a number, texts without blanks around them.
    """
    if isinstance(entered, str):
        entered = entered.strip()
        if setting.unit in UNITS:
            number = amount(entered, setting.unit)
            return int(number) if number.is_integer() else number
        if setting.holds is datetime:
            moment = datetime.fromisoformat(entered)
            # a form has no field for the zone, and says UTC
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return entered


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def choices_of(annotation: Any) -> tuple[str, ...]:
    """
    Return the words of which a setting is one; empty where it may be anything.
    """
    if get_origin(annotation) is Annotated:
        return choices_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(word for part in get_args(annotation) for word in choices_of(part))
    return tuple(map(str, get_args(annotation))) if get_origin(annotation) is Literal else ()


def require_name(name: str, taken: Mapping[str, str]) -> None:
    """
    Refuse a name that a new sink cannot have.

    Args:
        taken: Name → what has it.

    Raises:
        FieldErrors: It is none, or taken.
    """
    if not fullmatch(NAME, name):
        raise FieldErrors(
            {"name": "1 to 40 small letters, digits, underscores and hyphens, such as sentinel."}
        )
    if name in taken:
        raise FieldErrors({"name": f"This name belongs to {taken[name]}."})
