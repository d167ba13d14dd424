"""
What is promised of a company's story, computed from the story alone: what is held, since when, and the figures.
"""

from collections import Counter

from msgspec import Struct

from onelogin_connector.simulator.company import HOUR_US
from onelogin_connector.simulator.happening import API_FIELDS, WEBHOOK_FIELDS, Happening
from onelogin_connector.simulator.listing import Listed

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
AGES_US = (1 * HOUR_US, 6 * HOUR_US, 24 * HOUR_US)
"""How long after its end an hour is listed whole, by the documentation."""
TAIL_US, OVERLAP_US = 30 * SECOND_US, 10 * MINUTE_US
"""How late an event may appear in the API for the tail, and for the overlap, to be sure of it."""
TAIL_DONE_US, OVERLAP_DONE_US, SWEEP_DONE_US = 7 * MINUTE_US, 26 * MINUTE_US, 10 * MINUTE_US
"""How long after the event, and for a sweep after its hour's age, it is held then: with a poll a minute, an overlap
each ten, a minute more for every piece of work, and three for being down."""
SAID = tuple(sorted({*API_FIELDS} & {*WEBHOOK_FIELDS}))
"""The fields by which two events can be told apart, beside their second."""

Content = tuple[int | str, ...]


class Hour(Struct, frozen=True):
    """
    The figures that an hour has to have.
    """

    Entries: int
    Listed: int
    Matched: int
    Repaired: int
    Late: int
    Unconfirmed: int | None
    Sweeps: int
    Settled: bool
    ListedBySweep: int
    CompleteAsFarAsListed: bool


class Promises:
    """
    One story until a moment, and what of it was told by webhooks.
    """

    def __init__(self, listed: list[Listed], told: set[str], forged_us: int, end_us: int) -> None:
        """
        Compute nothing yet.

        Args:
            listed: All that the API lists, ever.
            told: Uuids of the events whose webhook was answered 200.
            forged_us: Time of an event that came by webhook and never happened.
        """
        self.listed, self.told, self.forged_us, self.end_us = listed, told, forged_us, end_us

    def premises(self) -> list[str]:
        """
        Return where the story says nothing definite: an event that appears while its hour is being listed.
        """
        return [
            f"{each.id}: {why}"
            for each in self.listed
            for why, so in (
                (
                    "appears during a sweep",
                    any(0 <= each.appears_us - at < SWEEP_DONE_US for at in ages(each)),
                ),
                ("may be late or not", TAIL_US < late_us(each) < TAIL_DONE_US),
                ("may be read by a neighbour's sweep", late_us(each) > HOUR_US and near_border(each)),
            )
            if so
        ]

    def never(self, each: Listed) -> bool:
        """
        Tell whether an event appears after the last time its hour is listed.
        """
        return each.appears_us > ages(each)[-1]

    def held_by_us(self, each: Listed) -> int | None:
        """
        Return when an event is held at the latest that no webhook told; None if that is not promised.
        """
        if late_us(each) <= TAIL_US:
            return each.time_us + TAIL_DONE_US
        if late_us(each) <= OVERLAP_US:
            return each.time_us + OVERLAP_DONE_US
        return next((at + SWEEP_DONE_US for at in ages(each) if each.appears_us <= at), None)

    def rows(self) -> dict[Content, tuple[int, int]]:
        """
        Return how many rows there are at least and at most of what says the same.

        Of events that nobody can tell apart, those that one channel alone has told are taken for those that the other
        has: as few events as explain the records.
        """
        told, least, most = Counter[Content](), Counter[Content](), Counter[Content]()
        for each in self.listed:
            same = content(each.happening)
            by_us = self.held_by_us(each)
            told[same] += each.happening.uuid in self.told
            least[same] += by_us is not None and by_us <= self.end_us
            most[same] += by_us is not None and each.appears_us <= self.end_us
        return {same: (max(told[same], least[same]), max(told[same], most[same])) for same in most}

    def hour(self, hour: int) -> Hour | None:
        """
        Return the figures of an hour; None before its first sweep is certain.
        """
        end_us = (hour + 1) * HOUR_US
        sweeps = [end_us + age for age in AGES_US if end_us + age + SWEEP_DONE_US <= self.end_us]
        if not sweeps:
            return None
        truth = [each for each in self.listed if each.time_us // HOUR_US == hour]
        found = [frozenset(each.id for each in truth if each.appears_us <= at) for at in sweeps]
        over = len(sweeps) == len(AGES_US)
        if over and found[-1] != found[-2]:
            found.append(found[-1])  # one overlap later, since it changed
        listed = Counter(content(each.happening) for each in truth if each.id in found[-1])
        told = Counter(content(each.happening) for each in truth if each.happening.uuid in self.told)
        matched = (listed & told).total()
        alone = (told - listed).total() + (self.forged_us // HOUR_US == hour)
        settled = len(found) > 1 and found[-1] == found[-2]
        return Hour(
            Entries=listed.total() + alone,
            Listed=listed.total(),
            Matched=matched,
            Repaired=listed.total() - matched,
            Late=sum(late_us(each) > TAIL_US for each in truth if each.id in found[-1]),
            Unconfirmed=alone if over else None,
            Sweeps=len(found),
            Settled=settled,
            ListedBySweep=len(found[-1]),
            CompleteAsFarAsListed=settled,
        )


def ages(each: Listed) -> list[int]:
    """
    Return when the hour of an event is listed whole.
    """
    end_us = (each.time_us // HOUR_US + 1) * HOUR_US
    return [end_us + age for age in AGES_US]


def late_us(each: Listed) -> int:
    """
    Return how late an event appears.
    """
    return each.appears_us - each.time_us


def near_border(each: Listed) -> bool:
    """
    Tell whether an event lies within a second of another hour, which is listed with a second on each side.
    """
    return not SECOND_US < each.time_us % HOUR_US <= HOUR_US - SECOND_US


def content(happening: Happening) -> Content:
    """
    Return what an event says on either channel, without the ids of its records.
    """
    values = [happening.fields.get(name) for name in SAID]
    return (happening.time_us // SECOND_US, *("" if value is None else str(value) for value in values))
