"""
An admin makes a sink in a browser: the kind, its form, the live test, its first events, its end.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Self

import httpx2
import pytest
from playwright.sync_api import expect

from browser.waiting import reload_until
from onelogin_connector.service.folder import control_socket
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
from onelogin_connector.simulator.azure.trouble import Endpoint, Fault, Trouble
from onelogin_connector.simulator.serving import bind, serving
from patience import PATIENCE_SECONDS


class Azure:
    """
    A simulated Azure in a thread of its own: the browser's loop runs in this one.
    """

    def __init__(self) -> None:
        self.subscription = Subscription(sleep=self._held)
        self.gate = threading.Event()
        """Until it is open, slow answers stay out."""
        self._loop = asyncio.new_event_loop()
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(),), daemon=True
        )
        self.url = ""

    async def _held(self, _seconds: float) -> None:
        await asyncio.to_thread(self.gate.wait, PATIENCE_SECONDS)

    async def _serve(self) -> None:
        async with serving(Api(self.subscription), bind()) as url:
            self.url = url
            self._ready.set()
            await self._over.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()


@pytest.fixture(scope="module")
def azure() -> Iterator[Azure]:
    """
    Serve a simulated Azure.
    """
    with Azure() as found:
        yield found


def test_from_the_kind_to_the_first_event(tab, own, azure):
    """
    A mistake stands beside its field and loses nothing but the secret; the test says that it works, without saving; saved,
    events arrive; paused, it can be deleted, and says what waits.
    """
    own.post(b'[{"uuid":"a","account_id":1,"event_type_id":5,"notes":"held"}]')
    tab.goto("/sinks")
    tab.get_by_role("link", name="New sink").click()
    tab.get_by_role("link", name="Data collector").click()
    tab.get_by_label("Name").fill("workspace")
    tab.get_by_label("Workspace ID").fill("no id")
    tab.get_by_label("Workspace key").fill(WORKSPACE_KEY)
    tab.get_by_text("More options").click()
    tab.get_by_label("Endpoint").fill(azure.url)
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("alert")).to_contain_text("1 field needs another look")
    tab.wait_for_load_state()  # its script, too: without it a test opens beside the form
    assert tab.get_by_label("Workspace ID").get_attribute("aria-invalid") == "true"
    assert tab.get_by_label("Workspace key").input_value() == ""
    tab.get_by_label("Workspace ID").fill(LEGACY_ID)
    tab.get_by_label("Workspace key").fill(WORKSPACE_KEY)
    tab.get_by_role("button", name="Test Connection").click()
    expect(tab.locator("#tested .headline")).to_contain_text("Connection successful")
    assert len(own.ask("GET", "sinks")["sinks"]) == 1
    tab.get_by_role("button", name="Save").click()
    tab.wait_for_url("**/sinks/workspace")
    expect(tab.get_by_role("status")).to_contain_text("The sink workspace is made")
    expect(tab.locator("dd").filter(has_text="the console")).to_be_visible()
    own.post(b'[{"uuid":"b","account_id":1,"event_type_id":5,"notes":"new"}]')
    expect(tab.locator(".figure").filter(has_text="Delivered")).to_contain_text("2")
    assert {row["notes_s"] for row in azure.subscription.legacy.rows("OneLogin_CL")} == {"held", "new"}
    tab.get_by_role("button", name="Pause").click()
    expect(tab.locator(".stand")).to_contain_text("It stays so over restarts")
    own.post(b'[{"uuid":"c","account_id":1,"event_type_id":5}]')
    tab.reload()
    expect(tab.locator(".stand")).to_contain_text("It stays so over restarts")
    tab.get_by_text("Delete", exact=True).click()
    expect(tab.get_by_text("The event that waits for it is not sent.")).to_be_visible()
    tab.get_by_role("button", name="Delete for ever").click()
    tab.wait_for_url("**/sinks")
    expect(tab.get_by_role("row").filter(has_text="workspace")).to_have_count(0)


def test_the_form_by_keyboard(tab, azure):
    """
    Arrows choose the kind of credential and its fields follow; every field has a name; Enter saves.
    """
    tab.goto("/sinks/new/logs_ingestion")
    tab.get_by_label("Endpoint").focus()
    tab.keyboard.type("https://a-b.westeurope-1.ingest.monitor.azure.com")
    tab.keyboard.press("Tab")
    tab.keyboard.type(RULE_ID)
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("radio", name="Client secret")).to_be_focused()
    expect(tab.get_by_label("Tenant ID").first).to_be_visible()
    tab.keyboard.press("ArrowDown")
    expect(tab.get_by_role("radio", name="Managed identity")).to_be_checked()
    expect(tab.get_by_label("Tenant ID").first).to_be_hidden()
    unnamed = tab.evaluate(
        """[...document.querySelectorAll('main input:not([type=hidden]), main select, main textarea')]
           .filter(each => !each.labels.length && !each.ariaLabel).map(each => each.name)"""
    )
    assert unnamed == []
    tab.get_by_label("Name", exact=False).first.focus()
    tab.keyboard.press("ControlOrMeta+a")
    tab.keyboard.type("by-keys")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/sinks/by-keys")


def test_without_script_nothing_is_missing(window, own, signed_in_at_own, azure):
    """
    The form, its test and its choice of credentials work by HTML and style alone.
    """
    page = window(storage_state=signed_in_at_own, base_url=own.url, java_script_enabled=False)
    page.goto("/sinks/new/logs_ingestion")
    page.get_by_label("Name", exact=False).first.fill("plain")
    page.get_by_label("Endpoint").fill(azure.url)
    page.get_by_label("Rule ID").fill(RULE_ID)
    page.get_by_label("Static token").check()
    page.get_by_label("Token", exact=False).last.fill("a-token-that-nobody-gave")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Test Connection").click()
    expect(opened.value.locator(".headline")).to_contain_text("Post Stage:")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/sinks/plain")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Static token")).to_be_checked()
    assert "a-token-that-nobody-gave" not in page.content()
    expect(page.get_by_text("It was entered for")).to_be_visible()


def test_what_has_a_usual_default_is_folded(tab):
    """
    Beside what is required a form shows what many choose; the rest unfolds, within a credential too, with what is wrong in it.
    """
    tab.goto("/sinks/new/logs_ingestion")
    expect(tab.get_by_label("Table", exact=True)).to_be_visible()
    authority = tab.get_by_label("Authority")
    expect(authority).to_be_hidden()
    tab.get_by_text("More options: Client secret").click()
    authority.fill("https://login.example.com")
    tab.get_by_label("Name", exact=False).first.fill("folded")
    tab.get_by_label("Endpoint").fill("https://a-b.westeurope-1.ingest.monitor.azure.com")
    tab.get_by_label("Rule ID").fill(RULE_ID)
    for name in ("Tenant ID", "Client ID"):
        tab.get_by_label(name).first.fill(LEGACY_ID)
    tab.get_by_role("textbox", name="Client secret").fill("a-secret")
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator(".flash.error")).to_contain_text("1 field needs another look")
    expect(authority).to_be_visible()
    expect(tab.get_by_text("only a simulator on this machine is named here")).to_be_visible()


def test_stages_of_a_test_appear_as_they_are_done(tab, own, azure):
    """
    While the other side takes its time, what is done is shown, and what is to come by name; on a sink's page too.
    """
    azure.subscription.faults.add(Fault(trouble=Trouble.SLOW, where=Endpoint.INGESTION))
    azure.gate.clear()
    try:
        tab.goto("/sinks/new/logs_ingestion")
        tab.get_by_label("Name", exact=False).first.fill("live")
        tab.get_by_label("Endpoint").fill(azure.url)
        tab.get_by_label("Rule ID").fill(RULE_ID)
        tab.get_by_label("Tenant ID").first.fill(TENANT_ID)
        tab.get_by_label("Client ID").first.fill(CLIENT_ID)
        tab.get_by_role("textbox", name="Client secret").fill(CLIENT_SECRET)
        tab.get_by_text("More options: Client secret").click()
        tab.get_by_label("Authority").fill(azure.url)
        tab.get_by_role("button", name="Test Connection").click()
        stages = tab.locator("#tested .stages > li")
        expect(stages.nth(1)).to_contain_text("A token was given")
        expect(stages.nth(2)).to_contain_text("running…")
        expect(tab.locator("#tested .headline")).to_contain_text("Testing…")
        azure.gate.set()
        expect(tab.locator("#tested .headline")).to_contain_text("Connection successful")
        expect(stages).to_have_count(3)
        azure.gate.clear()
        tab.get_by_role("button", name="Save").click()
        tab.wait_for_url("**/sinks/live")
        expect(tab.locator("#check")).to_contain_text("running…")
        azure.gate.set()
        expect(tab.locator("#check .headline")).to_contain_text("Connection successful")
        azure.gate.clear()
        tab.get_by_role("button", name="Check", exact=True).click()
        expect(tab.locator("#check")).to_contain_text("running…")
        azure.gate.set()
        expect(tab.locator("#check .headline")).to_contain_text("Connection successful")
    finally:
        azure.gate.set()
        azure.subscription.faults.clear()


def test_dead_letters_are_replayed_once_the_cause_is_gone(tab, own, azure):
    """
    Refused records are letters; replayed while the cause stands they stay, and after it each arrives once: one, and in bulk.
    """
    table = azure.subscription.legacy

    def held():
        return sorted(row["notes_s"] for row in table.rows("OneLogin_CL") if "refusable" in row["notes_s"])

    made = {
        "name": "picky",
        "kind": "data_collector",
        "begin": "now",
        "settings": {"workspace_id": LEGACY_ID, "workspace_key": WORKSPACE_KEY, "endpoint": azure.url},
    }
    transport = httpx2.HTTPTransport(uds=str(control_socket(own.data_dir)))
    with httpx2.Client(transport=transport, base_url="http://localhost", timeout=PATIENCE_SECONDS) as client:
        assert client.post("/api/v1/sinks", json=made).status_code == 201
    azure.subscription.faults.add(
        Fault(
            trouble=Trouble.POISON,
            where=Endpoint.COLLECTOR,
            containing="refusable",
            status=400,
            code="InvalidDataFormat",
        )
    )
    try:
        body = [
            {"uuid": f"r{n}", "account_id": 1, "event_type_id": 5, "notes": f"refusable {n}"}
            for n in (1, 2, 3)
        ]
        own.post(json.dumps(body).encode())
        tab.goto("/dead-letters")
        row = tab.get_by_role("row").filter(has_text="picky")
        reload_until(row, 3)
        row.first.get_by_role("link").click()
        tab.get_by_role("button", name="Replay").click()
        expect(tab.locator(".flash")).to_contain_text(
            "It stays a dead letter. The sink picky refused it again."
        )
        expect(row).to_have_count(3)
        assert held() == []
        azure.subscription.faults.clear()
        row.first.get_by_role("link").click()
        tab.get_by_role("button", name="Replay").click()
        expect(tab.locator(".flash")).to_contain_text("It was accepted, and is no dead letter any more.")
        expect(row).to_have_count(2)
        assert len(held()) == 1
        for box in row.get_by_role("checkbox").all():
            box.check()
        tab.get_by_role("button", name="Replay ticked").click()
        expect(tab.get_by_role("heading", name="Replay 2 dead letters?")).to_be_visible()
        tab.get_by_role("button", name="Replay").click()
        expect(tab.locator(".flash")).to_contain_text("2 of 2 were accepted")
        expect(row).to_have_count(0)
        assert held() == ["refusable 1", "refusable 2", "refusable 3"]
    finally:
        azure.subscription.faults.clear()
