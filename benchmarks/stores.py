"""
A store with ten million events, within minutes.

A day of events goes through the store's own ``insert``; the days before it are copies with ids and times of their own,
made inside DuckDB, several days in one statement: what is larger than a group of rows goes straight to the file, and
memory stays within the store's bound. The oldest day is written first, so rows lie about as they came. Text repeats
from day to day, which compresses better than life does.

Where the environment names a folder as ``BENCH_STORES``, stores are made there once and used again by later runs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from benchmarks.records import Requests
from onelogin_connector.event import Entry, Kind, Way, read
from onelogin_connector.onelogin import event_types
from onelogin_connector.sources.body import records
from onelogin_connector.store import Store

CHECKOUT = Path(__file__).parents[1]
EVENTS_A_DAY = 50_000
DAYS_AT_ONCE = 10  # half a million rows, four groups
BATCH = 1_000

COPY = """
SELECT * REPLACE (
    uuid() AS entry_key,
    uuid()::VARCHAR AS uuid,
    event_time - to_days({day}) AS event_time,
    received_time - to_days({day}) AS received_time
)
FROM a_day
"""


@contextmanager
def filled(events: int) -> Iterator[Path]:
    """
    Give the file of a store with so many events, a multiple of 50,000.
    """
    kept = os.environ.get("BENCH_STORES")
    if kept:
        path = Path(kept, f"rows-{events}", "store.duckdb")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_name("half.duckdb")  # a run that is cut off leaves no store that looks whole
            half.unlink(missing_ok=True)
            fill(half, events)
            half.rename(path)
        yield path
    else:
        with TemporaryDirectory(dir=CHECKOUT, prefix=".bench-") as folder:
            path = Path(folder, "store.duckdb")
            fill(path, events)
            yield path


def fill(path: Path, events: int) -> None:
    """
    Make a store of so many events, the newest of now.
    """
    store = Store.open(path, names=event_types.name)
    try:
        _insert_a_day(store)
        writer = store._database.writer  # noqa: SLF001 - copies, which no way in makes
        writer.execute("CREATE TABLE a_day AS FROM events")
        writer.execute("TRUNCATE events")
        days = range(events // EVENTS_A_DAY - 1, -1, -1)
        for start in range(0, len(days), DAYS_AT_ONCE):
            parts = " UNION ALL ".join(COPY.format(day=day) for day in days[start : start + DAYS_AT_ONCE])
            writer.execute(f"INSERT INTO events {parts}")
        writer.execute("DROP TABLE a_day")
        writer.execute("CHECKPOINT")
        found = writer.execute("SELECT count(*), approx_count_distinct(entry_key) FROM events").fetchone()
        assert found is not None
        assert found[0] == events
        assert found[1] > 0.9 * events, "copies have no keys of their own"
    finally:
        store.close()


def _insert_a_day(store: Store) -> None:
    requests = Requests(100)
    end = int(time())
    entries: list[Entry] = []
    for start in range(0, EVENTS_A_DAY, requests.records):
        second = end - 86_400 + 86_400 * start // EVENTS_A_DAY
        for raw in records(requests.body(second)):
            assert isinstance(raw, bytes)
            entries.append(_entry(raw, len(entries) + 1, second))
    for start in range(0, EVENTS_A_DAY, BATCH):
        store.insert(entries[start : start + BATCH], "epoch")


def _entry(raw: bytes, offset: int, second: int) -> Entry:
    event = read(raw, connector="default", way=Way.WEBHOOK, received_us=second * 1_000_000)
    return Entry(
        offset=offset,
        kind=Kind.ENTRY,
        key=bytes.fromhex(event.native.replace("-", "")),
        of=b"",
        connector=event.connector,
        account=event.account,
        channel=event.channel,
        way=event.way,
        native=event.native,
        also=event.also,
        time_us=event.time_us,
        received_us=event.received_us,
        flags=event.flags,
        raw=raw,
    )
