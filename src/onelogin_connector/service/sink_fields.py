"""
The form of a sink, generated from the settings that its kind declares.

Each setting becomes a field with its kind of input, description, unit, default, choices and example. What is required
or chosen by many stands first; the rest is folded away, within each group of fields too. A setting that is one of several tables is a choice with a group of fields for
each. What only the settings file may set has no field.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, field, json, to_builtins

from onelogin_connector.config import Secret
from onelogin_connector.config.toml import toml_value
from onelogin_connector.errors import ConfigError
from onelogin_connector.service.delivering import STORE, is_makeable
from onelogin_connector.service.sink_wanted import choices_of
from onelogin_connector.setting import TAG, Setting, settings_of
from onelogin_connector.sinks import registry

TOP = "settings."
"""How the fields of a kind's settings begin, so that none is taken for one that every sink has."""

UPPER = frozenset({"id", "url", "api", "dcr"})
"""Words of settings' names that people write in capitals."""


class Input(StrEnum):
    """
    How a value is entered.
    """

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    SECRET = "secret"  # noqa: S105 - the name of an input
    MOMENT = "moment"
    LINES = "lines"
    """One text in each line."""
    JSON = "json"
    """What has no input of its own."""
    GROUP = "group"
    """A table with fields of its own."""
    VARIANTS = "variants"
    """One of several tables."""


class FieldShown(Struct, frozen=True, kw_only=True):
    """
    One setting as a form asks for it.
    """

    name: str
    """As the settings file has it."""
    path: str
    """Its name in a form, with those of the tables around it: ``settings.credential.client_secret.tenant_id``."""
    place: str
    """Its place in the settings, as secrets are kept under it: ``credential.tenant_id``."""
    label: str
    input: Input
    required: bool
    folded: bool
    """Whether a form hides it until somebody asks: it has a default that hardly anybody changes."""
    description: str
    unit: str = ""
    example: str = ""
    default: str = ""
    """As the settings file would have it; empty where there is none."""
    choices: tuple[str, ...] = ()
    fields: list["FieldShown"] = field(default_factory=list)
    """Of a group."""
    variants: list["VariantShown"] = field(default_factory=list)


class VariantShown(Struct, frozen=True, kw_only=True):
    """
    One of several tables.
    """

    kind: str
    label: str
    description: str
    fields: list[FieldShown]


class KindShown(Struct, frozen=True, kw_only=True):
    """
    A kind of sink.
    """

    kind: str
    label: str
    title: str
    """What it is, in a sentence."""
    text: str
    """More of it."""
    superseded_by: str = ""
    """The kind that new deployments should use in its place; empty where it is this one."""
    unusable: str = ""
    """Why sinks of this kind cannot be made here; empty where they can."""
    fields: list[FieldShown] = field(default_factory=list)


def all_kinds() -> list[KindShown]:
    """
    Return the kinds of sinks: first those for new deployments, at the end those that cannot be made in the console.
    """
    kinds = [kind_of(kind) for kind in registry.kinds() if kind != STORE]
    return sorted(kinds, key=lambda each: (bool(each.unusable), bool(each.superseded_by)))


def kind_of(kind: str) -> KindShown:
    """
    Return a kind of sink with the fields of its form.
    """
    try:
        home = registry.module(kind)
        paragraphs = (home.__doc__ or kind).strip().split("\n\n")
        superseded_by = getattr(home, "SUPERSEDED_BY", "")
        unusable = "" if is_makeable(kind) else "Sinks of this kind are set up in the settings file."
        fields = fields_of(registry.settings_type(kind))
    except ConfigError as error:
        paragraphs, unusable, fields = [kind], f"{error.message} {error.action}", []
        superseded_by = ""
    first, *rest = [" ".join(each.split()) for each in paragraphs]
    return KindShown(
        kind=kind,
        label=words_of(kind),
        title=first.replace("``", "`"),
        text=(rest[0] if rest else "").replace("``", "`"),
        superseded_by=superseded_by,
        unusable=unusable,
        fields=fields,
    )


def fields_of(struct: type[Struct], above: str = TOP, place: str = "") -> list[FieldShown]:
    """
    Return the fields of a struct's settings, in its order.

    Args:
        above: What their names in a form begin with.
        place: What their places in the settings begin with.
    """
    return [_field(setting, above, place) for setting in settings_of(struct) if not setting.local]


def _field(setting: Setting, above: str, around: str) -> FieldShown:
    path, place, shape = f"{above}{setting.name}", f"{around}{setting.name}", input_of(setting)
    return FieldShown(
        name=setting.name,
        path=path,
        place=place,
        label=words_of(setting.name),
        input=shape,
        required=setting.required,
        folded=not setting.required and not setting.chosen,
        description=setting.description,
        unit=setting.unit,
        example=_example(setting, shape),
        default=_default(setting.default),
        choices=choices_of(setting.annotation),
        fields=fields_of(setting.table, f"{path}.", f"{place}.") if setting.table is not None else [],
        variants=[_variant(kind, part, path, place) for kind, part in setting.variants.items()],
    )


def _variant(kind: str, struct: type[Struct], path: str, place: str) -> VariantShown:
    text = " ".join((struct.__doc__ or "").split("\n\n")[0].split())
    return VariantShown(
        kind=kind,
        label=words_of(kind),
        description=text,
        fields=fields_of(struct, f"{path}.{kind}.", f"{place}."),
    )


def input_of(setting: Setting) -> Input:
    """
    Return how a setting is entered.
    """
    holds = setting.holds
    if setting.variants:
        return Input.VARIANTS
    if setting.table is not None:
        return Input.GROUP
    if choices_of(setting.annotation):
        return Input.CHOICE
    if not isinstance(holds, type):
        return Input.JSON
    for type_, shape in (
        (Secret, Input.SECRET),
        (bool, Input.FLAG),
        ((int, float), Input.NUMBER),
        (datetime, Input.MOMENT),
        (str, Input.TEXT),
        ((list, tuple), Input.LINES),
    ):
        if issubclass(holds, type_):
            return shape
    return Input.JSON


def entered_of(fields: list[FieldShown], form: Mapping[str, list[str]]) -> dict[str, Any]:
    """
    Return what a form holds as the table of settings that it means; an empty field is left out.

    Args:
        form: Names of fields, with their values in order.
    """
    found: dict[str, Any] = {}
    for each in fields:
        value = _entered(each, form)
        if value is not None:
            found[each.name] = value
    return found


def _entered(each: FieldShown, form: Mapping[str, list[str]]) -> Any:
    text = form.get(each.path, [""])[-1]
    match each.input:
        case Input.FLAG:
            return each.path in form  # a box that is not ticked is not sent
        case Input.GROUP:
            return entered_of(each.fields, form) or None
        case Input.VARIANTS:
            kind = form.get(f"{each.path}.{TAG}", [""])[-1]
            chosen = next((part for part in each.variants if part.kind == kind), None)
            if chosen is None:
                return {TAG: kind} if kind else None
            return {TAG: kind, **entered_of(chosen.fields, form)}
        case Input.LINES:
            return [line.strip() for line in text.splitlines() if line.strip()] or None
        case Input.JSON:
            return _json(text) if text.strip() else None
    return text if text.strip() else None


def values_of(fields: list[FieldShown], settings: Mapping[str, Any]) -> dict[str, str]:
    """
    Return what a form shows for settings as they were entered: name of a field → text. Secrets show nothing.
    """
    found: dict[str, str] = {}
    for each in fields:
        value = settings.get(each.name)
        if each.input is Input.VARIANTS and isinstance(value, dict):
            kind = str(value.get(TAG, ""))
            found[f"{each.path}.{TAG}"] = kind
            for part in each.variants:
                if part.kind == kind:
                    found |= values_of(part.fields, value)
        elif each.input is Input.GROUP and isinstance(value, dict):
            found |= values_of(each.fields, value)
        elif each.input is Input.FLAG:
            found[each.path] = "true" if (value if value is not None else each.default == "true") else ""
        elif value is not None and each.input is not Input.SECRET:
            found[each.path] = _text(each, value)
    return found


def errors_of(
    fields: list[FieldShown], wrong: Mapping[str, str], settings: Mapping[str, Any], above: str = TOP
) -> dict[str, str]:
    """
    Return where a form shows what is wrong: name of a field → sentence.

    Args:
        wrong: Path of a setting (``settings.credential.tenant_id``) → sentence.
        settings: As they were entered; they say which of several tables is meant.
    """
    found: dict[str, str] = {}
    for each in fields:
        place, value = f"{above}{each.name}", settings.get(each.name)
        inner = value if isinstance(value, dict) else {}
        for path in (place, f"{place}.{TAG}"):
            if path in wrong:
                found[each.path] = wrong[path]
        found |= errors_of(each.fields, wrong, inner, f"{place}.")
        for part in each.variants:
            if part.kind == inner.get(TAG):
                found |= errors_of(part.fields, wrong, inner, f"{place}.")
    return found


def words_of(name: str) -> str:
    """
    Return a setting's name as people read it.
    """
    words = [word.upper() if word in UPPER else word for word in name.split("_")]
    text = " ".join(words)
    return f"{text[:1].upper()}{text[1:]}"


def _text(each: FieldShown, value: Any) -> str:
    if each.input is Input.LINES:
        return "\n".join(map(str, value))
    return json.encode(value).decode() if each.input is Input.JSON else str(value)


def _json(text: str) -> Any:
    try:
        return json.decode(text)
    except ValueError:
        return text  # which its type refuses, beside the field


def _default(value: Any) -> str:
    if value in (None, "", [], ()):
        return ""
    return str(value) if isinstance(value, str) else toml_value(to_builtins(value))


def _example(setting: Setting, shape: Input) -> str:
    if setting.example is None or shape in {
        Input.SECRET,
        Input.FLAG,
        Input.CHOICE,
        Input.VARIANTS,
        Input.GROUP,
    }:
        return ""  # an example of a secret is a reference, which only the settings file knows
    value = setting.example
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return str(value) if isinstance(value, (str, int, float)) else json.encode(value).decode()
