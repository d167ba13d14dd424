"""
A journal in memory: the twin of the durable one, for tests of whatever stands on a journal.
"""

import asyncio
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from time import time
from typing import Any

from msgspec import structs

from onelogin_connector.event import Entry, Event, Offset
from onelogin_connector.identity import keys_of
from onelogin_connector.journal.base import (
    Checkpoint,
    ConnectorCounts,
    DeadLetter,
    LetterHead,
    NewDeadLetter,
    Receipt,
)
from onelogin_connector.journal.intake import Intake
from onelogin_connector.journal.records import Record


class MemoryTables:
    """
    The tables of a journal as plain dictionaries.
    """

    def __init__(self) -> None:
        self.scopes: dict[int, str] = {}
        self.counts: dict[str, ConnectorCounts] = {}
        self.natives: dict[bytes, bytes] = {}
        self.groups: dict[bytes, list[bytes]] = defaultdict(list)
        self.log: list[Entry] = []
        self.letters: dict[int, DeadLetter] = {}
        self.touched: set[int] = set()

    def native(self, key: bytes) -> bytes | None:
        """
        See ``Tables``.
        """
        return self.natives.get(key)

    def set_native(self, key: bytes, value: bytes) -> None:
        """
        See ``Tables``.
        """
        self.natives[key] = value

    def seek(self, group: bytes, prefix: bytes) -> bytes | None:
        """
        See ``Slots``.
        """
        values = self.groups.get(group, [])
        place = bisect_left(values, prefix)
        return values[place] if place < len(values) else None

    def add(self, group: bytes, value: bytes) -> None:
        """
        See ``Slots``.
        """
        insort(self.groups[group], value)

    def remove(self, group: bytes, value: bytes) -> None:
        """
        See ``Slots``.
        """
        self.groups[group].remove(value)

    def next_offset(self) -> int:
        """
        See ``Tables``.
        """
        return len(self.log) + 1

    def write(self, entry: Entry) -> None:
        """
        See ``Tables``.
        """
        self.log.append(entry)

    def entry(self, offset: int) -> Entry | None:
        """
        See ``Tables``.
        """
        return self.log[offset - 1] if 0 < offset <= len(self.log) else None

    def touch(self, hour: int) -> None:
        """
        See ``Tables``.
        """
        self.touched.add(hour)

    def bury(self, letter: NewDeadLetter) -> None:
        """
        See ``Tables``.
        """
        for known in self.letters.values():
            if (known.kind, known.sink, known.connector, known.offset, known.body) == (
                letter.kind,
                letter.sink,
                letter.connector,
                letter.offset,
                letter.body,
            ):
                self.letters[known.id] = structs.replace(known, count=known.count + 1)
                return
        number = max(self.letters, default=0) + 1
        self.letters[number] = DeadLetter(id=number, at=time(), **structs.asdict(letter))


class MemoryJournal:
    """
    A ``Journal`` that forgets everything with the process.
    """

    def __init__(self) -> None:
        self.epoch = "memory"
        self.tables = MemoryTables()
        self._intake = Intake(self.tables)
        self._checkpoints: dict[str, Checkpoint] = {}
        self._grown = asyncio.Event()

    @property
    def last_offset(self) -> Offset:
        """
        The newest record's offset.
        """
        return Offset(len(self.tables.log))

    async def turn(self) -> None:
        """
        See ``Journal``.
        """

    async def append(
        self, events: Sequence[Event], dead: NewDeadLetter | None = None, *, accept_duplicates: bool = False
    ) -> Receipt:
        """
        See ``Journal``.
        """
        placed = [self._intake.locate(Record(event, keys_of(event))) for event in events]
        receipt = self._intake.admit(placed, dead)
        self._grown.set()
        self._grown = asyncio.Event()
        return receipt

    async def bury(self, letter: NewDeadLetter) -> None:
        """
        See ``Journal``.
        """
        self.tables.bury(letter)

    def read(self, after: Offset, *, records: int = 1_000, size_bytes: int = 4 << 20) -> list[Entry]:
        """
        See ``Journal``.
        """
        taken: list[Entry] = []
        size = 0
        for entry in self.tables.log[after : after + records]:
            size += len(entry.raw)
            if taken and size > size_bytes:
                break
            taken.append(entry)
        return taken

    async def wait(self, after: Offset, timeout_seconds: float) -> bool:
        """
        See ``Journal``.
        """
        if self.last_offset <= after:
            try:
                await asyncio.wait_for(self._grown.wait(), timeout_seconds)
            except TimeoutError:
                return False
        return self.last_offset > after

    def checkpoint(self, sink: str) -> Checkpoint:
        """
        See ``Journal``.
        """
        return structs.replace(self._checkpoints.get(sink, Checkpoint()))

    async def advance(self, sink: str, checkpoint: Checkpoint, dead: Sequence[NewDeadLetter] = ()) -> None:
        """
        See ``Journal``.
        """
        self._checkpoints[sink] = structs.replace(checkpoint)
        for letter in dead:
            self.tables.bury(letter)

    def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """
        See ``Journal``.
        """
        return [letter for number, letter in sorted(self.tables.letters.items()) if number > after][:limit]

    def letter_heads(self, *, after: int = 0, limit: int = 100) -> list[LetterHead]:
        """
        See ``Journal``.
        """
        return [each.head for each in self.dead_letters(after=after, limit=limit)]

    def dead_letter(self, id: int) -> DeadLetter | None:
        """
        See ``Journal``.
        """
        return self.tables.letters.get(id)

    async def discard(self, ids: Sequence[int]) -> int:
        """
        See ``Journal``.
        """
        return sum(self.tables.letters.pop(number, None) is not None for number in ids)

    def counts(self) -> Mapping[str, ConnectorCounts]:
        """
        See ``Journal``.
        """
        return self.tables.counts

    def stats(self) -> dict[str, Any]:
        """
        See ``Journal``.
        """
        log = self.tables.log
        return {
            "entries": len(log),
            "first_offset": log[0].offset if log else 0,
            "last_offset": len(log),
            "bytes": sum(len(entry.raw) for entry in log),
            "free_bytes": 1 << 40,
            "dead_letters": len(self.tables.letters),
            "sync_seconds": 0.0,
        }

    async def prune(self, up_to: Offset) -> int:
        """
        Keep everything: memory is pruned with the process.
        """
        return 0

    async def prune_keys(self, up_to: Offset) -> int:
        """
        Keep everything: memory is pruned with the process.
        """
        return 0

    async def close(self) -> None:
        """
        Do nothing.
        """
