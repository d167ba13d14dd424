"""
A simulated company that sends its webhooks: for the demo, and for whoever wants to try their rules.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from onelogin_connector.errors import ConnectorError

if TYPE_CHECKING:
    from onelogin_connector.simulator.webhooks import Tally

logger = logging.getLogger(__name__)

HOUR_US = 3_600_000_000
ATTEMPTS = 20  # with back-off this bridges a restart of the listener


async def feed(
    url: str, token: str, *, hours: float = 0.0, seed: int = 1, clock: Callable[[], float] = time.time
) -> None:
    """
    Send the last hours of a company at once, then what happens there, until cancelled.

    The same seed tells the same story, so that history sent again is recognised.

    Raises:
        ConnectorError: Nothing of the history was accepted.
    """
    from onelogin_connector.simulator.company import Company
    from onelogin_connector.simulator.webhooks import Webhooks

    company = Company(seed)
    now_us = int(clock() * 1_000_000)
    history = Webhooks(url, token, attempts=3, clock=clock)
    if hours > 0:
        tally = await history.send_history(company, now_us - int(hours * HOUR_US), now_us)
        _require_accepted(url, tally)
        logger.info("%d events of history were sent", tally.events, extra={"action": "simulated_history"})
    await Webhooks(url, token, attempts=ATTEMPTS, clock=clock).send_live(company, now_us)


def _require_accepted(url: str, tally: "Tally") -> None:
    if tally.events or not tally.requests:
        return
    if set(tally.answers) == {0}:
        raise ConnectorError(
            f"Nobody answers at {url}.", action="Start the service, and compare address and port."
        )
    statuses = ", ".join(str(status) for status in sorted(tally.answers) if status)
    raise ConnectorError(
        f"Nothing was accepted at {url}: status {statuses}.",
        action="Compare the connector's id and its webhook token.",
    )
