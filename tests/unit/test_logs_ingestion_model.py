"""
The loop and the Logs Ingestion sink on a simulated Azure, against a model: random sizes, poison, faults and restarts.

As long as every call is answered, each record arrives exactly once or is a dead letter, whatever fails before, between
and after, and also where the loop is stopped and begun anew. A lost answer costs at most that call a second time.
"""

import asyncio
import json
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from onelogin_connector.azure.credentials import ClientSecret
from onelogin_connector.delivery import Delivery, Options
from onelogin_connector.setting import HttpUrl, Secret
from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import (
    CLIENT_ID,
    CLIENT_SECRET,
    RULE_ID,
    TENANT_ID,
    Subscription,
)
from onelogin_connector.simulator.azure.trouble import Endpoint, Fault, Trouble
from onelogin_connector.simulator.azure.wire import Wire
from onelogin_connector.sinks.logs_ingestion import LogsIngestion, RuleId, Settings
from onelogin_connector.status import State
from onelogin_connector.testing import MemoryJournal, entry
from unit.inline import Inline

URL = HttpUrl("http://127.0.0.1:9")
POISON = "poison-7f3a"
SETTINGS = Settings(
    endpoint=URL,
    rule_id=RuleId(RULE_ID),
    credential=ClientSecret(
        tenant_id=TENANT_ID, client_id=CLIENT_ID, client_secret=Secret(CLIENT_SECRET), authority=URL
    ),
)
HERE = Endpoint.INGESTION
CLEAN = [
    Fault(trouble=Trouble.STATUS, where=HERE, times=1, status=503),
    Fault(trouble=Trouble.STATUS, where=HERE, times=2, status=429, retry_after=20),
    Fault(trouble=Trouble.STATUS, where=HERE, times=1, status=413),
    Fault(trouble=Trouble.STATUS, where=HERE, times=1, status=404),
    Fault(trouble=Trouble.STATUS, where=HERE, times=1, skip=1, status=500),
    Fault(trouble=Trouble.STATUS, where=HERE, times=1, skip=3, status=408),
    Fault(trouble=Trouble.NO_ROLE, where=HERE, times=1, skip=2),
    Fault(trouble=Trouble.REVOKED, where=HERE, times=1, skip=1),
    Fault(trouble=Trouble.REVOKED, where=HERE, times=2),
    Fault(trouble=Trouble.DOWN, where=HERE, times=2),
    Fault(trouble=Trouble.RESET, where=HERE, times=1, skip=2),
    Fault(trouble=Trouble.PAGE, where=HERE, times=1),
    Fault(trouble=Trouble.CUT_ANSWER, where=HERE, times=1, skip=1),
    Fault(trouble=Trouble.CUT_REFUSAL, where=HERE, times=1, status=503),
    Fault(trouble=Trouble.DOWN, where=Endpoint.TOKEN, times=1),
    Fault(trouble=Trouble.STATUS, where=Endpoint.TOKEN, times=1, status=500),
]
"""After each of these it is known what was accepted."""
UNCLEAR = [
    Fault(trouble=Trouble.LOST_ANSWER, where=HERE, times=1),
    Fault(trouble=Trouble.LATE_ANSWER, where=HERE, times=1, skip=1),
]


class World:
    """
    A journal, and Azure at the other end, on one clock.
    """

    def __init__(self):
        self.now = 1_700_000_050.0
        self.subscription = Subscription(clock=self.clock, sleep=self.sleep, token_seconds=900)
        self.api = Api(self.subscription)
        self.journal = MemoryJournal()

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)

    def write(self, sizes, poisoned):
        """Put records into the journal."""
        for size in sizes:
            offset = self.journal.tables.next_offset()
            text = POISON if offset in poisoned else "fine"
            record = {"uuid": entry(offset).native, "event_type_id": 5, "notes": text, "more": "x" * size}
            self.journal.tables.write(entry(offset, json.dumps(record).encode()))

    async def live(self, ticks=None):
        """Run a loop until everything is settled, or for some ticks; then stop it in order."""
        delivery = Delivery(
            "sentinel",
            LogsIngestion(SETTINGS, clock=self.clock, transport=Wire(self.api)),
            self.journal,
            options=Options(
                grace_seconds=600
            ),  # an order to stop cuts nothing off, however slow this machine is
            clock=self.clock,
            sleep=self.sleep,
        )
        task = asyncio.create_task(delivery.run())
        for tick in range(60_000):
            await asyncio.sleep(0)
            assert delivery.status.state is not State.DETACHED
            if delivery.lag().events == 0 or tick == ticks:
                break
        await delivery.stop()
        await task
        return delivery

    def arrived(self):
        """Return how often each record arrived, by its offset."""
        rows = self.subscription.sentinel.rows("OneLogin_CL")
        return Counter(int(row["uuid_g"][:8], 16) for row in rows)

    def dead(self):
        """Return the offsets of dead letters."""
        return {letter.offset for letter in self.journal.tables.letters.values()}


def told(sizes, poisoned, faults, lives):
    """
    Tell a history, and return its world.
    """

    async def story():
        asyncio.get_running_loop().set_default_executor(Inline())
        world = World()
        world.write(sizes, poisoned)
        world.subscription.faults.add(Fault(trouble=Trouble.POISON, containing=POISON, where=HERE))
        for ticks, some in lives:
            for fault in some:
                world.subscription.faults.add(fault)
            await world.live(ticks)
        for fault in faults:
            world.subscription.faults.add(fault)
        delivery = await world.live()
        assert delivery.lag().events == 0
        return world

    return asyncio.run(story())


SIZES = st.lists(st.integers(0, 4_000) | st.integers(0, 120_000), min_size=1, max_size=60)
POISONED = st.sets(st.integers(1, 60), max_size=5)
LIVES = st.lists(st.tuples(st.integers(0, 400), st.lists(st.sampled_from(CLEAN), max_size=3)), max_size=3)


@settings(max_examples=60)
@given(SIZES, POISONED, st.lists(st.sampled_from(CLEAN), max_size=6), LIVES)
@example([100] * 60, {1, 2, 30, 60}, [], [])
@example([100_000] * 40, {20}, [CLEAN[4], CLEAN[6]], [(120, [])])
@example([100] * 16, {16}, [CLEAN[5], CLEAN[4], CLEAN[7]], [])
def test_each_record_arrives_once_or_is_a_dead_letter(sizes, poisoned, faults, lives):
    """
    Whatever fails with an answer, no record is lost, none doubled, and only poison is refused.
    """
    world = told(sizes, poisoned, faults, lives)
    offsets = set(range(1, len(sizes) + 1))
    assert world.dead() == poisoned & offsets
    assert world.arrived() == Counter(offsets - poisoned)
    checkpoint = world.journal.checkpoint("sentinel")
    assert (checkpoint.delivered, checkpoint.dead) == (len(offsets - poisoned), len(poisoned & offsets))
    assert all("HTTP 400" in letter.reason for letter in world.journal.tables.letters.values())


@settings(max_examples=30)
@given(SIZES, POISONED, st.lists(st.sampled_from(CLEAN + UNCLEAR), max_size=6))
@example([100] * 20, {7}, [UNCLEAR[0], UNCLEAR[0], CLEAN[4]])
def test_a_lost_answer_costs_one_call_at_most(sizes, poisoned, faults):
    """
    Where an answer is lost, the records of that call may be there twice; no other is, and none is missing.
    """
    world = told(sizes, poisoned, faults, [])
    offsets = set(range(1, len(sizes) + 1))
    assert world.dead() == poisoned & offsets
    arrived = world.arrived()
    assert set(arrived) == offsets - poisoned
    unclear = [call for call in world.api.calls if call.rows and call.status not in {200, 204}]
    assert sum(arrived.values()) - len(arrived) <= sum(call.rows for call in unclear)
