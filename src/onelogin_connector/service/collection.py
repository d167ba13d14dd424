"""
What is told of how collection stands: the rows, as pages show them and programs get them.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from onelogin_connector.service import standing
from onelogin_connector.service.standing import Beat, Word


class SourceRow(Struct, frozen=True, kw_only=True):
    """
    One way in of a connector.
    """

    kind: Literal["webhook", "poll"]
    state: Word
    since: datetime | None
    """When it entered the state of the program behind the word."""
    error: str
    last_event: datetime | None
    last_poll: datetime | None = None
    """The last one that reached the end of its window."""
    next_run: datetime | None = None
    read_up_to: datetime | None = None
    """The watermark: everything that happened before is read."""
    lag_seconds: float | None = None
    events_hour: int | None
    """Events that happened in the last hour and came this way, alone or also the other way; None without a store."""
    events_day: int | None
    first: int
    """Events of which this way brought the first record, ever."""
    slots: tuple[int, ...]
    beats: list[Beat]


class ConnectorRow(Struct, frozen=True, kw_only=True):
    """
    One OneLogin account.
    """

    id: str
    name: str
    description: str
    origin: str
    """``file``, ``console`` or ``built-in``."""
    state: Word
    since: datetime | None
    error: str
    last_event: datetime | None
    last_received: datetime | None
    lag_seconds: float | None
    """How far behind the present everything is read; None without polls."""
    events_hour: int | None
    """Events that happened in the last hour and are held; None without a store."""
    events_day: int | None
    events_total: int
    rate: float | None
    """New events a second, over about the last minute."""
    duplicates: int
    twins: int
    dead_letters: int
    slots: tuple[int, ...]
    """Events by quarters of an hour, the running one last."""
    beats: list[Beat]
    sources: list[SourceRow]


class SinkRow(Struct, frozen=True, kw_only=True):
    """
    One destination.
    """

    name: str
    kind: str
    state: Word
    since: datetime | None
    error: str
    last_delivery: datetime | None
    """To ten seconds; None where none is known of the last day."""
    backlog: int
    """Entries that wait for it."""
    lag_seconds: float
    """Age of the oldest of them, by its arrival."""
    delivered_hour: int
    """To the quarter of an hour; what was delivered before a restart is counted too."""
    delivered_day: int
    delivered: int
    skipped: int
    owed: int
    dead_letters: int
    checkpoint: int
    rate: float | None
    slots: tuple[int, ...]
    beats: list[Beat]
    paused: bool


class Turn(Struct, frozen=True):
    """
    One change of state, and its cause.
    """

    at: datetime
    kind: str
    part: str
    name: str
    connector: str
    before: str
    state: str
    outcome: str
    description: str


class Collection(Struct, frozen=True, kw_only=True):
    """
    How collection stands.
    """

    at: datetime
    """When these figures were put together."""
    since: datetime
    """The program's start."""
    connectors: list[ConnectorRow]
    sinks: list[SinkRow]
    last_offset: int
    """The journal's end, which every sink's checkpoint moves towards."""
    turns: list[Turn]
    """The newest changes of state."""
    meanings: dict[Word, str] = field(default_factory=lambda: dict(standing.MEANINGS))
