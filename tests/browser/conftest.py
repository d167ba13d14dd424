"""
A person at the console: Chromium before the running program with its simulated account.

One program and one browser serve all tests of this folder that one process runs; each test has a window of its own,
signed in, which fails the test on any error that the page meets and on anything that the content security policy
refuses. Both end with the folder: while the browser's loop runs, no other test of the process could run asyncio's.
"""

import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from browser.waiting import PATIENCE_MS, opened
from onelogin_connector.service.folder import control_socket
from patience import PATIENCE_SECONDS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# What a person may meet: a wrong password, a page that is not there.
EXPECTED = ("the server responded with a status of 40", "the server responded with a status of 422")

SETTINGS = """
[connectors.acme]
name = "ACME production"
description = "Everybody's sign-ins, Europe and Americas"

[connectors.sandbox]
name = "EMEA sandbox"
description = "Test tenant of the platform team"
api_url = "http://127.0.0.1:9"
client_id = "somebody"
client_secret = { env = "SANDBOX_SECRET" }
poll_seconds = 5

[connectors.spare]
name = "Contractors"
description = "Waits for its webhook"
"""
"""Beside the first, which is the simulated account's: one whose API nobody answers, and one that nothing has come to."""


def _of_acceptance() -> ModuleType:
    """
    Load what starts the program; tests are collected by path and cannot import each other.
    """
    path = Path(__file__).parents[1] / "acceptance" / "conftest.py"
    spec = importlib.util.spec_from_file_location("starting", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Site:
    """
    The running program, as a browser sees it.
    """

    def __init__(self, program: Any) -> None:
        self.program = program
        self.url: str = program.url
        self.data_dir: Path = program.data_dir

    @property
    def password(self) -> str:
        """
        The admin's, as the first start made it.
        """
        found = re.search(
            r'^password = "(.*)"', (self.data_dir / "initial-secrets").read_text(), re.MULTILINE
        )
        assert found
        return found[1]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """
        Call the API as the user of the data folder.
        """
        return self.program.ask(method, path, **options)

    def token(self, role: str) -> str:
        """
        Make an API token.
        """
        transport = httpx2.HTTPTransport(uds=str(control_socket(self.data_dir)))
        with httpx2.Client(
            transport=transport, base_url="http://localhost", timeout=PATIENCE_SECONDS
        ) as client:
            made = client.post("/api/v1/tokens", json={"name": f"browser {role}", "role": role})
        assert made.status_code == 201, made.text
        return str(made.json()["token"])


def _sign_in(browser: Browser, data_dir: Path) -> dict[str, Any]:
    """
    Sign in by the one-time link of a program.
    """
    context = opened(browser)
    page = context.new_page()
    page.goto((data_dir / "sign-in-link").read_text().strip())
    page.wait_for_url("**/status")
    state: dict[str, Any] = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="session")
def browser_path() -> str:
    """
    Find Chromium, or skip by name; on CI nothing is skipped for that.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed here, and on CI nothing may be skipped for that")
        pytest.skip("needs chromium")
    return found


@pytest.fixture(scope="package")
def browser(browser_path: str) -> Iterator[Browser]:
    """
    Start the browser.
    """
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # as root, in containers, Chromium has no sandbox; the pages are our own
        started = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="package")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """
    Start the program with its simulated account and a day of its history.
    """
    program = _of_acceptance().Program(tmp_path_factory.mktemp("site"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SANDBOX_SECRET", "a secret that must not be seen")
        program.start("--demo", settings=SETTINGS)
    try:
        yield Site(program)
    finally:
        program.kill()


@pytest.fixture(scope="package")
def signed_in(browser: Browser, site: Site) -> dict[str, Any]:
    """
    Sign in by the one-time link, and return what the browser keeps of it.
    """
    return _sign_in(browser, site.data_dir)


@pytest.fixture(scope="module")
def own(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """
    Start a program of a module's own, where the hosts of this machine are allowed.
    """
    program = _of_acceptance().Program(tmp_path_factory.mktemp("own"))
    program.start(settings='[web]\nallow_private_hosts = ["127.0.0.1"]\n')
    yield program
    program.kill()


@pytest.fixture(scope="module")
def signed_in_at_own(browser: Browser, own: Any) -> dict[str, Any]:
    """
    Sign in at the module's own program, and return what the browser keeps of it.
    """
    return _sign_in(browser, own.data_dir)


@pytest.fixture
def window(browser: Browser) -> Iterator[Callable[..., Page]]:
    """
    Return what opens a window; its page's errors fail the test.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(text in message.text for text in EXPECTED):
            errors.append(message.text)

    def new(**options: Any) -> Page:
        context = opened(browser, **({"viewport": {"width": 1440, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield new
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def bare_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """
    Return what opens a browser for one test that breaks the line or the session, which the window above calls an error.
    """
    contexts: list[BrowserContext] = []

    def new(**options: Any) -> BrowserContext:
        contexts.append(opened(browser, viewport={"width": 1440, "height": 900}, **options))
        return contexts[-1]

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def page(window: Callable[..., Page], site: Site, signed_in: dict[str, Any]) -> Page:
    """
    Open a window of somebody who is signed in as admin.
    """
    return window(storage_state=signed_in, base_url=site.url)


@pytest.fixture
def tab(window: Callable[..., Page], own: Any, signed_in_at_own: dict[str, Any]) -> Page:
    """
    Open a window of the admin of the module's own program.
    """
    return window(storage_state=signed_in_at_own, base_url=own.url)


@pytest.fixture
def plain_page(window: Callable[..., Page], site: Site, signed_in: dict[str, Any]) -> Page:
    """
    Open the same without script.
    """
    return window(storage_state=signed_in, base_url=site.url, java_script_enabled=False)
