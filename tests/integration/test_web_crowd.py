"""
Crowds, silence and rudeness on a real socket: who is refused gets told so, who is slow leaves, the rest is served.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from onelogin_connector.service.right_of_way import RightOfWay
from onelogin_connector.sources.webhook import Options, WebhookSource, token_hash
from onelogin_connector.web import connections, front
from onelogin_connector.web.exchange import Exchange
from onelogin_connector.web.front import Front
from onelogin_connector.web.hosts import Hosts
from onelogin_connector.web.server import HttpServer, listen
from patience import PATIENCE_SECONDS, until
from unit.keeping import KeepingJournal

pytestmark = pytest.mark.anyio

TOKEN = "a-token-of-twenty-four-characters"
HEAD = f"POST /webhook/acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
STRANGER = b"POST /webhook/acme HTTP/1.1\r\nHost: x\r\n"
BODY = b'[{"uuid": "00000000-0000-4000-8000-000000000001", "event_type_id": 5}]'
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class SlowJournal(KeepingJournal):
    """
    A journal whose disk takes a moment.
    """

    async def append(self, events, dead=None, *, accept_duplicates=False):
        await asyncio.sleep(0.1)
        return await super().append(events, dead, accept_duplicates=accept_duplicates)


class HeldJournal(KeepingJournal):
    """
    A journal whose disk does nothing until it is let go.
    """

    def __init__(self):
        super().__init__()
        self.under_way = 0
        self.go = asyncio.Event()

    async def append(self, events, dead=None, *, accept_duplicates=False):
        self.under_way += 1
        await self.go.wait()
        return await super().append(events, dead, accept_duplicates=accept_duplicates)


class Line:
    """
    One client's connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> "Line":
        self.writer.write(data)
        return self

    async def answer(self) -> tuple[int, bytes]:
        """
        Read one answer; returns its status and its head.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await self.reader.readexactly(length)
        return int(head.split()[1]), head.lower()

    async def rest(self) -> bytes:
        """
        Read until the server closes.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read()


class Place:
    """
    A server with one connector and a few places.
    """

    def __init__(self, server: HttpServer, port: int, journal: KeepingJournal) -> None:
        self.server = server
        self.port = port
        self.journal = journal
        self.lines: list[Line] = []

    @property
    def held(self) -> int:
        """
        How many connections the server holds.
        """
        return len(self.server.server_state.connections)

    async def line(self, data: bytes = b"", address: str = "127.0.0.1") -> Line:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        made = Line(reader, writer)
        self.lines.append(made)
        return made.send(data)

    async def everybody_came(self, address: str = "127.0.0.1") -> Line:
        """
        Wait until the server has met all who knocked: they are let in one after the other, and the last is answered.
        """
        last = await self.line(HEALTH, address)
        assert (await last.answer())[0] == 200
        return last


@asynccontextmanager
async def place(
    most: int = 64,
    *,
    journal: KeepingJournal | None = None,
    is_exempt: Callable[[str], bool] = lambda _: True,
    **options: Any,
) -> AsyncIterator[Place]:
    """
    Run a server on a free port.
    """
    journal = journal or SlowJournal()
    source = WebhookSource(
        "acme", journal, [token_hash(TOKEN)], clock=lambda: 1_790_000_000.0, options=Options(**options)
    )
    hosts = Hosts(public_url=None, host="127.0.0.1", trusted_proxies=(), tls=False)
    listener = listen("127.0.0.1", 0)
    server = HttpServer(
        Front({"acme": source}, hosts, RightOfWay()), listener, most_connections=most, is_exempt=is_exempt
    )
    await server.start()
    made = Place(server, listener.getsockname()[1], journal)
    try:
        yield made
    finally:
        for line in made.lines:
            line.writer.close()
        await server.stop()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (STRANGER, 401),
        (STRANGER.replace(b"acme", b"nobody"), 404),
        (STRANGER.replace(b"POST", b"PUT"), 405),
        (HEAD + b"Content-Encoding: br\r\n", 415),
    ],
)
@pytest.mark.parametrize("more", [b"", b"Expect: 100-continue\r\n"])
async def test_a_refusal_waits_for_no_body(request_head, status, more):
    """
    Who is refused by the head is told at once, is not asked for the body, and has to leave.
    """
    async with place() as server:
        line = await server.line(request_head + more + b"Content-Length: 9\r\n\r\n")
        found, head = await line.answer()
        assert found == status
        assert b"connection: close" in head
        line.writer.write_eof()
        assert await line.rest() == b""


async def test_a_refused_request_that_is_whole_keeps_its_connection():
    """
    There is nothing left to read, so the client may try again on the same connection.
    """
    async with place() as server:
        line = await server.line(STRANGER + b"Content-Length: 2\r\n\r\n[]")
        assert (await line.answer())[0] == 401
        assert (await line.send(WHOLE).answer())[0] == 200


async def test_a_sender_that_may_go_on_is_told_so():
    """
    100 Continue comes once the head is accepted.
    """
    async with place() as server:
        line = await server.line(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        assert (await line.send(BODY).answer())[0] == 200


async def test_a_large_refused_body_does_not_swallow_the_answer(monkeypatch):
    """
    A client that writes 40 MB before it reads still finds the 413.
    """
    # it is about their number: on a busy machine they may take longer than a refused client is listened to
    monkeypatch.setitem(Exchange.__init__.__kwdefaults__, "seconds", PATIENCE_SECONDS)
    async with place() as server:
        size = 40 << 20
        line = await server.line(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            line.send(bytes(1 << 20))
            await line.writer.drain()
        assert (await line.answer())[0] == 413
        assert await line.rest() == b""


@pytest.mark.parametrize("silent", [STRANGER, HEAD + b"Content-Length: 9\r\n\r\n", b""])
async def test_a_crowd_of_silent_clients_stops_nobody(silent):
    """
    However many there are, with or without a token, the next sender is served.
    """
    async with place(32) as server:
        crowd = [await server.line(silent) for _ in range(100)]
        await server.everybody_came()
        assert (await (await server.line(WHOLE)).answer())[0] == 200
        await until(lambda: server.held <= 32)
        assert (await crowd[0].rest()).startswith(b"HTTP/1.1 503")


async def test_strangers_leave_before_known_senders():
    """
    A sender's connection between two batches outlives any crowd of strangers.
    """
    async with place(32) as server:
        sender = await server.line(WHOLE)
        assert (await sender.answer())[0] == 200
        for _ in range(100):
            await server.line(STRANGER)
        await server.everybody_came()
        assert (await sender.send(WHOLE).answer())[0] == 200


async def test_when_everybody_is_busy_the_newcomer_is_told_to_come_again():
    """
    Requests under way are finished; who comes too much gets a 503 with Retry-After, not a reset.
    """
    disk = HeldJournal()
    async with place(8, journal=disk) as server:
        busy = [await server.line(WHOLE) for _ in range(8)]
        await until(lambda: disk.under_way == 8)
        status, head = await (await server.line()).answer()
        assert status == 503
        assert b"retry-after: 5" in head
        disk.go.set()
        assert [(await line.answer())[0] for line in busy] == [200] * 8


async def test_one_address_has_its_share():
    """
    A crowd from one address displaces itself, not the silent connections of others.
    """
    async with place(64, is_exempt=lambda _: False) as server:
        others = [await server.line(address="127.0.0.2") for _ in range(10)]
        for _ in range(100):
            await server.line(STRANGER, address="127.0.0.3")
        last = await server.everybody_came("127.0.0.4")
        last.writer.close()
        await until(lambda: server.held == 10 + 64 // connections.SHARE_OF_ADDRESS)
        assert [(await line.send(HEALTH).answer())[0] for line in others] == [200] * 10


@pytest.mark.parametrize(
    "silent", [STRANGER, HEAD + b"Content-Length: 9\r\n\r\n", HEAD + b"Content-Length: 9\r\n\r\n["]
)
async def test_who_does_not_go_on_is_closed(silent):
    """
    A head, and the first and every later piece of a body, have their time.
    """
    disk = HeldJournal()
    async with place(journal=disk) as server:
        late, fine = await server.line(silent), await server.line(HEALTH)
        await fine.answer()
        busy = await server.line(WHOLE)
        await until(lambda: disk.under_way)
        later = asyncio.get_running_loop().time() + connections.BODY_SECONDS + 1
        for connection in list(server.server.server_state.connections):
            connection.close_if_late(later)
        assert (await late.rest()).startswith(b"HTTP/1.1 408")
        disk.go.set()
        assert (await busy.answer())[0] == 200
        assert (await fine.send(HEALTH).answer())[0] == 200
        assert server.journal.calls == 1


async def test_a_body_that_drips_is_cut_off(monkeypatch):
    """
    Sending a byte now and then does not keep a body open for ever.
    """
    monkeypatch.setattr(front, "BODY_SECONDS", 0.1)
    async with place() as server:
        line = await server.line(HEAD + b"Content-Length: 1000\r\n\r\n[")
        drip = asyncio.create_task(dripping(line))
        status, head = await line.answer()
        drip.cancel()
        assert status == 503
        assert b"connection: close" in head


async def dripping(line: Line) -> None:
    """
    Send a byte every moment.
    """
    while True:
        line.send(b" ")
        await asyncio.sleep(0.02)


async def test_a_half_closed_client_gets_its_answer():
    """
    Whoever has sent a whole request may stop sending; the answer comes all the same, and the connection ends.
    """
    async with place() as server:
        line = await server.line(WHOLE)
        line.writer.write_eof()
        assert (await line.answer())[0] == 200
        assert await line.rest() == b""


@pytest.mark.parametrize(
    "data", [WHOLE, WHOLE + WHOLE, WHOLE + HEAD, HEAD + b"Content-Length: 9\r\n\r\n[", STRANGER]
)
@pytest.mark.parametrize("abort", [True, False])
async def test_clients_that_leave_are_no_errors(data, abort, caplog):
    """
    At whatever moment they go, nothing is logged above DEBUG, and the next one is served.
    """
    caplog.set_level(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    async with place() as server:
        for delay in (0, 0.01, 0.05):
            line = await server.line(data)
            await asyncio.sleep(delay)
            line.writer.transport.abort() if abort else line.writer.close()
        assert (await (await server.line(WHOLE)).answer())[0] == 200
        await until(lambda: server.held == 1 and not server.server.server_state.tasks)
    assert [record for record in caplog.records if record.name != "uvicorn.error"] == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_what_is_dropped_is_bounded():
    """
    A refused client that sends for ever is read no longer than a bound in bytes.
    """
    sent, asked = [], 0

    async def receive():
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return {"type": "http.request", "body": bytes(1_000), "more_body": True}

    async def send(message):
        sent.append(message)

    exchange = Exchange({"headers": [(b"transfer-encoding", b"chunked")]}, receive, send, most_dropped=10_000)
    await exchange.send({"type": "http.response.start", "status": 413, "headers": []})
    await exchange.send({"type": "http.response.body", "body": b"no"})
    assert (b"connection", b"close") in sent[0]["headers"]
    assert [message.get("more_body", False) for message in sent[1:]] == [True, False]
    assert asked <= 12
