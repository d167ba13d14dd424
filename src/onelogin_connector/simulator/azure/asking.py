"""
Ask a workspace in KQL, as Log Analytics is asked.
"""

from collections.abc import Iterator
from typing import Any

import duckdb
from msgspec import Struct
from msgspec.json import decode, encode

from onelogin_connector import kql
from onelogin_connector.kql.failures import KQL_TYPES, of_database
from onelogin_connector.simulator.azure.tables import Table, Workspace

DUCKDB_TYPES = {
    "string": "VARCHAR",
    "guid": "VARCHAR",
    "real": "DOUBLE",
    "long": "BIGINT",
    "int": "INTEGER",
    "boolean": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
}
CHUNK_ROWS = 5_000
MOST_ROWS = 30_000


class Found(Struct, frozen=True):
    """
    What a query found.
    """

    columns: list[tuple[str, str]]
    """Names and KQL types."""
    rows: list[list[Any]]
    """Times are ISO 8601 text, as the service's API gives them."""


def ask(workspace: Workspace, text: str) -> Found:
    """
    Run a query over the rows that are kept now.

    Raises:
        QueryError: It is wrong.
    """
    schema = {name: dict(_kql_types(table)) for name, table in workspace.tables.items()}
    compiled = kql.compile(text, schema)
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        for name in compiled.tables:
            _load(connection, workspace.tables[name])
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        try:
            cursor = connection.execute(
                f"SELECT * FROM ({compiled.sql}) LIMIT {MOST_ROWS}",  # noqa: S608 - the compiler's own
                compiled.parameters,
            )
            kinds = [
                (name, KQL_TYPES.get(str(kind), "dynamic")) for name, kind, *_ in cursor.description or []
            ]
            return Found(kinds, [_written(row, kinds) for row in cursor.fetchall()])
        except duckdb.Error as error:
            raise of_database(str(error), text, schema) from error


def _kql_types(table: Table) -> Iterator[tuple[str, str]]:
    for name, kind in _distinct(table).items():
        yield name, {"boolean": "bool", "guid": "string"}.get(kind, kind)


def _distinct(table: Table) -> dict[str, str]:
    """
    Return the columns without those that differ from an older one in case alone, which DuckDB cannot hold.
    """
    first = {name.lower(): name for name in reversed(table.columns)}
    return {name: kind for name, kind in table.columns.items() if first[name.lower()] == name}


def _load(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    types = {name: DUCKDB_TYPES[kind] for name, kind in _distinct(table).items()}
    made = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    connection.execute(f'CREATE TABLE "{table.name}" ({made})')
    shape = encode([types]).decode()
    rows = list(table.rows)
    for start in range(0, len(rows), CHUNK_ROWS):
        content = encode(
            [{name: row[name] for name in types if name in row} for row in rows[start : start + CHUNK_ROWS]]
        ).decode()
        connection.execute(
            f'INSERT INTO "{table.name}" BY NAME SELECT unnest(from_json($1::JSON, $2), max_depth := 2)',
            [content, shape],
        )


def _written(row: tuple[Any, ...], kinds: list[tuple[str, str]]) -> list[Any]:
    written = []
    for value, (_, kind) in zip(row, kinds, strict=True):
        if kind == "dynamic" and isinstance(value, str):
            written.append(decode(value))
        elif value is None or isinstance(value, str | int | float | list | dict):
            written.append(value)
        else:
            written.append(value.isoformat() if hasattr(value, "isoformat") else str(value))
    return written
