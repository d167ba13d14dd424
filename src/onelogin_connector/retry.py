"""
Back-off as a pure function: which attempt failed → how many seconds to wait.
"""

from collections.abc import Callable
from random import random

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0  # long enough to be polite, short enough to notice a recovery within a minute


def backoff_seconds(
    attempt: int, *, asked_seconds: float | None = None, draw: Callable[[], float] = random
) -> float:
    """
    Return the wait before the next attempt.

    Doubles from half a second to a minute, with jitter over the upper half so that many senders do not
    come back at the same instant. A wait that the other side asked for is a lower bound.

    Args:
        attempt: Failures in a row so far, from 1.
        asked_seconds: What the other side asked for (``Retry-After``), if it did.
        draw: Source of a number in [0, 1).
    """
    ceiling = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 16))
    wait = ceiling * (0.5 + draw() / 2)
    return wait if asked_seconds is None else asked_seconds + wait - ceiling / 2
