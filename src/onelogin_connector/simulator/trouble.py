"""
What goes wrong with the simulated API, on request.
"""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct


class Trouble(StrEnum):
    """
    A way to fail.
    """

    UNAUTHORIZED = "unauthorized"
    """401, as for a token that ended or a credential that does not fit; a token held is revoked."""
    DEAD = "dead"
    """The person who made the credential was deleted: tokens are answered 500, calls 401."""
    FORBIDDEN = "forbidden"
    """403: the credential's scope does not suffice."""
    TOO_MANY = "too_many"
    """429 in JSON."""
    TOO_MANY_HTML = "too_many_html"
    """429 from the edge: a page, no JSON, no hint how long."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """400 whose message is ``rate_limit_exceeded``."""
    SERVER_ERROR = "server_error"
    """500 in JSON."""
    BAD_GATEWAY = "bad_gateway"
    """502 as a page."""
    SLOW = "slow"
    """A right answer, late."""
    TRUNCATED = "truncated"
    """200 whose JSON ends in the middle."""
    PAGE = "page"
    """200 with a page instead of JSON."""
    REDIRECT = "redirect"
    """302 to another host."""
    STANDING_CURSOR = "standing_cursor"
    """A page whose cursor leads to itself."""
    ENDLESS = "endless"
    """After the last page there is always another, empty one."""


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One thing that goes wrong.
    """

    trouble: Trouble
    path: str = "/api/1/events"
    """Calls whose path begins so."""
    times: int | None = None
    """How many calls; None for all."""
    skip: int = 0
    """How many calls go well first."""
    seconds: float | None = None
    """How long it lasts from the request for it on, by the account's clock; None for ever."""
    wait_seconds: float = 0.0
    """How late a slow answer is."""


class Faults:
    """
    The faults in force.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: list[_Counted] = []

    def add(self, fault: Fault) -> None:
        """
        Let something go wrong from now on.
        """
        end = None if fault.seconds is None else self._clock() + fault.seconds
        self._waiting.append(_Counted(fault, fault.skip, fault.times, end))

    def clear(self) -> None:
        """
        Let everything go well again.
        """
        self._waiting.clear()

    def next(self, path: str) -> Fault | None:
        """
        Return what goes wrong with a call, and count it.
        """
        now = self._clock()
        self._waiting = [
            each for each in self._waiting if each.times != 0 and (each.end is None or now < each.end)
        ]
        for each in self._waiting:
            if not path.startswith(each.fault.path):
                continue
            if each.skip:
                each.skip -= 1
            else:
                each.times = None if each.times is None else each.times - 1
                return each.fault
        return None


class _Counted(Struct):
    fault: Fault
    skip: int
    times: int | None
    end: float | None
