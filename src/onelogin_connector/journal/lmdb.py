"""
The embedded journal, on LMDB.

Rules, each measured or met before:

- never ``writemap``: a full disk would be a SIGBUS instead of an error;
- only the writer thread writes, and only it grows the map, behind a gate that lets reads drain;
- a read transaction lasts one call, copies what it returns, and never spans an ``await``: a pinned reader
  would keep every page that was freed since;
- what a dead process left in the reader table is cleared at start and every minute;
- intake stops at the reserve, so that checkpoints and pruning always have pages;
- not on a network file system, and opened after a fork, never before.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from time import time
from typing import Any

from msgspec import structs

from onelogin_connector.errors import JournalFull
from onelogin_connector.event import Entry, Event, Offset
from onelogin_connector.identity import keys_of
from onelogin_connector.journal import jobs
from onelogin_connector.journal.base import (
    Checkpoint,
    ConnectorCounts,
    DeadLetter,
    LetterHead,
    NewDeadLetter,
    Recall,
    Receipt,
)
from onelogin_connector.journal.hours import HOUR_SECONDS, Keyring, hours_of, judged
from onelogin_connector.journal.opening import open_database
from onelogin_connector.journal.records import Record
from onelogin_connector.journal.space import Space, free_bytes
from onelogin_connector.journal.tables import Block, LmdbTables, eight
from onelogin_connector.journal.writer import Job, Writer

FIRST_MAP_BYTES = 64 << 20
A_DAY_SECONDS = 86_400


class LmdbJournal:
    """
    A ``Journal`` in a folder of its own.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        path: Path,
        *,
        time_rules: Mapping[str, str] | None = None,
        recall: Recall | None = None,
        reserve_bytes: int | None = None,
        key_retention_days: float = 7,
        keep_delivered_hours: float = 24,
        clock: Callable[[], float] = time,
        free_space: Callable[[Path], tuple[int, int]] = free_bytes,
        map_bytes: int = FIRST_MAP_BYTES,
        forget: Collection[str] = (),
        press: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """
        Open the journal, making it if it is not there.

        Args:
            path: Folder of the database files.
            time_rules: Connector → ``floor`` or ``round``.
            recall: Brings the entries of an hour back from the store.
            reserve_bytes: Free space below which intake stops; by default 1 GiB or 2 % of the disk,
                whichever is more.
            key_retention_days: How long the keys of an hour are kept after the last addition to it.
            keep_delivered_hours: How long records are kept after every sink has them.
            forget: Sinks that are gone; what was kept of them goes before anything is read.
            press: Called in the writer's thread when senders begin to press, and when they no longer do.
        """
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.recall = recall
        self.time_rules = dict(time_rules or {})
        self.space = Space(path, reserve_bytes=reserve_bytes, look=free_space)
        self._key_retention_seconds = key_retention_days * A_DAY_SECONDS
        self._keep_seconds = keep_delivered_hours * HOUR_SECONDS
        self._clock = clock
        self._recalls: dict[int, asyncio.Task[bool]] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._env, self._dbs, self._mirror = open_database(path, map_bytes, forget)
        if not self._mirror.epoch:
            self._mirror.epoch = token_hex(16)
            with self._env.begin(write=True) as txn:
                txn.put(b"epoch", self._mirror.epoch.encode(), db=self._dbs.meta)
        self._writer = Writer(
            self._env, self._dbs, self._mirror, clock=clock, committed=self._wake, press=press
        )
        self._writer.start()

    @property
    def epoch(self) -> str:
        """
        See ``Journal``.
        """
        return self._mirror.epoch

    @property
    def last_offset(self) -> Offset:
        """
        The newest record's offset.
        """
        return Offset(self._mirror.last_offset)

    async def turn(self) -> None:
        """
        See ``Journal``.
        """
        await self._writer.turn()

    async def append(
        self, events: Sequence[Event], dead: NewDeadLetter | None = None, *, accept_duplicates: bool = False
    ) -> Receipt:
        """
        See ``Journal``.
        """
        self.space.check()
        rules = self.time_rules
        records = [
            Record(event, keys_of(event, rounds=rules.get(event.connector) == "round")) for event in events
        ]
        missing = await self._missing_hours(records)
        if missing:
            records = [judged(record, missing, accept_duplicates=accept_duplicates) for record in records]
        receipt: Receipt = await self._do(jobs.admission(records, dead))
        return receipt

    async def bury(self, letter: NewDeadLetter) -> None:
        """
        See ``Journal``.
        """
        self.space.check()
        await self._do(Job(lambda tables: tables.bury(letter), size_bytes=len(letter.body)))

    def read(self, after: Offset, *, records: int = 1_000, size_bytes: int = 4 << 20) -> list[Entry]:
        """
        See ``Journal``.
        """
        taken: list[Entry] = []
        size = 0
        with self._writer.gate, self._env.begin() as txn, txn.cursor(self._dbs.log) as cursor:
            found = cursor.set_range(eight(after + 1))
            while found and len(taken) < records and size < size_bytes:
                for entry in Block.at_cursor(cursor).entries():
                    if entry.offset <= after:
                        continue
                    size += len(entry.raw)
                    if len(taken) == records or (taken and size > size_bytes):
                        return taken
                    taken.append(entry)
                found = cursor.next()
        return taken

    async def wait(self, after: Offset, timeout_seconds: float) -> bool:
        """
        See ``Journal``.
        """
        loop = asyncio.get_running_loop()
        signal: asyncio.Future[None] = loop.create_future()
        self._waiting.add(signal)
        try:
            if self._mirror.last_offset <= after:
                await asyncio.wait_for(signal, timeout_seconds)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(signal)
        return self._mirror.last_offset > after

    def checkpoint(self, sink: str) -> Checkpoint:
        """
        See ``Journal``.
        """
        return structs.replace(self._mirror.checkpoints.get(sink, Checkpoint()))

    async def advance(
        self, sink: str, checkpoint: Checkpoint, dead: Sequence[NewDeadLetter] = (), *, at_once: bool = False
    ) -> None:
        """
        See ``Journal``; ``at_once`` makes it durable even without dead letters.
        """
        if not dead and not at_once:
            self._mirror.checkpoints[sink] = structs.replace(checkpoint)
            self._writer.dirty_checkpoints.add(sink)
            return

        def run(tables: LmdbTables) -> None:
            for letter in dead:
                tables.bury(letter)
            tables.set_checkpoints({sink: checkpoint})

        self._writer.dirty_checkpoints.discard(sink)  # else the same group would write the one before over it
        await self._do(Job(run))
        self._mirror.checkpoints[sink] = structs.replace(checkpoint)

    async def forget(self, sink: str) -> None:
        """
        Remove the checkpoint of a sink that is gone, durably; its dead letters stay.
        """
        self._writer.dirty_checkpoints.discard(sink)  # as above
        await self._do(Job(lambda tables: tables.forget_checkpoint(sink)))
        self._mirror.checkpoints.pop(sink, None)

    def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """
        See ``Journal``.
        """
        with self._writer.gate, self._env.begin() as txn:
            return self._dbs.letters.read(txn, after=after, limit=limit)

    def letter_heads(self, *, after: int = 0, limit: int = 100) -> list[LetterHead]:
        """
        See ``Journal``.
        """
        with self._writer.gate, self._env.begin(buffers=True) as txn:
            return self._dbs.letters.read_heads(txn, after=after, limit=limit)

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
        result: int = await self._do(Job(lambda tables: tables.dbs.letters.discard(tables.txn, ids)))
        return result

    def counts(self) -> Mapping[str, ConnectorCounts]:
        """
        See ``Journal``.
        """
        return self._mirror.counts

    def stats(self) -> dict[str, Any]:
        """
        See ``Journal``.
        """
        with self._writer.gate, self._env.begin() as txn:
            with txn.cursor(self._dbs.log) as cursor:
                first = Block.at_cursor(cursor).first if cursor.first() else 0
            letters = txn.stat(self._dbs.letters.table)["entries"]
            info, page = self._env.info(), self._env.stat()["psize"]
        return {
            "entries": self._mirror.last_offset - first + 1 if first else 0,
            "first_offset": first,
            "last_offset": self._mirror.last_offset,
            "bytes": (info["last_pgno"] + 1) * page,
            "free_bytes": self.space.free_bytes,
            "reserve_bytes": self.space.reserve_bytes,
            "dead_letters": letters,
            "sync_seconds": self._writer.sync_times.total_seconds,
        }

    @property
    def sync_times(self) -> tuple[tuple[float, ...], list[int], float]:
        """
        How long commits took: upper bounds in seconds, commits in each, and seconds in all.
        """
        times = self._writer.sync_times
        return times.bounds, list(times.buckets), times.total_seconds

    async def prune(self, up_to: Offset) -> int:
        """
        See ``Journal``.
        """
        before = self._clock() - self._keep_seconds
        removed: int = 0
        while True:
            blocks, records = await self._do(Job(lambda tables: jobs.prune_log(tables, up_to, before)))
            removed += records
            if blocks < jobs.PRUNE_CHUNK:
                return removed

    async def prune_keys(self, up_to: Offset) -> int:
        """
        See ``Journal``.
        """
        before = self._clock() - self._key_retention_seconds
        hours = [
            hour
            for hour, known in list(self._mirror.hours.items())
            if known.keyring != Keyring.PRUNED and known.touched_at < before and known.last_offset <= up_to
        ]
        removed = 0
        for hour in hours:
            await self._do(Job(lambda tables, hour=hour: jobs.retire(tables, hour, before)))  # type: ignore[misc]
            while chunk := await self._do(Job(lambda tables, hour=hour: jobs.prune_hour(tables, hour))):  # type: ignore[misc]
                removed += chunk
        return removed

    async def renew(self) -> None:
        """
        Begin a new epoch, because a sink has seen more than this journal holds: it was lost or restored.

        No hour's keys are trusted any more until the store has brought them back.
        """

        def run(tables: LmdbTables) -> None:
            tables.mirror.epoch = token_hex(16)
            tables.mirror.suspect = True
            tables.set_meta(b"epoch", tables.mirror.epoch.encode())
            tables.set_meta(b"suspect", b"1")
            for hour in tables.mirror.hours:
                tables.set_hour(hour, Keyring.PRUNED)

        await self._do(Job(run))

    def check_readers(self) -> int:
        """
        Clear reader slots that dead processes left; returns how many there were.
        """
        return int(self._env.reader_check())

    def writable(self) -> str:
        """
        Return why nothing can be taken in at the moment; empty when all is well.
        """
        try:
            self.space.check()
        except JournalFull as error:
            return str(error)
        return "" if self._writer.is_alive() else "The journal's writer has ended."

    async def backup(self, path: Path) -> None:
        """
        Write a consistent copy into a new folder, while everything goes on.
        """

        def copy() -> None:
            path.mkdir(mode=0o700, parents=True)
            with self._writer.gate:
                self._env.copy(str(path), compact=True)

        await asyncio.to_thread(copy)

    async def close(self) -> None:
        """
        See ``Journal``.
        """
        await asyncio.to_thread(self._writer.stop)
        self._env.close()

    async def _do(self, job: Job) -> Any:
        job.future = asyncio.get_running_loop().create_future()
        self._writer.submit(job)
        return await job.future

    def _wake(self) -> None:
        """
        Tell those who wait that there is more; called in the writer's thread.
        """
        for signal in list(self._waiting):
            try:
                signal.get_loop().call_soon_threadsafe(_resolve, signal)
            except RuntimeError:  # that loop is closed
                self._waiting.discard(signal)

    async def _missing_hours(self, records: Sequence[Record]) -> set[int]:
        """
        Bring back what keys can be brought back; returns the hours that stay incomplete.
        """
        missing: set[int] = set()
        for hour in sorted(hours_of(records)):
            if self._mirror.keyring(hour) is Keyring.WHOLE:
                continue
            task = self._recalls.get(hour)
            if task is None:
                task = self._recalls[hour] = asyncio.create_task(self._bring_back(hour))
                task.add_done_callback(lambda _, hour=hour: self._recalls.pop(hour, None))  # type: ignore[misc]
            if not await asyncio.shield(task):
                missing.add(hour)
        return missing

    async def _bring_back(self, hour: int) -> bool:
        held = None if self.recall is None else await self.recall(hour)
        if held is None:
            return False
        await self._do(Job(lambda tables: jobs.restore(tables, hour, held)))
        return True


def _resolve(signal: "asyncio.Future[None]") -> None:
    if not signal.done():
        signal.set_result(None)
