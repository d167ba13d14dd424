"""
Connectors made over the API and the console, and everything that somebody could try to steal by them.
"""

import asyncio
import json
import logging
import re
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import pytest

from onelogin_connector.config import export, load
from onelogin_connector.service import build
from onelogin_connector.service.checks import HOURLY_SECONDS
from onelogin_connector.service.exporting import with_console
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.serving import bind, serving
from onelogin_connector.simulator.trouble import Fault, Trouble
from onelogin_connector.web.access import Role
from onelogin_connector.web.app import access_of, main_app
from passwords import QUICK
from patience import until

pytestmark = pytest.mark.anyio

PASSWORD = "a long enough password"
EVENT = {
    "uuid": "0b0c6a54-30ac-4e1c-b5a2-1d8a3a3ee111",
    "account_id": 999_999,
    "event_timestamp": "2026-11-20 10:00:00 UTC",
    "event_type_id": 5,
}


class Clock:
    """
    Unix seconds that can be put forward.
    """

    def __init__(self):
        import time

        self.ahead = 0.0
        self._time = time.time

    def __call__(self):
        return self._time() + self.ahead


class World:
    """
    A service with its web app, and a simulated account.
    """

    def __init__(self, service, account, url, clock):
        self.service, self.account, self.url, self.clock = service, account, url, clock
        self.access = access_of(service)
        self.app = main_app(service, self.access)

    def client(self, role=Role.ADMIN, **headers):
        if role is not None:
            headers["authorization"] = f"Bearer {self.access.new_token(f'a {role}', role, by='test')}"
        transport = httpx2.ASGITransport(self.app, client=("127.0.0.1", 1), raise_app_exceptions=False)
        return httpx2.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers, timeout=30
        )

    @asynccontextmanager
    async def browser(self):
        async with self.client(None, accept="text/html", **{"sec-fetch-site": "same-origin"}) as browser:
            page = await browser.get("/login")
            form = re.search(r'name="form" value="(\w+)"', page.text)[1]
            answer = await browser.post("/login", data={"form": form, "user": "admin", "password": PASSWORD})
            assert answer.status_code == 303
            yield browser

    def wanted(self, **changes):
        """
        Return what would be entered for the simulated account.
        """
        return {
            "name": "ACME production",
            "domain": "acme",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "api_url": self.url,
            "poll_seconds": 5,
        } | changes

    async def until(self, ready):
        await until(ready, tell=self.service.status)


@asynccontextmanager
async def world(tmp_path, *, allow=True, start=True, account=None):
    """
    Run a service with one connector of the file.
    """
    clock = Clock()
    async with AsyncExitStack() as stack:
        account = account or Account(Company(3), calls_per_hour=100_000)
        url = await stack.enter_async_context(serving(Api(account), bind()))
        path = tmp_path / "settings.toml"
        path.write_text(
            f"[web]\nallow_private_hosts = {json.dumps(['127.0.0.1'] if allow else [])}\n"
            '[connectors.fixed]\nname = "From the file"\nclient_id = "id-of-the-file"\n'
            f'client_secret = {{ env = "SECRET" }}\napi_url = "{url}"\n'
        )
        environ = {"SECRET": "secret-of-the-file", "ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
        service = build(
            load(path, environ, data_dir=tmp_path / "data", folder=tmp_path), clock=clock, hasher=QUICK
        )
        stack.push_async_callback(service.stop)
        if start:
            await service.start()
        yield World(service, account, url, clock)


class Thief:
    """
    A server that keeps whatever is sent to it, and answers as it likes.
    """

    def __init__(self, body=b"", status=200, headers=()):
        self.body, self.status, self.headers = body, status, list(headers)
        self.seen = b""
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        self.seen += repr(scope["headers"]).encode() + scope["raw_path"] + scope["query_string"]
        while True:
            message = await receive()
            self.seen += message.get("body", b"")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


async def test_a_connector_is_made_and_collects(tmp_path):
    """
    Made over the API it polls at once, is tested, takes webhooks by its own token, and says nothing secret.
    """
    async with world(tmp_path) as it, it.client() as client:
        answer = await client.post("/api/v1/connectors", json=it.wanted(name="ACME – Zürich (production)"))
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert made["id"] == "acme-zurich-production"
        assert (made["origin"], made["editable"], made["type"]) == ("console", True, "OneLogin Connector")
        assert made["settings"]["domain"] == "acme.onelogin.com"
        await it.until(lambda: it.service.pulls[made["id"]].poller.last_poll)
        await it.service.checks.check(made["id"])
        shown = (await client.get(f"/api/v1/connectors/{made['id']}")).json()
        assert shown["check"]["headline"] == "Connection successful"
        assert shown["check"]["ok"]
        assert [stage["stage"] for stage in shown["check"]["stages"]][:6] == [
            "Configuration", "Network", "Authentication", "Permission", "Fetch Logs", "Account",
        ]  # fmt: skip
        assert not shown["webhook"]["arrived"]
        token = (await client.post(f"/api/v1/connectors/{made['id']}/token")).json()["token"]
        headers = {"authorization": f"Bearer {token}"}
        sent = await client.post(
            shown["webhook"]["path"],
            content=json.dumps([EVENT | {"account_id": it.account.id}]),
            headers=headers,
        )
        assert sent.json()["received"] == 1, sent.text
        assert (await client.get(f"/api/v1/connectors/{made['id']}")).json()["webhook"]["arrived"]
        listed = await client.get("/api/v1/connectors")
        assert {each["id"] for each in listed.json()} == {"fixed", made["id"]}
        assert CLIENT_SECRET not in listed.text + answer.text + token


async def test_it_is_there_after_a_restart(tmp_path):
    """
    Settings, secret, run state and watermark outlive the process; a stopped connector stays stopped.
    """
    account = Account(Company(3), calls_per_hour=100_000)
    async with world(tmp_path, account=account) as it, it.client() as client:
        for name in ("one", "two"):
            wanted = it.wanted(name=name, description="d")
            assert (await client.post("/api/v1/connectors", json=wanted)).status_code == 201
            # whoever asks first collects the account; the other one would wait for minutes
            await it.until(it.service.state.polls.of("one").load)
        await it.service.connectors.stop("two", actor="test")
        mark, url = it.service.state.polls.of("one").load().watermark_us, it.url
    async with world(tmp_path, account=account, start=False) as it, it.client() as client:
        shown = {each["id"]: each for each in (await client.get("/api/v1/connectors")).json()}
        assert list(shown) == ["fixed", "one", "two"]
        assert shown["one"]["settings"]["api_url"] == url
        assert shown["one"]["settings"]["has_secret"]
        assert shown["one"]["description"] == "d"
        assert (shown["two"]["stopped"], shown["two"]["word"]) == (True, "Inactive")
        assert it.service.pulls["one"].poller.watermark_us >= mark
        assert it.service.settings.connectors["one"].client_secret.reveal() == CLIENT_SECRET


async def test_stopping_starting_and_deleting(tmp_path):
    """
    A stopped connector answers 503 to senders it knows, and 401 to others; only it can be deleted, for ever.
    """
    async with world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/connectors", json=it.wanted())
        token = (await client.post("/api/v1/connectors/acme-production/token")).json()["token"]
        known = {"authorization": f"Bearer {token}"}
        address = "/webhook/acme-production"
        answer = await client.delete("/api/v1/connectors/acme-production")
        assert answer.status_code == 422
        assert "Stop it first" in answer.json()["action"]
        await it.service.connectors.stop("acme-production", actor="test")
        calls = it.service.pulls["acme-production"].client.calls.total()
        refused = await client.post(address, content=b"[]", headers=known)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        assert (await client.post(address, content=b"[]", headers={"authorization": "x"})).status_code == 401
        assert it.service.pulls["acme-production"].client.calls.total() == calls == 0
        await it.service.connectors.start("acme-production", actor="test")
        assert (await client.post(address, content=b"[]", headers=known)).status_code == 200
        await it.until(lambda: it.service.pulls["acme-production"].poller.last_poll)
        await it.service.connectors.stop("acme-production", actor="test")
        assert (await client.delete("/api/v1/connectors/acme-production")).status_code == 200
        assert (await client.get("/api/v1/connectors/acme-production")).status_code == 404
        assert (await client.post(address, content=b"[]", headers=known)).status_code == 404
        assert it.service.state.polls.of("acme-production").load() is None
        assert it.service.state.parts("connector") == []
        # its history stays, so a new one of that name is another connector, which may collect the account
        again = (await client.post("/api/v1/connectors", json=it.wanted())).json()["id"]
        await it.until(lambda: it.service.pulls[again].poller.last_poll)


async def test_the_built_in_connector_can_be_set_up_and_stays_deleted(tmp_path):
    """
    The connector that is there when nothing else is takes settings; deleted, it does not come back.
    """
    settings = load(None, {}, data_dir=tmp_path / "data", folder=tmp_path)
    service = build(settings, hasher=QUICK)
    try:
        assert service.connectors.origin("default") == "built-in"
        wanted = {"name": "Company"}
        it = World(service, None, "", service.clock)
        async with it.client() as client:
            shown = (await client.put("/api/v1/connectors/default", json=wanted)).json()
            assert (shown["id"], shown["name"], shown["origin"]) == ("default", "Company", "console")
            await service.connectors.stop("default", actor="test")
            assert (await client.delete("/api/v1/connectors/default")).status_code == 200
            assert (await client.get("/api/v1/connectors")).json() == []
    finally:
        await service.stop()
    service = build(settings, hasher=QUICK)
    try:
        assert not service.settings.connectors
        assert settings.connectors, "what was loaded belongs to whoever loaded it"
    finally:
        await service.stop()


async def test_what_the_file_defines_is_read_only(tmp_path):
    """
    A connector of the file cannot be changed, deleted or taken for a test of other values.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        thief = Thief()
        async with serving(thief, bind()) as elsewhere:
            wanted = it.wanted(client_id="id-of-the-file", client_secret="", api_url=elsewhere)
            for answer in (
                await client.put("/api/v1/connectors/fixed", json=wanted),
                await client.delete("/api/v1/connectors/fixed"),
            ):
                assert answer.status_code == 422
                assert "settings file" in answer.json()["detail"]
            tried = (await client.post("/api/v1/connectors/test?connector=fixed", json=wanted)).json()
            assert tried["stages"][0]["code"] == "secret-elsewhere"
            assert thief.calls == 0
        async with it.browser() as browser:
            assert (await browser.get("/connectors/fixed/edit")).status_code == 409
            assert "/connectors/fixed/edit" not in (await browser.get("/connectors/fixed")).text


TWISTS = ["{0}", "{0}/", "{0}/api", "http://localhost:{1}", "http://127.1.2.3:{1}"]


async def test_a_stored_secret_goes_nowhere_else(tmp_path):
    """
    Neither a test nor a change with another host gets the stored secret sent there, whatever the address looks like.
    """
    async with world(tmp_path) as it, it.client() as client:
        it.service.connectors.reach._allowed = frozenset({"127.0.0.1", "localhost", "127.1.2.3"})
        assert (await client.post("/api/v1/connectors", json=it.wanted())).status_code == 201
        thief = Thief()
        async with serving(thief, bind()) as elsewhere:
            for twist in TWISTS:
                url = twist.format(elsewhere, elsewhere.rpartition(":")[2])
                wanted = it.wanted(client_secret="", api_url=url)
                path = "/api/v1/connectors/test?connector=acme-production"
                tried = (await client.post(path, json=wanted)).json()
                assert not tried["ok"], url
                assert tried["headline"].startswith("Configuration Stage: The stored secret was entered for")
                changed = await client.put("/api/v1/connectors/acme-production", json=wanted)
                assert changed.status_code == 422, url
                assert "client_secret" in changed.json()["detail"]
            # the same without a host of its own: then the domain is the host
            moved = await client.put(
                "/api/v1/connectors/acme-production",
                json=it.wanted(client_secret="", api_url="", domain="evil"),
            )
            assert moved.status_code == 422
            assert it.service.settings.connectors["acme-production"].api_url == it.url
            assert thief.calls == 0


async def test_moving_a_connector_voids_its_secret(tmp_path):
    """
    A new host with a new secret works; going back without a secret does not find the old one.
    """
    async with world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/connectors", json=it.wanted())
        thief = Thief(status=401)
        async with serving(thief, bind()) as elsewhere:
            moved = it.wanted(client_secret="another-secret", api_url=elsewhere)
            assert (await client.put("/api/v1/connectors/acme-production", json=moved)).status_code == 200
            await it.until(lambda: thief.calls)
            back = await client.put("/api/v1/connectors/acme-production", json=it.wanted(client_secret=""))
            assert back.status_code == 422
            assert elsewhere in back.json()["detail"]
        from base64 import b64encode

        assert b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()) not in thief.seen
        assert CLIENT_SECRET.encode() not in thief.seen


async def test_blank_keeps_the_secret(tmp_path):
    """
    With the same host other settings change, and the secret stays.
    """
    async with world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/connectors", json=it.wanted())
        changed = await client.put(
            "/api/v1/connectors/acme-production",
            json=it.wanted(client_secret="", name="Other", poll_seconds=30),
        )
        assert changed.status_code == 200, changed.text
        assert (changed.json()["id"], changed.json()["name"]) == ("acme-production", "Other")
        run = await it.service.checks.check("acme-production")
        assert run.ok, run.stages


HOSTS = [
    "https://10.0.0.1", "https://192.168.1.1:8443", "https://169.254.169.254/latest", "https://localhost",
    "https://[::1]", "https://[::ffff:10.0.0.1]", "https://[64:ff9b::7f00:1]", "https://0.0.0.0", "https://[fd00::1]",
    "https://100.64.0.1", "https://localhost.", "https://foo.localhost", "http://127.0.0.1:1", "http://localhost:1",
]  # fmt: skip


async def test_private_hosts_are_refused(tmp_path):
    """
    An address in a private network is refused before anything is saved or sent.
    """
    async with world(tmp_path, allow=False, start=False) as it, it.client() as client:
        for host in HOSTS:
            for path in ("/api/v1/connectors", "/api/v1/connectors/test"):
                answer = await client.post(path, json=it.wanted(api_url=host))
                assert answer.status_code == 422, host
                assert "allow_private_hosts" in answer.json()["detail"], host
        assert it.service.state.parts("connector") == []


async def test_a_name_that_leads_inside_is_refused_at_connect(tmp_path):
    """
    A public-looking name that resolves to this machine is not connected to, also when it did not so at first.
    """
    thief = Thief()
    async with (
        world(tmp_path, allow=False, start=False) as it,
        it.client() as client,
        serving(thief, bind()) as url,
    ):
        port = url.rpartition(":")[2]
        asked = []

        async def resolve(host, _port):
            asked.append(host)
            return ["8.8.8.8"] if len(asked) % 2 else ["127.0.0.1"]

        for resolver in (resolve, _always_inside):
            it.service.connectors.reach._resolve = resolver
            wanted = it.wanted(api_url=f"https://rebind.example.com:{port}")
            tried = (await client.post("/api/v1/connectors/test", json=wanted)).json()
            assert tried["stages"][1]["code"] == "private", tried
            assert tried["headline"].startswith("Network Stage: The host lies in a private network")
        assert len(asked) == 2
        assert thief.calls == 0


async def _always_inside(_host, _port):
    return ["93.184.216.34", "10.1.2.3"]


BODIES = [
    (200, [(b"content-type", b"application/json")], b'{"access_token":"t","created_at":null,"x":"MARKED"}'),
    (
        200,
        [(b"content-type", b"application/json")],
        b'{"status":{"error":true,"code":400,"message":"MARKED"}}',
    ),
    (401, [(b"content-type", b"application/json")], b'{"message":"MARKED","statusCode":401}'),
    (403, [], b"MARKED"),
    (404, [(b"content-type", b"text/html")], b"<h1>MARKED</h1>"),
    (500, [(b"content-type", b"application/json")], b'{"message":"MARKED"}'),
    (302, [(b"location", b"/admin?MARKED")], b"MARKED"),
    (429, [(b"retry-after", b"1")], b'{"message":"MARKED"}'),
]


async def test_no_body_is_ever_shown(tmp_path):
    """
    A test tells status and reason of whatever answers, and not one word of its body.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        for status, headers, body in BODIES:
            thief = Thief(body, status, headers)
            async with serving(thief, bind()) as url:
                answer = await client.post("/api/v1/connectors/test", json=it.wanted(api_url=url))
            found = answer.json()
            assert thief.calls
            assert not found["ok"]
            assert "MARKED" not in answer.text, (status, body)
            failed = next(stage for stage in found["stages"] if stage["state"] == "failed")
            assert all(failed[name] for name in ("explanation", "action", "code"))
            if status >= 400:
                assert (failed["http_status"], bool(failed["reason"])) == (status, True)


async def test_nothing_shows_a_secret(tmp_path, caplog):
    """
    Not the pages, the API, the logs, the audit log, an export, or the bytes of the state.
    """
    caplog.set_level(logging.DEBUG)
    secret = "0f4e5ec2e7-not-to-be-seen-" + "ab" * 8
    async with world(tmp_path) as it, it.client() as client, it.browser() as browser:
        await client.post("/api/v1/connectors", json=it.wanted(client_secret=secret))
        await it.until(lambda: it.service.pulls["acme-production"].poller.status.error)
        await it.service.checks.check("acme-production")
        texts = [
            (await client.get(path)).text
            for path in ("/api/v1/connectors", "/api/v1/connectors/acme-production", "/api/v1/status")
        ]
        texts += [
            (await browser.get(path)).text
            for path in (
                "/connectors",
                "/connectors/acme-production",
                "/connectors/acme-production/edit",
                "/status",
            )
        ]
        token = await form_token(browser, "/connectors/new")
        wrong = {"form": token, "name": "", "client_id": "x", "client_secret": secret, "domain": "acme"}
        answer = await browser.post("/connectors", data=wrong)
        assert answer.status_code == 422
        texts += [answer.text, caplog.text, repr(it.service.settings), repr(it.service.state.deeds())]
        texts.append(export(with_console(it.service.settings)))
        for text in texts:
            assert secret not in text
    raw = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("state.db*"))
    assert secret.encode() not in raw


async def test_a_credential_that_ends_is_seen_within_the_hour(tmp_path):
    """
    The check is repeated when its hour is over and not before; its end and its return are kept with their time.
    """
    async with world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/connectors", json=it.wanted())
        first = await it.service.checks.check("acme-production")
        assert first.ok, first.stages
        outcomes = it.service.state.connectors.outcomes
        it.account.faults.add(Fault(trouble=Trouble.UNAUTHORIZED, path="/auth/oauth2"))
        it.clock.ahead += HOURLY_SECONDS / 2
        await it.service.checks.round()
        assert outcomes()["acme-production"].ok
        it.clock.ahead += HOURLY_SECONDS / 2 - 60
        await it.service.checks.round()
        found = outcomes()["acme-production"]
        assert not found.ok
        shown = (await client.get("/api/v1/connectors/acme-production")).json()["check"]
        assert shown["headline"].startswith("Authentication Stage: OneLogin does not accept")
        assert shown["since"] == shown["at"]
        it.clock.ahead += HOURLY_SECONDS
        await it.service.checks.round()
        assert outcomes()["acme-production"].since == found.since < outcomes()["acme-production"].at
        it.account.faults.clear()
        it.clock.ahead += HOURLY_SECONDS
        await it.service.checks.round()
        assert outcomes()["acme-production"].ok
        await it.service.connectors.stop("acme-production", actor="test")
        at = outcomes()["acme-production"].at
        it.clock.ahead += 2 * HOURLY_SECONDS
        await it.service.checks.round()
        assert outcomes()["acme-production"].at == at, "a stopped connector asks nobody"


async def test_stages_appear_one_after_another(tmp_path):
    """
    While a slow account is tested the stages that are done can be seen, and the rest are named as to come.
    """
    answering = asyncio.Event()
    account = Account(Company(3), calls_per_hour=100_000, sleep=lambda _: answering.wait())
    async with world(tmp_path, start=False, account=account) as it, it.client() as client:
        account.faults.add(Fault(trouble=Trouble.SLOW, path="/auth/oauth2"))
        made = await client.post("/api/v1/connectors", json=it.wanted())
        assert made.json()["check"]["running"]
        run = it.service.checks.running("acme-production")
        assert run is it.service.checks.begin("acme-production"), "one at a time"
        seen = []
        async for stages in run.growing():
            seen.append(len(stages))
            if len(stages) == 2:  # configuration and network: the next one waits for the account
                answering.set()
        assert seen == sorted(seen)
        assert len(set(seen)) > 3
        async with it.browser() as browser:
            answering.clear()
            await client.put("/api/v1/connectors/acme-production", json=it.wanted())
            part = await browser.post(
                "/connectors/acme-production/check",
                data={"form": await form_token(browser, "/connectors/acme-production")},
                headers={"hx-request": "true"},
            )
            asks = re.search(r'hx-get="(/connectors/checks/[^"]+)"', part.text)[1]
            assert "to come" in part.text
            answering.set()
            while "hx-get" in part.text:
                await asyncio.sleep(0.02)
                part = await browser.get(asks)
            assert "Connection successful" in part.text


async def test_a_check_that_takes_too_long_ends(tmp_path, monkeypatch):
    """
    A host that does not answer is named as the stage that waited; the check ends all the same.
    """
    # shorter than any single call may take, so that it is the check's own time that is over
    monkeypatch.setattr("onelogin_connector.service.checks.CHECK_SECONDS", 20.0)
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)

    async def silent(_):
        nonlocal ahead
        ahead = 20.0
        await asyncio.Event().wait()

    account = Account(Company(3), calls_per_hour=100_000, sleep=silent)
    async with world(tmp_path, start=False, account=account) as it, it.client() as client:
        account.faults.add(Fault(trouble=Trouble.SLOW, path="/auth/oauth2"))
        tried = (await client.post("/api/v1/connectors/test", json=it.wanted())).json()
        assert tried["headline"] == "Authentication Stage: The check was not done in time."
        assert [stage["state"] for stage in tried["stages"]] == ["passed", "passed", "failed"]


async def test_tokens_rotate(tmp_path):
    """
    Two tokens are valid at once, never three; the older one ends when it is told to.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/connectors", json={"name": "Push only"})
        path = "/api/v1/connectors/push-only"
        assert (await client.get(path)).json()["webhook"]["accepted_tokens"] == 0
        tokens = [(await client.post(f"{path}/token")).json()["token"] for _ in range(3)]

        async def accepted():
            return [
                (
                    await client.post(
                        "/webhook/push-only", content=b"[]", headers={"authorization": f"Bearer {each}"}
                    )
                ).status_code
                for each in tokens
            ]

        assert await accepted() == [401, 200, 200]
        assert len((await client.get(path)).json()["webhook"]["tokens"]) == 2
        assert (await client.post(f"{path}/end-older-tokens", json={})).status_code == 200
        assert await accepted() == [401, 401, 200]


ADMIN_ONLY = [
    ("POST", "/api/v1/connectors"), ("POST", "/api/v1/connectors/test"), ("PUT", "/api/v1/connectors/fixed"),
    ("DELETE", "/api/v1/connectors/fixed"), ("POST", "/api/v1/connectors/fixed/token"),
    ("POST", "/api/v1/connectors/fixed/end-older-tokens"), ("GET", "/connectors/new"), ("GET", "/connectors/fixed/edit"),
    ("GET", "/connectors/new/id"), ("POST", "/connectors"), ("POST", "/connectors/test"), ("POST", "/connectors/fixed"),
    ("POST", "/connectors/fixed/token"), ("POST", "/connectors/fixed/end-older-tokens"),
]  # fmt: skip


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_only_an_admin_makes_and_changes(tmp_path, role):
    """
    A viewer looks, an operator also tests what is saved; making, changing and trying hosts is an admin's.
    """
    async with world(tmp_path, start=False) as it, it.client(role) as client:
        for method, path in ADMIN_ONLY:
            assert (await client.request(method, path, json=it.wanted())).status_code == 403, path
        for path in ("/connectors", "/connectors/fixed", "/api/v1/connectors", "/api/v1/connectors/fixed"):
            assert (await client.get(path)).status_code == 200
        tested = await client.post("/api/v1/connectors/fixed/check")
        assert tested.status_code == (403 if role is Role.VIEWER else 200)
        page = (await client.get("/connectors/fixed")).text
        assert ("Test Connection" in page) == (role is Role.OPERATOR)
        assert it.service.state.parts("connector") == []


async def test_a_form_of_another_site_is_refused(tmp_path):
    """
    Without the form's own token, or from another origin, nothing is made.
    """
    async with world(tmp_path, start=False) as it, it.browser() as browser:
        fields = {key: str(value) for key, value in it.wanted().items()}
        assert (await browser.post("/connectors", data=fields)).status_code == 403
        fields["form"] = await form_token(browser, "/connectors/new")
        answer = await browser.post("/connectors", data=fields, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 403
        assert it.service.state.parts("connector") == []
        assert (await browser.post("/connectors", data=fields)).status_code == 303


async def test_the_form_without_script(tmp_path):
    """
    A wrong form comes back with a word beside each mistake; a right one leads to the page, where the test shows.
    """
    async with world(tmp_path) as it, it.browser() as browser:
        token = await form_token(browser, "/connectors/new")
        hostile = '"><script>alert(1)</script>'
        wrong = {"form": token, "name": hostile, "domain": "evil.example.com", "poll_seconds": "soon", "start": "x",
                 "client_id": CLIENT_ID, "client_secret": "with blank"}  # fmt: skip
        answer = await browser.post("/connectors", data=wrong)
        assert answer.status_code == 422
        assert "<script>alert" not in answer.text
        assert answer.text.count('aria-invalid="true"') == 1, "a time that cannot be read is told first"
        wrong["start"] = ""
        answer = await browser.post("/connectors", data=wrong)
        assert answer.text.count('aria-invalid="true"') == 3
        assert "with blank" not in answer.text
        tried = await browser.post("/connectors/test", data=fields_of(it, token))
        assert tried.status_code == 200
        assert "Connection successful" in tried.text
        assert it.service.state.parts("connector") == []
        saved = await browser.post("/connectors", data=fields_of(it, token))
        assert saved.headers["location"] == "/connectors/acme-production"
        page = await browser.get("/connectors/acme-production")
        assert "is made" in page.text
        await it.service.checks.check("acme-production")
        page = await browser.get("/connectors/acme-production")
        assert "Connection successful" in page.text
        assert 'http-equiv="refresh"' not in page.text
        edit = (await browser.get("/connectors/acme-production/edit")).text
        assert "Leave blank to use current value" in edit
        assert CLIENT_SECRET not in edit
        shown = await browser.post("/connectors/acme-production/token", data={"form": token})
        assert re.search(r"Authorization: Bearer [\w-]{40,}", shown.text)
        assert not re.search(r"Bearer [\w-]{40,}", (await browser.get("/connectors/acme-production")).text)


OPTIONS = {
    "poll_delay_seconds": 45.0,
    "api_budget_share": 0.25,
    "allowed_networks": ["203.0.113.0/24", "2001:db8::/32"],
    "max_body": 3 << 19,
}


async def test_the_folded_options_are_entered_and_hold(tmp_path):
    """
    Networks, size, share and delay: by API and by form the same, shown again in the form, and in effect at once.
    """
    async with world(tmp_path, start=False) as it, it.client() as client, it.browser() as browser:
        made = await client.post("/api/v1/connectors", json=it.wanted(**OPTIONS))
        assert {name: made.json()["settings"][name] for name in OPTIONS} == OPTIONS
        token = await form_token(browser, "/connectors/acme-production/edit")
        page = (await browser.get("/connectors/acme-production/edit")).text
        assert 'value="45"' in page
        assert 'value="0.25"' in page
        assert "203.0.113.0/24\n2001:db8::/32</textarea>" in page
        assert 'value="1.5"' in page
        entered = fields_of(it, token) | {
            "client_secret": "",
            "allowed_networks": "203.0.113.0/24 2001:db8::/32",
            "max_body": "1.5",
            "poll_delay_seconds": "45",
            "api_budget_share": "0.25",
        }
        assert (await browser.post("/connectors/acme-production", data=entered)).status_code == 303
        again = (await client.get("/api/v1/connectors/acme-production")).json()
        assert {name: again["settings"][name] for name in OPTIONS} == OPTIONS
        secret = (await client.post("/api/v1/connectors/acme-production/token", json={})).json()["token"]
        sent = await client.post(
            "/webhook/acme-production", json=[EVENT], headers={"authorization": f"Bearer {secret}"}
        )
        assert sent.status_code == 403, "this machine is in none of these networks"


WRONG_OPTIONS = (
    ("allowed_networks", "203.0.113.0/24 10.0.0.1/8"),
    ("allowed_networks", "example.com"),
    ("max_body", "much"),
    ("max_body", "0"),
    ("max_body", "nan"),
    ("max_body", "1e300"),
    ("api_budget_share", "2"),
    ("api_budget_share", "0"),
    ("poll_delay_seconds", "-1"),
    ("poll_delay_seconds", "1e999"),
)


async def test_a_wrong_option_is_named_at_its_field(tmp_path):
    """
    The folded part opens, and says what is wrong there.
    """
    async with world(tmp_path, start=False) as it, it.browser() as browser:
        token = await form_token(browser, "/connectors/new")
        for field, text in WRONG_OPTIONS:
            answer = await browser.post("/connectors", data=fields_of(it, token) | {field: text})
            assert answer.status_code == 422, (field, text)
            assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', answer.text), (field, text)
            assert '<details class="fold" open>' in answer.text


async def test_every_change_is_in_the_audit_log(tmp_path):
    """
    Who made, changed, tried, tested, stopped and deleted what stands there, with the fields and without their values.
    """
    async with world(tmp_path, start=False) as it, it.client() as client, it.browser() as browser:
        await client.post("/api/v1/connectors", json=it.wanted())
        await client.put("/api/v1/connectors/acme-production", json=it.wanted(client_secret="", name="N"))
        await client.post("/api/v1/connectors/test", json=it.wanted())
        await client.post("/api/v1/connectors/acme-production/token")
        token = await form_token(browser, "/connectors/new")
        await browser.post("/connectors", data=fields_of(it, token) | {"name": "By form"})
        await browser.post("/connectors/by-form/check", data={"form": token})
        await it.service.connectors.stop("acme-production", actor="test")
        await client.delete("/api/v1/connectors/acme-production")
        deeds = {(deed.action, deed.target): deed for deed in it.service.state.deeds()}
        for action, target in [
            ("connector_made", "acme-production"),
            ("connector_changed", "acme-production"),
            ("connector_tried", "ACME production"),
            ("webhook_token_made", "acme-production"),
            ("connector_made", "by-form"),
            ("connector_tested", "by-form"),
            ("connector_deleted", "acme-production"),
        ]:
            assert (action, target) in deeds
        made = deeds["connector_made", "acme-production"]
        assert made.actor == "token:a admin"
        assert "client_secret" in made.detail["fields"]
        assert deeds["connector_made", "by-form"].actor == "admin"
        assert "client_secret" in deeds["connector_made", "by-form"].detail["fields"]
        assert deeds["connector_changed", "acme-production"].detail["fields"] == ["name"]


async def test_an_export_names_secrets_and_reads_back(tmp_path):
    """
    ``config export`` writes what was made in the console as TOML with variables in place of secrets.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        await client.post(
            "/api/v1/connectors", json=it.wanted(start="2026-11-01T00:00:00Z", description='with "quotes"')
        )
        of_file = load(
            tmp_path / "settings.toml", {"SECRET": "s"}, data_dir=tmp_path / "data", folder=tmp_path
        )
        text = export(with_console(of_file))
        assert 'client_secret = { env = "ACME_PRODUCTION_CLIENT_SECRET" }' in text
        path = tmp_path / "exported.toml"
        path.write_text(text)
        environ = {"SECRET": "s", "ACME_PRODUCTION_CLIENT_SECRET": CLIENT_SECRET}
        back = load(path, environ, folder=tmp_path).connectors["acme-production"]
        assert back == it.service.settings.connectors["acme-production"]


MISTAKES = [
    {}, {"name": ""}, {"name": " "}, {"name": "x" * 81}, {"name": "a\u0007b"}, {"name": 5}, {"nme": "x"},
    {"name": "x", "poll_seconds": 0}, {"name": "x", "poll_seconds": 1e12}, {"name": "x", "overlap_minutes": -1},
    {"name": "x", "domain": "onelogin.com.evil.example"}, {"name": "x", "domain": "a@b"},
    {"name": "x", "domain": "acme", "client_id": "i"}, {"name": "x", "client_secret": "s"},
    {"name": "x", "client_id": "i", "client_secret": "s"}, {"name": "x", "start": "2026-11-01T00:00:00"},
    {"name": "x", "api_url": "https://u:p@example.com"}, {"name": "x", "api_url": "ftp://example.com"},
    {"name": "x", "domain": "acme", "client_id": "i", "client_secret": "é"}, {"name": "x", "time_rule": "up"},
]  # fmt: skip


async def test_what_cannot_be_used_is_refused(tmp_path):
    """
    Each mistake is a problem that names it, and nothing is made.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        for body in MISTAKES:
            answer = await client.post("/api/v1/connectors", json=body)
            assert answer.status_code == 422, body
            assert answer.json()["detail"]
        assert it.service.state.parts("connector") == []


async def form_token(browser, path):
    """
    Return the token of a page's form.
    """
    return re.search(r'name="form" value="(\w+)"', (await browser.get(path)).text)[1]


def fields_of(it, token):
    """
    Return what the form of the simulated account would send.
    """
    return {key: str(value) for key, value in it.wanted().items()} | {"form": token}
