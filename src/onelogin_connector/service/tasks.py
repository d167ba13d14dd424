"""
The loops of a service: started, started again when they fail in a way nobody foresaw, and ended.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from onelogin_connector.retry import backoff_seconds
from onelogin_connector.service.alarms import Alarms

logger = logging.getLogger(__name__)

LONG_RUN_SECONDS = 600.0
"""A loop that ran for so long before it failed starts anew as if it had never failed."""


class Tasks:
    """
    The loops that run.
    """

    def __init__(self, alarms: Alarms, clock: Callable[[], float]) -> None:
        """
        Start without any.
        """
        self._alarms = alarms
        self._clock = clock
        self._running: list[asyncio.Task[None]] = []

    def watch(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """
        Let a loop run until it is ended, and again when it fails; nothing dies in silence.
        """
        task = asyncio.create_task(self._keep_running(name, run), name=name)
        self._running.append(task)
        return task

    async def end(self, tasks: Sequence[asyncio.Task[None]] | None = None) -> None:
        """
        End some loops, or all, and wait until they have.
        """
        ending = [*(self._running if tasks is None else tasks)]
        for task in ending:
            task.cancel()
        for task in ending:
            with suppress(asyncio.CancelledError):
                await task
        self._running = [task for task in self._running if task not in ending]

    async def _keep_running(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        attempt = 0
        while True:
            began = self._clock()
            try:
                await run()
            except Exception as error:
                attempt = 1 if self._clock() - began > LONG_RUN_SECONDS else attempt + 1
                wait = backoff_seconds(attempt)
                logger.exception(
                    "The task %s failed and starts again in %.0f seconds",
                    name,
                    wait,
                    extra={"action": "task_failed", "task_name": name},
                )
                self._alarms.raise_(
                    f"task {name}",
                    f"The task {name} failed {attempt} times in a row: {str(error) or type(error).__name__}.",
                    "It starts again by itself; if this stays, report it with the log.",
                )
                await asyncio.sleep(wait)
            else:
                return
