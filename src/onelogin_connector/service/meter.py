"""
How fast things flow: counters that only rise, looked at every few seconds.

It costs a few additions a round, whatever flows. A rate is of now. What rose in each quarter of an hour is held in
memory, and given out to be kept from time to time, so that it can be taken up again after a restart: the counters
themselves survive, so what they rose by in between is counted too.
"""

from collections import deque
from collections.abc import Mapping

SLOT_SECONDS = 900
SLOTS = 96
"""A day of quarters of an hour, as ``store.figures`` has it."""

RECENT_SECONDS = 60.0
"""A rate is that of about the last minute."""


class Gauge:
    """
    One rising counter.
    """

    __slots__ = ("_begun", "_recent", "_slots", "_value", "moved_at")

    def __init__(self, at: float, value: int) -> None:
        self._begun, self._value = at, value
        self._recent = deque([(at, value)])
        self._slots: dict[int, int] = {}
        self.moved_at: float | None = None
        """Unix seconds at which it was last seen to have risen."""

    @classmethod
    def resumed(
        cls, at: float, value: int, *, before: int, slots: Mapping[int, int], moved_at: float | None
    ) -> "Gauge":
        """
        Take a counter up again; what it rose by since its slots were given out counts for now, and for no rate.

        Args:
            at: Now, Unix seconds.
            value: Where the counter is.
            before: Where it was when its slots were given out.
            slots: As ``kept`` gives them.
            moved_at: When it was last seen to have risen.
        """
        found = cls(at, value)
        found._slots, found.moved_at = dict(slots), moved_at
        found._count(at, value - before)
        return found

    @property
    def value(self) -> int:
        """
        Where the counter is.
        """
        return self._value

    def kept(self, after: int) -> dict[int, int]:
        """
        Return by how much it rose in each quarter of an hour since 1970 after one.
        """
        return {slot: risen for slot, risen in self._slots.items() if slot > after}

    def note(self, at: float, value: int) -> None:
        """
        Take the counter's value at a moment.
        """
        self._count(at, value - self._value)
        self._value = value
        self._recent.append((at, value))
        while len(self._recent) > 2 and self._recent[1][0] <= at - RECENT_SECONDS:
            self._recent.popleft()

    def _count(self, at: float, risen: int) -> None:
        if risen <= 0:
            return
        slot = int(at // SLOT_SECONDS)
        self._slots[slot] = self._slots.get(slot, 0) + risen
        self.moved_at = at
        for old in [each for each in self._slots if each <= slot - SLOTS]:
            del self._slots[old]

    def rate(self) -> float:
        """
        Return by how much it rises each second.
        """
        (began, first), (ended, last) = self._recent[0], self._recent[-1]
        return max(0.0, (last - first) / (ended - began)) if ended > began else 0.0

    def slots(self, now: float) -> tuple[int, ...]:
        """
        Return by how much it rose in each quarter of an hour, the running one last.
        """
        newest = int(now // SLOT_SECONDS)
        return tuple(self._slots.get(slot, 0) for slot in range(newest - SLOTS + 1, newest + 1))

    def since(self, seconds: float, now: float) -> int:
        """
        Return by how much it rose in the last while, to the quarter of an hour.
        """
        first = int((now - seconds) // SLOT_SECONDS) + 1
        return sum(count for slot, count in self._slots.items() if slot >= first)


class Meter:
    """
    The counters of a service, by name.
    """

    def __init__(self) -> None:
        self._gauges: dict[str, Gauge] = {}

    def note(self, at: float, values: Mapping[str, int]) -> None:
        """
        Take the values of all counters at a moment; one that is not among them is forgotten.
        """
        for name in [each for each in self._gauges if each not in values]:
            del self._gauges[name]
        for name, value in values.items():
            gauge = self._gauges.get(name)
            if gauge is None:
                self._gauges[name] = Gauge(at, value)
            else:
                gauge.note(at, value)

    def put(self, name: str, gauge: Gauge) -> None:
        """
        Take a counter up again that was looked at before a restart.
        """
        self._gauges[name] = gauge

    def gauge(self, name: str) -> Gauge | None:
        """
        Return a counter; None where nobody has looked at it yet.
        """
        return self._gauges.get(name)
