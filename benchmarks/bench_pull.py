"""
What the Events API costs: calls per new event, the time to catch up, and the processor.

A company of 200,000 events a day is polled in time that only the benchmark moves, by the real client, poller,
journal and state, against a simulated account in the same process. The processor's share is measured against the
same simulation in a process of its own, over loopback.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, perf_counter, process_time, time

import httpx2
from starlette.types import Receive, Scope, Send

from benchmarks.row import Row
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.client import EVENTS, OneLogin
from onelogin_connector.setting import Secret
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.incidents import HOUR_US
from onelogin_connector.simulator.listing import Delay
from onelogin_connector.sources.polling import Poller
from onelogin_connector.state import State

SINCE_US = 1_795_165_200_000_000  # nine in the morning of a Friday
SHARE = 0.5  # of 5,000 calls an hour: what the program takes by default
LATE = [Delay(0.01, 60, 900)]
CALL_SECONDS = 0.2
"""How long OneLogin is assumed to take over a call."""
HURRIED = 1_000.0
"""How much faster the budget's clock runs while the processor is measured: else it would measure waiting."""


class Polled:
    """
    An account and its poller, in their own time.
    """

    def __init__(self, folder: Path, events_per_day: float) -> None:
        self.now = SINCE_US / 1e6
        company = Company(1, people=500, events_per_day=events_per_day)
        self.api = Api(Account(company, delays=LATE, clock=self._clock))
        self.journal = LmdbJournal(folder / "journal", reserve_bytes=0, clock=self._clock)
        self.state = State(folder, clock=self._clock)
        self.client = OneLogin(
            api_url="http://127.0.0.1:9001",
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
            budget=Budget(SHARE, clock=self._clock, sleep=self._sleep),
            transport=httpx2.ASGITransport(app=self._answer),
            clock=self._clock,
            sleep=self._sleep,
        )
        self.poller = Poller(
            "bench",
            self.client,
            self.journal,
            self.state.polls.of("bench"),
            start_us=SINCE_US,
            webhooks_on=True,
            clock=self._clock,
            sleep=self._sleep,
        )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.now += CALL_SECONDS
        await self.api(scope, receive, send)

    async def until(self, done: Callable[[], bool]) -> None:
        """
        Let the poller work, and time go by while nothing is due.
        """
        while not done():
            seconds = await self.poller.step()  # on a line of its own: time goes by meanwhile
            self.now += max(seconds, 0.001)

    async def hours(self, count: float) -> tuple[int, int]:
        """
        Let hours go by; returns the calls made and the events that were new.
        """
        end, calls, events = self.now + count * 3_600, self.calls, self.journal.last_offset
        await self.until(lambda: self.now >= end)
        return self.calls - calls, self.journal.last_offset - events

    @property
    def calls(self) -> int:
        """
        Calls for events so far.
        """
        return sum(calls for (path, _), calls in self.client.calls.items() if path == EVENTS)

    async def close(self) -> None:
        await self.client.close()
        await self.journal.close()
        self.state.close()

    def _clock(self) -> float:
        return self.now

    async def _sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


def run(quick: bool) -> list[Row]:
    """
    Measure everything.
    """
    rows = asyncio.run(_steady(5_000, 3 if quick else 26))
    rows += asyncio.run(_steady(20_000 if quick else 200_000, 3 if quick else 26))
    rows += asyncio.run(_day_down(20_000 if quick else 200_000))
    return rows + _backfill(2 if quick else 20)


async def _steady(events_per_day: int, hours: int) -> list[Row]:
    """
    Poll until every sweep has begun, and count the last hour that is whole.
    """
    async with _polled(events_per_day) as polled:
        await polled.hours(hours - 2)
        calls, events = await polled.hours(2)
    name = f"{events_per_day:,} events a day"
    return [
        Row(f"{name}: calls an hour", calls / 2, "calls", goal="< 1,250 at 200,000"),
        Row(f"{name}: calls per new event", calls / events, "calls"),
    ]


async def _day_down(events_per_day: int) -> list[Row]:
    """
    Stay away for a day, and see how long it takes until the present is reached again.
    """
    async with _polled(events_per_day) as polled:
        await polled.hours(0.2)
        polled.now += 24 * 3_600
        began, calls, cpu = polled.now, polled.calls, perf_counter()
        await polled.until(lambda: (polled.poller.watermark_us or 0) > (polled.now - 120) * 1e6)
        name = f"a day down, {events_per_day:,} events"
        return [
            Row(f"{name}: until the present", (polled.now - began) / 60, "minutes"),
            Row(f"{name}: calls until then", polled.calls - calls, "calls"),
            Row(f"{name}: computing, the simulation included", perf_counter() - cpu, "s"),
        ]


@asynccontextmanager
async def _polled(events_per_day: float) -> AsyncIterator[Polled]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        polled = Polled(Path(folder), events_per_day)
        try:
            yield polled
        finally:
            await polled.close()


def _backfill(days: int) -> list[Row]:
    """
    Read days of history over loopback from a simulation with a processor time of its own.
    """
    words = [sys.executable, "-m", "onelogin_connector", "simulate", "--api", "0"]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as simulation,
        tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder,
    ):
        assert simulation.stdout is not None
        found = re.search(r"http://\S+", simulation.stdout.readline())
        assert found is not None
        try:
            return asyncio.run(_measured(found[0], Path(folder), days))
        finally:
            simulation.terminate()


async def _measured(url: str, folder: Path, days: int) -> list[Row]:
    journal, state = LmdbJournal(folder / "journal", reserve_bytes=0), State(folder, clock=time)
    client = OneLogin(
        api_url=url,
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        budget=Budget(1.0, clock=lambda: monotonic() * HURRIED, sleep=_hurried(asyncio.sleep)),
        trust_env=False,
    )
    poller = Poller("bench", client, journal, state.polls.of("bench"))
    until_us = int(time()) // 3_600 * HOUR_US
    await client.account_id()
    start, cpu = perf_counter(), process_time()
    await poller.backfill(until_us - days * 24 * HOUR_US, until_us, lambda _: None)
    seconds, cpu = perf_counter() - start, process_time() - cpu
    events = journal.last_offset
    calls = client.calls[EVENTS, 200]
    await client.close()
    await journal.close()
    state.close()
    return [
        Row(
            "backfill: calls per new event", calls / events, "calls", "50 events a call", calls / events * 50
        ),
        Row("backfill: events", events / seconds, "events/s"),
        Row("processor per 100,000 events pulled", cpu / events * 100_000, "s"),
    ]


def _hurried(sleep: Callable[[float], Awaitable[None]]) -> Callable[[float], Awaitable[None]]:
    return lambda seconds: sleep(seconds / HURRIED)
