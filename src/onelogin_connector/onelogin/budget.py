"""
How many API calls an account may be asked for.

OneLogin allows an account some calls an hour, 5,000 as documented, and all programs that use the account share
them. So this one takes at most a share, and spreads it: in any hour, wherever it begins, no more than
``share × per_hour`` calls are made. What the answers say (``x-ratelimit-limit``, ``-remaining``, ``-reset``)
corrects this: another limit replaces the documented one, and where others leave little, only a share of the
rest is taken until the allowance is renewed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from time import monotonic

from onelogin_connector.onelogin.causes import trouble
from onelogin_connector.plural import counted

HOUR_SECONDS = 3_600.0
BURST_SHARE = (
    0.04  # saved up and spent at once, so that a sweep of some pages need not wait; never more an hour
)
LONGEST_WAIT_SECONDS = 30.0  # who must wait longer is told, so that the status can say so
FIRST_PAUSE_SECONDS = 5.0  # the edge's throttle, which says nothing, lasts for seconds
LONGEST_PAUSE_SECONDS = (
    300.0  # an allowance that is used up lasts up to an hour; to ask 20 times costs little
)
ROUNDING = 1e-6  # of a call; without it a wait could be too short for the clock to show
LARGEST_LIMIT = 10_000_000


class Budget:
    """
    Permissions to call, shared by everything that asks one account.
    """

    def __init__(
        self,
        share: float = 0.5,
        per_hour: int = 5_000,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Start with a burst saved up.

        Args:
            share: Part of the account's calls that may be used, above 0 and up to 1.
            per_hour: Calls that the account has, until an answer says otherwise.
            clock: Seconds since any moment; only differences count.
        """
        self._share = share
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._allow(per_hour)
        self._left = self._burst
        self._at = clock()
        self._slow_per_second = 0.0
        self._slow_until: float | None = None
        self._paused_until: float | None = None
        self._pauses = 0
        self.remaining: int | None = None
        """Calls that the whole account had left, as it said last; None while it has not."""
        self.waited_seconds = 0.0
        """Time that callers have spent waiting for permission."""

    @property
    def per_hour(self) -> float:
        """
        Calls that may be made here in any hour.
        """
        return self._limit * self._share

    async def acquire(self) -> None:
        """
        Wait for permission for one call; who came first goes first.

        Raises:
            Unavailable: It would take longer than half a minute; says how long.
        """
        async with self._turn:
            while wait := self._wait_seconds():
                if wait > LONGEST_WAIT_SECONDS:
                    seen = f"the next call may be made in {counted(ceil(wait), 'second')}"
                    raise trouble(
                        "rate-limit" if self._paused(self._clock()) else "budget", seen, after_seconds=wait
                    )
                self.waited_seconds += wait
                await self._sleep(wait)

    def learn(self, headers: Mapping[str, str]) -> None:
        """
        Take in what an answer says of the account's allowance.

        Args:
            headers: Of the answer, with lower-case names; those of no meaning are ignored.
        """
        limit = _number(headers.get("x-ratelimit-limit"))
        if limit and limit <= LARGEST_LIMIT and limit != self._limit:
            self._allow(limit)
        remaining, reset = (
            _number(headers.get("x-ratelimit-remaining")),
            _number(headers.get("x-ratelimit-reset")),
        )
        if remaining is None:
            return
        self.remaining = remaining
        if reset is None or reset > HOUR_SECONDS:  # no one knows until when
            return
        mine = remaining * self._share
        self._slow_per_second = mine / max(reset, 1)
        self._slow_until = self._clock() + reset
        self._left = min(self._left, mine)

    def pause(self, seconds: float | None = None) -> float:
        """
        Let nobody call for a while, because OneLogin said so.

        Args:
            seconds: As it asked; None if it did not, then the wait doubles until a call goes well again.

        Returns:
            The seconds that it will be, at most an hour.
        """
        if not seconds:
            seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._pauses)
            self._pauses = min(self._pauses + 1, 16)
        seconds = min(seconds, HOUR_SECONDS)
        self._paused_until = self._clock() + max(seconds, _left(self._paused_until, self._clock()))
        return seconds

    def resume(self) -> None:
        """
        Note that a call went well.
        """
        self._pauses = 0

    def _allow(self, per_hour: int) -> None:
        self._limit = per_hour
        self._burst = max(1.0, self.per_hour * BURST_SHARE)
        # with a full burst at its start, an hour still has no more than its share
        self._per_second = max(self.per_hour - self._burst, self.per_hour / 2) / HOUR_SECONDS

    def _wait_seconds(self) -> float:
        """
        Take one permission and return 0, or return the seconds until there may be one.
        """
        now = self._clock()
        if paused := self._paused(now):
            return paused
        rate, slow = self._rate(now)
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * rate)
        self._at = now
        if self._left >= 1.0 - ROUNDING:
            self._left -= 1.0
            return 0.0
        missing = 1.0 - self._left
        if not slow:
            return missing / rate
        # the pace is the usual one again once the allowance is renewed
        return min(missing / rate if rate else HOUR_SECONDS, slow + missing / self._per_second)

    def _paused(self, now: float) -> float:
        """
        Return the seconds for which nobody may call.
        """
        left = _left(self._paused_until, now)
        if not left:
            self._paused_until = None
        return left

    def _rate(self, now: float) -> tuple[float, float]:
        """
        Return the permissions per second at present, and for how long they are fewer than usual.
        """
        slow = _left(self._slow_until, now)
        if not slow or self._slow_per_second >= self._per_second:
            return self._per_second, 0.0
        return self._slow_per_second, slow


def _left(until: float | None, now: float) -> float:
    """
    Return the seconds until a moment; 0 too where the clock was set back, since no wait is over an hour.
    """
    left = 0.0 if until is None else until - now
    return left if 0 < left <= HOUR_SECONDS else 0.0


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None
