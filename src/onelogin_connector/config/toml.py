"""
Values in the form of TOML, with references in place of secrets.
"""

from datetime import datetime
from math import isfinite
from typing import Any

from msgspec import Struct

from onelogin_connector.setting import Secret, settings_of


def toml_value(value: Any) -> str:
    """
    Write a value as TOML; a secret as its reference.

    Raises:
        TypeError: The value has no form in TOML; a secret of unknown origin has none either.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return str(int(value)) if isfinite(value) and value.is_integer() else repr(value)
        case str():
            return _quoted(value)
        case datetime():
            return value.isoformat()
        case Secret(reference=("literal", _)):
            return _quoted(value.reveal())
        case Secret(reference=(kind, name)):
            return toml_value({kind: name})
        case list() | tuple():
            return f"[{', '.join(toml_value(part) for part in value)}]"
        case dict():
            inner = ", ".join(f"{key(name)} = {toml_value(part)}" for name, part in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case Struct():
            return toml_value(changed(value))
    raise TypeError(f"{type(value).__name__} has no form in TOML.")


def _quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    inner = (escapes.get(char) or (char if char.isprintable() else _escaped(char)) for char in text)
    return f'"{"".join(inner)}"'


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04X}" if ord(char) < 0x1_0000 else f"\\U{ord(char):08X}"


def key(name: str) -> str:
    """
    Write a key, quoted where it must be.
    """
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _quoted(name)


def changed(struct: Struct) -> dict[str, Any]:
    """
    Return the settings that differ from their defaults, with the tag of a struct that is one of several.
    """
    tag_field, tag = struct.__struct_config__.tag_field, struct.__struct_config__.tag
    found: dict[str, Any] = {} if tag_field is None else {tag_field: tag}
    for setting in settings_of(type(struct)):
        value = getattr(struct, setting.name)
        if value is not None and (setting.required or value != setting.default):
            found[setting.name] = value
    return found
