"""
Waiting for what another task, thread or process does by itself.

Patience is counted in looks and not by a clock: while a process stands still no time of it passes, so a machine that
does nothing for a quarter of a minute fails no test. When all is well a wait ends with the first look that finds it so.
"""

import asyncio
import time
from collections.abc import Callable

PATIENCE_SECONDS = 120.0
"""What an idle machine does in one or two seconds may take a busy one so long; it costs nothing when all is well."""

LOOK_SECONDS = 0.01


async def until(
    happened: Callable[[], object],
    *,
    seconds: float = PATIENCE_SECONDS,
    tell: Callable[[], object] = lambda: "",
) -> None:
    """
    Wait for something within this loop, or in a thread beside it.

    Args:
        seconds: Of a loop that is never held up.
        tell: What is known when it does not happen.
    """
    for _ in range(int(seconds / LOOK_SECONDS)):
        if happened():
            return
        await asyncio.sleep(LOOK_SECONDS)
    assert happened(), tell()


def wait_until(
    happened: Callable[[], object],
    *,
    seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.1,
    tell: Callable[[], object] = lambda: "",
) -> None:
    """
    Wait for something in another process.

    Args:
        every_seconds: Between two looks, which may cost that process something.
        tell: What is known when it does not happen.
    """
    for _ in range(int(seconds / every_seconds)):
        if happened():
            return
        time.sleep(every_seconds)
    assert happened(), tell()
