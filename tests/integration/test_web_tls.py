"""
Crowds on a TLS port that never finish their handshake: they take places from themselves, and leave in time.
"""

import asyncio
import logging
import ssl
from contextlib import asynccontextmanager

import pytest

from integration.certificate import certificate
from integration.test_web_crowd import BODY, HEAD, HEALTH, TOKEN, WHOLE, Line, Place
from onelogin_connector.service.right_of_way import RightOfWay
from onelogin_connector.sources.webhook import Options, WebhookSource, token_hash
from onelogin_connector.web import connections, handshakes
from onelogin_connector.web.front import Front
from onelogin_connector.web.hosts import Hosts
from onelogin_connector.web.server import HttpServer, listen, tls_context
from patience import until
from unit.keeping import KeepingJournal

pytestmark = pytest.mark.anyio

HELLO = bytes.fromhex("160301020001000201fc0303")
"""The beginning of a TLS client's first message, whose rest never comes."""
SILENCES = {"nothing": b"", "half a hello": HELLO, "a hello that never ends": HELLO + bytes(300)}


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    """
    Run each test on the event loop of the program and on Python's own.
    """
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """
    Make a certificate for this machine, and its key.
    """
    return certificate(tmp_path_factory.mktemp("tls"))


class TlsPlace(Place):
    """
    A server that speaks TLS, and its clients.
    """

    async def secure(self, data=b"", address="127.0.0.1"):
        """
        Connect as a client does that knows TLS.
        """
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(address, 0), ssl=trusting
        )
        made = Line(reader, writer)
        self.lines.append(made)
        return made.send(data)

    @property
    def held(self):
        """
        How many connections the server holds, before and after their handshake.
        """
        return len(self.server._acceptor.unfinished) + super().held


@asynccontextmanager
async def place(pem, most=64, *, is_exempt=lambda _: True):
    """
    Run a TLS server on a free port.
    """
    journal = KeepingJournal()
    source = WebhookSource(
        "acme", journal, [token_hash(TOKEN)], clock=lambda: 1_790_000_000.0, options=Options()
    )
    hosts = Hosts(public_url=None, host="127.0.0.1", trusted_proxies=(), tls=True)
    listener = listen("127.0.0.1", 0)
    server = HttpServer(
        Front({"acme": source}, hosts, RightOfWay()),
        listener,
        tls=tls_context(pem, pem),
        most_connections=most,
        is_exempt=is_exempt,
    )
    await server.start()
    made = TlsPlace(server, listener.getsockname()[1], journal)
    try:
        yield made
    finally:
        for line in made.lines:
            line.writer.transport.abort()
        await server.stop()


async def test_requests_come_through_tls(pem):
    """
    Small and large requests, one after the other and sent at once with the handshake's end, are answered.
    """
    async with place(pem) as server:
        line = await server.secure(WHOLE)
        assert (await line.answer())[0] == 200
        assert (await line.send(HEALTH).answer())[0] == 200
        large = BODY + b" " * 900_000
        line.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(large) + large)
        assert (await line.answer())[0] == 200
        assert (await (await server.secure(HEAD + b"Content-Length: 9\r\n\r\n" + b"x" * 9)).answer())[
            0
        ] == 400


@pytest.mark.parametrize("silent", SILENCES.values(), ids=SILENCES)
async def test_a_crowd_that_never_finishes_its_handshake_stops_nobody(pem, silent):
    """
    However many there are, they count against the limit, and the next sender is served.
    """
    async with place(pem, 32) as server:
        sender = await server.secure(WHOLE)
        assert (await sender.answer())[0] == 200
        crowd = [await server.line(silent) for _ in range(100)]
        await until(lambda: server.held <= 32)
        assert (await (await server.secure(HEALTH)).answer())[0] == 200
        assert server.held <= 32
        assert (await sender.send(WHOLE).answer())[0] == 200
        assert await gone(crowd[0])


async def gone(line):
    """
    Tell that the server ended a connection without a word.
    """
    try:
        return await line.rest() == b""
    except ConnectionError:
        return True


async def test_one_address_has_its_share_of_handshakes(pem):
    """
    A crowd from one address displaces itself, not the silent ones of others.
    """
    async with place(pem, 64, is_exempt=lambda _: False) as server:
        for _ in range(10):
            await server.line(address="127.0.0.2")
        await until(lambda: server.held == 10)
        others = set(server.server._acceptor.unfinished)
        for _ in range(100):
            await server.line(HELLO, address="127.0.0.3")
        await until(lambda: server.held == 10 + 64 // connections.SHARE_OF_ADDRESS)
        assert others <= server.server._acceptor.unfinished
        assert (await (await server.secure(HEALTH, address="127.0.0.4")).answer())[0] == 200


@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("silent", SILENCES.values(), ids=SILENCES)
async def test_a_handshake_has_its_time(pem, monkeypatch, silent, drips):
    """
    Who is silent, or sends a byte now and then, is cut off; what was finished in time stays.
    """
    async with place(pem) as server:
        fine = await server.secure()
        monkeypatch.setattr(
            handshakes, "HANDSHAKE_SECONDS", 0.3
        )  # a busy machine needs more for one that is meant
        late = await server.line(silent)
        while not await is_over(late):
            if drips:
                late.send(b"\0")
        await until(lambda: server.held == 1)
        assert (await fine.send(HEALTH).answer())[0] == 200


async def is_over(line, seconds=0.05):
    """
    Wait a moment; tells whether the server ended the connection.
    """
    try:
        return await asyncio.wait_for(line.reader.read(), seconds) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("data", [HEALTH, b"\x16\x03\x01\x00\x00", bytes(range(256)) * 40, HELLO])
@pytest.mark.parametrize("abort", [True, False])
async def test_who_speaks_no_tls_or_leaves_is_no_error(pem, data, abort, caplog):
    """
    Nothing is logged above DEBUG, the place is free at once, and the next one is served.
    """
    caplog.set_level(logging.INFO)
    async with place(pem) as server:
        for delay in (0, 0.01, 0.05):
            line = await server.line(data)
            await asyncio.sleep(delay)
            line.writer.transport.abort() if abort else line.writer.close()
        await until(lambda: server.held == 0)
        assert server.server._room._inside == 0
        assert (await (await server.secure(WHOLE)).answer())[0] == 200
    assert [record for record in caplog.records if not record.name.startswith("uvicorn")] == []


async def test_a_server_that_stops_waits_for_no_handshake(pem):
    """
    Unfinished handshakes are ended with the server.
    """
    async with place(pem) as server:
        lines = [await server.line(silent) for silent in SILENCES.values()]
        await until(lambda: server.held == len(lines))
        stopping = asyncio.create_task(server.server.stop())
        await until(stopping.done, seconds=2)
        await stopping
        assert [await gone(line) for line in lines] == [True] * len(lines)


async def test_who_is_turned_out_and_does_not_take_leave_is_cut_off(pem, monkeypatch):
    """
    A client that ignores the end of TLS keeps its connection for a moment, not for half a minute.
    """
    monkeypatch.setattr(connections, "LEAVE_SECONDS", 0.2)
    async with place(pem, 8) as server:
        rude = await server.secure(HEALTH)
        await rude.answer()
        rude.writer.transport.pause_reading()
        (first,) = server.server.server_state.connections
        for _ in range(8):
            await server.line()
        await until(lambda: first not in server.server.server_state.connections, seconds=3.0)
