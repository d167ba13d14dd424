"""
What an operator does to a sink while the service runs.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import ConfigError
from onelogin_connector.status import State

ACTS = ("pause", "resume", "refill", "waive")

logger = logging.getLogger(__name__)


class Sinks:
    """
    The sinks of one service, by name.
    """

    def __init__(self, deliveries: Mapping[str, Delivery]) -> None:
        self._deliveries = deliveries
        self._refills: dict[str, asyncio.Task[int]] = {}

    async def act(self, name: str, act: str) -> dict[str, Any]:
        """
        Pause or resume a sink, send it what it is owed, or give that up.

        A refill goes on after this returns; the sink's status shows how far it is.

        Args:
            act: One of ``ACTS``.

        Returns:
            ``sink, act, records, note``: how many records it concerns, and what happens now as a sentence.

        Raises:
            ConfigError: There is no such sink or act, the sink does not run, or it cannot be refilled.
        """
        if act not in ACTS:
            raise ConfigError(f"A sink cannot be told to {act}.", action=f"It can: {', '.join(ACTS)}.")
        delivery = self._running(name)
        owed = sum(up_to - after for after, up_to in delivery.checkpoint.owed)
        records = 0
        if act == "pause":
            delivery.pause()
            note = f"The sink {name} is paused: nothing is sent, and what comes waits."
        elif act == "resume":
            delivery.resume()
            note = f"The sink {name} goes on."
        elif act == "waive":
            records = await delivery.waive()
            note = f"The sink {name} is no longer owed {records} records; they are counted as skipped."
        else:
            records, note = owed, await self._refill(name, delivery, owed)
        return {"sink": name, "act": act, "records": records, "note": note}

    def _running(self, name: str) -> Delivery:
        delivery = self._deliveries.get(name)
        if delivery is None:
            known = ", ".join(self._deliveries) or "none"
            raise ConfigError(f"There is no sink {name!r}.", action=f"The sinks are: {known}.")
        if delivery.status.state is State.STOPPED:
            raise ConfigError(
                f"The sink {name} does not run: this is a single command.",
                action="Start the service, then give the command again.",
            )
        return delivery

    async def _refill(self, name: str, delivery: Delivery, owed: int) -> str:
        if not owed:
            return f"The sink {name} is owed nothing."
        if name in self._refills:
            return f"The sink {name} is being refilled already; {owed} records are left."
        task = self._refills[name] = asyncio.create_task(delivery.refill(), name=f"refill {name}")
        task.add_done_callback(lambda done: self._ended(name, done))
        await asyncio.sleep(0)
        if task.done():  # it did not even begin
            task.result()
        return f"The sink {name} gets the {owed} records that it is owed; its status shows how far it is."

    def _ended(self, name: str, task: "asyncio.Task[int]") -> None:
        del self._refills[name]
        extra = {"action": "refill", "sink": name}
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.warning("The refill of the sink %s ended: %s", name, error, extra=extra)
        elif not task.cancelled():
            logger.info("The sink %s was refilled with %d records", name, task.result(), extra=extra)
