"""
Every refusal becomes one error of the program's tree, with a cause, what to do, and no secret.
"""

import asyncio
import base64
import json
import re
import traceback
from email.utils import formatdate
from pathlib import Path

import httpx2
import pytest

from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.hiding import Hidden
from onelogin_connector.onelogin.causes import CAUSES
from onelogin_connector.onelogin.client import EVENTS, USERS
from unit.answering import (
    CLIENT_ID,
    CLIENT_SECRET,
    NOW,
    SECRETS,
    TOKEN_PATH,
    Answering,
    enveloped,
    granted,
    listed,
)
from unit.http_errors import raised_by_library

PAGE = Path(__file__).parents[2] / "docs" / "onelogin-api.md"


def html(status, text="<html><body>Sorry</body></html>", **headers):
    """
    Return a page of the edge.
    """
    return {
        "status_code": status,
        "content": text.encode(),
        "headers": {"content-type": "text/html", **headers},
    }


def flat(status, message, **more):
    """
    Return an error as v2 says it.
    """
    return {
        "status_code": status,
        "json": {"message": message, "statusCode": status, "name": "SomeError", **more},
    }


def inside(answer):
    """
    Return the same body with a status of success.
    """
    return answer | {"status_code": 200}


REFUSALS = [
    # at the token endpoint
    (TOKEN_PATH, enveloped(401, "Authentication Failure"), "credential"),
    (TOKEN_PATH, inside(enveloped(401, "Authentication Failure")), "credential"),
    (TOKEN_PATH, flat(401, "Unauthorized"), "credential"),
    (TOKEN_PATH, inside(flat(401, "Unauthorized")), "credential"),
    (TOKEN_PATH, enveloped("401", "Authentication Failure") | {"status_code": 401}, "credential"),
    (TOKEN_PATH, enveloped(400, "The authorization information is missing"), "credential"),
    (TOKEN_PATH, enveloped(403, "Forbidden"), "forbidden"),
    (TOKEN_PATH, html(403), "forbidden"),
    (TOKEN_PATH, enveloped(404, "No Route Exists"), "no-account"),
    (TOKEN_PATH, html(404), "no-account"),
    (TOKEN_PATH, html(200), "no-account"),
    (TOKEN_PATH, html(302, location="https://login.example.com/?x"), "no-account"),
    (TOKEN_PATH, html(429), "rate-limit"),
    (TOKEN_PATH, enveloped(500, "Internal Server Error"), "creator"),
    (TOKEN_PATH, html(502), "outage"),
    (TOKEN_PATH, {"content": b'{"access_tok'}, "unreadable"),
    (TOKEN_PATH, {"content": b""}, "unreadable"),
    # at a resource
    (EVENTS, enveloped(403, "Insufficient Permission"), "scope"),
    (EVENTS, html(403), "scope"),
    (EVENTS, enveloped(401, "Authentication Failure"), "scope"),
    (EVENTS, enveloped(400, "rate_limit_exceeded"), "rate-limit"),
    (EVENTS, inside(enveloped(400, "rate_limit_exceeded")), "rate-limit"),
    (EVENTS, enveloped(429, "rate limit exceeded"), "rate-limit"),
    (EVENTS, html(429), "rate-limit"),
    (
        EVENTS,
        enveloped(400, {"description": "last is not a valid attribute", "attribute": "last"}),
        "request",
    ),
    (EVENTS, enveloped(404, "No Route Exists"), "request"),
    (EVENTS, html(404), "outage"),
    (EVENTS, flat(422, "Invalid sort field", field="created_at"), "request"),
    (
        EVENTS,
        {"status_code": 422, "json": {"code": 422, "message": "x", "errors": [{"field": "f"}]}},
        "request",
    ),
    (EVENTS, html(407), "proxy"),
    (EVENTS, enveloped(500, "Internal Server Error"), "creator"),
    (EVENTS, inside(enveloped(500, "Internal Server Error")), "creator"),
    (EVENTS, inside(enveloped(None, "who knows")), "creator"),
    (EVENTS, html(503), "outage"),
    (EVENTS, {"status_code": 418}, "outage"),
    (EVENTS, html(200), "web-page"),
    (EVENTS, html(302, location="https://evil.example.com/api/1/events"), "redirect"),
    (EVENTS, html(307, location="/elsewhere"), "redirect"),
    (EVENTS, {"status_code": 304}, "redirect"),
    (EVENTS, {"status_code": 204}, "unreadable"),
    (EVENTS, {"content": b"["}, "unreadable"),
    (EVENTS, {"content": b"[" * 100_000}, "unreadable"),
    (EVENTS, {"content": b"\xff\xfe\x00"}, "unreadable"),
    (EVENTS, {"content": b"x", "headers": {"content-encoding": "br"}}, "unreadable"),
    (EVENTS, {"content": b" " * (33 << 20)}, "too-large"),
    # no answer at all
    (EVENTS, httpx2.ConnectTimeout("slow"), "timeout"),
    (EVENTS, httpx2.ReadTimeout("slow"), "timeout"),
    (EVENTS, httpx2.PoolTimeout("slow"), "timeout"),
    (EVENTS, TimeoutError(), "timeout"),
    (EVENTS, httpx2.ConnectError("refused"), "connection"),
    (EVENTS, httpx2.ProxyError("407 Proxy Authentication Required"), "proxy"),
    (EVENTS, httpx2.RemoteProtocolError("nonsense"), "broken"),
    (EVENTS, httpx2.ReadError("reset"), "broken"),
    (EVENTS, httpx2.WriteError("reset"), "broken"),
    (EVENTS, httpx2.CloseError("reset"), "broken"),
    (EVENTS, httpx2.LocalProtocolError("nonsense"), "broken"),
    (EVENTS, httpx2.UnsupportedProtocol("nonsense"), "broken"),
    (EVENTS, httpx2.DecodingError("nonsense"), "broken"),
    (EVENTS, httpx2.StreamError("nonsense"), "broken"),
    (EVENTS, httpx2.InvalidURL("nonsense"), "broken"),
    (EVENTS, ConnectionResetError(104, "reset"), "broken"),
]


def ids():
    """
    Name the cases.
    """
    return [f"{path.rsplit('/', 1)[1]}-{cause}-{number}" for number, (path, _, cause) in enumerate(REFUSALS)]


@pytest.mark.parametrize(("path", "answer", "cause"), REFUSALS, ids=ids())
def test_each_refusal_has_its_cause(path, answer, cause):
    """
    The cause decides the branch of the tree, the message begins with its meaning, and says what to do.
    """
    known = CAUSES[cause]
    with pytest.raises(known.error) as caught:
        Answering({EVENTS: listed(), path: answer}).events()
    assert type(caught.value) is known.error
    assert caught.value.message.startswith(known.meaning)
    assert caught.value.action == known.action
    if (
        isinstance(answer, dict)
        and cause != "too-large"
        and "content-encoding" not in answer.get("headers", {})
    ):
        assert f"HTTP {answer.get('status_code', 200)} from " in caught.value.message


def test_every_library_error_has_a_counterpart():
    """
    No exception of the HTTP library is left without a case above, so a new one is noticed.
    """
    ours = {type(answer) for _, answer, _ in REFUSALS if isinstance(answer, Exception)}
    rare = {httpx2.WriteTimeout, httpx2.SSEError}  # as the other timeouts; event streams are not asked for
    assert raised_by_library() - ours == rare


def test_every_cause_is_met():
    """
    Each cause of the table occurs: in the cases above, or in the tests of check, network and budget.
    """
    elsewhere = {
        "address",
        "proxy-address",
        "incomplete",
        "name",
        "private",
        "certificate",
        "budget",
        "cursor",
        "records",
    }
    assert {cause for _, _, cause in REFUSALS} | elsewhere == set(CAUSES)


def test_every_cause_is_documented():
    """
    The page about the API says of each cause what it means and what to do, in the same words.
    """
    text = " ".join(PAGE.read_text().split())
    for name, cause in CAUSES.items():
        assert cause.meaning in text, name
        assert cause.action in text, name


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"retry-after": "17"}, 17),
        (429, {"retry-after": "0"}, 5),
        (429, {"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        (429, {"retry-after": formatdate(NOW - 90, usegmt=True)}, 5),
        (429, {"retry-after": "soon", "x-ratelimit-reset": "832"}, 832),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "832"}, 832),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 300)}, 300),
        (429, {"retry-after": "999999"}, 3_600),
        (429, {"retry-after": "9" * 5_000}, 5),
        (429, {"retry-after": "-5"}, 5),
        (429, {}, 5),
        (503, {"retry-after": "30"}, 30),
        (503, {}, None),
        (500, {}, None),
    ],
)
def test_waits_that_are_asked_for(status, headers, wait):
    """
    The wait is what OneLogin asks for in whichever header, at most an hour, and known for every rate limit.
    """
    account = Answering({EVENTS: enveloped(status, "wait") | {"headers": headers}})
    with pytest.raises(Unavailable) as caught:
        account.events()
    assert caught.value.after_seconds == wait


def test_after_a_throttle_nobody_calls():
    """
    A refused pace holds up every call of the account, not only the one that was refused.
    """
    account = Answering(
        {EVENTS: [enveloped(429, "x") | {"headers": {"retry-after": "600"}}, listed()], USERS: {"json": []}}
    )
    for _ in range(3):
        with pytest.raises(Unavailable, match="used up"):
            account.events()
    assert len(account.asked(EVENTS)) == 1
    account.now += 600
    account.events()


def echo(request):
    """
    Answer with everything that was sent, as a proxy's error page does.
    """
    text = f"{request.method} {request.url} {dict(request.headers)} {request.content.decode()}"
    decoded = [base64.b64decode(word.strip(" '\",}")) for word in text.split() if word.startswith("MWRjMGZm")]
    return text + " ".join(each.decode() for each in decoded)


def leaking(make):
    """
    Return an answer that repeats what was sent, in a shape.
    """
    return lambda request: make(echo(request), request.headers.get("authorization", "").split()[-1])


LEAKS = [
    leaking(lambda text, token, status=status: enveloped(status, text))
    for status in (200, 400, 401, 403, 404, 429, 500, 503)
]
LEAKS += [
    leaking(lambda text, token: enveloped(400, {"description": token, "attribute": text})),
    leaking(lambda text, token: enveloped(400, token[5:30])),
    leaking(lambda text, token: enveloped(400, "\n".join(token))),
    leaking(lambda text, token: flat(403, f"bad token {token}")),
    leaking(lambda text, token: html(500, f"<pre>{text}</pre>")),
    leaking(lambda text, token: html(302, location=f"https://{token[:60]}.example.com/{token}")),
    leaking(lambda text, token: html(302, location=f"https://[{token}/")),
    leaking(lambda text, token: {"status_code": 500, "headers": {"x-request-id": token[:64]}}),
    leaking(lambda text, token: {"content": json.dumps(text)[:-1].encode()}),
    leaking(lambda text, token: {"json": {"data": text, "pagination": token}}),
    leaking(lambda text, token: {"content": b"x", "headers": {"content-encoding": f"gzip, {token}"}}),
    lambda request: httpx2.RemoteProtocolError(f"illegal header line: {echo(request)}"),
    lambda request: httpx2.InvalidURL(echo(request)),
    lambda request: ValueError(echo(request)),
    lambda request: OSError(5, echo(request)),
    lambda request: httpx2.ConnectError(echo(request)),
]


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("path", [TOKEN_PATH, EVENTS])
def test_no_error_repeats_a_secret(leak, path, caplog):
    """
    The other side may repeat everything that was sent to it: no error, trace, log line or stage of a check shows it.
    """
    caplog.set_level("DEBUG", logger="onelogin_connector")
    account = Answering({TOKEN_PATH: granted(), EVENTS: listed(), path: leak})
    with pytest.raises(ConnectorError) as caught:
        account.events()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(vars(caught.value))
    account.now += 1_000
    shown += (
        repr(asyncio.run(account.client.check()))
        + repr(account.client)
        + repr(vars(account.client))
        + caplog.text
    )
    shown += "".join(repr(vars(record)) for record in caplog.records)
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    bare = re.sub(r"\s", "", shown)
    for secret in (*SECRETS, basic):
        assert not [at for at in range(len(secret) - 7) if secret[at : at + 8] in bare]


def test_the_leaks_leak():
    """
    The answers above do hold the secrets; otherwise the test before would prove nothing.
    """
    request = httpx2.Request("GET", "https://x/", headers={"authorization": f"Bearer {SECRETS[2]}"})
    assert SECRETS[2] in str(LEAKS[0](request))
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    assert CLIENT_SECRET in echo(
        httpx2.Request("POST", "https://x/", headers={"authorization": f"Basic {basic}"})
    )


def test_shown_text_is_one_short_line():
    """
    Text of the other side cannot paint a terminal, forge a log line, or fill a page.
    """
    hidden = Hidden(CLIENT_SECRET)
    assert hidden.clean("a\r\n\x1b[31mb\u202ec\ud800\x00") == "a [31mb c"
    assert len(hidden.clean("x " * 10_000)) <= 201
    assert "5ec2" not in hidden.clean(f"id={CLIENT_SECRET[3:11]}")
    assert hidden.clean("Authentication Failure") == "Authentication Failure"
    assert Hidden("", "abc").clean("abc") == "abc"


@pytest.mark.parametrize("bad", ["", " ", "with blank", "line\n", "“quoted”", "é"])
def test_a_credential_that_cannot_be_one_is_not_sent(bad):
    """
    What was pasted with a line break or quotes is refused here, with advice, and never reaches the network.
    """
    account = Answering(client_secret=bad)
    with pytest.raises(ConfigError, match="blank or another character"):
        account.events()
    assert not account.requests


def test_branches_are_three():
    """
    A caller handles waiting, a person for the credential, and a person for the settings; nothing else comes.
    """
    assert {cause.error for name, cause in CAUSES.items() if name != "records"} == {
        Unavailable,
        Unauthorized,
        ConfigError,
    }
