"""
What a poller has to do, each job with its own way in, its own troubles and its own waits.
"""

from typing import Literal

from onelogin_connector.retry import backoff_seconds
from onelogin_connector.sources.polling.listing import Lister

JobName = Literal["tail", "overlap", "sweep"]

FAILURES_UNTIL_AFRESH = 5
"""After so many failures in a row at one place, its window is listed from the beginning: perhaps the cursor is
what the other side does not like."""


class Job:
    """
    One of the things that a poller does in turn.
    """

    def __init__(self, name: JobName, lister: Lister, doing: str) -> None:
        """
        Start without trouble.

        Args:
            doing: What it does, as the beginning of a sentence about its failure; empty for the main job.
        """
        self.name: JobName = name
        self.lister = lister
        self.error = ""
        self.failures = 0
        self._doing = doing
        self._failed_at = 0.0
        self._wait_seconds = 0.0
        self._until_end = False

    def fail(self, error: str, now: float, *, asked_seconds: float | None, lost_place: bool) -> None:
        """
        Note a failure and how long to wait after it.

        Args:
            lost_place: The window is listed from its beginning. Then only its end shows that all is well: its
                first pages succeed each time, and would make the waits short for ever.
        """
        self._until_end = self._until_end or lost_place
        self.failures += 1
        self.error = f"{self._doing}{error}"
        self._failed_at = now
        self._wait_seconds = backoff_seconds(self.failures, asked_seconds=asked_seconds)

    def succeed(self, *, at_end: bool) -> None:
        """
        Note that a page came, and whether it was the last of its window.
        """
        self._wait_seconds = 0.0
        if at_end or not self._until_end:
            self.error, self.failures, self._until_end = "", 0, False

    def rest_seconds(self, now: float) -> float:
        """
        Return how long it still has to wait.
        """
        return left_seconds(self._failed_at, self._wait_seconds, now)


def left_seconds(since: float, wait_seconds: float, now: float) -> float:
    """
    Return what is left of a wait; nothing when the clock was set back meanwhile, so that none gets longer.
    """
    passed = now - since
    return wait_seconds - passed if 0 <= passed < wait_seconds else 0.0
