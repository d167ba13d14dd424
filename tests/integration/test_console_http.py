"""
The console over HTTP, as programs and browsers without script see it: roles, forged forms, twins, files, OpenAPI.
"""

import csv
import io
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from threading import Event

import httpx2
import pytest
from starlette.routing import Route

from integration.test_web_access import PASSWORD, Clock, World, access_of, assert_problem
from onelogin_connector.config import load
from onelogin_connector.service import build, collecting
from onelogin_connector.store.figures import Counted
from onelogin_connector.web.access import Role
from onelogin_connector.web.app import ENTRIES
from onelogin_connector.web.console.assets import Assets
from onelogin_connector.web.console.base import FLASH_COOKIE
from onelogin_connector.web.console.routes import Act, Download, View, routes
from onelogin_connector.web.endpoints import ENDPOINTS
from passwords import QUICK
from patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

ORIGIN = {"origin": "http://localhost:8080"}
HOSTILE = '=cmd|"/c calc"!A1 <script>alert(1)</script>'

SETTINGS = f"""
[connectors.acme]
name = "ACME"
[connectors.other]
name = {HOSTILE!r}
description = "Nothing comes here"
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """
    Build a service of two connectors, one with a hostile name, without starting it.
    """
    clock = Clock()
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
    service = build(
        load(file, environ, data_dir=tmp_path / "data", folder=tmp_path), clock=clock, hasher=QUICK
    )
    yield World(service, access_of(service), clock)
    await service.stop()


def paths(method: str) -> list[tuple[str, Role]]:
    """
    Return every address of the console with its role, pages and twins.
    """
    found = []
    for entry in ENTRIES:
        if isinstance(entry, Act) and method == "POST":
            found.append((entry.path, entry.role))
            found += [(f"/api/v1{entry.path}", entry.role)] if entry.twin else []
        elif isinstance(entry, View) and method == "GET":
            found.append((entry.path, entry.role))
            found += [(f"/api/v1{entry.twin}", entry.role)] if entry.twin else []
        elif isinstance(entry, Download) and method == "GET":
            found.append((entry.path, entry.role))
    return [(re.sub(r"\{\w+(:\w+)?\}", "other", path), role) for path, role in found]


@pytest.mark.parametrize("role", list(Role))
async def test_each_page_and_act_needs_its_role(world, role):
    """
    Who may not do it is refused before anything is read or changed, on pages and API alike.
    """
    async with world.with_token(role) as client, world.client() as stranger:
        for method in ("GET", "POST"):
            for path, needed in paths(method):
                assert_problem(await stranger.request(method, path), 401)
                if not role.includes(needed):
                    assert_problem(await client.request(method, path), 403)


async def test_a_forged_form_changes_nothing(world):
    """
    A form without our token, or with another session's, is refused, whatever it asks for.
    """
    async with world.signed_in() as browser, world.signed_in() as other:
        token = re.search(r'name="form" value="(\w+)"', (await other.get("/status")).text)[1]
        for path, _ in paths("POST"):
            if path.startswith("/api/"):
                continue
            for data in ({}, {"form": ""}, {"form": "0" * 64}, {"form": token}):
                answer = await browser.post(path, data=data, headers=ORIGIN)
                assert answer.status_code == 403, (path, data)
        answer = await browser.post(
            "/status/connectors/acme/stop", data={}, headers={"origin": "http://evil.example"}
        )
        assert answer.status_code == 403
    assert not world.service.connectors.is_stopped("acme")
    assert {deed.action for deed in world.service.state.deeds()} <= {"signed_in"}


async def act(browser: httpx2.AsyncClient, path: str, **fields: str) -> httpx2.Response:
    """
    Press a button as a browser without script does.
    """
    token = re.search(r'name="form" value="(\w+)"', (await browser.get("/status")).text)[1]
    return await browser.post(path, data={"form": token} | fields, headers=ORIGIN)


async def test_an_act_redirects_says_so_once_and_is_noted(world):
    """
    Stopping leads back with a message, which the next page shows and the one after does not.
    """
    async with world.signed_in() as browser:
        done = await act(browser, "/status/connectors/acme/stop", back="/status?q=ACME")
        assert (done.status_code, done.headers["location"]) == (303, "/status?q=ACME")
        part = await browser.get("/status", headers={"hx-request": "true"})
        assert "acme is stopped" not in part.text  # a part that refreshes itself leaves it to the page
        page = await browser.get("/status?q=ACME")
        assert "acme is stopped" in page.text
        assert "acme is stopped" not in (await browser.get("/status")).text
    assert world.service.connectors.is_stopped("acme")
    (deed,) = [each for each in world.service.state.deeds() if each.action == "connector_stopped"]
    assert (deed.actor, deed.target) == ("admin", "acme")


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nx: y"]
)
async def test_a_form_leads_back_to_our_pages_alone(world, back):
    """
    Nobody is sent elsewhere by a planted address.
    """
    async with world.signed_in() as browser:
        done = await act(browser, "/status/connectors/acme/restart", back=back)
        assert (done.status_code, done.headers["location"]) == (303, "/status")


async def test_a_planted_message_is_not_shown(world):
    """
    A message that this server did not write stays unseen, and broken ones harm nothing.
    """
    async with world.signed_in() as browser:
        for value in ("W10=.0", "x", ".", "W10=", "a.b.c", "~" * 3_000):
            browser.cookies.set(FLASH_COOKIE, value)
            page = await browser.get("/status")
            assert page.status_code == 200
            assert 'class="flash' not in page.text
            browser.cookies.delete(FLASH_COOKIE)


async def test_deleting_needs_rest_and_confirmation(world):
    """
    An active connector cannot be deleted, nor one that the file defines, nor any without being asked.
    """
    async with world.with_token(Role.ADMIN) as admin:
        path = "/api/v1/status/connectors/acme/delete"
        assert "not confirmed" in (await admin.post(path)).json()["detail"]
        refused = await admin.post(path, json={"confirmed": True})
        assert refused.status_code >= 400
        assert "acme" in world.service.settings.connectors
        assert (await admin.post(path, json={"confirmed": True, "more": 1})).status_code == 422
        assert (await admin.post("/api/v1/status/connectors/nothing/stop")).status_code >= 400
        assert_problem(await admin.post("/api/v1/status/sinks/nothing/stop"), 404)


async def test_a_connector_at_rest_is_deleted_and_its_events_stay(tmp_path):
    """
    Stop, confirm, gone: from page, API and webhook. It is offered only then.
    """
    environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
    service = build(
        load(None, environ, data_dir=tmp_path / "data", folder=tmp_path), clock=Clock(), hasher=QUICK
    )
    world = World(service, access_of(service), Clock())
    try:
        async with world.signed_in() as browser:
            delete = "/status/connectors/default/delete"
            assert delete not in (await browser.get("/status")).text
            await act(browser, delete, confirmed="true")
            assert "Stop it first" in (await browser.get("/status")).text
            await act(browser, "/status/connectors/default/stop")
            assert delete in (await browser.get("/status")).text
            await act(browser, delete)
            assert "not confirmed" in (await browser.get("/status")).text
            await act(browser, delete, confirmed="true")
            page = (await browser.get("/status")).text
            assert "default is deleted" in page
            assert 'id="connector-default"' not in page
            assert (await browser.get("/api/v1/collection")).json()["connectors"] == []
        assert "connector_deleted" in {deed.action for deed in service.state.deeds()}
        assert (await world.client().post("/webhook/default", json=[])).status_code == 404
    finally:
        await service.stop()


async def test_sinks_are_paused_and_go_on(world):
    """
    By API as by page; the page says who did it.
    """
    async with world.with_token(Role.OPERATOR) as operator:
        answer = await operator.post("/api/v1/status/sinks/store/stop")
        assert answer.status_code == 200
        assert "waits in the journal" in answer.json()["message"]
        (sink,) = (await operator.get("/api/v1/collection")).json()["sinks"]
        assert sink["state"] == "Error"
        assert "Paused by token:" in sink["error"]
        await operator.post("/api/v1/status/sinks/store/start")
        (sink,) = (await operator.get("/api/v1/collection")).json()["sinks"]
        assert sink["state"] == "Pending"  # this service was never started


async def test_page_and_twin_say_the_same(world):
    """
    Both are made of one value; search and filter hold for both.
    """
    async with world.with_token(Role.VIEWER) as viewer:
        told = (await viewer.get("/api/v1/collection?q=acme")).json()
        assert [row["id"] for row in told["connectors"]] == ["acme"]
        assert told["sinks"] == []
        assert [source["kind"] for source in told["connectors"][0]["sources"]] == ["webhook"]
        assert len(told["connectors"][0]["slots"]) == 96
        assert len(told["connectors"][0]["beats"]) == 48
        page = await viewer.get("/status?q=acme")
        assert 'id="connector-acme"' in page.text
        assert 'id="connector-other"' not in page.text
        assert (await viewer.get("/status?state=pending")).text.count('class="whole"') == 3
        assert (await viewer.get("/status?state=active")).text.count('class="whole"') == 0
        assert_problem(await viewer.get("/api/v1/collection?state=well"), 422)
        assert (await viewer.get("/status", params={"q": "x" * 10_000})).status_code == 200


async def test_a_viewer_sees_no_buttons(world):
    """
    What somebody may not do is not offered.
    """
    async with world.with_token(Role.VIEWER) as viewer, world.with_token(Role.OPERATOR) as operator:
        assert "/stop" not in (await viewer.get("/status")).text
        assert "/stop" in (await operator.get("/status")).text


async def test_names_are_text_on_pages_and_in_exports(world):
    """
    Markup in a name is shown as it is, and a spreadsheet takes no name for a formula.
    """
    async with world.with_token(Role.VIEWER) as viewer:
        page = (await viewer.get("/status")).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
        export = await viewer.get("/status.csv")
        assert "attachment" in export.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(export.text)))
        assert [row["row"] for row in rows] == ["connector", "webhook", "connector", "webhook", "sink"]
        assert rows[2]["name"] == f"'{HOSTILE}"
        assert all(row["generated_at"].endswith("Z") for row in rows)
        assert (await viewer.get("/status.json")).json()["connectors"][1]["name"] == HOSTILE


async def test_events_are_counted_by_hour_and_day(world, monkeypatch):
    """
    What came an hour ago and a day ago is told apart, and by the way it came.
    """
    # a page does not wait long for a store that is busy, and shows no figures then
    monkeypatch.setattr(collecting, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    token = world.service.new_webhook_token("acme", revoke_old=False)
    now = world.clock.now
    ages = [60, 1_800, 5_000, 80_000, 200_000]
    records = [
        {"uuid": f"event-{age}", "event_timestamp": now - age, "event_type_id": 8, "account_id": 7}
        for age in ages
    ]
    await world.service.start()
    async with world.client(authorization=f"Bearer {token}") as sender:
        assert (await sender.post("/webhook/acme", json=records)).json()["new"] == len(ages)
    await world.service.settle(PATIENCE_SECONDS)
    world.service.collecting.look()
    async with world.with_token(Role.VIEWER) as viewer:
        row = (await viewer.get("/api/v1/collection")).json()["connectors"][0]
    assert (row["state"], row["events_hour"], row["events_day"], row["events_total"]) == ("Active", 2, 4, 5)
    (webhook,) = row["sources"]
    assert (webhook["state"], webhook["events_hour"], webhook["events_day"], webhook["first"]) == (
        "Active",
        2,
        4,
        5,
    )
    assert sum(row["slots"]) == 4
    assert sum(beat["events"] for beat in row["beats"]) == 4


async def test_files_may_be_kept_for_ever_and_nothing_else_is_served(world):
    """
    A name has its content's hash; other names, and paths out of the folder, are not there.
    """
    assets = Assets()
    async with world.client() as stranger:
        page = await stranger.get("/login")
        names = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
        assert assets.address("console.js") in names
        for name in names:
            plain = await stranger.get(name, headers={"accept-encoding": "identity"})
            packed = await stranger.get(name, headers={"accept-encoding": "br, gzip;q=0.5"})
            assert plain.status_code == packed.status_code == 200
            assert plain.content == packed.content
            assert "content-encoding" not in plain.headers
            assert packed.headers["content-encoding"] == "gzip"
            assert "immutable" in plain.headers["cache-control"]
            assert plain.headers["x-content-type-options"] == "nosniff"
        for wrong in (
            "console.js",
            "console.css",
            "..%2fapp.py",
            "%2e%2e%2fapp.py",
            "vendor/htmx-2.0.11/LICENSE",
            "",
        ):
            assert_problem(await stranger.get(f"/static/{wrong}"), 404)


@pytest.mark.parametrize(
    "path",
    ["/login", "/status", "/events", "/connectors/new", "/sinks/new?kind=http", "/access", "/no/such/page"],
)
async def test_the_policy_allows_the_styles_of_a_page_and_no_other(world, path):
    """
    Each sheet is named by its hash; a part that script asks for comes without any, and data may load nothing.
    """
    html = {"accept": "text/html"}
    async with world.with_token(Role.ADMIN) as admin:
        page = await admin.get(path, headers=html)
        part = await admin.get(path, headers=html | {"hx-request": "true"})
        data = await admin.get("/api/v1/status")
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    sheets = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert sheets
    for sheet in sheets:
        assert f"'sha256-{b64encode(sha256(sheet.encode()).digest()).decode()}'" in rules["style-src"].split()
    assert all(source.startswith("'sha256-") for source in rules["style-src"].split())
    assert rules["script-src"] == "'self'"
    assert rules["default-src"] == "'none'"
    assert "<style" not in part.text
    assert len(part.text) < len(page.text) - sum(map(len, sheets))
    assert "-src 'self'" not in data.headers["content-security-policy"]


async def test_openapi_describes_every_address(world):
    """
    Each route below /api/v1 stands in it with its role, and every reference leads somewhere.
    """
    async with world.with_token(Role.VIEWER) as viewer, world.client() as stranger:
        assert_problem(await stranger.get("/api/v1/openapi.json"), 401)
        told = (await viewer.get("/api/v1/openapi.json")).json()
    described = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    views = [entry for entry in ENTRIES if not isinstance(entry, Download)]
    served = {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    for route in routes(views):
        assert isinstance(route, Route)
        if route.path.startswith("/api/v1/"):
            served.add(("POST" if "POST" in route.methods else "GET", route.path))
    assert {(method, re.sub(r":\w+", "", path)) for method, path in served} <= described
    text = str(told)
    schemas = told["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/([\w.-]+)", text)) <= set(schemas)
    assert "ConnectorRow" in schemas
    ids = [one["operationId"] for methods in told["paths"].values() for one in methods.values()]
    assert len(ids) == len(set(ids))
    assert all(one["summary"] for methods in told["paths"].values() for one in methods.values())


async def test_pages_come_while_the_store_is_busy(world):
    """
    A store that answers nobody keeps no page from being shown: totals and states need none.
    """
    release = Event()
    figures = world.service.store.figures

    class Busy:
        def last_day(self, now: float) -> dict[str, Counted]:
            release.wait(60)
            return figures.last_day(now)

    world.service.store.figures = Busy()
    try:
        async with world.with_token(Role.VIEWER) as viewer:
            assert 'class="whole"' in (await viewer.get("/status")).text
    finally:
        release.set()
        await world.service.collecting._counting


async def test_an_error_page_keeps_the_refusals_headers(world):
    """
    A browser is told in words what a program is told in a problem, with the same status and headers.
    """
    async with world.signed_in() as browser:
        answer = await browser.post("/status", headers=ORIGIN | {"accept": "text/html"})
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]
        assert "text/html" in answer.headers["content-type"]
        assert '<p class="code">405</p>' in answer.text
