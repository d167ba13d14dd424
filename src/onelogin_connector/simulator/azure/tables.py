"""
The tables of a workspace, and what got lost on the way into them.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

Row = dict[str, Any]
"""Column → value as JSON has it; a null is left out."""


class Lost(Struct, frozen=True):
    """
    A kind of silent loss: the service accepted, and said nothing.
    """

    table: str
    column: str
    why: str


class Table:
    """
    One table.
    """

    def __init__(
        self, name: str, columns: Mapping[str, str], *, is_classic: bool, most_rows: int | None
    ) -> None:
        """
        Make a table.

        Args:
            columns: Name → type.
            is_classic: Whether the Data Collector API may add columns to it.
            most_rows: The newest so many are kept; None keeps all.
        """
        self.name = name
        self.columns = dict(columns)
        self.is_classic = is_classic
        self.rows: deque[Row] = deque(maxlen=most_rows)
        self.accepted = 0
        """Rows so far, also those no longer kept."""

    def add(self, rows: Sequence[Row]) -> None:
        """
        Take rows that fit.
        """
        self.rows.extend(rows)
        self.accepted += len(rows)


class Workspace:
    """
    A Log Analytics workspace.
    """

    def __init__(self, id: str, *, most_rows: int | None = None) -> None:
        """
        Make an empty workspace.

        Args:
            id: Its GUID.
            most_rows: Of each table the newest so many are kept; None keeps all.
        """
        self.id = id
        self.tables: dict[str, Table] = {}
        self.lost: Counter[Lost] = Counter()
        """What was accepted and is not there, or not as it was sent."""
        self._most_rows = most_rows

    def make(self, name: str, columns: Mapping[str, str], *, is_classic: bool = False) -> Table:
        """
        Return the table of a name, made if it is not there.
        """
        if name not in self.tables:
            self.tables[name] = Table(
                name,
                {"TimeGenerated": "datetime"} | dict(columns),
                is_classic=is_classic,
                most_rows=self._most_rows,
            )
        return self.tables[name]

    def rows(self, table: str) -> list[Row]:
        """
        Return the rows of a table that are kept, oldest arrival first; none where there is no such table.
        """
        found = self.tables.get(table)
        return list(found.rows) if found else []

    def lose(self, table: str, column: str, why: str, count: int = 1) -> None:
        """
        Note what nobody is told.
        """
        self.lost[Lost(table, column, why)] += count
