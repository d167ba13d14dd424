"""
A company's two channels, told to the running program as time goes by: the one who tells moves the clock.

The clock goes as fast as the program keeps up. While the poller is at work, and while a webhook is due and not
answered, it goes ``PATIENCE_SECONDS`` further and then stands, and ``DOWN_SECONDS`` while the program is down: on a
slow machine the same story takes longer, and nothing in it comes at another time.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qs

import httpx2
from msgspec import Struct, field

from acceptance.conftest import Program
from acceptance.hurry import Clock
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import HOUR_US, Company
from onelogin_connector.simulator.listing import Delay
from onelogin_connector.simulator.webhooks import Faults, Request, requests

TOKEN = "a-token-of-twenty-four-characters"
EVENTS = "/api/1/events"
PATIENCE_SECONDS, DOWN_SECONDS = 60.0, 180.0
TICK_SECONDS, STEP_SECONDS = 0.001, 5.0
"""Real time between two steps of the clock, and how far it goes with each: five thousand times as fast at most."""
STALL_SECONDS = 240.0
"""So long, in real time, may the clock stand before the program is taken to be stuck."""
REQUEST_SECONDS = 120.0
"""So long, in real time, may an answer take."""


class Call(Struct, frozen=True):
    """
    One call of the Events API.
    """

    at: float
    since_us: int
    until_us: int
    first: bool
    """The first page of its window."""

    @property
    def is_sweep(self) -> bool:
        """
        Whether it asked for a whole hour, widened by a second to both sides.
        """
        return self.until_us - self.since_us == HOUR_US + 2_000_000 and self.until_us % HOUR_US == 1_000_000


class Told(Struct):
    """
    What became of the story on its way.
    """

    uuids: set[str] = field(default_factory=set)
    """Of the events whose webhook was answered 200."""
    refused: int = 0
    """Requests that nobody was there to take."""
    unanswered: int = 0
    """Requests sent again, because a kill took the answer."""
    kills: list[str] = field(default_factory=list)
    """In the middle of what."""
    calls: list[Call] = field(default_factory=list)


class Telling:
    """
    One company, its account, and the program that is told.
    """

    def __init__(
        self,
        program: Program,
        clock: Clock,
        company: Company,
        *,
        settings: str,
        faults: Faults,
        delays: Sequence[Delay],
        usual_seconds: float,
    ) -> None:
        self.api = Api(
            Account(company, delays=delays, usual_seconds=usual_seconds, clock=clock.now, sleep=clock.sleep)
        )
        self.told = Told()
        self.kill_webhook_at = self.kill_sweep_at = float("inf")
        """From when on the program is killed, once, in the middle of a request or of a sweep."""
        self._program, self._clock, self._settings = program, clock, settings
        self._requests = requests(company.story(int(clock.now() * 1e6)), faults=faults)
        self._at_ease_at = self._sent_at = clock.now()
        self._again: list[Request] = []
        self._running = asyncio.Event()

    async def __call__(self, scope, receive, send):
        """
        Answer as the API of the account, and note what was asked.
        """
        await self.api(scope, receive, send)
        if scope["type"] != "http" or scope["path"] != EVENTS:
            return
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        since, until = (micros(query[name]) for name in ("since", "until"))
        call = Call(self._clock.now(), since, until, "after_cursor" not in query)
        self.told.calls.append(call)
        if call.is_sweep and call.first and call.at >= self.kill_sweep_at:
            self.kill_sweep_at = float("inf")
            self._kill("sweep")

    async def tell(self, until: float) -> None:
        """
        Start the program, and let the story go on until a moment; then wait until there is nothing more to ask.
        """
        await self._start()
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(each) for each in (self._send(until), self._revive())]
            await self._move(until)
            others[1].cancel()
        deadline = time.monotonic() + STALL_SECONDS
        while self._clock.resting_until <= until:  # at work, or about to be
            assert time.monotonic() < deadline, "it does not come to rest:\n" + self._program.log()[-3_000:]
            await asyncio.sleep(TICK_SECONDS)

    async def _move(self, until: float) -> None:
        moved = time.monotonic()
        while (now := self._clock.now()) < until:
            await asyncio.sleep(TICK_SECONDS)
            if self._clock.resting_until:
                self._at_ease_at = now
            then = min(now + STEP_SECONDS, self._limit(), until)
            if then > now:
                self._clock.set(then)
                moved = time.monotonic()
            assert time.monotonic() < moved + STALL_SECONDS, (
                "it does not go on:\n" + self._program.log()[-3_000:]
            )

    def _limit(self) -> float:
        """
        Return how far the clock may go before somebody has done their work.
        """
        patience = PATIENCE_SECONDS if self._running.is_set() else DOWN_SECONDS
        polling = max(self._clock.resting_until, self._at_ease_at + patience)
        return min(polling, self._sent_at + PATIENCE_SECONDS)

    async def _send(self, until: float) -> None:
        async with httpx2.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as client:
            for request in self._requests:
                due = request.at_us / 1e6
                if due > until:
                    break
                while (now := self._clock.now()) < due:
                    self._sent_at = now
                    await asyncio.sleep(TICK_SECONDS)
                    if self._again and self._running.is_set():
                        await self._deliver(client, self._again.pop())
                await self._deliver(client, request)
        self._sent_at = until

    async def _deliver(self, client: httpx2.AsyncClient, request: Request) -> None:
        """
        Send a request as OneLogin does: once, unless its answer stays out.
        """
        posting = asyncio.create_task(self.post(client, request.body))
        if self._clock.now() >= self.kill_webhook_at:
            self.kill_webhook_at = float("inf")
            await asyncio.sleep(TICK_SECONDS)
            self._kill("webhook")
        try:
            status = await posting
        except httpx2.ConnectError:
            self.told.refused += 1
            return
        except httpx2.TransportError:
            self.told.unanswered += 1
            self._again.append(request)
            return
        assert status == 200
        self.told.uuids.update(happening.uuid for happening in request.batch)

    async def post(self, client: httpx2.AsyncClient, body: bytes) -> int:
        """
        Post a body to the program's webhook; returns the status.
        """
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        answer = await client.post(f"{self._program.url}/webhook/acme", content=body, headers=headers)
        return answer.status_code

    def _kill(self, within: str) -> None:
        self._running.clear()
        self._program.kill()
        self._clock.resting_until = 0.0
        self.told.kills.append(within)

    async def _revive(self) -> None:
        """
        Start the program again whenever it was killed.
        """
        while True:
            if not self._running.is_set():
                await self._start()
            await asyncio.sleep(TICK_SECONDS)

    async def _start(self) -> None:
        # the API has to answer meanwhile, from this loop
        await asyncio.to_thread(self._program.start, settings=self._settings)
        self._running.set()


def micros(text: str) -> int:
    """
    Read a time of a query as microseconds since 1970.
    """
    return round(datetime.fromisoformat(text).timestamp() * 1e6)
