"""
Two days of a company whose webhooks get lost and whose API is late: what is missing is fetched, and counted.
"""

import asyncio
from collections import Counter

import pytest
from msgspec.json import encode

from onelogin_connector.simulator.company import HOUR_US, Company
from onelogin_connector.simulator.listing import Delay
from onelogin_connector.simulator.trouble import Fault, Trouble
from onelogin_connector.simulator.webhooks import Faults
from simulation.pulling import SECOND_US, World

START_US = 1_795_165_200_000_000  # nine in the morning of a Friday
FIRST_HOUR = START_US // HOUR_US
POLL_US = 300 * SECOND_US  # how often the world lets its poller ask
LATE = (Delay(0.05, 400, 900), Delay(0.02, 7_200, 14_400), Delay(0.01, 30_000, 60_000))
"""Minutes late; later than the first sweep of their hour; later than the second."""


def company():
    """
    Return a small one: the days are long.
    """
    return Company(5, people=40, events_per_day=2_500)


def live(folder, story, **options):
    """
    Make a world, let a story happen in it, and close it.
    """

    async def happen():
        world = World(folder, company(), START_US, **options)
        try:
            return await story(world)
        finally:
            await world.close()

    return asyncio.run(happen())


def held(world):
    """
    Return how often each event is in the store, by its API id, and the ids of webhooks nobody listed.
    """
    rows = world.rows("OneLogin_CL | project event_id_s, uuid_g")
    return Counter(int(number) for number, _ in rows if number), {uuid for number, uuid in rows if not number}


def shown(each, now):
    """
    Tell whether a listing of the event's time has certainly come after the event appeared.
    """
    end_us = (each.time_us // HOUR_US + 1) * HOUR_US
    listings = [each.time_us + 200 * 1_000_000, *(end_us + hours * HOUR_US for hours in (1, 6, 24))]
    return any(each.appears_us <= at_us <= (now - 900) * 1e6 for at_us in listings)


@pytest.mark.slow
def test_what_webhooks_lose_is_repaired_and_counted(tmp_path):
    """
    G3, G4: lost, repeated, swapped webhooks and an API late by minutes and hours: once each, and the figures exact.
    """
    forged = encode(
        [
            {
                "uuid": "00000000-0000-4000-8000-000000000001",
                "event_timestamp": "2026-11-20 09:31:00 UTC",
                "account_id": company().staff.account_id,
                "event_type_id": 5,
                "user_id": 1,
            }
        ]
    )

    async def story(world):
        await world.run(0.6)
        assert await world.tell(forged) == 200
        for hours in (5, 8, 14):
            await world.run(hours)
            await world.restart()
        numbers, alone = held(world)
        assert set(numbers.values()) == {1}
        certain = {each.id for each in world.listed() if shown(each, world.now)}
        assert certain <= set(numbers)
        assert len(certain) > 1_500
        for hour in (FIRST_HOUR, FIRST_HOUR + 1):
            truth, found = world.truth(hour), world.figures(hour)
            matched = [each for each in truth if each.happening.uuid in world.told]
            late = [each for each in truth if each.appears_us - each.time_us > 200e6]
            assert 0 < len(matched) < len(truth)
            assert late
            assert (found.listed, found.matched, found.repaired, found.late) == (
                len(truth),
                len(matched),
                len(truth) - len(matched),
                len(late),
            )
            extra = 1 if hour == FIRST_HOUR else 0
            assert (found.unconfirmed, found.entries) == (extra, len(truth) + extra)
            assert found.settled
            assert found.complete
            assert found.listed_by_sweep == len(truth)
            assert found.sweeps >= 3
        assert "00000000-0000-4000-8000-000000000001" in alone
        return world.api.records / len(numbers)

    listed_times = live(
        tmp_path, story, delays=LATE, faults=Faults(lost=0.1, repeated=0.05, swapped=0.1, seed=3)
    )
    assert listed_times <= 5.2  # borders of windows are listed by both


OUTAGES = [
    (2.0, Fault(trouble=Trouble.DEAD, path="/", seconds=5 * 3_600)),
    (8.0, Fault(trouble=Trouble.TOO_MANY_HTML, seconds=3_600)),
    (10.0, Fault(trouble=Trouble.STANDING_CURSOR, seconds=1_800)),
    (11.0, Fault(trouble=Trouble.LIMIT_EXCEEDED, seconds=900)),
    (12.0, Fault(trouble=Trouble.TRUNCATED, times=7)),
    (13.0, Fault(trouble=Trouble.REDIRECT, times=3)),
    (14.0, Fault(trouble=Trouble.ENDLESS, seconds=1_800)),
    (15.0, Fault(trouble=Trouble.BAD_GATEWAY, path="/", seconds=3 * 3_600)),
    (19.0, Fault(trouble=Trouble.PAGE, times=5)),
    (20.0, Fault(trouble=Trouble.FORBIDDEN, seconds=1_200)),
]


@pytest.mark.slow
def test_no_outage_passes_anything_over(tmp_path):
    """
    G2, G4: whatever the API does for hours, all that it lists is held once it is well again, and it says so meanwhile.
    """

    async def story(world):
        for at, fault in OUTAGES:
            world.fail_at(at, fault)
        await world.run(23)
        assert world.poller.status.state == "ok", world.poller.status
        await world.run(1)
        numbers, alone = held(world)
        assert set(numbers.values()) == {1}
        watermark = world.poller.watermark_us
        # the last poll lies anywhere within the interval, since waits after failures are random; a Date has whole seconds
        assert watermark > world.now * 1e6 - POLL_US - world.poller.delay_us - SECOND_US
        expected = {each.id for each in world.listed() if each.time_us < watermark}
        assert expected <= set(numbers)
        assert len(expected) > 2_000
        assert alone == set()
        return [state for _, state in world.statuses]

    states = live(tmp_path, story, faults=Faults(lost=1.0))
    assert {"ok", "retrying", "paused"} <= set(states)
