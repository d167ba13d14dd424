"""
The delivery guarantee against a model: random faults and crashes between any two steps.

A world holds a journal whose checkpoints are durable only as the protocol promises, a scripted sink that
outlives crashes, and one loop at a time. After every tick of the event loop guarantee G2 is checked for the
checkpoint as it is, and for what a crash would leave of it.
"""

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from onelogin_connector.delivery import Delivery, Options
from onelogin_connector.errors import ConfigError, TooLarge, Unauthorized, Unavailable
from onelogin_connector.event import Kind
from onelogin_connector.sinks.base import Limits
from onelogin_connector.status import State
from onelogin_connector.testing import FakeSink, MemoryJournal, Step, entry
from unit.inline import Inline

SKIPPED = b"s"


class CrashingJournal(MemoryJournal):
    """
    A journal that loses on a crash what it did not promise to keep.
    """

    def __init__(self):
        super().__init__()
        self.durable = {}
        self.failures = 0

    async def advance(self, sink, checkpoint, dead=()):
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise Unavailable("The disk is slow.")
        await super().advance(sink, checkpoint, dead)
        if dead:
            self.sync()
        await asyncio.sleep(0)

    async def bury(self, letter):
        await asyncio.sleep(0)
        await super().bury(letter)

    def sync(self):
        """Keep what is there, as the next group's commit does."""
        self.durable = {name: structs.replace(known) for name, known in self._checkpoints.items()}

    def crash(self):
        """Forget what was not kept."""
        self._checkpoints = {name: structs.replace(known) for name, known in self.durable.items()}

    def fill(self, kinds):
        """Write records as ``append`` would, and let the checkpoints ride in the same commit."""
        for kind, skipped in kinds:
            offset = self.tables.next_offset()
            self.tables.write(entry(offset, (SKIPPED if skipped else b"x") + b"%d" % offset, kind=kind))
        self.sync()
        self._grown.set()
        self._grown = asyncio.Event()


class TwinSink(FakeSink):
    wants_twins = True


def skips(record):
    """Skip by a setting what says so."""
    return "by_name" if record.raw.startswith(SKIPPED) else None


class World:
    """
    One journal, one sink, and the loops that live and die between them.
    """

    def __init__(self, sink, limit):
        self.journal, self.sink = CrashingJournal(), sink
        self.now = 1_700_000_000.0
        self.options = Options(
            pause_after_refusals=4, skips=skips, backlog_limit=limit, credential_seconds=9, grace_seconds=0.01
        )

    async def sleep(self, seconds):
        """Let time pass without waiting for it."""
        self.now += seconds
        await asyncio.sleep(0)

    def delivery(self):
        """Begin anew from what the journal kept."""
        return Delivery(
            "fake",
            self.sink,
            self.journal,
            options=self.options,
            clock=lambda: self.now,
            sleep=self.sleep,
            refill=lambda after, up_to, limit: self.journal.tables.log[after:up_to][:limit],
        )

    async def live(self, delivery, ticks):
        """Run a loop for some ticks, then crash it."""
        task = asyncio.create_task(delivery.run())
        for _ in range(ticks):
            await asyncio.sleep(0)
            self.check_passed(delivery)
            if delivery.status.state is State.PAUSED:
                delivery.resume()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.journal.crash()

    async def finish(self):
        """Run a last loop on a sink without faults until everything is settled."""
        delivery = self.delivery()
        task = asyncio.create_task(delivery.run())
        for _ in range(50_000):
            await asyncio.sleep(0)
            if delivery.status.state is State.PAUSED:
                delivery.resume()
            if delivery.lag().events == 0 and not self.sink.script:
                break
        await delivery.refill()
        await delivery.stop()
        await task
        self.check_passed(delivery)
        return delivery

    def check_passed(self, delivery):
        """Assert G2: what lies below a checkpoint is accepted, dead, skipped by name, or owed."""
        accepted = {record.key for record in self.sink.accepted}
        dead = {letter.offset for letter in self.journal.tables.letters.values()}
        for known in (delivery.checkpoint, self.journal.durable.get("fake")):
            for record in self.journal.tables.log[: known.offset if known else 0]:
                wanted = self.sink.wants_twins or record.kind == Kind.ENTRY
                assert (
                    not wanted
                    or record.key in accepted
                    or record.offset in dead
                    or skips(record)
                    or any(after < record.offset <= up_to for after, up_to in known.owed)
                ), f"offset {record.offset} was passed over by {known}"


FAULTS = st.one_of(
    st.just(Step()),
    st.just(Step()),
    st.builds(Step, error=st.just(Unavailable(after_seconds=7)), accepts=st.booleans()),
    st.builds(Step, error=st.just(OSError("reset")), accepts=st.booleans()),
    st.builds(Step, error=st.just(asyncio.CancelledError())),
    st.just(Step(error=TooLarge())),
    st.just(Step(error=Unauthorized())),
    st.builds(Step, refuses=st.frozensets(st.integers(0, 9), max_size=6)),
    st.builds(
        Step,
        settles=st.integers(1, 5),
        error=st.sampled_from([None, Unavailable(after_seconds=7), Unauthorized(), ConfigError()]),
        refuses=st.frozensets(st.integers(0, 5), max_size=3),
    ),
)
KINDS = st.tuples(
    st.sampled_from([Kind.ENTRY, Kind.ENTRY, Kind.TWIN, Kind.CHANGE]), st.integers(0, 5).map(lambda n: n == 0)
)
LIVES = st.lists(
    st.tuples(
        st.lists(KINDS, max_size=12), st.lists(FAULTS, max_size=8), st.integers(0, 60), st.integers(0, 2)
    ),
    min_size=1,
    max_size=6,
)
SINKS = st.sampled_from([(FakeSink, False), (FakeSink, True), (TwinSink, False), (TwinSink, True)])
ONE = [(Kind.ENTRY, False)]


@settings(max_examples=250)
@given(SINKS, LIVES, st.one_of(st.none(), st.integers(3, 12)))
@example((FakeSink, True), [(ONE * 3, [Step(refuses=frozenset({2}))], 30, 0), (ONE, [], 30, 0)], None)
@example((FakeSink, False), [(ONE * 9, [Step(refuses=frozenset(range(9)))], 60, 0)], None)
@example((FakeSink, False), [(ONE * 9, [Step(error=Unavailable())] * 4, 60, 0)], 3)
@example((FakeSink, False), [(ONE * 4, [Step()], 60, 2)], None)
def test_nothing_is_passed_over(kind, lives, limit):
    """
    Whatever fails and whenever it dies: each record is accepted or a dead letter, and no checkpoint lies.
    """

    async def story():
        asyncio.get_running_loop().set_default_executor(Inline())
        sink_type, keeps_position = kind
        sink = sink_type(limits=Limits(5, 10_000), keeps_position=keeps_position)
        world = World(sink, None if keeps_position else limit)
        for kinds, script, ticks, journal_failures in lives:
            world.journal.fill(kinds)
            sink.script.extend(script)
            world.journal.failures = journal_failures
            await world.live(world.delivery(), ticks)
        sink.script.clear()
        world.journal.failures = 0
        delivery = await world.finish()

        log = world.journal.tables.log
        assert delivery.lag().events == 0
        assert delivery.checkpoint.owed == []
        accepted = [record.offset for record in sink.accepted]
        dead = {letter.offset for letter in world.journal.tables.letters.values()}
        wanted = {r.offset for r in log if (sink.wants_twins or r.kind == Kind.ENTRY) and not skips(r)}
        assert wanted == wanted & (set(accepted) | dead)
        assert set(accepted) <= wanted
        assert all(letter.reason for letter in world.journal.tables.letters.values())
        if keeps_position:
            assert accepted == sorted(set(accepted)), "exactly once, in order"

    asyncio.run(story())


@settings(max_examples=60)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=80), st.integers(1, 30), st.integers(2, 9))
def test_a_destination_with_an_unknown_size_limit_gets_everything_once(poison, most, step):
    """
    However small the batches must be, halving finds a size; each record goes once, a refused one is dead.
    """

    async def story():
        asyncio.get_running_loop().set_default_executor(Inline())
        sink = FakeSink(
            limits=Limits(50, 100_000),
            most=most,
            refuse=lambda record: "poison" if record.offset in poison and record.offset % step == 0 else None,
        )
        world = World(sink, None)
        world.options = Options()
        world.journal.fill(ONE * 200)
        delivery = await world.finish()
        refused = {offset for offset in poison if offset % step == 0}
        accepted = [record.offset for record in sink.accepted]
        assert accepted == [offset for offset in range(1, 201) if offset not in refused]
        assert {letter.offset for letter in world.journal.tables.letters.values()} == refused
        assert delivery.checkpoint.delivered == 200 - len(refused)
        assert delivery.checkpoint.dead == len(refused)
        assert len(sink.batches) < 200 / most * 3 + 30, "halving must not try from the top every time"

    asyncio.run(story())


@settings(max_examples=150)
@given(
    st.lists(
        st.builds(
            Step,
            settles=st.none() | st.integers(1, 5),
            error=st.sampled_from([None, Unavailable(after_seconds=7), Unauthorized(), ConfigError()]),
        ),
        max_size=12,
    )
)
def test_a_part_that_was_settled_never_goes_again(script):
    """
    Where a destination settles a part of a batch and then fails, each record is accepted exactly once, in order.
    """

    async def story():
        asyncio.get_running_loop().set_default_executor(Inline())
        sink = FakeSink(limits=Limits(5, 10_000), script=script)
        world = World(sink, None)
        world.journal.fill(ONE * 73)
        delivery = await world.finish()
        assert [record.offset for record in sink.accepted] == list(range(1, 74))
        assert delivery.checkpoint.delivered == 73

    asyncio.run(story())
