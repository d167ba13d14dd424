"""
Azure's endpoints on one address, as an ASGI application.

What stands below ``/simulator/`` is not Azure's: there a person lets something go wrong, and reads what arrived.
Whoever serves this says through extensions of the scope how a connection is cut: ``simulator.drop`` is a function
that ends it at once.
"""

import re
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct
from starlette.types import Receive, Scope, Send

from onelogin_connector.simulator.azure import control, ingestion
from onelogin_connector.simulator.azure.exchange import (
    LARGEST_CONTENT,
    Answer,
    Asked,
    NotGzip,
    of_json,
    retry_after,
)
from onelogin_connector.simulator.azure.subscription import Subscription
from onelogin_connector.simulator.azure.trouble import Endpoint, Fault, Trouble
from onelogin_connector.simulator.serving import DROP

KEPT_CALLS = 100_000
CONTROL = ("/simulator/", "/v1/")

SAID = "It was asked to go wrong."
CODES: dict[Endpoint, dict[int, str]] = {
    Endpoint.INGESTION: {
        400: "InvalidRequest", 401: "InvalidToken", 403: "OperationFailed", 404: "NotFound",
        413: "ContentLengthLimitExceeded", 429: "TooManyRequests", 500: "InternalServerError",
        503: "ServiceUnavailable",
    },
    Endpoint.COLLECTOR: {
        400: "InvalidDataFormat", 403: "InvalidAuthorization", 500: "UnspecifiedError", 503: "ServiceUnavailable",
    },
    Endpoint.TOKEN: {400: "invalid_request", 401: "invalid_client", 503: "temporarily_unavailable"},
}  # fmt: skip
"""The code that goes with a status where none is asked for; others, as from a gateway, have no body."""

_INGESTION = re.compile(r"/dataCollectionRules/([^/]+)/streams/([^/]+)")
_TOKEN = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
_DISCOVERY = re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration")
_MACHINE = frozenset({"/metadata/identity/oauth2/token", "/msi/token"})
_PAGE = b"<html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>\n"


class Call(Struct, frozen=True):
    """
    A call that was made.
    """

    at: float
    method: str
    path: str
    status: int
    """0 where no answer was given."""
    request_id: str
    """``x-ms-client-request-id``."""
    sent_bytes: int
    rows: int
    """Accepted, also where the answer was lost."""
    trouble: str = ""


class Api:
    """
    The application; ``calls`` says what was asked of it.
    """

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self.accepted = 0
        """Rows of both ingestion APIs so far."""
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer one request.
        """
        if scope["type"] != "http":
            return
        asked = Asked(
            scope["method"],
            scope["path"],
            dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        )
        answering = _Answering(self, asked, receive, send, scope.get("extensions", {}).get(DROP))
        where = _endpoint(asked.path)
        if where is None:
            await answering.read()
            found = control.answer(self.subscription, self.calls, self.accepted, asked)
            await answering.give(found or self._beside(asked))
        else:
            await self._answer(where, answering)

    async def _answer(self, where: Endpoint, answering: "_Answering") -> None:
        faults, asked = self.subscription.faults, answering.asked
        fault = faults.next(lambda each: each.fits(where))
        if fault is not None:
            await answering.cut(fault, after_first=fault.trouble is Trouble.RESET)
            return
        await answering.read()
        try:
            content = asked.content()
        except NotGzip:
            content = asked.body
        fault = faults.next(lambda each: each.fits(where, content))
        wanted = fault.trouble if fault else None
        if fault is not None and wanted is Trouble.SLOW:
            await self.subscription.sleep(fault.wait_seconds)
        answer = self._instead(fault, where, asked) if fault else None
        if answer is None and wanted is not Trouble.HANG:
            answer = self._handled(
                where, asked, lose=fault.containing if wanted is Trouble.LOST_ROWS and fault else ""
            )
        await answering.give(answer, fault)

    def _instead(self, fault: Fault, where: Endpoint, asked: Asked) -> Answer | None:
        """
        Return the answer of a call that is not let through to its endpoint.
        """
        wanted = fault.trouble
        if wanted in {Trouble.STATUS, Trouble.CUT_REFUSAL}:
            return self._refusal(fault, where)
        if wanted is Trouble.PAGE:
            return Answer(200, _PAGE, {"content-type": "text/html"})
        if wanted is Trouble.REDIRECT:
            return Answer(307, headers={"location": f"https://elsewhere.example.com{asked.path}"})
        if wanted is Trouble.NO_ROLE and where is Endpoint.INGESTION:
            return ingestion.no_role(asked.path.split("/")[2])
        if wanted is Trouble.POISON:
            return self._refusal(Fault(trouble=wanted, status=400, code=fault.code), where)
        if wanted is Trouble.REVOKED:
            self.subscription.entra.revoke()
        return None

    def _refusal(self, fault: Fault, where: Endpoint) -> Answer:
        wait = retry_after(fault.retry_after, as_date=fault.retry_as_date, now=self.subscription.clock())
        code, message = fault.code or CODES[where].get(fault.status, ""), fault.message or SAID
        if not code:
            return Answer(fault.status, headers=wait)
        if where is Endpoint.TOKEN:
            return of_json(fault.status, {"error": code, "error_description": message}, wait)
        if where is Endpoint.COLLECTOR:
            return of_json(fault.status, {"Error": code, "Message": message}, wait)
        return of_json(fault.status, {"error": {"code": code, "message": message}}, wait)

    def _handled(self, where: Endpoint, asked: Asked, *, lose: str) -> Answer:
        if asked.method != "POST":
            return ingestion.refused(405, "MethodNotAllowed", "Only POST is answered here.")
        if where is Endpoint.COLLECTOR:
            answer = self.subscription.collector.post(asked)
        elif where is Endpoint.TOKEN:
            found = _TOKEN.fullmatch(asked.path)
            return self.subscription.entra.sign_in(found[1] if found else "", _form(asked))
        else:
            named = _INGESTION.fullmatch(asked.path)
            rule, stream = (named[1], named[2]) if named else ("", "")
            answer = self.subscription.ingestion.post(rule, stream, asked, lose=lose)
        self.accepted += asked.rows
        return answer

    def _beside(self, asked: Asked) -> Answer:
        """
        Answer what is asked before signing in, and by machines.
        """
        entra, query = self.subscription.entra, asked.query
        found = _DISCOVERY.fullmatch(asked.path)
        if found:
            # as everywhere at Entra: its libraries take no other, and tests turn it back on the way
            return entra.discovery(f"https://{asked.headers.get('host', '127.0.0.1')}", found[1])
        if asked.path in _MACHINE:
            if not (asked.headers.get("metadata") == "true" or asked.headers.get("x-identity-header")):
                return of_json(
                    400, {"error": "invalid_request", "error_description": "Required metadata header"}
                )
            return entra.of_machine(query.get("resource", ""), query.get("client_id"))
        return ingestion.refused(404, "NotFound", "There is nothing at this address.")

    def head(self, answer: Answer, length: int) -> dict[str, str]:
        """
        Return the headers of an answer.
        """
        return answer.headers | {
            "content-length": str(length),
            "date": formatdate(self.subscription.clock(), usegmt=True),
            "x-ms-request-id": f"{next(self._numbers):08x}-0000-4000-8000-000000000000",
        }

    def note(self, asked: Asked, status: int, fault: Fault | None) -> None:
        """
        Remember a call of a program; what a person asks of the simulation is none.
        """
        if asked.path.startswith(CONTROL):
            return
        self.calls.append(
            Call(
                at=self.subscription.clock(),
                method=asked.method,
                path=asked.path,
                status=status,
                request_id=asked.headers.get("x-ms-client-request-id", ""),
                sent_bytes=len(asked.body),
                rows=asked.rows,
                trouble=fault.trouble if fault else "",
            )
        )


class _Answering:
    """
    One connection while a call is on it.
    """

    def __init__(
        self, api: Api, asked: Asked, receive: Receive, send: Send, drop: Callable[[], None] | None
    ) -> None:
        self.asked = asked
        self._api, self._receive, self._send, self._drop = api, receive, send, drop

    async def read(self) -> None:
        """
        Read the body to its end, or to where it is larger than any limit.
        """
        parts, size, more = [], 0, True
        while more and size <= LARGEST_CONTENT:
            message = await self._receive()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            more = message.get("more_body", False)
        self.asked.body = b"".join(parts)

    async def give(self, answer: Answer | None, fault: Fault | None = None) -> None:
        """
        Send an answer, as far as it gets.
        """
        wanted = fault.trouble if fault else None
        if answer is None or wanted is Trouble.LATE_ANSWER:
            self._api.note(self.asked, 0, fault)
            await self._wait_for_end()
        elif wanted is Trouble.LOST_ANSWER:
            await self.cut(fault)
        elif wanted is Trouble.CUT_ANSWER:
            await self._start(
                Answer(200 if answer.status == 204 else answer.status, headers=answer.headers), 64
            )
            await self.cut(fault, status=answer.status)
        elif wanted is Trouble.CUT_REFUSAL:
            await self._start(answer, len(answer.body))
            await self._send(_part(answer.body[: len(answer.body) // 2], more=True))
            await self.cut(fault, status=answer.status)
        else:
            self._api.note(self.asked, answer.status, fault)
            await self._start(answer, len(answer.body))
            await self._send(_part(answer.body))

    async def cut(self, fault: Fault | None, *, after_first: bool = False, status: int = 0) -> None:
        """
        End the connection.

        Args:
            after_first: Read a part of the body first.
        """
        if after_first:
            self.asked.body = (await self._receive()).get("body", b"")
        self._api.note(self.asked, status, fault)
        if self._drop is None:
            raise ConnectionResetError("The simulation was asked to end this connection.")
        self._drop()
        await self._wait_for_end()

    async def _start(self, answer: Answer, length: int) -> None:
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in self._api.head(answer, length).items()
            if not (answer.status == 204 and name == "content-length")
        ]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _wait_for_end(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _endpoint(path: str) -> Endpoint | None:
    if path.startswith("/dataCollectionRules/"):
        return Endpoint.INGESTION
    if path == "/api/logs":
        return Endpoint.COLLECTOR
    return Endpoint.TOKEN if _TOKEN.fullmatch(path) else None


def _form(asked: Asked) -> dict[str, str]:
    return dict(parse_qsl(asked.body.decode("latin-1")))
