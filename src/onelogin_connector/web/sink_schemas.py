"""
What the API says of the settings of sinks: one schema for each kind, made from the struct that reads the settings file.

Over the API a secret is text and may be left out, where one is stored; what only the settings file may set is not there.
"""

from collections.abc import Iterator
from inspect import isclass
from typing import Any

from msgspec import Struct

from onelogin_connector.config import Secret
from onelogin_connector.errors import ConfigError
from onelogin_connector.service.delivering import STORE, is_makeable
from onelogin_connector.setting import settings_of
from onelogin_connector.sinks import registry


def structs_of_kinds() -> dict[str, type[Struct]]:
    """
    Return the settings of each kind of sink that can be made here.
    """
    found: dict[str, type[Struct]] = {}
    for kind in registry.kinds():
        try:
            if kind != STORE and is_makeable(kind):
                found[kind] = registry.settings_type(kind)
        except ConfigError:  # a library of it is not installed, so that it cannot be made either
            continue
    return found


def plain_schema(type_: type) -> dict[str, Any]:
    """
    Return the schema of a type that msgspec does not know: text of a certain form, or a secret.
    """
    if isclass(type_) and issubclass(type_, str):
        return {"type": "string"}
    if type_ is Secret:
        return {"type": "string", "writeOnly": True}
    raise NotImplementedError  # so that msgspec says of which type it knows nothing


def adapt(components: dict[str, Any], schemas: dict[str, Any]) -> None:
    """
    Let the schema of a sink hold those of its kinds' settings, as they are entered.

    Args:
        components: All schemas by name; changed in place.
        schemas: Kind → reference to the schema of its settings.
    """
    for kind, struct in structs_of_kinds().items():
        components[_name(schemas[kind])]["title"] = f"Settings of {kind}"
        for name, each in _inner(struct, _name(schemas[kind])):
            _as_entered(components[name], each)
    if "WantedSink" in components:
        settings = components["WantedSink"]["properties"]["settings"]
        settings.pop("type", None)
        settings["anyOf"] = [schemas[kind] for kind in schemas]


def _inner(struct: type[Struct], name: str) -> Iterator[tuple[str, type[Struct]]]:
    yield name, struct
    for setting in settings_of(struct):
        for variant in setting.variants.values():
            yield variant.__name__, variant


def _as_entered(schema: dict[str, Any], struct: type[Struct]) -> None:
    for setting in settings_of(struct):
        if setting.local:
            schema["properties"].pop(setting.name, None)
        if setting.holds is Secret and setting.name in schema["properties"]:
            schema["properties"][setting.name].pop("examples", None)  # a reference, as the file has it
            schema["required"] = [name for name in schema.get("required", ()) if name != setting.name]


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]
