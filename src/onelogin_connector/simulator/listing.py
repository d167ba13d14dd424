"""
What the Events API lists of a company's story, and from when.

An event appears some seconds after it happened, a few of them much later. Ids are given as events are written:
near to the order of time, never quite in it, and those that come late get an id behind their hour. So a reader
that trusts either the time or the id alone loses events here, as it would with the real OneLogin.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from random import Random

from msgspec import Struct

from onelogin_connector.simulator.company import FIRST_HOUR, FIRST_NUMBER, NUMBERS_PER_HOUR, Company
from onelogin_connector.simulator.happening import Happening
from onelogin_connector.simulator.incidents import HOUR_US, SECOND_US

LATE_NUMBERS = NUMBERS_PER_HOUR // 2
"""How far behind the others of their hour the ids of late events lie."""
OUT_OF_ORDER = 6.0
"""By how many places an id may lie before or behind its place in time."""
MOST_HELD = 60_000
"""Events kept in memory, about 100 MB; the hours asked for last stay."""


class Delay(Struct, frozen=True):
    """
    A share of the events that appears late.
    """

    share: float
    """Between 0 and 1."""
    least_seconds: float
    most_seconds: float


class Listed(Struct, frozen=True):
    """
    One event as the API knows it.
    """

    id: int
    time_us: int
    """Of ``created_at``, which has milliseconds."""
    appears_us: int
    happening: Happening


class Listing:
    """
    The events of one account in the order of their ids.
    """

    def __init__(
        self, company: Company, *, usual_seconds: float = 4.0, delays: Sequence[Delay] = (), seed: int = 0
    ) -> None:
        """
        Decide how late the API is.

        Args:
            usual_seconds: An event appears between 0 and so many seconds after it happened,
            delays: except for these shares.
            seed: Another seed, other events are late.
        """
        self._company = company
        self._usual_us = int(usual_seconds * SECOND_US)
        self._delays = tuple(delays)
        self._seed = seed
        self._hours: dict[int, list[Listed]] = {}

    def whole(self, since_us: int, until_us: int) -> Iterator[Listed]:
        """
        Give all that will ever be listed from one moment (included) to another (excluded), by id.
        """
        for hour in range(since_us // HOUR_US, -(-until_us // HOUR_US)):
            for each in self._hour(hour):
                if since_us <= each.time_us < until_us:
                    yield each

    def after(self, id: int, since_us: int, until_us: int, *, now_us: int) -> Iterator[Listed]:
        """
        Give what has appeared by now behind an id, between two moments, both excluded, by id.
        """
        hour = max(since_us // HOUR_US, (id - FIRST_NUMBER) // NUMBERS_PER_HOUR + FIRST_HOUR)
        while hour * HOUR_US < min(until_us, now_us):
            rows = self._hour(hour)
            for each in rows[bisect_right(rows, id, key=attrgetter("id")) :]:
                if since_us < each.time_us < until_us and each.appears_us <= now_us:
                    yield each
            hour += 1

    def _hour(self, hour: int) -> list[Listed]:
        rows = self._hours.pop(hour, None)
        if rows is None:
            rows = self._listed(hour)
            held = sum(map(len, self._hours.values()))
            while self._hours and held + len(rows) > MOST_HELD:
                held -= len(self._hours.pop(next(iter(self._hours))))
        self._hours[hour] = rows  # behind the others, which are forgotten first
        return rows

    def _listed(self, hour: int) -> list[Listed]:
        chance = Random(f"listing/{self._seed}/{hour}")
        happenings = self._company.hour(hour)
        shaken = [place + chance.uniform(0, OUT_OF_ORDER) for place in range(len(happenings))]
        order = sorted(range(len(happenings)), key=shaken.__getitem__)
        first = FIRST_NUMBER + (hour - FIRST_HOUR) * NUMBERS_PER_HOUR
        rows = []
        for number, place in enumerate(order, first):
            happening = happenings[place]
            delay_us = self._late_us(chance)
            happening.number = number + (LATE_NUMBERS if delay_us else 0)
            appears_us = happening.time_us + (delay_us or chance.randint(0, self._usual_us))
            time_us = happening.time_us // 1_000 * 1_000
            rows.append(Listed(happening.number, time_us, appears_us, happening))
        return sorted(rows, key=attrgetter("id"))

    def _late_us(self, chance: Random) -> int:
        """
        Return how late an event appears; 0 for one that is not late.
        """
        drawn = chance.random()
        for delay in self._delays:
            if drawn < delay.share:
                return int(chance.uniform(delay.least_seconds, delay.most_seconds) * SECOND_US)
            drawn -= delay.share
        return 0
