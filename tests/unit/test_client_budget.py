"""
The budget never takes more than its share, whatever is asked and whatever the answers say.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.errors import Unavailable
from onelogin_connector.onelogin.budget import (
    HOUR_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LONGEST_WAIT_SECONDS,
    Budget,
)


class Hours:
    """
    A clock that only waiting moves, and the moments at which calls were made.
    """

    def __init__(self, **options):
        self.now = 1_000.0
        self.made = []
        self.budget = Budget(**options, clock=lambda: self.now, sleep=self.sleep)

    async def sleep(self, seconds):
        assert 0 < seconds <= LONGEST_WAIT_SECONDS
        self.now += seconds
        await asyncio.sleep(0)

    async def call(self, *, patient=True):
        while True:
            try:
                await self.budget.acquire()
            except Unavailable as error:
                if not patient:
                    raise
                self.now += max(error.after_seconds, 1e-3)
            else:
                self.made.append(self.now)
                return

    def most_in_an_hour(self):
        first, most = 0, 0
        for last, at in enumerate(self.made):
            while at - self.made[first] >= HOUR_SECONDS:
                first += 1
            most = max(most, last - first + 1)
        return most


def test_a_backfill_takes_its_share_and_no_more():
    """
    Calls as fast as they are let fill the share of every hour nearly, and never pass it.
    """
    hours = Hours(share=0.5)

    async def story():
        while hours.now < 1_000 + 3 * HOUR_SECONDS:
            await hours.call()

    asyncio.run(story())
    assert 2_300 < hours.most_in_an_hour() <= 2_500
    assert len(hours.made) > 3 * 2_300


@given(
    st.floats(0.001, 1),
    st.integers(1, 5_000),
    st.lists(st.tuples(st.floats(0, 7_200), st.integers(1, 40)), min_size=1, max_size=30),
)
def test_no_hour_has_more_than_the_share(share, per_hour, bursts):
    """
    However calls come, and wherever the hour begins, it has no more than the share; one call is always possible.
    """
    hours = Hours(share=share, per_hour=per_hour)

    async def story():
        for rest, calls in bursts:
            hours.now += rest
            for _ in range(calls):
                await hours.call()

    asyncio.run(story())
    assert hours.most_in_an_hour() <= max(1, share * per_hour)


def test_calls_are_spread():
    """
    After a small burst there is no minute with more than its part of the hour, doubled.
    """
    hours = Hours(share=0.5)

    async def story():
        for _ in range(400):
            await hours.call()

    asyncio.run(story())
    later = hours.made[100:]
    assert all(later[at + 80] - later[at] >= 60 for at in range(len(later) - 80))


def test_who_came_first_goes_first():
    """
    A backfill that asks all the time does not keep the tail waiting for more than its turn.
    """
    hours = Hours(share=0.5, per_hour=100)
    order = []

    async def one(name):
        await hours.call()
        order.append(name)

    async def story():
        await asyncio.gather(*(one(name) for name in range(20)))

    asyncio.run(story())
    assert order == list(range(20))


def headers(limit=5_000, remaining=5_000, reset=3_600):
    """
    Return what an answer says of the allowance.
    """
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset),
    }


def test_alone_it_is_not_slowed():
    """
    Our own use of the allowance is no reason to go slower.
    """
    hours = Hours(share=0.5)

    async def story():
        while hours.now < 1_000 + HOUR_SECONDS:
            await hours.call()
            hours.budget.learn(headers(remaining=5_000 - len(hours.made), reset=int(4_600 - hours.now)))

    asyncio.run(story())
    assert len(hours.made) > 2_300


def test_others_are_left_their_part():
    """
    Where other programs have used most of the hour, a share of the rest is taken, and never all of it.
    """
    hours = Hours(share=0.5)
    others = 4_000

    async def story():
        renewed = hours.now + HOUR_SECONDS
        half = 0
        while hours.now < renewed:
            left = 5_000 - others - len(hours.made)
            assert left > 0
            hours.budget.learn(headers(remaining=left, reset=int(renewed - hours.now)))
            await hours.call()
            half = half or (len(hours.made) if hours.now > renewed - HOUR_SECONDS / 2 else 0)
        rest = len(hours.made)
        while hours.now < renewed + 600:
            await hours.call()
        return half, len(hours.made) - rest

    half, after = asyncio.run(story())
    assert 200 < half < 400  # a burst, and less than a third of the rest
    assert after > 300


def test_nothing_left_means_to_wait():
    """
    An allowance that is used up says when it is renewed, and so does the budget.
    """
    hours = Hours()
    hours.budget.learn(headers(remaining=0, reset=1_200))
    assert hours.budget.remaining == 0
    with pytest.raises(Unavailable, match="own share") as caught:
        asyncio.run(hours.call(patient=False))
    assert 1_200 <= caught.value.after_seconds < 1_210


def test_another_limit_is_taken_on():
    """
    An account whose limit is not the documented one is used by its own.
    """
    hours = Hours(share=0.1)
    hours.budget.learn(headers(limit=600_000, remaining=600_000))
    assert hours.budget.per_hour == 60_000
    hours.budget.learn(headers(limit=0, remaining=5))
    hours.budget.learn(headers(limit=10**11, remaining=5))
    assert hours.budget.per_hour == 60_000


@given(
    st.dictionaries(
        st.sampled_from(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]),
        st.text(max_size=20)
        | st.integers().map(str)
        | st.floats().map(str)
        | st.sampled_from(["٣", "1e9", "0", "9" * 5_000]),
    )
)
def test_odd_headers_do_no_harm(odd):
    """
    Whatever the headers hold, a call is possible again within an hour and a bit.
    """
    hours = Hours()
    hours.budget.learn(odd)
    asyncio.run(hours.call())
    assert hours.now <= 1_000 + 2 * HOUR_SECONDS


def test_a_pause_that_was_asked_holds_everyone():
    """
    A wait that OneLogin asks for is kept by all callers; a longer one is told and not slept through.
    """
    hours = Hours()
    assert hours.budget.pause(20) == 20
    assert hours.budget.pause(5) == 5
    asyncio.run(hours.call(patient=False))
    assert hours.made == [1_020]
    hours.budget.pause(600)
    with pytest.raises(Unavailable, match="used up") as caught:
        asyncio.run(hours.call(patient=False))
    assert caught.value.after_seconds == 600


def test_pauses_that_nobody_measured_double():
    """
    A throttle that says nothing is waited for longer each time, until a call goes well.
    """
    hours = Hours()
    waits = [hours.budget.pause() for _ in range(10)]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == LONGEST_PAUSE_SECONDS
    hours.budget.resume()
    assert hours.budget.pause() == 5


def test_a_clock_set_back_stops_nobody():
    """
    A clock that jumps back costs at most a burst.
    """
    hours = Hours()
    hours.budget.learn(headers(remaining=100, reset=3_600))
    hours.budget.pause(1_000)
    hours.now -= 1e6
    asyncio.run(hours.call(patient=False))
    assert len(hours.made) == 1
