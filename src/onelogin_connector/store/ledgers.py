"""
Copies of the state's ledgers, for queries: the history of the parts, and the audit log.

The state is where both are kept; the store only shows them. A row is known by the state's id together with its
time, so that a state restored from a backup, which gives its ids out again, doubles and hides nothing.
"""

from collections.abc import Sequence
from typing import Any

import duckdb
from msgspec import Struct
from msgspec.json import encode

from onelogin_connector.errors import Unavailable
from onelogin_connector.store.database import Database
from onelogin_connector.store.trouble import first_line

COMMON = {"state_id": "BIGINT", "at_us": "BIGINT"}
HEALTH = COMMON | dict.fromkeys(
    (
        "tenant_id",
        "operation_name",
        "resource_id",
        "resource_name",
        "resource_type",
        "resource_kind",
        "status",
        "description",
        "reason",
        "workspace_id",
        "record_id",
        "extended_properties",
    ),
    "VARCHAR",
)
AUDIT = COMMON | dict.fromkeys(("actor", "action", "target", "detail"), "VARCHAR")
_JSON = ("extended_properties", "detail")


class Line(Struct, frozen=True):
    """
    One row of a ledger.
    """

    id: int
    """In the state."""
    at: float
    """Unix seconds."""
    values: dict[str, Any]
    """Columns but id and time, by their names in the table; those of JSON as values."""


def add_health(database: Database, lines: Sequence[Line]) -> None:
    """
    Copy changes of state, each once.

    Raises:
        Unavailable: None was copied.
    """
    _add(database, "health", HEALTH, lines)


def add_audit(database: Database, lines: Sequence[Line]) -> None:
    """
    Copy lines of the audit log, each once.

    Raises:
        Unavailable: None was copied.
    """
    _add(database, "audit", AUDIT, lines)


def last(database: Database, table: str) -> tuple[int, float] | None:
    """
    Return id and time of the newest row that was copied; None where there is none.

    Raises:
        Unavailable: The store cannot be read.
    """
    try:
        with database.read_lock:
            row = database.reader.execute(
                f"SELECT state_id, epoch_us(recorded_time) / 1e6 FROM {table} WHERE state_id IS NOT NULL "
                "ORDER BY state_id DESC, recorded_time DESC LIMIT 1"
            ).fetchone()
    except duckdb.Error as error:
        raise Unavailable(f"The store cannot be read: {first_line(error)}") from error
    return (int(row[0]), float(row[1])) if row else None


def forget(connection: duckdb.DuckDBPyConnection, cutoff: float) -> None:
    """
    Remove changes of state that are older than a time; the audit log stays whole.
    """
    connection.execute(
        "DELETE FROM health WHERE recorded_time < make_timestamp($1::BIGINT)", [round(cutoff * 1e6)]
    )


def _add(database: Database, table: str, columns: dict[str, str], lines: Sequence[Line]) -> None:
    if not lines:
        return
    texts = [encode(_row(line), enc_hook=str).decode() for line in lines]
    chosen = ", ".join(_chosen(name) for name in columns)
    structure = encode(columns).decode()
    with database.transaction() as connection:
        connection.execute(
            f"""INSERT INTO {table} BY NAME
            SELECT {chosen} FROM (SELECT from_json(line, '{structure}') AS r FROM (SELECT unnest($1::VARCHAR[]) AS line))
            WHERE NOT EXISTS (
                SELECT 1 FROM {table} AS held
                WHERE held.state_id = r.state_id AND held.recorded_time = make_timestamp(r.at_us))""",
            [texts],
        )


def _row(line: Line) -> dict[str, Any]:
    values = {
        name: encode(value, enc_hook=str).decode() if name in _JSON else value
        for name, value in line.values.items()
    }
    return {"state_id": line.id, "at_us": round(line.at * 1e6), **values}


def _chosen(name: str) -> str:
    if name == "at_us":
        return "make_timestamp(r.at_us) AS recorded_time"
    return f"TRY_CAST(r.{name} AS JSON) AS {name}" if name in _JSON else f"r.{name} AS {name}"
