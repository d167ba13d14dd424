"""
What is wrong with a query, said in the query's own words.

Neither the generated SQL nor the translator's insides may show: a person who reads KQL gets the identifier
they wrote, its place, and what to write instead.
"""

from collections.abc import Sequence
from re import DOTALL, IGNORECASE, Match
from re import compile as pattern

from onelogin_connector.errors import QueryError
from onelogin_connector.kql.plan import Schema
from onelogin_connector.kql.text import Token, find_name, near, place_of, tokens, unclosed

SEE_DOCS = "docs/kql.md lists what is supported."

SUPPORTED = frozenset(
    {"count", "datatable", "distinct", "extend", "filter", "getschema", "invoke", "join", "limit", "lookup"}
    | {"mv-expand", "order", "parse", "print", "project", "project-away", "project-rename", "range", "render"}
    | {"sort", "summarize", "take", "top", "union", "where"}
)
OPERATORS = SUPPORTED | {
    *(
        "as",
        "consume",
        "evaluate",
        "facet",
        "find",
        "fork",
        "make-series",
        "mv-apply",
        "parse-kv",
        "parse-where",
    ),
    *(
        "partition",
        "project-keep",
        "project-reorder",
        "reduce",
        "sample",
        "sample-distinct",
        "scan",
        "search",
    ),
    *("serialize", "top-hitters", "top-nested", "externaldata"),
}
"""Operators that KQL has."""

NEW_NAMES = {
    "makeset": "make_set",
    "makelist": "make_list",
    "mvexpand": "mv-expand",
    "arraylength": "array_length",
}
"""Old spellings that other products still take."""

_COLUMN = (
    pattern(r'Referenced column "([^"]+)" not found'),
    pattern(r'does not have a column named "([^"]+)"'),
    pattern(r'column "?([^"\s]+)"? does not exist', IGNORECASE),
    pattern(r'Column "([^"]+)" (?:in|not|referenced)'),
)
_NO_CONDITION = pattern(r"[Cc]ould not convert string .* to BOOL|to BOOL")
_CONVERSION = pattern(r"""Could not convert string ['"](.*?)['"] to (\w+)""", DOTALL)
_FUNCTION = pattern(r"No function matches the given name and argument types '([^'(]+)\(")
_TIME = pattern(r"invalid timestamp|invalid date field|timestamp field value out of range", IGNORECASE)
_RULE = pattern(r"([A-Z]\w*?)(?:Operator|Expression|Statement)(?:Part)?")
_RULES = {"StringStarOperator": "* as a column"}
_INSIDE = (".py", "docs/", "wave", "duckdb", "DuckDB", "schema=", "R2", "SQL")
"""What a hint of the translator about its own insides contains."""

_BOUNDS = {
    "searched text longer than the bound": (
        "countof got a text of more than 4096 characters.",
        "Count in a part of it: substring(…, 0, 4096).",
    ),
    "text longer than the bound": (
        "A text that the query puts together becomes too long.",
        "Shorten its parts with substring(…), or put fewer together.",
    ),
    "more rows than the bound": (
        "range gives more than a million rows.",
        "Choose a larger step, or closer ends.",
    ),
}
"""What the translated query says where it meets a bound → what the person is told."""

KQL_TYPES = {
    "VARCHAR": "string",
    "BIGINT": "long",
    "INT64": "long",
    "INTEGER": "int",
    "INT32": "int",
    "DOUBLE": "real",
    "BOOLEAN": "bool",
    "BOOL": "bool",
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "DATE": "datetime",
    "INTERVAL": "timespan",
    "UUID": "guid",
    "JSON": "dynamic",
}
"""DuckDB's word for a type → KQL's."""


def refuse_commands(text: str) -> None:
    """
    Refuse control commands, which begin with a dot.

    Raises:
        QueryError: The query is one.
    """
    first = next(tokens(text), None)
    if first and first.text == ".":
        place = place_of(text, first.start)
        raise QueryError(
            "Control commands are not supported.",
            action="A query begins with a table, such as: OneLogin | take 10",
            line=place.line,
            column=place.column,
        )


def syntax(text: str, line: int, column: int, message: str) -> QueryError:
    """
    Explain text that cannot be parsed.
    """
    if open_ := unclosed(text):
        place = place_of(text, open_.start)
        return QueryError(f"This {open_.text[0]} is not closed.", line=place.line, column=place.column)
    found = list(tokens(text))
    at = next((n for n, token in enumerate(found) if place_of(text, token.start) == (line, column)), None)
    if at is None:
        ended = "<EOF>" in message or not found
        return QueryError(
            "The query ends too early." if ended else "The query cannot be understood here.",
            line=line,
            column=column,
        )
    if found[at].text != "|" or at + 1 >= len(found) or found[at + 1].kind != "name":
        return QueryError(f"{found[at].text[:40]} is not expected here.", line=line, column=column)
    word = _hyphenated(found[at + 1 :])
    place = place_of(text, found[at + 1].start)
    if word in OPERATORS:
        what, action = f"The operator {word} cannot be understood as written here.", "Look at its arguments."
        if word not in SUPPORTED:
            what, action = f"The operator {word} is not supported.", SEE_DOCS
    else:
        what, action = f"There is no operator {word}.", _renamed(word) or near(word, sorted(SUPPORTED))
    return QueryError(what, action=action, line=place.line, column=place.column)


def _hyphenated(following: Sequence[Token]) -> str:
    """
    Join the pieces of an operator such as ``project-away``.
    """
    word, end = "", following[0].start
    for token in following:
        if token.start != end or not (token.text == "-" or token.kind == "name"):
            break
        word, end = word + token.text, token.start + len(token.text)
    return word


def unsupported(text: str, construct: str, hint: str, line: int, column: int) -> QueryError:
    """
    Name a construct that is known and not supported.
    """
    kind, _, name = construct.rpartition(":")
    name = _in_kql(name.strip() or construct)
    if not line and (place := find_name(text, name.split("(")[0].split(" ")[0])):
        line, column = place.line, place.column
    what = f"The function {name}" if "function" in kind or "aggregate" in kind else name
    if hint and not any(sign in hint for sign in _INSIDE):
        return QueryError(
            f"{what} cannot be used like this: {hint}.", action=SEE_DOCS, line=line, column=column
        )
    return QueryError(
        f"{what} is not supported.", action=_renamed(name) or SEE_DOCS, line=line, column=column
    )


def _in_kql(construct: str) -> str:
    """
    Return a grammar rule's name as KQL spells it: ``MakeSeriesOperator`` is ``make-series``.
    """
    rule = _RULE.fullmatch(construct)
    if not rule:
        return construct
    bare = _RULES.get(rule.group(1)) or rule.group(1).lower()
    return next((operator for operator in OPERATORS if operator.replace("-", "") == bare), bare)


def _renamed(name: str) -> str:
    newer = NEW_NAMES.get(name)
    return f"Its name is now {newer}." if newer and newer != name else ""


def schema_error(text: str, name: str, hint: str, schema: Schema) -> QueryError:
    """
    Explain a name that is missing, or used twice.
    """
    place = find_name(text, name)
    line, column = (place.line, place.column) if place else (0, 0)
    if "differ only in case" in hint:
        return QueryError(
            "Two columns differ only in upper and lower case, which the store cannot tell apart.",
            action="Rename one with project-rename.",
            line=line,
            column=column,
        )
    if "names two columns" in hint:
        return QueryError(f"Two columns are named {name}.", action="Rename one.", line=line, column=column)
    if "wildcard matched no table" in hint:
        return QueryError(f"No table matches {name}.", action=near(name, schema), line=line, column=column)
    if "unknown table" in hint:
        return QueryError(f"There is no table {name}.", action=near(name, schema), line=line, column=column)
    return QueryError(f"{name} cannot be resolved here.", action=SEE_DOCS, line=line, column=column)


def of_database(message: str, text: str, schema: Schema) -> QueryError:
    """
    Explain an error of DuckDB about a translated query.

    Args:
        message: The error's text; only identifiers and values of the query's own are taken from it.
    """
    column = next((match for one in _COLUMN if (match := one.search(message))), None)
    if column:
        return _no_column(column.group(1), text, schema)
    if _NO_CONDITION.search(message):
        return QueryError(
            "A condition must be true or false, and this one is neither.",
            action="Compare with ==, not with =.",
        )
    if _TIME.search(message):
        return QueryError(
            "A text that is no time is compared or used with a time.",
            action="Write times as datetime(2026-01-31 12:00) or ago(1d).",
        )
    for mark, (what, action) in _BOUNDS.items():
        if mark in message:
            return QueryError(what, action=action)
    converted = _CONVERSION.search(message)
    if converted:
        return _not_converted(converted, text)
    if "Cannot compare values of type" in message or "Cannot mix values of type" in message:
        return QueryError(
            "Values of different types are compared.",
            action="Convert one of them: tostring(), tolong(), todouble(), todatetime().",
        )
    function = _FUNCTION.search(message)
    if function:
        return QueryError(
            "An operator or function got a value of a type it does not take.",
            action="Text operators need tostring(…), calculations tolong(…) or todouble(…); getschema shows the types.",
        )
    if "Overflow" in message or "Out of Range" in message:
        return QueryError("A number or time became too large.", action="Convert to real with todouble(…).")
    if "must appear in the GROUP BY" in message:
        return QueryError(
            "summarize uses a column outside of an aggregate.", action="Put it after by, or into take_any(…)."
        )
    return QueryError(
        "The query cannot be run as it is written.", action=f"Check types and names. {SEE_DOCS}"
    )


def _no_column(name: str, text: str, schema: Schema) -> QueryError:
    place = find_name(text, name)
    used = [columns for table, columns in schema.items() if find_name(text, table)]
    known = dict.fromkeys(column for columns in used or schema.values() for column in columns)
    return QueryError(
        f"There is no column {name} here.",
        action=near(name, known) or "The operators before it decide which columns there are.",
        line=place.line if place else 0,
        column=place.column if place else 0,
    )


def _not_converted(match: Match[str], text: str) -> QueryError:
    value = match.group(1)[:60]
    kind = KQL_TYPES.get(match.group(2).upper(), "another type")
    place = find_name(text, value)
    return QueryError(
        f"The text '{value}' is compared or used with a value of type {kind}, and is none.",
        action="Convert the other side with tostring(…), or write the value without quotes.",
        line=place.line if place else 0,
        column=place.column if place else 0,
    )
