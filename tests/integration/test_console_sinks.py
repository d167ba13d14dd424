"""
Sinks made over the API and the console while the service runs, and everything that somebody could try to steal by them.
"""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest
from msgspec import convert, json

from integration.test_connectors import Thief, world
from onelogin_connector.config import export, load
from onelogin_connector.event import Way
from onelogin_connector.service import build, checks
from onelogin_connector.service.delivering import sink_of
from onelogin_connector.service.exporting import sinks_of_console, with_console
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import (
    CLIENT_ID,
    CLIENT_SECRET,
    LEGACY_ID,
    RULE_ID,
    TENANT_ID,
    WORKSPACE_KEY,
    Subscription,
)
from onelogin_connector.simulator.serving import bind, serving
from onelogin_connector.sources.body import records
from onelogin_connector.sources.reading import read_all
from onelogin_connector.state import State
from onelogin_connector.status import State as Stand
from onelogin_connector.web.access import Role
from passwords import QUICK
from patience import until

pytestmark = pytest.mark.anyio

OTHER_KEY = "b3RoZXIga2V5IG9mIGEgd29ya3NwYWNl"


def legacy(url, **changes):
    """
    Return what is entered for a sink into the simulated workspace.
    """
    settings = {"workspace_id": LEGACY_ID, "workspace_key": WORKSPACE_KEY, "endpoint": url}
    inner = changes.pop("settings", {})
    return {"name": "legacy", "kind": "data_collector", "settings": settings | inner} | changes


def sentinel(url, **credential):
    """
    Return what is entered for a sink by the Logs Ingestion API.
    """
    signed = {
        "kind": "client_secret",
        "tenant_id": TENANT_ID,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "authority": url,
    }
    settings = {"endpoint": url, "rule_id": RULE_ID, "credential": credential or signed}
    return {"name": "sentinel", "kind": "logs_ingestion", "settings": settings}


class Azure:
    """
    A simulated Azure in this process.
    """

    def __init__(self, subscription, url):
        self.subscription, self.url = subscription, url

    def notes(self):
        return [row["notes_s"] for row in self.subscription.legacy.rows("OneLogin_CL")]


@asynccontextmanager
async def azure():
    """
    Serve a simulated Azure.
    """
    subscription = Subscription()
    async with serving(Api(subscription), bind()) as url:
        yield Azure(subscription, url)


async def give(it, *notes):
    """
    Put events into the journal.
    """
    body = json.encode([{"uuid": note, "account_id": 1, "event_type_id": 5, "notes": note} for note in notes])
    reading = read_all(
        records(body),
        connector="fixed",
        way=Way.WEBHOOK,
        received_us=int(it.clock() * 1e6),
        body_hash=lambda: b"h" * 16,
    )
    await it.service.journal.append(reading.events)


async def form_token(browser):
    """
    Return the token of the session's forms.
    """
    page = await browser.get("/sinks/new")
    return re.search(r'name="form" value="(\w+)"', page.text)[1]


def form_of(url, **changes):
    """
    Return the fields that a browser sends for a new sink into the simulated workspace.
    """
    return {
        "kind": "data_collector",
        "name": "legacy",
        "enabled": "true",
        "backlog_limit": "",
        "pause_after_refusals": "100",
        "settings.workspace_id": LEGACY_ID,
        "settings.workspace_key": WORKSPACE_KEY,
        "settings.endpoint": url,
        "settings.log_type": "",
    } | changes


async def test_a_sink_that_is_made_gets_events_at_once(tmp_path):
    """
    What the journal still holds, and what comes; it is tested by itself, and no answer shows its secret.
    """
    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        await give(it, "before")
        answer = await client.post("/api/v1/sinks", json=legacy(cloud.url))
        assert answer.status_code == 201, answer.text
        assert answer.json()["editable"]
        await give(it, "after")
        await it.until(lambda: sorted(cloud.notes()) == ["after", "before"])
        shown = await client.get("/api/v1/sinks/legacy")
        await it.until(lambda: any(each.target == "legacy" for each in it.service.state.checks()))
        shown = await client.get("/api/v1/sinks/legacy")
        assert shown.json()["check"]["ok"]
        assert shown.json()["entered"]["settings"] == {"workspace_id": LEGACY_ID, "endpoint": cloud.url}
        texts = [answer.text, shown.text, (await client.get("/sinks/legacy/edit")).text]
        texts += [(await client.get(path)).text for path in ("/sinks", "/sinks/legacy", "/api/v1/sinks")]
        assert not [text for text in texts if WORKSPACE_KEY in text]


async def test_a_new_sink_may_begin_with_what_comes(tmp_path):
    """
    Then it gets nothing of before, and is owed nothing of it either.
    """
    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        await give(it, "before")
        await client.post("/api/v1/sinks", json=legacy(cloud.url, begin="now"))
        await give(it, "after")
        await it.until(lambda: cloud.notes() == ["after"])
        assert it.service.deliveries["legacy"].checkpoint.owed == []


async def test_a_new_sink_is_owed_nothing_of_what_was_pruned(tmp_path):
    """
    It is not detached from its first moment on because the journal began before it.
    """
    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        await give(it, "one", "two")
        last = it.service.journal.last_offset
        await it.until(lambda: it.service.least_checkpoint() == last)
        it.clock.ahead = 3 * 86_400.0
        await it.service.journal.prune(it.service.least_checkpoint())
        assert it.service.journal.stats()["entries"] == 0
        it.clock.ahead = 0.0  # Azure takes no signature of another day
        await client.post("/api/v1/sinks", json=legacy(cloud.url))
        await give(it, "three")
        await it.until(lambda: cloud.notes() == ["three"])
        assert it.service.deliveries["legacy"].checkpoint.owed == []


async def test_a_sink_is_replaced_while_events_come(tmp_path):
    """
    Whatever is changed in the middle, every event arrives.
    """
    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(cloud.url))
        for number in range(6):
            await give(it, f"{number} a", f"{number} b")
            kept = legacy(cloud.url, settings={"workspace_key": "", "include_backfill": number % 2 == 0})
            assert (await client.put("/api/v1/sinks/legacy", json=kept)).status_code == 200
            await give(it, f"{number} c")
        wanted = {f"{number} {letter}" for number in range(6) for letter in "abc"}
        await it.until(lambda: wanted <= set(cloud.notes()))
        assert [each.get_name() for each in asyncio.all_tasks()].count("delivery legacy") == 1


async def test_turning_a_sink_off_lets_go_of_the_journal(tmp_path):
    """
    A disabled sink gets nothing and holds nothing; turned on again it goes on.
    """
    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(cloud.url))
        off = legacy(cloud.url, enabled=False, settings={"workspace_key": ""})
        assert (await client.put("/api/v1/sinks/legacy", json=off)).status_code == 200
        assert "legacy" not in it.service.deliveries
        refused = await client.post("/api/v1/sinks/legacy/pause", json={})
        assert "Turn it on in its form." in refused.text
        await give(it, "meanwhile")
        on = off | {"enabled": True}
        assert (await client.put("/api/v1/sinks/legacy", json=on)).status_code == 200
        await it.until(lambda: cloud.notes() == ["meanwhile"])


async def test_a_stored_secret_goes_nowhere_else(tmp_path):
    """
    Neither a save nor a test sends it to another address, workspace or tenant than it was entered for.
    """
    thief = Thief(b"{}")
    async with (
        azure() as cloud,
        serving(thief, bind()) as elsewhere,
        world(tmp_path, start=False) as it,
        it.client() as client,
    ):
        assert (await client.post("/api/v1/sinks", json=legacy(cloud.url))).status_code == 201
        assert (await client.post("/api/v1/sinks", json=sentinel(cloud.url))).status_code == 201
        other = "11111111-1111-1111-1111-111111111111"
        signed = sentinel(cloud.url)["settings"]["credential"] | {"client_secret": ""}
        thefts = [
            ("legacy", {"endpoint": elsewhere}),
            ("legacy", {"workspace_id": other}),
            ("legacy", {"cloud": "china"}),
            ("sentinel", {"endpoint": elsewhere}),
            ("sentinel", {"credential": signed | {"authority": elsewhere}}),
            ("sentinel", {"credential": signed | {"tenant_id": "another"}}),
            ("sentinel", {"credential": {"kind": "static_token", "token": ""}}),
        ]
        for name, changes in thefts:
            kept = legacy(cloud.url) if name == "legacy" else sentinel(cloud.url)
            settings = kept["settings"] | {"workspace_key": ""} if name == "legacy" else kept["settings"]
            settings = settings | ({} if name == "legacy" else {"credential": signed}) | changes
            for method, path in (
                ("PUT", f"/api/v1/sinks/{name}"),
                ("POST", f"/api/v1/sinks/test?sink={name}"),
            ):
                answer = await client.request(method, path, json=kept | {"settings": settings})
                assert answer.status_code == 422, (name, changes, answer.text)
                assert "secret" in answer.text or "Enter it" in answer.text
        assert thief.calls == 0
        fine = await client.post(
            "/api/v1/sinks/test?sink=legacy", json=legacy(cloud.url, settings={"workspace_key": ""})
        )
        assert fine.json()["headline"] == "Connection successful"


async def test_a_new_secret_voids_the_old_one(tmp_path):
    """
    Once another address was saved with a secret of its own, the former secret is gone, not kept for later.
    """
    async with azure() as cloud, azure() as second, world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(cloud.url))
        moved = legacy(second.url, settings={"workspace_key": OTHER_KEY})
        assert (await client.put("/api/v1/sinks/legacy", json=moved)).status_code == 200
        back = legacy(cloud.url, settings={"workspace_key": ""})
        assert (await client.put("/api/v1/sinks/legacy", json=back)).status_code == 422


NOT_PUBLIC = (
    "http://127.0.0.1:9",
    "https://127.0.0.1",
    "https://localhost",
    "https://10.0.0.1",
    "https://169.254.169.254",
    "https://[::1]",
    "https://[::ffff:10.0.0.1]",
    "http://example.com",
    "https://user:pw@example.com",
    "ftp://example.com",
)


async def test_hosts_that_are_not_public_are_refused(tmp_path):
    """
    What is typed into a form is no way into the network of this machine.
    """
    async with world(tmp_path, allow=False, start=False) as it, it.client() as client:
        for url in NOT_PUBLIC:
            for path in ("/api/v1/sinks", "/api/v1/sinks/test"):
                answer = await client.post(path, json=legacy(url))
                assert answer.status_code == 422, (url, answer.text)
                assert "settings.endpoint" in answer.json()["detail"]
        assert "legacy" not in it.service.settings.sinks


async def test_what_belongs_to_the_machine_stays_with_the_settings_file(tmp_path):
    """
    References to variables and files, files by name, and the machine's identity for a place of somebody's own.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        for settings in (
            {"workspace_key": {"env": "SECRET"}},
            {"workspace_key": {"file": "/etc/passwd"}},
        ):
            answer = await client.post("/api/v1/sinks", json=legacy("https://example.com", settings=settings))
            assert answer.status_code == 422
            assert "settings.workspace_key" in answer.json()["detail"]
        read = sentinel(
            "https://a.ingest.monitor.azure.com", kind="workload_identity", token_file="/etc/shadow"
        )
        answer = await client.post("/api/v1/sinks", json=read)
        assert "only the settings file may set it" in answer.json()["detail"]
        for kind in ("managed_identity", "workload_identity"):
            stolen = sentinel("https://collector.example.com", kind=kind)
            stolen["settings"]["cloud"] = "public"
            answer = await client.post("/api/v1/sinks", json=stolen)
            assert answer.status_code == 422
            assert "Azure's endpoints alone" in answer.json()["detail"]
        own = await client.post(
            "/api/v1/sinks",
            json=sentinel("https://a-b.westeurope-1.ingest.monitor.azure.com", kind="managed_identity"),
        )
        assert own.status_code == 201, own.text
        store = await client.post("/api/v1/sinks", json={"name": "more", "kind": "store", "settings": {}})
        assert store.status_code == 422


async def test_words_of_an_unknown_host_are_not_repeated(tmp_path):
    """
    A test shows status and reason, never what a host that somebody named has answered.
    """
    thief = Thief(json.encode({"Error": "Odd", "Message": "MARKED by the host"}), status=403)
    async with serving(thief, bind()) as elsewhere, world(tmp_path, start=False) as it, it.client() as client:
        answer = await client.post("/api/v1/sinks/test", json=legacy(elsewhere))
        assert answer.status_code == 200
        assert not answer.json()["ok"]
        assert "403" in answer.text
        assert "MARKED" not in answer.text
        redirecting = Thief(status=307, headers=[(b"location", elsewhere.encode())])
        async with serving(redirecting, bind()) as there:
            calls = thief.calls
            await client.post("/api/v1/sinks/test", json=legacy(there))
            assert (redirecting.calls, thief.calls) == (1, calls)


async def test_a_try_that_never_begins_leaves_no_connections(tmp_path, monkeypatch):
    """
    A sink that is tried is there only while its stages are done: one that is ended before, or waits, holds nothing open.
    """
    still_open = []

    def watched(*values, **options):
        made = sink_of(*values, **options)
        still_open.append(made)
        close = made.close

        async def closing():
            still_open.remove(made)
            await close()

        made.close = closing
        return made

    monkeypatch.setattr(checks, "sink_of", watched)
    async with world(tmp_path, start=False) as it:
        wanted = convert(legacy("http://127.0.0.1:9"), WantedSink)
        for _ in range(3):
            await it.service.checks.begin_entered_sink(None, wanted)
        await it.service.checks.close()
        assert still_open == []
        async with it.service.checks._entered:  # all but one place is free
            ended = await it.service.checks.begin_entered_sink(None, wanted)
            await ended.done.wait()
        assert [stage.stage for stage in ended.stages] == list(ended.planned)
    assert still_open == []


async def test_what_the_file_defines_is_read_only(tmp_path):
    """
    Its sinks are shown without a form, and neither changed nor deleted.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        for method, path in (
            ("PUT", "/api/v1/sinks/store"),
            ("DELETE", "/api/v1/sinks/store?confirmed=true"),
        ):
            answer = await client.request(method, path, json=legacy("https://example.com"))
            assert answer.status_code == 422, answer.text
            assert "settings file" in answer.json()["detail"]
        assert (await client.get("/sinks/store/edit")).status_code == 409
        page = (await client.get("/sinks/store")).text
        assert "/sinks/store/edit" not in page
        assert "/sinks/store/delete" not in page
        assert not (await client.get("/api/v1/sinks/store")).json()["editable"]


async def test_only_admins_change_sinks(tmp_path):
    """
    Viewers look, operators pause; forms, tests and changes are the admin's.
    """
    async with azure() as cloud, world(tmp_path, start=False) as it, it.client(Role.OPERATOR) as operator:
        for method, path in (
            ("POST", "/api/v1/sinks"),
            ("POST", "/api/v1/sinks/test"),
            ("PUT", "/api/v1/sinks/store"),
            ("DELETE", "/api/v1/sinks/store"),
            ("POST", "/api/v1/sinks/store/delete"),
            ("GET", "/api/v1/sinks/kinds"),
            ("GET", "/sinks/new"),
            ("GET", "/sinks/new/data_collector"),
            ("GET", "/sinks/store/edit"),
            ("POST", "/sinks"),
        ):
            answer = await operator.request(method, path, json=legacy(cloud.url))
            assert answer.status_code == 403, (method, path, answer.text)
        assert "/sinks/new" not in (await operator.get("/sinks")).text


async def test_a_pause_lasts_over_a_restart(tmp_path):
    """
    Of sinks of the file and of the console; the page says who did it; resumed, it does not come back.
    """
    async with azure() as cloud:
        async with world(tmp_path) as it, it.client() as client:
            await client.post("/api/v1/sinks", json=legacy(cloud.url))
            for name in ("legacy", "store"):
                assert (await client.post(f"/api/v1/sinks/{name}/pause", json={})).status_code == 200
        async with world(tmp_path) as it, it.client() as client:
            for name in ("legacy", "store"):
                shown = (await client.get(f"/api/v1/sinks/{name}")).json()
                assert shown["paused_by"] == "token:a admin"
                assert shown["row"]["error"] == "Paused by token:a admin."
                assert it.service.deliveries[name].status.state is Stand.PAUSED
            assert "stays so over restarts" in (await client.get("/sinks/legacy")).text
            await give(it, "waits")
            await asyncio.sleep(0.2)
            assert cloud.notes() == []
            await client.put(
                "/api/v1/sinks/legacy",
                json=legacy(cloud.url, settings={"workspace_key": "", "include_backfill": True}),
            )
            assert it.service.deliveries["legacy"].status.state is Stand.PAUSED, "a change ends no pause"
            await client.post("/api/v1/status/sinks/legacy/start", json={})
            await client.post("/api/v1/sinks/store/resume", json={})
            await it.until(lambda: cloud.notes() == ["waits"])
        async with world(tmp_path) as it:
            assert it.service.state.sinks.pauses() == {}
            assert it.service.deliveries["store"].status.state is not Stand.PAUSED


async def test_deleting_asks_for_a_pause_and_a_word(tmp_path):
    """
    An active sink is not deleted, nor a paused one for which events wait unless that is meant; then all of it goes.
    """
    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(cloud.url))
        active = await client.delete("/api/v1/sinks/legacy?confirmed=true")
        assert "Pause it first" in active.json()["action"]
        await client.post("/api/v1/sinks/legacy/pause", json={})
        await give(it, "one", "two")
        assert "2 events that wait" in (await client.get("/sinks/legacy")).text
        waiting = await client.delete("/api/v1/sinks/legacy")
        assert waiting.json()["detail"] == "2 entries wait for the sink legacy, and would not be sent."
        unsure = await client.post("/api/v1/sinks/legacy/delete", json={})
        assert unsure.status_code == 422
        gone = await client.delete("/api/v1/sinks/legacy?confirmed=true")
        assert gone.json() == {"deleted": "legacy", "backlog": 2}
        assert (await client.get("/api/v1/sinks/legacy")).status_code == 404
        state = it.service.state
        assert (state.parts("sink"), state.sinks.secrets("legacy"), state.sinks.pauses()) == ([], {}, {})
        # one of that name begins anew
        await client.post("/api/v1/sinks", json=legacy(cloud.url, begin="now"))
        await give(it, "three")
        await it.until(lambda: cloud.notes() == ["three"])


async def test_every_mistake_stands_beside_its_field(tmp_path):
    """
    The form comes back with what was entered, the secret left out, and a sentence for each field.
    """
    async with azure() as cloud, world(tmp_path, start=False) as it, it.browser() as browser:
        token = {"form": await form_token(browser)}
        wrong = {"settings.workspace_id": "no guid", "backlog_limit": "12", "name": "Not A Name"}
        answer = await browser.post("/sinks", data=form_of(cloud.url, **wrong) | token)
        assert answer.status_code == 422
        assert "no guid" in answer.text
        assert "A whole number from 1000 on." in answer.text
        assert WORKSPACE_KEY not in answer.text
        assert answer.text.count('aria-invalid="true"') + answer.text.count("aria-invalid=true") >= 1
        wrong = {"settings.workspace_id": "no guid", "settings.log_type": "OneLogin_CL"}
        answer = await browser.post("/sinks", data=form_of(cloud.url, **wrong) | token)
        assert "Expected a workspace id such as" in answer.text
        store = await browser.post("/sinks", data=form_of(cloud.url, kind="store") | token)
        assert "Nothing was saved." in store.text
        assert "set up in the settings file" in store.text
        endless = await browser.post("/sinks", data=form_of(cloud.url, backlog_limit="9" * 5_000) | token)
        assert endless.status_code == 422
        taken = await browser.post("/sinks", data=form_of(cloud.url, name="store") | token)
        assert "This name belongs to another sink." in taken.text
        variant = {
            "kind": "logs_ingestion",
            "name": "sentinel",
            "enabled": "true",
            "settings.endpoint": "https://a.ingest.monitor.azure.com",
            "settings.rule_id": RULE_ID,
            "settings.credential.kind": "client_secret",
            "settings.credential.client_secret.tenant_id": "?",
        }
        answer = await browser.post("/sinks", data=variant | token)
        assert answer.status_code == 422
        assert answer.text.count("Enter it") >= 2
        assert 'value="client_secret" checked' in answer.text
        assert [*it.service.settings.sinks] == ["store"]


async def test_a_form_makes_changes_tests_and_deletes(tmp_path):
    """
    As a browser without script sends it: a box that is not ticked is off, an empty secret keeps the stored one.
    """
    async with azure() as cloud, world(tmp_path, start=False) as it, it.browser() as browser:
        token = {"form": await form_token(browser)}
        tried = await browser.post("/sinks/test", data=form_of(cloud.url) | token)
        assert "Connection successful" in tried.text
        assert [*it.service.settings.sinks] == ["store"]
        made = await browser.post("/sinks", data=form_of(cloud.url) | token)
        assert (made.status_code, made.headers["location"]) == (303, "/sinks/legacy")
        assert not it.service.settings.sinks["legacy"].settings.include_backfill
        ticked = {"settings.workspace_key": "", "settings.include_backfill": "true", "backlog_limit": "5000"}
        changed = await browser.post("/sinks/legacy", data=form_of(cloud.url, **ticked) | token)
        assert changed.status_code == 303, changed.text
        sink = it.service.settings.sinks["legacy"]
        assert (sink.settings.include_backfill, sink.backlog_limit) == (True, 5000)
        edit = (await browser.get("/sinks/legacy/edit")).text
        assert re.search(r'name="settings.include_backfill" value="true" checked', edit)
        await browser.post("/sinks/legacy/pause", data=token)
        await browser.post("/sinks/legacy/delete", data=token | {"confirmed": "true"})
        assert [*it.service.settings.sinks] == ["store"]


async def test_the_audit_log_names_fields_and_no_values(tmp_path):
    """
    Of forms as of the API, of connectors as of sinks: what was entered anew, secrets by name.
    """
    async with (
        azure() as cloud,
        world(tmp_path, start=False) as it,
        it.client() as client,
        it.browser() as browser,
    ):
        token = {"form": await form_token(browser)}
        await browser.post("/sinks", data=form_of(cloud.url) | token)
        await client.put(
            "/api/v1/sinks/legacy",
            json=legacy(cloud.url, settings={"workspace_key": OTHER_KEY, "include_backfill": True}),
        )
        connector = {key: str(value) for key, value in it.wanted().items()}
        await browser.post("/connectors", data=connector | token)
        renamed = connector | {"client_secret": "", "name": "Renamed", "allowed_networks": "203.0.113.0/24"}
        await browser.post("/connectors/acme-production", data=renamed | token)
        deeds = [(deed.action, deed.actor, deed.detail.get("fields")) for deed in it.service.state.deeds()]
        fields = ["endpoint", "kind", "name", "workspace_id", "workspace_key"]
        assert ("sink_made", "admin", fields) in deeds
        assert ("sink_changed", "token:a admin", ["include_backfill", "workspace_key"]) in deeds
        assert ("connector_changed", "admin", ["name", "allowed_networks"]) in deeds
        made = next(fields for action, _, fields in deeds if action == "connector_made")
        assert {"name", "client_id", "client_secret"} <= set(made)
        kept = repr([deed.detail for deed in it.service.state.deeds()])
        assert not [secret for secret in (WORKSPACE_KEY, OTHER_KEY, "203.0.113.0") if secret in kept]


async def test_a_sink_that_cannot_be_used_harms_only_itself(tmp_path):
    """
    Without the key its secret is unreadable: the program starts, says so on every page, and takes it anew or deletes it.
    """
    async with azure() as cloud:
        async with world(tmp_path) as it, it.client() as client:
            await client.post("/api/v1/sinks", json=legacy(cloud.url))
        (tmp_path / "data" / "secret.key").unlink()
        async with world(tmp_path) as it, it.client() as client:
            assert [*it.service.settings.sinks] == ["store"]
            (alarm,) = [each for each in it.service.alarms() if each.name == "unusable legacy"]
            assert "legacy" in alarm.message
            edit = await client.get("/sinks/legacy/edit")
            assert (edit.status_code, "Enter it again, with its secrets" in edit.text) == (200, True)
            assert (await client.put("/api/v1/sinks/legacy", json=legacy(cloud.url))).status_code == 200
            assert [each.name for each in it.service.alarms() if each.name == "unusable legacy"] == []
            await give(it, "again")
            await it.until(lambda: cloud.notes() == ["again"])


async def test_kinds_say_what_their_forms_ask_for(tmp_path):
    """
    Choices, units, defaults, secrets and tables come from the settings; what only the file may set has no field.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        kinds = {each["kind"]: each for each in (await client.get("/api/v1/sinks/kinds")).json()["kinds"]}
        assert set(kinds) == {"data_collector", "logs_ingestion"}
        fields = {each["name"]: each for each in kinds["logs_ingestion"]["fields"]}
        assert fields["table"]["choices"] == ["OneLogin_CL", "OneLoginEventsV2_CL"]
        assert fields["include_raw"]["input"] == "flag"
        assert fields["endpoint"]["required"]
        variants = {each["kind"]: each for each in fields["credential"]["variants"]}
        assert set(variants) == {"client_secret", "managed_identity", "workload_identity", "static_token"}
        secrets = [each for each in variants["client_secret"]["fields"] if each["input"] == "secret"]
        assert [each["place"] for each in secrets] == ["credential.client_secret"]
        assert "token_file" not in repr(variants["workload_identity"])
        shown = {
            kind: [each["name"] for each in part["fields"] if not each["folded"]]
            for kind, part in variants.items()
        }
        assert shown == {
            "client_secret": ["tenant_id", "client_id", "client_secret"],
            "managed_identity": ["client_id"],
            "workload_identity": [],
            "static_token": ["token"],
        }


async def test_an_export_names_the_sinks_of_the_console(tmp_path):
    """
    As TOML with variables in place of secrets, which reads back as the same settings.
    """
    async with azure() as cloud, world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(cloud.url, backlog_limit=7_000))
        await client.post("/api/v1/sinks", json=sentinel(cloud.url))
        environ = {"SECRET": "secret-of-the-file"}
        of_file = load(tmp_path / "settings.toml", environ, data_dir=tmp_path / "data", folder=tmp_path)
        text = export(with_console(of_file), sinks_of_console(of_file))
        assert not [secret for secret in (WORKSPACE_KEY, CLIENT_SECRET) if secret in text]
        (tmp_path / "exported.toml").write_text(text)
        names = set(re.findall(r'env = "(\w+)"', text))
        given = environ | {name: WORKSPACE_KEY if "KEY" in name else CLIENT_SECRET for name in names}
        again = load(tmp_path / "exported.toml", given | environ, folder=tmp_path)
        for name in ("legacy", "sentinel"):
            assert again.sinks[name] == it.service.settings.sinks[name]


async def test_figures_of_sinks_survive_a_restart(tmp_path):
    """
    What was delivered within the day is known after it, and counted once.
    """
    async with azure() as cloud:
        async with world(tmp_path) as it, it.client() as client:
            await client.post("/api/v1/sinks", json=legacy(cloud.url))
            await it.until(lambda: it.service.collecting._resumed)
            it.service.collecting.look()
            await give(it, "one", "two", "three")
            await it.until(lambda: len(cloud.notes()) == 3)
            await it.until(lambda: it.service.deliveries["legacy"].checkpoint.delivered == 3)
        async with world(tmp_path) as it, it.client() as client:
            await it.until(lambda: it.service.collecting.meter.gauge("sink legacy") is not None)
            await give(it, "four")
            await it.until(lambda: it.service.deliveries["legacy"].checkpoint.delivered == 4)
            it.service.collecting.look()
            row = (await client.get("/api/v1/sinks/legacy")).json()["row"]
            assert (row["delivered_day"], row["delivered"]) == (4, 4)
            assert row["last_delivery"] is not None


async def test_a_file_that_takes_a_name_over_wins(tmp_path):
    """
    A sink of the file hides one of the console, whose secret it never gets.
    """
    async with azure() as cloud, world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(cloud.url, name="twice"))
    path = tmp_path / "settings.toml"
    path.write_text(
        f'{path.read_text()}[sinks.twice]\nkind = "data_collector"\nworkspace_id = "{LEGACY_ID}"\n'
        'workspace_key = { env = "KEY" }\n'
    )
    environ = {"SECRET": "secret-of-the-file", "KEY": OTHER_KEY}
    service = build(load(path, environ, data_dir=tmp_path / "data", folder=tmp_path), hasher=QUICK)
    try:
        assert service.settings.sinks["twice"].settings.workspace_key.reveal() == OTHER_KEY
        assert service.sinks.made("twice") is None
    finally:
        await service.stop()
    state = State(tmp_path / "data")
    assert [part.id for part in state.parts("sink")] == ["twice"]
    state.close()


async def test_who_waits_for_a_check_that_never_began_is_told_its_end(tmp_path):
    """
    A check that is cancelled before its first step ends too: the hourly round waits for each.
    """
    async with world(tmp_path, start=False) as it:
        run = it.service.checks.begin_sink("store")
        await it.service.checks.close()
        await until(run.done.is_set, seconds=5)
        assert run.stages == []
