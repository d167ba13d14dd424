"""
Collection Status: whether every event arrives, and where it stands if not.
"""

from typing import Any

from msgspec import Struct
from starlette.requests import Request

from onelogin_connector.web.console.base import service_of
from onelogin_connector.web.console.routes import Entry, View


class Collection(Struct, frozen=True):
    """
    How collection stands.
    """

    connectors: list[dict[str, Any]]
    sinks: list[dict[str, Any]]


async def collection(request: Request) -> Collection:
    """
    Return the state of connectors and sinks.
    """
    status = service_of(request).status()
    return Collection(status["connectors"], status["sinks"])


ENTRIES: tuple[Entry, ...] = (
    View(
        "/status",
        "/collection",
        "status.html",
        Collection,
        collection,
        title="Collection Status",
        icon="pulse",
        group="Collect",
    ),
)
