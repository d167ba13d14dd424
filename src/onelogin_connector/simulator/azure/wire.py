"""
A way to the simulation without a network: every fault as the client library tells it, on a clock of one's own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2

from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.serving import DROP

CHUNK_BYTES = 65_536
UNLIMITED_SECONDS = 3_600.0  # a client without a timeout waits so long here, rather than for ever


class Wire(httpx2.AsyncBaseTransport):
    """
    A transport of ``httpx2`` into a simulation of this process.
    """

    def __init__(self, api: Api, *, sleep: Callable[[float], Awaitable[None]] | None = None) -> None:
        """
        Lay the wire.

        Args:
            sleep: How a client's timeout passes; the simulation's own by default.
        """
        self._api = api
        self._sleep = sleep or api.subscription.sleep

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """
        Carry one request.
        """
        exchange = _Exchange(await request.aread(), self._wait(request))
        scope = {
            "type": "http", "method": request.method, "path": request.url.path,
            "query_string": request.url.query, "headers": request.headers.raw,
            "extensions": {DROP: exchange.drop},
        }  # fmt: skip
        await self._api(scope, exchange.receive, exchange.send)
        await asyncio.sleep(0)  # another task may go on here, as over a network
        return exchange.response(request)

    def _wait(self, request: httpx2.Request) -> Callable[[], Awaitable[None]]:
        seconds = (request.extensions.get("timeout") or {}).get("read") or UNLIMITED_SECONDS

        async def wait() -> None:
            await self._sleep(seconds)

        return wait


class _Exchange:
    def __init__(self, body: bytes, wait: Callable[[], Awaitable[None]]) -> None:
        self._body, self._wait = body, wait
        self._at = 0
        self._read_all = self._dropped = self._timed_out = False
        self._head: dict[str, Any] = {}
        self._parts: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        if self._dropped:
            return {"type": "http.disconnect"}
        if self._read_all:
            await self._wait()
            self._timed_out = True
            return {"type": "http.disconnect"}
        part = self._body[self._at : self._at + CHUNK_BYTES]
        self._at += len(part)
        self._read_all = self._at >= len(self._body)
        return {"type": "http.request", "body": part, "more_body": not self._read_all}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._head = message
        else:
            self._parts.append(message["body"])

    def drop(self) -> None:
        self._dropped = True

    def response(self, request: httpx2.Request) -> httpx2.Response:
        if self._timed_out:
            raise httpx2.ReadTimeout("No answer came.", request=request)
        if self._dropped and not self._head:
            if not self._at:
                raise httpx2.ConnectError("Nobody listens.", request=request)
            error = httpx2.ReadError if self._read_all else httpx2.WriteError
            raise error("The connection was reset.", request=request)
        stream = _Parts(self._parts, request, is_whole=not self._dropped)
        return httpx2.Response(self._head["status"], headers=self._head["headers"], stream=stream)


class _Parts(httpx2.AsyncByteStream):
    """
    A body as it comes, perhaps not to its end.
    """

    def __init__(self, parts: list[bytes], request: httpx2.Request, *, is_whole: bool) -> None:
        self._parts, self._request, self._is_whole = parts, request, is_whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part
        if not self._is_whole:
            raise httpx2.RemoteProtocolError("The peer closed the connection.", request=self._request)
