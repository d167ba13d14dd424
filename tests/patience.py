"""
Waiting for what another task, thread or process does by itself.

Patience is counted in looks and not by a clock: while a process stands still no time of it passes, so a machine that
does nothing for a quarter of a minute fails no test. When all is well a wait ends with the first look that finds it so.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from onelogin_connector.service.folder import control_socket

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


def wait_until_stored(data_dir: Path) -> None:
    """
    Wait until every sink of the program on a data folder has everything that was sent.

    A query waits a second for what is on its way to the store, which a busy machine may exceed; a page does not wait.
    """
    transport = httpx2.HTTPTransport(uds=str(control_socket(data_dir)))
    with httpx2.Client(transport=transport, base_url="http://localhost", timeout=PATIENCE_SECONDS) as client:

        def is_stored() -> bool:
            return not any(sink["lag_events"] for sink in client.get("/api/v1/status").json()["sinks"])

        wait_until(is_stored, every_seconds=0.05)
