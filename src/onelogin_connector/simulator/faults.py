"""
What goes wrong with a simulation on request: faults that begin, are counted, and end.

Which kinds of trouble there are, and which calls a fault is about, is for each simulated side to say.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct


class Planted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    When something goes wrong.
    """

    times: int | None = None
    """How many calls; None for all."""
    skip: int = 0
    """How many calls go well first."""
    seconds: float | None = None
    """How long it lasts from the request for it on, by the simulation's clock; None for ever."""
    wait_seconds: float = 0.0
    """How late a slow answer is."""


F = TypeVar("F", bound=Planted)


class Faults(Generic[F]):
    """
    The faults in force. The oldest that fits a call is the one it meets.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: list[_Counted[F]] = []

    def add(self, fault: F) -> None:
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

    def next(self, fits: Callable[[F], bool]) -> F | None:
        """
        Return what goes wrong with a call, and count it.

        Args:
            fits: Tells whether a fault is about the call.
        """
        now = self._clock()
        self._waiting = [
            each for each in self._waiting if each.times != 0 and (each.end is None or now < each.end)
        ]
        for each in self._waiting:
            if not fits(each.fault):
                continue
            if each.skip:
                each.skip -= 1
            else:
                each.times = None if each.times is None else each.times - 1
                return each.fault
        return None


class _Counted(Struct, Generic[F]):
    fault: F
    skip: int
    times: int | None
    end: float | None
