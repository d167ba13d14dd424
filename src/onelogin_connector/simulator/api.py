"""
The API of a simulated account, as an ASGI application.

It answers as the real one is known to: tokens by three request forms, events in pages of 50 by cursors that are
positions and carry no filter, types without authorisation, users by pages in headers, one allowance of calls for
all. ``/simulator/…`` is not OneLogin's: there a person lets something go wrong.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from email.utils import formatdate
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from msgspec import MsgspecError
from msgspec.json import decode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from onelogin_connector.simulator import answers
from onelogin_connector.simulator.account import KEPT_US, Account
from onelogin_connector.simulator.credential import claimed
from onelogin_connector.simulator.pages import BadParameter, event_page, user_page
from onelogin_connector.simulator.people import iso
from onelogin_connector.simulator.trouble import Fault, Trouble

BAD_TOKEN_CALLS = 160
"""So many refused token calls within ``BAD_TOKEN_SECONDS`` and the edge steps in."""
BAD_TOKEN_SECONDS = 4.0

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Api:
    """
    The application; ``calls`` and ``records`` say what was asked of it.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.calls: Counter[tuple[str, int]] = Counter()
        """Path and status → calls."""
        self.records = 0
        """Events listed, each as often as it was."""
        self._refused_at: list[float] = []
        self._numbers = count(1)
        routes = (
            ("POST", "/auth/oauth2/v2/token", self._token),
            ("POST", "/auth/oauth2/revoke", self._revoke),
            ("GET", "/auth/rate_limit", self._rate_limit),
            ("GET", "/api/1/events", self._limited(self._events)),
            ("GET", "/api/1/events/types", self._types),
            ("GET", "/api/1/events/{id:int}", self._limited(self._event)),
            ("GET", "/api/2/users", self._users),
            ("POST", "/simulator/faults", self._fail),
            ("DELETE", "/simulator/faults", self._mend),
            ("GET", "/simulator/calls", self._calls),
        )
        self._app = Starlette(
            routes=[Route(path, answer, methods=[method]) for method, path, answer in routes],
            exception_handlers={404: _no_route, 405: _no_route},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer one request.
        """
        if scope["type"] != "http":
            return
        path = scope["path"]

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.calls[path, message["status"]] += 1
                message["headers"] = [
                    *message["headers"],
                    (b"date", formatdate(self.account.clock(), usegmt=True).encode()),
                    (b"x-request-id", f"{next(self._numbers):08X}".encode()),
                ]
            await send(message)

        asked_of_us = path.startswith("/simulator/")
        fault = None if asked_of_us else self.account.faults.next(lambda each: each.fits(path))
        scope["fault"] = fault
        answer = await self._failing(fault, path) if fault else None
        await (answer or self._app)(scope, receive, sending)

    async def _failing(self, fault: Fault, path: str) -> Response | None:
        """
        Return the answer of a call that goes wrong; None for one that is only late, or wrong further down.
        """
        wanted = fault.trouble
        if wanted in {Trouble.UNAUTHORIZED, Trouble.DEAD}:
            self.account.credential.revoke()
            if wanted is Trouble.DEAD and path.startswith("/auth/"):
                return answers.refused(500, "Internal Server Error")
            return answers.unauthorized(path)
        if wanted is Trouble.SLOW:
            await self.account.sleep(fault.wait_seconds)
        simple: dict[Trouble, Callable[[], Response]] = {
            Trouble.FORBIDDEN: lambda: answers.refused(403, "Insufficient Permission"),
            Trouble.TOO_MANY: lambda: answers.refused(429, "rate limit exceeded"),
            Trouble.TOO_MANY_HTML: lambda: answers.of_html(429, answers.HTML_429),
            Trouble.LIMIT_EXCEEDED: lambda: answers.refused(400, "rate_limit_exceeded"),
            Trouble.SERVER_ERROR: lambda: answers.refused(500, "Internal Server Error"),
            Trouble.BAD_GATEWAY: lambda: answers.of_html(502, answers.HTML_502),
            Trouble.PAGE: lambda: answers.of_html(200, answers.HTML_200),
            Trouble.REDIRECT: lambda: Response(
                status_code=302, headers={"location": f"https://elsewhere.example.com{path}"}
            ),
        }
        return simple[wanted]() if wanted in simple else None

    async def _token(self, request: Request) -> Response:
        """
        Give a token.
        """
        account, now = self.account, self.account.clock()
        self._refused_at = [at for at in self._refused_at if 0 <= now - at < BAD_TOKEN_SECONDS]
        if len(self._refused_at) >= BAD_TOKEN_CALLS:
            return answers.of_html(429, answers.HTML_429)
        form = await _form(request)
        if form is None or form.get("grant_type") != "client_credentials":
            return answers.refused(400, "grant_type is incorrect/absent")
        claim = claimed(request.headers.get("authorization", ""), form)
        if claim is None:
            return answers.refused(400, "The authorization information is missing")
        if not account.credential.fits(*claim):
            self._refused_at.append(now)
            return answers.refused(401, "Authentication Failure")
        token = account.credential.token(seconds=account.token_seconds)
        content = {
            "access_token": token.text,
            "created_at": iso(int(token.created_at * 1_000_000)),
            "expires_in": int(account.token_seconds),
            "refresh_token": token.text[::-1],
            "token_type": "bearer",
            "account_id": account.id,
        }
        return answers.of_json(200, content, {"cache-control": "max-age=0, private, must-revalidate"})

    async def _revoke(self, request: Request) -> Response:
        claim = claimed(request.headers.get("authorization", ""), {})
        if claim is None or not self.account.credential.fits(*claim):
            return answers.unauthorized(request.url.path)
        self.account.credential.revoke()
        return answers.of_json(200, {"status": answers.SUCCESS})

    async def _rate_limit(self, request: Request) -> Response:
        if not self._allowed(request):
            return answers.refused(400, "Authorization Information is incorrect")
        allowance = self.account.allowance
        data = {
            "X-RateLimit-Limit": allowance.per_hour,
            "X-RateLimit-Remaining": allowance.remaining,
            "X-RateLimit-Reset": allowance.reset_seconds,
        }
        return answers.of_json(200, {"status": answers.SUCCESS, "data": data})

    def _allowed(self, request: Request) -> bool:
        return self.account.credential.accepts(request.headers.get("authorization", ""))

    def _limited(self, answer: Answer) -> Answer:
        """
        Let a v1 resource be asked for only with a token, and only while calls are left.
        """

        async def limited(request: Request) -> Response:
            if not self._allowed(request):
                return answers.unauthorized(request.url.path)
            allowance = self.account.allowance
            if allowance.take():
                try:
                    found = await answer(request)
                except BadParameter as error:
                    found = answers.refused(400, str(error))
            else:
                found = answers.refused(429, "rate limit exceeded")
            found.headers["x-ratelimit-limit"] = str(allowance.per_hour)
            found.headers["x-ratelimit-remaining"] = str(allowance.remaining)
            found.headers["x-ratelimit-reset"] = str(allowance.reset_seconds)
            return found

        return limited

    async def _events(self, request: Request) -> Response:
        fault: Fault | None = request.scope["fault"]
        wanted = fault.trouble if fault else None
        records, pagination = event_page(
            self.account,
            request.query_params,
            link=str(request.url.replace(query="")),
            endless=wanted is Trouble.ENDLESS,
            standing=wanted is Trouble.STANDING_CURSOR,
        )
        self.records += len(records)
        answer = answers.listed(records, pagination, {"link": ""})
        if wanted is Trouble.TRUNCATED:
            return Response(answer.body[: len(answer.body) // 2], 200, media_type="application/json")
        return answer

    async def _event(self, request: Request) -> Response:
        wanted, now_us = request.path_params["id"], self.account.now_us()
        for each in self.account.listing.after(wanted - 1, now_us - KEPT_US, now_us, now_us=now_us):
            if each.id == wanted:
                return answers.listed([each.happening.to_api()], answers.NO_PAGES)
            break
        return answers.refused(404, "Not Found")

    async def _types(self, request: Request) -> Response:
        return answers.listed(self.account.event_types())

    async def _users(self, request: Request) -> Response:
        if not self._allowed(request):
            return answers.unauthorized(request.url.path)
        try:
            users, headers = user_page(self.account, request.query_params)
        except BadParameter as error:
            return answers.refused_v2(422, "UnprocessableEntityFieldError", str(error))
        return answers.of_json(200, users, headers)

    async def _mend(self, request: Request) -> Response:
        self.account.faults.clear()
        return Response(status_code=204)

    async def _fail(self, request: Request) -> Response:
        try:
            self.account.faults.add(decode(await request.body(), type=Fault))
        except MsgspecError as error:
            return answers.refused(400, str(error))
        return Response(status_code=204)

    async def _calls(self, request: Request) -> Response:
        calls = [
            {"path": path, "status": status, "calls": calls}
            for (path, status), calls in sorted(self.calls.items())
        ]
        return answers.of_json(200, {"calls": calls, "records": self.records})


async def _form(request: Request) -> Mapping[str, str] | None:
    """
    Return what a token request says in its body, JSON or form, or in its query.
    """
    body = await request.body()
    if not body:
        return dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("latin-1")))
    try:
        return decode(body, type=dict[str, str])
    except MsgspecError:
        return None


async def _no_route(_request: Request, _error: Exception) -> Response:
    return answers.refused(404, "No Route Exists")
