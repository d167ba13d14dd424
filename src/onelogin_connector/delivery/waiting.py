"""
Waits that a person can cut short.
"""

import asyncio
from collections.abc import Awaitable


class Alarm:
    """
    Wakes whoever waits through it.
    """

    def __init__(self) -> None:
        self._ringing = asyncio.Event()
        self._stays = False

    def ring(self, *, stays: bool = False) -> None:
        """
        End the waits of this moment; with ``stays`` every later one too.
        """
        self._stays = self._stays or stays
        self._ringing.set()

    async def unless_rung(self, awaitable: Awaitable[object]) -> None:
        """
        Wait for something, or until the alarm rings. What fails raises its own error.
        """
        tasks = [asyncio.ensure_future(awaitable), asyncio.ensure_future(self._ringing.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            found, _ = await asyncio.gather(*tasks, return_exceptions=True)
        if not self._stays:
            self._ringing.clear()
        if isinstance(found, Exception):
            raise found
