"""
Places in a query's text.

The translator seldom says where a name stands, so it is looked up here: the first identifier of that
name outside of strings and comments.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from re import DOTALL, VERBOSE
from re import compile as pattern
from typing import NamedTuple

_TOKEN = pattern(
    r"""(?P<comment>//[^\n]*)
    |(?P<string>[hH]?@"(?:[^"]|"")*"|[hH]?@'(?:[^']|'')*'|```.*?```|[hH]?"(?:[^"\\\n]|\\.)*"|[hH]?'(?:[^'\\\n]|\\.)*')
    |(?P<name>[A-Za-z_$][A-Za-z0-9_]*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>[^\s\w])""",
    VERBOSE | DOTALL,
)


class Token(NamedTuple):
    """
    A piece of a query.
    """

    kind: str
    text: str
    start: int


class Place(NamedTuple):
    """
    A position, both parts from 1.
    """

    line: int
    column: int


def tokens(text: str) -> Iterator[Token]:
    """
    Cut a query into strings, names, numbers and signs, without its comments.
    """
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "comment":
            yield Token(kind, match.group(), match.start())


def place_of(text: str, start: int) -> Place:
    """
    Return line and column of an index.
    """
    before = text[:start]
    return Place(before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1)


def find_name(text: str, name: str) -> Place | None:
    """
    Return where an identifier, or a quoted ``['name']``, stands first.
    """
    for token in tokens(text):
        if (token.kind == "name" and token.text == name) or (
            token.kind == "string" and token.text[1:-1] == name
        ):
            return place_of(text, token.start)
    return None


def too_deep(text: str, limit: int) -> Place | None:
    """
    Return the bracket that opens one level too many.
    """
    depth = 0
    for token in tokens(text):
        if token.kind != "sign":
            continue
        if token.text in "([{":
            depth += 1
            if depth > limit:
                return place_of(text, token.start)
        elif token.text in ")]}":
            depth -= 1
    return None


def unclosed(text: str) -> Token | None:
    """
    Return the bracket or quote that is opened and not closed.
    """
    waiting: list[Token] = []
    for token in tokens(text):
        if token.kind != "sign":
            continue
        if token.text in "\"'":
            return token
        if token.text in "([{":
            waiting.append(token)
        elif token.text in ")]}" and waiting:
            waiting.pop()
    return waiting[-1] if waiting else None


def near(name: str, known: Iterable[str]) -> str:
    """
    Return a sentence that names what was probably meant; the whole choice where it is short.
    """
    choice = list(known)
    folded = {other.lower(): other for other in choice}
    if name.lower() in folded:
        return f"Names are case-sensitive: write {folded[name.lower()]}."
    close = [folded[match] for match in get_close_matches(name.lower(), folded, n=3, cutoff=0.6)]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are {', '.join(choice)}." if 0 < len(choice) <= 12 else ""
