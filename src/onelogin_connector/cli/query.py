"""
``query``: ask the local store in KQL.
"""

import sys
from argparse import Namespace

from msgspec.json import decode

from onelogin_connector.cli import DONE, say, tables
from onelogin_connector.cli.connection import connected
from onelogin_connector.config import Settings
from onelogin_connector.errors import QueryError
from onelogin_connector.plural import counted

LONGEST_SHOWN = 100
"""Characters of a query's line that are shown around a mistake."""


async def query(arguments: Namespace, settings: Settings) -> int:
    """
    Run a query and print its rows.
    """
    kql = sys.stdin.read() if arguments.kql == "-" else arguments.kql
    kql = kql.encode(errors="replace").decode()  # bytes that are no text came in as half characters
    question = {"kql": kql, "all": arguments.all, "timeout_seconds": arguments.timeout}
    async with connected(settings) as api:
        accept = "text/csv" if arguments.csv else "application/json"
        try:
            answer = await api.text("query", question, accept=accept)
        except QueryError as error:
            _point_at(kql, error)
            raise
    if arguments.csv:
        print(answer.text, end="")
        _tell_cut(truncated=answer.headers.get("x-truncated") == "true", limit=answer.headers.get("x-limit"))
        return DONE
    result = decode(answer.content)
    if arguments.json:
        tables.show_json(result["rows"])
    else:
        columns = [column["name"] for column in result["columns"]]
        hidden = tables.show(columns, result["rows"])
        if hidden:
            say(
                f"{counted(len(hidden), 'more column does', 'more columns do')} not fit ({', '.join(hidden[:5])} …): choose with `| project`, or use --json."
            )
        if sys.stdout.isatty():
            say(f"{counted(len(result['rows']), 'row')} in {result['seconds']:.2f} s")
    _tell_cut(truncated=result["truncated"], limit=result["limit"])
    return DONE


def _point_at(kql: str, error: QueryError) -> None:
    """
    Show the line of the query that is meant, with a mark under the place.
    """
    lines = kql.splitlines()
    if not 0 < error.line <= len(lines):
        return
    line = lines[error.line - 1].expandtabs(1)
    start = max(0, error.column - LONGEST_SHOWN // 2)
    say(f"line {error.line}, column {error.column}:")
    say(f"  {line[start : start + LONGEST_SHOWN]}")
    say(f"  {' ' * (error.column - 1 - start)}^")


def _tell_cut(*, truncated: bool, limit: object) -> None:
    if truncated:
        which = "first row is" if str(limit) == "1" else f"first {limit} rows are"
        say(f"Only the {which} shown. Use --all for every row, or narrow the query.")
