"""
The records of a call are settled from the first on, each accepted once or refused with its reason.
"""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelogin_connector.azure.settling import settle
from onelogin_connector.errors import ConfigError, Partly, Refused, TooLarge, Unauthorized, Unavailable


class Service:
    """
    Accepts a call as a whole, or not at all.
    """

    def __init__(self, poison=(), most=10**9, faults=()):
        self.poison, self.most, self.faults = set(poison), most, list(faults)
        self.accepted = []
        self.calls = 0
        self.shift = 0
        """What has been settled before: positions count from there."""

    async def post(self, first, end):
        self.calls += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        wanted = range(self.shift + first, self.shift + end)
        if len(wanted) > self.most:
            raise TooLarge("Too much.")
        if self.poison.intersection(wanted):
            raise Refused(dict.fromkeys(range(end - first), "Poison."))
        self.accepted += wanted


async def everything(service, count, most_in_a_call):
    """
    Send records as the delivery loop does, until all are settled; returns what was refused.
    """
    refused, failures = {}, 0
    while service.shift < count:
        left = count - service.shift
        settled, now_refused = left, {}
        try:
            await settle(min(left, most_in_a_call), service.post, of=left)
        except Partly as error:
            settled, now_refused = error.settled, error.refused
        except Refused as error:
            now_refused = error.reasons
        except Unavailable:
            settled, failures = 0, failures + 1
        assert settled or failures < 1_000
        assert set(now_refused) <= {settled - 1}, "nothing accepted lies behind a refused record"
        refused |= {service.shift + at: why for at, why in now_refused.items()}
        service.shift += settled
    return refused


@given(
    count=st.integers(1, 60),
    most_in_a_call=st.integers(1, 60),
    poison=st.sets(st.integers(0, 59), max_size=8),
    most=st.integers(1, 70),
    faults=st.lists(st.sampled_from([None, Unavailable("later"), Unavailable("no")]), max_size=30),
)
@example(1, 1, {0}, 70, [])
@example(2, 2, {1}, 70, [None, None, Unavailable("between")])
@example(60, 60, set(range(60)), 70, [])
def test_each_record_is_accepted_once_or_refused(count, most_in_a_call, poison, most, faults):
    """
    Whatever calls fail, each good record is accepted exactly once and in order, each bad one refused.
    """
    service = Service(poison, most, faults)
    refused = asyncio.run(everything(service, count, most_in_a_call))
    bad = {each for each in poison if each < count}
    assert service.accepted == [each for each in range(count) if each not in bad]
    assert refused == dict.fromkeys(bad, "Poison.")


@given(st.integers(2, 2_000), st.data())
def test_one_bad_record_costs_few_calls(count, data):
    """
    The search takes two calls per halving at most, and what lies behind goes in one.
    """
    poison = data.draw(st.integers(0, count - 1))
    service = Service({poison})
    asyncio.run(everything(service, count, count))
    assert service.calls <= 2 * count.bit_length() + 3


def test_an_error_in_the_middle_says_how_far_it_came():
    """
    What was accepted before the error is settled, and the error comes with it.
    """
    error = Unauthorized("Revoked.")
    service = Service({9}, faults=[None, None, error])
    with pytest.raises(Partly) as caught:
        asyncio.run(settle(10, service.post, of=10))
    assert (caught.value.settled, caught.value.refused, caught.value.then) == (5, {}, error)
    assert service.accepted == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("error", [Unavailable("later"), Unauthorized("no"), ConfigError("wrong")])
def test_an_error_at_once_settles_nothing(error):
    """
    An error of the first call, or of the first half, is raised as it is.
    """
    for faults in ([error], [TooLarge("half"), error]):
        with pytest.raises(type(error)) as caught:
            asyncio.run(settle(4, Service(faults=faults).post, of=4))
        assert caught.value is error


def test_no_record_is_held_at_fault_before_the_service_has_proved_well():
    """
    Where the service refuses everything, the request is wrong and not a record.
    """

    async def prove():
        raise ConfigError("It refuses an empty call, too.")

    service = Service(range(10))
    with pytest.raises(ConfigError):
        asyncio.run(settle(10, service.post, of=10, prove=prove))
    assert service.calls == 1


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_no_record_is_held_at_fault_that_was_not_refused_alone(count):
    """
    A refusal that does not come again blames nobody; a single record was alone from the start.
    """
    service = Service(faults=[Refused(dict.fromkeys(range(count), "A whim."))])
    refused = asyncio.run(everything(service, count, count))
    assert refused == ({0: "A whim."} if count == 1 else {})
    assert service.accepted == (list(range(count)) if count > 1 else [])


def test_too_large_is_no_reason_to_ask_for_proof():
    """
    A call that is only too large shows by itself that the service listens.
    """

    async def prove():
        raise AssertionError

    with pytest.raises(Partly) as caught:
        asyncio.run(settle(8, Service(most=4).post, of=8, prove=prove))
    assert (caught.value.settled, caught.value.refused) == (4, {})
