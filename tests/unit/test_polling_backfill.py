import asyncio

import pytest

from onelogin_connector.errors import Busy, ConfigError, HourPruned, Unauthorized, Unavailable
from onelogin_connector.event import Way
from tests.loops import in_jumps
from unit.keeping import KeepingJournal
from unit.polling_world import BEGIN, DAY, HOUR, MINUTE, SECOND, Account, Driven, Killed, outage


def run(coroutine):
    """
    Run a story to its end.
    """
    return asyncio.run(coroutine)


def month(account, *, events=2_000):
    """
    Let an event happen every twenty minutes of the last month, with ids in no order.
    """
    step = 30 * DAY // events
    return [
        account.happen(created_us=BEGIN - 30 * DAY + n * step + SECOND, id=(n * 7_919) % events + 1)
        for n in range(events)
    ]


def world_of(account, **options):
    """
    Make a poller that runs since now.
    """
    return Driven(account, KeepingJournal(), start_us=BEGIN, **options)


def held(world):
    """
    Return the ids in the journal.
    """
    return {int(native) for native in world.journal.natives}


def test_a_month_comes_whole_with_a_call_per_fifty_events():
    """
    A quiet account's past takes few calls; every event comes, as backfill, and the tail's marks stay.
    """
    account = Account()
    events = month(account)
    world = world_of(account)
    steps = []
    done = run(world.poller.backfill(BEGIN - 30 * DAY, BEGIN, steps.append))
    assert held(world) == {each.id for each in events}
    assert {event.way for event in world.journal.natives.values()} == {Way.BACKFILL}
    assert done.calls == account.calls <= 1.5 * len(events) / 50
    assert done.new == len(events) <= done.events < 1.01 * len(events)
    assert (done.hours_done, done.hours) == (720, 720)
    assert world.progress.marks is None
    assert world.progress.backfill is None
    assert [step.hours_done for step in steps] == sorted(step.hours_done for step in steps)
    assert steps[-1].seconds_left == 0


def test_a_busy_past_takes_one_call_per_fifty_events():
    """
    Where there is much, hardly any page is less than full.
    """
    account = Account()
    for n in range(10_000):
        account.happen(created_us=BEGIN - 4 * HOUR + n * SECOND)
    world = world_of(account)
    done = run(world.poller.backfill(BEGIN - 4 * HOUR, BEGIN, lambda _: None))
    assert done.calls <= 1.03 * 10_000 / 50


def test_it_goes_on_after_a_kill():
    """
    Killed again and again, the same command lists no page twice but the one at hand, and misses nothing.
    """
    account = Account()
    events = month(account)
    world = world_of(account)

    async def story():
        for _ in range(10):
            account.faults = [None] * 4 + [Killed()]
            with pytest.raises(Killed):
                await world.poller.backfill(BEGIN - 30 * DAY, BEGIN, lambda _: None)
            world.start()
        account.faults = []
        return await world.poller.backfill(BEGIN - 30 * DAY, BEGIN, lambda _: None)

    done = run(story())
    assert held(world) == {each.id for each in events}
    assert done.calls == account.calls - 10
    assert done.new == len(events)
    assert sum(each.listed for each in account.happened) < 1.02 * len(events)


def test_another_range_goes_on_only_behind_what_was_read():
    """
    What an interrupted backfill read is not read again by one that begins within it; one that begins earlier reads all.
    """
    account = Account()
    events = month(account)
    world = world_of(account)

    async def interrupted():
        account.faults = [None] * 10 + [Killed()]
        with pytest.raises(Killed):
            await world.poller.backfill(BEGIN - 20 * DAY, BEGIN, lambda _: None)
        world.start()
        return world.progress.backfill.done_us

    async def story():
        reached = await interrupted()
        before = account.calls
        await world.poller.backfill(BEGIN - 20 * DAY + HOUR, BEGIN - 5 * DAY, lambda _: None)
        assert account.windows[before][0] >= reached - 8 * DAY
        assert min(since for since, _, _ in account.windows[before:]) >= BEGIN - 20 * DAY + HOUR
        await interrupted()
        before = account.calls
        await world.poller.backfill(BEGIN - 30 * DAY, BEGIN, lambda _: None)
        assert account.windows[before][0] == BEGIN - 30 * DAY - SECOND

    run(story())
    assert held(world) == {each.id for each in events}


def test_an_outage_is_waited_for_and_told():
    """
    While the API is away the backfill waits, longer each time, and says why.
    """
    account = Account()
    events = month(account, events=300)
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    world = world_of(account, sleep=sleep)
    account.faults = [None, None, *outage(8), Unavailable("Too many calls.", after_seconds=200)]
    steps = []
    run(world.poller.backfill(BEGIN - 30 * DAY, BEGIN, steps.append))
    assert held(world) == {each.id for each in events}
    assert {step.waiting for step in steps} == {"", "The API is down.", "Too many calls."}
    assert len(slept) == 9
    assert slept[7] > slept[0]
    assert slept[8] >= 200


def test_a_long_outage_ends_it_with_what_to_do():
    """
    After many failures a person is told that repeating the command goes on.
    """
    account = Account()
    month(account, events=300)

    async def sleep(_):
        return

    world = world_of(account, sleep=sleep)
    account.faults = [None, *outage(100)]
    with pytest.raises(Unavailable, match="repeat the command: it goes on from here"):
        run(world.poller.backfill(BEGIN - 30 * DAY, BEGIN, lambda _: None))
    assert world.progress.backfill.calls == 1


def test_a_refused_credential_ends_it_at_once():
    """
    No wait mends a credential.
    """
    account = Account()
    account.faults = [Unauthorized("OneLogin refused the credential.")]
    with pytest.raises(Unauthorized):
        run(world_of(account).poller.backfill(BEGIN - DAY, BEGIN, lambda _: None))
    assert account.calls == 1


def test_hours_without_keys_need_consent():
    """
    Where repeats could not be recognised, the refusal names the flag; with consent it is handed to the journal.
    """
    account = Account()
    month(account, events=300)
    world = world_of(account)
    asked = []
    real = world.journal.append

    async def append(events, dead=None, *, accept_duplicates=False):
        asked.append(accept_duplicates)
        if not accept_duplicates:
            raise HourPruned
        return await real(events, dead)

    world.journal.append = append
    with pytest.raises(HourPruned, match="--accept-duplicates"):
        run(world.poller.backfill(BEGIN - 30 * DAY, BEGIN, lambda _: None))
    done = run(world.poller.backfill(BEGIN - 30 * DAY, BEGIN, lambda _: None, accept_duplicates=True))
    assert done.new == 300
    assert asked[0] is False
    assert set(asked[1:]) == {True}


def test_one_at_a_time():
    """
    A second backfill of the same connector is refused while one runs; the first is not disturbed.
    """
    account = Account()
    month(account, events=300)
    world = world_of(account)

    async def story():
        first = asyncio.create_task(world.poller.backfill(BEGIN - 30 * DAY, BEGIN, lambda _: None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="running already"):
            await world.poller.backfill(BEGIN - DAY, BEGIN, lambda _: None)
        return await first

    assert run(story()).new == 300


def test_an_empty_range_is_refused():
    """
    A range that ends before it begins is a mistake, and makes no call.
    """
    account = Account()
    with pytest.raises(ConfigError, match="ends before it begins"):
        run(world_of(account).poller.backfill(BEGIN, BEGIN - DAY, lambda _: None))
    assert account.calls == 0


def test_a_stop_ends_it_in_its_own_words():
    """
    When the service stops, a backfill that waits for the API ends at once and says how to go on.
    """
    account = Account()

    async def never(**_):
        await asyncio.Event().wait()

    account.events = never
    world = world_of(account)

    async def story():
        running = asyncio.create_task(world.poller.backfill(BEGIN - DAY, BEGIN, lambda _: None))
        await asyncio.sleep(0.05)
        world.poller.cease()
        with pytest.raises(Unavailable, match="stopping"):
            await asyncio.wait_for(running, 1)

    in_jumps(story())


def test_a_new_id_reopens_a_settled_hour():
    """
    When a backfill finds an event in an hour that had settled, that hour is swept again until it settles anew.
    """
    account = Account()
    hour = BEGIN // HOUR + 1
    account.happen(created_us=hour * HOUR + MINUTE)
    hidden = account.happen(created_us=hour * HOUR + 2 * MINUTE, late_us=8 * HOUR)
    world = Driven(account, KeepingJournal(), start_us=BEGIN, poll_seconds=300.0)

    async def story():
        await world.until((hour + 9) * HOUR)
        assert world.progress.hour(hour).settled
        await world.poller.backfill(hour * HOUR, (hour + 1) * HOUR, lambda _: None)
        assert hidden.id in held(world)
        assert not world.progress.hour(hour).settled
        assert world.told[-1].settled is False
        await world.until((hour + 9) * HOUR + 30 * MINUTE)
        assert not world.progress.hour(hour).settled
        await world.until((hour + 27) * HOUR)
        assert world.progress.hour(hour).settled
        assert world.progress.hour(hour).listed == 2

    run(story())
