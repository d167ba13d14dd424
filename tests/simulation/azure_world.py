"""
A journal, the real loop, a real sink and a simulated Azure, all on one clock that moves only when somebody waits.

Nothing is faked but the network and the time: requests go through the HTTP client into the simulation, whose rows are
what is judged.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

from msgspec.json import encode

from onelogin_connector.delivery import Delivery, Options
from onelogin_connector.event import Event, Way, read
from onelogin_connector.journal.base import Journal
from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import Subscription
from onelogin_connector.simulator.azure.tables import Row
from onelogin_connector.simulator.azure.trouble import Fault, Trouble
from onelogin_connector.simulator.company import Company
from onelogin_connector.sinks.base import Sink
from onelogin_connector.testing import MemoryJournal

NOW = 1_795_200_000.0
POISON = "poison-7f3a"
SPIN_SECONDS = 0.0002
"""Real time between two looks: sinks encode in threads."""
GRACE_SECONDS = 600.0
"""Real time for a stop: one that cuts a call off because this machine is slow would send its events twice."""


def events(count: int, *, poisoned: Iterable[int] = (), seed: int = 1, at: float = NOW) -> list[Event]:
    """
    Return webhook events of a company, some of which no service takes.
    """
    bad = set(poisoned)
    start_us = int(at * 1e6) - 3_600_000_000
    found = []
    for number, happening in enumerate(islice(Company(seed).story(start_us), count)):
        record = happening.to_webhook()
        if number in bad:
            record["notes"] = POISON
        found.append(read(encode(record), connector="default", way=Way.WEBHOOK, received_us=int(at * 1e6)))
    return found


class World:
    """
    One sink and what lies on both of its sides.
    """

    def __init__(
        self,
        make: Callable[["World"], Sink],
        *,
        journal: Journal | None = None,
        options: Options | None = None,
        **azure: Any,
    ) -> None:
        """
        Set the stage.

        Args:
            make: Makes the sink, in this world.
            azure: Of the subscription.
        """
        self.now = NOW
        self.subscription = Subscription(clock=self.clock, sleep=self.sleep, **azure)
        self.api = Api(self.subscription)
        self.journal = journal or MemoryJournal()
        self.options = options or Options(grace_seconds=GRACE_SECONDS)
        self.waits: list[float] = []
        """What the loop waited, in order."""
        self.states: list[tuple[float, str, str]] = []
        """(moment, state, error) as they changed."""
        self.sent: list[Event] = []
        self.meanwhile: Callable[[], None] | None = None
        """Called whenever time passes."""
        self.is_poisonous = False
        self._until: float | None = None
        """The moment at which the loop is held, so that it does not run on before it is stopped."""
        self._make = make
        self.delivery = self._begun()

    def clock(self) -> float:
        """Return the moment."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += max(0.0, seconds)
        if self.meanwhile is not None:
            self.meanwhile()
        await asyncio.sleep(0)

    async def _wait(self, seconds: float) -> None:
        self._look()
        self.waits.append(seconds)
        await self.sleep(seconds)
        if self._until is not None and self.now >= self._until:
            await asyncio.Event().wait()

    def _begun(self) -> Delivery:
        return Delivery(
            "sentinel",
            self._make(self),
            self.journal,
            options=self.options,
            clock=self.clock,
            sleep=self._wait,
        )

    def fail(self, trouble: Trouble | str, **options: Any) -> None:
        """Let something go wrong."""
        self.subscription.faults.add(Fault(trouble=Trouble(trouble), **options))

    def poison(self) -> None:
        """Let the services refuse every body that holds a poisoned event."""
        self.is_poisonous = True
        self.fail(Trouble.POISON, containing=POISON)

    def recover(self) -> None:
        """End every fault but the poison."""
        self.subscription.faults.clear()
        if self.is_poisonous:
            self.poison()

    async def take_in(self, batch: list[Event]) -> None:
        """Write events into the journal."""
        self.sent += batch
        await self.journal.append(batch)

    async def deliver(self, *, until: float | None = None, real_seconds: float = 300.0) -> None:
        """
        Run the loop until nothing is left, or until the wait that ends at a moment or after it.
        """
        self._until = until
        running = asyncio.create_task(self.delivery.run())
        try:
            async with asyncio.timeout(real_seconds):
                while not self._is_done() and (until is None or self.now < until):
                    self._look()
                    assert not running.done(), running
                    await asyncio.sleep(SPIN_SECONDS)
            self._look()
        finally:
            await self.delivery.stop()
            with suppress(asyncio.CancelledError):
                await running
        self._until = None
        self.delivery = self._begun()

    async def crash(self, ticks: int) -> None:
        """
        Run for some ticks, then lose everything but the journal.
        """
        running = asyncio.create_task(self.delivery.run())
        for _ in range(ticks):
            self._look()
            await asyncio.sleep(SPIN_SECONDS)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        self.delivery = self._begun()

    def _is_done(self) -> bool:
        return self.delivery.checkpoint.offset >= self.journal.last_offset

    def _look(self) -> None:
        status = self.delivery.status
        state = (status.state.value, status.error)
        if not self.states or self.states[-1][1:] != state:
            self.states.append((self.now, *state))

    # What came of it.

    def rows(self) -> list[Row]:
        """Return what is in both workspaces."""
        return [row for each in self.subscription.workspaces.values() for row in each.rows("OneLogin_CL")]

    def accepted(self) -> Counter[str]:
        """Return uuid → rows of it."""
        return Counter(row["uuid_g"] for row in self.rows())

    def dead(self) -> dict[str, str]:
        """Return uuid → the reason of its dead letter."""
        letters = self.journal.dead_letters(limit=100_000)
        found = {}
        for letter in letters:
            event = read(letter.body, connector="default", way=Way.WEBHOOK, received_us=0)
            assert event.native not in found
            found[event.native] = letter.reason
        return found

    def doubtful(self) -> int:
        """Return the rows of calls that were accepted and not answered, or not so that one could tell."""
        return sum(call.rows for call in self.api.calls if call.rows and call.status not in {200, 204})

    def judge(self, *, doubled: int | None = 0) -> None:
        """
        Hold that each event was accepted, and once, or is a dead letter; and that no field was lost on the way.

        Args:
            doubled: Rows too many that there may be; None for as many as answers were lost.
        """
        accepted, dead = self.accepted(), self.dead()
        sent = [event.native for event in self.sent]
        assert len(set(sent)) == len(sent)
        assert set(accepted) | set(dead) == set(sent), "lost, or invented"
        poisoned = {event.native for event in self.sent if POISON.encode() in event.raw}
        assert set(dead) == (poisoned if self.is_poisonous else set())
        assert not set(dead) & set(accepted), "dead and delivered"
        assert all(dead.values()), "a dead letter without a reason"
        extra = sum(accepted.values()) - len(accepted)
        assert extra <= (self.doubtful() if doubled is None else doubled)
        lost = {each for workspace in self.subscription.workspaces.values() for each in workspace.lost}
        assert not lost, lost
