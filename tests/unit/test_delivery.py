"""
The delivery loop, one behaviour at a time; ``test_delivery_model.py`` holds its guarantee.
"""

import asyncio
import logging

import pytest
from msgspec import structs

from onelogin_connector.delivery import Delivery, Options, Replayed
from onelogin_connector.errors import ConfigError, ConnectorError, Refused, Unauthorized, Unavailable
from onelogin_connector.event import Kind, Way, read
from onelogin_connector.sinks.base import Limits
from onelogin_connector.status import State
from onelogin_connector.testing import FakeSink, MemoryJournal, Step, entry
from tests.loops import in_jumps

NOW = 1_700_000_100.0  # a hundred seconds after the records of ``entry`` arrived


class Time:
    """
    A clock that only sleeping moves, and that remembers the waits.
    """

    def __init__(self):
        self.now = NOW
        self.waits = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0.001)  # a little, so that the test comes to look


class Journal(MemoryJournal):
    """
    A journal whose front can be cut off and whose ``advance`` can fail.
    """

    def __init__(self, count=0):
        super().__init__()
        self.first = 1
        self.failures = 0
        self.advances = []
        self.write(count)

    def write(self, count, **named):
        """Add records."""
        for _ in range(count):
            self.tables.write(entry(self.tables.next_offset(), **named))
        self._grown.set()
        self._grown = asyncio.Event()

    def read(self, after, **limits):
        return super().read(max(after, self.first - 1), **limits)

    async def advance(self, sink, checkpoint, dead=()):
        if self.failures:
            self.failures -= 1
            raise Unavailable("The disk is slow.")
        self.advances.append((checkpoint.offset, len(dead)))
        await super().advance(sink, checkpoint, dead)


class Twins(FakeSink):
    wants_twins = True


def offsets(sink):
    """Return the offsets that a sink accepted."""
    return [record.offset for record in sink.accepted]


async def until(condition, seconds=5):
    """Let the loop run until something holds."""
    end = passed() + seconds
    while not condition():
        assert passed() < end, "it did not happen"
        await asyncio.sleep(0.001)


def passed():
    """Return the clock of the loop, on which time passes only where everybody waits."""
    return asyncio.get_running_loop().time()


def story(act, sink=None, journal=None, **named):
    """
    Run a delivery around a story, and stop it.
    """

    async def tell():
        clock = Time()
        here = sink or FakeSink()
        log = journal or Journal(5)
        options = named.pop("options", Options(grace_seconds=0.05))
        delivery = Delivery("siem", here, log, options=options, clock=clock, sleep=clock.sleep, **named)
        task = asyncio.create_task(delivery.run())
        try:
            return await act(delivery, here, log, clock)
        finally:
            await delivery.stop()
            await task
            assert here.closed == 1
            assert delivery.status.state is State.STOPPED

    return in_jumps(tell())


def turns(caplog):
    """Return the states that were logged, with their text."""
    return [(record.state, record.message) for record in caplog.records if record.action == "turn"]


def test_the_same_batch_goes_again_after_the_asked_wait(caplog):
    """
    Unavailable: state retrying with the cause, at least the asked wait, then the same records.
    """
    caplog.set_level(logging.INFO)

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.status.state is State.OK)
        assert sink.batches == [[1, 2, 3, 4, 5]] * 3
        assert clock.waits[0] >= 30
        assert 0 < clock.waits[1] <= 60
        assert delivery.status.counts["failures"] == 2

    faults = [Step(error=Unavailable("No room.", after_seconds=30)), Step(error=OSError("reset"))]
    story(act, FakeSink(script=faults))
    assert [state for state, _ in turns(caplog)] == ["retrying", "ok", "stopped"]
    assert turns(caplog)[0][1] == "The sink siem is retrying: No room."


def test_the_newest_cause_is_shown():
    """
    The error of the latest attempt stands in the status, shortened, with the type of a foreign exception.
    """
    seen = []

    async def act(delivery, sink, log, clock):
        async def sleep(seconds):
            seen.append(delivery.status.error)
            await asyncio.sleep(0)

        delivery._sleep = sleep
        await until(lambda: delivery.checkpoint.offset == 5)

    story(act, FakeSink(script=[Step(error=Unavailable("First.")), Step(error=ValueError("x" * 5_000))]))
    assert seen[0] == "First."
    assert seen[1].startswith("ValueError: xxx")
    assert len(seen[1]) == 500


def test_a_refused_credential_pauses_and_is_tried_again():
    """
    Unauthorized: state paused with the cause, no further attempt before five minutes, then it goes on.
    """
    paused = []

    async def act(delivery, sink, log, clock):
        async def sleep(seconds):
            paused.append((delivery.status.state, delivery.status.error, seconds))
            await asyncio.sleep(0)

        delivery._sleep = sleep
        await until(lambda: delivery.status.state is State.OK)

    story(act, FakeSink(script=[Step(error=Unauthorized("Expired.", action="Enter another."))]))
    assert paused == [(State.PAUSED, "Expired. Enter another.", 300.0)]


def test_resume_ends_a_wait_at_once():
    """
    A person who has corrected the cause need not wait for the next attempt.
    """

    async def act(delivery, sink, log, clock):
        async def sleep(seconds):
            await asyncio.Event().wait()

        delivery._sleep = sleep
        await until(lambda: delivery.status.state is State.RETRYING)
        delivery.resume()
        await until(lambda: delivery.checkpoint.offset == 5)

    story(act, FakeSink(script=[Step(error=Unavailable())]))


def test_a_paused_sink_gets_nothing_and_loses_nothing():
    """
    Between pause and resume nothing is sent; afterwards everything is.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        delivery.pause("Maintenance.")
        log.write(3)
        await asyncio.sleep(0.02)
        assert offsets(sink) == [1, 2, 3, 4, 5]
        assert (delivery.status.state, delivery.status.error) == (State.PAUSED, "Maintenance.")
        assert delivery.lag().events == 3
        delivery.resume()
        await until(lambda: delivery.checkpoint.offset == 8)
        assert offsets(sink) == [1, 2, 3, 4, 5, 6, 7, 8]

    story(act)


def test_stop_ends_a_hanging_send_within_seconds_and_loses_nothing():
    """
    The batch that was cut off goes again with the next loop.
    """
    log = Journal(5)
    sink = FakeSink(script=[Step(hangs=True)])

    async def act(delivery, sink, log, clock):
        await until(lambda: sink.batches)
        began = passed()
        await delivery.stop()
        assert passed() - began < 1
        assert delivery.checkpoint.offset == 0

    story(act, sink, log)
    sink.closed = 0

    async def again(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)

    story(again, sink, log)
    assert offsets(sink) == [1, 2, 3, 4, 5]


def test_stop_lets_a_running_send_finish():
    """
    What is accepted within the grace is in the checkpoint, so that it does not go twice.
    """

    class Slow(FakeSink):
        async def send(self, batch):
            await asyncio.sleep(0.02)
            await super().send(batch)

    async def act(delivery, sink, log, clock):
        await asyncio.sleep(0.01)
        await delivery.stop()
        assert delivery.checkpoint.offset == 5

    story(act, Slow(), options=Options(grace_seconds=2))


def test_a_slow_sink_holds_up_no_other():
    """
    While one sink hangs in its first batch, the other has everything.
    """

    async def tell():
        log = Journal(50)
        slow, quick = FakeSink(script=[Step(hangs=True)]), FakeSink()
        deliveries = [
            Delivery(name, sink, log, options=Options(grace_seconds=0.02))
            for name, sink in (("slow", slow), ("quick", quick))
        ]
        tasks = [asyncio.create_task(delivery.run()) for delivery in deliveries]
        await until(lambda: deliveries[1].checkpoint.offset == 50)
        assert deliveries[0].checkpoint.offset == 0
        assert deliveries[0].lag().events == 50
        await asyncio.gather(*(delivery.stop() for delivery in deliveries))
        await asyncio.gather(*tasks)

    in_jumps(tell())


def test_a_lone_event_goes_soon_and_takes_its_company_along():
    """
    With little traffic an entry waits about max_batch_seconds, and what comes meanwhile goes with it.
    """

    async def act(delivery, sink, log, clock):
        async def sleep(seconds):
            clock.waits.append(seconds)
            clock.now += seconds
            log.write(2, received_us=int(clock.now * 1e6))

        delivery._sleep = sleep
        await asyncio.sleep(0.01)
        log.write(1, received_us=int((clock.now - 0.1) * 1e6))
        await until(lambda: sink.batches)
        assert clock.waits == [pytest.approx(0.4, abs=1e-4)]
        assert sink.batches == [[1, 2, 3]]

    story(act, FakeSink(limits=Limits(10, 100_000, max_batch_seconds=0.5)), Journal(0))


class Slow(FakeSink):
    """
    A sink that takes a tenth of a second per batch; while the first three are sent, more records arrive.
    """

    async def send(self, batch):
        await super().send(batch)
        self.clock.now += 0.1
        self.log.write(self.coming if len(self.batches) <= 3 else 0)


@pytest.mark.parametrize(("coming", "waits"), [(4, [0.2, 0.2, 0.2]), (3, [])])
def test_a_sink_gives_way_to_intake_only_while_it_is_outrun(coming, waits):
    """
    Between full batches it rests while more arrives than it took, and catches up without rests otherwise.
    """

    async def act(delivery, sink, log, clock):
        sink.clock, sink.log, sink.coming = clock, log, coming
        log.write(9)
        await until(lambda: len(sink.batches) > 3 and not delivery.lag().events)
        assert clock.waits == [pytest.approx(wait) for wait in waits]
        assert offsets(sink) == list(range(1, 10 + 3 * coming))

    story(act, Slow(limits=Limits(3, 100_000, gives_way=2.0)), Journal(0))


def test_an_event_reaches_its_sink_in_time():
    """
    From an append to the sink it takes max_batch_seconds, where only the loop's own waits take time.
    """

    async def tell():
        log, sink = MemoryJournal(), FakeSink(limits=Limits(100, 100_000, max_batch_seconds=0.1))
        delivery = Delivery("siem", sink, log, clock=lambda: NOW + passed())
        task = asyncio.create_task(delivery.run())
        await asyncio.sleep(0.01)
        raw = b'{"uuid":"a","event_type_id":5,"account_id":1,"event_timestamp":"2024-01-01 00:00:00 UTC"}'
        now_us = int((NOW + passed()) * 1e6)
        await log.append([read(raw, connector="default", way=Way.WEBHOOK, received_us=now_us)])
        await until(lambda: sink.accepted)
        assert NOW + passed() - now_us / 1e6 == pytest.approx(0.1, abs=0.002)  # as ``until`` looks each 0.001
        await delivery.stop()
        await task

    in_jumps(tell())


def test_dead_letters_are_durable_with_the_checkpoint_that_passes_them():
    """
    A refused record is in the very advance that passes it, with its bytes and the reason.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        assert (5, 2) in log.advances
        letters = log.dead_letters()
        assert [(letter.offset, letter.kind, letter.sink) for letter in letters] == [
            (2, "delivery", "siem"),
            (4, "delivery", "siem"),
        ]
        assert letters[0].body == entry(2).raw
        assert letters[0].reason == "It stood in the script."
        assert (delivery.checkpoint.delivered, delivery.checkpoint.dead) == (3, 2)

    story(act, FakeSink(script=[Step(refuses=frozenset({1, 3}))]))


def test_too_many_refusals_pause_instead_of_emptying_the_journal():
    """
    A destination that refuses everything costs as many dead letters as allowed, then waits for a person.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.status.state is State.PAUSED)
        await asyncio.sleep(0.02)
        assert len(log.dead_letters()) == 7
        assert delivery.checkpoint.offset == 7
        assert "7 records in a row" in delivery.status.error
        assert "wrong table" in delivery.status.error
        sink._refuse = lambda _: None
        delivery.resume()
        await until(lambda: delivery.checkpoint.offset == 50)
        assert offsets(sink) == list(range(8, 51))

    options = Options(pause_after_refusals=7, grace_seconds=0.05)
    story(act, FakeSink(refuse=lambda _: "wrong table"), Journal(50), options=options)


def test_scattered_refusals_do_not_pause():
    """
    Accepted records between the refused ones show that the destination works.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 60)
        assert len(log.dead_letters()) == 30
        assert delivery.status.state is State.OK

    sink = FakeSink(refuse=lambda record: "odd" if record.offset % 2 else None)
    story(act, sink, Journal(60), options=Options(pause_after_refusals=3))


@pytest.mark.parametrize(
    "error", [Refused({}), Refused({99: "what?"}), asyncio.CancelledError(), MemoryError()]
)
def test_a_confused_sink_ends_no_loop_and_passes_nothing(error):
    """
    Refusals of nobody, a cancellation of its own, an empty heap: the batch goes again.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        assert sink.batches == [[1, 2, 3, 4, 5]] * 2
        assert log.dead_letters() == []

    story(act, FakeSink(script=[Step(error=error)]))


def test_a_journal_in_trouble_makes_no_repeats():
    """
    When the checkpoint cannot be written, it is written later; what was accepted is not sent again.
    """

    async def act(delivery, sink, log, clock):
        log.failures = 3
        await until(lambda: delivery.checkpoint.offset == 5)
        assert sink.batches == [[1, 2, 3, 4, 5]]
        assert delivery.checkpoint.delivered == 5

    story(act)


def test_twins_pass_a_sink_that_wants_entries():
    """
    The checkpoint moves over twins; one that asks for them gets them.
    """
    for sink, wanted in ((FakeSink(), [1]), (Twins(), [1, 2, 3])):
        log = Journal(1)
        log.write(1, kind=Kind.TWIN, of=entry(1).key)
        log.write(1, kind=Kind.CHANGE, of=entry(1).key)

        async def act(delivery, sink, log, clock, wanted=wanted):
            await until(lambda: delivery.checkpoint.offset == 3)
            assert offsets(sink) == wanted
            assert delivery.checkpoint.delivered == len(wanted)

        story(act, sink, log)


def test_what_a_setting_skips_is_counted_by_its_name():
    """
    A skipped entry is not sent, and the checkpoint says how many and why.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 30)
        assert offsets(sink) == [offset for offset in range(1, 31) if offset % 3]
        assert delivery.checkpoint.skipped == {"include_backfill": 10}
        assert delivery.checkpoint.delivered == 20

    skips = lambda record: None if record.offset % 3 else "include_backfill"  # noqa: E731
    story(act, None, Journal(30), options=Options(skips=skips, grace_seconds=0.05))


def test_lag_counts_records_and_the_age_of_the_oldest():
    """
    Without traffic the lag is nothing; behind a failure it grows with the clock.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        assert delivery.lag() == type(delivery.lag())(0, 0.0)
        delivery.pause()
        log.write(4, received_us=int((clock.now - 7) * 1e6))
        assert delivery.lag().events == 4
        assert delivery.lag().seconds == pytest.approx(7, abs=0.001)

    story(act)


def test_a_backlog_over_its_limit_detaches_and_refills():
    """
    Past the limit the range is owed and shown, the newest still flow, and a refill brings the rest in order.
    """
    log = Journal(20)
    broken_off = []

    def read_back(after, up_to, limit):
        if after >= 9 and not broken_off:
            broken_off.append(after)
            raise OSError("the store is busy")
        return log.tables.log[after:up_to][:limit]

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.owed)
        assert delivery.checkpoint.owed == [(0, 20)]
        await until(lambda: delivery.status.state is State.DETACHED)
        log.write(1)
        await until(lambda: delivery.checkpoint.offset == 21)
        assert delivery.status.state is State.DETACHED
        assert "owed 20 records" in delivery.status.error
        assert offsets(sink) == [21]
        assert await delivery.refill() == 20
        assert offsets(sink) == [21, *range(1, 21)]
        assert broken_off
        assert delivery.checkpoint.owed == log.checkpoint("siem").owed == []
        assert delivery.checkpoint.delivered == 21
        assert delivery.status.state is State.OK

    sink = FakeSink(limits=Limits(4, 100_000), script=[Step(error=Unavailable())])
    story(act, sink, log, refill=read_back, options=Options(backlog_limit=10, grace_seconds=0.05))


def test_a_paused_sink_is_detached_too():
    """
    A forgotten pause does not fill the disk where a limit was set.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        delivery.pause()
        log.write(20)
        await until(lambda: delivery.checkpoint.owed == [(5, 25)])
        assert delivery.status.state is State.PAUSED

    story(act, options=Options(backlog_limit=10, grace_seconds=0.05))


def test_what_is_owed_can_be_waived_and_is_counted():
    """
    Without a store the owed range is given up by a person's decision, and by name.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.owed)
        with pytest.raises(ConfigError, match="no store"):
            await delivery.refill()
        assert await delivery.waive() == 20
        assert delivery.checkpoint.owed == []
        assert delivery.checkpoint.skipped == {"waived": 20}

    sink = FakeSink(script=[Step(error=Unavailable())])
    story(act, sink, Journal(20), options=Options(backlog_limit=10, grace_seconds=0.05))


def test_records_pruned_before_their_turn_are_owed():
    """
    A new sink on an old journal says what it has not got, instead of passing it in silence.
    """
    log = Journal(12)
    log.first = 9

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 12)
        assert offsets(sink) == [9, 10, 11, 12]
        assert delivery.checkpoint.owed == [(0, 8)]

    story(act, FakeSink(), log)


@pytest.mark.parametrize("position", [0, 2, 4])
def test_a_sink_with_its_own_position_is_believed(position):
    """
    Behind the journal's checkpoint it gets again what it lost, ahead of it nothing twice.
    """
    log = Journal(5)
    log._checkpoints["siem"] = structs.replace(log.checkpoint("siem"), offset=3)

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        assert sink.batches == [list(range(position + 1, 6))]

    sink = FakeSink(keeps_position=True)
    sink.position = position
    story(act, sink, log)


def test_a_position_beyond_the_journal_is_an_alarm():
    """
    After a lost journal, waiting for its old end would lose everything up to there.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.status.state is State.RETRYING)
        assert "beyond" in delivery.status.error or "the journal ends at 5" in delivery.status.error
        assert sink.batches == []

    sink = FakeSink(keeps_position=True)
    sink.position = 9
    story(act, sink)


def test_replay_discards_what_is_accepted_and_counts_what_is_not():
    """
    The stored bytes go again, outside the order; ids of others are left alone.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        first, second = (letter.id for letter in log.dead_letters())
        sink.accepted.clear()
        assert await delivery.replay([first, second, 77]) == Replayed(accepted=1, refused=1, missing=1)
        assert [(record.offset, record.raw) for record in sink.accepted] == [(0, entry(2).raw)]
        (left,) = log.dead_letters()
        assert (left.offset, left.count) == (4, 2)
        assert delivery.checkpoint.offset == 5

    story(
        act,
        FakeSink(
            script=[Step(refuses=frozenset({1, 3}))], refuse=lambda r: "bad" if r.key[-1] == 4 else None
        ),
    )


def test_replay_into_a_sink_that_is_away_keeps_the_letters():
    """
    Unavailable reaches the person who asked, and nothing is discarded.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        (letter,) = log.dead_letters()
        sink.script.append(Step(error=Unavailable("Away.")))
        with pytest.raises(Unavailable, match=r"Away\."):
            await delivery.replay([letter.id])
        assert log.dead_letters() == [letter]

    story(act, FakeSink(script=[Step(refuses=frozenset({1}))]))


def test_replay_after_the_journal_was_pruned_reads_the_bytes_again():
    """
    The letter holds all that is needed, and the rebuilt entry has the key it had in the journal.
    """

    async def tell():
        log, sink = Journal(), FakeSink(script=[Step(refuses=frozenset({0}))])
        raw = b'{"uuid":"A-1","event_type_id":5,"account_id":7,"event_timestamp":"2024-01-01 00:00:00 UTC"}'
        await log.append([read(raw, connector="default", way=Way.WEBHOOK, received_us=10**15)])
        key = log.tables.log[0].key
        delivery = Delivery("siem", sink, log)
        task = asyncio.create_task(delivery.run())
        await until(log.dead_letters)
        log.write(1)
        log.first = 2
        assert await delivery.replay([log.dead_letters()[0].id]) == Replayed(accepted=1)
        (again,) = [record for record in sink.accepted if not record.offset]
        assert (again.key, again.raw, again.native, again.account) == (key, raw, "a-1", 7)
        await delivery.stop()
        await task

    in_jumps(tell())


def test_replay_does_not_guess_what_a_pruned_record_was():
    """
    A sink that gets twins cannot be sent bytes of which nobody knows whether they were one.
    """
    log = Journal(2)

    async def act(delivery, sink, log, clock):
        await until(log.dead_letters)
        log.write(1)
        log.first = 3
        with pytest.raises(ConnectorError, match="import"):
            await delivery.replay([log.dead_letters()[0].id])
        assert len(log.dead_letters()) == 1

    story(act, Twins(script=[Step(refuses=frozenset({0}))]), log)


def test_a_sink_that_cannot_open_is_tried_until_it_can():
    """
    Nothing is sent before ``open`` has succeeded, and a failure there is an ordinary one.
    """

    class Closed(FakeSink):
        async def open(self):
            await super().open()
            if self.opened < 3:
                raise Unavailable("Not yet.")

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        assert sink.opened == 3

    story(act, Closed())


def test_why_only_a_part_was_settled_is_heeded():
    """
    The wait that comes with a settled part is kept: first the checkpoint moves, then the rest waits, then it goes.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        assert offsets(sink) == [1, 2, 3, 4, 5]
        assert sink.batches == [[1, 2, 3, 4, 5], [4, 5]]
        assert log.advances == [(3, 0), (5, 0)]
        assert any(wait >= 30 for wait in clock.waits)

    story(act, FakeSink(script=[Step(settles=3, error=Unavailable(after_seconds=30))]))


def test_a_wrong_setting_pauses_and_is_tried_again():
    """
    What only a person can mend pauses the sink with the reason; after some minutes it is tried by itself.
    """

    async def act(delivery, sink, log, clock):
        await until(lambda: delivery.checkpoint.offset == 5)
        assert offsets(sink) == [1, 2, 3, 4, 5]
        assert 300.0 in clock.waits
        assert delivery.checkpoint.dead == 0

    sink = FakeSink(script=[Step(error=ConfigError("There is no such rule.", action="Set rule_id."))])
    story(act, sink)
