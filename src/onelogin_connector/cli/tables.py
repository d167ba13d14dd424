"""
Rows for a person: a table on a terminal, tab-separated lines otherwise.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.json import encode

from onelogin_connector.cli.text import printable

WIDEST_CELL = 60  # characters; a longer value is cut on the terminal, and whole with --json
NARROWEST_CELL = 6

TELLING = (
    "TimeGenerated",
    "EventType",
    "UserName",
    "SrcIpAddr",
    "TargetAppName",
    "ActorUserName",
    "RoleName",
    "Message",
)
"""What a person looks for first in the view of all events, which has more columns than any terminal."""


def show_json(content: Any) -> None:
    """
    Print JSON; on a terminal without the control characters that JSON lets pass.
    """
    text = encode(content).decode()
    print(printable(text) if sys.stdout.isatty() else text)


def show(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    Print rows; returns the columns that a terminal had no room for.
    """
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join(text(row.get(name)) for name in columns))
        return []
    return _draw(columns, rows)


def text(value: Any) -> str:
    """
    Return a value as one line.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(value if isinstance(value, str) else encode(value).decode())


def _draw(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    # a column without any value says nothing; the view of all events has dozens of them
    filled = [name for name in columns if not rows or any(row.get(name) not in (None, "") for row in rows)]
    fitting = _fitting(filled, rows, console.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in fitting:
        table.add_column(Text(name), overflow="ellipsis", no_wrap=True, max_width=WIDEST_CELL)
    for row in rows:
        table.add_row(*(Text(text(row.get(name))) for name in fitting))
    console.print(table)
    return [name for name in filled if name not in fitting]


def _fitting(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """
    Return the columns that fit side by side, in their order: those that tell most go first; at least one.
    """
    chosen: set[str] = set()
    used = 0
    for name in sorted(columns, key=lambda name: TELLING.index(name) if name in TELLING else len(TELLING)):
        longest = max((len(text(row.get(name))) for row in rows[:200]), default=0)
        needed = min(WIDEST_CELL, max(NARROWEST_CELL, len(name), longest)) + 3
        if chosen and used + needed > width:
            break
        chosen.add(name)
        used += needed
    return [name for name in columns if name in chosen]
