"""
An admin connects a OneLogin account in a browser: form, live test, both set-ups, the first event.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from patience import PATIENCE_SECONDS

EVENT = {"id": 1, "account_id": 77, "event_type_id": 5, "created_at": "2026-11-20T10:00:00.123Z"}


GATE = threading.Event()
"""Open unless a test wants to see what stands there while the account is asked for a token."""


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        pages = {"before_cursor": None, "after_cursor": None, "previous_link": None, "next_link": None}
        right = self.headers.get("authorization", "").startswith("Bearer token-of-the-account")
        if self.path.startswith("/api/1/events") and right:
            self._send(200, {"status": {"error": False}, "pagination": pages, "data": [EVENT]})
        else:
            self._send(401 if "/api/" in self.path else 200, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        GATE.wait(PATIENCE_SECONDS)
        credential = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()
        account, _, secret = credential.removeprefix("id-of-").partition(":")
        if secret == "the-right-secret":
            token = {"access_token": "token-of-the-account", "expires_in": 36_000, "account_id": int(account)}
            self._send(200, token)
        else:
            self._send(401, {"statusCode": 401, "message": "MARKED <b>body</b>"})

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """
        Say nothing.
        """


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """
    Serve an account that knows one credential, and takes its time.
    """
    GATE.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fill(page: Any, name: str, url: str, secret: str, account: int) -> None:
    """
    Fill in the form.
    """
    page.get_by_label("Connector Name").fill(name)
    page.get_by_label("OneLogin Domain").fill("acme.onelogin.com")
    page.get_by_label("Client ID").fill(f"id-of-{account}")
    page.get_by_label("Client Secret").fill(secret)
    if not page.get_by_label("API host").is_visible():
        page.get_by_text("More options").click()
    page.get_by_label("API host").fill(url)


def test_from_the_form_to_the_first_event(tab, own, account):
    """
    The id follows the name; a wrong secret is named live with stage and cause; mended, it is saved and tested; the
    webhook's set-up waits for the first event and turns green when it comes.
    """
    tab.goto("/connectors")
    tab.get_by_role("link", name="New connector").click()
    tab.wait_for_url("**/connectors/new")  # and for its script, which follows the name
    fill(tab, "Zürich & Co", account, "a-wrong-secret", 77)
    expect(tab.locator("#derived")).to_have_text("/webhook/zurich-co")
    GATE.clear()
    tab.get_by_role("button", name="Test Connection").click()
    tested = tab.locator("#tested")
    expect(tested.locator(".stages .now")).to_contain_text("Authentication")
    expect(tested.locator(".stages .done")).to_have_count(2)
    expect(tested.locator(".stages .later")).to_have_count(2)
    GATE.set()
    expect(tested.locator(".headline")).to_contain_text(
        "Authentication Stage: OneLogin does not accept the client id and secret."
    )
    expect(tested).to_contain_text("Response code 401, reason Unauthorized")
    expect(tested).to_contain_text("What to do:")
    expect(tested).not_to_contain_text("MARKED")
    assert tab.get_by_label("Client Secret").input_value() == "a-wrong-secret", "a test leaves the form alone"
    tab.get_by_label("Client Secret").fill("the-right-secret")
    tab.get_by_role("button", name="Test Connection").click()
    expect(tested.locator(".headline")).to_contain_text("Connection successful")
    tab.get_by_role("button", name="Save").click()
    tab.wait_for_url("**/connectors/zurich-co")
    expect(tab.locator("#check .headline")).to_contain_text("Connection successful")
    when = tab.locator("#check .headline time")
    assert re.search(r"ago|now", when.inner_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", when.get_attribute("title"))
    tab.get_by_role("button", name="Make a token").click()
    expect(tab.locator("#arrival.waiting")).to_contain_text("Waiting for the first event")
    header = tab.locator(".flash code").inner_text()
    assert re.fullmatch(r"Authorization: Bearer [\w-]{40,}", header)
    name, _, value = header.partition(": ")
    sent = httpx2.post(
        f"{own.url}/webhook/zurich-co",
        json=[{"uuid": "0b0c6a54-30ac-4e1c-b5a2-1d8a3a3ee111", "account_id": 77, "event_type_id": 5}],
        headers={name: value},
        timeout=PATIENCE_SECONDS,
    )
    assert sent.status_code == 200, sent.text
    expect(tab.locator("#arrival.here")).to_contain_text("Events arrive.")
    tab.reload()
    assert value not in tab.content(), "a token is shown once"


def test_editing_keeps_the_secret_and_another_host_wants_it_again(tab, account):
    """
    The secret's field is empty and may stay so; a new host is refused beside the field, and nothing is changed.
    """
    tab.goto("/connectors/new")
    fill(tab, "Edited", account, "the-right-secret", 78)
    tab.get_by_role("button", name="Save").click()
    tab.wait_for_url("**/connectors/edited")
    tab.get_by_role("link", name="Edit").click()
    secret = tab.get_by_label("Client Secret")
    expect(secret).to_have_value("")
    expect(secret).to_have_attribute("placeholder", "Leave blank to use current value")
    tab.get_by_label("Connector Name").fill("Renamed")
    tab.get_by_role("button", name="Save").click()
    tab.wait_for_url("**/connectors/edited")
    expect(tab.get_by_role("heading", name="Renamed")).to_be_visible()
    expect(tab.locator("#check .headline")).to_contain_text("Connection successful")
    tab.get_by_role("link", name="Edit").click()
    tab.get_by_text("More options").click()
    tab.get_by_label("API host").fill(
        account.replace("127.0.0.1", "127.0.0.1.example.com").replace("http:", "https:")
    )
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator(".wrong")).to_contain_text("The stored secret was entered for")


def test_without_script(window, own, signed_in_at_own, account):
    """
    The form posts, the test of what is not saved opens beside it and is finished, saving leads to the result.
    """
    page = window(storage_state=signed_in_at_own, base_url=own.url, java_script_enabled=False)
    page.goto("/connectors/new")
    fill(page, "Plain", account, "the-right-secret", 79)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Test Connection").click()
    expect(opened.value.locator("#check")).to_contain_text("Connection successful")
    expect(page.get_by_label("Client Secret")).to_have_value("the-right-secret")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/connectors/plain")
    expect(page.locator("#check .headline")).to_contain_text(
        "Connection successful"
    )  # the page asks again by itself
    page.get_by_role("button", name="Test Connection").click()
    expect(page.locator(".flash")).to_contain_text("Connection successful")


def test_a_session_that_ended_is_told_in_the_middle_of_a_form(bare_context, own, signed_in_at_own, account):
    """
    A test that is refused for it says so beside the form, which keeps what was entered; saving leads to the sign-in.
    """
    tab = bare_context(storage_state=signed_in_at_own, base_url=own.url).new_page()
    tab.goto("/connectors/new")
    fill(tab, "Too late", account, "the-right-secret", 80)
    tab.context.clear_cookies()
    for _ in range(2):
        tab.get_by_role("button", name="Test Connection").click()
        expect(tab.locator("#tested").get_by_role("alert")).to_have_text(
            "You are no longer signed in. Load the page again."
        )
    expect(tab.get_by_label("Connector Name")).to_have_value("Too late")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("alert")).to_contain_text("nothing was changed")
    tab.get_by_role("link", name="Sign in").click()
    expect(tab.get_by_label("Password")).to_be_visible()


def test_names_are_text(tab, account):
    """
    Markup and marks of direction in name and description are shown as they are, on every page.
    """
    name = '<img src=x onerror="document.title=1">\u202egnirts'
    tab.goto("/connectors/new")
    tab.get_by_label("Connector Name").fill(name)
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator(".wrong")).to_contain_text("cannot be shown")  # the mark of direction
    tab.get_by_label("Connector Name").fill(name.replace("\u202e", ""))
    tab.get_by_role("button", name="Save").click()
    tab.wait_for_url("**/connectors/img-*")
    for path in (tab.url, "/connectors", "/status"):
        tab.goto(path)
        assert tab.locator("img[src=x]").count() == 0
        expect(tab.locator("body")).to_contain_text("<img src=x")


def test_by_keyboard_and_narrow(tab):
    """
    Each field is reached by Tab in the order in which it is read, and no page is wider than a small screen.
    """
    tab.goto("/connectors/new")
    tab.get_by_label("Connector Name").focus()
    seen = []
    for _ in range(4):
        seen.append(tab.evaluate("document.activeElement.name"))
        tab.keyboard.press("Tab")
    assert seen == ["name", "domain", "client_id", "client_secret"]
    tab.set_viewport_size({"width": 390, "height": 800})
    for path in ("/connectors", "/connectors/new", "/connectors/default"):
        tab.goto(path)
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
