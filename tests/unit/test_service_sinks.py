"""
What an operator does to a sink, and what a sink that cannot do it says.
"""

import asyncio
import time

import pytest

from onelogin_connector.delivery import Delivery, Options
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.service.sinks import Sinks
from onelogin_connector.sinks.base import Limits
from onelogin_connector.status import State
from onelogin_connector.testing import FakeSink, MemoryJournal, Step, entry


async def until(condition):
    """Let the loops run until something holds."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.001)


def told(act, *, count=20, refill=True):
    """Run a story with the sink ``siem``, which is owed all of a journal's records."""

    async def tell():
        log = MemoryJournal()
        for _ in range(count):
            log.tables.write(entry(log.tables.next_offset()))

        def read_back(after, up_to, limit):
            return log.tables.log[after:up_to][:limit]

        sink = FakeSink(limits=Limits(4, 100_000), script=[Step(error=Unavailable())])
        options = Options(backlog_limit=10, grace_seconds=0.05)
        delivery = Delivery("siem", sink, log, options=options, refill=read_back if refill else None)
        task = asyncio.create_task(delivery.run())
        try:
            await until(lambda: delivery.checkpoint.owed)
            await act(Sinks({"siem": delivery}), delivery, sink)
        finally:
            await delivery.stop()
            await task

    asyncio.run(tell())


def test_a_detached_sink_gets_what_it_is_owed():
    """
    The command says how many records come, and they do; asked again, it says that nothing is owed.
    """

    async def act(sinks, delivery, sink):
        done = await sinks.act("siem", "refill")
        assert (done["sink"], done["act"], done["records"]) == ("siem", "refill", 20)
        assert "20 records" in done["note"]
        again = await sinks.act("siem", "refill")
        assert "already" in again["note"]
        await until(lambda: not delivery.checkpoint.owed)
        assert [record.offset for record in sink.accepted] == list(range(1, 21))
        await until(lambda: delivery.status.state is State.OK)
        assert "owed nothing" in (await sinks.act("siem", "refill"))["note"]

    told(act)


def test_without_a_store_it_can_only_be_waived():
    """
    A refill that cannot begin is refused at once, with what can be done instead.
    """

    async def act(sinks, delivery, sink):
        with pytest.raises(ConfigError) as refused:
            await sinks.act("siem", "refill")
        assert "waive" in refused.value.action
        done = await sinks.act("siem", "waive")
        assert done["records"] == 20
        assert delivery.checkpoint.skipped == {"waived": 20}
        assert sink.accepted == []

    told(act, refill=False)


def test_pause_and_resume():
    """
    A paused sink says so, and goes on when told.
    """

    async def act(sinks, delivery, sink):
        await sinks.act("siem", "pause")
        await until(lambda: delivery.status.state is State.PAUSED)
        await sinks.act("siem", "resume")
        await until(lambda: delivery.status.state is not State.PAUSED)

    told(act)


def test_what_cannot_be_done_is_said():
    """
    An unknown sink or act, and a sink that no service runs, each get a sentence of their own.
    """

    async def act(sinks, delivery, sink):
        for name, what, action in (("other", "pause", "siem"), ("siem", "explode", "refill")):
            with pytest.raises(ConfigError) as refused:
                await sinks.act(name, what)
            assert action in refused.value.action
        await delivery.stop()
        await until(lambda: delivery.status.state is State.STOPPED)
        with pytest.raises(ConfigError, match="does not run"):
            await sinks.act("siem", "pause")

    told(act)
