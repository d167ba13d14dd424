"""
Values as OneLogin writes them: in several ways, each of which means the same.

Ids come as numbers, as text and as whole floats, times in three shapes with any number of digits, text with halves
of characters.
"""

from datetime import UTC, datetime
from functools import lru_cache
from re import DOTALL
from re import compile as pattern
from typing import Any

LAST_SECOND = 2**32 - 1  # seconds are held in four bytes
LONGEST_TIME = 64

_ESCAPE = pattern(
    rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    DOTALL,
)


def mended(raw: bytes) -> bytes:
    """
    Return JSON text with halves of surrogate pairs, as escapes, replaced by U+FFFD; of the same length.

    Programs that cut text without looking write them, and the JSON decoder refuses them. For reading only:
    what is kept are the bytes that came.
    """
    return _ESCAPE.sub(lambda escape: b"\\ufffd" if escape[2] else escape[0], raw)


def whole(value: Any) -> Any:
    """
    Return decimal text and whole floats as integers, anything else as it is.
    """
    kind = type(value)
    if kind is str:
        text = value.strip()
        digits = text[1:] if text[:1] == "-" else text
        # isdecimal accepts digits of every script, and int() reads them; only ASCII is an id
        if digits.isascii() and digits.isdecimal() and len(digits) < 40:
            return int(text)
        return text
    if kind is float and value.is_integer():
        return int(value)
    return value


def native_text(value: Any) -> str | None:
    """
    Return an id as text in its normal form, or None when there is none.
    """
    if type(value) not in (str, int, float):
        return None
    normal = whole(value)
    return str(normal) if normal != "" else None


_UUID = pattern(
    r"\s*(?:urn:uuid:)?(?P<brace>\{)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})"
    r"(?(brace)\})\s*"
)


def uuid_text(value: Any) -> str | None:
    """
    Return a uuid in lower case with its dashes; anything else as ``native_text`` does, in lower case.
    """
    if type(value) is not str:
        return native_text(value)
    text = value.lower()
    if len(text) == 36 and text[8] == "-":  # by far the most frequent
        return text
    match = _UUID.fullmatch(text) if len(text) >= 32 else None
    return "-".join(match.groups()[1:]) if match else native_text(text)


_TIME = pattern(
    r"\s*(\d{4})-(\d\d)-(\d\d)[T ]+(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?\s*(Z|UTC|GMT|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?\s*",
)


def parse_time_us(value: Any) -> int | None:
    """
    Read a time in any of the seen shapes as microseconds since 1970, UTC; None if it cannot be read.

    ``2020-08-21 00:32:38 UTC``, ISO 8601 with any number of fraction digits (cut to microseconds), with
    an offset or without (then UTC), and numbers as seconds or milliseconds since 1970.
    """
    if isinstance(value, str):
        return _parse_text(value) if len(value) < LONGEST_TIME else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 < value < 1e13:  # also false for what is no number
        return None
    result = int(value * (1_000 if value > 1e11 else 1_000_000))
    return result if result <= LAST_SECOND * 1_000_000 else None


@lru_cache(maxsize=4_096)  # events of one second share its text, and a batch most of its seconds
def _parse_text(value: str) -> int | None:
    match = _TIME.fullmatch(value.upper())
    return _from_match(*match.groups()) if match else None


def _from_match(
    year: str, month: str, day: str, hour: str, minute: str, second: str, fraction: str, zone: str
) -> int | None:
    # a leap second is the last second of its minute, so that it stays in its hour
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
        )
    except ValueError:
        return None
    if int(second) > 60:
        return None
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    result = int(moment.timestamp()) * 1_000_000 + micros
    if zone and zone[0] in "+-":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        result += minutes * (60_000_000 if zone[0] == "-" else -60_000_000)
    return result if 0 <= result <= LAST_SECOND * 1_000_000 else None
