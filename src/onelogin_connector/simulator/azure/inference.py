"""
How the Data Collector API finds columns: by the values that come, the first of which decides.

A property becomes a column of its name with a suffix for its type: ``_s`` text, ``_b`` truth value, ``_d`` number,
``_t`` time, ``_g`` GUID. A later value of another type is converted to the column's where that is possible, else a
second column appears. Nested objects become columns whose names are the path joined by ``_``, arrays become JSON
text, null becomes nothing.

Not documented, and so our reading: how nested objects and arrays are taken (known from the official tables), and
that a name with other characters than letters, digits and underscore is refused rather than changed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from onelogin_connector.simulator.azure import columns
from onelogin_connector.simulator.azure.tables import Row, Table

LARGEST_FIELD = 32_768
"""Bytes of a value; what is longer is cut."""
MOST_COLUMNS = 500
LONGEST_COLUMN = 45
"""Characters of a column's name."""
RESERVED = frozenset({"tenant", "timegenerated", "rawdata"})

TYPES = {"s": "string", "b": "boolean", "d": "real", "t": "datetime", "g": "string"}
"""Suffix → type of the column."""

_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_GUID = re.compile(
    r"\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?",
    re.ASCII | re.IGNORECASE,
)


class BadName(ValueError):
    """
    A property that no record may have.
    """


def check_names(record: Mapping[str, Any]) -> None:
    """
    Refuse what makes the service refuse the whole call.

    Raises:
        BadName: A property is reserved, or its name holds other characters than letters, digits and underscore.
    """
    for name in record:
        if name.lower() in RESERVED:
            raise BadName(f"The property {name} is reserved.")
    for path, _ in flat(record):
        if not _NAME.fullmatch(path):
            raise BadName(f"The property {path!r} has characters other than letters, digits and underscore.")


def flat(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """
    Give the values of a record with their paths; those of nested objects too.
    """
    for name, value in record.items():
        path = f"{before}_{name}" if before else name
        if isinstance(value, dict):
            yield from flat(value, path)
        else:
            yield path, value


def suffix_of(value: Any) -> str:
    """
    Return the suffix that a new column for a value gets.
    """
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int | float):
        return "d"
    if isinstance(value, str) and _GUID.fullmatch(value):
        return "g"
    return "t" if isinstance(value, str) and columns.is_iso_time(value) else "s"


def converted(value: Any, suffix: str) -> Any:
    """
    Return a value as a column of a suffix holds it; None where it cannot.
    """
    if suffix == "s":
        return columns.as_string(value)
    if suffix == "b":
        return columns.as_boolean(value)
    if isinstance(value, bool | list):
        return None
    if suffix == "d":
        return columns.as_real(value)
    if not isinstance(value, str):
        return None
    if suffix == "t":
        return columns.as_datetime(value) if columns.is_iso_time(value) else None
    found = _GUID.fullmatch(value)
    return "-".join(found.groups()) if found else None


class Columns:
    """
    The columns of one classic table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._suffixes: dict[str, list[str]] = {}
        """Property → suffixes of its columns, oldest first."""
        for name in table.columns:
            base, joint, suffix = name.rpartition("_")
            if joint and suffix in TYPES:
                self._suffixes.setdefault(base, []).append(suffix)

    def row(self, record: Mapping[str, Any], lost: Counter[tuple[str, str]]) -> Row:
        """
        Return what is stored of a record, without its time; makes the columns that are missing.
        """
        row: Row = {}
        for name, value in flat(record):
            if value is None:
                continue
            found = self._place(name, value)
            if isinstance(found, str):
                lost[name, found] += 1
                continue
            suffix, fitting = found
            if isinstance(fitting, str):
                short = columns.cut(fitting, LARGEST_FIELD)
                if short is not fitting:
                    lost[name, "cut"] += 1
                fitting = short
            row[f"{name}_{suffix}"] = fitting
        return row

    def _place(self, name: str, value: Any) -> tuple[str, Any] | str:
        """
        Return suffix and value of the column that takes a value, or why none does.
        """
        own = suffix_of(value)
        known = self._suffixes.get(name, [])
        for suffix in sorted(known, key=lambda suffix: suffix != own):  # stable: then the oldest
            fitting = converted(value, suffix)
            if fitting is not None:
                return suffix, fitting
        fitting = converted(value, own)
        if fitting is None:
            return "wrong type"
        column = f"{name}_{own}"
        if len(column) > LONGEST_COLUMN:
            return "name too long"
        if not self._table.is_classic:
            return "no new columns after the migration"
        if len(self._table.columns) >= MOST_COLUMNS:
            return "too many columns"
        self._table.columns[column] = TYPES[own]
        self._suffixes.setdefault(name, []).append(own)
        return own, fitting
