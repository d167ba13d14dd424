"""
The catalogue of OneLogin's event types.

OneLogin adds types without notice, so an id that is not here is normal: it is shown as
``EVENT_TYPE_<id>`` until the account's own list (``GET /api/1/events/types``) names it. Where the names
come from stands in ``event_types.json``.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from msgspec import Struct
from msgspec.json import decode


class EventType(Struct, frozen=True):
    """
    One kind of event.
    """

    id: int
    name: str
    description: str = ""
    """OneLogin's sentence with ``%user%``, ``%app%`` …, where it is public."""
    label: str = ""
    """OneLogin's older wording, where it is known."""


class _Catalogue(Struct):
    source: str
    event_types: list[EventType]


@cache
def known() -> Mapping[int, EventType]:
    """
    Return the types that were known when this program was released, by id.
    """
    text = files(__package__).joinpath("event_types.json").read_bytes()
    return MappingProxyType({one.id: one for one in decode(text, type=_Catalogue).event_types})


def name(id: int) -> str | None:
    """
    Return the name of a type, or None where the id is not known.
    """
    found = known().get(id)
    return found.name if found else None


def placeholder(id: int) -> str:
    """
    Return what an event of an unknown type is called.
    """
    return f"EVENT_TYPE_{id}"
