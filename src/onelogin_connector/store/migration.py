"""
The store's tables, made by numbered files that run once each, in order.

A file ``NNNN_what.sql`` takes a store from version NNNN − 1 to NNNN in one transaction, together with the
version's row in ``versions``; a crash leaves the version before. Views are made anew at each start.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import duckdb

from onelogin_connector.errors import ConfigError


class Step(NamedTuple):
    """
    One migration.
    """

    version: int
    sql: str


def steps() -> list[Step]:
    """
    Return the migrations of this program, in order.
    """
    found = [
        Step(int(file.name.split("_")[0]), file.read_text("utf-8"))
        for file in (files(__package__) / "migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found)


def version_of(connection: duckdb.DuckDBPyConnection) -> int:
    """
    Return a store's version; 0 for a file that is empty.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS versions (version INTEGER, made_time TIMESTAMP)")
    row = connection.execute("SELECT coalesce(max(version), 0) FROM versions").fetchone()
    return int(row[0]) if row else 0


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """
    Bring a store to this program's version, and make its views.

    Raises:
        ConfigError: The store was made by a newer program.
    """
    apply(connection, steps())
    connection.execute(files(__package__).joinpath("views.sql").read_text("utf-8"))


def apply(connection: duckdb.DuckDBPyConnection, to_do: Sequence[Step]) -> None:
    """
    Run the steps that a store lacks.

    Raises:
        ConfigError: The store has a later version than the last step.
    """
    version, newest = version_of(connection), to_do[-1].version
    if version > newest:
        raise ConfigError(
            f"The store has version {version}; this program knows versions up to {newest}.",
            action="Run the program that made it, or a newer one.",
        )
    for step in to_do:
        if step.version <= version:
            continue
        connection.begin()
        try:
            connection.execute(step.sql)
            connection.execute("INSERT INTO versions VALUES (?, now() AT TIME ZONE 'UTC')", [step.version])
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
