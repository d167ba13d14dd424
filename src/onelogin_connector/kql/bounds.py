"""
What keeps a short query from becoming an endless one.

DuckDB cannot stop a function between two rows of a chunk (2048 rows), and what functions write into a chunk
is not counted by its memory limit. So everything that makes much out of little is bounded here, before it
is made: repeated and joined texts, JSON made of JSON, generated rows, and ``let`` put into ``let``, which
doubles the SQL each time. The library ``duckdb-kql`` has no such bounds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

from onelogin_connector.errors import QueryError
from onelogin_connector.kql.library import LIBRARY_FORMS, Form, KqlUnsupportedError, ir, translate

MOST_REPEATS = 1_024
"""Of ``strrep``; Kusto has the same bound."""
LONGEST_TEXT = 256 << 10
"""Bytes of a text or JSON that a function puts together; less in a query with many such functions."""
CHUNK_BYTES = 1 << 30
"""What all texts put together may take within one chunk."""
CHUNK_ROWS = 2_048
LONGEST_SEARCHED = 4_096
"""Characters in which ``countof`` counts: its time grows with their square."""
MOST_GENERATED = 1_000_000
"""Rows of one ``range``."""
LARGEST_TREE = 50_000
"""Nodes of a query after each ``let`` was put in where it is used."""
LARGEST_SQL = 2_000_000
"""Characters."""
MOST_WRITING = 256
"""Arguments of functions that put texts together."""
LONGEST_DELIMITER = 16

TEXT_MARK = "text longer than the bound"
ROWS_MARK = "more rows than the bound"
SEARCH_MARK = "searched text longer than the bound"
"""What DuckDB's error says where a bound is met; ``messages`` knows them."""

GROWING = frozenset({"strcat", "strcat_delim", "strcat_array", "strrep", "replace", "replace_string"}) | {
    *("replace_regex", "array_concat", "pack_array", "pack", "bag_pack", "zip")
}
"""Functions whose result may be larger than what goes in."""
_LIMIT = "9007199254740881"
"""Stands in the SQL where the longest text goes, which is known only when all of the query is."""
_LIMIT_OF = f"({_LIMIT} // {{}})"


class TooLargeQuery(QueryError):
    """
    The query becomes too large.
    """


def check_tree(tree: ir.Query) -> None:
    """
    Refuse a query that becomes too large when its parts are put together.

    Raises:
        QueryError: It does.
    """
    sizes: dict[int, int] = {}
    # an explicit stack: a chain of lets may be longer than Python recurses
    waiting: list[tuple[Any, bool]] = [(tree, False)]
    while waiting:
        node, parts_known = waiting.pop()
        if id(node) in sizes:
            continue
        parts = list(_parts(node))
        if parts_known:
            sizes[id(node)] = 1 + sum(sizes.get(id(part), 1) for part in parts)
            if sizes[id(node)] > LARGEST_TREE:
                raise too_large()
        else:
            waiting.append((node, True))
            waiting.extend((part, False) for part in parts)


def _parts(node: Any) -> Iterator[Any]:
    if is_dataclass(node) and not isinstance(node, type):
        for field in fields(node):
            yield getattr(node, field.name)
    elif isinstance(node, list | tuple | set | frozenset):
        yield from node
    elif isinstance(node, dict):
        yield from node.values()


def within(sql: str, calls: list[ir.FunctionCall]) -> str:
    """
    Put the longest text into a query's SQL.

    Args:
        calls: The calls of functions in the query.

    Raises:
        QueryError: The SQL is too long, or puts too many texts together.
    """
    if len(sql) > LARGEST_SQL:
        raise too_large()
    shares = sum(map(_share, calls))
    if shares > MOST_WRITING:
        raise TooLargeQuery(
            f"The query puts texts together in {shares} places; at most {MOST_WRITING} are taken.",
            action="Leave some out, or use a query of its own for them.",
        )
    others = len(calls) // 4
    return sql.replace(_LIMIT, str(min(LONGEST_TEXT, CHUNK_BYTES // CHUNK_ROWS // max(1, shares + others))))


def _share(call: ir.FunctionCall) -> int:
    name = call.name.lower()
    if name not in GROWING:
        return 0
    return max(1, sum(not isinstance(argument, ir.Literal) for argument in call.args))


def too_large() -> TooLargeQuery:
    """
    Make what is raised where parts double each other.
    """
    return TooLargeQuery(
        "The query becomes too large when its parts are put together.",
        action="A let that is used several times in another let doubles each time; use extend for it.",
    )


def _repeat(node: ir.FunctionCall) -> str | None:
    if len(node.args) != 2:
        return None
    text, count = map(translate.render_expr, node.args)
    times = f"least(_v.n, {MOST_REPEATS})"
    # checked in the argument of repeat, and so before anything is repeated
    return (
        f"list_transform([{{'t': CAST({text} AS VARCHAR), 'n': CAST({count} AS BIGINT)}}], lambda _v: repeat(_v.t, "
        f"CASE WHEN strlen(_v.t) * {times} > {_LIMIT} THEN error('{TEXT_MARK}') ELSE {times} END))[1]"
    )


def _replace(node: ir.FunctionCall) -> str | None:
    if len(node.args) != 3:
        return None
    text, old, new = map(translate.render_expr, node.args)
    # at most there is the new text in each place; a text that is no longer than the old one makes nothing longer
    longer = "strlen(_v.n) > strlen(_v.o) AND (strlen(_v.t) // greatest(strlen(_v.o), 1) + 1)"
    return (
        f"list_transform([{{'t': CAST({text} AS VARCHAR), 'o': CAST({old} AS VARCHAR), 'n': CAST({new} AS VARCHAR)}}], "
        f"lambda _v: replace(_v.t, _v.o, CASE WHEN {longer} * strlen(_v.n) > {_LIMIT} "
        f"THEN error('{TEXT_MARK}') ELSE _v.n END))[1]"
    )


def _replace_regex(node: ir.FunctionCall) -> str | None:
    if len(node.args) != 3:
        return None
    text, old, new = map(translate.render_expr, node.args)
    if not isinstance(node.args[1], ir.Literal) or not isinstance(node.args[2], ir.Literal):
        raise KqlUnsupportedError(
            "function:replace_regex", hint="its expression and its replacement must be written as texts"
        )
    # a replacement may name what was found once in every two of its letters, and stands between any two of the text
    most = _LIMIT_OF.format(len(str(node.args[2].value)) + 1)
    return (
        f"list_transform([CAST({text} AS VARCHAR)], lambda _v: regexp_replace("
        f"CASE WHEN strlen(_v) > {most} THEN error('{TEXT_MARK}') ELSE _v END, {old}, {new}, 'g'))[1]"
    )


def _countof(node: ir.FunctionCall) -> str | None:
    sql = LIBRARY_FORMS["countof"](node)
    if not node.args or sql is None:
        return sql
    long = f"length(CAST({translate.render_expr(node.args[0])} AS VARCHAR)) > {LONGEST_SEARCHED}"
    return f"CASE WHEN {long} THEN CAST(error('{SEARCH_MARK}') AS BIGINT) ELSE {sql} END"


def _checked(name: str) -> Form:
    """
    Return the form of a function whose result is looked at when it is there: that of parts within bounds.
    """

    def rendered(node: ir.FunctionCall) -> str | None:
        if name == "strcat_array" and len(node.args) == 2:
            delimiter = node.args[1]
            if not isinstance(delimiter, ir.Literal) or len(str(delimiter.value)) > LONGEST_DELIMITER:
                hint = f"its delimiter must be a text of at most {LONGEST_DELIMITER} letters"
                raise KqlUnsupportedError(f"function:{name}", hint=hint)
        sql = LIBRARY_FORMS[name](node)
        if sql is None:
            return None
        long = f"strlen(CAST(_v AS VARCHAR)) > {_LIMIT}"
        return (
            f"list_transform([{sql}], lambda _v: CASE WHEN {long} THEN error('{TEXT_MARK}') ELSE _v END)[1]"
        )

    return rendered


def render_range(source: ir.RangeSource) -> str:
    """
    Give a range whose number of rows is looked at before they are made.
    """
    bounds = (source.start, source.stop, source.step)
    rendered = [translate.render_expr(bound) for bound in bounds]
    is_time, is_span = translate._is_datetime_expr, translate._is_timespan_expr  # noqa: SLF001
    if any(is_time(bound) or is_span(bound) for bound in bounds):
        start, stop, step = (f"CAST(epoch_us({bound}) AS DOUBLE)" for bound in rendered)
    else:
        rendered = [f"CAST({bound} AS BIGINT)" for bound in rendered]
        start, stop, step = (f"CAST({bound} AS DOUBLE)" for bound in rendered)
    many = f"abs(({stop} - {start}) / nullif({step}, 0)) >= {MOST_GENERATED}"
    first = f"CASE WHEN {many} THEN error('{ROWS_MARK}') ELSE {rendered[0]} END"
    name = source.name.replace('"', '""')
    return f'SELECT UNNEST(generate_series({first}, {rendered[1]}, {rendered[2]})) AS "{name}"'


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        **{name: _checked(name) for name in GROWING},
        "strrep": _repeat,
        "replace": _replace,
        "replace_string": _replace,
        "replace_regex": _replace_regex,
        "countof": _countof,
    }
)
"""Function → its SQL within bounds."""
