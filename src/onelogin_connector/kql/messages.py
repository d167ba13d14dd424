"""
What is wrong with a query, said in the query's own words.

Neither the generated SQL nor the translator's insides may show: a person who reads KQL gets the identifier
they wrote, its place, and what to write instead.
"""

from collections.abc import Iterable
from re import Match
from re import compile as pattern

from onelogin_connector.errors import QueryError
from onelogin_connector.kql.compiler import Schema
from onelogin_connector.kql.text import find_name, near, place_of, tokens

SEE_DOCS = "docs/kql.md lists what is supported."

OPERATORS = (
    "as consume count datatable distinct evaluate extend facet filter find fork getschema invoke join limit "
    "lookup make-series mv-apply mv-expand order parse parse-kv parse-where partition print project project-away "
    "project-keep project-rename project-reorder range reduce render sample sample-distinct scan search "
    "serialize sort summarize take top top-hitters top-nested union where"
).split()

NEW_NAMES = {
    "makeset": "make_set",
    "makelist": "make_list",
    "mvexpand": "mv-expand",
    "arraylength": "array_length",
    "makestring": "make_string",
    "toupper": "toupper",
}
"""Old spellings that other products still take."""

_COLUMN = (
    pattern(r'Referenced column "([^"]+)" not found'),
    pattern(r'does not have a column named "([^"]+)"'),
    pattern(r'column "?([^"\s]+)"? does not exist', 2),
    pattern(r'Column "([^"]+)" (?:in|not)'),
)
_NO_CONDITION = pattern(r"[Cc]ould not convert string .* to BOOL|to BOOL")
_CONVERSION = pattern(r"""Could not convert string ['"](.*?)['"] to (\w+)""", 16)
_FUNCTION = pattern(r"No function matches the given name and argument types '(\w+)\(")

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
    found = list(tokens(text))
    at = next((n for n, token in enumerate(found) if place_of(text, token.start) == (line, column)), None)
    if at is None:
        if "<EOF>" in message or at is None:
            return QueryError(
                "The query ends too early, or a bracket or string is not closed.", line=line, column=column
            )
    elif found[at].text == "|" and at + 1 < len(found) and found[at + 1].kind == "name":
        word = _hyphenated(found[at + 1 :])
        place = place_of(text, found[at + 1].start)
        if word not in OPERATORS:
            return QueryError(
                f"There is no operator {word}.",
                action=_renamed(word) or near(word, OPERATORS),
                line=place.line,
                column=place.column,
            )
        return QueryError(
            f"The operator {word} cannot be understood as written here.",
            action="Look at its arguments.",
            line=place.line,
            column=place.column,
        )
    if at is None:
        return QueryError("The query cannot be understood.", line=line, column=column)
    return QueryError(f"{found[at].text[:40]} is not expected here.", line=line, column=column)


def _hyphenated(following: Iterable[object]) -> str:
    word = ""
    end = -1
    for token in following:
        text, start = token.text, token.start  # type: ignore[attr-defined]
        if end not in (-1, start):
            break
        if not (text == "-" or text.replace("_", "a").isalnum()):
            break
        word, end = word + text, start + len(text)
    return word


def unsupported(text: str, construct: str, hint: str, line: int, column: int) -> QueryError:
    """
    Name a construct that is known and not supported.
    """
    kind, _, name = construct.rpartition(":")
    name = name.strip() or construct
    if not line and (place := find_name(text, name.split("(")[0].split(" ")[0])):
        line, column = place.line, place.column
    what = f"The function {name}" if "function" in kind or "aggregate" in kind else name
    plain = hint and not any(sign in hint for sign in (".py", "docs/", "wave", "duckdb", "DuckDB", "schema="))
    action = _renamed(name) or (f"{hint[0].upper()}{hint[1:]}." if plain else SEE_DOCS)
    return QueryError(f"{what} is not supported.", action=action, line=line, column=column)


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
            "A condition must be true or false, and this one is neither.", action="Compare with ==, not with =."
        )
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
    return QueryError("The query cannot be run as it is written.", action=f"Check types and names. {SEE_DOCS}")


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
