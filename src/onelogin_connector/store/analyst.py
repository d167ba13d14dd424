"""
Running an analyst's query: one at a time, within bounds, beside intake.

A query has a connection of its own, so inserts go on while it runs. It is stopped when its time is over,
when it needs more memory than the store may have, and its result is cut at a number of rows and bytes, as
Log Analytics cuts it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from threading import Lock, Timer
from time import monotonic
from typing import Any, NamedTuple

import duckdb
from msgspec import DecodeError, Struct
from msgspec.json import decode

from onelogin_connector import kql
from onelogin_connector.errors import QueryError
from onelogin_connector.kql.failures import KQL_TYPES, of_database
from onelogin_connector.store.database import LONGEST_QUERY_SECONDS, Database
from onelogin_connector.store.guard import Guard
from onelogin_connector.store.trouble import damaged, is_damage

ROW_LIMIT = 30_000
LARGEST_RESULT_BYTES = 64 << 20
CELL_BYTES = 16  # of a value beside its text
KEPT_TRANSLATIONS = 256
FETCHED_ROWS = 1_000

TABLES = (
    "OneLogin",
    "OneLogin_CL",
    "OneLoginEventsV2_CL",
    "OneLoginUsersV2_CL",
    "OneLoginConnectorHealth",
    "OneLoginConnectorCompleteness",
    "OneLoginConnectorAudit",
)
"""What a query may read."""


class Column(NamedTuple):
    """
    A column of a result.
    """

    name: str
    type: str
    """KQL type: string, datetime, real, long, int, bool, dynamic, timespan, guid, decimal."""


class Result(Struct, frozen=True):
    """
    What a query found.
    """

    columns: list[Column]
    rows: list[tuple[Any, ...]]
    """Times are aware and UTC, timespans timedeltas, dynamics what their JSON says."""
    truncated: bool
    """There were more rows than the limit, or more bytes than a result may have."""
    seconds: float


@dataclass(slots=True)
class _Known:
    """
    A query that was asked before, or is asked now.
    """

    compiled: kql.Compiled
    shape: list[tuple[str, str]] | None = None
    """
    Names and types of its columns, which no row changes; None until the guard has let its SQL pass.
    """


class Analyst:
    """
    Runs queries.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = Lock()
        self._kept: OrderedDict[str, _Known] = OrderedDict()
        with database.read_lock:
            self.schema = _schema(database.reader)
            self._guard = Guard(database.reader, frozenset(TABLES))

    def query(self, text: str, *, limit: int | None = ROW_LIMIT, timeout_seconds: float = 60) -> Result:
        """
        Run a query.

        Args:
            limit: Most rows; None takes as many as the bytes of a result allow.
            timeout_seconds: For waiting for its turn and running together.

        Raises:
            QueryError: It is wrong, or took too long or too much memory.
        """
        started = monotonic()
        allowed = min(timeout_seconds, LONGEST_QUERY_SECONDS)
        if not self._turn.acquire(timeout=allowed):
            raise QueryError(
                f"Another query has been running for {allowed:g} seconds.",
                action="Try again when it is done.",
            )
        try:
            known = self._compile(text)
            left = allowed - (monotonic() - started)
            columns, rows, truncated = self._run(text, known, limit, max(left, 0.01), allowed)
        finally:
            self._turn.release()
        return Result(columns, rows, truncated, monotonic() - started)

    def _compile(self, text: str) -> _Known:
        known = self._kept.get(text)
        if known is None:
            known = self._kept[text] = _Known(kql.compile(text, self.schema))
            if len(self._kept) > KEPT_TRANSLATIONS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return known

    def _run(
        self, text: str, known: _Known, limit: int | None, seconds: float, allowed: float
    ) -> tuple[list[Column], list[tuple[Any, ...]], bool]:
        cursor = self._database.cursor()
        try:
            with _stopped_after(cursor, seconds):
                if known.shape is None:
                    self._guard.check(cursor, known.compiled.sql)
                    known.shape = _shape(cursor, known.compiled.sql, known.compiled.parameters)
                return self._fetch(cursor, known.compiled, known.shape, limit)
        except duckdb.InterruptException as error:
            raise QueryError(
                f"The query was stopped after {allowed:g} seconds.",
                action="Narrow it: filter by TimeGenerated first, and project only the columns you need.",
            ) from error
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            raise QueryError(
                f"The query needs more memory than the store may use ({self._database.memory}).",
                action="Narrow it by TimeGenerated, or summarize over fewer groups.",
            ) from error
        except duckdb.Error as error:
            if is_damage(error):
                told = damaged(self._database.path, error)
                raise QueryError(told.message, action=told.action) from error
            raise of_database(str(error), text, self.schema) from error
        finally:
            cursor.close()

    def _fetch(
        self,
        cursor: duckdb.DuckDBPyConnection,
        compiled: kql.Compiled,
        shape: list[tuple[str, str]],
        limit: int | None,
    ) -> tuple[list[Column], list[tuple[Any, ...]], bool]:
        columns = [Column(name, kql_type(kind)) for name, kind in shape]
        # Python cannot take times with a zone without a further library, and KQL knows only UTC
        chosen = ", ".join(
            f'"{_escaped(name)}" AT TIME ZONE \'UTC\' AS "{_escaped(name)}"'
            if kind == "TIMESTAMP WITH TIME ZONE"
            else f'"{_escaped(name)}"'
            for name, kind in shape
        )
        sql = f"SELECT {chosen} FROM ({compiled.sql})"
        if limit is not None:
            sql += f" LIMIT {limit + 1}"
        cursor.execute(sql, compiled.parameters)
        converters = [_CONVERTERS.get(column.type) for column in columns]
        rows: list[tuple[Any, ...]] = []
        taken = 0
        while fetched := cursor.fetchmany(FETCHED_ROWS):
            for row in fetched:
                taken += sum(len(value) for value in row if type(value) is str) + CELL_BYTES * len(row)
                rows.append(_converted(row, converters))
            # also where all rows are asked for: a join of nothing with nothing would else fill the memory
            if taken > LARGEST_RESULT_BYTES or (limit is not None and len(rows) > limit):
                return columns, rows[:limit], True
        return columns, rows, False


@contextmanager
def _stopped_after(cursor: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = Timer(seconds, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _schema(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    return {
        table: {name: kql_type(kind) for name, kind in _shape(connection, f'SELECT * FROM "{table}"', {})}
        for table in TABLES
    }


def _shape(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]
) -> list[tuple[str, str]]:
    """
    Return names and types of a statement's columns.

    Not by DESCRIBE, which spells a view's column like the column below it where only case differs.
    """
    described = connection.execute(f"SELECT * FROM ({sql}) LIMIT 0", parameters).description or []
    return [(name, str(kind)) for name, kind, *_ in described]


def kql_type(kind: str) -> str:
    """
    Return KQL's word for a type of DuckDB.
    """
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return "dynamic"
    if kind.startswith("DECIMAL"):
        return "decimal"
    if kind in KQL_TYPES:
        return KQL_TYPES[kind]
    if kind in {"TINYINT", "SMALLINT", "UTINYINT", "USMALLINT"}:
        return "int"
    if kind in {"HUGEINT", "UBIGINT", "UHUGEINT", "UINTEGER"}:
        return "long"
    if kind.startswith("TIMESTAMP"):
        return "datetime"
    return "real" if kind == "FLOAT" else "string"


def _escaped(name: str) -> str:
    return name.replace('"', '""')


def _converted(row: Sequence[Any], converters: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        value if convert is None or value is None else convert(value)
        for value, convert in zip(row, converters, strict=True)
    )


def _as_time(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value


def _as_dynamic(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return decode(value)
        except (DecodeError, UnicodeDecodeError, ValueError, RecursionError):
            return value
    return value


_CONVERTERS = {"datetime": _as_time, "dynamic": _as_dynamic, "guid": str}
