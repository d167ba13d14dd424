"""
Events for a page: the newest that a filter lets through, how they spread over time, and one of them in full.

This is no query language. Values are bound, never written into a statement; each statement has a connection of its
own and ends when its time is over, so that a page never waits behind an analyst, and intake never behind a page.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import Any

import duckdb
from msgspec import Struct

from onelogin_connector.errors import Unavailable
from onelogin_connector.store import rows as records
from onelogin_connector.store.database import Database
from onelogin_connector.store.listed import LISTED, LONGEST_VALUE, EventRow, listed
from onelogin_connector.store.trouble import of_reading

COLUMNS = {
    "type": "event_type",
    "user": "user_name",
    "actor": "actor_user_name",
    "app": "app_name",
    "ip": "ipaddr",
    "connector": "connector",
}
"""What can be filtered by value → its column."""

SEARCHED = (
    "event_type",
    "user_name",
    "actor_user_name",
    "app_name",
    "ipaddr",
    "notes",
    "custom_message",
    "user_agent",
)
"""Where a text is looked for."""

FACETS = ("type", "user", "app", "ip")
SAMPLED_EVENTS = 5_000
TOP_VALUES = 8
LATENESS_BOUNDS_SECONDS = (1, 5, 30, 60, 300, 3_600, 21_600, 86_400)


class Filter(Struct, frozen=True, kw_only=True):
    """
    Which events are meant. Values of one field are alternatives; all fields have to fit.
    """

    since_us: int | None = None
    """Microseconds since 1970, UTC; included."""
    until_us: int | None = None
    """Not included."""
    values: dict[str, tuple[str, ...]] = {}
    """A name of ``COLUMNS`` → values, each compared whole."""
    text: str = ""
    """Looked for in ``SEARCHED``, in upper and lower case alike."""


class FacetValue(Struct, frozen=True):
    """
    A value, and how many of the sampled events have it.
    """

    value: str
    count: int


class LatenessBar(Struct, frozen=True):
    """
    How many events arrived within a span after they happened.
    """

    below_seconds: int | None
    """The span's end; None for what came later than every bound."""
    webhook: int
    api: int


class Events:
    """
    Reads events of an open store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(
        self, chosen: Filter, limit: int, *, before: tuple[int, str] | None = None, seconds: float = 5.0
    ) -> list[EventRow]:
        """
        Return the newest events, by their own time.

        Args:
            before: Time and key of the event behind which to go on.

        Raises:
            Unavailable: The store cannot be read, or not in this time.
        """
        conditions, values = _conditions(chosen)
        if before is not None:
            conditions += [
                "event_time <= make_timestamp($before_us::BIGINT)",
                "(event_time < make_timestamp($before_us::BIGINT) OR entry_key < $before_key::UUID)",
            ]
            values |= {"before_us": before[0], "before_key": before[1]}
        rows = self._rows(
            f"SELECT {LISTED} FROM events {_where(conditions)} ORDER BY event_time DESC, entry_key DESC LIMIT {limit:d}",
            values,
            seconds,
        )
        return [listed(row) for row in rows]

    def arrived(
        self, chosen: Filter, epoch: str, after: int, up_to: int, limit: int, *, seconds: float = 5.0
    ) -> list[EventRow]:
        """
        Return events that came in behind an offset of the journal and up to one, the newest arrival first.

        Raises:
            Unavailable: The store cannot be read, or not in this time.
        """
        conditions, values = _conditions(chosen)
        conditions += [
            "epoch = $epoch",
            "journal_offset > $after::BIGINT",
            "journal_offset <= $up_to::BIGINT",
        ]
        values |= {"epoch": epoch, "after": after, "up_to": up_to}
        rows = self._rows(
            f"SELECT {LISTED} FROM events {_where(conditions)} ORDER BY journal_offset DESC LIMIT {limit:d}",
            values,
            seconds,
        )
        return [listed(row) for row in rows]

    def histogram(
        self, chosen: Filter, start_us: int, width_us: int, *, seconds: float = 2.0
    ) -> dict[int, int]:
        """
        Return how many events fall into each bucket from a start; empty buckets are left out.

        Raises:
            Unavailable: The store cannot be read, or not in this time.
        """
        conditions, values = _conditions(chosen)
        values |= {"start": start_us, "width": width_us}
        return dict(
            self._rows(
                f"""SELECT CAST((epoch_us(event_time) - $start::BIGINT) // $width::BIGINT AS BIGINT) AS n, count(*)
                FROM events {_where(conditions)} GROUP BY n ORDER BY n""",
                values,
                seconds,
            )
        )

    def facets(self, chosen: Filter, *, seconds: float = 2.0) -> dict[str, list[FacetValue]]:
        """
        Return the most frequent values among the newest events.

        Raises:
            Unavailable: The store cannot be read, or not in this time.
        """
        conditions, values = _conditions(chosen)
        columns = ", ".join(f"{COLUMNS[name]} AS {name}" for name in FACETS)
        parts = " UNION ALL ".join(
            f"""(SELECT '{name}', {name}, count(*) AS n FROM part WHERE {name} <> ''
            AND length({name}) <= {LONGEST_VALUE} GROUP BY {name} ORDER BY n DESC, {name} LIMIT {TOP_VALUES})"""
            for name in FACETS
        )
        rows = self._rows(
            f"""WITH part AS MATERIALIZED (
                SELECT {columns} FROM events {_where(conditions)} ORDER BY event_time DESC LIMIT {SAMPLED_EVENTS})
            {parts}""",
            values,
            seconds,
        )
        found: dict[str, list[FacetValue]] = {name: [] for name in FACETS}
        for name, value, number in rows:
            found[name].append(FacetValue(value, number))
        return found

    def span(self) -> tuple[int, int] | None:
        """
        Return the times of the oldest and the newest event, None where there is none.

        Raises:
            Unavailable: The store cannot be read.
        """
        # the newest of many is found by the bounds of row groups, an aggregate reads them all
        ends = [
            self._rows(
                f"SELECT epoch_us(event_time) FROM events ORDER BY event_time {order} LIMIT 1", {}, 5.0
            )
            for order in ("ASC", "DESC")
        ]
        return (ends[0][0][0], ends[1][0][0]) if all(ends) else None

    def one(self, time_us: int, key: str) -> tuple[dict[str, Any], bytes, bytes | None] | None:
        """
        Return an event: its columns as queries see them, its bytes, and its twin's bytes if these differ.

        Raises:
            Unavailable: The store cannot be read.
        """
        where = "event_time = make_timestamp($time::BIGINT) AND entry_key = $key::UUID"
        values = {"time": time_us, "key": key}
        rows = self._rows(
            f"SELECT raw, raw_bytes, twin_raw, twin_raw_bytes FROM events WHERE {where}", values, 5.0
        )
        if not rows:
            return None
        raw, raw_bytes, twin, twin_bytes = rows[0]
        with self._reading(5.0) as cursor:
            cursor.execute(
                'SELECT * EXCLUDE ("Raw") FROM "OneLogin" WHERE "TimeGenerated" = make_timestamp($time::BIGINT)'
                ' AND "EventKey" = $key',
                values,
            )
            names = [column[0] for column in cursor.description or ()]
            row = cursor.fetchone() or ()
        bytes_of_twin = None if twin is None and twin_bytes is None else records.raw_of(twin, twin_bytes)
        return dict(zip(names, row, strict=False)), records.raw_of(raw, raw_bytes), bytes_of_twin

    def lateness(self, connector: str, since_us: int, until_us: int) -> list[LatenessBar]:
        """
        Return how long after they happened a connector's events of a span arrived, history apart.

        Raises:
            Unavailable: The store cannot be read, or not in this time.
        """
        cases = " ".join(
            f"WHEN late < {bound * 1_000_000} THEN {place}"
            for place, bound in enumerate(LATENESS_BOUNDS_SECONDS)
        )
        rows = self._rows(
            f"""SELECT CASE {cases} ELSE {len(LATENESS_BOUNDS_SECONDS)} END AS place,
                count_if(way = 'webhook'), count_if(way <> 'webhook')
            FROM (SELECT way, epoch_us(received_time) - epoch_us(event_time) AS late FROM events
                WHERE event_time >= make_timestamp($since::BIGINT) AND event_time < make_timestamp($until::BIGINT)
                    AND connector = $connector AND way NOT IN ('backfill', 'import'))
            GROUP BY place""",
            {"since": since_us, "until": until_us, "connector": connector},
            3.0,
        )
        found = {place: (webhook, api) for place, webhook, api in rows}
        bounds: Sequence[int | None] = (*LATENESS_BOUNDS_SECONDS, None)
        return [LatenessBar(bound, *found.get(place, (0, 0))) for place, bound in enumerate(bounds)]

    def _rows(self, statement: str, values: dict[str, Any], seconds: float) -> list[tuple[Any, ...]]:
        with self._reading(seconds) as cursor:
            return cursor.execute(statement, values).fetchall()

    @contextmanager
    def _reading(self, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._database.cursor()
        timer = Timer(seconds, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield cursor
        except duckdb.InterruptException as error:
            raise Unavailable(
                f"Reading the events took longer than {seconds:g} seconds.",
                action="Narrow the time, or leave the text out.",
            ) from error
        except duckdb.Error as error:
            raise of_reading(self._database.path, error) from error
        finally:
            timer.cancel()
            cursor.close()


def _conditions(chosen: Filter) -> tuple[list[str], dict[str, Any]]:
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if chosen.since_us is not None:
        conditions.append("event_time >= make_timestamp($since::BIGINT)")
        values["since"] = chosen.since_us
    if chosen.until_us is not None:
        conditions.append("event_time < make_timestamp($until::BIGINT)")
        values["until"] = chosen.until_us
    for name, alternatives in chosen.values.items():
        names = [f"{name}_{place}" for place in range(len(alternatives))]
        conditions.append(f"{COLUMNS[name]} IN ({', '.join(f'${each}' for each in names)})")
        values |= zip(names, alternatives, strict=True)
    if chosen.text:
        escaped = chosen.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values["text"] = f"%{escaped}%"
        conditions.append("(" + " OR ".join(f"{column} ILIKE $text ESCAPE '\\'" for column in SEARCHED) + ")")
    return conditions, values


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
