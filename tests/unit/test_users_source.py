"""
The loop that keeps users up to date: what it asks for, what it remembers, and that nothing ends it.
"""

import asyncio
from json import dumps

import pytest

from onelogin_connector.errors import ConfigError, Unauthorized, Unavailable
from onelogin_connector.sources.users import PAUSE_SECONDS, REACH_BACK_US, UsersSource
from onelogin_connector.status import State
from onelogin_connector.store import Store, UsersMark

MONDAY = 1_772_442_000.0
MONDAY_US = 1_772_442_000_000_000


class Account:
    """List planted users in pages, or fail at a page as planted."""

    def __init__(self, *users):
        self.users_ = list(users)
        self.asked = []
        self.failure, self.fail_at_page = None, 0

    async def users(self, *, updated_since_us=None):
        self.asked.append(updated_since_us)
        for page in range(0, max(len(self.users_), 1), 50):
            if self.failure is not None and page // 50 >= self.fail_at_page:
                raise self.failure
            if self.users_:
                yield [dumps(user).encode() for user in self.users_[page : page + 50]]


class Clock:
    """A clock that moves only when told."""

    def __init__(self):
        self.now = MONDAY

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """Give a clock that stands on a Monday morning."""
    return Clock()


@pytest.fixture
def store(tmp_path):
    """Give an empty store."""
    store = Store.open(tmp_path / "store.duckdb", names=lambda _: None)
    yield store
    store.close()


def user(number, updated="2026-03-02T08:00:00.000Z", **values):
    """Return a user as OneLogin lists it."""
    return {"id": number, "username": f"u{number}", "updated_at": updated} | values


def count(store):
    """Return how many users the store holds."""
    return store.query("OneLoginUsersV2_CL | count").rows[0][0]


def step(source):
    """Let the source list once; returns how long it would rest."""
    return asyncio.run(source.step())


def test_all_at_first_then_what_changed(store, clock):
    """
    The first list holds everyone; the next begins a little before the latest change that OneLogin named.
    """
    account = Account(*(user(n) for n in range(120)), user(200, "2026-03-02T08:59:00Z"))
    source = UsersSource("acme", account, store, refresh_seconds=900, clock=clock)
    assert step(source) == 900
    assert count(store) == 121
    assert source.status.state is State.OK
    account.users_ = [user(7, "2026-03-02T09:10:00Z", title="Chief")]
    clock.now += 900
    step(source)
    latest = MONDAY_US - 60_000_000
    assert account.asked == [None, latest - REACH_BACK_US]
    assert count(store) == 121
    assert store.query("OneLoginUsersV2_CL | where UserAttributesTitle == 'Chief' | count").rows == [(1,)]
    assert store.users_mark("acme") == UsersMark(MONDAY_US + 600_000_000, MONDAY)
    assert (source.last_refresh, source.status.counts["lists"]) == (MONDAY + 900, 2)


def test_a_new_start_goes_on_where_the_last_was(store, clock):
    """
    The mark is in the store: a restart lists only what changed.
    """
    account = Account(user(1))
    step(UsersSource("acme", account, store, clock=clock))
    step(UsersSource("acme", account, store, clock=clock))
    assert account.asked == [None, MONDAY_US - 3_600_000_000 - REACH_BACK_US]


def test_everyone_once_a_day(store, clock):
    """
    A day later all are listed again, which brings those that a shifting list had pushed past.
    """
    account = Account(user(1))
    source = UsersSource("acme", account, store, whole_seconds=86_400, clock=clock)
    for later, whole in ((0, True), (86_399, False), (1, True), (900, False)):
        clock.now += later
        step(source)
        assert (account.asked[-1] is None) is whole


def test_a_clock_set_back_puts_nothing_off(store, clock):
    """
    Where the last whole list lies in the future, everyone is listed.
    """
    account = Account(user(1))
    source = UsersSource("acme", account, store, clock=clock)
    clock.now += 10 * 365 * 86_400
    step(source)
    clock.now = MONDAY
    step(source)
    assert account.asked == [None, None]


def test_a_date_in_the_future_hides_nothing(store, clock):
    """
    A user whose change lies years ahead does not move the mark past what comes until then.
    """
    account = Account(user(1, "2099-01-01T00:00:00Z"))
    source = UsersSource("acme", account, store, clock=clock)
    step(source)
    assert store.users_mark("acme").updated_us == MONDAY_US


def test_users_without_dates_are_all_listed_each_time(store, clock):
    """
    Where no change has a date, there is nothing to begin from, so nobody is missed.
    """
    account = Account({"id": 1, "updated_at": "soon"}, {"id": 2}, {"name": "nobody"})
    source = UsersSource("acme", account, store, clock=clock)
    step(source)
    step(source)
    assert account.asked == [None, None]
    assert source.status.counts["unreadable"] == 2


@pytest.mark.parametrize(
    ("failure", "state", "least", "most"),
    [
        (Unavailable("OneLogin does not answer."), State.RETRYING, 0.2, 1),
        (Unavailable("Slowly.", after_seconds=300), State.RETRYING, 299, 301),
        (Unauthorized("The credential was refused."), State.PAUSED, PAUSE_SECONDS, PAUSE_SECONDS),
        (ConfigError("The credential may not read users."), State.PAUSED, PAUSE_SECONDS, PAUSE_SECONDS),
        (ZeroDivisionError("a fault of ours"), State.RETRYING, 0.2, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_is_shown_and_tried_again(store, clock, failure, state, least, most):
    """
    Whatever happens is in the status, waits as long as it should, keeps what had come, and moves no mark.
    """
    account = Account(*(user(n) for n in range(2_100)))
    account.failure, account.fail_at_page = failure, 40
    source = UsersSource("acme", account, store, clock=clock)
    assert least <= step(source) <= most
    assert source.status.state is state
    assert "not up to date" in source.status.error
    assert count(store) == 2_000
    assert store.users_mark("acme") is None
    account.failure = None
    step(source)
    assert (source.status.state, source.status.error) == (State.OK, "")
    assert count(store) == 2_100
    assert account.asked == [None, None]


def test_an_unforeseen_fault_keeps_its_text_to_itself(store, clock, caplog):
    """
    A fault that we do not know is named by its class, and its trace stands in the log once.
    """
    account = Account()
    account.failure = RuntimeError("token abc123")
    source = UsersSource("acme", account, store, clock=clock)
    step(source)
    step(source)
    assert "abc123" not in source.status.error
    assert "RuntimeError" in source.status.error
    assert len(caplog.records) == 1


def test_waits_grow(store, clock):
    """
    Failures in a row are spaced out, and a success forgets them.
    """
    account = Account()
    account.failure = Unavailable()
    source = UsersSource("acme", account, store, clock=clock)
    waits = [step(source) for _ in range(8)]
    assert waits[-1] >= 30
    assert waits[0] < 1
    account.failure = None
    step(source)
    account.failure = Unavailable()
    assert step(source) < 1


def test_a_store_that_is_closed_is_waited_for(store, clock):
    """
    A store that takes nothing at the moment is a reason to try again, no end.
    """
    source = UsersSource("acme", Account(user(1)), store, clock=clock)
    store.close()
    assert step(source) > 0
    assert source.status.state is State.RETRYING


def test_run_lists_until_stopped(store, clock):
    """
    The loop goes on after failures, and ends soon after it is told, even in the middle of a long rest.
    """
    account = Account(user(1))
    account.failure = Unavailable()
    rests = []

    async def sleep(seconds):
        rests.append(seconds)
        if len(rests) == 3:
            account.failure = None
        if seconds == 900:
            await asyncio.Event().wait()

    async def scenario():
        source = UsersSource("acme", account, store, refresh_seconds=900, clock=clock, sleep=sleep)
        running = asyncio.create_task(source.run())
        async with asyncio.timeout(60):
            while source.last_refresh is None or rests[-1] != 900:
                await asyncio.sleep(0.01)
            await source.stop()
            await running
        return source

    source = asyncio.run(scenario())
    assert source.status.state is State.STOPPED
    assert len(rests) == 4
    assert count(store) == 1


def test_run_can_be_cancelled(store, clock):
    """
    Whoever runs the loop may cancel it at any moment.
    """

    async def scenario():
        source = UsersSource("acme", Account(user(1)), store, clock=clock)
        running = asyncio.create_task(source.run())
        await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
