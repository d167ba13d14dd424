"""
The form of a connector: as it was sent, as it is shown, and what it means.

Everything comes as text and is read here, so that every mistake stands beside its field. A secret goes in and never
comes out: the form that is shown again has its field empty.
"""

from datetime import UTC, datetime
from math import isfinite, nan
from typing import overload

from msgspec import Struct, structs

from onelogin_connector.service import Service
from onelogin_connector.service.connecting import TYPE
from onelogin_connector.service.wanted import FieldErrors, Wanted

MEBIBYTE = 1 << 20

LABELS = {
    "name": "Connector Name",
    "domain": "OneLogin Domain",
    "client_id": "Client ID",
    "client_secret": "Client Secret",
    "api_url": "API host",
    "poll_seconds": "Poll interval",
    "overlap_minutes": "Overlap",
    "start": "First run from",
    "description": "Description",
    "poll_delay_seconds": "Poll delay",
    "api_budget_share": "Share of API calls",
    "allowed_networks": "Allowed networks",
    "max_body": "Largest request",
}
"""Field → what it is called on the page."""


class Entered(Struct, frozen=True, kw_only=True):
    """
    The form as it was sent.
    """

    connector: str = ""
    """The id of the one that is changed; empty for a new one."""
    name: str = ""
    description: str = ""
    domain: str = ""
    client_id: str = ""
    client_secret: str = ""
    api_url: str = ""
    poll_seconds: str = ""
    overlap_minutes: str = ""
    start: str = ""
    time_rule: str = "floor"
    poll_delay_seconds: str = ""
    api_budget_share: str = ""
    allowed_networks: str = ""
    """One in each line."""
    max_body: str = ""
    """In MiB."""

    def __repr__(self) -> str:
        return f"Entered({self.name!r})"  # never the secret


class Form(Struct, frozen=True, kw_only=True):
    """
    The form as it is shown.
    """

    entered: Entered
    """Without the secret."""
    errors: dict[str, str]
    has_secret: bool
    host: str
    """Where the stored secret may be sent."""
    id: str
    """In the webhook's address; what it would be for a new one."""
    type: str = TYPE


def form_of(service: Service, entered: Entered, errors: dict[str, str] | None = None) -> Form:
    """
    Return a form to be filled in, or filled in again.
    """
    connector = entered.connector
    host = service.state.connectors.secret_host(connector) if connector else ""
    return Form(
        entered=structs.replace(entered, client_secret=""),
        errors=errors or {},
        has_secret=bool(host),
        host=host,
        id=connector or service.connectors.id_for(entered.name or "onelogin"),
    )


def wanted_of(entered: Entered) -> Wanted:
    """
    Read what the form holds.

    Raises:
        FieldErrors: A number or a time cannot be read.
    """
    wrong: dict[str, str] = {}
    start = _moment(entered.start, wrong)
    wanted = Wanted(
        name=entered.name,
        description=entered.description,
        domain=entered.domain,
        client_id=entered.client_id,
        client_secret=entered.client_secret,
        api_url=entered.api_url,
        poll_seconds=_number(entered.poll_seconds, 60.0),
        overlap_minutes=_number(entered.overlap_minutes, 10.0),
        start=start,
        time_rule="round" if entered.time_rule == "round" else "floor",
        poll_delay_seconds=_number(entered.poll_delay_seconds, None),
        api_budget_share=_number(entered.api_budget_share, 0.5),
        allowed_networks=entered.allowed_networks.replace(",", " ").split(),
        max_body=_bytes(entered.max_body, wrong),
    )
    if wrong:
        raise FieldErrors(wrong)
    return wanted


def mebibytes(size_bytes: int) -> str:
    """
    Return a number of bytes as the form has it.
    """
    return f"{size_bytes / MEBIBYTE:g}"


def _bytes(text: str, wrong: dict[str, str]) -> int:
    size = _number(text, 32.0) * MEBIBYTE
    if isfinite(size):
        return int(size)
    wrong["max_body"] = "A number of MiB, such as 32."
    return 0


@overload
def _number(text: str, default: float) -> float: ...
@overload
def _number(text: str, default: None) -> float | None: ...
def _number(text: str, default: float | None) -> float | None:
    if not text.strip():
        return default
    try:
        return float(text)
    except ValueError:
        return nan  # which no range contains


def _moment(text: str, wrong: dict[str, str]) -> datetime | None:
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        wrong["start"] = "A time such as 2026-11-01T00:00, in UTC."
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
