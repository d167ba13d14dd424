"""
A service that pulls from a simulated account, asked over its own HTTP API.
"""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from onelogin_connector.config import load
from onelogin_connector.service import build
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.serving import bind, serving
from onelogin_connector.web.app import access_of, control_app
from passwords import QUICK
from patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000


class World:
    """
    A service, and the account that it pulls from.
    """

    def __init__(self, service, account) -> None:
        self.service = service
        self.account = account
        app = control_app(service, access_of(service))
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://localhost")

    def connector(self, name="acme"):
        return next(each for each in self.service.status()["connectors"] if each["id"] == name)

    async def until(self, ready):
        """
        Wait for something that the service does by itself.
        """
        await until(ready, tell=self.service.status)

    async def settled(self):
        """
        Wait until the store has what was read: whoever asks it waits for a moment only.
        """
        await self.until(lambda: not any(sink["lag_events"] for sink in self.service.status()["sinks"]))


@asynccontextmanager
async def pulling(tmp_path: Path, *, connectors=("acme",), start=True, secret=CLIENT_SECRET):
    """
    Run a service whose connectors pull from one simulated account.
    """
    async with AsyncExitStack() as stack:
        account = Account(Company(3), calls_per_hour=100_000)
        url = await stack.enter_async_context(serving(Api(account), bind()))
        text = "".join(
            f'[connectors.{name}]\napi_url = "{url}"\nclient_id = "{CLIENT_ID}"\n'
            'client_secret = { env = "SECRET" }\npoll_seconds = 5\napi_budget_share = 1.0\n'
            for name in connectors
        )
        path = tmp_path / "settings.toml"
        path.write_text(text)
        settings = load(path, {"SECRET": secret}, data_dir=tmp_path / "data", folder=tmp_path)
        service = build(settings, hasher=QUICK)
        stack.push_async_callback(service.stop)
        await service.start(only_store=not start)
        world = World(service, account)
        await stack.enter_async_context(world.client)
        yield world


async def test_a_day_is_pulled_and_everything_says_so(tmp_path):
    """
    Events of the last day are in the store; status, metrics, check and completeness tell what was done.
    """
    async with pulling(tmp_path) as world:
        poller = world.service.pulls["acme"].poller
        await world.until(lambda: world.service.clock() - (poller.watermark_us or 0) / 1_000_000 < 60)
        found = world.connector()
        assert found["state"] == "ok"
        assert found["error"] == ""
        assert found["watermark"] <= found["last_poll"]
        assert found["events_total"] > 1_000
        metrics = (await world.client.get("/metrics")).text
        calls = 'onelogin_connector_api_calls_total{connector="acme",path="/api/1/events",status="200"}'
        assert calls in metrics
        assert 'onelogin_connector_api_budget_remaining{connector="acme"}' in metrics
        await world.until(lambda: len(world.service.pulls["acme"].progress.hours()) >= 20)
        await world.settled()
        hours = []
        while (
            sum(hour["sweeps"] > 0 for hour in hours) < 20
        ):  # the store is told of the last ones a moment later
            await asyncio.sleep(0.1)
            hours = (await world.client.get("/api/v1/completeness?connector=acme")).json()["hours"]
        assert 20 <= len(hours) <= 26
        assert sum(hour["listed"] for hour in hours) >= found["events_total"]
        assert hours[0]["hour"].endswith(":00:00.000Z")
        target = (await world.client.post("/api/v1/connectors/acme/check", json={})).json()
        stages = {stage["stage"]: stage["state"] for stage in target["stages"]}
        assert stages["Account"] == "passed", target
        assert target["ok"]


async def test_a_second_connector_of_an_account_is_refused(tmp_path):
    """
    Two connectors with one account: one collects it, the other says who does, and reads nothing.
    """
    async with pulling(tmp_path, connectors=("acme", "copy")) as world:
        await world.until(lambda: any(world.connector(name)["last_poll"] for name in ("acme", "copy")))
        await world.until(
            lambda: any(world.connector(name)["state"] == "paused" for name in ("acme", "copy"))
        )
        paused = next(name for name in ("acme", "copy") if world.connector(name)["state"] == "paused")
        other = "copy" if paused == "acme" else "acme"
        assert f"already collected by connector {other}" in world.connector(paused)["error"]
        assert world.connector(paused)["events_total"] == 0
        target = (await world.client.post(f"/api/v1/connectors/{paused}/check", json={})).json()
        account = next(stage for stage in target["stages"] if stage["stage"] == "Account")
        assert account["state"] == "failed"
        assert f"already collected by connector {other}" in account["message"]


async def test_a_wrong_secret_pauses_and_shows_no_secret(tmp_path):
    """
    With a credential that is not accepted the status says what to do, and holds nothing of it.
    """
    async with pulling(tmp_path, secret="0123456789abcdef-wrong-secret") as world:
        await world.until(lambda: world.connector()["state"] == "paused")
        found = world.connector()
        assert found["error"]
        assert found["last_poll"] is None
        assert "wrong-secret" not in json.dumps(world.service.status())


async def test_a_refused_credential_is_one_banner(tmp_path):
    """
    Polls that stand still and the check that says why are one cause, and told of once.
    """
    async with pulling(tmp_path, secret="0123456789abcdef-wrong-secret") as world:
        await world.until(lambda: world.connector()["state"] == "paused")
        checked = await world.client.post("/api/v1/connectors/acme/check", json={})
        assert not checked.json()["ok"]
        await world.service.health.look()
        standing = [alarm.name for alarm in world.service.alarms()]
        assert standing in (["source acme"], ["check acme"])
        await world.service.health.look()
        assert [alarm.name for alarm in world.service.alarms()] == standing


async def test_a_backfill_is_followed_line_by_line(tmp_path):
    """
    The answer tells hours, events and calls of each step, then the result; a second time nothing is new.
    """
    async with pulling(tmp_path, start=False) as world:
        assert world.connector()["state"] == "stopped"
        now = int(world.service.clock() * 1_000_000)
        since, until = now - 30 * HOUR_US, now - 20 * HOUR_US
        body = {"since": text_of(since), "until": text_of(until)}
        results = []
        for _ in range(2):
            answer = await world.client.post("/api/v1/connectors/acme/backfill", json=body)
            lines = [json.loads(line) for line in answer.text.splitlines()]
            assert all("hours_done" in line for line in lines[:-1])
            results.append(lines[-1]["result"])
        assert results[0]["hours_done"] == results[0]["hours"] == pytest.approx(10)
        assert results[0]["new"] > 100
        assert results[1]["new"] == 0
        assert results[1]["events"] == results[0]["events"]
        await world.settled()
        rows = await world.service.query("OneLogin | count", limit=None, timeout_seconds=PATIENCE_SECONDS)
        assert rows.rows[0][0] == results[0]["new"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("connectors/other/backfill", {"since": "2026-11-01T00:00:00Z"}, 422),
        ("connectors/acme/backfill", {}, 422),
        ("connectors/acme/backfill", {"since": "2026-11-01T00:00:00"}, 422),
        ("connectors/acme/backfill", {"since": "yesterday"}, 422),
    ],
)
async def test_a_backfill_that_makes_no_sense_is_refused(tmp_path, path, body, status):
    """
    An unknown connector, no beginning, or one without a time zone are problems, and nothing is asked.
    """
    async with pulling(tmp_path, start=False) as world:
        answer = await world.client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["action"]
        assert not world.service.pulls["acme"].client.calls


def text_of(time_us: int) -> str:
    """
    Return a moment as the API reads it.
    """
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat()
