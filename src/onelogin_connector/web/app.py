"""
The HTTP surface put together: what answers on the main port, the webhook port and the control socket.

The gate stands before everything that needs a caller: it checks the Host header, finds out who is asking,
refuses who may not, and turns every error into a problem document.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from onelogin_connector.config import Settings
from onelogin_connector.service import Service, build
from onelogin_connector.service.folder import COMMAND, control_socket, make_way
from onelogin_connector.web import metrics, numbers, openapi, sign_on
from onelogin_connector.web.access import COOKIE, LOCAL, Access, Caller, Role
from onelogin_connector.web.answers import SECURITY_HEADERS, SEVERED, HttpError, json, problem_of
from onelogin_connector.web.api import Api
from onelogin_connector.web.console import access as access_pages
from onelogin_connector.web.console import (
    collection,
    completeness,
    connectors,
    events,
    health,
    letters,
    sink_form,
    sinks,
)
from onelogin_connector.web.console.base import Console
from onelogin_connector.web.console.failing import failure
from onelogin_connector.web.console.routes import Entry, View, require, routes
from onelogin_connector.web.endpoints import ENDPOINTS, Endpoint
from onelogin_connector.web.front import Front
from onelogin_connector.web.hosts import Hosts
from onelogin_connector.web.oidc import SingleSignOn
from onelogin_connector.web.pages import Pages
from onelogin_connector.web.server import App, HttpServer, Receive, Scope, Send, listen_private

SAFE_METHODS = frozenset({"GET", "HEAD"})

ENTRIES: tuple[Entry, ...] = (
    *collection.ENTRIES,
    *connectors.ENTRIES,
    *completeness.ENTRIES,
    *events.ENTRIES,
    *sink_form.ENTRIES,
    *sinks.ENTRIES,
    *letters.ENTRIES,
    *health.ENTRIES,
    *access_pages.ENTRIES,
)
"""The pages of the console in the order of its navigation, and what is done on them."""

PUBLIC = ("/login", "/static/", "/readyz")
"""Beginnings of paths that answer without a caller."""


WARM_AFTER_SECONDS = 2.0
"""A second of processor time that a start need not wait for, nor a command that is over before."""


class Gate:
    """
    ASGI app that lets through who may pass.
    """

    def __init__(self, service: Service, access: Access, hosts: Hosts, *, trusted: bool = False) -> None:
        """
        Put the routes behind the gate.

        Args:
            trusted: Every caller is the user of the data folder: the control socket.
        """
        self._service = service
        self._access = access
        self._hosts = hosts
        self._trusted = trusted
        places = [entry.place for entry in ENTRIES if isinstance(entry, View) and entry.place]
        self._console = Console(service, access, hosts, places)
        self._router = Router(
            [
                *_api_routes(Api(service, access)),
                *self._page_routes(),
                *routes(ENTRIES),
                *self._own_routes(),
            ]
        )

    def warm(self) -> None:
        """
        Get ready for the first page, a little later, when what starts has started.
        """
        self._warming = asyncio.create_task(self._get_ready())

    async def _get_ready(self) -> None:
        await asyncio.sleep(WARM_AFTER_SECONDS)
        await self._console.compile()

    def _page_routes(self) -> list[Route]:
        pages = Pages(self._access, self._hosts)
        settings = self._service.settings
        sso = sign_on.SignOn(
            SingleSignOn(settings.oidc, clock=self._service.clock),
            settings.oidc,
            self._access,
            self._hosts,
            public_url=settings.web.public_url,
            form=pages.form,
        )
        return [
            Route("/", pages.start, methods=["GET"]),
            Route("/login", pages.login, methods=["GET"]),
            Route("/login", pages.sign_in, methods=["POST"]),
            Route(sign_on.BEGIN, sso.begin, methods=["GET"]),
            Route(sign_on.BACK, sso.back, methods=["GET"]),
            Route("/login/{token}", pages.link, methods=["GET"]),
            Route("/logout", pages.sign_out, methods=["POST"]),
            Route("/static/{name:path}", self._console.assets.serve, methods=["GET"]),
        ]

    def _own_routes(self) -> list[Route]:
        return [
            Route("/readyz", self._readyz, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route(openapi.PATH, self._openapi, methods=["GET"]),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer one request.
        """
        scope["app"] = (
            self  # by this the router raises what it does not know, instead of answering in plain text
        )
        request = Request(scope, receive)
        request.state.console = self._console
        by_itself = request.headers.get("sec-fetch-site") in ("none", "same-origin")
        headers = SECURITY_HEADERS if by_itself else (*SECURITY_HEADERS, SEVERED)
        started = False

        async def guarded(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name for name, _ in message["headers"]}
                message["headers"] += [(name, value) for name, value in headers if name not in present]
            await send(message)

        try:
            refusal = self._admit(request)
            if refusal is None:
                await self._router(scope, receive, guarded)
            else:
                await refusal(scope, receive, guarded)
        except Exception as error:
            if started:
                raise  # the server closes the connection, so that the client sees a broken answer
            await self._explained(request, error)(scope, receive, guarded)

    def _admit(self, request: Request) -> Response | None:
        """
        Find the caller; returns an answer of its own when the request may not pass.
        """
        path = request.url.path
        headers = dict(request.headers)
        peer = request.client.host if request.client else ""
        request.state.client = self._hosts.client(peer, headers)
        caller = LOCAL if self._trusted else self._caller(request)
        request.state.caller = caller
        # a request with a bearer token is no browser's, and probes and scrapers come by address
        by_token = caller is not None and not caller.by_session
        if not by_token and path != "/readyz" and not self._hosts.known(headers.get("host", "")):
            raise HttpError(
                "unknown-host",
                f"This server is not known as {headers.get('host', '')[:80]!r}.",
                action="Set public_url under [web] to the address that people use.",
            )
        if caller is not None:
            if caller.by_session and request.method not in SAFE_METHODS:
                self._require_same_origin(request)
            return None
        if path.startswith(PUBLIC) or (path == "/metrics" and self._hosts.is_local(peer, headers)):
            return None
        by_browser = "text/html" in headers.get("accept", "")
        if by_browser and request.method == "GET":
            return RedirectResponse("/login", 303)
        # a form whose session has ended in the meantime
        detail = "You are no longer signed in, and nothing was changed."
        raise HttpError(
            "not-signed-in",
            detail if by_browser else "This address needs a session or an API token.",
            action="Sign in, and enter it again." if by_browser else "",
            headers={"www-authenticate": 'Bearer realm="api"'},
        )

    def _caller(self, request: Request) -> Caller | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._of_token(token.strip(), request.url.path)
        return self._access.of_session(request.cookies.get(COOKIE, ""))

    def _of_token(self, token: str, path: str) -> Caller | None:
        configured = self._service.settings.web.metrics_token
        if path == "/metrics" and configured is not None and configured == type(configured)(token):
            return Caller("metrics", Role.VIEWER)
        return self._access.of_token(token)

    def _require_same_origin(self, request: Request) -> None:
        """
        Refuse what another site made a browser send, beside what SameSite cookies already hold back.
        """
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin", "")
        host = request.headers.get("host", "")
        if site == "same-origin" or (site is None and origin.partition("://")[2] == host != ""):
            return
        raise HttpError(
            "not-permitted",
            "The request was made by another site.",
            action="Use the pages of this server, or an API token.",
        )

    def _explained(self, request: Request, error: Exception) -> Response:
        answer = problem_of(error)
        if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
            from msgspec.json import decode

            problem = decode(bytes(answer.body))
            try:
                page = failure(request, answer.status_code, problem["detail"], problem["action"])
            except Exception as broken:  # noqa: BLE001 - the refusal is told in any case, if not as a page
                problem_of(broken)
                return answer
            page.headers.update(_explaining(answer))
            return page
        return answer

    async def _readyz(self, request: Request) -> Response:
        reasons = self._service.reasons_not_ready()
        return json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _openapi(self, request: Request) -> Response:
        require(request, Role.VIEWER)
        return json(openapi.document(ENDPOINTS, ENTRIES))

    async def _metrics(self, request: Request) -> Response:
        text = await asyncio.to_thread(lambda: metrics.text(numbers.families(self._service)))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _explaining(answer: Response) -> dict[str, str]:
    """
    Return the headers of a refusal that are about the refusal and not about its body.
    """
    return {name: value for name, value in answer.headers.items() if not name.startswith("content-")}


def _api_routes(api: Api) -> list[Route]:
    return [
        Route(
            endpoint.path, _permitted(endpoint, api), methods=[endpoint.method], name=endpoint.call.__name__
        )
        for endpoint in ENDPOINTS
    ]


def _permitted(endpoint: Endpoint, api: Api) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        caller: Caller = request.state.caller
        if not caller.role.includes(endpoint.role):
            raise HttpError(
                "not-permitted", f"{caller.name} is {caller.role}; this needs the role {endpoint.role}."
            )
        return await endpoint.call(api, request)

    return call


def hosts_of(settings: Settings) -> Hosts:
    """
    Return by which names and through which proxies people come.
    """
    web = settings.web
    return Hosts(
        public_url=web.public_url,
        host=web.host,
        trusted_proxies=[ip_network(network) for network in web.trusted_proxies],
        tls=web.tls is not None,
    )


def access_of(service: Service) -> Access:
    """
    Return the sign-in of a service.
    """
    settings = service.settings
    return Access(
        service.state,
        session_seconds=settings.web.session_hours * 3_600,
        clock=service.clock,
        sso_label=settings.oidc.label if settings.oidc.issuer else "",
    )


def main_app(service: Service, access: Access, *, warm: bool = False) -> App:
    """
    Return what answers on the main port.

    Args:
        warm: Get its pages ready before anybody asks; needs a running loop.
    """
    hosts = hosts_of(service.settings)
    gate = Gate(service, access, hosts)
    if warm:
        gate.warm()
    return Front(service.webhooks, hosts, service.right_of_way, gate)


def webhook_app(service: Service) -> App:
    """
    Return what answers on the port that is open to the internet.
    """
    return Front(service.webhooks, hosts_of(service.settings), service.right_of_way)


def control_app(service: Service, access: Access) -> App:
    """
    Return what answers on the control socket.
    """
    return Gate(service, access, hosts_of(service.settings), trusted=True)


async def open_control(service: Service, access: Access) -> tuple[HttpServer, Path]:
    """
    Answer on the control socket of the data folder.
    """
    path = control_socket(service.folder.path)
    make_way(path)
    server = HttpServer(control_app(service, access), listen_private(path))
    await server.start()
    return server, path


@asynccontextmanager
async def serve_control(settings: Settings) -> AsyncIterator[Path]:
    """
    Be a service for one command: no port, and no destination but the store.
    """
    service = build(settings, purpose=COMMAND)
    try:
        await service.start(only_store=True)
        server, path = await open_control(service, access_of(service))
        try:
            yield path
        finally:
            await server.stop()
            path.unlink(missing_ok=True)
    finally:
        await service.stop()
