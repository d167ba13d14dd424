"""
The outermost app of a port: webhooks and health are answered here, all else by the app behind.

The webhook route is the hot path. It is met before any routing, under no middleware and without a log
line, so that a request costs little more than its parsing and its place in the journal. Whoever is refused is
refused by the head of the request alone; nobody waits for the body of a stranger.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from starlette.responses import Response

from onelogin_connector.errors import Unavailable
from onelogin_connector.service.right_of_way import RightOfWay
from onelogin_connector.sources.webhook import Answer, unknown_connector
from onelogin_connector.web.answers import HttpError, problem, problem_of
from onelogin_connector.web.connections import BODY_SECONDS, CALLER
from onelogin_connector.web.exchange import DROPPED_OF_SENDER, DROPPED_OF_STRANGER, Exchange
from onelogin_connector.web.hosts import Hosts
from onelogin_connector.web.server import App, Receive, Scope, Send

logger = logging.getLogger(__name__)

WEBHOOK = "/webhook/"

OF_STRANGERS = frozenset({401, 403, 405})
"""Refusals of those who showed no valid token, or came from where nobody should."""

HEALTHY = b'{"status":"ok"}'


class Intake(Protocol):
    """
    What takes a webhook request: ``sources.webhook.WebhookSource``.
    """

    def refused(self, method: str, headers: Mapping[str, str], peer: str) -> Answer | None:
        """
        Return the refusal that the head alone deserves, if any.
        """
        ...

    async def take(self, headers: Mapping[str, str], body: bytes | AsyncIterator[bytes]) -> Answer:
        """
        Keep a request's events; the answer says whether.
        """
        ...


class ClientGoneError(Exception):
    """
    The client went away before it had sent its request.
    """


class Front:
    """
    ASGI app of one port.
    """

    def __init__(
        self,
        intakes: Mapping[str, Intake],
        hosts: Hosts,
        right_of_way: RightOfWay,
        behind: App | None = None,
    ) -> None:
        """
        Put the hot path in front of an app.

        Args:
            intakes: Connector id → what takes its webhooks; may change while serving.
            right_of_way: Of the requests taken in here.
            behind: The app for every other path; without it there is nothing else on this port.
        """
        self._intakes = intakes
        self._hosts = hosts
        self._right_of_way = right_of_way
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer one request.
        """
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path.startswith(WEBHOOK):
            await self._webhook(path[len(WEBHOOK) :], scope, receive, send)
        elif path == "/healthz":
            fields = [(b"content-type", b"application/json")]
            await _write(Exchange(scope, receive, send).send, 200, fields, HEALTHY)
        elif self._behind is not None:
            exchange = Exchange(scope, receive, send)
            await self._behind(scope, exchange.receive, exchange.send)
        else:
            text = "This port takes webhooks at /webhook/CONNECTOR and nothing else."
            await _answer(Exchange(scope, receive, send).send, problem(HttpError("not-found", text)))

    async def _webhook(self, connector: str, scope: Scope, receive: Receive, send: Send) -> None:
        intake = self._intakes.get(connector) or self._intakes.get(connector.rstrip("/"))
        if intake is None:
            await _send(Exchange(scope, receive, send).send, unknown_connector(connector))
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope["client"]
        peer = self._hosts.client(client[0] if client else "", headers)
        refusal = intake.refused(scope["method"], headers, peer)
        if refusal is not None:
            most = DROPPED_OF_STRANGER if refusal.status in OF_STRANGERS else DROPPED_OF_SENDER
            await _send(Exchange(scope, receive, send, most_dropped=most).send, refusal)
            return
        scope.setdefault("state", {})[CALLER] = connector
        try:
            first = await receive()  # bounded by the server: it drops who sends nothing more
            if first["type"] == "http.disconnect":
                return
            if first.get("more_body"):
                exchange = Exchange(scope, receive, send, most_dropped=DROPPED_OF_SENDER)
                send = exchange.send
                answer = await intake.take(headers, _pieces(first["body"], exchange.receive))
            else:  # nearly every request lies in one piece; nobody waits for the others, whose senders may be slow
                with self._right_of_way:
                    answer = await intake.take(headers, first["body"])
        except ClientGoneError:
            logger.debug("A sender left before its request was complete", extra={"action": "sender_left"})
            return
        except Exception as error:  # noqa: BLE001 - the top of the hot path: every failure becomes an answer
            await _answer(send, problem_of(error))
            return
        await _send(send, answer)


async def _pieces(first: bytes, receive: Receive) -> AsyncIterator[bytes]:
    yield first
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS
    more = True
    while more:
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as error:
            raise Unavailable(
                f"The body was not complete within {BODY_SECONDS:.0f} seconds.",
                action="Send it again, in smaller requests if the line is slow.",
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        yield message["body"]
        more = message.get("more_body", False)


async def _send(send: Send, answer: Answer) -> None:
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    await _write(send, answer.status, fields, answer.body)


async def _answer(send: Send, response: Response) -> None:
    fields = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    await _write(send, response.status_code, fields, bytes(response.body))


async def _write(send: Send, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
