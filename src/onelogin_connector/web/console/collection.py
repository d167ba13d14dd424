"""
Collection Status: whether every event arrives, and where it stands if not.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.errors import ConfigError
from onelogin_connector.service.collection import Collection, ConnectorRow, SinkRow
from onelogin_connector.service.standing import Word
from onelogin_connector.web import csv
from onelogin_connector.web.access import Role, caller_of
from onelogin_connector.web.answers import HttpError, json
from onelogin_connector.web.console.base import console_of, service_of
from onelogin_connector.web.console.routes import Act, Done, Download, Entry, View

FILTERS: tuple[tuple[str, str, frozenset[Word]], ...] = (
    ("", "All", frozenset(Word)),
    ("active", "Active", frozenset({Word.ACTIVE, Word.QUIET})),
    ("trouble", "Error or late", frozenset({Word.ERROR, Word.LATE})),
    ("error", "Error", frozenset({Word.ERROR})),
    ("pending", "Pending", frozenset({Word.PENDING})),
    ("inactive", "Inactive", frozenset({Word.INACTIVE})),
)
"""Name in the address, word on the page, states."""

LONGEST_SEARCH = 200  # characters

TROUBLE = frozenset({Word.ERROR, Word.LATE})

COLUMNS = (
    "generated_at",
    "row",
    "connector",
    "name",
    "description",
    "status",
    "status_since",
    "error",
    "last_event",
    "last_poll",
    "next_run",
    "read_up_to",
    "lag_seconds",
    "events_1h",
    "events_24h",
    "events_total",
    "rate_per_second",
    "duplicates",
    "dead_letters",
    "backlog",
    "skipped",
    "checkpoint",
)
"""Of the export; a cell stays empty where a row has no such figure."""


class Asked(Struct, frozen=True):
    """
    What of it is wanted.
    """

    q: str = ""
    """Text in a name, a description, an error."""
    state: str = ""
    """A name of ``FILTERS``."""

    @property
    def address(self) -> str:
        """
        The page that shows it.
        """
        chosen = {name: value for name, value in structs.asdict(self).items() if value}
        return f"/status?{urlencode(chosen)}" if chosen else "/status"

    def fits(self, row: ConnectorRow | SinkRow) -> bool:
        """
        Tell whether a row is wanted.
        """
        words = next(words for name, _, words in FILTERS if name == self.state)
        texts = [row.name, row.error]
        states = [row.state]
        if isinstance(row, ConnectorRow):
            texts += [row.id, row.description, *(source.error for source in row.sources)]
            if words <= TROUBLE:  # a source in trouble is found by its connector
                states += [source.state for source in row.sources]
        else:
            texts.append(row.kind)
        return bool(words & set(states)) and any(self.q.casefold() in text.casefold() for text in texts)


def asked_of(request: Request) -> Asked:
    """
    Return what a request wants to see.

    Raises:
        HttpError: There is no such status.
    """
    q, state = (request.query_params.get(name, "").strip() for name in ("q", "state"))
    names = [name for name, _, _ in FILTERS]
    if state not in names:
        raise HttpError(
            "invalid-input",
            f"There is no status {state[:40]!r} to filter by.",
            action=f"Use one of: {', '.join(filter(None, names))}.",
        )
    return Asked(q[:LONGEST_SEARCH], state)


async def collection(request: Request) -> Collection:
    """
    Return how collection stands: connectors with their sources, sinks, and the newest changes of state.
    """
    asked = asked_of(request)
    found = await service_of(request).collecting.stand()
    return structs.replace(
        found,
        connectors=[row for row in found.connectors if asked.fits(row)],
        sinks=[row for row in found.sinks if asked.fits(row)],
    )


def shown(request: Request, view: Collection) -> dict[str, Any]:
    """
    Return what the page says beside the rows.
    """
    rows: list[ConnectorRow | SinkRow] = [*view.connectors, *view.sinks]
    troubled = [row for row in rows if row.state in TROUBLE]
    asked = asked_of(request)
    return {
        "asked": asked,
        "here": asked.address,
        "links": {
            "connectors": console_of(request).has("/connectors"),
            "sinks": console_of(request).has("/sinks"),
            "letters": console_of(request).has("/dead-letters"),
        },
        "filters": [(name, word) for name, word, _ in FILTERS],
        "total": len(rows),
        "troubled": len(troubled),
        "answer": answer(view, troubled),
        "hour": _sum(row.events_hour for row in view.connectors),
        "day": _sum(row.events_day for row in view.connectors),
        "rate": sum(row.rate or 0.0 for row in view.connectors),
        "backlog": max((row.backlog for row in view.sinks), default=0),
        "dead": sum(row.dead_letters for row in rows),
    }


def answer(view: Collection, troubled: list[ConnectorRow | SinkRow]) -> str:
    """
    Return in a sentence whether every event arrives.
    """
    if troubled:
        names = ", ".join(row.name for row in troubled[:5]) + (" and others" if len(troubled) > 5 else "")
        worst = "need" if len(troubled) > 1 else "needs"
        return f"{names} {worst} a look. Everything else goes on; what waits is kept in the journal."
    working = [row for row in view.connectors if row.state in {Word.ACTIVE, Word.QUIET}]
    if not working:
        return "Nothing is in trouble, and no connector collects yet."
    which = f"All {len(working)} connectors collect" if len(working) > 1 else f"{working[0].name} collects"
    waiting = max((row.backlog for row in view.sinks), default=0)
    return f"{which}; every sink takes what comes{'' if waiting > 1_000 else ', and nothing waits for long'}."


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def lines(view: Collection) -> list[dict[str, Any]]:
    """
    Return the rows of the export: a connector, its sources, the next; then the sinks.
    """
    found: list[dict[str, Any]] = []
    for row in view.connectors:
        found.append(
            _line(row)
            | {"row": "connector", "connector": row.id, "description": row.description}
            | {"events_total": row.events_total, "duplicates": row.duplicates}
        )
        found += [
            _line(source) | {"row": source.kind, "connector": row.id, "name": row.name}
            for source in row.sources
        ]
    found += [
        _line(row)
        | {"row": "sink", "description": row.kind, "last_event": row.last_delivery}
        | {"events_1h": row.delivered_hour, "events_24h": row.delivered_day, "events_total": row.delivered}
        for row in view.sinks
    ]
    return [dict.fromkeys(COLUMNS) | line | {"generated_at": view.at} for line in found]


def _line(row: Struct) -> dict[str, Any]:
    names = {
        "status": "state",
        "status_since": "since",
        "events_1h": "events_hour",
        "events_24h": "events_day",
        "rate_per_second": "rate",
    }
    values = {column: getattr(row, names.get(column, column), None) for column in COLUMNS}
    return values | {"status": str(values["status"])}


async def as_csv(request: Request) -> Response:
    """
    Answer with the rows as a file for spreadsheets.
    """
    view = await collection(request)
    text = csv.table(list(COLUMNS), [list(line.values()) for line in lines(view)])
    return Response(text, media_type="text/csv", headers=_named(view, "csv"))


async def as_json(request: Request) -> Response:
    """
    Answer with everything as a file.
    """
    view = await collection(request)
    answer = json(view)
    answer.headers.update(_named(view, "json"))
    return answer


def _named(view: Collection, ending: str) -> dict[str, str]:
    name = f"collection-status-{view.at:%Y%m%dT%H%M%SZ}.{ending}"
    return {"content-disposition": f'attachment; filename="{name}"'}


class Sure(Struct, frozen=True, forbid_unknown_fields=True):
    """
    That somebody means what cannot be taken back.
    """

    confirmed: bool = False


async def start(request: Request, _values: Any) -> Done:
    """
    Let a stopped connector collect again.
    """
    id = request.path_params["id"]
    await service_of(request).connectors.start(id, actor=caller_of(request).name)
    return Done(f"{id} is started.")


async def stop(request: Request, _values: Any) -> Done:
    """
    Let a connector rest until it is started again.
    """
    id = request.path_params["id"]
    await service_of(request).connectors.stop(id, actor=caller_of(request).name)
    return Done(
        f"{id} is stopped. Its webhook answers 503, so that OneLogin sends again, and nothing is polled."
    )


async def restart(request: Request, _values: Any) -> Done:
    """
    Begin a connector anew with what is configured.
    """
    id = request.path_params["id"]
    await service_of(request).connectors.restart(id, actor=caller_of(request).name)
    return Done(f"{id} is restarted.")


async def delete(request: Request, values: Sure) -> Done:
    """
    Remove a connector for ever.

    Raises:
        ConfigError: Nobody confirmed it, or the connector is active.
    """
    id = request.path_params["id"]
    if not values.confirmed:
        raise ConfigError(
            f"Deleting {id} cannot be taken back, and was not confirmed.",
            action='Send {"confirmed": true} if it is meant.',
        )
    await service_of(request).connectors.remove(id, actor=caller_of(request).name)
    return Done(f"{id} is deleted. Its events stay in the store.")


def _running(request: Request) -> str:
    id = str(request.path_params["id"])
    if id not in service_of(request).deliveries:
        raise HttpError(
            "not-found", f"There is no running sink {id[:80]!r}.", action="Look at Collection Status."
        )
    return id


async def pause_sink(request: Request, _values: Any) -> Done:
    """
    Send nothing more to a sink until it is started again, over restarts too; what comes waits in the journal.
    """
    await service_of(request).sinks.pause(_running(request), actor=caller_of(request).name)
    return Done(f"{request.path_params['id']} is paused. What comes meanwhile waits in the journal.")


async def resume_sink(request: Request, _values: Any) -> Done:
    """
    Let a sink go on at once, also out of a wait between attempts.
    """
    await service_of(request).sinks.resume(_running(request))
    return Done(f"{request.path_params['id']} goes on.")


ENTRIES: tuple[Entry, ...] = (
    View(
        "/status",
        "/collection",
        "status.html",
        Collection,
        collection,
        also=shown,
        asks=(
            ("q", "Text in a name, a description or an error."),
            ("state", f"One of {', '.join(name for name, _, _ in FILTERS if name)}; all by default."),
        ),
        title="Collection Status",
        icon="pulse",
        group="Collect",
    ),
    Download("/status.csv", as_csv),
    Download("/status.json", as_json),
    Act("/status/connectors/{id}/start", "connector_started", start, back="/status"),
    Act("/status/connectors/{id}/stop", "connector_stopped", stop, back="/status"),
    Act("/status/connectors/{id}/restart", "connector_restarted", restart, back="/status"),
    Act("/status/connectors/{id}/delete", "connector_deleted", delete, Role.ADMIN, Sure, back="/status"),
    Act("/status/sinks/{id}/stop", "sink_paused", pause_sink, back="/status"),
    Act("/status/sinks/{id}/start", "sink_resumed", resume_sink, back="/status"),
    Act("/status/sinks/{id}/restart", "sink_resumed", resume_sink, back="/status"),
)
