"""
Answers that take a while: one line of JSON per step, the last with ``result`` or ``problem``.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from msgspec.json import decode, encode
from starlette.responses import StreamingResponse

from onelogin_connector.web.answers import problem_of

Tell = Callable[[dict[str, Any]], None]


def told(name: str, work: Callable[[Tell], Awaitable[dict[str, Any]]], *, goes_on: bool) -> StreamingResponse:
    """
    Do some work and tell its steps.

    Args:
        name: Of the task.
        work: Gets what tells a step; returns the result.
        goes_on: Finish the work even if its client goes away.
    """
    steps: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run() -> None:
        try:
            steps.put_nowait({"result": await work(steps.put_nowait)})
        except Exception as error:  # noqa: BLE001 - the status line is sent already: the error is the last line
            steps.put_nowait({"problem": decode(bytes(problem_of(error).body))})

    working = asyncio.create_task(run(), name=name)
    return StreamingResponse(_lines(steps, working, goes_on=goes_on), media_type="application/x-ndjson")


async def _lines(
    steps: "asyncio.Queue[dict[str, Any]]", working: "asyncio.Task[None]", *, goes_on: bool
) -> AsyncIterator[bytes]:
    try:
        while True:
            step = await steps.get()
            yield encode(step) + b"\n"
            if "result" in step or "problem" in step:
                await working
                return
    finally:
        if not goes_on:
            working.cancel()
