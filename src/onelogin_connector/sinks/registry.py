"""
Which kinds of sinks there are.

A kind is a module of this folder, named by its file, or an entry point of the group
``onelogin_connector.sinks`` whose value is such a module. It holds ``Settings`` and one class whose
``kind`` is its name. A module is imported only when its kind is used, since some need large libraries.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from types import MappingProxyType, ModuleType
from typing import Any

from msgspec import Struct

from onelogin_connector import sinks
from onelogin_connector.errors import ConfigError

GROUP = "onelogin_connector.sinks"
NOT_SINKS = frozenset({"base", "registry"})
EXTRAS = MappingProxyType({"logs_ingestion": "azure"})
"""Kind → the extra of our package that brings its libraries."""


def kinds() -> list[str]:
    """
    Return the names of all kinds, without importing any.
    """
    own = {module.name for module in iter_modules(sinks.__path__) if not module.name.startswith("_")}
    return sorted((own - NOT_SINKS) | set(_elsewhere()))


def module(kind: str) -> ModuleType:
    """
    Import the module of a kind.

    Raises:
        ConfigError: There is no such kind, or a library that it needs is not installed.
    """
    if kind not in kinds():
        raise ConfigError(
            f"There is no sink of kind {kind!r}.", action=f"The kinds are {', '.join(kinds())}."
        )
    try:
        point = _elsewhere().get(kind)
        found = point.load() if point else import_module(f"{sinks.__name__}.{kind}")
    except ImportError as error:
        raise ConfigError(
            f"The sink kind {kind!r} cannot be used: {error}.",
            action=f"Install what it needs: pip install 'onelogin-connector[{EXTRAS.get(kind, kind)}]'.",
        ) from error
    if not isinstance(found, ModuleType):
        raise ConfigError(f"The entry point of the sink kind {kind!r} names no module.")
    return found


def settings_type(kind: str) -> type[Struct]:
    """
    Return the struct that a kind's settings are read into.

    Raises:
        ConfigError: As for ``module``.
    """
    found = getattr(module(kind), "Settings", None)
    if not (isinstance(found, type) and issubclass(found, Struct)):
        raise ConfigError(f"The module of the sink kind {kind!r} has no Settings struct.")
    return found


def sink_type(kind: str) -> Any:
    """
    Return the class of a kind; what it is built with differs from kind to kind, so ``service`` calls it.

    Raises:
        ConfigError: As for ``module``.
    """
    home = module(kind)
    for found in vars(home).values():
        if isinstance(found, type) and found.__module__ == home.__name__ and vars(found).get("kind") == kind:
            return found
    raise ConfigError(f"The module of the sink kind {kind!r} has no class of that kind.")


def _elsewhere() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
