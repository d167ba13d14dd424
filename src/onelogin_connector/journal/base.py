"""
What a journal promises, whatever holds it.

The contract, by outcome (``tests/contract/test_journal.py`` runs it against every implementation):

- ``append`` returns only after its records are on stable storage, all of them; when it raises, none of
  them is kept. After a crash the journal is as if the last call had, or had not, happened.
- A record is kept once: one whose key is known is a duplicate, one that is the same event from the other
  channel is a twin (``identity`` and ``matching`` say what is the same).
- Offsets rise by one from 1 within an epoch. Entries, twins and changes each have one.
- A checkpoint never passes an entry on its own; it moves only by ``advance``, together with the dead
  letters that explain what was not delivered.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from onelogin_connector.event import Entry, Event, Offset


class Receipt(Struct, frozen=True):
    """
    What became of the records of one ``append``.
    """

    entries: int = 0
    twins: int = 0
    duplicates: int = 0
    changed: int = 0
    """Known ids with other content; also counted as duplicates."""
    dead: int = 0
    """Bad records of the request that are now one dead letter."""

    @property
    def kept(self) -> int:
        """
        Records that are now held, or were before.
        """
        return self.entries + self.twins + self.duplicates


class LetterHead(Struct, frozen=True):
    """
    What a list says of a dead letter: everything but its bytes and the reasons of single records.
    """

    id: int
    at: float
    """Unix seconds of its first arrival."""
    connector: str
    sink: str
    kind: str
    reason: str
    records: int
    count: int
    size_bytes: int
    """Of its bytes."""


class DeadLetter(Struct, frozen=True):
    """
    Something that was not accepted, with its bytes and the reason.
    """

    id: int
    at: float
    """Unix seconds of its first arrival."""
    connector: str
    sink: str
    """The sink that refused it; empty when it never became an entry."""
    kind: str
    """``request`` (no JSON, best effort), ``record`` (bad records of an acknowledged request) or ``delivery``."""
    reason: str
    positions: dict[int, str] = field(default_factory=dict)
    """Position in the request → reason, the first hundred."""
    records: int = 1
    """How many records it stands for."""
    count: int = 1
    """How often the same bytes came."""
    offset: int = 0
    """For ``delivery``: the entry's offset."""
    body: bytes = b""
    """For ``delivery`` the entry's raw bytes, else the whole request body as received (inflated)."""

    @property
    def head(self) -> LetterHead:
        """
        What a list says of it.
        """
        size = len(self.body)
        return LetterHead(
            self.id,
            self.at,
            self.connector,
            self.sink,
            self.kind,
            self.reason,
            self.records,
            self.count,
            size,
        )


class NewDeadLetter(Struct, frozen=True):
    """
    A dead letter on its way in; the journal gives it its id, or counts a repeat of the same bytes.
    """

    connector: str
    kind: str
    reason: str
    body: bytes
    sink: str = ""
    positions: dict[int, str] = field(default_factory=dict)
    records: int = 1
    offset: int = 0


class Checkpoint(Struct):
    """
    How far a sink has come.
    """

    offset: int = 0
    """Everything up to here is delivered, a dead letter, skipped by name, or owed."""
    delivered: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Setting that skips → entries."""
    dead: int = 0
    owed: list[tuple[int, int]] = field(default_factory=list)
    """Ranges (after, up to) given up when the sink was detached, to be refilled from the store."""


class ConnectorCounts(Struct):
    """
    What was counted of one connector since the journal's start.
    """

    account: int | None = None
    """The OneLogin account it is bound to."""
    events: int = 0
    entries: dict[str, int] = field(default_factory=dict)
    """Channel → entries."""
    twins: int = 0
    duplicates: int = 0
    changed: int = 0
    foreign: int = 0
    unverified: int = 0
    dead: int = 0
    last_event_us: int = 0
    last_received_us: int = 0
    api_records: int = 0
    """Records of the API channel whose fraction makes ``floor`` and ``round`` differ."""
    match_floor: int = 0
    """How many of these met their twin under ``floor``."""
    match_round: int = 0
    contradictions: dict[str, int] = field(default_factory=dict)
    """Field → pairs that it kept apart."""


class Held(Struct, frozen=True):
    """
    One entry as the store holds it, to bring pruned keys back.
    """

    key: bytes
    connector: str
    account: int | None
    records: list[tuple[str, bytes]]
    """(native id, raw bytes) of the entry and, where known, of its twin."""


Recall = Callable[[int], Awaitable[list[Held] | None]]
"""Hours since 1970 → the entries of that hour, or None when they are not held any more."""


class Keeper(Protocol):
    """
    What keeps events durably: all that a source needs.
    """

    async def turn(self) -> None:
        """
        Return at a good moment to prepare records for ``append``, after milliseconds at most.

        Beside a commit that is being prepared itself, both would only take longer.
        """
        ...

    async def append(
        self, events: Sequence[Event], dead: NewDeadLetter | None = None, *, accept_duplicates: bool = False
    ) -> Receipt:
        """
        Keep the events of one request durably, all or none.

        Raises:
            JournalFull: The disk's reserve is reached.
            Unavailable: The write failed; nothing was kept.
            HourPruned: A backfill or import reaches into hours whose keys are gone, no store can bring
                them back, and ``accept_duplicates`` is not set.
        """
        ...

    async def bury(self, letter: NewDeadLetter) -> None:
        """Keep a dead letter durably (``delivery``), or best effort in a ring (``request``)."""
        ...


class Journal(Keeper, Protocol):
    """
    The durable, ordered log of entries, with the checkpoints of those who read it.
    """

    @property
    def epoch(self) -> str:
        """Random name of this log; another one means that offsets start anew."""
        ...

    def read(self, after: Offset, *, records: int = 1_000, size_bytes: int = 4 << 20) -> list[Entry]:
        """Return records after an offset, in order; at least one if there is any, within the limits."""
        ...

    async def wait(self, after: Offset, timeout_seconds: float) -> bool:
        """Return True as soon as a record after the offset is there, False after the timeout."""
        ...

    def checkpoint(self, sink: str) -> Checkpoint:
        """Return how far a sink has come (a copy)."""
        ...

    async def advance(self, sink: str, checkpoint: Checkpoint, dead: Sequence[NewDeadLetter] = ()) -> None:
        """Move a checkpoint together with its dead letters. Durable at once only if there are any."""
        ...

    def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Return dead letters in the order of their ids."""
        ...

    def letter_heads(self, *, after: int = 0, limit: int = 100) -> list[LetterHead]:
        """Return the same without bytes, which are not read either: a page of letters may hold gigabytes."""
        ...

    def dead_letter(self, id: int) -> DeadLetter | None:
        """Return one dead letter."""
        ...

    async def discard(self, ids: Sequence[int]) -> int:
        """Remove dead letters; returns how many there were."""
        ...

    def counts(self) -> Mapping[str, ConnectorCounts]:
        """Return what was counted, per connector."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return ``entries, first_offset, last_offset, bytes, free_bytes, dead_letters, sync_seconds``."""
        ...

    async def prune(self, up_to: Offset) -> int:
        """Remove what lies at or below an offset and is older than the time it is kept; returns records."""
        ...

    async def prune_keys(self, up_to: Offset) -> int:
        """Remove the keys of hours that got nothing for the retention time and lie below an offset."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then close."""
        ...
