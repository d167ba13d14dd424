"""
The running program, made from settings.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onelogin_connector.service.building import build
    from onelogin_connector.service.service import Service

__all__ = ["Service", "build"]


def __getattr__(name: str) -> Any:
    # a command that talks to a running service needs this package's small parts, not DuckDB and LMDB
    if name == "build":
        from onelogin_connector.service.building import build

        return build
    if name == "Service":
        from onelogin_connector.service.service import Service

        return Service
    raise AttributeError(name)
