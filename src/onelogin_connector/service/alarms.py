"""
What a person should know now, beyond the states of single parts.
"""

from collections.abc import Callable
from typing import NamedTuple


class Alarm(NamedTuple):
    """
    One thing that is wrong, since when, and what to do.
    """

    since: float
    """Unix seconds."""
    message: str
    action: str


class Alarms:
    """
    The alarms that stand, by name.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """
        Start without any.
        """
        self._clock = clock
        self._standing: dict[str, Alarm] = {}

    def raise_(self, name: str, message: str, action: str) -> bool:
        """
        Let an alarm stand, in its newest words; returns whether it is new.
        """
        before = self._standing.get(name)
        self._standing[name] = Alarm(before.since if before else self._clock(), message, action)
        return before is None

    def clear(self, name: str) -> None:
        """
        End an alarm, if it stands.
        """
        self._standing.pop(name, None)

    def standing(self) -> list[Alarm]:
        """
        Return the alarms, oldest first.
        """
        return sorted(self._standing.values())
