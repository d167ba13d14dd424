"""
A simulated company with its OneLogin account: for the demo, and for whoever wants to try their rules.

Both channels tell the same story. Some webhook requests are lost on the way, as in life, so that one can see the
API repair what is missing.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import structs

from onelogin_connector.config import Settings
from onelogin_connector.errors import ConnectorError
from onelogin_connector.plural import counted
from onelogin_connector.service.accident import lose_oldest
from onelogin_connector.setting import OF_DEMO, HttpUrl, Secret

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service
    from onelogin_connector.simulator.api import Api

logger = logging.getLogger(__name__)

HOUR_US = 3_600_000_000
REFUSALS = frozenset({401, 403, 404, 405})
"""Statuses that do not go away by themselves."""

ATTEMPTS = 20  # with back-off this bridges a restart of the listener

DEMO_HOURS = 30.0
"""More than a day, so that some hours are through with their sweeps: only of these a gap can be told."""
DEMO_GAP_HOURS = 2
"""Which the store loses once they are settled, so that there is a gap to be filled."""
DEMO_LOST = 0.04
"""Share of webhook requests that the demo loses."""
DEMO_POLL_SECONDS = 10.0  # nobody wants to watch a minute for the first repair,
DEMO_OVERLAP_MINUTES = 1.0  # or ten for the first hour to settle


async def feed(
    url: str,
    token: str,
    *,
    hours: float = 0.0,
    seed: int = 1,
    lost: float = 0.0,
    told: asyncio.Event | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """
    Send the last hours of a company at once, then what happens there, until cancelled.

    The same seed tells the same story, so that history sent again is recognised.

    Args:
        lost: Share of the requests that are never sent.
        told: Set when the history was sent.

    Raises:
        ConnectorError: Nobody takes webhooks there, or not with this token.
    """
    from onelogin_connector.simulator.company import Company
    from onelogin_connector.simulator.webhooks import Faults, Webhooks

    company = Company(seed)
    sender = Webhooks(url, token, attempts=ATTEMPTS, faults=Faults(lost=lost), clock=clock)
    await _require_listener(url, token)
    now_us = int(clock() * 1_000_000)
    if hours > 0:
        tally = await sender.send_history(company, now_us - int(hours * HOUR_US), now_us)
        sent = counted(tally.events, "event of history was", "events of history were")
        logger.info("%s sent", sent, extra={"action": "simulated_history"})
        if tally.lost:
            lost_words = counted(tally.lost, "event was", "events were")
            logger.info("%s lost on the way", lost_words, extra={"action": "simulated_loss"})
    if told is not None:
        told.set()
    await sender.send_live(company, now_us)


async def _require_listener(url: str, token: str) -> None:
    """
    Send a request without events, so that a wrong address or token is said at once.
    """
    from httpx2 import AsyncClient, TransportError

    from onelogin_connector.simulator.webhooks import TIMEOUT_SECONDS

    try:
        async with AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answer = await client.post(url, content=b"[]", headers={"authorization": f"Bearer {token}"})
    except TransportError as error:
        raise ConnectorError(
            f"Nobody answers at {url}.", action="Start the service, and compare address and port."
        ) from error
    if answer.status_code in REFUSALS:
        raise ConnectorError(
            f"The listener at {url} answers with status {answer.status_code}.",
            action="Compare the connector's id at the end of the URL, and its webhook token.",
        )


def account(seed: int) -> "Api":
    """
    Return the API of a company's account; its client id and secret are those of ``simulator.credential``.
    """
    from onelogin_connector.simulator.account import Account
    from onelogin_connector.simulator.api import Api
    from onelogin_connector.simulator.company import Company
    from onelogin_connector.simulator.listing import Delay

    return Api(Account(Company(seed), delays=[Delay(0.01, 60, 900)]))


@asynccontextmanager
async def api_on(port: int, *, seed: int = 1) -> AsyncIterator[str]:
    """
    Serve the API of a company's account on this machine; gives its address.

    Raises:
        ConfigError: The port is taken.
    """
    from onelogin_connector.simulator.serving import bind, serving

    async with serving(account(seed), bind(port)) as url:
        yield url


class Demo:
    """
    The company that the first connector of a service listens to.

    The API's port is there from the start, but nobody is answered before the webhooks have told their history:
    else it would be a matter of luck which channel tells an event first.
    """

    def __init__(self, *, seed: int = 1, clock: Callable[[], float] = time.time) -> None:
        from onelogin_connector.simulator.serving import bind, url_of

        self._seed, self._clock = seed, clock
        self._listener = bind()
        self._url = url_of(self._listener)
        self._tasks: list[asyncio.Task[None]] = []
        self._may_lose = False

    def connected(self, settings: Settings) -> Settings:
        """
        Return the settings with the first connector's API being that of the company.
        """
        from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET

        name, connector = next(iter(settings.connectors.items()))
        begins = int((self._clock() - DEMO_HOURS * 3_600) // 3_600) * 3_600
        changed = structs.replace(
            connector,
            api_url=HttpUrl(self._url),
            client_id=Secret(CLIENT_ID, ("literal", "")),
            client_secret=Secret(CLIENT_SECRET, OF_DEMO),
            start=datetime.fromtimestamp(begins, UTC),
            poll_seconds=DEMO_POLL_SECONDS,
            overlap_minutes=DEMO_OVERLAP_MINUTES,
        )
        return structs.replace(settings, connectors=settings.connectors | {name: changed})

    def look(self, service: "Service") -> None:
        """
        See, before anything comes in, whether the folder is new and the demo's alone: only there may something get lost.

        A demo may be run in a folder of real events, and the accident takes whatever is old from the whole store.
        """
        held = service.store.stats()["rows"] if service.store is not None else 0
        self._may_lose = (
            not held and not service.journal.last_offset and len(service.settings.connectors) == 1
        )

    def start(self, service: "Service", url: str) -> None:
        """
        Tell the last day at once and then what happens, over both channels; in a new folder something gets lost.

        Args:
            url: Where the service is on this machine.
        """
        connector = next(iter(service.settings.connectors))
        url, token = f"{url}/webhook/{connector}", service.lend_webhook_token(connector)
        told = asyncio.Event()
        feeding = feed(url, token, hours=DEMO_HOURS, seed=self._seed, lost=DEMO_LOST, told=told)
        self._tasks = [
            asyncio.create_task(_tell_failure(feeding), name="demo"),
            asyncio.create_task(_tell_failure(self._answer(told)), name="demo API"),
        ]
        if self._may_lose:
            accident = lose_oldest(service, connector, hours=DEMO_GAP_HOURS)
            self._tasks.append(asyncio.create_task(_tell_failure(accident), name="demo accident"))

    async def stop(self) -> None:
        """
        End the story.
        """
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._listener.close()

    async def _answer(self, told: asyncio.Event) -> None:
        from onelogin_connector.simulator.serving import serving

        await told.wait()
        async with serving(account(self._seed), self._listener):
            await asyncio.Event().wait()


async def _tell_failure(running: Coroutine[None, None, object]) -> None:
    try:
        await running
    except Exception:
        logger.exception("The simulated company stopped", extra={"action": "demo_failed"})
