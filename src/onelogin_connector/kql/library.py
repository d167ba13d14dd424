"""
All that is used of the library ``duckdb-kql``, in one place.

It is young and of one maintainer, so it is pinned exactly: ``translator`` calls it, ``bounds`` hedges it in,
``forms`` makes it quicker, ``own_forms`` lets it use these, and nothing else knows it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from duckdb_kql import ir, translate
from duckdb_kql.errors import KqlError, KqlSchemaError, KqlSyntaxError, KqlUnsupportedError
from duckdb_kql.lower import lower
from duckdb_kql.schema import match_wildcard, output_columns
from duckdb_kql.timespans import ticks
from duckdb_kql.translate import CLOCK_SLOT, clock, to_sql
from duckdb_kql.translate.functions import term_match_sql

Form = Callable[[ir.FunctionCall], str | None]
"""Makes the SQL of a function's call; None leaves the call to a form that is more general."""

LIBRARY_FORMS: Mapping[str, Form] = MappingProxyType(dict(translate._SPECIAL_FORMS))  # noqa: SLF001
"""Function → its SQL as the library has it."""

__all__ = [
    "CLOCK_SLOT",
    "LIBRARY_FORMS",
    "Form",
    "KqlError",
    "KqlSchemaError",
    "KqlSyntaxError",
    "KqlUnsupportedError",
    "clock",
    "ir",
    "lower",
    "match_wildcard",
    "output_columns",
    "term_match_sql",
    "ticks",
    "to_sql",
    "translate",
]
