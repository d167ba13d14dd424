"""
Strangers on the port: whatever they send, the program answers or closes, explains itself, and goes on.
"""

import json
import socket

import httpx2

from integration.certificate import certificate
from patience import PATIENCE_SECONDS


def raw(port: int, data: bytes, *, seconds: float = PATIENCE_SECONDS) -> bytes:
    """
    Send bytes as they are; returns what comes back until the server closes.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        try:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            found = b""
            while part := line.recv(65_536):
                found += part
        except OSError:  # it closed while we were still sending
            return b""
        return found


HOSTILE = {
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    "binary": bytes(range(256)) * 10,
    "endless line": b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\n\r\n",
    "endless header": b"GET / HTTP/1.1\r\nX: " + b"a" * 500_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
    "two lengths": b"POST /webhook/default HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length and chunks": b"POST /webhook/default HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /webhook/default HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "huge length": b"POST /webhook/default HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "bad chunks": b"POST /webhook/default HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "half a character": b"GET /%ff%fe/webhook/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "connector of bytes": b"POST /webhook/%ff%0d%0aX:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "old http": b"GET / HTTP/1.0\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "forwarded loopback": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
    "strange cookie": b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: onelogin_connector_session=\xff\xfe;;==\r\n\r\n",
    "strange bearer": b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\x80\r\n\r\n",
    "strange token": b"POST /webhook/default HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\nContent-Length: 0\r\n\r\n",
}


def test_hostile_requests_are_refused_one_by_one(program):
    """
    Each gets a problem document or a closed connection, never a 200, a 500 or a traceback.
    """
    program.start()
    for name, data in HOSTILE.items():
        found = raw(program.port, data)
        if found:
            head, _, body = found.partition(b"\r\n\r\n")
            status = int(head.split()[1])
            assert 300 <= status < 500, f"{name}: {head!r}"
            if status >= 400:
                problem = json.loads(body)
                assert problem["status"] == status, name
                assert problem["detail"], name
                assert problem["action"], name
    assert httpx2.get(f"{program.url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
    assert "Traceback" not in program.log()


def test_many_idle_connections_do_not_stop_intake(program):
    """
    Hundreds of connections that say nothing, or little, hold up nobody.
    """
    program.start()
    lines = [socket.create_connection(("127.0.0.1", program.port)) for _ in range(400)]
    try:
        for line in lines[::2]:
            line.sendall(b"POST /webhook/default HTTP/1.1\r\nContent-Length: 100\r\nX-Slow: ")
        body = b'[{"uuid": "00000000-0000-4000-8000-000000000001", "event_type_id": 5}]'
        assert program.post(body).json()["new"] == 1
    finally:
        for line in lines:
            line.close()
    assert program.stop()[0] == 0


def test_unfinished_handshakes_do_not_stop_intake(program):
    """
    Over TLS too hundreds of connections that say nothing, or no TLS, hold up neither a sender nor the end.
    """
    pem = certificate(program.folder)
    program.start(settings=f'[web]\ntls = {{ cert = "{pem}", key = "{pem}" }}\n')
    assert program.url.startswith("https://")
    lines = [socket.create_connection(("127.0.0.1", program.port)) for _ in range(400)]
    try:
        for line in lines[::2]:
            line.sendall(b"\x16\x03\x01\x02\x00")
        body = b'[{"uuid": "00000000-0000-4000-8000-000000000001", "event_type_id": 5}]'
        headers = {"authorization": f"Bearer {program.token}"}
        url = f"{program.url}/webhook/default"
        answer = httpx2.post(url, content=body, headers=headers, verify=False, timeout=PATIENCE_SECONDS)
        assert answer.json()["new"] == 1
        code, seconds = program.stop()
        assert (code, seconds < 10) == (0, True)
    finally:
        for line in lines:
            line.close()
    assert "Traceback" not in program.log()


def test_a_foreign_name_gets_nothing(program):
    """
    A page whose name somebody points here (DNS rebinding) reads neither pages nor metrics.
    """
    program.start()
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"):
        for path in ("/", "/login", "/metrics", "/api/v1/status"):
            url = f"{program.url}{path}"
            answer = httpx2.get(url, headers={"host": host}, timeout=PATIENCE_SECONDS)
            assert answer.status_code == 421, path
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_never_ends_is_cut_off(program):
    """
    A body beyond the limit is refused while it comes, not after it was taken into memory.
    """
    program.start(settings='[connectors.default]\nmax_body = "64 KiB"\n')
    head = (
        f"POST /webhook/default HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {program.token}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    found = raw(program.port, head + chunk * 200)
    assert not found or found.startswith(b"HTTP/1.1 413")
    assert httpx2.get(f"{program.url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
