"""
What is wrong with a query, said in the query's own words.

Neither the generated SQL nor the translator's insides may show: a person who reads KQL gets the identifier
they wrote, its place, and what to write instead.
"""

from collections.abc import Sequence
from itertools import pairwise
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

_RULE = pattern(r"([A-Z]\w*?)(?:Operator|Expression|Statement)(?:Part)?")
_ARITY = pattern(r"takes \(([\d, ]+)\) argument\(s\), got (\d+)")
_RULES = {"StringStarOperator": "* as a column"}
_INSIDE = (".py", "docs/", "wave", "duckdb", "DuckDB", "schema=", "R2", "SQL")
"""What a hint of the translator about its own insides contains."""


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
    if found[at].kind == "string":
        return _no_text(found[at].text, line, column)
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


def _no_text(written: str, line: int, column: int) -> QueryError:
    """
    Explain a quoted text that is not one, for the letter after one of its backslashes.
    """
    wrong = next((found for found in _ESCAPE.findall(written) if found[1] not in _ESCAPED), "")
    if not wrong or written[0] in "@`":
        return QueryError("This text is not expected here.", line=line, column=column)
    return QueryError(
        f"{wrong} has no meaning in a quoted text.",
        action=f'Write @ before the quotes, as in @"{wrong}", or two backslashes: "\\{wrong}".',
        line=line,
        column=column,
    )


def refuse_mistakes(text: str) -> None:
    """
    Refuse what the translator takes and the database does not: a comparison by ``=``, a negative ``take``.

    Raises:
        QueryError: The query has one.
    """
    found = list(tokens(text))
    operator, outer = "", []
    for before, token, after in zip([None, *found], found, [*found[1:], None], strict=False):
        if token.text in "([{":
            outer.append(operator)
        elif token.text in ")]}":
            operator = outer.pop() if outer else ""
        elif token.text == ";":
            operator = ""
        elif token.text == "|":
            operator = after.text if after else ""
        elif token.text == "-" and before and before.text == operator and _is_count(operator, after):
            raise _at(text, token, f"{before.text} needs a number from 0.", f"Write {before.text} 10, say.")
        elif token.text == "=" and operator in ("where", "filter") and _stands_alone(before, token, after):
            raise _at(text, token, "A comparison is written with two equals signs.", "Write == instead of =.")


_COUNTED = ("take", "limit", "top")
_ESCAPE = pattern(r"\\.")
_ESCAPED = "\\'\"nrtabfv0xuU01234567"


def _is_count(operator: str, after: Token | None) -> bool:
    return operator in _COUNTED and after is not None and after.kind == "number"


def _stands_alone(before: Token | None, token: Token, after: Token | None) -> bool:
    joined_before = before and before.text in ("=", "!", "<", ">") and before.start + 1 == token.start
    joined_after = after and after.text in ("=", "~", ">") and token.start + 1 == after.start
    return not joined_before and not joined_after


def _at(text: str, token: Token, message: str, action: str) -> QueryError:
    place = place_of(text, token.start)
    return QueryError(message, action=action, line=place.line, column=place.column)


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
    if construct == "multi-statement":
        return _two_queries(text)
    if construct.startswith("set "):
        return QueryError(f"{construct} is not supported.", action="Leave it out.", line=line, column=column)
    if construct in _COUNTED and "near" in hint:
        return QueryError(
            f"{construct} needs a number.", action=f"Write {construct} 10, say.", line=line, column=column
        )
    kind, _, name = construct.rpartition(":")
    name = _in_kql(name.strip() or construct)
    if not line and (place := find_name(text, name.split("(")[0].split(" ")[0])):
        line, column = place.line, place.column
    what = f"The function {name}" if "function" in kind or "aggregate" in kind else name
    if arity := _ARITY.search(hint):
        wanted = " or ".join(part for part in arity.group(1).replace(" ", "").split(",") if part)
        many = "" if wanted == "1" else "s"
        what = f"{what} takes {wanted} argument{many}, not {arity.group(2)}."
        return QueryError(what, action=SEE_DOCS, line=line, column=column)
    if hint and not any(sign in hint for sign in _INSIDE):
        return QueryError(
            f"{what} cannot be used like this: {hint}.", action=SEE_DOCS, line=line, column=column
        )
    return QueryError(
        f"{what} is not supported.", action=_renamed(name) or SEE_DOCS, line=line, column=column
    )


def _two_queries(text: str) -> QueryError:
    found = list(tokens(text))
    second = next(
        (
            after
            for token, after in pairwise(found)
            if token.text == ";" and after.text not in ("let", "set", "declare", ";")
        ),
        found[0],
    )
    return _at(
        text,
        second,
        "A second query begins here.",
        "Run one at a time, or name the first with let and use it.",
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
