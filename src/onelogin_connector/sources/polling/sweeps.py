"""
When an hour is swept, and what a sweep says about it.

Each hour is listed again 1, 6 and 24 hours after its end, by OneLogin's clock. It is settled when a sweep finds
the same ids as the one before; a new id reopens it. An hour that the schedule is through with but that is not
settled – it changed late, or was reached for the first time after an outage – is listed again one overlap
later, until two sweeps agree.
"""

from onelogin_connector.marks import Listing, Marks, SweptHour
from onelogin_connector.sources.polling.base import HOUR_US, SECOND_US

AGES_US = (1 * HOUR_US, 6 * HOUR_US, 24 * HOUR_US)
"""How long after the end of an hour it is swept."""


def hour_of(time_us: int) -> int:
    """
    Return the hour of a moment, counted from 1970.
    """
    return time_us // HOUR_US


def window(hour: int, *, start_us: int) -> Listing:
    """
    Return an hour's window; what lies before the first run's beginning is not asked for.
    """
    return Listing(since_us=max(start_us, hour * HOUR_US), until_us=(hour + 1) * HOUR_US)


def mark_is_due(marks: Marks) -> bool:
    """
    Tell whether the first hour that was never swept can be: it is over for long enough, and the tail is past it.
    """
    end_us = (marks.sweep_hour + 1) * HOUR_US
    return marks.watermark_us >= end_us and marks.server_us >= end_us + AGES_US[0]


def swept(hour: int, listing: Listing, before: SweptHour | None, *, now_us: int, again_us: int) -> SweptHour:
    """
    Return what is known of an hour after a sweep.

    Args:
        listing: Its window, listed to the end.
        before: What was known.
        now_us: OneLogin's clock when the sweep began.
        again_us: How much later an hour is listed again that is not settled.
    """
    same = before is not None and (before.digest, before.listed) == (listing.digest, listing.listed)
    end_us = (hour + 1) * HOUR_US
    due_us = next((end_us + age for age in AGES_US if end_us + age > now_us), None)
    if due_us is None and not same:
        due_us = now_us + again_us
    return SweptHour(
        hour=hour,
        sweeps=before.sweeps + 1 if before else 1,
        settled=same,
        listed=listing.listed,
        digest=listing.digest,
        at=now_us / SECOND_US,
        due_us=due_us,
    )
