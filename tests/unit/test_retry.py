"""
Back-off is a pure function of the attempt, what was asked, and a draw.
"""

from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.retry import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, backoff_seconds

attempts = st.integers(1, 10_000)
draws = st.floats(0, 1, exclude_max=True)


@given(attempts, draws)
def test_waits_stay_within_bounds(attempt, draw):
    """
    No attempt waits less than half the first step or more than a minute.
    """
    assert FIRST_WAIT_SECONDS / 2 <= backoff_seconds(attempt, draw=lambda: draw) <= LONGEST_WAIT_SECONDS


@given(st.integers(1, 100), draws)
def test_waits_never_shrink(attempt, draw):
    """
    With the same draw a later attempt never waits less than an earlier one.
    """
    assert backoff_seconds(attempt, draw=lambda: draw) <= backoff_seconds(attempt + 1, draw=lambda: draw)


def test_waits_double():
    """
    The first waits double from half a second, then stay at a minute.
    """
    waits = [backoff_seconds(attempt, draw=lambda: 0.999_999_999) for attempt in range(1, 10)]
    assert [round(wait, 3) for wait in waits] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


@given(attempts, draws, st.floats(0, 3_600))
def test_what_was_asked_is_the_least(attempt, draw, asked):
    """
    A wait that the other side asked for is never cut short, and lengthened by at most half a minute.
    """
    wait = backoff_seconds(attempt, asked_seconds=asked, draw=lambda: draw)
    assert asked - 1e-9 <= wait <= asked + LONGEST_WAIT_SECONDS / 2


def test_senders_spread_out():
    """
    Two senders that failed together do not come back together.
    """
    assert len({backoff_seconds(5) for _ in range(50)}) > 40
