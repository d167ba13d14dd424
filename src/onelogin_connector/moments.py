"""
Moments as text: RFC 3339 in UTC, ending in ``Z``.
"""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text_of(seconds: float | None) -> str | None:
    """
    Return Unix seconds as text, to the millisecond; None where there is no moment.
    """
    if not seconds:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def text_of_us(time_us: int) -> str:
    """
    Return microseconds since 1970 as text, to the microsecond.
    """
    return (EPOCH + timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")
