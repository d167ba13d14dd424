"""
Which window the tail and the overlap read next, and how far the watermark moves after it.

Pure functions over the marks. Times are microseconds since 1970 of OneLogin's clock.
"""

from msgspec import structs

from onelogin_connector.marks import Listing, Marks
from onelogin_connector.sources.polling import sweeps
from onelogin_connector.sources.polling.base import DAY_US, MINUTE_US, SECOND_US
from onelogin_connector.sources.polling.listing import FIRST_SPAN_US, next_span_us

FIRST_RUN_US = DAY_US
"""How far back the first run begins if nothing else is said."""

MOST_AHEAD_US = 5 * MINUTE_US
"""A watermark further than this ahead of OneLogin's own clock came from a clock that was wrong."""


def first_marks(start_us: int) -> Marks:
    """
    Return the marks of a poller that has read nothing yet.
    """
    return Marks(
        start_us=start_us,
        watermark_us=start_us,
        overlap_us=start_us,
        sweep_hour=sweeps.hour_of(start_us),
        span_us=FIRST_SPAN_US,
    )


def window(marks: Marks, target_us: int) -> Listing:
    """
    Return the tail's next window.

    Args:
        target_us: Where it should end by our estimate of OneLogin's clock. It may be wrong: how far the
            watermark moves does not depend on it.
    """
    # a clock that was set back must not end the calls that would tell the right time
    until = max(target_us, marks.watermark_us + SECOND_US)
    return Listing(since_us=marks.watermark_us, until_us=min(until, marks.watermark_us + marks.span_us))


def finished(marks: Marks, listing: Listing, *, delay_us: int) -> Marks:
    """
    Return the marks after a window of the tail was listed to its end.
    """
    # without OneLogin's clock, only an event shows that the present lies at least there
    present = listing.newest_us if listing.date_us is None else listing.date_us - delay_us
    watermark = max(marks.watermark_us, min(listing.until_us, present))
    cut = listing.until_us >= marks.watermark_us + marks.span_us
    marks = structs.replace(
        marks,
        tail=None,
        watermark_us=watermark,
        server_us=max(marks.server_us, watermark) if listing.date_us is None else marks.server_us,
        span_us=next_span_us(marks.span_us, listing.pages) if cut else marks.span_us,
    )
    if listing.date_us is not None and watermark > listing.date_us + MOST_AHEAD_US:
        return stepped_back(marks, listing.date_us - FIRST_RUN_US)
    return marks


def behind_us(marks: Marks, listing: Listing, *, delay_us: int) -> int:
    """
    Return how far the watermark was behind the present when its last window began.
    """
    return 0 if listing.date_us is None else listing.date_us - delay_us - marks.watermark_us


def stepped_back(marks: Marks, to_us: int) -> Marks:
    """
    Return marks by which everything from a moment on is read again.
    """
    return structs.replace(
        marks,
        start_us=min(marks.start_us, to_us),
        watermark_us=min(marks.watermark_us, to_us),
        overlap_us=min(marks.overlap_us, to_us),
        sweep_hour=min(marks.sweep_hour, sweeps.hour_of(to_us)),
        tail=None,
        overlap=None,
        sweep=None,
    )


def overlap_window(marks: Marks, overlap_us: int) -> Listing | None:
    """
    Return what is to be read a second time now, or None.

    A pass is due once an overlap, and reads what lies between one and two overlaps behind the watermark: what
    appeared late by up to an overlap is found for certain, and every moment is read by one pass.
    """
    until, since = marks.watermark_us - overlap_us, marks.overlap_us
    if until - since < overlap_us:
        return None
    if until - since > 2 * overlap_us:  # after an outage: the sweeps read it again as a whole
        since = until - overlap_us
    return Listing(since_us=since, until_us=until)
