"""
What the API answers where a page has no value of the same shape: structs, so that OpenAPI is made of what is sent.
"""

from typing import Any

from msgspec import Struct

from onelogin_connector.journal.base import LetterHead
from onelogin_connector.moments import text_of
from onelogin_connector.sinks.base import Stage
from onelogin_connector.store import HourFigures


class JournalStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """
    The journal.
    """

    entries: int
    first_offset: int
    last_offset: int
    bytes: int
    free_bytes: int


class ConnectorStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """
    One connector.
    """

    id: str
    name: str
    state: str
    since: str | None
    last_poll: str | None
    last_event: str | None
    watermark: str | None
    events_total: int
    duplicates: int
    twins: int
    match_share: float | None
    time_rule: dict[str, Any]
    users_error: str
    error: str


class SinkStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """
    One sink.
    """

    name: str
    kind: str
    state: str
    since: str | None
    checkpoint: int
    lag_events: int
    lag_seconds: float
    delivered: int
    skipped: int
    dead_letters: int
    error: str


class AlarmStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """
    One thing that is wrong.
    """

    since: str | None
    message: str
    action: str


class ServiceStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """
    The state of every part, as ``status --json`` shows it.
    """

    connectors: list[ConnectorStatus]
    sinks: list[SinkStatus]
    journal: JournalStatus
    alarms: list[AlarmStatus]


class ResultColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """
    One column of a query's result.
    """

    name: str
    type: str


class QueryResult(Struct, frozen=True, forbid_unknown_fields=True):
    """
    What a query found.
    """

    columns: list[ResultColumn]
    rows: list[dict[str, Any]]
    truncated: bool
    limit: int | None
    seconds: float


class LetterSummary(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A dead letter without its bytes.
    """

    id: int
    at: str | None
    connector: str
    sink: str
    kind: str
    reason: str
    count: int
    bytes: int

    @classmethod
    def of(cls, head: LetterHead) -> "LetterSummary":
        """
        Return what a list shows of a dead letter.
        """
        return cls(
            head.id,
            text_of(head.at),
            head.connector,
            head.sink,
            head.kind,
            head.reason,
            head.count,
            head.size_bytes,
        )


class LetterPage(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A page of dead letters.
    """

    dead_letters: list[LetterSummary]
    next: int | None
    """What the next page begins after; None at the end."""


class WholeLetter(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A dead letter with its bytes.
    """

    id: int
    at: str | None
    connector: str
    sink: str
    kind: str
    reason: str
    count: int
    bytes: int
    records: int
    offset: int
    positions: dict[str, str]
    """Position in the request → reason."""
    body: str
    """As text; what is no UTF-8 is replaced."""
    body_base64: str


class Replayed(Struct, frozen=True, forbid_unknown_fields=True):
    """
    What became of dead letters that were sent again.
    """

    replayed: int
    failed: int
    errors: list[str]


class Discarded(Struct, frozen=True, forbid_unknown_fields=True):
    """
    How many dead letters were removed.
    """

    discarded: int


class HourShown(Struct, frozen=True, forbid_unknown_fields=True):
    """
    One hour of one connector.
    """

    connector: str
    hour: str | None
    listed: int
    matched: int
    repaired: int
    late: int
    unconfirmed: int | None
    entries: int
    settled: bool
    sweeps: int
    listed_by_sweep: int | None
    swept_at: str | None
    complete: bool | None
    verdict: str

    @classmethod
    def of(cls, figures: HourFigures) -> "HourShown":
        """
        Return an hour's figures with times that people read.
        """
        values = {name: getattr(figures, name) for name in figures.__struct_fields__}
        times = {"hour": text_of(figures.hour * 3_600), "swept_at": text_of(figures.swept_at)}
        return cls(**{**values, **times})


class Hours(Struct, frozen=True, forbid_unknown_fields=True):
    """
    Completeness by hours.
    """

    hours: list[HourShown]


class Checked(Struct, frozen=True, forbid_unknown_fields=True):
    """
    How a check ended.
    """

    target: str
    ok: bool
    at: str | None
    stages: list[Stage]


class TokenListed(Struct, frozen=True, forbid_unknown_fields=True):
    """
    An API token without its value.
    """

    id: int
    name: str
    role: str
    created_by: str
    created_at: str | None
    expires_at: str | None
    used_at: str | None


class NewSecret(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A token that is shown this once.
    """

    token: str
    note: str


class PasswordSet(Struct, frozen=True, forbid_unknown_fields=True):
    """
    Whose password was set.
    """

    user: str


class Revoked(Struct, frozen=True, forbid_unknown_fields=True):
    """
    The API token that was ended.
    """

    revoked: int


class DeletedConnector(Struct, frozen=True, forbid_unknown_fields=True):
    """
    The connector that is gone.
    """

    deleted: str


class DeletedSink(Struct, frozen=True, forbid_unknown_fields=True):
    """
    The sink that is gone.
    """

    deleted: str
    backlog: int
    """Entries that waited for it or were owed to it, and are not sent."""
