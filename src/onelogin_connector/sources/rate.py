"""
Limit how often something may happen: a bucket of permissions that refills steadily.
"""

from collections.abc import Callable


class Bucket:
    """
    Permissions that refill at a rate, up to a burst.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        """
        Start full.

        Args:
            per_second: Permissions that come back each second; 0 means no limit.
            burst: Most that can be saved up.
            clock: Seconds; a clock set back costs no permission that was there.
        """
        self._per_second = per_second
        self._burst = max(burst, 1.0)
        self._clock = clock
        self._left = self._burst
        self._at = clock()

    def wait_seconds(self) -> float:
        """
        Take one permission and return 0, or return the seconds until there is one.
        """
        if not self._per_second:
            return 0.0
        now = self._clock()
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._left < 1.0:
            return (1.0 - self._left) / self._per_second
        self._left -= 1.0
        return 0.0
