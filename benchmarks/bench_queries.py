"""
Six reference queries in KQL over the local store, beside hand-written SQL on the same table.

q1 is the documented query, the newest hundred events; q2 failed sign-ins by hour and address over a week; q3 a word
in the notes; q4 distinct users by day; q5 the last event of everybody; q6 failed sign-ins followed by a success
within ten minutes. The store is filled through its own ``insert`` with a day of events, which is then copied to as
many days before it as it takes: 50,000 events a day. Last, how intake fares while a query runs that never ends.
"""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import perf_counter, time

import httpx2
from duckdb import DuckDBPyConnection

from benchmarks.client import Plan, send
from benchmarks.program import CHECKOUT, running
from benchmarks.records import Requests
from benchmarks.row import Row, percentile
from onelogin_connector.event import Entry, Kind, Way, read
from onelogin_connector.onelogin import event_types
from onelogin_connector.sources.body import records
from onelogin_connector.store import Store

EVENTS_A_DAY = 50_000
BATCH = 1_000

QUERIES = {
    "q1 newest 100": (
        "OneLogin | sort by TimeGenerated desc | take 100",
        "SELECT * FROM events ORDER BY event_time DESC LIMIT 100",
    ),
    "q2 failures by hour and address, 7 d": (
        """
        OneLogin
        | where TimeGenerated > ago(7d) and EventTypeId == 6
        | summarize count() by bin(TimeGenerated, 1h), SrcIpAddr
        """,
        """
        SELECT date_trunc('hour', event_time), ipaddr, count(*) FROM events
        WHERE event_time > now()::TIMESTAMP - INTERVAL 7 DAY AND event_type_id = 6
        GROUP BY ALL
        """,
    ),
    "q3 a word in the notes": (
        'OneLogin | where Message has "password" | summarize count()',
        r"SELECT count(*) FROM events WHERE regexp_matches(notes, '(?i)\bpassword\b')",
    ),
    "q4 distinct users by day": (
        "OneLogin | summarize dcount(UserId) by bin(TimeGenerated, 1d)",
        "SELECT date_trunc('day', event_time), count(DISTINCT user_id) FROM events GROUP BY ALL",
    ),
    "q5 last event of everybody": (
        "OneLogin | summarize arg_max(TimeGenerated, *) by UserName",
        "SELECT user_name, max(event_time), arg_max(events, event_time) FROM events GROUP BY user_name",
    ),
    "q6 failures, then a success": (
        """
        let failures = OneLogin
        | where EventTypeId == 6
        | summarize Times = count(), Last = max(TimeGenerated) by UserName, bin(TimeGenerated, 10m)
        | where Times >= 3;
        failures
        | join kind=inner (OneLogin | where EventTypeId == 5 | project UserName, At = TimeGenerated) on UserName
        | where At between (Last .. (Last + 10m))
        | summarize count() by UserName
        """,
        """
        WITH failures AS (
            SELECT user_name, count(*) AS times, max(event_time) AS last FROM events
            WHERE event_type_id = 6
            GROUP BY user_name, time_bucket(INTERVAL 10 MINUTE, event_time)
            HAVING count(*) >= 3
        )
        SELECT user_name, count(*) FROM failures JOIN events USING (user_name)
        WHERE event_type_id = 5 AND event_time BETWEEN last AND last + INTERVAL 10 MINUTE
        GROUP BY user_name
        """,
    ),
}

RUNAWAY = """
OneLogin
| extend k = 1
| join kind=inner (OneLogin | extend k = 1) on k
| summarize dcount(strcat(UUID, UUID1))
"""

COPY = """
INSERT INTO events
SELECT * REPLACE (
    uuid() AS entry_key,
    uuid()::VARCHAR AS uuid,
    event_time - to_days(?) AS event_time
)
FROM a_day
"""


def run(quick: bool) -> list[Row]:
    """
    Measure the queries at one size, or two, and intake beside a runaway.
    """
    rows = []
    for events in (50_000,) if quick else (1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory(dir=CHECKOUT, prefix=".bench-") as folder:
            store = Store.open(Path(folder, "store.duckdb"), names=event_types.name)
            try:
                fill(store, events)
                rows += _queries(store, f"{events:,} events", 3 if quick else 5)
            finally:
                store.close()
    return rows + _beside_a_runaway(1.0 if quick else 20.0)


def _queries(store: Store, size: str, times: int) -> list[Row]:
    rows = []
    for name, (kql, sql) in QUERIES.items():
        cursor = store._database.cursor()  # noqa: SLF001 - the same connection that queries get

        def by_hand(sql: str = sql, cursor: DuckDBPyConnection = cursor) -> int:
            return len(cursor.execute(sql).fetchall())

        def by_kql(kql: str = kql) -> int:
            return len(store.query(kql, timeout_seconds=300).rows)

        found = by_kql()
        assert found == by_hand(), f"{name}: KQL finds {found} rows, and not what SQL finds"
        hand = _seconds(by_hand, times)
        rows.append(
            Row.of(
                f"{name}, {size}",
                [1_000 * one for one in _seconds(by_kql, times)],
                "ms",
                baseline="SQL by hand (less is better)",
                against=1_000 * percentile(hand, 0.5),
                goal="< 200" if name.startswith("q1") else "",
            )
        )
        cursor.close()
    return rows


def _seconds(call: Callable[[], int], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = perf_counter()
        call()
        taken.append(perf_counter() - began)
    return taken


def fill(store: Store, events: int) -> None:
    """
    Put so many events into a store, a day's worth by its own way in, the others as copies.
    """
    _insert_a_day(store)
    days = events // EVENTS_A_DAY
    writer = store._database.writer  # noqa: SLF001 - copies, to have ten million within minutes
    writer.execute("CREATE TABLE a_day AS FROM events")
    writer.execute("TRUNCATE events")
    for day in range(days - 1, -1, -1):
        writer.execute(COPY, [day])
    writer.execute("DROP TABLE a_day")
    writer.execute("CHECKPOINT")


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


def _beside_a_runaway(seconds: float) -> list[Row]:
    """
    Feed a thousand events a second, alone and beside a query that does not end.
    """
    with running() as program:
        token, port = program.token, program.port
        send(Plan(port=port, token=token, seconds=3.0, records=100, series=2))
        program.drain()
        calm = send(Plan(port=port, token=token, seconds=seconds, records_per_second=1_000, series=3))

        def ask() -> None:
            with contextlib.suppress(httpx2.TransportError):  # it is killed in the end
                program.ask("POST", "query", json={"kql": RUNAWAY})

        asking = Thread(target=ask, daemon=True)
        asking.start()
        beside = send(Plan(port=port, token=token, seconds=seconds, records_per_second=1_000, series=4))
        assert asking.is_alive(), "the query was to run on"
    return [
        Row.of(
            f"intake at 1,000 events/s beside a runaway query: {name}",
            [1_000 * percentile(beside.latencies, share)],
            "ms",
            baseline="without (less is better)",
            against=1_000 * percentile(calm.latencies, share),
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]
