"""
The completeness page: figures as the store has them, gaps that say so in words, and the button that fills them.
"""

import asyncio
import re
from contextlib import AsyncExitStack, asynccontextmanager
from html import unescape

import httpx2
import pytest

from onelogin_connector.config import load
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.marks import SweptHour
from onelogin_connector.moments import text_of
from onelogin_connector.service import build
from onelogin_connector.service.accident import lose_oldest
from onelogin_connector.service.fills import MOST_HOURS, Fills, FillState
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.serving import bind, serving
from onelogin_connector.sources.polling.backfill import Backfilled
from onelogin_connector.sources.polling.tail import first_marks
from onelogin_connector.store import Swept
from onelogin_connector.web.access import Role
from onelogin_connector.web.app import access_of, main_app
from passwords import QUICK
from patience import until

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000
NOW = 1_790_000_000.0
"""In the days before, nothing happens close to the ends of the hours looked at: what does is listed with both hours."""


class World:
    """A service that does not poll by itself, and its pages."""

    def __init__(self, service):
        self.service = service
        self.access = access_of(service)
        self.app = main_app(service, self.access)
        self.hour = int(service.clock()) // 3_600

    def browser(self, role):
        token = self.access.new_token(f"token of a {role}", role, by="test")
        transport = httpx2.ASGITransport(self.app, client=("203.0.113.5", 1), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {token}", "accept": "text/html"}
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)

    def sweep(self, hour, listed, *, settled=True, sweeps=2, in_hour=None, connector="acme"):
        at = (hour + 2 if in_hour is None else in_hour) * 3_600.0
        self.service.store.set_hours([Swept(connector, hour, sweeps, settled, listed, at, True)])

    async def drained(self):
        store, journal = self.service.deliveries["store"], self.service.journal
        await until(lambda: store.checkpoint.offset == journal.last_offset)

    async def filled(self, connector="acme"):
        await until(lambda: not any(fill.is_open for fill in self.service.fills.of(connector).values()))
        return self.service.fills.of(connector)


@asynccontextmanager
async def opened(tmp_path):
    """
    Build a service with a connector that has an API credential, and one that has none.
    """
    async with AsyncExitStack() as stack:
        account = Account(Company(3), calls_per_hour=100_000, clock=lambda: NOW)
        url = await stack.enter_async_context(serving(Api(account), bind()))
        path = tmp_path / "settings.toml"
        path.write_text(
            f'[connectors.acme]\nname = "ACME <b>"\napi_url = "{url}"\nclient_id = "{CLIENT_ID}"\n'
            'client_secret = { env = "SECRET" }\napi_budget_share = 1.0\n[connectors.pushed]\n'
        )
        settings = load(path, {"SECRET": CLIENT_SECRET}, data_dir=tmp_path / "data", folder=tmp_path)
        service = build(settings, clock=lambda: NOW, hasher=QUICK)
        stack.push_async_callback(service.stop)
        await service.start(only_store=True)
        yield World(service)


async def test_a_gap_is_named_and_filled(tmp_path):
    """
    An hour that misses listed events is a gap in page and twin; one click reads it again, and then it is complete.
    """
    async with opened(tmp_path) as world, world.browser(Role.OPERATOR) as browser:
        gap = text_of((world.hour - 5) * 3_600)
        world.sweep(world.hour - 5, 3)
        world.sweep(world.hour - 6, 0)
        world.sweep(world.hour - 7, 0, settled=False)
        page = (await browser.get("/completeness")).text
        assert 'hx-trigger="every 60s"' in page
        assert "1 hour misses events" in page
        assert "Gap" in page
        assert "ACME &lt;b&gt;" in page
        assert "ACME <b>" not in page
        legend = set(re.findall(r'<span class="cell \w+">(.)</span>', page))
        assert set(re.findall(r'<a class="cell [^>]*>(.)<', page)) <= legend
        twin = (await browser.get("/api/v1/completeness/overview")).json()
        acme = next(each for each in twin["connectors"] if each["id"] == "acme")
        assert acme["gaps"] == [gap]
        hours = {each["hour"]: each for _, day in acme["days"] for each in day if each}
        assert len(hours) == 48
        assert hours[gap]["verdict"] == "listed events missing"
        assert hours[text_of((world.hour - 6) * 3_600)]["tone"] == "ok"
        assert hours[text_of((world.hour - 7) * 3_600)]["tone"] == "pending"
        form = re.search(r'<form method="post" action="/completeness/fill".*?</form>', page, re.DOTALL)[0]
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        answer = await browser.post("/completeness/fill", data={k: unescape(v) for k, v in fields.items()})
        assert answer.status_code == 303, answer.text
        done = (await world.filled())[world.hour - 5]
        assert done.state is FillState.DONE
        assert done.new == done.listed >= 3
        await world.drained()
        page = (await browser.get("/completeness")).text
        assert "hour misses" not in page
        assert f"{done.new} were missing" in page
        twin = (await browser.get("/api/v1/completeness/overview?connector=acme")).json()
        assert twin["connectors"][0]["gaps"] == []
        assert "hours_filled" in [deed.action for deed in world.service.state.deeds(limit=20)]


async def test_an_hour_is_late_only_when_a_second_listing_could_have_agreed(tmp_path):
    """
    What was reached for the first time after a day just now is pending; with a second listing, or without one for hours, late.
    """
    async with opened(tmp_path) as world, world.browser(Role.VIEWER) as browser:
        old = world.hour - 30
        world.sweep(old, 0, settled=False, sweeps=1, in_hour=world.hour)
        world.sweep(old + 1, 0, settled=False, sweeps=2, in_hour=world.hour)
        world.sweep(old + 2, 0, settled=False, sweeps=1, in_hour=world.hour - 3)
        twin = (await browser.get("/api/v1/completeness/overview?connector=acme")).json()["connectors"][0]
        tones = {each["hour"]: each["tone"] for _, day in twin["days"] for each in day if each}
        assert [tones[text_of((old + n) * 3_600)] for n in range(3)] == ["pending", "late", "late"]
        assert "2 hours are not settled more than a day after their end" in twin["answer"]


async def test_programs_fill_by_json(tmp_path):
    """
    The same act by an API token; a viewer may look and not fill; nonsense is refused in words.
    """
    async with opened(tmp_path) as world, world.browser(Role.OPERATOR) as operator:
        path, hour = "/api/v1/completeness/fill", text_of((world.hour - 3) * 3_600)
        answer = await operator.post(path, json={"connector": "acme", "hours": [hour]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"] == {"hours": 1}
        assert (await world.filled())[world.hour - 3].state is FillState.DONE
        for body, words in (
            ({"connector": "nobody", "hours": [hour]}, "no connector"),
            ({"connector": "pushed", "hours": [hour]}, "no API credential"),
            ({"connector": "acme", "hours": ["soon"]}, "No hour"),
            ({"connector": "acme", "hours": []}, "No hour"),
            ({"connector": "acme", "hours": [text_of((world.hour + 3) * 3_600)]}, "future"),
        ):
            answer = await operator.post(path, json=body)
            assert 400 <= answer.status_code < 500, answer.text
            assert words in answer.json()["detail"], answer.text
        async with world.browser(Role.VIEWER) as viewer:
            assert (await viewer.post(path, json={"connector": "acme", "hours": [hour]})).status_code == 403
            page = (await viewer.get("/completeness?span=7d")).text
            assert "/completeness/fill" not in page
            assert "Not checkable: webhooks alone" in page
            assert (await viewer.get("/completeness?span=9y")).status_code == 422
            assert (await viewer.get("/completeness?connector=nobody")).status_code in {400, 404, 422}


@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_the_demos_accident_is_a_gap_that_filling_ends(tmp_path, monkeypatch, is_cut_off):
    """
    The store loses its oldest settled hours in truth, the page says so, and filling brings each of their events back, once.

    A stop that comes right behind the loss leaves nothing that filling could not bring back.
    """
    async with opened(tmp_path) as world, world.browser(Role.OPERATOR) as browser:
        service, first = world.service, world.hour - 30
        since_us, until_us = first * HOUR_US, (first + 4) * HOUR_US
        await service.backfill("acme", since_us, until_us, lambda _: None, accept_duplicates=False)
        await world.drained()
        before = {each.hour: each.entries for each in await service.completeness("acme", since_us, until_us)}
        pull, marks = service.pulls["acme"], first_marks(since_us)
        for hour in range(first, first + 4):
            found = {
                "sweeps": 2,
                "settled": True,
                "listed": before.get(hour, 0),
                "digest": "",
                "at": service.clock(),
            }
            pull.progress.save(marks, SweptHour(hour=hour, due_us=None, **found))
        await pull.mirror_all()

        async def gaps():
            twin = (await browser.get("/api/v1/completeness/overview?connector=acme")).json()
            return twin["connectors"][0]["gaps"]

        assert await gaps() == []
        prune, lost = service.store.prune, []

        def pruning(now):
            lost.append(prune(now))
            if is_cut_off:
                raise asyncio.CancelledError
            return lost[0]

        monkeypatch.setattr(service.store, "prune", pruning)
        if is_cut_off:
            with pytest.raises(asyncio.CancelledError):
                await lose_oldest(service, "acme", hours=2)
            await pull.mirror_all()
        else:
            assert await lose_oldest(service, "acme", hours=2) == lost[0]
        assert lost == [before[first] + before[first + 1]]
        assert lost[0] > 0
        assert await gaps() == [text_of(first * 3_600), text_of((first + 1) * 3_600)]
        body = {"connector": "acme", "hours": await gaps()}
        assert (await browser.post("/api/v1/completeness/fill", json=body)).status_code == 200
        filled = await world.filled()
        assert [filled[hour].new for hour in (first, first + 1)] == [before[first], before[first + 1]]
        await world.drained()
        assert await gaps() == []
        after = {each.hour: each.entries for each in await service.completeness("acme", since_us, until_us)}
        assert after == before


def backfill_of(outcomes, seen):
    """Return a backfill that takes its outcomes from a list and notes what it was asked."""

    async def backfill(connector, since_us, until_us, report, *, accept_duplicates):
        seen.append((connector, since_us // 3_600_000_000, until_us - since_us))
        report(Backfilled(hours_done=0.5, hours=1, events=2, new=1, calls=1))
        await asyncio.sleep(0)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return backfill


DONE = Backfilled(hours_done=1, hours=1, events=4, new=2, calls=1)


async def test_hours_of_a_connector_follow_one_another():
    """
    A failure of one hour says why and leaves the next alone; asking twice for a waiting hour is asking once.
    """
    seen = []
    outcomes = [DONE, Unavailable("OneLogin is away.", action="Wait."), ValueError("a bug"), DONE]
    fills = Fills(backfill_of(outcomes, seen), clock=lambda: 3_600.0 * 100)
    assert fills.ask("acme", [10, 11, 12]) == 3
    assert fills.ask("acme", [12, 13]) == 1
    assert [fill.state for fill in fills.of("acme").values()] == [FillState.WAITING] * 4
    while any(fill.is_open for fill in fills.of("acme").values()):
        await asyncio.sleep(0)
    found = fills.of("acme")
    assert [found[hour].state for hour in (10, 11, 12, 13)] == [FillState.DONE, FillState.FAILED, FillState.FAILED, FillState.DONE]  # fmt: skip
    assert found[11].message == "OneLogin is away. Wait."
    assert "a bug" not in found[12].message
    assert (found[10].listed, found[10].new, found[10].share) == (4, 2, 1.0)
    assert seen == [("acme", hour, 3_600_000_000) for hour in (10, 11, 12, 13)]
    outcomes.append(DONE)
    await asyncio.sleep(0)
    assert fills.ask("acme", [11]) == 1
    while any(fill.is_open for fill in fills.of("acme").values()):
        await asyncio.sleep(0)
    assert fills.of("acme")[11].state is FillState.DONE
    assert fills.of("other") == {}


async def test_not_everything_can_wait_at_once_and_the_end_comes_at_once():
    """
    Too many hours are refused whole; closing ends what runs.
    """

    async def forever(*_args, **_options):
        await asyncio.Event().wait()

    fills = Fills(forever, clock=lambda: 3_600.0 * 10_000)
    with pytest.raises(ConfigError, match="More than"):
        fills.ask("acme", range(1, MOST_HOURS + 2))
    assert fills.of("acme") == {}
    assert fills.ask("acme", range(1, MOST_HOURS + 1)) == MOST_HOURS
    with pytest.raises(ConfigError, match="More than"):
        fills.ask("other", [1])
    await asyncio.sleep(0)
    closing = asyncio.create_task(fills.close())
    await until(closing.done, seconds=1)
    await closing
