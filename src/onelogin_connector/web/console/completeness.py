"""
Completeness: per connector and hour what the API lists and what of it is held, and the button that fills a gap.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field
from starlette.requests import Request

from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.journal import time_rule
from onelogin_connector.journal.base import ConnectorCounts
from onelogin_connector.journal.time_rule import TimeRuleFigures
from onelogin_connector.loose import parse_time_us
from onelogin_connector.moments import text_of
from onelogin_connector.service import Service
from onelogin_connector.service.fills import Fill, FillState
from onelogin_connector.store import HourFigures
from onelogin_connector.store.events import LatenessBar
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.console.base import service_of
from onelogin_connector.web.console.routes import Act, Done, Entry, View

HOUR_SECONDS = 3_600
SPANS_HOURS = {"2d": 48, "7d": 168, "30d": 720}
NEW_HOURS = 2
"""An hour is swept an hour after its end; before, nothing can be said of it."""
LATE_HOURS = 26
"""After the last scheduled sweep an hour should be settled."""

MISSING = "listed events missing"
COMPLETE = "complete as far as the API lists"
NOT_SETTLED = "not settled"


class Hour(Struct, frozen=True):
    """
    One hour of one connector.
    """

    hour: str
    """Its beginning."""
    tone: str
    """``ok``, ``error`` (a gap), ``late``, ``pending``, ``inactive``."""
    mark: str
    """One character that says the same."""
    verdict: str
    figures: HourFigures | None
    """None for an hour of which nothing is held or known."""
    fill: Fill | None
    """How far it is if it is read again."""
    fillable: bool


class ConnectorHours(Struct, frozen=True, kw_only=True):
    """
    The hours of one connector, the newest day first.
    """

    id: str
    name: str
    has_api: bool
    answer: str
    """In a sentence, whether everything is there."""
    gaps: list[str]
    """Beginnings of the hours that miss events the API lists."""
    filling: int
    """Hours that wait to be read again."""
    totals: dict[str, int]
    days: list[tuple[str, list[Hour | None]]]
    """Day → its 24 hours; None for one that lies outside of the span."""
    lateness: list[LatenessBar]
    rule: TimeRuleFigures
    trouble: str = ""


class CompletenessView(Struct, frozen=True):
    """
    Completeness of every connector.
    """

    span: str
    since: str
    until: str
    connectors: list[ConnectorHours]
    spans: list[str] = field(default_factory=lambda: list(SPANS_HOURS))


class HoursToFill(Struct, frozen=True, forbid_unknown_fields=True):
    """
    Hours that are to be read again from the API.
    """

    connector: str
    hours: list[str]
    """Their beginnings, such as 2026-11-01T13:00:00Z."""


async def completeness(request: Request) -> CompletenessView:
    """
    Return completeness by hours, of the last two days by default.
    """
    service = service_of(request)
    span = request.query_params.get("span", "") or "2d"
    if span not in SPANS_HOURS:
        raise HttpError("invalid-input", f"span is one of {', '.join(SPANS_HOURS)}.", action="Correct span.")
    present = int(service.clock()) // HOUR_SECONDS
    first = present - SPANS_HOURS[span] + 1
    wanted = request.query_params.get("connector", "")
    if wanted:
        service.require_connector(wanted)
    names = [wanted] if wanted else list(service.settings.connectors)
    return CompletenessView(
        span,
        _text(first),
        _text(present + 1),
        [await _connector(service, name, first, present) for name in names],
    )


async def _connector(service: Service, name: str, first: int, present: int) -> ConnectorHours:
    since_us, until_us = first * 3_600_000_000, (present + 1) * 3_600_000_000
    has_api = name in service.pulls
    trouble, figures, lateness = "", {}, []
    try:
        found = await service.events.hours(name, since_us, until_us)
        figures = {each.hour: each for each in found}
        lateness = await service.events.lateness(name, since_us, until_us)
    except ConnectorError as error:
        trouble = str(error)
    fills = service.fills.of(name)
    span = range(first, present + 1)
    # a month of them takes the interpreter for milliseconds, during which the event loop would take in nothing
    hours = await asyncio.to_thread(_hours, span, figures, fills, has_api=has_api)
    gaps = [each.hour for each in hours.values() if each.tone == "error"]
    settings = service.settings.connectors[name]
    return ConnectorHours(
        id=name,
        name=settings.name or name,
        has_api=has_api,
        answer=trouble or _answer(list(hours.values()), has_api=has_api),
        gaps=gaps,
        filling=sum(fill.is_open for fill in fills.values()),
        totals={
            part: sum(getattr(each, part) or 0 for each in figures.values())
            for part in ("entries", "listed", "matched", "repaired", "late", "unconfirmed")
        },
        days=_days(hours, first, present),
        lateness=lateness,
        rule=time_rule.propose(service.journal.counts().get(name) or ConnectorCounts(), settings.time_rule),
        trouble=trouble,
    )


def _hours(
    span: range, figures: dict[int, HourFigures], fills: dict[int, Fill], *, has_api: bool
) -> dict[int, Hour]:
    return {
        hour: _hour(hour, figures.get(hour), fills.get(hour), present=span[-1], has_api=has_api)
        for hour in span
    }


def _hour(hour: int, figures: HourFigures | None, fill: Fill | None, *, present: int, has_api: bool) -> Hour:
    verdict = figures.verdict if figures else "nothing held, not checked"
    tone, mark = "inactive", "–"
    if not has_api and (figures is None or not figures.sweeps):
        verdict = "not checkable"
    elif verdict == COMPLETE:
        tone, mark = "ok", "✓"
    elif verdict == MISSING:
        tone, mark = "error", "✕"
    elif verdict == NOT_SETTLED:
        tone, mark = ("late", "!") if figures and _is_late(figures, present) else ("pending", "…")
    elif present - hour <= NEW_HOURS:
        tone, mark, verdict = "pending", "·", "too new to be checked"
    is_open = fill is not None and fill.is_open
    fillable = has_api and not is_open and tone != "ok"
    return Hour(_text(hour), tone, mark, verdict, figures, fill, fillable)


def _is_late(figures: HourFigures, present: int) -> bool:
    """
    Tell whether an hour that is not settled should be by now.

    One that was reached for the first time after a day, as on a connector's first or after an outage, has nothing to be
    compared with before its second listing, which comes within the hour.
    """
    just_reached = figures.sweeps == 1 and (figures.swept_at or 0.0) // HOUR_SECONDS >= present - 1
    return present - figures.hour > LATE_HOURS and not just_reached


def _answer(hours: list[Hour], *, has_api: bool) -> str:
    gaps = sum(each.tone == "error" for each in hours)
    if gaps:
        which = "1 hour misses" if gaps == 1 else f"{gaps} hours miss"
        return f"{which} events that OneLogin's API lists. Fill them below; each is read again from the API."
    if not has_api:
        return (
            "Not checkable: webhooks alone cannot show that nothing was lost. "
            "Give this connector API credentials."
        )
    late = sum(each.tone == "late" for each in hours)
    if late:
        which = "1 hour is" if late == 1 else f"{late} hours are"
        end = "its end" if late == 1 else "their end"
        return f"No event is known to be missing. {which} not settled more than a day after {end}."
    complete = sum(each.tone == "ok" for each in hours)
    if not complete:
        return "No event is known to be missing; no hour has been compared twice with the API yet."
    which = "The hour" if complete == 1 else f"All {complete} hours"
    return f"{which} compared with OneLogin's API {'is' if complete == 1 else 'are'} complete as far as it lists."


def _days(hours: dict[int, Hour], first: int, present: int) -> list[tuple[str, list[Hour | None]]]:
    return [
        (_text(day * 24)[:10], [hours.get(day * 24 + hour) for hour in range(24)])
        for day in range(present // 24, first // 24 - 1, -1)
    ]


def _text(hour: int) -> str:
    return text_of(hour * HOUR_SECONDS) or ""


async def fill(request: Request, values: HoursToFill) -> Done:
    """
    Read hours again from a connector's API, one after another.

    Raises:
        ConfigError: There is no such connector, it has no API credential, or a value is no hour.
    """
    service = service_of(request)
    service.require_connector(values.connector)
    if values.connector not in service.pulls:
        raise ConfigError(
            f"{values.connector} has no API credential, so nothing can be read again.",
            action="Give it one under Connectors.",
        )
    moments = [parse_time_us(text) for text in values.hours]
    hours = [moment // 3_600_000_000 for moment in moments if moment is not None]
    if not hours or len(hours) != len(moments):
        raise ConfigError("No hour was named.", action="Name hours such as 2026-11-01T13:00:00Z.")
    new = service.fills.ask(values.connector, hours)
    what = "1 hour is" if new == 1 else f"{new} hours are"
    text = f"{what} read again from OneLogin's API." if new else "These hours are being read again already."
    first, last = min(hours), max(hours)
    return Done(
        text,
        location=f"/completeness?span={_span_of(first, service)}#{values.connector}",
        target=f"{values.connector} {_text(first)} to {_text(last + 1)}",
        result={"hours": new},
    )


def _span_of(hour: int, service: Service) -> str:
    age = int(service.clock()) // HOUR_SECONDS - hour
    return next((span for span, hours in SPANS_HOURS.items() if age < hours), "30d")


def also(_request: Request, view: CompletenessView) -> dict[str, Any]:
    """
    Return what the page says beside the figures.
    """
    gaps = sum(len(each.gaps) for each in view.connectors)
    filling = sum(each.filling for each in view.connectors)
    lead = "Whether everything that OneLogin lists is held, hour by hour."
    if gaps:
        lead = f"{gaps} hours miss events." if gaps > 1 else "1 hour misses events."
    here = f"/completeness?span={view.span}"
    return {
        "lead": lead,
        "filling": filling,
        "here": here,
        "labels": _labels(),
        "states": FillState,
        "day_of": lambda text: datetime.fromisoformat(text).astimezone(UTC).strftime("%a"),
    }


def _labels() -> dict[int | None, str]:
    return {
        1: "under 1 s", 5: "1 to 5 s", 30: "5 to 30 s", 60: "30 to 60 s", 300: "1 to 5 min", 3_600: "5 to 60 min",
        21_600: "1 to 6 h", 86_400: "6 to 24 h", None: "over a day",
    }  # fmt: skip


ENTRIES: tuple[Entry, ...] = (
    View(
        "/completeness",
        "/completeness/overview",
        "completeness.html",
        CompletenessView,
        completeness,
        also=also,
        asks=(
            ("span", "2d (default), 7d or 30d."),
            ("connector", "Id of one connector; all by default."),
        ),
        title="Completeness",
        icon="check",
        group="Collect",
    ),
    Act("/completeness/fill", "hours_filled", fill, takes=HoursToFill, back="/completeness"),
)
