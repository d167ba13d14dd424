"""
All that is used of the library ``duckdb-kql``, in one place.

It is young and of one maintainer, so it is pinned exactly: ``translator`` calls it, ``bounds`` hedges it in,
``forms`` makes it quicker, and nothing else knows it.
"""

from duckdb_kql import ir, translate
from duckdb_kql.errors import KqlError, KqlSchemaError, KqlSyntaxError, KqlUnsupportedError
from duckdb_kql.lower import lower
from duckdb_kql.schema import match_wildcard, output_columns
from duckdb_kql.timespans import ticks
from duckdb_kql.translate import CLOCK_SLOT, clock, to_sql
from duckdb_kql.translate.functions import term_match_sql

__all__ = [
    "CLOCK_SLOT",
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
