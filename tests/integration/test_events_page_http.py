"""
The events page over HTTP: its address, its twin, what strangers write, and who may see it.
"""

import re
import time
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from msgspec.json import encode

from onelogin_connector.config import load
from onelogin_connector.event import Channel, Entry, Kind, Way
from onelogin_connector.service import build
from onelogin_connector.web.access import Role
from onelogin_connector.web.app import access_of, main_app
from passwords import QUICK

pytestmark = pytest.mark.anyio

NOW = int(time.time())  # ``ago()`` in a query goes by the real clock
US = 1_000_000
PASSWORD = "a long enough password"


def made(offset, fields, *, seconds_ago=10.0):
    """Return a journal entry with some fields."""
    time_us = int((NOW - seconds_ago) * US)
    return Entry(
        offset=offset,
        kind=Kind.ENTRY,
        key=offset.to_bytes(16, "big"),
        of=b"",
        connector="default",
        account=1,
        channel=Channel.WEBHOOK,
        way=Way.WEBHOOK,
        native=f"n{offset}",
        also=None,
        time_us=time_us,
        received_us=time_us + US,
        flags=0,
        raw=encode({"uuid": f"n{offset}", "account_id": 1, **fields}),
    )


class World:
    """A service that is not started, its store, and browsers of a role."""

    def __init__(self, service):
        self.service = service
        self.access = access_of(service)
        self.app = main_app(service, self.access)

    def insert(self, *entries):
        self.service.store.insert(entries, self.service.journal.epoch)

    def browser(self, role=Role.VIEWER, **headers):
        token = self.access.new_token(f"token of a {role}", role, by="test")
        return self.stranger(authorization=f"Bearer {token}", accept="text/html", **headers)

    def stranger(self, **headers):
        transport = httpx2.ASGITransport(self.app, client=("203.0.113.5", 1), raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Build a service without starting it."""
    environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
    service = build(
        load(None, environ, data_dir=tmp_path / "data", folder=tmp_path), clock=lambda: NOW, hasher=QUICK
    )
    yield World(service)
    await service.stop()


PEOPLE = [
    {"event_type_id": 5, "user_name": "Anna Berg", "app_name": "Mail", "ipaddr": "10.0.0.1"},
    {"event_type_id": 6, "user_name": "Ben Ö", "app_name": "Mail", "ipaddr": "10.0.0.2", "notes": "Wrong password"},
    {"event_type_id": 6, "user_name": "Ben Ö", "app_name": "Wiki", "ipaddr": "10.0.0.1"},
]  # fmt: skip


async def test_page_and_twin_tell_the_same(world):
    """
    The list of the page is the list of the JSON, in the same order, for the same address.
    """
    world.insert(*(made(n, fields, seconds_ago=n) for n, fields in enumerate(PEOPLE, 1)))
    async with world.browser() as browser:
        for address in ("", "?user=Ben+%C3%96", "?type=USER_FAILED_ONELOGIN_LOGIN&app=Mail", "?text=wrong+PASS", "?ip=10.0.0.1&ip=10.0.0.2&range=7d"):  # fmt: skip
            page = await browser.get(f"/events{address}")
            twin = (await browser.get(f"/api/v1/events{address}")).json()
            assert page.status_code == 200, page.text
            ids = re.findall(r'<tr id="e-([^"]+)"', page.text)
            assert ids == [event["id"] for event in twin["found"]["events"]] != []
            assert twin["found"]["total"] == len(ids)
            rows = await browser.post("/api/v1/query", json={"kql": twin["found"]["kql"]})
            assert len(rows.json()["rows"]) == len(ids), twin["found"]["kql"]


async def test_every_link_of_the_page_leads_somewhere(world):
    """
    Each filter, bar, page and event that can be clicked answers with a page.
    """
    world.insert(*(made(n, PEOPLE[n % 3] | {"notes": f"<b>{n}"}, seconds_ago=n * 300) for n in range(1, 80)))
    async with world.browser() as browser:
        page = await browser.get("/events?user=Anna+Berg&user=Ben+%C3%96&text=b")
        links = {unescape(link) for link in re.findall(r'href="([^"]+)"', page.text)}
        links = {link for link in links if link.startswith(("/events", "/api"))}
        assert len(links) > 100
        for link in sorted(links):
            answer = await browser.get(link.partition("#")[0])
            assert answer.status_code == 200, (link, answer.text)


async def test_the_next_page_goes_on(world):
    """
    Older events follow by their link, each once.
    """
    world.insert(*(made(n, {}, seconds_ago=n // 10) for n in range(1, 121)))
    seen, address = [], "/events?limit=50"
    async with world.browser() as browser:
        while address:
            page = (await browser.get(address)).text
            seen += re.findall(r'<tr id="e-([^"]+)"', page)
            found = re.search(r'rel="next" href="([^"]+)"', page)
            address = unescape(found[1]) if found else ""
    assert len(seen) == len(set(seen)) == 120


HOSTILE = [
    "<script>window.stolen=1</script>", "<img src=x onerror=stolen=1>", "\"' onmouseover=stolen=1 x=\"", "</td></table><h1>owned</h1>",
    "{{ 7 * 7 }}", "{% raw %}", "javascript:stolen=1", "&lt;b&gt;", "\u202egnp.exe", "\u2067\u2066", "a\u200bb", "\x00\x1b[2J", "]]>", "<!--",
]  # fmt: skip


FIELDS = ("user_name", "app_name", "ipaddr", "notes", "actor_user_name", "strange")


async def test_text_of_strangers_stays_text(world):
    """
    Markup, template code and marks of direction stand on the page as text, in the list, the facets and the event.
    """
    world.insert(*(made(n, dict.fromkeys(FIELDS, text)) for n, text in enumerate(HOSTILE, 1)))
    async with world.browser() as browser:
        page = (await browser.get("/events?limit=100")).text
        ids = re.findall(r'<tr id="e-([^"]+)"', page)
        assert len(ids) == len(HOSTILE)
        pages = [page, *[(await browser.get(f"/events?event={id}")).text for id in ids]]
        pages.append((await browser.get(f"/events/arrived?after={world.service.journal.epoch}.0")).text)
        pages.append((await browser.get("/events/query")).text)
    for page in pages:
        body = re.sub(r"(?s)<head>.*?</head>", "", page)
        assert "<script" not in body
        assert "<img src=x" not in body
        assert "<h1>owned" not in body
        assert not re.search(r"<[^>]+\son\w+=", body)
        assert not re.search(r'href="(?!/|#)', body)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", body)
        assert "49" not in re.findall(r"<bdi>(\d+)</bdi>", body)
        assert "style=" not in body


async def test_filters_hold_hostile_values(world):
    """
    A click on a hostile value chooses exactly the events that have it.
    """
    world.insert(*(made(n, {"user_name": text}) for n, text in enumerate(HOSTILE, 1)))
    async with world.browser() as browser:
        for text in HOSTILE:
            answer = await browser.get("/api/v1/events?" + urlencode({"user": text}))
            assert [event["user"] for event in answer.json()["found"]["events"]] == [text]
            page = await browser.get("/events?" + urlencode({"user": text}))
            assert page.text.count('<tr id="e-') == 1


async def test_huge_fields_leave_the_page_small(world):
    """
    Events of 60 kB in each field are cut in list and detail, and whole in the download.
    """
    fields = dict.fromkeys(("user_name", "app_name", "ipaddr", "notes", "actor_user_name", "custom_message", "more_text"), "Ü" * 60_000)  # fmt: skip
    entries = [made(n, fields) for n in range(1, 31)]
    world.insert(*entries)
    async with world.browser() as browser:
        page = await browser.get("/events")
        assert page.text.count('<tr id="e-') == 30
        assert len(page.content) < 300_000
        id = re.search(r'<tr id="e-([^"]+)"', page.text)[1]
        chosen = await browser.get(f"/events?event={id}")
        assert len(chosen.content) < 500_000
        raw = await browser.get(f"/events/raw?event={id}")
        assert raw.content in [entry.raw for entry in entries]
        assert raw.headers["content-disposition"].startswith("attachment")
        assert raw.headers["content-type"] == "application/octet-stream"


async def test_wrong_addresses_say_what_is_wrong(world):
    """
    A value that cannot be meant is a 422 with a sentence, never a 500.
    """
    async with world.browser() as browser:
        for address in (
            "?since=yesterday", "?range=9y", "?limit=0", "?limit=x", f"?user={'x' * 1_001}", f"?text={'x' * 1_001}",
            "?" + "&".join(f"user={n}" for n in range(21)),
        ):  # fmt: skip
            for path in ("/events", "/events/arrived", "/api/v1/events"):
                answer = await browser.get(path + address)
                assert answer.status_code == 422, (address, answer.text)
        for address in ("?event=1.2", "?event=%00", f"?event={'9' * 15}.{'0' * 8}-0000-0000-0000-{'0' * 12}"):
            assert (await browser.get(f"/events{address}")).status_code == 404
        for address in (
            "?before=nonsense",
            "?since=2026-01-01T00:00:00Z&until=1999-01-01T00:00:00Z",
            "?user=%ff%fe",
            "?text=%25%5f",
        ):
            assert (await browser.get(f"/events{address}")).status_code == 200, address


async def test_new_events_come_as_rows(world):
    """
    The live tail gets what came since its cursor, as rows, and where to go on.
    """
    async with world.browser() as browser:
        page = (await browser.get("/events")).text
        cursor = re.search(r'data-cursor="([^"]+)"', page)[1]
        world.insert(made(1, PEOPLE[0]), made(2, PEOPLE[1]))
        rows = await browser.get(f"/events/arrived?after={cursor}")
        assert rows.text.count("<tr id=") == 2
        assert 'data-more="false"' in rows.text
        again = re.search(r'data-cursor="([^"]+)"', rows.text)[1]
        assert "<tr" not in (await browser.get(f"/events/arrived?after={again}")).text
        twin = (await browser.get(f"/api/v1/events/arrived?after={cursor}&user=Ben+%C3%96")).json()
        assert [event["user"] for event in twin["events"]] == ["Ben Ö"]


async def test_the_documented_query_runs_in_the_page(world):
    """
    One click from the events, ``OneLogin | sort by TimeGenerated desc`` is a table; mistakes are shown with their place.
    """
    world.insert(*(made(n, fields, seconds_ago=n) for n, fields in enumerate(PEOPLE, 1)))
    async with world.browser() as browser:
        assert 'href="/events/query"' in (await browser.get("/events")).text
        page = (await browser.get("/events/query")).text
        assert "OneLogin | sort by TimeGenerated desc" in page
        assert page.index("Anna Berg") < page.index("Wrong password") < page.index("Wiki")
        wrong = await browser.get("/events/query?" + urlencode({"kql": "OneLogin | wher <b>"}))
        assert wrong.status_code == 200
        assert "Line 1" in wrong.text
        assert "wher &lt;b&gt;" in wrong.text
        assert (await browser.get("/events/query?kql=" + "x" * 10_001)).status_code == 422


async def test_nobody_sees_events_without_signing_in(world):
    """
    Page, rows, record, query and twins are for callers only.
    """
    async with world.stranger(accept="application/json") as stranger:
        for path in ("/events", "/events/arrived", "/events/raw", "/events/query", "/api/v1/events", "/api/v1/events/arrived"):  # fmt: skip
            assert (await stranger.get(path)).status_code == 401, path


async def test_an_empty_store_says_what_to_do(world):
    """
    Nothing held is no error.
    """
    async with world.browser() as browser:
        page = await browser.get("/events")
        assert "No event has arrived yet" in page.text
        world.insert(made(1, {}, seconds_ago=90_000))
        page = await browser.get("/events")
        assert "No event fits" in page.text
        assert "range=all" in page.text
