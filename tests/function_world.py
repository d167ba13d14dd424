"""
The function app, driven as Azure's worker drives it, between a simulated storage account and a simulated Azure Monitor.

Everything is on one clock. Each call to the outside is a step, before or after which the process can be killed, or stand still
while another one works.
"""

import asyncio
import importlib.util
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import azure.functions as func
import httpx2
from azure.functions.timer import TimerRequest as Timer
from msgspec import structs
from msgspec.json import decode

from onelogin_connector.azure.credentials import ClientSecret
from onelogin_connector.config.function import Api as ApiSettings
from onelogin_connector.config.function import ByConnection, FunctionSettings
from onelogin_connector.serverless.building import build
from onelogin_connector.setting import HttpUrl, Secret
from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.blobs import BlobService, Reply
from onelogin_connector.simulator.azure.subscription import (
    CLIENT_ID,
    CLIENT_SECRET,
    LEGACY_ID,
    RULE_ID,
    TENANT_ID,
    WORKSPACE_KEY,
    Subscription,
)
from onelogin_connector.simulator.azure.trouble import Fault, Trouble
from onelogin_connector.simulator.azure.wire import Wire
from onelogin_connector.simulator.credential import CLIENT_ID as API_ID
from onelogin_connector.simulator.credential import CLIENT_SECRET as API_SECRET
from onelogin_connector.sinks import data_collector, logs_ingestion
from tests.blob_account import Killed, blob_container, connection

FUNCTION_APP = Path(__file__).parents[1] / "deploy" / "azure-function" / "function_app.py"
NOW = 1_795_200_000.0
TOKEN = "a-webhook-token-of-the-function-app"
URL = HttpUrl("http://127.0.0.1:9")
TAKEOVER_SECONDS = 61.0


def function_app(front: Any) -> ModuleType:
    """
    Import the app as the worker does, and put these functions behind it.
    """
    spec = importlib.util.spec_from_file_location("function_app", FUNCTION_APP)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.front = front
    return module


def in_another_thread(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """
    Run something to its end in a loop of its own, as another process would.
    """
    found: list[Any] = []
    thread = Thread(target=lambda: found.append(asyncio.run(work())))
    thread.start()
    thread.join()
    return found[0] if found else None


class Process:
    """
    One instance of the app.
    """

    def __init__(self, world: "FunctionWorld") -> None:
        self.world = world
        self.is_dead = False
        container = blob_container(world.blobs, self._storage_step)
        transport = _Between(Wire(world.api), self._outside_step)
        if world.api_transport is not None:
            transport = _Routed(transport, world)
        self.front = build(
            world.settings,
            container,
            clock=world.clock,
            transport=transport,
            tick=world.clock,
            sleep=world.sleep,
        )
        self.module = function_app(self.front)
        self.functions = {each.get_function_name(): each for each in self.module.app.get_functions()}

    async def call(self, name: str, request: Any) -> Any:
        """
        Call a function by its name.
        """
        return await self.functions[name].get_user_function()(request)

    async def post(self, body: bytes, *, route: str = "", **headers: str) -> func.HttpResponse:
        """
        Send a webhook.
        """
        shown = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        shown |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = func.HttpRequest(
            method="POST",
            url="https://app.azurewebsites.net/api/OneLoginWebhooksTrigger?code=whatever",
            headers=shown,
            params={"code": "whatever"},
            route_params={"connector": route} if route else {},
            body=body,
        )
        return await self.call("Webhook" if route else "OneLoginWebhooksTrigger", request)

    async def tick(self) -> None:
        """
        Let the timer fire.
        """
        await self.call("Drain", Timer(past_due=False))

    async def ask(self, name: str, body: bytes = b"") -> tuple[int, Any]:
        """
        Ask one of the other functions; returns status and document.
        """
        method = "POST" if body else "GET"
        request = func.HttpRequest(method=method, url="https://app.azurewebsites.net/", body=body)
        response = await self.call(name, request)
        return response.status_code, decode(response.get_body())

    def _storage_step(self, asked: str, do: Callable[[], Reply]) -> Reply:
        self.world.at_step(self, f"before {asked}")
        reply = do()
        if (
            asked.startswith("PUT")
            and asked.partition("?")[0].endswith("/state/head")
            and reply.status == 201
        ):
            self.world.uncommitted = 0
        self.world.at_step(self, f"after {asked}")
        return reply

    async def _outside_step(self, request: Any, do: Callable[[], Any]) -> Any:
        self.world.at_step(self, f"before {request.url.path}")
        rows = self.world.row_count()
        try:
            return await do()
        finally:
            self.world.accepted_by(self, self.world.row_count() - rows)
            self.world.at_step(self, f"after {request.url.path}")


class FunctionWorld:
    """
    What lies around the app, and what came of it.
    """

    def __init__(self, kind: str = "data_collector") -> None:
        self.now = NOW
        self.subscription = Subscription(clock=self.clock, sleep=self.sleep)
        self.api = Api(self.subscription)
        self.blobs = BlobService(clock=self.clock)
        self.api_transport: Any = None
        self.api_calls = 0
        self.settings = FunctionSettings(
            tokens=(Secret(TOKEN), Secret("another-token-during-rotation")),
            storage=ByConnection(Secret(connection())),
            container="onelogin-connector",
            sink=_sink(kind),
        )
        self.acknowledged: list[bytes] = []
        self.steps: list[str] = []
        self.disturb: Callable[[Process, int], None] | None = None
        """Called at each step with its number."""
        self.uncommitted = 0
        """Rows that Azure accepted and no checkpoint has passed yet."""
        self.late: Process | None = None
        """An instance whose lease another one has taken; what it still sends may double."""
        self.doubled = 0
        """Rows that may be there twice."""

    def clock(self) -> float:
        """Return the moment."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += max(0.0, seconds)
        await asyncio.sleep(0)

    def poll(self, transport: Any) -> None:
        """Let the app list a OneLogin account too."""
        self.api_transport = transport
        api = ApiSettings(URL, Secret(API_ID), Secret(API_SECRET))
        self.settings = structs.replace(self.settings, api=api)

    def start(self) -> Process:
        """Start an instance."""
        return Process(self)

    def at_step(self, process: Process, what: str) -> None:
        """Count a step, and let happen what is to happen there."""
        if process.is_dead:
            raise Killed
        self.steps.append(what)
        if self.disturb is not None:
            self.disturb(process, len(self.steps))

    def kill(self, process: Process) -> None:
        """End an instance; its lease is still held for a minute."""
        process.is_dead = True
        self.doubled += self.uncommitted
        self.uncommitted = 0
        raise Killed

    def accepted_by(self, process: Process, rows: int) -> None:
        """Note rows that are in Azure now."""
        if process is self.late:
            self.doubled += rows
        else:
            self.uncommitted += rows

    def fail(self, trouble: str, **options: Any) -> None:
        """Let something go wrong in Azure Monitor."""
        self.subscription.faults.add(Fault(trouble=Trouble(trouble), **options))

    async def post(self, process: Process, bodies: Iterable[bytes]) -> None:
        """Send bodies, remembering which were acknowledged."""
        for body in bodies:
            answer = await process.post(body)
            if answer.status_code == 200:
                self.acknowledged.append(body)

    def row_count(self) -> int:
        """Return how many rows there are."""
        return sum(len(each.rows("OneLogin_CL")) for each in self.subscription.workspaces.values())

    def accepted(self) -> Counter[str]:
        """Return uuid → rows of it; what the API alone has told has none."""
        rows = (row for each in self.subscription.workspaces.values() for row in each.rows("OneLogin_CL"))
        return Counter(row["uuid_g"] for row in rows if "uuid_g" in row)

    def left(self, prefix: str) -> list[str]:
        """Return blobs that are there, in order."""
        blobs = self.blobs.containers.get("onelogin-connector", {})
        return sorted(name for name in blobs if name.startswith(prefix))

    def judge(self, *, dead: Iterable[str] = ()) -> None:
        """Hold that what was acknowledged arrived, and once, but for what a lost answer may double."""
        expected = {record["uuid"] for body in self.acknowledged for record in decode(body)} - set(dead)
        accepted = self.accepted()
        assert expected <= set(accepted), "lost"
        assert not set(accepted) & set(dead), "dead and delivered"
        assert sum(accepted.values()) - len(accepted) <= self.doubled, "twice"
        assert not self.left("spool/")


def _sink(kind: str) -> Any:
    if kind == "data_collector":
        return data_collector.Settings(
            workspace_id=LEGACY_ID, workspace_key=Secret(WORKSPACE_KEY), endpoint=URL
        )
    return logs_ingestion.Settings(
        endpoint=URL,
        rule_id=RULE_ID,
        credential=ClientSecret(
            tenant_id=TENANT_ID, client_id=CLIENT_ID, client_secret=Secret(CLIENT_SECRET), authority=URL
        ),
    )


class _Between(httpx2.AsyncBaseTransport):
    """
    Tells of each call that passes.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, step: Any) -> None:
        self._inner, self._step = inner, step

    async def handle_async_request(self, request: Any) -> Any:
        return await self._step(request, lambda: self._inner.handle_async_request(request))


class _Routed(httpx2.AsyncBaseTransport):
    """
    Brings calls of OneLogin's API there, and all others to Azure.
    """

    def __init__(self, azure: httpx2.AsyncBaseTransport, world: FunctionWorld) -> None:
        self._azure, self._world = azure, world

    async def handle_async_request(self, request: Any) -> Any:
        # both have a sign-in of their own
        is_onelogin = request.url.path.startswith(("/auth/", "/api/1/", "/api/2/"))
        self._world.api_calls += is_onelogin
        transport = self._world.api_transport if is_onelogin else self._azure
        return await transport.handle_async_request(request)
