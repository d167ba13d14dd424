"""
What the address of the events page asks for, read and checked; and the addresses beside it.

The address holds the whole state of the page, so it can be kept and sent to others.
"""

from typing import Any
from urllib.parse import urlencode

from msgspec import Struct, structs
from starlette.requests import Request

from onelogin_connector.loose import parse_time_us
from onelogin_connector.service.events import ALL, RANGES_SECONDS
from onelogin_connector.store.events import COLUMNS, Filter
from onelogin_connector.store.listed import LONGEST_VALUE
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.reading import whole

LONGEST_ASKED = 1_000
"""Characters of one value."""

MOST_VALUES = 20
DEFAULT_RANGE = "24h"
PAGE_EVENTS, MOST_EVENTS = 50, 500


class Asked(Struct, frozen=True, omit_defaults=True):
    """
    A filter as an address spells it. Values of one field are alternatives; all fields have to fit.
    """

    range: str = ""
    """A span up to now (``1h``, ``6h``, ``24h``, ``7d``, ``30d``) or ``all``; empty with ``since`` or ``until``."""
    since: str = ""
    until: str = ""
    type: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    actor: tuple[str, ...] = ()
    app: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    connector: tuple[str, ...] = ()
    text: str = ""
    before: str = ""
    """Id of the event behind which the page begins."""
    event: str = ""
    """Id of the event that is shown in full."""
    limit: int = PAGE_EVENTS

    @property
    def filter(self) -> Filter:
        """
        The same as the store takes it.
        """
        return Filter(
            since_us=parse_time_us(self.since) if self.since else None,
            until_us=parse_time_us(self.until) if self.until else None,
            values={name: getattr(self, name) for name in COLUMNS if getattr(self, name)},
            text=self.text,
        )

    @property
    def chips(self) -> list[tuple[str, str]]:
        """
        The chosen values with their fields.
        """
        return [(name, value) for name in COLUMNS for value in getattr(self, name)]

    def pairs(self, *without: str) -> list[tuple[str, str]]:
        """
        Return what an address or form says, but for some names.
        """
        found: list[tuple[str, str]] = []
        for name, value in structs.asdict(self).items():
            if name in without or value == UNASKED[name] or (name == "range" and value == DEFAULT_RANGE):
                continue
            found += [(name, str(each)) for each in (value if isinstance(value, tuple) else (value,))]
        return found

    def at(self, path: str = "/events", *without: str, **changes: Any) -> str:
        """
        Return an address that differs from this one in some values.
        """
        pairs = structs.replace(self, **changes).pairs(*without)
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def plus(self, name: str, value: str) -> str:
        """
        Return the address with one more value to choose by; empty for a value that no filter can hold.
        """
        if not value or len(value) > LONGEST_VALUE:
            return ""
        chosen = getattr(self, name)
        values = chosen if value in chosen else (*chosen, value)
        changes: dict[str, Any] = {name: values, "before": "", "event": ""}
        return self.at(**changes)

    def minus(self, name: str, value: str) -> str:
        """
        Return the address without a value.
        """
        values = tuple(each for each in getattr(self, name) if each != value)
        changes: dict[str, Any] = {name: values, "before": "", "event": ""}
        return self.at(**changes)

    def between(self, since: str, until: str) -> str:
        """
        Return the address with another time.
        """
        return self.at(range="", since=since, until=until, before="", event="")

    def within(self, range: str) -> str:
        """
        Return the address with another span up to now.
        """
        return self.at(range=range, since="", until="", before="", event="")


UNASKED = structs.asdict(Asked())


def asked_of(request: Request) -> Asked:
    """
    Read what a request asks for.

    Raises:
        HttpError: A value is too long, no time, or no span.
    """
    query = request.query_params
    values: dict[str, Any] = {}
    for name in COLUMNS:
        # an address names a value once, however often it was clicked
        values[name] = tuple(dict.fromkeys(value for value in query.getlist(name) if value))
        _require(len(values[name]) <= MOST_VALUES, f"More than {MOST_VALUES} values of {name} were chosen.")
        _require(
            all(len(value) <= LONGEST_ASKED for value in values[name]), f"A value of {name} is too long."
        )
    for name in ("text", "before", "event"):
        values[name] = query.get(name, "")
        _require(len(values[name]) <= LONGEST_ASKED, f"The value of {name} is too long.")
    for name in ("since", "until"):
        values[name] = query.get(name, "").strip()
        _require(
            not values[name] or parse_time_us(values[name]) is not None,
            f"{name} has to be a time such as 2026-11-01T00:00:00Z.",
        )
    span = query.get("range", "")
    _require(span in {"", ALL, *RANGES_SECONDS}, f"range is one of {', '.join(RANGES_SECONDS)}, {ALL}.")
    timed = bool(values["since"] or values["until"])
    limit = whole(request, "limit", PAGE_EVENTS, least=1, most=MOST_EVENTS)
    return Asked(range="" if timed else span or DEFAULT_RANGE, limit=limit, **values)


def _require(fits: bool, message: str) -> None:  # noqa: FBT001 - a condition reads best first
    if not fits:
        raise HttpError("invalid-input", message, action="Correct the address, or begin anew at /events.")
