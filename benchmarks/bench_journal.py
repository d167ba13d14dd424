"""
The journal alone: durable, deduplicated events per second, beside the disk under it.

So many requests are on their way at once, as many connections would have them. Measured twice: with events that
were read before, and with everything that a request's body goes through before it is durable. The baseline writes
and syncs the same bytes in as many pieces as the journal made commits, so the ratio is what identity, two tables
of keys and transactions leave of the bare disk. The worst case has event times all over a week, so that no two
keys of a commit stand together, above a journal that already holds a week's keys.
"""

import asyncio
import gc
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from time import perf_counter, time
from typing import Any

from msgspec import Struct, field

from benchmarks.bench_fdatasync import write_synced
from benchmarks.records import Requests
from benchmarks.row import Row, percentile
from onelogin_connector.event import Event, Way
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.sources.body import records
from onelogin_connector.sources.reading import read_all

SHAPES = ((10, 64), (100, 8))  # events in a request, requests at once
EVENTS_A_SECOND = 10_000  # of the story; were it all of one second, keys would lie further apart than they do
A_WEEK_SECONDS = 7 * 86_400


class Run(Struct):
    """
    What one run took.
    """

    events: int = 0
    seconds: float = 0.0
    commits: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """
        Events per second.
        """
        return self.events / self.seconds


def run(quick: bool) -> list[Row]:
    """
    Measure both shapes, and the worst case.
    """
    times = 1 if quick else 3
    events = 10_000 if quick else 60_000
    rows: list[Row] = []
    for size, at_once in SHAPES:
        rows += _shape(size, at_once, events, times)
    held = 50_000 if quick else 1_000_000
    worst = asyncio.run(_worst(events, held))
    name = f"journal, times all over a week, {held:,} keys held, 10 per request × 64"
    return [*rows, Row.of(name, [worst.per_second], "events/s"), *_latencies(name, [worst])]


def _shape(size: int, at_once: int, events: int, times: int) -> list[Row]:
    requests = Requests(size)
    rows = []
    for name, before in (("events read before", True), ("from the body on", False)):
        title = f"journal, {name}, {size} per request × {at_once}"
        runs = []
        for _ in range(times):
            bodies = _bodies(requests, events)
            runs.append(asyncio.run(_appended(bodies, at_once, read_before=before)))
        rates = [done.per_second for done in runs]
        commits = runs[-1].commits
        grouped, single = (_synced(requests.body(), events, pieces) for pieces in (commits, events // size))
        goal = "≥ 0.4" if before else ""
        rows += [
            Row.of(title, rates, "events/s", baseline="fdatasync per commit", against=grouped, goal=goal),
            Row.of("the same", rates, "events/s", baseline="fdatasync per request", against=single),
            *_latencies(title, runs),
        ]
    return rows


def _bodies(requests: Requests, events: int) -> list[bytes]:
    """
    Make bodies whose events tell of one second after the other, about as fast as they will be taken in.
    """
    since = int(time()) - events // EVENTS_A_SECOND
    size = requests.records
    return [requests.body(since + place * size // EVENTS_A_SECOND) for place in range(events // size)]


def _latencies(name: str, runs: list[Run]) -> list[Row]:
    return [
        Row.of(
            f"{name}: p{share:.0%}"[:-1], [1_000 * percentile(done.latencies, share) for done in runs], "ms"
        )
        for share in (0.5, 0.99)
    ]


async def _appended(bodies: list[bytes], at_once: int, *, read_before: bool) -> Run:
    async with _journal() as journal:
        if read_before:
            ready = [_read(body) for body in bodies]
            return await _timed(journal, iter(ready), at_once, journal.append)
        return await _timed(journal, iter(bodies), at_once, lambda body: journal.append(_read(body)))


async def _worst(events: int, held: int) -> Run:
    chance = Random(1)
    newest = int(time())
    fill, single = Requests(100, series=2), Requests(1)

    def second() -> int:
        return newest - chance.randrange(A_WEEK_SECONDS)

    async with _journal() as journal:
        for _ in range(held // 1_000):
            await journal.append([event for _ in range(10) for event in _read(fill.body(second()))])
        todo = [
            [event for _ in range(10) for event in _read(single.body(second()))] for _ in range(events // 10)
        ]
        return await _timed(journal, iter(todo), 64, journal.append)


@asynccontextmanager
async def _journal() -> AsyncIterator[LmdbJournal]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        journal = LmdbJournal(Path(folder, "journal"))
        try:
            yield journal
        finally:
            await journal.close()


async def _timed(
    journal: LmdbJournal, todo: Iterator[Any], at_once: int, append: Callable[[Any], Coroutine[Any, Any, Any]]
) -> Run:
    done = Run()
    commits, held = sum(journal.sync_times[1]), journal.last_offset

    async def lane() -> None:
        for one in todo:
            began = perf_counter()
            await append(one)
            done.latencies.append(perf_counter() - began)

    gc.collect()
    gc.freeze()  # what was prepared is no garbage to search, and would be searched again and again
    start = perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    done.seconds = perf_counter() - start
    gc.unfreeze()
    done.events = journal.last_offset - held
    done.commits = sum(journal.sync_times[1]) - commits
    return done


def _read(body: bytes) -> list[Event]:
    received_us = int(time() * 1_000_000)
    reading = read_all(
        records(body), connector="bench", way=Way.WEBHOOK, received_us=received_us, body_hash=lambda: b""
    )
    return reading.events


def _synced(body: bytes, events: int, pieces: int) -> float:
    """
    Write and sync as many bytes in so many pieces; returns events per second.
    """
    size_bytes = len(body) * events // body.count(b'"uuid"')
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        return events / write_synced(
            Path(folder, "bare"), os.urandom(size_bytes // pieces), pieces, filled=False
        )
