"""
Cut JSON text into the values it lists, without reading them, even where it is damaged.

A JSON parser gives up at the first mistake. Here a mistake costs only the value it lies in: brackets are
paired outside of strings, and where they do not pair, the cut is made at the next place that looks like
``}, {``. Nothing is dropped: separators aside, the pieces in their order are the text. Work is linear in the
length of the text, whatever it holds; behind the first mistake, a value too large or too deep to be a record
is not scanned to its end.
"""

from re import Pattern
from re import compile as pattern

from msgspec import Struct

from onelogin_connector.event import LARGEST_RECORD_BYTES

DEEPEST = 500  # brackets; the JSON decoder gives up at about twice that
MOST_BRACKETS = LARGEST_RECORD_BYTES  # of one value: more have no room in a record, and each takes time
MOST_SECOND_LOOKS = 16
"""How often one cut may search a tangled value from its start: each search may scan a whole record."""
MOST_TANGLES = 1_000
"""After so many tangled values what follows is one more: text of nothing but brackets is not worth the time."""

# a raw line break ends a string: JSON forbids it there, so one stray quote spoils a line and not the rest
_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'
_INSIDE = pattern(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+")
_TEXT = pattern(rb'(?:[^"{}\[\],]++|' + _STRING + rb")++")
_SEPARATORS = pattern(rb"[\s,]*+")
_BOUNDARY = pattern(rb"\}(?=\s*+,\s*+\{)")
_LINE_REST = pattern(rb"[^\n]++")

_OPENING, _CLOSING, _QUOTE = b"{[", b"}]", ord('"')


class Cut(Struct):
    """
    What was cut off a text.
    """

    values: list[bytes]
    rest: int
    """Where the part begins that is not cut yet; the text's length when all is."""
    closed: bool = False
    """Whether the end of the array was found."""


def cut(text: bytes, at: int = 0, *, final: bool = True, most: int = 1_000_000) -> Cut:
    """
    Cut values off a text: bracketed ones, and whatever text stands between them.

    Args:
        at: Where the first value may begin; for an array, behind its opening bracket.
        final: Whether the text ends here. If not, a last value that may go on is left in ``rest``.
        most: Stop after this many values.
    """
    done = Cut([], at)
    tangles = 0
    patient = True
    while len(done.values) < most:
        start = done.rest = _end(_SEPARATORS, text, done.rest)
        if start == len(text):
            break
        if text[start] == ord("]"):
            done.closed, done.rest = True, start + 1
            break
        if text[start] not in _OPENING:
            end = _end_of_text(text, start)
            if end == len(text) and not final and end - start <= LARGEST_RECORD_BYTES:
                break
        else:
            end, whole = _end_of_value(text, start, patient=patient)
            if not whole:
                patient = False
                if end == len(text) and not final and end - start <= LARGEST_RECORD_BYTES:
                    break
                tangles += 1
                end = _next_boundary(text, start, end, tangles)
        done.values.append(text[start:end].rstrip())
        done.rest = end
    return done


def delimited(value: bytes) -> bool:
    """
    Return whether a text is one bracketed value from end to end, readable or not.
    """
    frame = value[:1] + value[-1:]
    return frame in (b"{}", b"[]") and _end_of_value(value, 0, patient=True) == (len(value), True)


def _end_of_value(text: bytes, start: int, *, patient: bool) -> tuple[int, bool]:
    """
    Return where a bracketed value ends and True, or where it went wrong and False.

    Args:
        patient: Whether the end of a value too large or too deep to be a record is looked for, as long as it has
            no more than ``MOST_BRACKETS``: for a text in which nothing went wrong yet.
    """
    limit = len(text) if patient else min(len(text), start + LARGEST_RECORD_BYTES + 1)
    deepest = MOST_BRACKETS if patient else DEEPEST
    expected = bytearray()
    at = start
    for _ in range(MOST_BRACKETS):
        at = _end(_INSIDE, text, at, limit)
        if at == limit:
            break
        char = text[at]
        if char in _OPENING:
            if len(expected) == deepest:
                return at, False
            expected.append(char + 2)  # in ASCII a closing bracket is two behind its opening one
        elif char in _CLOSING:
            if expected.pop() != char:
                return at, False
            if not expected:
                return at + 1, True
        else:
            at = _end(_LINE_REST, text, at, limit) - 1  # a quote without its partner
        at += 1
    return at, False


def _next_boundary(text: bytes, start: int, wrong: int, tangles: int) -> int:
    """
    Return where to cut a tangled value: behind the place that is wrong, else anywhere inside.
    """
    if tangles > MOST_TANGLES:
        return len(text)
    found = _BOUNDARY.search(text, wrong)
    if found is None and tangles <= MOST_SECOND_LOOKS:
        found = _BOUNDARY.search(text, start)
    return found.end() if found else len(text)


def _end_of_text(text: bytes, start: int) -> int:
    found = _TEXT.match(text, start)
    if found:
        return found.end()
    # a closing brace of nothing, or a quote without its partner
    return start + 1 if text[start] != _QUOTE else _end(_LINE_REST, text, start)


def _end(what: Pattern[bytes], text: bytes, at: int, limit: int | None = None) -> int:
    found = what.match(text, at) if limit is None else what.match(text, at, limit)
    return found.end() if found else at
