"""
Six reference queries in KQL over the local store, beside hand-written SQL on the same table.

q1 is the documented query, the newest hundred events; q2 failed sign-ins by hour and address over a week; q3 a word
in the notes; q4 distinct users by day; q5 the last event of everybody; q6 failed sign-ins followed by a success
within ten minutes. Both sides have to find the same cells; where several events are equally late, any of them, and
each has to be in the table as it was found. Last, how intake fares while a query runs that never ends.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from threading import Thread
from time import perf_counter
from typing import Any, NamedTuple

import httpx2
from duckdb import DuckDBPyConnection

from benchmarks.client import Plan, send
from benchmarks.program import running
from benchmarks.row import Row, percentile
from benchmarks.stores import filled
from onelogin_connector.onelogin import event_types
from onelogin_connector.store import Result, Store

COMPARISONS = 3
"""Tries to find the same: each side asks for the time by itself, and an event may fall out between them."""


class Reference(NamedTuple):
    """
    A query, and the same by hand; columns of one name hold the same.
    """

    kql: str
    sql: str
    goal: str = ""


QUERIES = {
    "q1 newest 100": Reference(
        "OneLogin | sort by TimeGenerated desc | take 100",
        """SELECT event_time AS "TimeGenerated", * FROM events ORDER BY event_time DESC LIMIT 100""",
        "< 200",
    ),
    "q2 failures by hour and address, 7 d": Reference(
        """
        OneLogin
        | where TimeGenerated > ago(7d) and EventTypeId == 6
        | summarize count() by bin(TimeGenerated, 1h), SrcIpAddr
        """,
        """
        SELECT date_trunc('hour', event_time) AS "TimeGenerated", ipaddr AS "SrcIpAddr", count(*) AS count_
        FROM events WHERE event_time > now()::TIMESTAMP - INTERVAL 7 DAY AND event_type_id = 6
        GROUP BY ALL
        """,
    ),
    "q3 a word in the notes": Reference(
        'OneLogin | where Message has "password" | summarize count()',
        r"SELECT count(*) AS count_ FROM events WHERE regexp_matches(notes, '(?i)\bpassword\b')",
    ),
    "q4 distinct users by day": Reference(
        "OneLogin | summarize dcount(UserId) by bin(TimeGenerated, 1d)",
        """
        SELECT date_trunc('day', event_time) AS "TimeGenerated", count(DISTINCT user_id) AS "dcount_UserId"
        FROM events GROUP BY ALL
        """,
    ),
    "q5 last event of everybody": Reference(
        "OneLogin | summarize arg_max(TimeGenerated, *) by UserName",
        """
        SELECT user_name AS "UserName", max(event_time) AS "TimeGenerated", unnest(arg_max(events, event_time))
        FROM events GROUP BY user_name
        """,
    ),
    "q6 failures, then a success": Reference(
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
        SELECT user_name AS "UserName", count(*) AS count_ FROM failures JOIN events USING (user_name)
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


def run(quick: bool) -> list[Row]:
    """
    Measure the queries at one size, or two, and intake beside a runaway.
    """
    rows = []
    for events in (50_000,) if quick else (1_000_000, 10_000_000):
        with filled(events) as path:
            store = Store.open(path, names=event_types.name)
            try:
                rows += [
                    _beside_sql(store, name, f"{events:,} events", 3 if quick else 5) for name in QUERIES
                ]
            finally:
                store.close()
    return rows + _beside_a_runaway(1.0 if quick else 20.0)


def _beside_sql(store: Store, name: str, size: str, times: int) -> Row:
    kql, sql, goal = QUERIES[name]
    cursor = store._database.cursor()  # noqa: SLF001 - the same connection that queries get

    def by_hand() -> DuckDBPyConnection:
        return cursor.execute(sql)

    def by_kql() -> Result:
        return store.query(kql, timeout_seconds=300)

    _compare(name, by_kql, by_hand)
    _check_events(name, by_kql(), cursor)
    hand = _seconds(lambda: by_hand().fetchall(), times)
    row = Row.of(
        f"{name}, {size}",
        [1_000 * one for one in _seconds(by_kql, times)],
        "ms",
        baseline="SQL by hand (less is better)",
        against=1_000 * percentile(hand, 0.5),
        goal=goal,
    )
    cursor.close()
    return row


def _compare(name: str, by_kql: Callable[[], Result], by_hand: Callable[[], DuckDBPyConnection]) -> None:
    """
    Hold the columns that both sides name against each other, cell by cell.
    """
    missing: Counter[tuple[Any, ...]] = Counter()
    more: Counter[tuple[Any, ...]] = Counter()
    for _ in range(COMPARISONS):
        result, cursor = by_kql(), by_hand()
        names = [column.name for column in result.columns]
        theirs = [each[0] for each in cursor.description or ()]
        both = [column for column in names if column in theirs]
        assert both, f"{name}: the two sides name no column alike"
        found = Counter(_cells(result.rows, [names.index(column) for column in both]))
        expected = Counter(_cells(cursor.fetchall(), [theirs.index(column) for column in both]))
        missing, more = expected - found, found - expected
        if not missing and not more:
            return
    raise AssertionError(f"{name}: by hand alone {list(missing)[:3]}, by KQL alone {list(more)[:3]}")


def _cells(rows: Sequence[tuple[Any, ...]], places: list[int]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        yield tuple(_plain(row[place]) for place in places)


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _check_events(name: str, result: Result, cursor: DuckDBPyConnection) -> None:
    """
    Where a result is of events, see that each is one of the table, with its time and its fields.
    """
    names = [column.name for column in result.columns]
    asked = ("EventKey", "TimeGenerated", "UserName", "Message", "SrcIpAddr")
    if not set(asked) <= set(names):
        return
    found = set(_cells(result.rows, [names.index(each) for each in asked]))
    rows = cursor.execute(
        "SELECT CAST(entry_key AS VARCHAR), event_time, user_name, notes, ipaddr FROM events"
        " WHERE entry_key IN (SELECT unnest($1::UUID[]))",
        [[row[0] for row in found]],
    ).fetchall()
    assert found == set(_cells(rows, [0, 1, 2, 3, 4])), f"{name}: events that are not those of the table"


def _seconds(call: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = perf_counter()
        call()
        taken.append(perf_counter() - began)
    return taken


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
