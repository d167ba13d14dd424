"""
One post: every answer and every failure ends as a success or as one error of the tree, and shows no secret.
"""

import asyncio
import socket
import ssl
from email.utils import formatdate
from traceback import format_exception

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.azure.causes import OUTAGE, RATE_LIMIT, REFUSED, STRANGE, TRANSPORT, Api
from onelogin_connector.azure.logs_ingestion import API
from onelogin_connector.azure.posting import MOST_ANSWER_BYTES, Posting, said, wait_seconds
from onelogin_connector.cause import Cause
from onelogin_connector.errors import (
    ConfigError,
    ConnectorError,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from onelogin_connector.hiding import Hidden
from onelogin_connector.http_client import http_date_seconds
from onelogin_connector.setting import HttpUrl
from unit.http_errors import raised_by_library

NOW = 1_795_200_000.0
SECRET = "70ce9bad5ec2e7aa"
URL = HttpUrl("https://x.westeurope-1.ingest.monitor.azure.com")
HEADERS = {"authorization": f"Bearer {SECRET}"}


class Stream(httpx2.AsyncByteStream):
    """
    A body that comes in parts, and may break.
    """

    def __init__(self, parts, error=None, pause=0.0):
        self.parts, self.error, self.pause = parts, error, pause
        self.given = 0

    async def __aiter__(self):
        for part in self.parts:
            self.given += 1
            yield part
        await asyncio.sleep(self.pause)
        if self.error:
            raise self.error


def post(answer, *, api=API, records=1, about="", **named):
    """
    Post once to a service that answers so, or fails so.
    """
    seen = []

    def handle(request):
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(**answer)

    async def act():
        posting = Posting(
            URL, api, Hidden(SECRET), transport=httpx2.MockTransport(handle), clock=lambda: NOW, **named
        )
        try:
            return await posting.post("/path?q=1", b"[]", HEADERS, records=records, about=about)
        finally:
            assert posting.last_status == (
                None if isinstance(answer, Exception) else seen and httpx_status(answer)
            )
            await posting.close()
            await posting.close()

    reply = asyncio.run(act())
    return reply, seen


def httpx_status(answer):
    """Return the status of an answer, whichever way it was written."""
    return answer.status_code if isinstance(answer, httpx2.Response) else answer["status_code"]


def refusal(status, code="", message="", **headers):
    """Return an error as the Logs Ingestion API says it."""
    return {
        "status_code": status,
        "json": {"error": {"code": code, "message": message}},
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }


CASES = [
    (refusal(400, "InvalidPayload"), Refused, API.causes[400]),
    (refusal(401, "InvalidToken"), Unauthorized, API.causes[401]),
    (refusal(403, "OperationFailed"), Unauthorized, API.causes[403]),
    (refusal(404, "NotFound"), ConfigError, API.causes[404]),
    (refusal(413, "ContentLengthLimitExceeded"), TooLarge, API.causes[413]),
    (refusal(405), ConfigError, REFUSED),
    (refusal(415), ConfigError, REFUSED),
    (refusal(407), Unavailable, TRANSPORT["proxy"]),
    (refusal(408), Unavailable, OUTAGE),
    (refusal(425), Unavailable, OUTAGE),
    (refusal(429), Unavailable, RATE_LIMIT),
    (refusal(500), Unavailable, OUTAGE),
    (refusal(502), Unavailable, OUTAGE),
    (refusal(503), Unavailable, OUTAGE),
    (refusal(599), Unavailable, OUTAGE),
    ({"status_code": 503, "text": "<html>nginx</html>"}, Unavailable, OUTAGE),
    ({"status_code": 202}, Unavailable, STRANGE),
    ({"status_code": 307, "headers": {"location": "https://evil.example"}}, Unavailable, STRANGE),
    ({"status_code": 304}, Unavailable, STRANGE),
    ({"status_code": 200, "html": "<html>Sign in</html>"}, Unavailable, STRANGE),
    ({"status_code": 200, "text": "\n <!doctype html>"}, Unavailable, STRANGE),
    (httpx2.ConnectTimeout("slow"), Unavailable, TRANSPORT["timeout"]),
    (httpx2.ReadTimeout("slow"), Unavailable, TRANSPORT["timeout"]),
    (httpx2.WriteTimeout("slow"), Unavailable, TRANSPORT["timeout"]),
    (httpx2.PoolTimeout("slow"), Unavailable, TRANSPORT["timeout"]),
    (TimeoutError(), Unavailable, TRANSPORT["timeout"]),
    (httpx2.ConnectError("refused"), Unavailable, TRANSPORT["connection"]),
    (httpx2.ProxyError("407 for user:password"), Unavailable, TRANSPORT["proxy"]),
    (httpx2.RemoteProtocolError("nonsense"), Unavailable, TRANSPORT["broken"]),
    (httpx2.LocalProtocolError("nonsense"), Unavailable, TRANSPORT["broken"]),
    (httpx2.ReadError("reset"), Unavailable, TRANSPORT["broken"]),
    (httpx2.WriteError("reset"), Unavailable, TRANSPORT["broken"]),
    (httpx2.CloseError("reset"), Unavailable, TRANSPORT["broken"]),
    (httpx2.UnsupportedProtocol("nonsense"), Unavailable, TRANSPORT["broken"]),
    (httpx2.DecodingError("nonsense"), Unavailable, TRANSPORT["broken"]),
    (httpx2.StreamError("nonsense"), Unavailable, TRANSPORT["broken"]),
    (httpx2.InvalidURL("nonsense"), Unavailable, TRANSPORT["broken"]),
    (ConnectionResetError(104, "reset"), Unavailable, TRANSPORT["broken"]),
]


@pytest.mark.parametrize(("answer", "error", "cause"), CASES, ids=range(len(CASES)))
def test_each_failure_has_its_cause(answer, error, cause):
    """
    The cause decides the branch of the tree; the message begins with its meaning, and says what to do.
    """
    with pytest.raises(ConnectorError) as caught:
        post(answer)
    assert type(caught.value) is error
    assert cause.meaning in caught.value.message
    assert caught.value.action == cause.action
    if isinstance(answer, dict):
        assert f"HTTP {answer['status_code']}" in caught.value.message


def test_every_library_error_has_a_counterpart():
    """
    No exception of the HTTP library is left without a case above, so a new one is noticed.
    """
    ours = {type(answer) for answer, _, _ in CASES if isinstance(answer, Exception)}
    assert raised_by_library() - ours == {httpx2.SSEError}  # event streams are not asked for


@pytest.mark.parametrize(
    "inner", [ssl.SSLCertVerificationError(1, "self-signed"), socket.gaierror(-2, "unknown")]
)
def test_what_lies_beneath_is_told(inner):
    """
    A certificate that proves nothing and a name that nobody knows are told, however deep they lie.
    """
    error = httpx2.ConnectError("wrapped")
    error.__cause__ = ExceptionGroup("both", [OSError("other"), inner])
    name = "certificate" if isinstance(inner, ssl.SSLError) else "name"
    with pytest.raises(Unavailable) as caught:
        post(error)
    assert caught.value.message.startswith(TRANSPORT[name].meaning)


def test_one_request_goes_to_the_one_host():
    """
    A redirect is not followed, no cookie comes back, and the body goes as it was given.
    """
    answer = {"status_code": 307, "headers": {"location": "https://evil.example", "set-cookie": "a=b"}}
    seen = []

    def handle(request):
        seen.append(request)
        return httpx2.Response(**answer)

    async def act():
        posting = Posting(URL, API, Hidden(SECRET), transport=httpx2.MockTransport(handle))
        for _ in range(2):
            with pytest.raises(Unavailable):
                await posting.post("/p?api-version=1", b"[1]", HEADERS)
        await posting.close()

    asyncio.run(act())
    assert len(seen) == 2
    assert all(str(request.url) == f"{URL}/p?api-version=1" and request.content == b"[1]" for request in seen)
    assert not any("cookie" in request.headers for request in seen)


@given(st.integers(-1, 30), st.text(max_size=30), st.sampled_from(["code", "message", "page", "error"]))
def test_no_secret_is_repeated(at, text, where):
    """
    Whatever an answer says, and wherever it repeats the secret, the error does not show it.
    """
    hostile = f"{text[: max(at, 0)]} {SECRET} {text[max(at, 0) :]}"
    answer = {
        "code": refusal(403, SECRET, "x"),
        "message": refusal(403, "x", hostile),
        "page": {"status_code": 403, "text": hostile},
        "error": httpx2.ConnectError(hostile),
    }[where]
    with pytest.raises(ConnectorError) as caught:
        post(answer)
    assert SECRET not in f"{caught.value!r} {''.join(format_exception(caught.value))}"


def test_of_an_answer_only_so_much_is_read():
    """
    A service that never stops talking is heard for some KiB.
    """
    body = Stream([b"x" * 8_192] * 10_000)
    with pytest.raises(Unavailable):
        post(httpx2.Response(500, stream=body))
    assert body.given <= MOST_ANSWER_BYTES // 8_192 + 1


def test_a_body_that_breaks_takes_nothing_back():
    """
    After a status of success the rows are there, whatever becomes of the body; after any other they may not be.
    """
    broken = httpx2.RemoteProtocolError("peer closed")
    reply, _ = post(httpx2.Response(204, stream=Stream([], broken)))
    assert reply.status == 204
    with pytest.raises(Unavailable, match="broke"):
        post(httpx2.Response(429, stream=Stream([b"{"], broken)))
    with pytest.raises(Unavailable):
        post(httpx2.Response(200, headers={"content-type": "text/html"}, stream=Stream([], broken)))


def test_the_whole_call_has_a_time_limit():
    """
    An answer whose body trickles is given up.
    """
    with pytest.raises(Unavailable, match="in time"):
        post(httpx2.Response(500, stream=Stream([b"x"], pause=30)), total_seconds=0.05)


def test_refused_names_every_record_of_the_call():
    """
    The service does not say which record it refuses, so all are named; and what else helps is said.
    """
    with pytest.raises(Refused) as caught:
        post(refusal(400, "InvalidPayload", "bad"), records=3, about="x-ms-client-request-id 7")
    assert set(caught.value.reasons) == {0, 1, 2}
    assert "x-ms-client-request-id 7" in caught.value.reasons[2]
    assert "“bad”" in caught.value.reasons[2]


def test_a_code_comes_before_the_status():
    """
    Where an API's table names the code, the status does not matter.
    """
    api = Api(
        "it", frozenset({200}), {"Gone": Cause("Closed.", "Open it.", ConfigError), 400: API.causes[400]}
    )
    with pytest.raises(ConfigError, match="Closed"):
        post({"status_code": 400, "json": {"Error": "Gone", "Message": None}}, api=api)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("17", 17),
        (" 0 ", 0),
        ("1.5", 1.5),
        ("9" * 25, 3_600),
        ("9" * 500, None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("١٧", None),
        ("nan", None),
        (formatdate(NOW + 90, usegmt=True), 90),
        (formatdate(NOW - 90, usegmt=True), 0),
        (formatdate(NOW + 10**6, usegmt=True), 3_600),
        ("Fri, 32 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_waits_that_are_asked_for(text, wait):
    """
    Seconds or a date, at most an hour; what cannot be read leaves it to the back-off.
    """
    assert wait_seconds(text, NOW) == wait
    with pytest.raises(Unavailable) as caught:
        post({"status_code": 429, "headers": {"retry-after": text.strip().encode("utf-8", "replace")}})
    assert caught.value.after_seconds == wait


def test_a_date_is_counted_by_the_services_own_clock():
    """
    Where our clock is wrong, the wait is right all the same, and the difference is known.
    """
    headers = {"date": formatdate(NOW - 500, usegmt=True), "retry-after": formatdate(NOW - 440, usegmt=True)}
    with pytest.raises(Unavailable) as caught:
        post({"status_code": 503, "headers": headers})
    assert caught.value.after_seconds == 60
    reply, _ = post({"status_code": 204, "headers": headers})
    assert reply.ahead_seconds == 500


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.text() | st.integers(), lambda i: st.dictionaries(st.sampled_from(["error", "code", "message", "Error", "Message"]), i), max_leaves=6
).map(lambda value: httpx2.Response(200, json=value).content))  # fmt: skip
def test_any_body_is_read(body):
    """
    What an error says is text, or nothing; no body makes reading fail.
    """
    code, text = said(body)
    assert isinstance(code, str)
    assert isinstance(text, str)
    assert len(code) <= 80


@given(st.text(max_size=60))
def test_any_date_is_read(text):
    """
    A date is a moment or nothing.
    """
    found = http_date_seconds(text)
    assert found is None or 0 < found < 2**32


def test_a_proxy_address_that_is_none_is_told_without_it(monkeypatch):
    """
    The address may hold a password, so only its variable is named.
    """
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://user:hunter22@x")

    async def act():
        await Posting(URL, API, Hidden()).post("/", b"", {})

    with pytest.raises(ConfigError) as caught:
        asyncio.run(act())
    assert "HTTPS_PROXY" in caught.value.action
    assert "hunter22" not in str(caught.value)


def test_a_reply_shows_no_body():
    """
    A body may hold a token.
    """
    reply, _ = post({"status_code": 200, "json": {"access_token": SECRET}})
    assert SECRET.encode() in reply.body
    assert SECRET not in repr(reply)
