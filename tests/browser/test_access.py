"""
Access and health as people meet them in a browser, with script and without.
"""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.waiting import reload_until
from integration.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from patience import PATIENCE_SECONDS

SETTINGS = """
[oidc]
issuer = "{issuer}"
client_id = "{client_id}"
client_secret = {{ env = "OIDC_SECRET" }}
label = "Sign in with ACME"
operators = ["Security"]
"""


@pytest.fixture
def provider(browser_path: str) -> Iterator[Provider]:
    """
    Run an identity provider in a thread of its own.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def make() -> Provider:
        made = Provider(time.time)
        await made.start()
        return made

    made = asyncio.run_coroutine_threadsafe(make(), loop).result(PATIENCE_SECONDS)
    yield made
    asyncio.run_coroutine_threadsafe(made.server.stop(), loop).result(PATIENCE_SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def console(tmp_path: Path, provider: Provider) -> Iterator[str]:
    """
    Start the program with single sign-on; gives its address under another site than the provider's.
    """
    settings = tmp_path / "onelogin-connector.toml"
    settings.write_text(SETTINGS.format(issuer=provider.issuer, client_id=CLIENT_ID))
    words = ["run", "--config", str(settings), "--data-dir", str(tmp_path / "data"), "--port", "0"]
    said = tmp_path / "out"
    with said.open("w") as out, (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "onelogin_connector", *words],
            stdout=out,
            stderr=log,
            cwd=tmp_path,
            env=os.environ | {"OIDC_SECRET": CLIENT_SECRET},
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Data folder" not in said.read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield re.search(r"runs at (\S+)", said.read_text())[1].replace("127.0.0.1", "localhost")
    finally:
        process.kill()
        process.wait()


def test_single_sign_on_comes_back_signed_in(window: Callable[..., Page], console: str) -> None:
    """
    A browser keeps a strict cookie from requests that another site led to; the way back must not end at the sign-in.
    """
    page = window(base_url=console)
    page.goto("/login")
    page.get_by_role("link", name="Sign in with ACME").click()
    page.wait_for_url("**/status")
    page.get_by_title("Your account").click()
    expect(page.get_by_role("heading", name="anna@acme.example")).to_be_visible()
    expect(page.get_by_text("single sign-on at http://127.0.0.1")).to_be_visible()
    expect(page.get_by_role("link", name="Access")).to_have_count(0)  # an operator


def account(page: Page, name: str) -> None:
    """
    Make an account, let it change its role, and remove it again.
    """
    page.goto("/access")
    page.get_by_label("User").fill(name)
    page.get_by_label("Password", exact=False).last.fill("a long password")
    page.get_by_role("radio", name=re.compile("operator")).check()
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("status")).to_contain_text(f"{name} can sign in as operator.")
    page.wait_for_load_state()  # its script, too: what is chosen then applies at once


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_an_account_from_making_to_removing(request: Any, script: bool) -> None:
    """
    The same steps, whether script runs or not.
    """
    page: Page = request.getfixturevalue("page" if script else "plain_page")
    name = f"anna{int(script)}@acme.example"
    account(page, name)
    row = page.get_by_role("row").filter(has_text=name)
    row.get_by_label(f"Role of {name}").select_option("viewer")
    if not script:
        row.get_by_role("button", name="Change").click()
    expect(page.get_by_role("status")).to_contain_text(f"{name} is viewer now.")
    row.locator("summary", has_text="Actions").click()
    row.locator("summary", has_text="Remove").click()
    row.get_by_role("button", name=f"Remove {name}").click()
    expect(page.get_by_role("status")).to_contain_text(f"The account {name} is removed.")
    page.goto("/audit?q=" + name)
    told = page.get_by_role("row").all_inner_texts()[1:4]
    assert [re.search(r"account removed|role changed|account made", line)[0] for line in told] == [
        "account removed",
        "role changed",
        "account made",
    ]


def test_a_token_is_shown_once(page: Page) -> None:
    """
    Reloading does not show it again, and it can be revoked by keyboard alone.
    """
    page.goto("/access/tokens")
    page.get_by_label("Name").fill("browser's own")
    page.get_by_label("Name").press("Enter")
    expect(page.locator(".made code").first).to_contain_text("olc_")
    page.goto("/access/tokens")
    expect(page.get_by_text("olc_")).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="browser's own")
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("worth nothing any more")


def test_health_tells_what_changed(page: Page) -> None:
    """
    The sandbox's credential is none: its poller is shown as it is, an alarm says so, and filters find it.
    """
    page.goto("/health")
    page.get_by_label("Kind").select_option("source")
    page.wait_for_url("**kind=source**")
    # the program looks for alarms every few seconds, and the page does not renew itself
    reload_until(page.get_by_role("alert").filter(has_text="The API of sandbox"))
    row = page.get_by_role("row").filter(has_text="sandbox/poller").filter(has_text="paused")
    expect(row.filter(has_text="was starting")).to_be_visible()
    page.get_by_text("The same as KQL").click()
    expect(page.locator("pre")).to_contain_text("OneLoginConnectorHealth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_fit_the_window(
    window: Callable[..., Page], site: Any, signed_in: Any, scheme: str, width: int
) -> None:
    """
    No page is wider than the window, in either theme, on a desk or a telephone.
    """
    page = window(
        storage_state=signed_in,
        base_url=site.url,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
    )
    for path in ("/health", "/access", "/access/tokens", "/audit", "/account"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (path, wide)
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
