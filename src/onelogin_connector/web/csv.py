"""
Rows as CSV that a spreadsheet does not take for formulas.
"""

from collections.abc import Iterable, Sequence
from csv import writer
from datetime import datetime
from io import StringIO
from typing import Any

from onelogin_connector.web.answers import rfc3339

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to a spreadsheet; an attacker chooses user names."""


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """
    Return a header and rows, as RFC 4180 has them.
    """
    text = StringIO()
    out = writer(text, lineterminator="\r\n")
    out.writerow([cell(name) for name in columns])
    out.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """
    Return a value as text; text that begins like a formula gets an apostrophe in front.

    Numbers stay as they are, also negative ones.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return rfc3339(value) or ""
    if not isinstance(value, str):
        return str(value)
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value
