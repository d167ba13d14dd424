"""
A simulated company that sends its webhooks: for the demo, and for whoever wants to try their rules.
"""

import logging
import time
from collections.abc import Callable

from onelogin_connector.errors import ConnectorError

logger = logging.getLogger(__name__)

HOUR_US = 3_600_000_000
REFUSALS = frozenset({401, 403, 404, 405})
"""Statuses that do not go away by themselves."""

ATTEMPTS = 20  # with back-off this bridges a restart of the listener


async def feed(
    url: str, token: str, *, hours: float = 0.0, seed: int = 1, clock: Callable[[], float] = time.time
) -> None:
    """
    Send the last hours of a company at once, then what happens there, until cancelled.

    The same seed tells the same story, so that history sent again is recognised.

    Raises:
        ConnectorError: Nobody takes webhooks there, or not with this token.
    """
    from onelogin_connector.simulator.company import Company
    from onelogin_connector.simulator.webhooks import Webhooks

    company = Company(seed)
    sender = Webhooks(url, token, attempts=ATTEMPTS, clock=clock)
    await _require_listener(url, token)
    now_us = int(clock() * 1_000_000)
    if hours > 0:
        tally = await sender.send_history(company, now_us - int(hours * HOUR_US), now_us)
        logger.info("%d events of history were sent", tally.events, extra={"action": "simulated_history"})
    await sender.send_live(company, now_us)


async def _require_listener(url: str, token: str) -> None:
    """
    Send a request without events, so that a wrong address or token is said at once.
    """
    from httpx2 import AsyncClient, TransportError

    try:
        async with AsyncClient(trust_env=False) as client:
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
