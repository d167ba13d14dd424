"""
From a table of the file to a struct, with messages for the person who wrote it.

Every message names the file (or variable, or flag), the table, the key, what was expected, and an example or
the nearest known name. A value is never repeated: it may be a secret in the wrong place.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from re import IGNORECASE, fullmatch
from re import sub as substitute
from typing import Any, TypeVar

from msgspec import Struct, ValidationError, convert

from onelogin_connector.config.toml import toml_value
from onelogin_connector.errors import ConfigError
from onelogin_connector.setting import TAG, UNRESOLVED, Secret, Setting, settings_of

AnyStruct = TypeVar("AnyStruct", bound=Struct)
Place = tuple[str, ...]
"""Names that lead to a setting: tables, then the key."""

SECONDS = {"ms": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3_600, "hour": 3_600,
           "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800}  # fmt: skip
BYTES = {"b": 1, "byte": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
         "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip
UNITS: dict[str, tuple[Mapping[str, float], float]] = {
    "seconds": (SECONDS, 1),
    "minutes": (SECONDS, 60),
    "hours": (SECONDS, 3_600),
    "days": (SECONDS, 86_400),
    "bytes": (BYTES, 1),
}
"""Unit of a setting → (units that may be written, how many of their base make one of it)."""

WORDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "array": "a list",
         "object": "a table", "datetime": "a time such as 2026-11-01T00:00:00Z"}  # fmt: skip


def amount(text: str, unit: str) -> float:
    """
    Read ``1 GiB`` or ``90 s`` as a number in the unit of a setting; a bare number is in that unit.

    Raises:
        ValueError: It is no amount, or of another kind of unit.
    """
    units, per = UNITS[unit]
    match = fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text, IGNORECASE)
    if match is None:
        raise ValueError(f"expected an amount in {unit}, with or without a unit")
    number, name = float(match[1]), match[2].lower()
    if not name:
        return number
    factor = units.get(name) or units.get(name.removesuffix("s"))
    if factor is None:
        raise ValueError(f"expected an amount with one of the units {', '.join(units)}")
    return number * factor / per


@dataclass(frozen=True, slots=True)
class Reader:
    """
    Reads tables of one configuration.
    """

    source: str
    """The file as named in messages."""
    environ: Mapping[str, str]
    folder: Path
    """Where relative paths of secrets start."""
    origins: Mapping[Place, str] = field(default_factory=dict)
    """Path of a setting that did not come from the file → what it came from."""

    def read(self, struct: type[AnyStruct], table: Any, path: Place) -> AnyStruct:
        """
        Read a table into a struct.

        Raises:
            ConfigError: Naming the place and what to write there.
        """
        if not isinstance(table, dict):
            raise self.error(path, "expected a table")
        known = settings_of(struct)
        self.refuse_unknown(table, [setting.name for setting in known], path)
        values = {}
        for setting in known:
            if setting.name in table:
                values[setting.name] = self._value(setting, table[setting.name], (*path, setting.name))
            elif setting.required:
                raise self.error((*path, setting.name), "is missing", _example(setting))
        try:
            return struct(**values)
        except ValueError as error:
            name, _, what = str(error).partition(": ")  # a struct that checks itself names the setting first
            raise self.error((*path, name), what) from error

    def refuse_unknown(self, table: Iterable[str], known: list[str], path: Place) -> None:
        """
        Raise an error for the first key that is not known, with the nearest name that is.
        """
        for key in table:
            if key not in known:
                near = get_close_matches(str(key), known, n=1, cutoff=0.6)
                action = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
                raise self.error((*path, str(key)), "there is no such setting", action)

    def error(self, path: Place, what: str, action: str = "") -> ConfigError:
        """
        Make an error that names the place.
        """
        origin = self.origins.get(path)
        if origin is not None:
            return ConfigError(f"{origin}: {what}.", action=action)
        # [web.tls] is a table and [web] port a key in one; a one-word path is a key or table of the top
        table = f"[{'.'.join(path[:-1])}] " if len(path) > 1 else ""
        return ConfigError(f"{self.source}, {table}{path[-1] if path else ''}: {what}.", action=action)

    def _value(self, setting: Setting, value: Any, path: Place) -> Any:
        if setting.table is not None:
            return self.read(setting.table, value, path)
        if setting.variants:
            return self._variant(setting, value, path)
        try:
            value = self._prepared(setting, value)
            return convert(
                value,
                setting.annotation,
                strict=path not in self.origins,  # a variable holds text, whatever is meant
                dec_hook=lambda wanted, found: self._special(wanted, found, setting, path),
            )
        except (ValidationError, ValueError) as error:
            raise self.error(path, in_words(str(error)), _example(setting)) from error

    def _variant(self, setting: Setting, value: Any, path: Place) -> Struct:
        """
        Read a table that says which of several it is.
        """
        kinds = f"The kinds are {', '.join(setting.variants)}."
        if not isinstance(value, dict):
            raise self.error(path, "expected a table", _example(setting))
        kind = value.get(TAG)
        if kind is None:
            raise self.error((*path, TAG), "is missing", kinds)
        struct = setting.variants.get(kind) if isinstance(kind, str) else None
        if struct is None:
            raise self.error((*path, TAG), "there is no such kind", kinds)
        return self.read(struct, {name: part for name, part in value.items() if name != TAG}, path)

    def _prepared(self, setting: Setting, value: Any) -> Any:
        if isinstance(value, str) and setting.unit in UNITS:
            number = amount(value, setting.unit)
            return int(number) if number.is_integer() else number
        if setting.holds is datetime and isinstance(value, date) and not isinstance(value, datetime):
            return datetime.combine(value, time(), UTC)
        return value

    def _special(self, wanted: type, found: Any, setting: Setting, path: Place) -> Any:
        if isinstance(found, wanted):
            return found
        if wanted is Secret:
            return self.secret(found, path, literal=setting.literal)
        if not isinstance(found, str):
            raise TypeError("expected text")
        return wanted(found)

    def secret(self, found: Any, path: Place, *, literal: bool = False) -> Secret:
        """
        Resolve a reference to a secret.

        Raises:
            ConfigError: It is no reference, or leads nowhere.
        """
        if literal and isinstance(found, str):
            return Secret(self._usable(found, path, "the value"), ("literal", ""))
        if not (isinstance(found, dict) and len(found) == 1):
            name = "_".join(path[-2:]).upper().replace("-", "_")
            raise self.error(
                path,
                "a secret does not stand in the configuration itself, where backups and screens show it",
                f'Refer to it: {{ env = "{name}" }} for an environment variable, or {{ file = "/run/secrets/…" }}.',
            )
        ((kind, name),) = found.items()
        resolve: dict[str, Callable[[str, Place], str]] = {
            "env": self._from_environment,
            "file": self._from_file,
        }
        if kind == "keyvault":
            raise self.error(
                path,
                "a Key Vault is not read by this version",
                "Let the platform bring the secret into an environment variable or a file, and refer to that.",
            )
        if kind not in resolve or not isinstance(name, str):
            raise self.error(path, "a reference is one of env, file and keyvault, with a name as text")
        return Secret(resolve[kind](name, path), (kind, name))

    def _from_environment(self, name: str, path: Place) -> str:
        value = self.environ.get(name, "").strip()
        if not value:
            raise self.error(
                path,
                f"the environment variable {name} is not set",
                "Set it for the service, not only in a shell.",
            )
        return self._usable(value, path, f"the environment variable {name}")

    def _from_file(self, name: str, path: Place) -> str:
        place = self.folder / name
        try:
            value = place.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise self.error(
                path, f"the secret's file {place} cannot be read: {why}", "Check its path, owner and mode."
            ) from error
        if not value:
            raise self.error(path, f"the secret's file {place} is empty")
        return self._usable(value, path, f"the file {place}")

    def _usable(self, value: str, path: Place, what: str) -> str:
        if value.startswith(UNRESOLVED):
            raise self.error(
                path,
                f"{what} holds a Key Vault reference that Azure could not resolve, not the secret",
                "Give the app's managed identity the role Key Vault Secrets User, check vault and secret name, and "
                "restart the app.",
            )
        if not value.isprintable():
            raise self.error(path, f"{what} holds line breaks or control characters")
        return value


def in_words(message: str) -> str:
    """
    Say a message of msgspec in the words of this program.
    """
    what, _, place = message.partition(" - at `$")
    # null is left out: the file has no way to write it
    what = substitute(
        r"`([^`]*)`",
        lambda found: " or ".join(WORDS.get(word, word) for word in found[1].split(" | ") if word != "null"),
        what,
    )
    position = f" (in its part {place.rstrip('`')})" if place.rstrip("`") else ""
    return f"{what[:1].lower()}{what[1:]}{position}"


def _example(setting: Setting) -> str:
    return "" if setting.example is None else f"For example: {setting.name} = {toml_value(setting.example)}"
