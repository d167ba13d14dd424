"""
Who may do what: every route before every role, and the accounts, tokens and deeds behind it.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from onelogin_connector.config import load
from onelogin_connector.service import Service, build
from onelogin_connector.web.access import Role
from onelogin_connector.web.app import ENTRIES, Gate, access_of, hosts_of, main_app
from onelogin_connector.web.console.routes import Act, View
from onelogin_connector.web.endpoints import ENDPOINTS
from passwords import QUICK

pytestmark = pytest.mark.anyio

ABROAD = ("203.0.113.5", 4711)
PASSWORD = "a long enough password"
OWN = {"origin": "http://localhost:8080", "sec-fetch-site": "same-origin"}
OPEN = {"/login", "/login/oidc", "/login/oidc/callback", "/login/{token}", "/static/{name:path}", "/readyz"}
"""What answers without a caller."""
OF_ANYBODY = {"/", "/logout", "/metrics"}
"""What has no role of its own: it leads elsewhere, ends the own session, or shows figures."""


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    def __init__(self, service: Service, clock: Clock) -> None:
        self.service, self.clock = service, clock
        self.access = access_of(service)
        self.app = main_app(service, self.access)
        self.routes = Gate(service, self.access, hosts_of(service.settings))._router.routes

    def client(self, peer=ABROAD, **headers: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(self.app, client=peer)
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)

    def program(self, role: Role) -> httpx2.AsyncClient:
        token = self.access.new_token(f"a {role}", role, by="test")
        return self.client(authorization=f"Bearer {token}", accept="text/html")

    @asynccontextmanager
    async def person(self, name="admin", password=PASSWORD) -> AsyncIterator["Person"]:
        async with self.client(accept="text/html") as browser:
            assert (await signed_in(browser, name, password)).status_code == 303
            yield Person(browser)

    def deeds(self) -> list[tuple[str, str, str]]:
        return [(deed.actor, deed.action, deed.target) for deed in self.service.state.deeds()]


class Person:
    """
    Somebody at a browser.
    """

    def __init__(self, browser: httpx2.AsyncClient) -> None:
        self.browser = browser

    async def see(self, path: str) -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    async def send(self, page: str, path: str, **fields: str) -> httpx2.Response:
        form = re.search(r'name="form" value="(\w+)"', await self.see(page))[1]
        return await self.browser.post(path, data={"form": form} | fields, headers=OWN)

    async def flash(self, page: str, path: str, **fields: str) -> str:
        """
        Send a form and return the message of the page after it.
        """
        answer = await self.send(page, path, **fields)
        assert answer.status_code == 303, answer.text
        text = await self.see(answer.headers["location"])
        return re.search(r'class="flash \w+" role="status">.*?<span>(.*?)</span>', text, re.DOTALL)[1]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """
    Build a service without starting it.
    """
    clock = Clock()
    path = tmp_path / "onelogin-connector.toml"
    path.write_text("[sinks.store]\nenabled = false\n")
    environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
    service = build(
        load(path, environ, data_dir=tmp_path / "data", folder=tmp_path), clock=clock, hasher=QUICK
    )
    yield World(service, clock)
    await service.stop()


async def signed_in(browser: httpx2.AsyncClient, name: str, password: str) -> httpx2.Response:
    """
    Fill the sign-in form.
    """
    page = await browser.get("/login")
    form = re.search(r'name="form" value="(\w+)"', page.text)[1]
    return await browser.post("/login", data={"form": form, "user": name, "password": password})


def wanted() -> list[tuple[str, str, Role]]:
    """
    Return method, path and role of everything that has one.
    """
    found = [(each.method, each.path, each.role) for each in ENDPOINTS]
    for entry in ENTRIES:
        method = "POST" if isinstance(entry, Act) else "GET"
        found.append((method, entry.path, entry.role))
        twin = entry.twin if isinstance(entry, View) else entry.path if getattr(entry, "twin", False) else ""
        if twin:
            found.append((method, f"/api/v1{twin}", entry.role))
    return found


def filled(path: str) -> str:
    """
    Put values in the place of a path's names.
    """
    named = re.sub(r"\{id(:\w+)?\}", "default" if "connectors" in path else "1", path)
    return re.sub(r"\{[\w:]+\}", "1", named)


async def test_every_route_has_a_role(world):
    """
    Whatever the router knows stands in a table with its role, or is one of few that need none.
    """
    listed = {(method, path) for method, path, _ in wanted()} | {("GET", "/api/v1/openapi.json")}
    for route in world.routes:
        for method in route.methods - {"HEAD"}:
            if route.path not in OPEN | OF_ANYBODY:
                assert (method, route.path) in listed, f"{method} {route.path} has no role"


async def test_a_stranger_gets_nothing(world):
    """
    Every route, as a page and as data; also with a cookie or a token that is none.
    """
    headers = {"cookie": "onelogin_connector_session=forged", "authorization": ""}
    async with world.client() as stranger, world.client(authorization="Bearer olc_forged") as forger:
        for method, path, _ in wanted():
            for client in (stranger, forger):
                assert (await client.request(method, filled(path))).status_code == 401, (method, path)
            assert (await stranger.request(method, filled(path), headers=headers)).status_code == 401
            page = await stranger.get(filled(path), headers={"accept": "text/html"})
            assert (page.status_code, page.headers["location"]) == (303, "/login"), path


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_no_route_does_more_than_its_role(world, role):
    """
    What needs more is refused as a page, as data and as a form, before it is read; what needs less is not.
    """
    await world.access.add_account("person", role, PASSWORD)
    async with world.program(role) as program, world.person("person") as person:
        form = re.search(r'name="form" value="(\w+)"', await person.see("/account"))[1]
        for method, path, needed in wanted():
            if role.includes(needed):
                continue
            assert (await program.request(method, filled(path))).status_code == 403, (method, path)
            answer = await person.browser.request(method, filled(path), data={"form": form}, headers=OWN)
            assert answer.status_code == 403, (method, path)
            assert "this needs the role" in answer.text
    made = [deed for deed in world.deeds() if deed[1] != "signed_in"]
    assert made == []


@pytest.mark.parametrize("role", list(Role))
async def test_every_page_of_a_role_opens(world, role):
    """
    With its data, and a navigation of places that open too.
    """
    async with world.program(role) as program:
        for entry in ENTRIES:
            if not isinstance(entry, View) or "{" in entry.path or not role.includes(entry.role):
                continue
            page = await program.get(entry.path)
            assert page.status_code in {200, 422}, (entry.path, page.text)  # without a store some cannot show
            for place in re.findall(r'<li><a href="([^"]+)"', page.text):
                found = next(each for each in ENTRIES if isinstance(each, View) and each.path == place)
                assert role.includes(found.role), f"{place} is shown to a {role}"


async def test_no_form_is_taken_without_its_token(world):
    """
    A session alone changes nothing: neither without the token, nor with another session's, nor from elsewhere.
    """
    async with world.person() as admin, world.person() as other:
        foreign = re.search(r'name="form" value="(\w+)"', await other.see("/account"))[1]
        for entry in ENTRIES:
            if not isinstance(entry, Act):
                continue
            for data in ({}, {"form": ""}, {"form": "x" * 64}, {"form": foreign}):
                answer = await admin.browser.post(filled(entry.path), data=data, headers=OWN)
                assert answer.status_code == 403, (entry.path, data)
            own = re.search(r'name="form" value="(\w+)"', await admin.see("/account"))[1]
            answer = await admin.browser.post(
                filled(entry.path), data={"form": own}, headers={"origin": "http://evil.example"}
            )
            assert answer.status_code == 403, entry.path
    assert {deed[1] for deed in world.deeds()} == {"signed_in"}


async def test_an_account_is_made_and_does_what_its_role_may(world):
    """
    From the form to the sign-in; each step is a line of the audit log.
    """
    async with world.person() as admin:
        told = await admin.flash(
            "/access", "/access/add", user=" Anna@ACME.example ", role="operator", password="p" * 12
        )
        assert told == "anna@acme.example can sign in as operator."
        async with world.person("anna@acme.example", "p" * 12) as anna:
            page = await anna.see("/account")
            assert "anna@acme.example" in page
            assert "/access" not in re.findall(r'<li><a href="([^"]+)"', page)
            assert (await anna.browser.get("/access")).status_code == 403
            await admin.flash("/access", "/access/role", user="anna@acme.example", role="admin")
            assert (await anna.browser.get("/access")).status_code == 200
            await admin.flash("/access", "/access/sign-out", user="anna@acme.example")
            assert (await anna.browser.get("/account")).status_code == 303
        await admin.flash("/access", "/access/password", user="anna@acme.example", password="q" * 12)
        async with world.client(accept="text/html") as late:
            assert (await signed_in(late, "anna@acme.example", "p" * 12)).status_code == 401
        async with world.person("anna@acme.example", "q" * 12) as anna:
            await admin.flash("/access", "/access/remove", user="anna@acme.example")
            assert (await anna.browser.get("/account")).status_code == 303
    assert [deed for deed in reversed(world.deeds()) if deed[0] == "admin" and deed[1] != "signed_in"] == [
        ("admin", "account_made", "anna@acme.example (operator)"),
        ("admin", "role_changed", "anna@acme.example (admin)"),
        ("admin", "sessions_ended", "anna@acme.example"),
        ("admin", "password_set", "anna@acme.example"),
        ("admin", "account_removed", "anna@acme.example"),
    ]


async def test_somebody_can_always_come_in(world):
    """
    The last administrator with a password stays one, whoever wants otherwise.
    """
    await world.access.add_account("second", Role.ADMIN, PASSWORD)
    async with world.person("second") as second:
        await second.flash("/access", "/access/remove", user="admin")
        assert "last administrator" in await second.flash(
            "/access", "/access/role", user="second", role="viewer"
        )
        assert "your own account" in await second.flash("/access", "/access/remove", user="second")
    async with world.program(Role.ADMIN) as program:
        answer = await program.post("/api/v1/access/remove", json={"user": "second"})
        assert answer.status_code == 422
        assert "last administrator" in answer.text
    assert [each.name for each in world.access.accounts()] == ["second"]
    assert world.access.link_token()


async def test_mistakes_are_told_and_change_nothing(world):
    """
    A short password, a name twice, a role that is none, somebody who is not there.
    """
    async with world.person() as admin:
        for path, fields, words in (
            ("/access/add", {"user": "x", "role": "viewer", "password": "short"}, "12 to 1000 characters"),
            ("/access/add", {"user": "ADMIN", "role": "viewer", "password": "p" * 12}, "admin already"),
            ("/access/add", {"user": "x", "role": "god", "password": "p" * 12}, "does not fit"),
            ("/access/add", {"user": "", "role": "viewer", "password": "p" * 12}, "does not fit"),
            ("/access/add", {"user": "x\x00", "role": "viewer", "password": "p" * 12}, "printable"),
            ("/access/role", {"user": "nobody", "role": "viewer"}, "no account nobody"),
            ("/access/password", {"user": "nobody", "password": "p" * 12}, "no user nobody"),
        ):
            answer = await admin.send("/access", path, **fields)
            text = answer.text if answer.status_code == 404 else await admin.see(answer.headers["location"])
            assert words in text, (path, fields)
    assert [each.name for each in world.access.accounts()] == ["admin"]
    assert {deed[1] for deed in world.deeds()} == {"signed_in"}


async def test_the_own_password(world):
    """
    Changed with the old one alone, and guessing it locks out; every session ends.
    """
    async with world.person() as admin, world.person() as elsewhere:
        for fields, words in (
            ({"old": "wrong", "new": "n" * 12, "again": "n" * 12}, "present password is wrong"),
            ({"old": PASSWORD, "new": "n" * 12, "again": "m" * 12}, "not repeated"),
            ({"old": PASSWORD, "new": "n", "again": "n"}, "12 to 1000"),
        ):
            assert words in await admin.flash("/account", "/account/password", **fields)
        answer = await admin.send("/account", "/account/password", old=PASSWORD, new="n" * 12, again="n" * 12)
        assert answer.headers["location"] == "/login"
        for browser in (admin.browser, elsewhere.browser):
            assert (await browser.get("/account")).status_code == 303
    async with world.person("admin", "n" * 12) as admin:
        for _ in range(5):
            told = await admin.flash(
                "/account", "/account/password", old="guess", new="m" * 12, again="m" * 12
            )
        assert "wrong" in told
        told = await admin.flash("/account", "/account/password", old="n" * 12, new="m" * 12, again="m" * 12)
        assert "Too many" in told


async def test_a_token_is_shown_once_and_ends(world):
    """
    It may do what its role may, until its days are over or somebody revokes it.
    """
    async with world.person() as admin:
        shown = (
            await admin.send("/access/tokens", "/access/tokens", name="report", role="viewer", days="30")
        ).text
        token = re.search(r"olc_[\w-]+", shown)[0]
        page = await admin.see("/access/tokens")
        assert "report" in page
        assert token not in page
        assert token.encode() not in (world.service.folder.path / "state.db").read_bytes()
        async with world.client(authorization=f"Bearer {token}") as program:
            assert (await program.get("/api/v1/status")).status_code == 200
            assert (await program.post("/api/v1/check")).status_code == 403
            world.clock.now += 30 * 86_400 + 1
            assert (await program.get("/api/v1/status")).status_code == 401
    async with world.person() as admin:
        shown = (await admin.send("/access/tokens", "/access/tokens", name="other", role="admin")).text
        token = re.search(r"olc_[\w-]+", shown)[0]
        id = next(each.id for each in world.access.tokens() if each.name == "other")
        async with world.client(authorization=f"Bearer {token}") as program:
            told = await admin.flash("/access/tokens", f"/access/tokens/{id}/revoke", confirmed="true")
            assert told == "The token other is worth nothing any more."
            assert (await program.get("/api/v1/status")).status_code == 401
    made = [deed for deed in world.deeds() if "token" in deed[1]]
    assert made == [
        ("admin", "api_token_revoked", f"{id} (other)"),
        ("admin", "api_token_made", "other (admin)"),
        ("admin", "api_token_made", "report (viewer)"),
    ]


async def test_the_audit_log_is_searched_and_paged(world):
    """
    As a page and as data; what strangers write into it is text.
    """
    for number in range(250):
        world.service.state.note("anna" if number % 2 else "ben", "backfill", f"connector {number}")
    world.service.state.note(
        "<script>alert(1)</script>", "x", "<img src=x onerror=alert(1)>", more={"<b>": "</td>"}
    )
    async with world.program(Role.VIEWER) as viewer:
        page = (await viewer.get("/audit")).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert" in page
        seen, before = [], None
        while before != 0:
            query = {"actor": "anna", "limit": "40"} | ({"before": before} if before else {})
            found = (await viewer.get("/api/v1/audit", params=query)).json()
            seen += [deed["target"] for deed in found["deeds"]]
            before = found["next"] or 0
        assert seen == [f"connector {number}" for number in range(249, 0, -2)]
        found = (await viewer.get("/api/v1/audit", params={"q": "CONNECTOR 17"})).json()["deeds"]
        assert [deed["target"] for deed in found] == [f"connector {n}" for n in (*range(179, 169, -1), 17)]
        assert (await viewer.get("/api/v1/audit?before=x")).status_code == 422
        assert (await viewer.get("/audit?actor=%00%ff&q='%22--")).status_code == 200


async def test_secrets_stay_out_of_the_audit_log(world):
    """
    Neither passwords nor tokens, whatever was done with them.
    """
    async with world.person() as admin:
        await admin.send("/access", "/access/add", user="anna", role="viewer", password="secret-of-anna")
        await admin.send("/access", "/access/password", user="anna", password="another-secret")
        shown = (await admin.send("/access/tokens", "/access/tokens", name="report")).text
        token = re.search(r"olc_[\w-]+", shown)[0]
        audit = str(world.service.state.deeds(limit=1_000)) + await admin.see("/audit")
    assert not [secret for secret in ("secret-of-anna", "another-secret", token, PASSWORD) if secret in audit]


async def test_the_health_page_tells_and_its_twin_agrees(world):
    """
    Alarms on every page, history by filter, and a notice only an admin may send.
    """
    world.service.alarms.raise_("rift <b>", "It <script>is</script> detached", "Act.")
    await world.service.health.round()
    async with world.program(Role.VIEWER) as viewer, world.program(Role.ADMIN) as admin:
        for path in ("/health", "/audit", "/account", "/status"):
            page = (await viewer.get(path)).text
            assert "It &lt;script&gt;is&lt;/script&gt; detached" in page, path
        found = (await viewer.get("/api/v1/health")).json()
        assert [alarm["name"] for alarm in found["alarms"]] == ["rift <b>"]
        assert found["changes"][0]["kind"] in {"connector", "journal", "alarm"}
        of_journal = (await viewer.get("/api/v1/health?kind=journal")).json()["changes"]
        assert {change["part"] for change in of_journal} == {"journal"}
        page = (await viewer.get("/health?kind=journal&part=it's")).text
        assert "SentinelResourceName == &#39;it\\&#39;s&#39;" in page
        assert "Send a test notice" not in page
        first = (await viewer.get("/api/v1/health?limit=1")).json()
        second = (await viewer.get(f"/api/v1/health?limit=1&before={first['next']}")).json()
        assert first["changes"][0]["id"] > second["changes"][0]["id"]
        answer = await admin.post("/api/v1/health/test-notice")
        assert answer.status_code == 422
        assert "No receiver of alarms is set" in answer.text
