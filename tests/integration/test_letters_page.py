"""
The pages of dead letters and sinks: what they show, what strangers put into letters, and what their buttons do.
"""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import httpx2
import pytest

from onelogin_connector.config import load
from onelogin_connector.errors import Busy, ConfigError
from onelogin_connector.event import Offset
from onelogin_connector.journal.base import NewDeadLetter
from onelogin_connector.service import build
from onelogin_connector.service.refills import Refills
from onelogin_connector.status import State
from onelogin_connector.web.access import COOKIE, Role
from onelogin_connector.web.app import access_of, main_app
from onelogin_connector.web.console.letters import hexadecimal
from passwords import QUICK

pytestmark = pytest.mark.anyio

HOSTILE = b"<script>stolen=1</script>\x00\xff\x1b[2J</pre></table><h1>owned</h1>\xe2\x80\xaegnp.exe {{7*7}}"
GOOD = b'{"uuid":"%d","event_type_id":5,"account_id":1,"event_timestamp":"2026-11-20 10:00:00 UTC"}'


class World:
    """A service that is not started, and its pages."""

    def __init__(self, service):
        self.service = service
        self.access = access_of(service)
        self.app = main_app(service, self.access)

    def browser(self, role=Role.OPERATOR):
        token = self.access.new_token(f"token of a {role}", role, by="test")
        transport = httpx2.ASGITransport(self.app, client=("203.0.113.5", 1), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {token}", "accept": "text/html"}
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)

    async def bury(self, body, *, kind="record", reason="It is not JSON.", sink="", connector="default"):
        letter = NewDeadLetter(connector=connector, kind=kind, reason=reason, body=body, sink=sink)
        await self.service.journal.bury(letter)

    def held(self):
        return [letter.id for letter in self.service.letters.page(after=0, limit=10_000)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Build a service without starting it."""
    service = build(load(None, {}, data_dir=tmp_path / "data", folder=tmp_path), hasher=QUICK)
    yield World(service)
    await service.stop()


def forms(page, action):
    """Return the fields of the forms that go to an address."""
    found = re.findall(rf'<form method="post" action="{action}".*?</form>', page, re.DOTALL)
    return [[(name, unescape(value)) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', each)] for each in found]  # fmt: skip


async def post(browser, path, fields):
    """Send a form whose fields may come several times."""
    body = str(httpx2.QueryParams(fields))
    return await browser.post(path, content=body, headers={"content-type": "application/x-www-form-urlencoded"})  # fmt: skip


async def test_hostile_letters_stay_text(world):
    """
    Bytes that are markup, control characters or no text at all are shown harmlessly, and come back whole by download.
    """
    await world.bury(HOSTILE, reason="<img src=x onerror=stolen=1> \u202e")
    async with world.browser() as browser:
        pages = [(await browser.get(path)).text for path in ("/dead-letters", "/dead-letters/1")]
        raw = await browser.get("/dead-letters/1/raw")
        sure = await post(browser, "/dead-letters/discard", [("ids", "1")])
    for page in [*pages, sure.text]:
        body = re.sub(r"(?s)<head>.*?</head>", "", page)
        assert "<script" not in body
        assert "<h1>owned" not in body
        assert "<img src=x" not in body
        assert not re.search("[\x00\x1b\u202e]", body)
    assert "&lt;script&gt;" in pages[1]
    assert "3c 73 63 72 69 70 74" in pages[1]
    assert raw.content == HOSTILE
    assert raw.headers["content-disposition"].startswith("attachment")
    assert raw.headers["content-type"] == "application/octet-stream"


async def test_list_is_paged_and_filtered(world):
    """
    Each letter stands on exactly one page; a reason leads to its letters alone.
    """
    for number in range(120):
        await world.bury(
            b"%d" % number, reason=f"Reason {number % 2}", kind=("record", "request")[number % 2]
        )
    async with world.browser(Role.VIEWER) as browser:
        seen, address = [], "/dead-letters"
        while address:
            page = (await browser.get(address)).text
            assert "120 kept" in page
            assert 'action="/dead-letters/discard"' not in page
            assert "formaction" not in page
            seen += [int(id) for id in re.findall(r'href="/dead-letters/(\d+)"', page)]
            found = re.search(r'rel="next" href="([^"]+)"', page)
            address = unescape(found[1]) if found else ""
        assert seen == world.held()
        group = re.search(r'href="(/dead-letters\?[^"]*reason=Reason\+1[^"]*)"', (await browser.get("/dead-letters")).text)[1]  # fmt: skip
        chosen = (await browser.get(unescape(group))).text
        assert chosen.count("Reason 1") >= 50
        assert ">Reason 0<" not in chosen
        assert (await browser.get("/dead-letters?sink=nobody")).status_code == 200
        assert (await browser.get("/dead-letters?after=x")).status_code == 422
        assert (await browser.get("/dead-letters/999")).status_code == 404
        assert (await browser.get("/dead-letters/x/raw")).status_code == 404


async def test_discarding_asks_first_and_counts(world):
    """
    Nothing goes before it was confirmed; then exactly what was ticked, or all that fits.
    """
    for number in range(6):
        await world.bury(b"%d" % number, reason=f"Reason {number % 2}")
    async with world.browser() as browser:
        asked = await post(browser, "/dead-letters/discard", [("ids", "1"), ("ids", "3")])
        assert asked.status_code == 200
        assert "Discard 2 dead letters?" in asked.text
        assert len(world.held()) == 6
        (fields,) = forms(asked.text, "/dead-letters/discard")
        done = await post(browser, "/dead-letters/discard", fields)
        assert (done.status_code, done.headers["location"]) == (303, "/dead-letters")
        assert world.held() == [2, 4, 5, 6]
        asked = await post(browser, "/dead-letters/discard", [("all", "true"), ("reason", "Reason 1")])
        assert "Discard 3 dead letters?" in asked.text
        (fields,) = forms(asked.text, "/dead-letters/discard")
        await post(browser, "/dead-letters/discard", fields)
        assert world.held() == [5]
        nothing = await post(browser, "/dead-letters/discard", [("confirmed", "true")])
        assert nothing.status_code == 303
        assert world.held() == [5]
        async with world.browser(Role.VIEWER) as viewer:
            refused = await post(viewer, "/dead-letters/discard", [("ids", "5"), ("confirmed", "true")])
            assert refused.status_code == 403
        assert world.held() == [5]


async def test_replay_takes_in_what_can_be_read_now(world):
    """
    A letter whose records can be read becomes an event and is gone; one that cannot stays, and the page says why.
    """
    await world.bury(GOOD % 1)
    await world.bury(GOOD % 2)
    await world.bury(b"no json")
    async with world.browser() as browser:
        done = await post(browser, "/dead-letters/replay", [("ids", "1")])
        assert done.status_code == 303
        assert world.held() == [2, 3]
        asked = await post(browser, "/dead-letters/replay", [("all", "true")])
        assert "Replay 2 dead letters?" in asked.text
        (fields,) = forms(asked.text, "/dead-letters/replay")
        await post(browser, "/dead-letters/replay", fields)
        assert world.held() == [3]
    assert world.service.journal.counts()["default"].events == 2


async def test_forms_of_browsers_need_their_token(world):
    """
    A session without the page's form token changes nothing.
    """
    await world.bury(b"x")
    cookie = await world.access.redeem(world.access.link_token(), "127.0.0.1")
    transport = httpx2.ASGITransport(world.app, client=("127.0.0.1", 1), raise_app_exceptions=False)
    headers = {"accept": "text/html", "origin": "http://localhost:8080", "cookie": f"{COOKIE}={cookie}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://localhost:8080", headers=headers
    ) as browser:
        fields = [("ids", "1"), ("confirmed", "true")]
        for path in (
            "/dead-letters/discard",
            "/dead-letters/replay",
            "/sinks/store/pause",
            "/sinks/store/waive",
        ):
            assert (await post(browser, path, fields)).status_code == 403, path
        assert world.held() == [1]
        page = (await browser.get("/dead-letters/1")).text
        token = re.search(r'name="form" value="(\w+)"', page)[1]
        assert (await post(browser, "/dead-letters/discard", [*fields, ("form", token)])).status_code == 303
        assert world.held() == []


def test_bytes_are_written_as_lines():
    """
    Every byte stands once in hexadecimal, with its place and its character.
    """
    text = hexadecimal(bytes(range(40)))
    assert text.splitlines()[0].startswith("00000000  00 01 02")
    assert text.splitlines()[2] == f"{32:08x}  {'20 21 22 23 24 25 26 27':<47}  " + " !\"#$%&'"
    assert hexadecimal(b"") == ""


async def test_sinks_are_shown_paused_and_resumed(world):
    """
    A sink's page says how it stands, its settings without secrets, and its buttons act; so do their JSON twins.
    """
    async with world.browser() as browser:
        twin = (await browser.get("/api/v1/sinks")).json()
        assert [each["row"]["name"] for each in twin["sinks"]] == ["store"]
        assert {each["name"] for each in twin["sinks"][0]["settings"]} >= {"retention_days", "backlog_limit"}
        assert (await browser.get("/api/v1/sinks/store")).json()["row"]["name"] == "store"
        page = (await browser.get("/sinks")).text
        assert "/sinks/store/pause" in page
        assert (await post(browser, "/sinks/store/pause", [])).status_code == 303
        assert world.service.deliveries["store"].status.state is State.PAUSED
        page = (await browser.get("/sinks/store")).text
        assert "Paused" in page
        assert "/sinks/store/resume" in page
        answer = await browser.post("/api/v1/sinks/store/resume", json={})
        assert answer.status_code == 200
        assert world.service.deliveries["store"].status.state is not State.PAUSED
        assert (await browser.post("/api/v1/sinks/store/check", json={})).json()["result"][
            "target"
        ] == "store"
        assert "store</a>" in (await browser.get("/sinks")).text
        for path in ("/sinks/nobody", "/api/v1/sinks/nobody"):
            assert (await browser.get(path)).status_code == 404
        assert (await browser.post("/api/v1/sinks/nobody/pause", json={})).status_code == 404
        async with world.browser(Role.VIEWER) as viewer:
            assert (await viewer.post("/api/v1/sinks/store/pause", json={})).status_code == 403
            assert "/sinks/store/pause" not in (await viewer.get("/sinks")).text


async def test_what_is_owed_is_given_up_only_when_confirmed(world):
    """
    Waiving needs a confirmation; refilling a sink that is owed nothing says so.
    """
    delivery = world.service.deliveries["store"]
    async with world.browser() as browser:
        answer = await browser.post("/api/v1/sinks/store/refill", json={})
        assert 400 <= answer.status_code < 500
        assert "owed nothing" in answer.json()["detail"]
        await delivery._progress.owe(Offset(7))
        page = (await browser.get("/sinks/store")).text
        assert "7 records were passed over" in page
        answer = await browser.post("/api/v1/sinks/store/waive", json={})
        assert 400 <= answer.status_code < 500
        assert delivery.checkpoint.owed
        answer = await browser.post("/api/v1/sinks/store/waive", json={"confirmed": True})
        assert answer.json()["result"] == {"waived": 7}
        assert not delivery.checkpoint.owed


async def test_a_refill_tells_how_it_ended(world):
    """
    One refill at a time; its failure is kept as a sentence.
    """
    delivery = world.service.deliveries["store"]
    await delivery._progress.owe(Offset(3))
    refills = Refills(world.service.deliveries, clock=lambda: 5.0)
    with pytest.raises(ConfigError):
        refills.begin("nobody")
    refills.begin("store")
    with pytest.raises(Busy):
        refills.begin("store")
    assert refills.of("store").running
    while refills.of("store").running:
        import asyncio

        await asyncio.sleep(0)
    assert "cannot be refilled" in refills.of("store").error
    await refills.close()
