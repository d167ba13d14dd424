"""
A page that takes long: its frame comes at once, the rest when it is there, and what goes wrong is told within it.
"""

import asyncio
import gzip
import re
import threading
import zlib
from contextlib import contextmanager

import pytest

from onelogin_connector.config import load
from onelogin_connector.errors import Unavailable
from onelogin_connector.service import build
from onelogin_connector.web.access import Role
from onelogin_connector.web.app import access_of, main_app
from onelogin_connector.web.console import base, parts
from onelogin_connector.web.console.parts import READING
from passwords import QUICK
from patience import until

pytestmark = pytest.mark.anyio

HELD_SECONDS = 100.0
"""As good as for ever: a test takes no longer."""
VISIT = {"accept": "text/html", "upgrade-insecure-requests": "1"}


class Site:
    """
    A console, asked as its server asks it: so that parts of an answer can be told apart.
    """

    def __init__(self, service):
        self.service = service
        access = access_of(service)
        self.app = main_app(service, access)
        self.token = access.new_token("a browser", Role.VIEWER, by="test")

    async def visit(self, path, headers, *, between=lambda: None, leaves=False):
        """
        Return status, headers and the parts of an answer; something may happen behind the first part.
        """
        headers = {"host": "localhost", "authorization": f"Bearer {self.token}"} | headers
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }
        start, bodies, left = {}, [], asyncio.Event()
        asked = False

        async def receive():
            nonlocal asked
            if asked:
                await left.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": b""}

        async def send(message):
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["body"]:
                bodies.append(message["body"])
                if message.get("more_body"):
                    between()
                    if leaves:
                        left.set()

        await self.app(scope, receive, send)
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, bodies

    @contextmanager
    def slow(self):
        """
        Keep every reading thread busy; what is given lets them go.
        """
        go = threading.Event()
        for _ in range(2):
            self.service.events._threads.submit(go.wait, HELD_SECONDS)
        try:
            yield go.set
        finally:
            go.set()


@pytest.fixture
async def site(tmp_path):
    """
    Build a console without starting its service.
    """
    service = build(
        load(None, {}, data_dir=tmp_path / "data", folder=tmp_path), clock=lambda: 1_800_000_000, hasher=QUICK
    )
    yield Site(service)
    await service.stop()


async def test_the_frame_comes_first_and_the_page_is_the_same(site):
    """
    Navigation and style are there before the events are; both parts together are the page as a program gets it.
    """
    _, _, whole = await site.visit("/events", {"accept": "text/html"})
    with site.slow() as go:
        status, headers, (first, rest) = await site.visit("/events", VISIT, between=go)
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert "content-security-policy" in headers
    assert first.endswith(READING.encode())
    assert b'<nav aria-label="Pages">' in first
    assert first.count(b"<style>") == 2
    assert (first.removesuffix(READING.encode()) + rest) == b"".join(whole)


PAGES = [
    *("/status", "/connectors", "/connectors/default", "/completeness", "/events", "/events/query"),
    *("/sinks", "/sinks/store", "/dead-letters", "/health", "/account"),
]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_can_come_in_parts(site, monkeypatch, path):
    """
    Whatever takes long, nothing of a page is lost or doubled between its parts.
    """
    _, _, whole = await site.visit(path, {"accept": "text/html"})
    monkeypatch.setattr(parts, "FRAME_AFTER_SECONDS", 0.0)
    status, _, found = await site.visit(path, VISIT)
    assert status == 200
    text = b"".join(found).replace(READING.encode(), b"")
    assert _titled(text).count(b"<main") == 1
    assert len(_titled(text)) == pytest.approx(len(_titled(b"".join(whole))), abs=200)  # moments pass
    title = re.compile(b"<title>.*?</title>\n<link", re.DOTALL)
    assert title.findall(text) == title.findall(b"".join(whole))


def _titled(text):
    return re.sub(b"<title>.*?</title>", b"", text)


async def test_parts_are_compressed(site):
    """
    A browser can read the first part before it has the second.
    """
    with site.slow() as go:
        _, headers, found = await site.visit("/events", VISIT | {"accept-encoding": "gzip"}, between=go)
    assert headers["content-encoding"] == "gzip"
    assert "accept-encoding" in headers["vary"]
    assert READING.encode() in zlib.decompressobj(31).decompress(found[0])
    assert gzip.decompress(b"".join(found)).rstrip().endswith(b"</html>")


async def test_what_goes_wrong_later_is_told_in_the_page(site, monkeypatch):
    """
    The frame is sent already; its content says what happened and what to do.
    """
    with site.slow() as go:

        def broken(*_, **__):
            raise Unavailable("The store <cannot> be read.", action="Wait a little.")

        monkeypatch.setattr(site.service.store.events, "newest", broken)
        status, _, (_, rest) = await site.visit("/events", VISIT, between=go)
    assert status == 200
    assert b"The store &lt;cannot&gt; be read." in rest
    assert b"Wait a little." in rest
    assert rest.rstrip().endswith(b"</html>")


async def test_who_leaves_is_not_waited_for(site):
    """
    A visitor who goes away ends the answer, though what it waits for goes on.
    """
    with site.slow():
        visit = asyncio.create_task(site.visit("/events", VISIT, leaves=True))
        await until(visit.done, seconds=5)
        _, _, found = await visit
    assert len(found) == 1


async def test_a_quick_page_keeps_its_status(site, monkeypatch):
    """
    What is known at once is answered whole: a wrong filter is refused, and so is a page that is not there.
    """
    monkeypatch.setattr(parts, "FRAME_AFTER_SECONDS", HELD_SECONDS)  # quick enough on the busiest machine
    assert (await site.visit("/completeness?span=1y", VISIT))[0] in {400, 422}
    assert (await site.visit("/no/such/page", VISIT))[0] == 404
    status, headers, _ = await site.visit("/dead-letters", VISIT)
    assert status == 200
    assert "content-length" in headers


async def test_programs_get_whole_pages(site):
    """
    Whoever is no browser gets one part with its length, however long it takes.
    """
    with site.slow() as go:
        asyncio.get_running_loop().call_later(0.2, go)
        _, headers, found = await site.visit("/events", {"accept": "text/html"})
    assert len(found) == 1
    assert int(headers["content-length"]) == len(found[0])


async def test_every_template_compiles_ahead(site):
    """
    What is warmed up after a start is all that a page may be made of.
    """
    console = site.app._behind._console
    await console.compile()
    assert len(console._templates.cache) == len(console._templates.list_templates())


async def test_a_page_lets_requests_pass_and_comes_all_the_same(site, monkeypatch):
    """
    While a request is being taken in, rendering waits for its end, but not for longer than a page may give way.
    """
    monkeypatch.setattr(base, "LONGEST_GIVING_WAY_SECONDS", HELD_SECONDS)
    asking = {"accept": "text/html"}
    with site.service.right_of_way:
        page = asyncio.create_task(site.visit("/status", asking))
        done, _ = await asyncio.wait({page}, timeout=0.3)
        assert not done
    status, _, given_way = await page
    assert status == 200
    monkeypatch.setattr(base, "LONGEST_GIVING_WAY_SECONDS", 0.05)
    with site.service.right_of_way:
        status, _, pressed = await site.visit("/status", asking)
    assert status == 200
    assert len(b"".join(given_way)) == pytest.approx(len(b"".join(pressed)), abs=200)
