"""
Tell a company's story as OneLogin's webhooks do: in batches of ten events, or of whatever ten seconds brought.

The documentation promises neither order nor delivery, so faults can be asked for: requests lost, repeated, swapped,
cut off, with a wrong token, or slow. Chance is seeded: the same seed sends the same requests.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from enum import StrEnum
from random import Random

import httpx2
from msgspec import Struct, field
from msgspec.json import encode

from onelogin_connector.errors import ConfigError
from onelogin_connector.retry import backoff_seconds
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.happening import Happening

BATCH_EVENTS = 10
BATCH_US = 10_000_000
WRONG_TOKEN = "a-token-that-nobody-gave-out"  # noqa: S105 - it is meant to be wrong
TIMEOUT_SECONDS = 30


class Format(StrEnum):
    """
    The forms a webhook can be set to, and the one that wraps.
    """

    ARRAY = "array"
    LINES = "lines"
    WRAPPED = "wrapped"


class Faults(Struct, frozen=True, kw_only=True):
    """
    What goes wrong on the way; shares are between 0 and 1.
    """

    lost: float = 0.0
    """Share of requests never sent."""
    repeated: float = 0.0
    """Share sent a second time some requests later."""
    swapped: float = 0.0
    """Share sent after the request that follows."""
    cut_off: float = 0.0
    """Share whose body ends too early."""
    wrong_token: float = 0.0
    """Share with a token that is not the connector's."""
    slow_seconds: float = 0.0
    """Wait before each request, drawn between 0 and twice this."""
    seed: int = 0


class Request(Struct):
    """
    One webhook request to be.
    """

    at_us: int
    """When it is due: with its tenth event, or ten seconds after its first."""
    batch: list[Happening]
    body: bytes
    wrong_token: bool = False
    slow_seconds: float = 0.0


class Tally(Struct):
    """
    What was sent, and what became of it.
    """

    requests: int = 0
    events: int = 0
    """In requests that were accepted, repeats included."""
    lost: int = 0
    """Events in requests that were never sent."""
    answers: Counter[int] = field(default_factory=Counter)
    """Status → requests; 0 when there was no answer."""


def batches(story: Iterable[Happening]) -> Iterator[tuple[int, list[Happening]]]:
    """
    Cut a story into batches; gives the moment each is sent, and its events.
    """
    batch: list[Happening] = []
    for happening in story:
        if batch and happening.time_us >= batch[0].time_us + BATCH_US:
            yield batch[0].time_us + BATCH_US, batch
            batch = []
        batch.append(happening)
        if len(batch) == BATCH_EVENTS:
            yield happening.time_us, batch
            batch = []
    if batch:
        yield batch[0].time_us + BATCH_US, batch


def body_of(batch: Iterable[Happening], form: Format) -> bytes:
    """
    Write a batch as a request body.
    """
    records = [happening.to_webhook() for happening in batch]
    if form is Format.ARRAY:
        return encode(records)
    if form is Format.WRAPPED:
        return b"".join(encode({"event": record}) + b"\n" for record in records)
    return b"".join(encode(record) + b"\n" for record in records)


def requests(
    story: Iterable[Happening],
    form: Format = Format.ARRAY,
    faults: Faults | None = None,
    tally: Tally | None = None,
) -> Iterator[Request]:
    """
    Turn a story into requests, with the faults asked for.

    Args:
        tally: Counts what is lost on the way.
    """
    faults, tally = faults or Faults(), tally or Tally()
    chance = Random(f"faults/{faults.seed}")
    held: list[tuple[int, Request]] = []
    for place, (at_us, batch) in enumerate(batches(story)):
        body = body_of(batch, form)
        request = _faulty(Request(at_us, batch, body), faults, chance)
        lost = chance.random() < faults.lost
        if lost:
            tally.lost += len(batch)
        elif chance.random() < faults.swapped:
            held.append((place + 1, request))
        else:
            yield request
        if not lost and chance.random() < faults.repeated:
            held.append((place + chance.randrange(2, 6), Request(at_us, batch, body)))
        due = [late for when, late in held if when <= place]
        held = [(when, late) for when, late in held if when > place]
        yield from due
    yield from (late for _, late in held)


def _faulty(request: Request, faults: Faults, chance: Random) -> Request:
    if chance.random() < faults.cut_off:
        request.body = request.body[: chance.randrange(1, len(request.body))]
    request.wrong_token = chance.random() < faults.wrong_token
    request.slow_seconds = 2 * faults.slow_seconds * chance.random()
    return request


class Webhooks:
    """
    Send a company's webhooks to a listener.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        form: Format = Format.ARRAY,
        faults: Faults | None = None,
        attempts: int = 1,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Prepare to send.

        Args:
            url: The listener, ``http://127.0.0.1:8080/webhook/default``.
            attempts: How often a request is sent that gets no answer, 429 or a 5xx. Nobody knows whether OneLogin
                sends anything twice.
            transport: Another way than the network, for tests and for a listener in this process.
            clock: Unix seconds.

        Raises:
            ConfigError: The URL is none.
        """
        if not url.startswith(("http://", "https://")):
            raise ConfigError(
                f"{url!r} is no URL of a listener.",
                action="Give one like http://127.0.0.1:8080/webhook/default.",
            )
        self._url = url
        self._token = token
        self._form = form
        self._faults = faults or Faults()
        self._attempts = attempts
        self._transport = transport
        self._clock = clock
        self._sleep = sleep
        self._chance = Random(f"jitter/{self._faults.seed}")
        self.tally = Tally()

    async def send_history(
        self, company: Company, since_us: int, until_us: int, *, connections: int = 4
    ) -> Tally:
        """
        Send everything between two moments as fast as the listener takes it.

        Args:
            connections: Requests on their way at once; with more than one they may arrive out of order.
        """
        todo = requests(company.story(since_us, until_us), self._form, self._faults, self.tally)

        async def sender(client: httpx2.AsyncClient) -> None:
            for request in todo:  # shared: each takes the next one
                await self._deliver(client, request)

        async with self._client(connections) as client, asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(sender(client))
        return self.tally

    async def send_live(self, company: Company, since_us: int, *, speed: float = 1.0) -> None:
        """
        Send from a moment on as things happen, until cancelled.

        Args:
            since_us: Where the story goes on; what is already past is sent at once.
            speed: Seconds of the story per second.
        """
        start = self._clock()
        async with self._client(1) as client:
            for request in requests(company.story(since_us), self._form, self._faults, self.tally):
                wait = start + (request.at_us - since_us) / 1_000_000 / speed - self._clock()
                if wait > 0:
                    await self._sleep(wait)
                await self._deliver(client, request)

    @asynccontextmanager
    async def _client(self, connections: int) -> AsyncIterator[httpx2.AsyncClient]:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        async with httpx2.AsyncClient(
            transport=self._transport, limits=limits, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as client:
            yield client

    async def _deliver(self, client: httpx2.AsyncClient, request: Request) -> None:
        """
        Send one request, again if it may be, and count what became of it.
        """
        if request.slow_seconds:
            await self._sleep(request.slow_seconds)
        for attempt in range(1, self._attempts + 1):
            status, asked_seconds = await self._post(client, request)
            self.tally.requests += 1
            self.tally.answers[status] += 1
            if status == 200:
                self.tally.events += len(request.batch)
            if 0 < status < 500 and status != 429:
                return
            if attempt < self._attempts:
                wait = backoff_seconds(attempt, asked_seconds=asked_seconds, draw=self._chance.random)
                await self._sleep(wait)

    async def _post(self, client: httpx2.AsyncClient, request: Request) -> tuple[int, float | None]:
        """
        Return the status of one request, 0 without an answer, and the wait it asks for.
        """
        token = WRONG_TOKEN if request.wrong_token else self._token
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            answer = await client.post(self._url, content=request.body, headers=headers)
        except httpx2.TransportError:
            return 0, None
        asked = answer.headers.get("retry-after", "")
        return answer.status_code, float(asked) if asked.isdecimal() else None
