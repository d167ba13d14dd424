"""
Over real sockets: whatever comes back, nothing but the program's own errors comes out, soon, and no token leaks.
"""

import asyncio
import gzip
import json
import logging
import ssl
import traceback
import tracemalloc
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from onelogin_connector.errors import ConfigError, ConnectorError, Unavailable
from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.client import EVENTS, OneLogin
from onelogin_connector.onelogin.wire import MOST_BODY_BYTES
from onelogin_connector.setting import Secret
from tests.loops import undisturbed
from unit.answering import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, SECRETS, granted

GOOD_TOKEN = json.dumps(granted()["json"]).encode()
GOOD_PAGE = b'{"status":{"error":false,"code":200},"pagination":{"next_link":null},"data":[{"id":1}]}'
SOON_SECONDS = 0.5


def answer(body, *, status=b"200 OK", headers=b"", length=None):
    """
    Write an HTTP answer.
    """
    length = len(body) if length is None else length
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, length)
    return head + headers + b"\r\n" + body


class Host:
    """
    A server on loopback that answers each path with given bytes, or as a function decides.
    """

    def __init__(self, **answers):
        self.answers = {"token": answer(GOOD_TOKEN), "events": answer(GOOD_PAGE), **answers}
        self.heard = []
        self.url = ""

    @asynccontextmanager
    async def serving(self, tls=None):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heard.append(head)
                length = [
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ]
                await reader.readexactly(length[0] if length else 0)
                given = self.answers["token" if b"/token" in head.split(b"\r\n")[0] else "events"]
                if callable(given):
                    await given(writer)
                    return
                writer.write(given)
                await writer.drain()
                if not given.endswith((GOOD_TOKEN, GOOD_PAGE)):
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def client_of(url, **options):
    """
    Make a client with a wide budget that waits for nothing long.
    """
    return OneLogin(
        api_url=url,
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        budget=Budget(1, 1_000_000),
        **{"total_seconds": SOON_SECONDS, **options},
    )


async def ask(host, tls=None, **options):
    """
    Fetch a page from a host; returns the page or the error.
    """
    async with host.serving(tls):
        client = client_of(host.url, **options)
        try:
            return await client.events(since_us=1, until_us=2_000_000)
        except ConnectorError as error:
            return error
        finally:
            await client.close()


def test_a_good_host_is_read():
    """
    The server of these tests can be read when it answers well, so that the refusals below mean something.
    """
    host = Host()
    assert undisturbed(ask(host)).records == [b'{"id":1}']
    assert len(host.heard) == 2


async def drip(writer):
    """
    Send a little now and then, so that no single wait is long.
    """
    writer.write(answer(b"", length=100_000))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silence(writer):
    """
    Take the request and say nothing.
    """
    await asyncio.Event().wait()


async def endless_headers(writer):
    """
    Never come to the body.
    """
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        writer.write(b"x-%d: %s\r\n" % (number, b"y" * 1_000))
        await writer.drain()


async def endless_body(writer):
    """
    Never come to an end.
    """
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    block = b"[" * (1 << 20)
    for _ in range(1_000):
        writer.write(b"%x\r\n%s\r\n" % (len(block), block))
        await writer.drain()


async def endless_error(writer):
    """
    Complain without end.
    """
    writer.write(b"HTTP/1.1 500 Internal Server Error\r\ntransfer-encoding: chunked\r\n\r\n")
    block = b"<p>" * (1 << 18)
    for _ in range(1_000):
        writer.write(b"%x\r\n%s\r\n" % (len(block), block))
        await writer.drain()


BOMB = gzip.compress(b" " * (200 << 20), 9, mtime=0)


@pytest.mark.parametrize("path", ["token", "events"])
@pytest.mark.parametrize(
    ("given", "meaning"),
    [
        (drip, "came in time"),
        (silence, "came in time"),
        (endless_headers, "no HTTP"),
        (endless_body, "larger than any"),
        (endless_error, "internal error"),
        (answer(BOMB, headers=b"content-encoding: gzip\r\n"), "larger than any"),
        (answer(BOMB, headers=b"content-encoding: gzip, gzip\r\n"), "shape"),
        (answer(b"no gzip", headers=b"content-encoding: gzip\r\n"), "no HTTP"),
        (answer(GOOD_PAGE[:30], length=9_999), "no HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nffff\r\nabc",
            "no HTTP",
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP"),
        (b"", "no HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "no HTTP"),
    ],
)
def test_replies_that_are_none(path, given, meaning):
    """
    Slow, endless, packed to burst, broken off, or no HTTP at all: a known error, soon, and in little memory.
    """

    async def story():
        started = asyncio.get_running_loop().time()
        error = await ask(Host(**{path: given}), total_seconds=5 if "larger" in meaning else SOON_SECONDS)
        return error, asyncio.get_running_loop().time() - started

    tracemalloc.start()
    error, seconds = undisturbed(story())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert type(error) is Unavailable
    assert meaning in error.message
    assert seconds < 6
    assert peak < 4 * MOST_BODY_BYTES


@pytest.mark.parametrize(
    "status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary", b"308 Permanent"]
)
@pytest.mark.parametrize("path", ["token", "events"])
def test_no_redirect_is_followed(status, path):
    """
    Neither credential nor token reaches a host to which an answer leads, and no second path of the same one.
    """

    async def story():
        other = Host()
        async with other.serving():
            for target in (other.url, ""):
                location = b"location: %s/api/1/events\r\n" % target.encode()
                host = Host(**{path: answer(b"", status=status, headers=location)})
                assert isinstance(await ask(host), Unavailable | ConfigError)
                assert len(host.heard) == (1 if path == "token" else 2)
        return other.heard

    assert undisturbed(story()) == []


def test_links_are_not_followed():
    """
    A page's next link leads elsewhere: the cursor goes with our own request to our own host.
    """

    async def story():
        other = Host()
        async with other.serving():
            link = f"{other.url}/api/1/events?after_cursor=c".encode()
            page = GOOD_PAGE.replace(b'"next_link":null', b'"next_link":"%s","after_cursor":"c"' % link)
            host = Host(events=answer(page))
            async with host.serving():
                client = client_of(host.url)
                first = await client.events(since_us=1, until_us=2_000_000)
                with pytest.raises(Unavailable, match="stands still"):
                    await client.events(since_us=1, until_us=2_000_000, cursor=first.cursor)
                await client.close()
        return other.heard, host.heard

    elsewhere, here = undisturbed(story())
    assert elsewhere == []
    assert b"after_cursor=c " in here[-1]


def test_no_cookie_is_kept():
    """
    What a host wants to be remembered by is forgotten.
    """
    cookie = b"set-cookie: session=abc; Path=/\r\n"
    host = Host(token=answer(GOOD_TOKEN, headers=cookie), events=answer(GOOD_PAGE, headers=cookie))

    async def story():
        async with host.serving():
            client = client_of(host.url)
            for _ in range(3):
                await client.events(since_us=1, until_us=2_000_000)
            await client.close()

    undisturbed(story())
    assert len(host.heard) == 4
    assert not [head for head in host.heard if b"cookie" in head.lower()]


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory):
    """
    Return a server's TLS settings with a certificate that nobody signed.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_certificates_are_verified(self_signed):
    """
    A host that cannot prove who it is hears nothing, not even on this machine.
    """
    host = Host()
    error = undisturbed(ask(host, self_signed))
    assert type(error) is Unavailable
    assert "could not prove who it is" in error.message
    assert "self-signed certificate" in error.message
    assert host.heard == []


def test_nobody_listens():
    """
    A refused connection says so in the words of the system.
    """

    async def story():
        async with Host().serving() as host:
            url = host.url
        client = client_of(url)
        with pytest.raises(Unavailable, match=r"No connection could be made.*") as caught:
            await client.events(since_us=1, until_us=2_000_000)
        await client.close()
        return client, caught.value

    client, error = undisturbed(story())
    assert "127.0.0.1" in error.message
    assert client.calls == {("/auth/oauth2/v2/token", 0): 1}


def test_this_machine_is_never_reached_by_a_proxy(monkeypatch):
    """
    A proxy of the environment is for other hosts; an address of this machine is spoken to directly.
    """

    async def story():
        proxy = Host()
        async with proxy.serving():
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            page = await ask(Host())
        return page, proxy.heard

    page, heard = undisturbed(story())
    assert page.records
    assert heard == []


def test_other_hosts_are_reached_by_the_proxy(monkeypatch):
    """
    Another host is asked for by CONNECT, so the proxy sees its name and no credential; NO_PROXY goes around.
    """

    async def refuse(writer):
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async def story():
        proxy = Host(token=refuse, events=refuse)
        async with proxy.serving():
            monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:prox-y-pass-word@"))
            for trusted in (True, False):
                client = client_of("https://acme.onelogin.com", trust_env=trusted)
                with pytest.raises(Unavailable) as caught:
                    await client.events(since_us=1, until_us=2_000_000)
                await client.close()
                yield caught.value, list(proxy.heard)

    async def collect():
        return [each async for each in story()]

    (refused, heard), (direct, later) = undisturbed(collect())
    assert "proxy refused" in refused.message
    assert "prox-y-pass-word" not in repr(refused) + str(refused)
    assert heard[0].startswith(b"CONNECT acme.onelogin.com:443 ")
    assert not [secret for secret in SECRETS if secret.encode() in b"".join(heard)]
    assert "proxy" not in direct.message
    assert later == heard


def test_a_proxy_that_is_none_is_told_without_its_password(monkeypatch):
    """
    The variable's mistake is named, and not what it holds.
    """
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:prox-y-pass-word@host:1")
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        client_of("https://acme.onelogin.com")
    assert "prox-y-pass-word" not in "".join(traceback.format_exception(caught.value))


def http_answers(*repeated):
    """
    Draw answers that are nearly right: HTTP heads over odd bodies, odd headers, and plain bytes.

    Args:
        repeated: Secrets that headers may hold.
    """
    names = st.sampled_from(
        ["retry-after", "date", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "location",
         "x-request-id", "content-type", "content-encoding", "set-cookie", "after-cursor", "transfer-encoding"]
    )  # fmt: skip
    values = st.sampled_from(
        ["0", "-1", "9" * 400, "gzip", "chunked", "text/html; charset=\x00", "[::", "=;=", *repeated]
    )
    texts = st.text(st.characters(codec="latin-1"), max_size=30)
    parts = st.sampled_from(
        [b'{"status":', b'{"error":true}', b'"data":[', b"[]", b"]", b"}", b'"pagination":{"next_link":"x"}', b",", b"null",
         b'"after_cursor":', b'{"access_token":"x"', b'"message":{"description":', b"\xff", b'"', b"1e400", GOOD_PAGE, GOOD_TOKEN]
    )  # fmt: skip
    bodies = st.one_of(st.binary(max_size=200), st.lists(parts, max_size=8).map(b"".join), parts)
    headers = st.lists(st.tuples(names, values | texts), max_size=4)
    whole = st.builds(
        lambda status, fields, body: (
            b"HTTP/1.1 %d Odd\r\n" % status
            + b"".join(b"%s: %s\r\n" % (name.encode(), value.encode("latin-1")) for name, value in fields)
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        ),
        st.sampled_from(
            [
                200,
                200,
                200,
                201,
                204,
                206,
                301,
                304,
                400,
                401,
                403,
                404,
                407,
                418,
                422,
                429,
                500,
                503,
                599,
                999,
            ]
        ),
        headers,
        bodies,
    )
    return st.one_of(whole, whole, st.binary(max_size=300))


def answers_by_path():
    """
    Draw which call to answer, and how; headers repeat what the host knows. Before it has given a token, none is a secret.
    """
    at_token = st.tuples(st.just("token"), http_answers(CLIENT_ID, CLIENT_SECRET))
    return at_token | st.tuples(st.just("events"), http_answers(*SECRETS))


@given(answers_by_path())
@example(("token", answer(b"", status=b"500 Odd", headers=b"x-request-id: %s\r\n" % CLIENT_SECRET.encode())))
@example(("events", answer(b"", status=b"500 Odd", headers=b"x-request-id: %s\r\n" % ACCESS_TOKEN.encode())))
def test_any_bytes_end_in_our_own_errors(drawn):
    """
    Whatever bytes a host sends, the client gives a page or raises an error of the program's tree, without a secret.
    """
    path, given_bytes = drawn
    host = Host(**{path: given_bytes})
    found = undisturbed(ask(host, total_seconds=0.2))
    if isinstance(found, ConnectorError):
        assert type(found) is not ConnectorError
        shown = "".join(traceback.format_exception(found))
        assert not [secret for secret in SECRETS if secret in shown]
    else:
        assert all(isinstance(record, bytes) for record in found.records)


@given(st.binary(max_size=300), st.sampled_from(["events", "users", "event_types", "check", "account_id"]))
def test_any_body_for_any_method(body, method):
    """
    No method raises anything else either; the check raises nothing.
    """
    from unit.answering import Answering

    account = Answering(
        {path: {"content": body} for path in ("/api/1/events", "/api/2/users", "/api/1/events/types")}
    )

    async def story():
        client = account.client
        match method:
            case "events":
                await client.events(since_us=1, until_us=2)
            case "users":
                async for _ in client.users():
                    pass
            case _:
                await getattr(client, method)()

    try:
        asyncio.run(story())
    except ConnectorError:
        assert method != "check"


def test_the_library_logs_no_secret(caplog):
    """
    Even with every logger wide open, the lines of a session hold no credential and no token.
    """
    caplog.set_level(logging.DEBUG)
    undisturbed(ask(Host()))
    undisturbed(ask(Host(events=answer(b"{}", status=b"500 Internal Server Error"))))
    assert EVENTS in caplog.text
    assert not [secret for secret in SECRETS if secret in caplog.text]
