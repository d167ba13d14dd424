"""
The last look at a query before it runs: what does its SQL read?

The compiler has already refused every name that is no table of ours. This looks again, at the finished SQL
and through DuckDB's own parser, so that a mistake in the compiler does not open the catalog or a file.
"""

from collections.abc import Iterator
from typing import Any

import duckdb
from msgspec.json import decode

from onelogin_connector.errors import QueryError
from onelogin_connector.kql.messages import SEE_DOCS

ROW_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each"})
"""Table functions that read nothing but their arguments."""


class Guard:
    """
    Knows which names a query may read, and which are DuckDB's own.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: frozenset[str]) -> None:
        """
        Learn DuckDB's own names.

        Args:
            tables: What may be read.
        """
        self._tables = tables
        rows = connection.execute(
            "SELECT view_name FROM duckdb_views() UNION SELECT table_name FROM duckdb_tables()"
        ).fetchall()
        self._inner = frozenset(name.lower() for (name,) in rows) - {name.lower() for name in tables}

    def check(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
        """
        Refuse SQL that is no single SELECT, or reads anything but the tables allowed.

        Raises:
            QueryError: It does.
        """
        row = cursor.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchone()
        tree: dict[str, Any] = decode(row[0]) if row else {"error": True}
        if tree.get("error") or len(tree.get("statements", ())) != 1:
            raise QueryError("The query cannot be run as it is written.", action=SEE_DOCS)
        nodes = list(_nodes(tree))
        own = {name for node in nodes for name in _names_given(node)}
        for node in nodes:
            self._check_node(node, own)

    def _check_node(self, node: dict[str, Any], own: set[str]) -> None:
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = str(node.get("table_name"))
            elsewhere = node.get("schema_name") or node.get("catalog_name")
            if elsewhere or name.lower() in self._inner or (name not in self._tables and name not in own):
                raise QueryError(
                    f"There is no table {name}.", action=f"There are {', '.join(sorted(self._tables))}."
                )
        elif kind == "TABLE_FUNCTION":
            function = node.get("function") or {}
            if function.get("function_name") not in ROW_FUNCTIONS:
                raise QueryError(f"{function.get('function_name')} cannot be read from a query.")


def _names_given(node: dict[str, Any]) -> Iterator[str]:
    """
    Give the names that a WITH clause binds.
    """
    bound = node.get("cte_map")
    if isinstance(bound, dict):
        for entry in bound.get("map", ()):
            yield str(entry.get("key"))


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
