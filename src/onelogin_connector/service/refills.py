"""
Refills that a person has begun: what a sink is owed, sent from the store while the page is long closed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from msgspec import Struct

from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import Busy, ConfigError, ConnectorError

logger = logging.getLogger(__name__)


class Refill(Struct, frozen=True):
    """
    How the latest refill of a sink stands.
    """

    running: bool
    accepted: int = 0
    """Records that the sink took; known at its end."""
    error: str = ""
    at: float = 0.0
    """Unix seconds of the last change."""


class Refills:
    """
    The refills of all sinks, one at a time for each.
    """

    def __init__(self, deliveries: Mapping[str, Delivery], *, clock: Callable[[], float]) -> None:
        self._deliveries = deliveries
        self._clock = clock
        self._latest: dict[str, Refill] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def of(self, sink: str) -> Refill | None:
        """
        Return how the latest refill stands; None where there was none.
        """
        return self._latest.get(sink)

    def begin(self, sink: str) -> None:
        """
        Send a sink what it is owed.

        Raises:
            Busy: It is being refilled already.
            ConfigError: There is no such sink, or it is owed nothing.
        """
        delivery = self._deliveries.get(sink)
        if delivery is None:
            raise ConfigError(f"There is no running sink {sink!r}.", action="Look at the list of sinks.")
        if sink in self._tasks:
            raise Busy(f"The sink {sink} is being refilled already.", action="Wait until it is done.")
        if not delivery.checkpoint.owed:
            raise ConfigError(f"The sink {sink} is owed nothing.", action="There is nothing to do.")
        self._latest[sink] = Refill(running=True, at=self._clock())
        task = self._tasks[sink] = asyncio.create_task(self._refill(sink, delivery), name=f"refill {sink}")
        task.add_done_callback(lambda _: self._tasks.pop(sink, None))

    async def end(self, sink: str) -> None:
        """
        End the refill of a sink that changes or goes; what it is still owed stays so.
        """
        task = self._tasks.get(sink)
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self._latest[sink] = Refill(
                running=False, error="It was held up; refill it again later.", at=self._clock()
            )

    def forget(self, sink: str) -> None:
        """
        Forget the latest refill of a sink that is gone.
        """
        self._latest.pop(sink, None)

    async def close(self) -> None:
        """
        End what is running; what is still owed stays so, and a later refill goes on there.
        """
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _refill(self, sink: str, delivery: Delivery) -> None:
        try:
            accepted = await delivery.refill()
        except ConnectorError as error:
            self._latest[sink] = Refill(running=False, error=str(error), at=self._clock())
        except Exception as error:
            logger.exception("The sink %s could not be refilled", sink, extra={"action": "refill_failed"})
            text = f"{type(error).__name__}; the log says more."
            self._latest[sink] = Refill(running=False, error=text, at=self._clock())
        else:
            rest = "It was held up; refill it again later." if delivery.checkpoint.owed else ""
            self._latest[sink] = Refill(running=False, accepted=accepted, error=rest, at=self._clock())
