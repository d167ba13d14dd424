"""
What goes into a compilation beside the text, and what comes out.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Mapping[str, str]]
"""Table → column → KQL type."""


class Compiled(NamedTuple):
    """
    A query that can be run.
    """

    sql: str
    """One SELECT statement of DuckDB."""
    parameters: dict[str, Any]
    tables: frozenset[str]
    """Tables of the schema that it reads."""
    columns: tuple[str, ...]
    """Names of its columns, in order; empty where they are known only when it runs."""
