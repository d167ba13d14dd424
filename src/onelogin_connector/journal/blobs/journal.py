"""
The journal in a container of blobs.

It belongs to whoever holds the lease of the head; ``view`` opens one that only reads. Every change is committed at once. After a
call that raised, whatever was not committed is forgotten, and the next call reads the head anew.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from time import time
from typing import Any, TypeVar

from msgspec import msgpack, structs

from onelogin_connector.azure.blobs import Container
from onelogin_connector.errors import Busy, ConnectorError, Unavailable
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
from onelogin_connector.journal.blobs import letters
from onelogin_connector.journal.blobs.head import HEAD, LEAVES, TREES, Head, Hold, encoded, read
from onelogin_connector.journal.blobs.lease import Lease
from onelogin_connector.journal.blobs.tables import BlobTables, eight
from onelogin_connector.journal.blobs.tree import Leaves, Tree
from onelogin_connector.journal.blobs.written import Written
from onelogin_connector.journal.hours import Keyring, hours_of, judged
from onelogin_connector.journal.intake import Intake
from onelogin_connector.journal.records import Record

T = TypeVar("T")

A_DAY_SECONDS = 86_400
SWEEP_SECONDS = 6 * 3_600
"""How often blobs that nobody names are looked for: only a kill in the middle of a transaction leaves any."""
ORPHAN_SECONDS = 3_600
"""How old they must be: far older than any transaction that may still be under way."""

_entry = msgpack.Decoder(Entry).decode

Request = tuple[Sequence[Event], NewDeadLetter | None]


class BlobJournal:
    """
    A ``Journal`` in a container.
    """

    def __init__(
        self,
        container: Container,
        lease: Lease | None,
        *,
        leaves: Leaves | None = None,
        time_rules: Mapping[str, str] | None = None,
        key_retention_days: float = 7,
        clock: Callable[[], float] = time,
    ) -> None:
        """
        Open a journal that ``prepare`` has made sure is there; reads the head.

        Args:
            lease: Of the head; None opens a view, which refuses to write.
            leaves: What earlier openings have read already, to be shared.
            time_rules: Connector → ``floor`` or ``round``.
            key_retention_days: How long the keys of an hour are kept after the last addition to it.

        Raises:
            Unavailable, Unauthorized, ConfigError: It cannot be read.
        """
        self._container, self._lease = container, lease
        self._leaves = Leaves(self._fetched) if leaves is None else leaves
        self.time_rules = dict(time_rules or {})
        self._key_retention_seconds = key_retention_days * A_DAY_SECONDS
        self._clock = clock
        self._turn = asyncio.Lock()
        self._grown = asyncio.Event()
        self._head: Head | None = None
        self._trees: dict[str, Tree] = {}
        self._etag = ""
        self._load()

    @property
    def epoch(self) -> str:
        """
        See ``Journal``.
        """
        return self._now().epoch

    @property
    def last_offset(self) -> Offset:
        """
        The newest record's offset.
        """
        return Offset(self._now().last_offset)

    @property
    def backlog_bytes(self) -> int:
        """
        Bytes of the records that are held.
        """
        return sum(leaf.size_bytes for leaf in self._now().trees.get("log", []))

    async def turn(self) -> None:
        """
        See ``Keeper``: a moment is as good as any other.
        """

    async def append(
        self, events: Sequence[Event], dead: NewDeadLetter | None = None, *, accept_duplicates: bool = False
    ) -> Receipt:
        """
        See ``Journal``.
        """
        (receipt,) = await self.append_all([(events, dead)], accept_duplicates=accept_duplicates)
        return receipt

    async def append_all(
        self, requests: Sequence[Request], *, accept_duplicates: bool = False
    ) -> list[Receipt]:
        """
        Keep several requests by one commit; all or none of them.
        """

        def run(tables: BlobTables) -> list[Receipt]:
            intake = Intake(tables)
            receipts = []
            for events, dead in requests:
                records = self._records(tables.head, events, accept_duplicates=accept_duplicates)
                receipts.append(intake.admit([intake.locate(record) for record in records], dead))
            return receipts

        receipts = await self._transact(run)
        self._grown.set()
        self._grown = asyncio.Event()
        return receipts

    async def bury(self, letter: NewDeadLetter) -> None:
        """
        See ``Journal``.
        """
        await self._transact(lambda tables: tables.bury(letter))

    def read(self, after: Offset, *, records: int = 1_000, size_bytes: int = 4 << 20) -> list[Entry]:
        """
        See ``Journal``.
        """
        taken: list[Entry] = []
        size = 0
        self._now()
        for _, value in self._trees["log"].pairs(eight(after + 1)):
            entry = _entry(value)
            size += len(entry.raw)
            if len(taken) == records or (taken and size > size_bytes):
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
        return structs.replace(self._now().checkpoints.get(sink, Checkpoint()))

    async def advance(self, sink: str, checkpoint: Checkpoint, dead: Sequence[NewDeadLetter] = ()) -> None:
        """
        See ``Journal``; durable at once in any case.
        """

        def run(tables: BlobTables) -> None:
            tables.head.checkpoints[sink] = structs.replace(checkpoint)
            for letter in dead:
                tables.bury(letter)

        await self._transact(run)

    def hold(self, sink: str) -> Hold:
        """
        Return why a sink gets nothing at the moment.
        """
        return self._now().holds.get(sink, Hold())

    async def set_hold(self, sink: str, hold: Hold) -> None:
        """
        Say why a sink gets nothing for a while; nothing is written where nothing changes.
        """
        if hold != self.hold(sink):
            await self._transact(lambda tables: tables.head.holds.update({sink: hold}))

    def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """
        See ``Journal``.
        """
        self._now()
        found = letters.listed(self._trees["letters"], after=after, limit=limit)
        return [letters.whole(kept, self._fetched) for kept in found]

    def letter_heads(self, *, after: int = 0, limit: int = 100) -> list[LetterHead]:
        """
        See ``Journal``.
        """
        self._now()
        found = letters.listed(self._trees["letters"], after=after, limit=limit)
        return [structs.replace(kept.letter.head, size_bytes=kept.size_bytes) for kept in found]

    def dead_letter(self, id: int) -> DeadLetter | None:
        """
        See ``Journal``.
        """
        found = self.dead_letters(after=id - 1, limit=1)
        return found[0] if found and found[0].id == id else None

    async def discard(self, ids: Sequence[int]) -> int:
        """
        See ``Journal``.
        """
        return await self._transact(lambda tables: sum(tables.letters.discard(id) for id in ids))

    def counts(self) -> Mapping[str, ConnectorCounts]:
        """
        See ``Journal``.
        """
        return self._now().counts

    def stats(self) -> dict[str, Any]:
        """
        See ``Journal``; ``bytes`` are those of all leaves.
        """
        head = self._now()
        first = self._trees["log"].seek(b"")
        listed = [leaf for each in head.trees.values() for leaf in each]
        return {
            "entries": self._trees["log"].count(),
            "first_offset": int.from_bytes(first[0], "big") if first else 0,
            "last_offset": head.last_offset,
            "bytes": sum(leaf.size_bytes for leaf in listed),
            "free_bytes": 1 << 50,
            "dead_letters": self._trees["letters"].count(),
            "sync_seconds": 0.0,
        }

    async def prune(self, up_to: Offset) -> int:
        """
        See ``Journal``; what every sink has is kept no longer.
        """
        first = self._trees["log"].seek(b"") if self._now().trees.get("log") else None
        if first is None or first[0] > eight(up_to):
            return 0
        return await self._transact(lambda tables: tables.trees["log"].clear(b"", eight(up_to + 1)))

    async def prune_keys(self, up_to: Offset) -> int:
        """
        See ``Journal``; returns hours.
        """
        before = self._clock() - self._key_retention_seconds
        hours = [
            hour
            for hour, known in self._now().hours.items()
            if known.keyring != Keyring.PRUNED and known.touched_at < before and known.last_offset <= up_to
        ]

        def run(tables: BlobTables) -> int:
            head = tables.head
            for hour in hours:
                tables.forget_hour(hour)
                head.hours[hour].keyring = Keyring.PRUNED
            # what lies below every hour that is listed whole needs no line of its own
            whole = [hour for hour, known in head.hours.items() if known.keyring != Keyring.PRUNED]
            head.forgotten_before = max(head.forgotten_before, min([*whole, max(hours) + 1]))
            for hour in [each for each in hours if each < head.forgotten_before]:
                del head.hours[hour]
            return len(hours)

        return await self._transact(run) if hours else 0

    @property
    def is_untidy(self) -> bool:
        """
        Whether it is time to look for blobs that nobody names.
        """
        return self._clock() - self._now().swept_at >= SWEEP_SECONDS

    async def tidy(self) -> int:
        """
        Remove blobs that nobody names, a few times a day; returns how many there were.
        """
        if not self.is_untidy:
            return 0
        orphans = await asyncio.to_thread(self._orphans)

        def run(tables: BlobTables) -> int:
            tables.head.swept_at = self._clock()
            tables.head.garbage.extend(orphans)
            return len(orphans)

        return await self._transact(run)

    async def close(self) -> None:
        """Do nothing: what is to be kept is kept."""

    def _orphans(self) -> list[str]:
        head = self._now()
        named = {leaf.name for each in head.trees.values() for leaf in each} | set(head.garbage)
        named |= {kept.blob for kept in letters.listed(self._trees["letters"], after=0, limit=1 << 31)}
        before = self._clock() - ORPHAN_SECONDS
        return [
            blob.name
            for prefix in (LEAVES, letters.LETTERS)
            for blob in self._container.blobs(prefix, limit=100_000)
            if blob.name not in named and blob.changed_at < before
        ]

    def _records(self, head: Head, events: Sequence[Event], *, accept_duplicates: bool) -> list[Record]:
        rules = self.time_rules
        records = [
            Record(event, keys_of(event, rounds=rules.get(event.connector) == "round")) for event in events
        ]
        missing = {hour for hour in hours_of(records) if head.keyring(hour) is not Keyring.WHOLE}
        if not missing:
            return records
        return [judged(record, missing, accept_duplicates=accept_duplicates) for record in records]

    async def _transact(self, run: Callable[[BlobTables], T]) -> T:
        async with self._turn:
            return await asyncio.to_thread(self._committed, run)

    def _committed(self, run: Callable[[BlobTables], T]) -> T:
        """
        Change the head and what it names, whole or not at all.
        """
        lease = self._lease
        if lease is None:
            raise Busy("This is a view of the journal, which changes nothing.")
        head, token = self._now(), token_hex(8)
        written = Written(self._container, self._leaves, token)
        book = letters.Letters(
            self._trees, last=head.last_letter, now=self._clock(), write=written.document, token=token
        )
        tables = BlobTables(head, self._trees, book, now=self._clock())
        garbage = head.garbage
        self._head = None  # until the commit nothing in memory is to be believed
        result = run(tables)
        tables.settle()
        head.garbage = [*garbage, *book.garbage]
        for name in TREES:
            head.trees[name], replaced = self._trees[name].flush(written.leaf)
            head.garbage += replaced
        etag = self._container.replace(HEAD, encoded(head), etag=self._etag, lease=lease.proof)
        self._believe(head, etag)
        self._clear(head)
        return result

    def _clear(self, head: Head) -> None:
        """
        Remove what no longer counts. It is committed already, so a failure changes nothing; the next commit tries again.
        """
        with suppress(ConnectorError):
            while head.garbage:
                self._leaves.forget(head.garbage[-1])
                self._container.remove(head.garbage[-1])
                head.garbage.pop()

    def _now(self) -> Head:
        return self._head or self._load()

    def _load(self) -> Head:
        found = read(self._container)
        if found is None:
            raise Unavailable("There is no journal in this container yet.", action="Drain it once.")
        head, etag = found
        self._believe(head, etag)
        return head

    def _believe(self, head: Head, etag: str) -> None:
        self._trees = {name: Tree(head.trees.get(name, []), self._leaves) for name in TREES}
        self._head, self._etag = head, etag

    def _fetched(self, name: str) -> bytes | None:
        found = self._container.read(name)
        return found[1] if found else None
