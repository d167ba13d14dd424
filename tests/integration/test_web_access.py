"""
Who gets in, and what everybody else gets: the whole HTTP surface before a real service.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from onelogin_connector.config import load
from onelogin_connector.service import Service, build
from onelogin_connector.sources.problems import KINDS
from onelogin_connector.web.access import LINK_SECONDS, Access, Role
from onelogin_connector.web.app import access_of, control_app, main_app, webhook_app
from onelogin_connector.web.endpoints import ENDPOINTS

pytestmark = pytest.mark.anyio

ABROAD = ("203.0.113.5", 4711)
HERE = ("127.0.0.1", 4711)
PASSWORD = "a long enough password"


class Clock:
    """
    Unix seconds that pass when a test says so.
    """

    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """
    A service with its sign-in.
    """

    def __init__(self, service: Service, access: Access, clock: Clock) -> None:
        self.service = service
        self.access = access
        self.clock = clock
        self.main = main_app(service, access)

    def client(self, peer=ABROAD, app=None, **headers: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app or self.main, client=peer, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)

    def with_token(self, role: Role) -> httpx2.AsyncClient:
        token = self.access.new_token(f"token of a {role}", role, by="test")
        return self.client(authorization=f"Bearer {token}")

    @asynccontextmanager
    async def signed_in(self) -> AsyncIterator[httpx2.AsyncClient]:
        async with self.client(accept="text/html") as browser:
            answer = await sign_in(browser, PASSWORD)
            assert answer.status_code == 303, answer.text
            yield browser


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """
    Build a service without starting it: nothing here waits for a delivery.
    """
    clock = Clock()
    environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
    service = build(load(None, environ, data_dir=tmp_path / "data", folder=tmp_path), clock=clock)
    yield World(service, access_of(service), clock)
    await service.stop()


async def sign_in(browser: httpx2.AsyncClient, password: str, user: str = "admin") -> httpx2.Response:
    """
    Fill the form as a browser would.
    """
    page = await browser.get("/login")
    form = re.search(r'name="form" value="(\w+)"', page.text)[1]
    return await browser.post("/login", data={"form": form, "user": user, "password": password})


def assert_problem(answer: httpx2.Response, status: int) -> None:
    """
    Check the one shape that every refusal has.
    """
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["type"].removeprefix("/problems/") in KINDS
    assert found["status"] == status
    assert all(found[name] for name in ("title", "detail", "action"))


def filled(path: str) -> str:
    """
    Put values in the place of a path's names.
    """
    return path.replace("{id}", "default" if "connectors" in path else "1")


async def test_nothing_answers_without_a_caller(world):
    """
    Every endpoint, every method, known path or not, is a 401; a browser is led to the sign-in.
    """
    async with world.client() as stranger:
        for endpoint in ENDPOINTS:
            assert_problem(await stranger.request(endpoint.method, filled(endpoint.path)), 401)
        for path in ("/", "/metrics", "/api/v1/nothing", "/nothing", "/logout", "/healthz/", "/%2e%2e/api"):
            assert_problem(await stranger.get(path), 401)
        answer = await stranger.get("/", headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")


async def test_a_form_whose_session_has_ended_leads_to_the_sign_in(world):
    """
    A page says that nothing was changed, and offers the sign-in; a program still reads what it has to send.
    """
    async with world.client(accept="text/html") as browser:
        answer = await browser.post("/connectors", data={"name": "Lost"})
    assert answer.status_code == 401
    assert "You are no longer signed in, and nothing was changed." in answer.text
    assert 'href="/login"' in answer.text
    async with world.client(accept="application/json") as program:
        answer = await program.post("/connectors", data={"name": "Lost"})
    assert_problem(answer, 401)
    assert "session or an API token" in answer.text


async def test_every_answer_has_the_security_headers(world):
    """
    Pages, problems and data alike: no framing, no sniffing, no script from elsewhere, no caching.
    """
    async with world.with_token(Role.ADMIN) as admin, world.client() as stranger:
        answers = [await stranger.get(path) for path in ("/login", "/readyz", "/nothing", "/api/v1/status")]
        answers += [await admin.get(path) for path in ("/", "/nothing", "/api/v1/status", "/metrics")]
    for answer in answers:
        assert "default-src 'none'" in answer.headers["content-security-policy"], answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("site", "severed"),
    [("cross-site", True), ("same-site", True), (None, True), ("none", False), ("same-origin", False)],
)
async def test_who_comes_by_way_of_another_site_comes_without_its_window(world, site, severed):
    """
    What opened the window can no longer reach it; who typed the address does not wait for a window of another kind.
    """
    async with world.client(accept="text/html") as browser:
        answer = await browser.get("/login", headers={"sec-fetch-site": site} if site else {})
    assert answer.headers.get("cross-origin-opener-policy") == ("same-origin" if severed else None)


@pytest.mark.parametrize("role", list(Role))
async def test_each_endpoint_needs_its_role(world, role):
    """
    A token may do what its role and those below may, and nothing above.
    """
    async with world.with_token(role) as client:
        for endpoint in ENDPOINTS:
            if endpoint.path == "/api/v1/backup":
                continue
            answer = await client.request(endpoint.method, filled(endpoint.path))
            if role.includes(endpoint.role):
                assert answer.status_code != 403, endpoint.path
                assert answer.status_code < 500, (endpoint.path, answer.text)
            else:
                assert_problem(answer, 403)


async def test_every_refusal_has_one_shape(world):
    """
    Wrong paths, methods, bodies and values are explained in the same form.
    """
    async with world.with_token(Role.ADMIN) as admin:
        assert_problem(await admin.get("/api/v1/nothing"), 404)
        assert_problem(await admin.get("/api/v1/query"), 405)
        assert_problem(await admin.get("/api/v1/dead-letters/7"), 404)
        assert_problem(await admin.get("/api/v1/dead-letters?limit=x"), 422)
        assert_problem(await admin.get("/api/v1/dead-letters?after=99999999999999999999"), 422)
        assert_problem(await admin.post("/api/v1/query", content=b"{"), 422)
        assert_problem(await admin.post("/api/v1/query", content=b"\xff"), 422)
        assert_problem(await admin.post("/api/v1/query", content=b"[" * 50_000), 422)
        assert_problem(await admin.post("/api/v1/query", json={"kql": 7}), 422)
        assert_problem(await admin.post("/api/v1/query", json={"kql": "x", "limits": 7}), 422)
        assert_problem(await admin.post("/api/v1/query", json={"kql": "OneLogin | nonsense"}), 400)
        assert_problem(await admin.post("/api/v1/query", content=b" " * 1_100_000), 413)
        assert_problem(await admin.post("/api/v1/dead-letters/replay", json={}), 422)
        assert_problem(await admin.post("/api/v1/dead-letters/replay", json={"ids": [1], "all": True}), 422)
        assert_problem(await admin.post("/api/v1/check", json={"names": ["nobody"]}), 422)
        assert_problem(await admin.post("/api/v1/import?connector=nobody", content=b"[]"), 422)
        assert_problem(await admin.post("/api/v1/password", json={"password": "short"}), 422)
        assert_problem(await admin.delete("/api/v1/tokens/4711"), 404)
        assert_problem(await admin.post("/api/v1/tokens", json={"name": "x\x1b"}), 422)
        assert_problem(await admin.post("/api/v1/tokens", json={"name": "x", "role": "god"}), 422)
        assert_problem(await admin.post("/webhook/nobody"), 404)
        assert_problem(await admin.post("/webhook/default", content=b"[]"), 401)


async def test_an_unforeseen_error_is_told_without_its_text(world, caplog, monkeypatch):
    """
    A bug is a 500 in the same shape; its text stays in the log.
    """
    monkeypatch.setattr(world.service, "status", lambda: 1 / 0)
    async with world.with_token(Role.ADMIN) as admin:
        answer = await admin.get("/api/v1/status")
    assert_problem(answer, 500)
    assert "zero" not in answer.text
    assert "ZeroDivisionError" in caplog.text


async def test_signing_in_and_out(world):
    """
    The password opens a session whose cookie scripts and other sites do not get; signing out ends it.
    """
    browser = world.client(accept="text/html")
    wrong = await sign_in(browser, "wrong")
    assert wrong.status_code == 401
    assert "User or password is wrong" in wrong.text
    done = await sign_in(browser, PASSWORD)
    cookie = next(value for value in done.headers.get_list("set-cookie") if "session" in value)
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict"))
    assert (await browser.get("/")).headers["location"] == "/status"
    page = await browser.get("/status")
    assert "Sign out" in page.text
    form = re.search(r'name="form" value="(\w+)"', page.text)[1]
    origin = {"origin": "http://localhost:8080"}
    assert (await browser.post("/logout", data={"form": "forged"}, headers=origin)).status_code == 403
    kept = dict(browser.cookies)
    assert (await browser.post("/logout", data={"form": form}, headers=origin)).status_code == 303
    async with world.client(accept="application/json") as thief:
        thief.cookies.update(kept)
        assert_problem(await thief.get("/api/v1/status"), 401)
    await browser.aclose()


async def test_a_session_ends_with_its_time_and_with_a_new_password(world):
    """
    Nobody stays signed in for ever, and a changed password throws out whoever had the old one.
    """
    async with world.signed_in() as first, world.signed_in() as second:
        assert (await first.get("/api/v1/status")).status_code == 200
        await world.access.set_password("admin", "another long password")
        assert (await first.get("/api/v1/status", headers={"accept": "*/*"})).status_code == 401
        assert (await sign_in(second, PASSWORD)).status_code == 401
        assert (await sign_in(second, "another long password")).status_code == 303
        world.clock.now += 12 * 3_600 + 1
        assert (await second.get("/api/v1/status", headers={"accept": "*/*"})).status_code == 401


async def test_a_form_of_another_site_is_refused(world):
    """
    Without the cookie that came with the form, or with a forged token, no sign-in is even tried.
    """
    async with world.client() as victim:
        answer = await victim.post("/login", data={"user": "admin", "password": PASSWORD, "form": "x"})
        assert answer.status_code == 403
        page = await victim.get("/login")
        form = re.search(r'name="form" value="(\w+)"', page.text)[1]
        victim.cookies.clear()
        answer = await victim.post("/login", data={"user": "admin", "password": PASSWORD, "form": form})
        assert answer.status_code == 403
        assert not [value for value in answer.headers.get_list("set-cookie") if "session=" in value]


async def test_another_site_cannot_use_a_session(world):
    """
    What changes something needs to come from our own pages; reading by top-level navigation is harmless.
    """
    async with world.signed_in() as browser:
        for headers in (
            {"origin": "http://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site", "origin": "http://localhost:8080"},
            {"origin": "null"},
            {},
        ):
            assert_problem(await browser.post("/api/v1/check", headers={"accept": "*/*"} | headers), 403)
        own = {"origin": "http://localhost:8080", "sec-fetch-site": "same-origin"}
        assert (
            await browser.post("/api/v1/dead-letters/replay", json={"ids": [1]}, headers=own)
        ).status_code == 200


async def test_guessing_is_locked_out(world):
    """
    After five failures an address waits, even with the right password; others do not, and time frees it.
    """
    async with world.client() as attacker, world.client(peer=("203.0.113.99", 1)) as other:
        for _ in range(5):
            assert (await sign_in(attacker, "guess")).status_code == 401
        locked = await sign_in(attacker, PASSWORD)
        assert locked.status_code == 429
        assert int(locked.headers["retry-after"]) > 0
        assert (await sign_in(other, PASSWORD)).status_code == 303
        world.clock.now += 31
        assert (await sign_in(attacker, PASSWORD)).status_code == 303


async def test_a_link_signs_in_once_and_not_for_ever(world):
    """
    The link of the first lines works once, within its hour.
    """
    token = world.access.link_token()
    late = world.access.link_token()
    async with world.client() as browser:
        assert (await browser.get(f"/login/{token}")).status_code == 303
        browser.cookies.clear()
        assert (await browser.get(f"/login/{token}")).status_code == 401
        assert (await browser.get("/login/%ff%00")).status_code == 401
        world.clock.now += LINK_SECONDS + 1
        assert (await browser.get(f"/login/{late}")).status_code == 401


async def test_metrics_are_free_here_and_need_a_token_abroad(world):
    """
    This machine scrapes freely; another, also through a proxy on this machine, needs a token.
    """
    async with world.client(peer=HERE) as here, world.client() as abroad:
        assert "onelogin_connector_dead_letters 0" in (await here.get("/metrics")).text
        assert_problem(await here.get("/metrics", headers={"x-forwarded-for": "203.0.113.5"}), 401)
        assert_problem(await here.get("/metrics", headers={"host": "evil.example"}), 421)
        assert_problem(await abroad.get("/metrics"), 401)
        assert_problem(await abroad.get("/metrics", headers={"authorization": "Bearer wrong"}), 401)
    async with world.with_token(Role.VIEWER) as scraper:
        answer = await scraper.get("/metrics", headers={"host": "10.0.0.5:8080"})
        assert answer.status_code == 200


async def test_names_that_are_not_ours_get_nothing_but_probes(world):
    """
    Probes come by address; pages and API only under our names.
    """
    async with world.client(host="evil.example") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        for path in ("/", "/login", "/api/v1/status", "/static/console.css"):
            assert_problem(await client.get(path), 421)


async def test_a_revoked_token_is_worth_nothing(world):
    """
    Tokens are listed without their values, and end when revoked.
    """
    async with world.with_token(Role.ADMIN) as admin:
        made = await admin.post("/api/v1/tokens", json={"name": "siem", "role": "viewer"})
        token = made.json()["token"]
        listed = await admin.get("/api/v1/tokens")
        id = next(one["id"] for one in listed.json() if one["name"] == "siem")
        assert token not in listed.text
        async with world.client(authorization=f"Bearer {token}") as siem:
            assert (await siem.get("/api/v1/status")).status_code == 200
            assert (await admin.delete(f"/api/v1/tokens/{id}")).status_code == 200
            assert_problem(await siem.get("/api/v1/status"), 401)


async def test_the_control_socket_trusts_who_can_open_it(world):
    """
    Its app needs no credential; the file's mode is what guards it.
    """
    async with world.client(app=control_app(world.service, world.access)) as local:
        assert (await local.get("/api/v1/tokens")).status_code == 200


async def test_the_webhook_app_has_nothing_behind_it(world):
    """
    On the port for the internet even a valid token opens no API.
    """
    token = world.access.new_token("x", Role.ADMIN, by="test")
    async with world.client(app=webhook_app(world.service), authorization=f"Bearer {token}") as client:
        assert_problem(await client.get("/api/v1/status"), 404)
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_readiness_says_why_not(world, monkeypatch):
    """
    When nothing can be taken in, the answer is 503 with the reason.
    """
    monkeypatch.setattr(world.service.journal, "writable", lambda: "The disk is full.")
    async with world.client() as probe:
        answer = await probe.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "reasons": ["The disk is full."]}


async def test_dead_letters_page_by_page(world):
    """
    Lists have a limit and a cursor, and every letter comes once.
    """
    token = world.service.new_webhook_token("default", revoke_old=False)
    async with world.client(authorization=f"Bearer {token}") as sender:
        for number in range(7):
            answer = await sender.post("/webhook/default", content=json.dumps([number]))
            assert answer.json()["dead"] == 1
    seen, after = [], 0
    async with world.with_token(Role.VIEWER) as viewer:
        while after is not None:
            page = (await viewer.get(f"/api/v1/dead-letters?limit=3&after={after}")).json()
            assert len(page["dead_letters"]) <= 3
            seen += [letter["id"] for letter in page["dead_letters"]]
            after = page["next"]
    assert len(seen) == len(set(seen)) == 7


NO_IDS = ("99999999999999999999999", "9223372036854775808", "9" * 5_000, "-1", "x", "²")

NO_PAGES = (
    *("limit=0", "limit=-1", "limit=1001", "limit=x", "limit=" + "9" * 5_000),
    *("after=-1", f"after={1 << 63}"),
)

NO_QUESTIONS = (
    *({"limit": 0}, {"limit": -1}, {"limit": 1 << 70}),
    *({"timeout_seconds": -1}, {"timeout_seconds": 0}, {"timeout_seconds": 601}),
)


async def test_numbers_outside_of_their_range_are_refused(world):
    """
    No number is an error of ours, or replaced in silence; the refusal says which are taken.
    """
    async with world.with_token(Role.ADMIN) as client:
        for number in NO_IDS:
            assert_problem(await client.get(f"/api/v1/dead-letters/{number}"), 404)
            assert_problem(await client.delete(f"/api/v1/tokens/{number}"), 404)
        for words in NO_PAGES:
            answer = await client.get(f"/api/v1/dead-letters?{words}")
            assert_problem(answer, 422)
            assert " from " in answer.json()["detail"]
        assert (await client.get(f"/api/v1/dead-letters?limit=1000&after={(1 << 63) - 1}")).status_code == 200
        for more in NO_QUESTIONS:
            answer = await client.post("/api/v1/query", json={"kql": "OneLogin | take 1"} | more)
            assert_problem(answer, 422)
            assert next(iter(more)) in answer.json()["detail"]
        for action in ("replay", "discard"):
            for id in (-1, 1 << 63, 1 << 200):
                assert_problem(await client.post(f"/api/v1/dead-letters/{action}", json={"ids": [id]}), 422)
            last = await client.post(f"/api/v1/dead-letters/{action}", json={"ids": [(1 << 63) - 1]})
            assert last.status_code == 200


@pytest.mark.parametrize("path", ["/login", "/api/v1/query", "/api/v1/import?connector=default"])
async def test_a_client_that_leaves_within_its_body_is_no_error(world, path, caplog):
    """
    It is noted for whoever debugs, and nowhere else.
    """
    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        pass

    token = world.access.new_token("t", Role.ADMIN, by="test")
    headers = [
        (b"host", b"localhost"),
        (b"authorization", f"Bearer {token}".encode()),
        (b"content-length", b"9"),
        (b"content-type", b"application/json"),
    ]
    path, _, words = path.partition("?")
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": words.encode(),
        "headers": headers,
        "client": ABROAD,
        "scheme": "http",
        "server": ("localhost", 80),
        "root_path": "",
        "http_version": "1.1",
    }
    caplog.clear()
    await world.main(scope, receive, send)
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []
    assert not list(world.service.folder.path.glob("**/body"))
