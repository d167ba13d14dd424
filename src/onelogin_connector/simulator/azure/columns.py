"""
Values on their way into typed columns: what fits, what is converted, what becomes nothing.

The Logs Ingestion service documents that undeclared fields are dropped and long ones cut, not what it does with a
value of another type; here such a value is converted as Kusto's ``to…()`` functions do, and becomes null where they
give null.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from msgspec.json import encode

OLDEST_SECONDS = 2 * 86_400
AHEAD_SECONDS = 86_400
"""TimeGenerated beyond these bounds, seen from the arrival, becomes the arrival time."""

EXACT = 2**53
"""A double holds whole numbers up to here."""

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?P<clock>[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_SHORT_CHARACTERS = 4  # bytes of the longest character in UTF-8


def moment(text: str) -> datetime | None:
    """
    Read a time in ISO 8601; one without a zone is UTC. None for anything else.
    """
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_iso_time(text: str) -> bool:
    """
    Tell whether a text is a moment in ISO 8601, with its T; a date alone and other spellings are not.
    """
    found = _ISO.fullmatch(text)
    return bool(found and (found["clock"] or "").startswith("T") and moment(text))


def iso(seconds: float) -> str:
    """
    Write Unix seconds.
    """
    return iso_of(datetime.fromtimestamp(seconds, UTC))


def iso_of(when: datetime) -> str:
    """
    Write a moment in UTC as every column of type datetime holds it here.
    """
    return f"{when.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def generated(value: Any, now: float) -> tuple[str, bool]:
    """
    Return the TimeGenerated of a row, and whether it is the arrival time although another was given.
    """
    given = moment(value) if isinstance(value, str) else None
    if given is not None and now - OLDEST_SECONDS <= given.timestamp() <= now + AHEAD_SECONDS:
        return iso_of(given), False
    return iso(now), value is not None


def cut(value: str, most_bytes: int) -> str:
    """
    Return a text cut to a number of UTF-8 bytes, at the end of a character.
    """
    if len(value) * _SHORT_CHARACTERS <= most_bytes:
        return value
    encoded = value.encode("utf-8", "surrogatepass")
    return value if len(encoded) <= most_bytes else encoded[:most_bytes].decode("utf-8", "ignore")


def as_string(value: Any) -> str:
    """
    Write a value as text: an object or array as JSON, a number as JSON writes it.
    """
    return value if type(value) is str else encode(value).decode()


def as_real(value: Any) -> float | int | None:
    """
    Read a number; a whole one stays whole so that it can be compared, as far as a double holds it.
    """
    if type(value) is int:
        return value if abs(value) <= EXACT else float(value)
    if type(value) is str:
        try:
            value = float(value) if value.strip() and "_" not in value else None
        except ValueError:
            return None
    return value if type(value) is float else None


def _whole(bits: int) -> Callable[[Any], int | None]:
    edge = 2 ** (bits - 1)

    def convert(value: Any) -> int | None:
        is_text = type(value) is str and re.fullmatch(r"\s*[+-]?\d{1,20}\s*", value, re.ASCII)
        if is_text or (type(value) is float and value.is_integer()):
            value = int(value)
        return value if type(value) is int and -edge <= value < edge else None

    return convert


def as_boolean(value: Any) -> bool | None:
    """
    Read a truth value, also from its word.
    """
    if type(value) is str:
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if type(value) is bool else None


def as_datetime(value: Any) -> str | None:
    """
    Read a time.
    """
    found = moment(value.strip()) if type(value) is str else None
    return iso_of(found) if found else None


def as_dynamic(value: Any) -> Any:
    """
    Take any JSON as it is.
    """
    return value


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": as_string,
    "guid": as_string,
    "real": as_real,
    "long": _whole(64),
    "int": _whole(32),
    "boolean": as_boolean,
    "datetime": as_datetime,
    "dynamic": as_dynamic,
}
"""Type of a column, as rules and tables name it → what makes a value fit, or None of it."""
