"""
Cut journal records into batches by count, bytes and age.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from onelogin_connector.event import Entry, Kind, Offset

LONGEST_BATCH_SECONDS = 1.0

Skips = Callable[[Entry], str | None]
"""An entry → the name of the setting by which the sink is not to get it, or None."""


class Limits(Protocol):
    """
    Bounds of a batch, as ``sinks.base.Limits`` has them.
    """

    @property
    def records(self) -> int:
        """Most entries."""
        ...

    @property
    def size_bytes(self) -> int:
        """Most bytes of raw records, together."""
        ...

    @property
    def max_batch_seconds(self) -> float:
        """How long an entry may wait for company."""
        ...

    @property
    def gives_way(self) -> float:
        """How long to rest after a full batch while intake is pressed, in times of what the batch took."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """
    What is sent in one go, and what it settles.
    """

    entries: tuple[Entry, ...]
    """In order of offsets. Empty when all that was read is skipped."""
    up_to: Offset
    """Everything after the batch before and up to here is in it, or is skipped, or was not asked for."""
    skipped: tuple[tuple[Offset, str], ...] = ()
    """Entries that a setting keeps from the sink, with the setting's name."""
    full: bool = False
    """Whether it has reached a limit, so that waiting would not make it larger."""

    def head(self, count: int) -> "Batch":
        """
        Return the batch of the first entries, at least one; what follows them is left to the next.
        """
        if count >= len(self.entries):
            return self
        taken = self.entries[: max(count, 1)]
        up_to = Offset(taken[-1].offset)
        return Batch(taken, up_to, tuple(skip for skip in self.skipped if skip[0] <= up_to), full=True)

    def wait_seconds(self, limits: Limits, now: float) -> float:
        """
        Return how long its oldest entry may still wait for company; zero when it should go.
        """
        if self.full or not self.entries:
            return 0.0
        age = now - min(entry.received_us for entry in self.entries) / 1e6
        # a clock that was set back must not hold events longer than the limit
        return min(limits.max_batch_seconds, max(0.0, limits.max_batch_seconds - age))

    def rest_seconds(self, limits: Limits, *, took_seconds: float, grew: int) -> float:
        """
        Return how long to leave the machine to intake after this batch; zero when intake is not pressed.

        A journal that grows by more than a batch while that batch is sent outruns the sink in any case.
        Then the senders, who wait for an answer, go first, and the backlog is worked off behind them. A
        backlog alone is no reason to rest: after an outage the sink catches up at full speed beside
        ordinary traffic.

        Args:
            took_seconds: How long this batch took.
            grew: Records that came into the journal in that time.
        """
        if not self.full or grew <= len(self.entries):
            return 0.0
        # what took longer than that waited for something else, or the clock was set forward
        return limits.gives_way * min(max(took_seconds, 0.0), LONGEST_BATCH_SECONDS)


def cut(
    records: Iterable[Entry], limits: Limits, *, wants_twins: bool, skips: Skips | None = None
) -> Batch | None:
    """
    Return the first batch of some records; None when there are none.

    Args:
        records: Consecutive journal records, in order.
        limits: The batch holds as much as fits, but at least one entry, however large.
        wants_twins: Whether twins and changes are sent too.
        skips: Which entries the sink is not to get.
    """
    entries: list[Entry] = []
    skipped: list[tuple[Offset, str]] = []
    up_to, size, full = 0, 0, False
    for record in records:
        if record.kind == Kind.ENTRY or wants_twins:
            reason = skips(record) if skips else None
            if reason is None:
                size += len(record.raw)
                full = len(entries) >= limits.records or (bool(entries) and size > limits.size_bytes)
                if full:
                    break
                entries.append(record)
            else:
                skipped.append((Offset(record.offset), reason))
        up_to = record.offset
    if not up_to:
        return None
    full = full or len(entries) >= limits.records or size >= limits.size_bytes
    return Batch(tuple(entries), Offset(up_to), tuple(skipped), full)
