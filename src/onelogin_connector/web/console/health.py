"""
Health: what is wrong now, who is told of it, and every change of state there was.
"""

from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from starlette.requests import Request

from onelogin_connector.service.alarms import Alarm
from onelogin_connector.service.ledgers import RESOURCES
from onelogin_connector.state import Change
from onelogin_connector.web.access import Role
from onelogin_connector.web.console.base import service_of
from onelogin_connector.web.console.routes import Act, Done, Entry, View
from onelogin_connector.web.reading import LARGEST_ID, whole

KINDS = {
    "connector": "Connectors",
    "source": "Sources",
    "sink": "Sinks",
    "journal": "Journal",
    "check": "Tests",
    "alarm": "Alarms",
}

ON_PAGE = 50
MOST = 500


class Telling(Struct, frozen=True):
    """
    Who is told of alarms.
    """

    on: bool
    host: str
    """The receiver's; the rest of its address is a secret."""
    format: str
    last_sent: float | None
    """Unix seconds of the latest notice that was taken, since the start."""
    error: str
    """Why the latest was not taken; empty when it was."""


class Health(Struct, frozen=True):
    """
    Alarms, notices and history.
    """

    alarms: list[Alarm]
    telling: Telling
    silence_hours: float
    """After how long without events somebody is told; connectors may have their own."""
    changes: list[Change]
    """Newest first."""
    next: int | None
    """``before`` of the next page; None on the last."""
    kql: str
    """A query that finds the same, and more of it."""


async def health(request: Request) -> Health:
    """
    Return what is wrong now and what changed, newest first.
    """
    service = service_of(request)
    kind = request.query_params.get("kind", "")
    part = request.query_params.get("part", "")
    before = whole(request, "before", LARGEST_ID, least=1, most=LARGEST_ID)
    limit = whole(request, "limit", ON_PAGE, least=1, most=MOST)
    await service.health.flush()
    found = service.state.history.page(kind=kind, part=part, before=before, limit=limit + 1)
    page = found[:limit]
    notices = service.notices
    return Health(
        alarms=service.alarms(),
        telling=Telling(
            notices.is_on, notices.host, service.settings.alarms.format, notices.last_sent, notices.last_error
        ),
        silence_hours=service.settings.alarms.silence_hours,
        changes=page,
        next=page[-1].id if len(found) > limit else None,
        kql=_kql(kind, part),
    )


def _kql(kind: str, part: str) -> str:
    lines = ["OneLoginConnectorHealth"]
    if kind in RESOURCES:
        lines.append(f"| where SentinelResourceType == '{RESOURCES[kind]}'")
    if part:
        text = quoted(part)
        lines.append(f"| where SentinelResourceName == {text} or ExtendedProperties.ConnectorId == {text}")
    lines.append("| sort by TimeGenerated desc")
    return "\n".join(lines)


def quoted(text: str) -> str:
    """
    Return text as KQL writes it.
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _words(request: Request, view: Health) -> dict[str, Any]:
    asked = {name: request.query_params.get(name, "") for name in ("kind", "part")}
    older = urlencode({name: value for name, value in asked.items() if value} | {"before": view.next})
    tones = {"Success": "ok", "Failure": "error", "Informational": "inactive"}
    return {
        "kinds": KINDS,
        "asked": asked,
        "older": older,
        "newest": "before" not in request.query_params,
        "tones": tones,
    }


async def try_notice(request: Request, _nothing: Any) -> Done:
    """
    Send a notice that is none, to see whether it is taken.
    """
    notices = service_of(request).notices
    await notices.try_out()
    return Done(f"{notices.host} took a test notice.", target=notices.host)


ENTRIES: tuple[Entry, ...] = (
    View(
        "/health",
        "/health",
        "health.html",
        Health,
        health,
        also=_words,
        asks=(
            ("kind", f"Of parts of one kind: {', '.join(KINDS)}."),
            ("part", "Of one part, or of the parts of one connector."),
            ("before", "The id of the last change of the page before."),
            ("limit", f"How many changes, 1 to {MOST}."),
        ),
        title="Health",
        icon="heart",
        group="System",
    ),
    Act("/health/test-notice", "notice_tested", try_notice, role=Role.ADMIN, back="/health"),
)
