"""
Events: the newest as a list and as they come in, filtered by a click, one of them in full.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.json import encode
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.errors import QueryError
from onelogin_connector.service.event_kql import NEWEST
from onelogin_connector.service.events import Arrivals, EventInFull, EventsFound
from onelogin_connector.store.events import COLUMNS
from onelogin_connector.web.answers import HttpError, plain, rfc3339
from onelogin_connector.web.console.asked import MOST_EVENTS, PAGE_EVENTS, Asked, asked_of
from onelogin_connector.web.console.base import service_of
from onelogin_connector.web.console.routes import Download, Entry, View

QUERY_ROWS = 200
QUERY_SECONDS = 20.0
LONGEST_QUERY = 10_000  # characters; an address has to hold it


class EventsView(Struct, frozen=True):
    """
    A page of events.
    """

    filter: Asked
    found: EventsFound
    event: EventInFull | None
    """The event that was asked for in full."""
    newest_query: str = NEWEST


class QueryView(Struct, frozen=True):
    """
    A query and what it found.
    """

    kql: str
    columns: list[str]
    rows: list[list[str]]
    empty_columns: int
    """Columns without any value, which are left out."""
    truncated: bool
    seconds: float
    error: str = ""
    action: str = ""
    place: str = ""
    """Line and column of a mistake."""


async def events(request: Request) -> EventsView:
    """
    Return the newest events that the address asks for.
    """
    asked = asked_of(request)
    service = service_of(request)
    if not asked.event:
        shown = None
    elif (shown := await service.events.one(asked.event)) is None:
        raise HttpError(
            "not-found", "There is no such event.", action="It may be older than what the store keeps."
        )
    found = await service.events.found(
        asked.filter, range=asked.range, before=asked.before, limit=asked.limit
    )
    return EventsView(asked, found, shown)


async def arrived(request: Request) -> Arrivals:
    """
    Return the events that have come in since a cursor.
    """
    asked = asked_of(request)
    after = request.query_params.get("after", "")
    return await service_of(request).events.arrived(asked.filter, after)


def beside(request: Request, _view: Arrivals) -> dict[str, Any]:
    """
    Return what the rows need to lead somewhere.
    """
    return {"asked": asked_of(request)}


async def raw(request: Request) -> Response:
    """
    Answer with an event's record as it was received.
    """
    twin = request.query_params.get("twin", "") == "true"
    body = await service_of(request).events.raw(request.query_params.get("event", ""), twin=twin)
    if body is None:
        raise HttpError("not-found", "There is no such event.", action="Choose one at /events.")
    # never shown by the browser: whoever wrote the event chose every byte of it
    headers = {"content-disposition": 'attachment; filename="event.json"'}
    return Response(body, media_type="application/octet-stream", headers=headers)


async def query(request: Request) -> QueryView:
    """
    Run a query and return the first of its rows.
    """
    kql = request.query_params.get("kql", "").replace("\r\n", "\n") or NEWEST
    if len(kql) > LONGEST_QUERY:
        raise HttpError(
            "invalid-input",
            f"The query has more than {LONGEST_QUERY} characters.",
            action="Send longer ones to /api/v1/query.",
        )
    try:
        result = await service_of(request).query(kql, limit=QUERY_ROWS, timeout_seconds=QUERY_SECONDS)
    except QueryError as error:
        place = f"Line {error.line}, column {error.column}" if error.line else ""
        return QueryView(kql, [], [], 0, False, 0.0, error.message, error.action, place)
    names = [column.name for column in result.columns]
    filled = [
        place for place in range(len(names)) if any(row[place] not in (None, "") for row in result.rows)
    ]
    if not result.rows:
        filled = list(range(len(names)))
    return QueryView(
        kql,
        [names[place] for place in filled],
        [[_text(row[place]) for place in filled] for row in result.rows],
        len(names) - len(filled),
        result.truncated,
        round(result.seconds, 3),
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return rfc3339(value) or ""
    if isinstance(value, (dict, list, bool)):
        return encode(value, enc_hook=plain).decode()
    return str(value)


ASKS = (
    ("range", "A span up to now: 1h, 6h, 24h (default), 7d, 30d, or all."),
    ("since", "Only events at or after this time; takes the place of range."),
    ("until", "Only events before this time."),
    *((name, "Only events with this value; may be repeated.") for name in COLUMNS),
    ("text", "Only events with this text in any of their main fields."),
    ("before", "Id of the event behind which the page begins: older of the page before."),
    ("event", "Id of an event to be given in full."),
    ("limit", f"Events of a page, {PAGE_EVENTS} by default and {MOST_EVENTS} at most."),
)

ENTRIES: tuple[Entry, ...] = (
    View(
        "/events",
        "/events",
        "events.html",
        EventsView,
        events,
        asks=ASKS,
        title="Events",
        icon="list",
        group="Explore",
    ),
    View("/events/query", "", "events_query.html", QueryView, query),
    View(
        "/events/arrived",
        "/events/arrived",
        "events_rows.html",
        Arrivals,
        arrived,
        also=beside,
        asks=(
            ("after", "The cursor of the answer before; without it nothing but a cursor comes."),
            *ASKS[1:-3],
        ),
    ),
    Download("/events/raw", raw),
)
