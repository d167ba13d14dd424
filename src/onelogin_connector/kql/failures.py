"""
Why a translated query could not be run, said in the query's own words.

Of an error of DuckDB only identifiers, types and places are taken, and a value only where it stands in the
query itself: an error about a stored event would else show it to whoever may read the message.
"""

from re import DOTALL, IGNORECASE, MULTILINE
from re import compile as pattern

from onelogin_connector.errors import QueryError
from onelogin_connector.kql.messages import SEE_DOCS
from onelogin_connector.kql.plan import Schema
from onelogin_connector.kql.text import Place, find_name, near, place_of, tokens

_COLUMN = (
    pattern(r'Referenced column "([^"]+)" (?:was )?not found'),
    pattern(r'does not have a column named "([^"]+)"'),
    pattern(r'column "?([^"\s]+)"? does not exist', IGNORECASE),
    pattern(r'Column "([^"]+)" (?:in|not|referenced)'),
)
_NO_CONDITION = pattern(r"[Cc]ould not convert string .* to BOOL|to BOOL")
_CONVERSION = pattern(r"""Could not convert string ['"](.*?)['"] to (\w+)""", DOTALL)
_FUNCTION = pattern(r"No function matches the given name and argument types '([^'(]+)\(")
_TIME = pattern(r"invalid timestamp|invalid date field|timestamp field value out of range", IGNORECASE)
_BOUNDS = {
    "searched text longer than the bound": (
        "countof got a text of more than 4096 characters.",
        "Count in a part of it: substring(…, 0, 4096).",
        "countof",
    ),
    "text longer than the bound": (
        "A text that the query puts together becomes too long.",
        "Shorten its parts with substring(…), or put fewer together.",
        "",
    ),
    "more rows than the bound": (
        "range gives more than a million rows.",
        "Choose a larger step, or closer ends.",
        "range",
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


_SOURCE = pattern(r"when casting from source column (\w+)")
_TYPES = pattern(r"values of type ([A-Z][A-Z0-9 ]*?) and (?:type )?([A-Z][A-Z0-9 ]*?)(?: in | -)")
_POINTED = pattern(r"^LINE \d+: (?P<sql>.*)\n(?P<space> *)\^", MULTILINE)
_QUOTED = pattern(r'"((?:[^"]|"")+)"|\'((?:[^\']|\'\')*)\'')


def of_database(message: str, text: str, schema: Schema) -> QueryError:
    """
    Explain an error of DuckDB about a translated query.

    Args:
        message: The error's text.
    """
    column = next((match for one in _COLUMN if (match := one.search(message))), None)
    if column:
        return _no_column(column.group(1), text, schema)
    what, action, place = _explained(message, text)
    place = place or _pointed(message, text)
    return QueryError(
        what, action=action, line=place.line if place else 0, column=place.column if place else 0
    )


def _explained(message: str, text: str) -> tuple[str, str, Place | None]:
    """
    Return what is wrong, what to do, and the place where the error itself tells it.
    """
    for mark, (what, action, name) in _BOUNDS.items():
        if mark in message:
            return what, action, find_name(text, name) if name else None
    source = _SOURCE.search(message)
    place = find_name(text, source.group(1)) if source else None
    if _NO_CONDITION.search(message):
        return (
            "A condition must be true or false, and this one is neither.",
            "Compare with ==, as in UserName == 'x', or ask isnotempty(…).",
            place,
        )
    if _TIME.search(message):
        action = "Write times as datetime(2026-01-31 12:00) or ago(1d)."
        return "A text that is no time is compared or used with a time.", action, place
    converted = _CONVERSION.search(message)
    if converted:
        return _not_converted(converted.group(1), converted.group(2), source and source.group(1), text)
    if types := _TYPES.search(message):
        return _different(*types.groups())
    if function := _FUNCTION.search(message):
        place = find_name(text, function.group(1))
        return (
            "An operator or function got a value of a type it does not take.",
            "Text operators need tostring(…), calculations tolong(…) or todouble(…); getschema shows the types.",
            place,
        )
    if "Overflow" in message or "Out of Range" in message:
        return "A number or time became too large.", "Convert to real with todouble(…).", None
    if "must appear in the GROUP BY" in message:
        what = "summarize uses a column outside of an aggregate."
        return what, "Put it after by, or into take_any(…).", None
    return "The query cannot be run as it is written.", f"Check types and names. {SEE_DOCS}", None


def _no_column(name: str, text: str, schema: Schema) -> QueryError:
    found = list(tokens(text))
    at = next((n for n, token in enumerate(found) if token.text == name), None)
    place = find_name(text, name) if at is None else place_of(text, found[at].start)
    line, column = (place.line, place.column) if place else (0, 0)
    if name[:1].isdigit():
        action = "Timespans are written as 7d, 12h, 30m, 10s or 500ms."
        return QueryError(f"{name} is no number and no timespan.", action=action, line=line, column=column)
    if at is not None and (at == 0 or found[at - 1].text == ";"):
        whole = name
        if [token.text for token in found[at + 1 : at + 2]] == ["."] and len(found) > at + 2:
            whole = f"{name}.{found[at + 2].text}"
        action = near(whole, schema)
        return QueryError(f"There is no table {whole}.", action=action, line=line, column=column)
    used = [columns for table, columns in schema.items() if find_name(text, table)]
    known = dict.fromkeys(column for columns in used or schema.values() for column in columns)
    action = near(name, known) or "The operators before it decide which columns there are."
    return QueryError(f"There is no column {name} here.", action=action, line=line, column=column)


def _not_converted(value: str, type_: str, source: str | None, text: str) -> tuple[str, str, Place | None]:
    kind = KQL_TYPES.get(type_.upper(), "another type")
    place = find_name(text, value)
    if source or not place:
        # the value is a stored event's: only the column may be named
        what = f"{source}, a string," if source else "A string"
        where = find_name(text, source) if source else None
        return f"{what} is compared or used with a value of type {kind}.", _COMPARE_TEXT, where
    return (
        f"The text '{value[:60]}' is compared or used with a value of type {kind}, and is none.",
        "Convert the other side with tostring(…), or write the value without quotes.",
        place,
    )


_COMPARE_TEXT = (
    "Compare a string with a string: write the value in quotes, or convert the column with tolong(…)."
)
_COMPARE_TIME = "Compare a time with a time, as in TimeGenerated > ago(1d) or datetime(2026-01-31)."


def _different(left: str, right: str) -> tuple[str, str, None]:
    kinds = [KQL_TYPES.get(one, "dynamic") for one in (left, right)]
    action = "Convert one of them: tostring(…), tolong(…), todouble(…), todatetime(…)."
    if "datetime" in kinds:
        action = f"{_COMPARE_TIME} To convert there are todatetime(…) and tostring(…)."
    elif "string" in kinds:
        action = f"{_COMPARE_TEXT[:-1]}; tostring(…) makes a string."
    return f"Values of different types are compared: {kinds[0]} and {kinds[1]}.", action, None


def _pointed(message: str, text: str) -> Place | None:
    """
    Return the place of the name, or else the text, that stands where DuckDB points at in its SQL.
    """
    pointed = _POINTED.search(message)
    if not pointed:
        return None
    # the caret counts from the beginning of the line with its "LINE n: "
    sql = pointed.group(0).partition("\n")[0]
    at = len(pointed.group("space"))
    found = list(_QUOTED.finditer(sql))
    for one in [
        *(one for one in found if one.end() > at),
        *(one for one in reversed(found) if one.end() <= at),
    ]:
        if place := find_name(text, one.group(1) or one.group(2) or ""):
            return place
    return None
