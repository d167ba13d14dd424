"""
The events page in a browser: nothing that strangers write runs or breaks it, and the live tail leaves nothing out.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from msgspec.json import encode
from playwright.sync_api import Page, Route, expect

from browser.waiting import opened, reload_until
from patience import PATIENCE_SECONDS, wait_until_stored

HOSTILE = (
    "<script>window.stolen=1</script><img src=x onerror='window.stolen=1'><svg/onload=window.stolen=1>"
    "\"' onmouseover=window.stolen=1 autofocus onfocus=window.stolen=1 x=</td></table><h1>owned</h1>"
    "</textarea></title></style><iframe src=javascript:parent.stolen=1> javascript:window.stolen=1 {{7*7}} \u202egnp.exe\u2066 "
)
FIELDS = (
    "user_name", "actor_user_name", "app_name", "role_name", "group_name", "policy_name", "ipaddr", "notes", "custom_message",
    "user_agent", "error_description", "operation_name", "resolution", "proxy_ip", "client_id", "risk_reasons", "a<b>c",
)  # fmt: skip


class Program:
    """The program as a process of its own, and how to feed it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.out = folder / "out"
        words = [
            sys.executable,
            "-m",
            "onelogin_connector",
            "run",
            "--data-dir",
            str(self.data),
            "--port",
            "0",
        ]
        with self.out.open("w") as said, (folder / "log").open("w") as log:
            self.process = subprocess.Popen(words, stdout=said, stderr=log, cwd=folder)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Data folder" not in self.out.read_text():
            assert self.process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.url = re.search(r"runs at (\S+)", self.out.read_text())[1]
        secrets = (self.data / "initial-secrets").read_text()
        self.token = re.search(r'webhook_token = "(.*)"', secrets)[1]
        self.link = (self.data / "sign-in-link").read_text().strip()

    def send(self, *records: dict[str, object]) -> None:
        """Send records as OneLogin does."""
        answer = self.post(encode(records))
        assert answer.status_code == 200, answer.text

    def settle(self) -> None:
        """Wait until the store has all that was sent: what comes later is offered on a page, not put into it."""
        wait_until_stored(self.data)

    def send_bytes(self, body: bytes) -> None:
        """Send what is no record at all."""
        assert self.post(body).status_code == 400

    def post(self, body: bytes) -> httpx2.Response:
        """Send one webhook request."""
        headers = {"authorization": f"Bearer {self.token}"}
        url = f"{self.url}/webhook/default"
        return httpx2.post(url, content=body, headers=headers, timeout=PATIENCE_SECONDS)


def record(name: str, **fields: object) -> dict[str, object]:
    """Return a webhook record of now."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return {"uuid": name, "event_timestamp": moment, "event_type_id": 5, "account_id": 1, **fields}


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Iterator[Program]:
    """Run the program with hostile events in it."""
    made = Program(tmp_path_factory.mktemp("program"))
    made.send(*(record(f"hostile-{n}", **dict.fromkeys(FIELDS, f"{n} {HOSTILE}")) for n in range(5)))
    # 60 kB each; a record of OneLogin's never has more than a megabyte
    made.send(record("huge", **dict.fromkeys(FIELDS[:14], "W" * 60_000)))
    made.send(record("plain", user_name="Anna Berg", notes="ordinary"))
    made.settle()
    yield made
    made.process.terminate()
    made.process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def cookies(program, browser):
    """Sign in once, by the link of the start."""
    context = opened(browser)
    page = context.new_page()
    page.goto(program.link)
    page.wait_for_url(lambda url: "/login" not in url)
    yield context.cookies()
    context.close()


@pytest.fixture
def page(program, browser, cookies) -> Iterator[Page]:
    """Give a signed-in page that notes every error and every refusal of the content security policy."""
    context = opened(browser, viewport={"width": 1280, "height": 900}, base_url=program.url)
    context.add_cookies(cookies)
    shown = context.new_page()
    shown.troubles = []
    shown.on("pageerror", lambda error: shown.troubles.append(str(error)))
    shown.on("console", lambda said: shown.troubles.append(said.text) if said.type == "error" else None)
    shown.on("dialog", lambda dialog: shown.troubles.append(dialog.message))
    yield shown
    assert shown.troubles == []
    context.close()


def assert_harmless(page: Page) -> None:
    """Check that nothing of an event has become part of the page."""
    assert page.evaluate("window.stolen") is None
    assert page.locator("main h1").count() == 1
    assert page.locator("iframe, img[src=x], main script, main [onerror], main [autofocus]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "the page is wider than the window"
    )


def test_hostile_events_stay_text_and_the_page_usable(page):
    """
    Script, markup, marks of direction and 60 kB in every field: shown as text, nothing runs, and clicks still work.
    """
    page.goto("/events")
    expect(page.locator("#rows tr")).to_have_count(7)
    assert_harmless(page)
    assert page.locator(".odd", has_text="U+202E").count() > 0
    for row in range(7):
        page.goto("/events")
        page.locator("#rows tr").nth(row).locator("a[data-open]").click()
        page.wait_for_url("**event=**")
        expect(page.locator("#event")).to_be_visible()
        assert_harmless(page)
    for picked in ("td.type a", "td.who-did a", "td.address a"):
        page.goto("/events?text=ordinary" if picked == "td.address a" else "/events")
        links = page.locator(f"#rows tr {picked}")
        if links.count():
            links.first.click()
            expect(page.locator(".chip").first).to_be_visible()
            assert_harmless(page)
    page.goto("/events/query")
    expect(page.locator("table.result tbody tr")).to_have_count(7)
    assert_harmless(page)


def test_filters_by_click_live_in_the_address(page):
    """
    A click on a value narrows the list, the address says so, the chip takes it back, and a bar leads to its time.
    """
    page.goto("/events")
    page.locator("#rows tr", has_text="Anna Berg").locator("td.who-did a").first.click()
    expect(page.locator("#rows tr")).to_have_count(1)
    assert "user=Anna+Berg" in page.url
    page.reload()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.locator("details.same summary").click()
    expect(page.locator("#kql")).to_contain_text('UserName == "Anna Berg"')
    page.locator("details.same a", has_text="Run it").click()
    expect(page.locator("table.result tbody tr")).to_have_count(1)
    page.go_back()
    page.locator(".chip").first.click()
    expect(page.locator("#rows tr")).to_have_count(7)
    page.locator("svg.histogram a").last.click()
    expect(page).to_have_url(re.compile("since="))
    expect(page.locator(".chip", has_text="time")).to_be_visible()


def test_live_tail_pauses_and_goes_on_without_a_gap(page, program):
    """
    New events come on top by themselves, the first onto a page on which none fitted; what comes during a pause or a
    lost connection follows afterwards, once.
    """
    page.goto("/events?text=tail")
    expect(page.locator("#nothing")).to_contain_text("No event fits")
    expect(page.locator("#list")).to_be_hidden()
    page.click("#live")
    program.send(record("tail-0", user_name="tail"))
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#list")).to_be_visible()
    expect(page.locator("#nothing")).to_have_count(0)
    program.send(record("tail-1", user_name="tail"), record("other", user_name="someone"))
    expect(page.locator("#rows tr")).to_have_count(2)
    page.click("#live")
    expect(page.locator("#live")).to_have_text("Resume")
    program.send(record("tail-2", user_name="tail"))
    page.wait_for_timeout(2_500)
    expect(page.locator("#rows tr")).to_have_count(2)
    page.click("#live")
    expect(page.locator("#rows tr")).to_have_count(3)
    page.context.set_offline(True)
    program.send(record("tail-3", user_name="tail"))
    expect(page.locator("#arriving")).to_contain_text("trying again")
    page.context.set_offline(False)
    expect(page.locator("#rows tr")).to_have_count(4)
    ids = page.eval_on_selector_all("#rows tr", "rows => rows.map(row => row.id)")
    assert len(ids) == len(set(ids))
    page.troubles[:] = [each for each in page.troubles if "ERR_INTERNET_DISCONNECTED" not in each]


def test_what_was_asked_for_before_a_pause_is_not_shown_in_it(page, program):
    """
    A pause holds also while an answer is on its way; that comes when the tail goes on.
    """
    held: list[Route] = []
    page.goto("/events?text=slowly")
    page.route(
        re.compile("[?&]after="), lambda route: route.continue_() if held else held.append(route)
    )  # the first alone
    with page.expect_request(re.compile("[?&]after=")):
        page.click("#live")
    page.click("#live")
    program.send(record("slowly-0", user_name="slowly"))
    program.settle()
    with page.expect_response(re.compile("[?&]after=")) as answer:
        held[0].continue_()
    answer.value.finished()
    page.wait_for_timeout(250)
    expect(page.locator("#rows tr")).to_have_count(0)
    page.click("#live")
    expect(page.locator("#rows tr")).to_have_count(1)


def test_page_works_without_script(program, browser, cookies):
    """
    Links and forms do everything but the live tail, which is not offered.
    """
    context = opened(browser, java_script_enabled=False, base_url=program.url)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto("/events")
    expect(page.locator("#live")).to_be_hidden()
    page.fill("input[name=text]", "ordinary")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.locator("#rows a[data-open]").click()
    expect(page.locator("#event")).to_contain_text("As received")
    context.close()


def test_dead_letters_are_read_ticked_and_discarded(page, program):
    """
    Hostile bytes stay text; ticked letters are discarded after a question, by keyboard alone.
    """
    program.send_bytes(HOSTILE.encode() + b"\x00\xff")
    program.send_bytes(b"<!doctype html><script>window.stolen=1</script>")
    page.goto("/dead-letters")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert_harmless(page)
    page.locator("tbody th a").first.click()
    expect(page.locator("pre.hex")).to_contain_text("00000000")
    assert_harmless(page)
    page.go_back()
    page.locator("tbody input").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Discard ticked").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Discard 1 dead letter?")
    page.locator("main form button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".flash")).to_contain_text("1 dead letter is discarded")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_sinks_and_completeness_are_there(page):
    """
    The store is paused and goes on by a click; completeness says that webhooks alone cannot be checked.
    """
    page.goto("/sinks")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".badge", has_text="Paused")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("store goes on")
    reload_until(page.locator(".badge", has_text="Active"))  # Pending until its loop has begun
    page.goto("/completeness")
    expect(page.locator("main")).to_contain_text("Not checkable: webhooks alone")
    expect(page.locator("table.strip").first).to_be_visible()
