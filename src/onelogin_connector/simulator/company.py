"""
A believable company's days, as a pure function of a seed.

``Company.hour`` gives what happens in one hour, always the same for the same seed, whichever hours were asked for
before. So a story can begin anywhere and go on for ever, a webhook and an API can tell the same one without knowing
each other, and a test can say beforehand what must arrive.

A day has ordinary visits (people sign in during their working hours, some far more than others, fail now and then,
confirm a second factor and open applications) and incidents: a password spray that ends in one success, a role
given to everybody by mistake, directory jobs that write equal events within one second, and more.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Any

from onelogin_connector.simulator.happening import Happening
from onelogin_connector.simulator.incidents import DAY_US, HOUR_US, SECOND_US, about, incidents, uuid
from onelogin_connector.simulator.staff import OFFICES, Person, staff

FIRST_NUMBER = 36_000_000_000
"""Ids of the Events API passed 32 bits years ago."""
NUMBERS_PER_HOUR = 100_000  # so that an hour's ids do not depend on the hours before
FIRST_HOUR = 400_000  # in 2015; hours are numbered since 1970
WEEKEND = 0.6  # of a working day's visits: somebody is always on call, and a demo starts on any day
EVENTS_PER_VISIT = 5.2  # on average, as ``_visit`` makes them

_ACTIVITY = (1, 1, 1, 1, 1, 2, 5, 20, 60, 100, 95, 85, 55, 75, 90, 85, 75, 60, 35, 20, 14, 10, 5, 2)
"""How much people are about, by the hour of their own clock."""
_FACTORS = ("OneLogin Protect", "Authenticator", "Security key")


class Company:
    """
    One simulated company.
    """

    def __init__(self, seed: int = 1, *, people: int = 120, events_per_day: float = 5_000) -> None:
        """
        Found the company.

        Args:
            seed: Another seed, another company and another story.
            people: How many have an account, at least 10.
            events_per_day: Of a working day, visits and incidents together, about.
        """
        self.seed = seed
        self.staff = staff(seed, max(10, people))
        self._working_day_visits = max(0.0, events_per_day - self._incidents_per_day()) / EVENTS_PER_VISIT

    def story(self, since_us: int, until_us: int | None = None) -> Iterator[Happening]:
        """
        Give what happens from one moment (included) to another (excluded), in order; without end if none is given.

        Args:
            since_us: Microseconds since 1970, UTC.
        """
        hour = since_us // HOUR_US
        while until_us is None or hour * HOUR_US < until_us:
            for happening in self.hour(hour):
                if happening.time_us >= since_us and (until_us is None or happening.time_us < until_us):
                    yield happening
            hour += 1

    def hour(self, hour: int) -> list[Happening]:
        """
        Return what happens in one hour, numbered since 1970 in UTC, in order.
        """
        chance = Random(f"hour/{self.seed}/{hour}")
        start, end = hour * HOUR_US, (hour + 1) * HOUR_US
        # somebody who arrives in the last minute may mistype beyond it; what would come then is left out
        happenings = [each for each in self._visits(chance, hour) if each.time_us < end]
        # an incident that begins late in the evening may end on the next day
        for day in {start // DAY_US, (start - 6 * HOUR_US) // DAY_US}:
            happenings += [
                happening
                for happening in incidents(self.staff, self.seed, day)
                if start <= happening.time_us < end
            ]
        happenings.sort(key=lambda happening: happening.time_us)
        number = FIRST_NUMBER + (hour - FIRST_HOUR) * NUMBERS_PER_HOUR
        for place, happening in enumerate(happenings):
            happening.number = number + place
            happening.uuid = uuid(chance)
        return happenings

    def _incidents_per_day(self) -> int:
        return sum(1 for _ in incidents(self.staff, self.seed, FIRST_HOUR // 24))

    def _visits(self, chance: Random, hour: int) -> Iterator[Happening]:
        """
        Give the events of everybody who comes in this hour.
        """
        people = self.staff.people
        day_of_week = (hour // 24 + 4) % 7  # 1970 began on a Thursday
        here = [
            person.weight * _ACTIVITY[(hour + person.offset_hours) % 24] / sum(_ACTIVITY) for person in people
        ]
        share = sum(here) / sum(person.weight for person in people)
        expected = self._working_day_visits * share * (WEEKEND if day_of_week in {0, 6} else 1.0)
        reach = list(accumulate(here))
        arrival = chance.expovariate(expected) if expected else 1.0
        while arrival < 1.0:
            person = people[bisect_left(reach, chance.random() * reach[-1])]
            yield from self._visit(
                chance, person, hour * HOUR_US + int(arrival * HOUR_US), (hour + 1) * HOUR_US
            )
            arrival += chance.expovariate(expected)

    def _visit(self, chance: Random, person: Person, at: int, end: int) -> Iterator[Happening]:
        """
        Let somebody sign in, open applications and perhaps leave, before the hour's end if there is time for it.
        """
        where = {
            "ipaddr": person.home if chance.random() < 0.4 else chance.choice(OFFICES),
            "user_agent": person.agent,
            "browser_fingerprint": f"{person.id * 2_654_435_761 % 2**64:016x}",
        }
        for _ in range(chance.choices([0, 1, 2], [88, 9, 3])[0]):
            notes = chance.choice(["(invalid password)", "(invalid password)", "(expired password)"])
            yield Happening(at, self._about(6, person, where, notes=notes))
            at += chance.randrange(4, 25) * SECOND_US
        second = person.otp_device_id is not None and chance.random() < 0.55
        if second:
            yield Happening(at, self._second_factor(chance, person, where))
            at += chance.randrange(1, 4) * SECOND_US // 2
        steps = "username -> password" + (" -> otp" if second else "")
        notes = f"Authentication method: Login App.\nTransitions: {steps}\nCorrelation_id: {uuid(chance)}"
        risk = {"risk_score": chance.randrange(0, 35)} if second else {}
        yield Happening(
            at, self._about(5, person, where, notes=notes, policy_id=91_204, policy_name="Default", **risk)
        )
        stay = max(SECOND_US, min(end - at - SECOND_US, chance.randrange(5, 50) * 60 * SECOND_US))
        for _ in range(chance.choices([0, 1, 2, 3, 4, 6, 9], [5, 14, 22, 24, 17, 12, 6])[0]):
            app = chance.choices(self.staff.apps, range(len(self.staff.apps), 0, -1))[0]
            moment = at + chance.randrange(stay)
            if chance.random() < 0.02:
                more = {"error_description": "The application refused the assertion"}
                yield Happening(
                    moment, self._about(9, person, where, app_id=app.id, app_name=app.name, **more)
                )
            else:
                yield Happening(moment, self._about(8, person, where, app_id=app.id, app_name=app.name))
        if chance.random() < 0.25:
            yield Happening(at + stay, self._about(7, person, where))

    def _second_factor(self, chance: Random, person: Person, where: dict[str, Any]) -> dict[str, Any]:
        factor = _FACTORS[person.id % len(_FACTORS)]
        verdict = "Invalid OTP" if chance.random() < 0.04 else "Valid OTP"
        return self._about(
            1400,
            person,
            where,
            notes=f"Authentication method: OTP ({verdict}). Factor name: {factor}",
            otp_device_id=person.otp_device_id,
            otp_device_name=factor,
            authentication_factor_id=20_500 + person.id % len(_FACTORS),
            authentication_factor_type=12,
            authentication_factor_description=factor,
        )

    def _about(self, event_type: int, person: Person, where: dict[str, Any], **more: Any) -> dict[str, Any]:
        return about(self.staff, event_type, person, **where, **more)
