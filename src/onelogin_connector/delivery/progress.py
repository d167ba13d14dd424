"""
How far a sink has come: the one place that moves its checkpoint.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from onelogin_connector.batch import Batch
from onelogin_connector.delivery.outlet import Refusals
from onelogin_connector.event import Entry, Offset
from onelogin_connector.journal.base import Checkpoint, Journal, NewDeadLetter
from onelogin_connector.plural import counted


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of a batch that was sent.
    """

    up_to: Offset
    """Everything of the batch up to here is settled by it."""
    delivered: int = 0
    dead: tuple[NewDeadLetter, ...] = ()
    skipped: Counter[str] = field(default_factory=Counter)
    too_many: str = ""
    """Why the sink must be paused: too many refusals in a row."""


class Progress:
    """
    The checkpoint of one sink, and what is about to change it.
    """

    def __init__(self, name: str, journal: Journal, *, pause_after_refusals: int) -> None:
        self.name, self.journal = name, journal
        self.checkpoint: Checkpoint = journal.checkpoint(name)
        self.refused_in_a_row = 0
        self._pause_after = pause_after_refusals
        self._due: Outcome | None = None
        """Settled at the destination, but not yet in the checkpoint."""

    @property
    def offset(self) -> Offset:
        """
        The checkpoint's offset.
        """
        return Offset(self.checkpoint.offset)

    @property
    def owed(self) -> int:
        """
        Records in the ranges that were passed over unsent.
        """
        return sum(up_to - after for after, up_to in self.checkpoint.owed)

    def judge(self, batch: Batch, refused: Refusals) -> Outcome:
        """
        Turn refusals into dead letters, up to the one that must pause the sink.

        The records behind that one go again after the pause: better some of them twice than the whole
        journal into the dead letters.
        """
        dead: list[NewDeadLetter] = []
        up_to, delivered, too_many = batch.up_to, 0, ""
        for position, entry in enumerate(batch.entries):
            if position not in refused:
                delivered, self.refused_in_a_row = delivered + 1, 0
                continue
            self.refused_in_a_row += 1
            dead.append(self.letter(entry, refused[position]))
            if self.refused_in_a_row >= self._pause_after:
                too_many = f"It refused {counted(self.refused_in_a_row, 'record')} in a row, the last with: {refused[position]}"
                up_to = batch.head(position + 1).up_to
                break
        skipped = Counter(setting for offset, setting in batch.skipped if offset <= up_to)
        return Outcome(up_to, delivered, tuple(dead), skipped, too_many)

    def letter(self, entry: Entry, reason: str) -> NewDeadLetter:
        """
        Make the dead letter of a record that this sink refused.
        """
        return NewDeadLetter(
            connector=entry.connector,
            kind="delivery",
            reason=reason,
            body=entry.raw,
            sink=self.name,
            offset=entry.offset,
        )

    async def conclude(self, outcome: Outcome) -> None:
        """
        Move the checkpoint past a batch. If that fails, ``settle`` takes it up again.
        """
        self._due = outcome
        await self.settle()

    async def settle(self) -> None:
        """
        Finish what ``conclude`` began; until then nothing more may be sent.
        """
        outcome = self._due
        if outcome is not None:
            await self._save(self._counted(outcome, offset=outcome.up_to), outcome.dead)
            self._due = None

    async def owe(self, up_to: Offset) -> tuple[int, int]:
        """
        Pass over a range that cannot be sent now, and note that the sink is owed it. Returns that range.
        """
        after = self.checkpoint.offset
        ranges = list(self.checkpoint.owed)
        if ranges and ranges[-1][1] == after:
            after = ranges.pop()[0]
        await self._save(structs.replace(self.checkpoint, offset=up_to, owed=[*ranges, (after, up_to)]))
        return after, up_to

    async def pay(self, outcome: Outcome) -> None:
        """
        Take what was sent out of the first range that is owed.
        """
        (_, up_to), *others = self.checkpoint.owed
        rest = [(int(outcome.up_to), up_to)] if outcome.up_to < up_to else []
        await self._save(self._counted(outcome, owed=[*rest, *others]), outcome.dead)

    async def waive(self) -> int:
        """
        Give up what is owed; counted as skipped under ``waived``.
        """
        count = self.owed
        if count:
            skipped = Counter(self.checkpoint.skipped) + Counter(waived=count)
            await self._save(structs.replace(self.checkpoint, owed=[], skipped=dict(skipped)))
        return count

    def begin_at(self, position: int) -> None:
        """
        Believe a sink that keeps its own position.
        """
        self.checkpoint = structs.replace(self.checkpoint, offset=position)

    def _counted(self, outcome: Outcome, **changes: Any) -> Checkpoint:
        known = self.checkpoint
        return structs.replace(
            known,
            delivered=known.delivered + outcome.delivered,
            skipped=dict(outcome.skipped + Counter(known.skipped)),
            dead=known.dead + len(outcome.dead),
            **changes,
        )

    async def _save(self, checkpoint: Checkpoint, dead: Sequence[NewDeadLetter] = ()) -> None:
        await self.journal.advance(self.name, checkpoint, dead)
        self.checkpoint = checkpoint
