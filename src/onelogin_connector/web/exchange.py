"""
One request and its answer, when the answer may come before the request was read.

A server that closes a connection with bytes unread makes the client's system throw the answer away. The answer
is therefore sent whole, then what still arrives is read and dropped for a while, then the connection closes.
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

from onelogin_connector.web.server import Receive, Send

DROPPED_OF_STRANGER = 1 << 20
"""Bytes of a refused body that are read and dropped; a stranger gets little of our time."""

DROPPED_OF_SENDER = 64 << 20
"""The same for who showed a valid token: clients that write all of a large body before they read."""

DROP_SECONDS = 3.0
"""How long a refused body is read, whoever sends it."""


class Exchange:
    """
    The two callables of ASGI around one request, which end it in good order.
    """

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
        *,
        most_dropped: int = DROPPED_OF_STRANGER,
        seconds: float = DROP_SECONDS,
    ) -> None:
        """
        Stand between an app and the server.

        Args:
            most_dropped: Bytes of an unread body that are read and dropped after the answer.
            seconds: The longest time that takes.
        """
        headers = dict(scope["headers"])
        self._complete = b"transfer-encoding" not in headers and (
            headers.get(b"content-length", b"0").strip(b"0") == b""
        )
        # asking for the body would tell the client to send it
        self._may_look = b"expect" not in headers
        self._receive = receive
        self._send = send
        self._most_dropped = most_dropped
        self._seconds = seconds
        self._early: MutableMapping[str, Any] | None = None

    async def receive(self) -> MutableMapping[str, Any]:
        """
        Return the next message of the client.
        """
        message = self._early or await self._receive()
        self._early = None
        self._note(message)
        return message

    def _note(self, message: MutableMapping[str, Any]) -> None:
        self._may_look = True
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._complete = True

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """
        Send a message of the app; the last one ends the connection if the client still sends.
        """
        if self._complete:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._look()
            if not self._complete:
                others = [(name, value) for name, value in message["headers"] if name != b"connection"]
                message["headers"] = [*others, (b"connection", b"close")]
            await self._send(message)
        elif message.get("more_body", False):
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._drop()
            await self._send({"type": "http.response.body", "body": b""})

    async def _look(self) -> None:
        """
        See whether the rest of the body is here already, so that the connection can be used again.
        """
        if not self._may_look or self._early is not None:
            return
        try:
            async with asyncio.timeout(0):
                self._early = await self._receive()
        except TimeoutError:
            return
        self._note(self._early)

    async def _drop(self) -> None:
        left = self._most_dropped
        try:
            async with asyncio.timeout(self._seconds):
                while not self._complete and left > 0:
                    message = await self.receive()
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return
