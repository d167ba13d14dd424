"""
The check names the first stage that fails, with its cause and what to do, and tells what it saw when all is well.
"""

import asyncio
import ssl

import httpx2
import pytest

from onelogin_connector.onelogin.causes import CAUSES
from onelogin_connector.onelogin.client import EVENTS
from onelogin_connector.status import StageState
from unit.answering import TOKEN_PATH, Answering, enveloped, granted, listed

STAGES = ["configuration", "network", "authentication", "permission", "fetch logs"]
RATE_LIMIT = "/auth/rate_limit"
EVENT = {"id": 1, "account_id": 9, "event_type_id": 5, "created_at": "2026-11-20T10:00:00.123Z"}


def check(account):
    """
    Run the check.
    """
    return asyncio.run(account.client.check())


def test_all_is_well():
    """
    Five stages pass; the last tells how many events there are, and the newest one's time, wherever it stands.
    """
    older = EVENT | {"id": 2, "created_at": "2026-11-20T09:00:00Z"}
    stages = check(Answering({EVENTS: listed(older, EVENT, older)}))
    assert [stage.stage for stage in stages] == STAGES
    assert {stage.state for stage in stages} == {StageState.PASSED}
    assert [stage.http_status for stage in stages] == [None, None, 200, 200, 200]
    assert not any(stage.action for stage in stages)
    assert "account 999999" in stages[2].message
    assert "7 h 19 min" in stages[2].message
    assert stages[4].message == "3 events in the last 10 minutes, the newest seen of 2026-11-20 10:00:00 UTC."


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([listed()], "No events in the last 24 hours; everything works, and new ones will be fetched."),
        ([listed(EVENT)], "1 event in the last 10 minutes, the newest seen of 2026-11-20 10:00:00 UTC."),
        (
            [listed(), listed(EVENT, EVENT)],
            "2 events in the last hour, the newest seen of 2026-11-20 10:00:00 UTC.",
        ),
        (
            [listed(EVENT, following="c")],
            "1 or more events in the last 10 minutes, the newest seen of 2026-11-20 10",
        ),
        ([listed(), listed(), listed(EVENT | {"created_at": None})], "1 event in the last 24 hours."),
    ],
)
def test_what_was_seen(answers, message):
    """
    Few, many and no events are told apart, looking further back while there are none; none is no failure.
    """
    account = Answering({EVENTS: list(answers)})
    stage = check(account)[-1]
    assert stage.state is StageState.PASSED
    assert stage.message.startswith(message)
    asked = [request.url.params for request in account.asked(EVENTS)]
    assert [each["since"] for each in asked] == [
        "2026-11-20T18:30:00.000Z",
        "2026-11-20T17:40:00.000Z",
        "2026-11-19T18:40:00.000Z",
    ][: len(asked)]
    assert {tuple(each) for each in asked} == {("since", "until", "limit")}


def test_the_look_back_is_by_the_servers_clock():
    """
    A machine whose clock is a day ahead still looks at OneLogin's last minutes.
    """
    account = Answering({EVENTS: listed(EVENT)})
    account.now += 86_400
    check(account)
    assert account.asked(EVENTS)[0].url.params["since"] == "2026-11-20T18:30:00.000Z"


def failing(kind):
    """
    Return a connection error with a cause, as the HTTP library raises it.
    """
    error = httpx2.ConnectError("failed")
    error.__cause__ = kind
    return error


def untrusted():
    """
    Return the error of a certificate that nobody signed.
    """
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def unknown_name():
    """
    Return the error of a name that nobody knows.
    """
    import socket

    return socket.gaierror(-2, "Name or service not known")


FAILURES = [
    ({RATE_LIMIT: failing(unknown_name())}, "network", "name", None),
    ({RATE_LIMIT: failing(untrusted())}, "network", "certificate", None),
    ({RATE_LIMIT: failing(ConnectionRefusedError(111, "Connection refused"))}, "network", "connection", None),
    ({RATE_LIMIT: httpx2.ProxyError("407")}, "network", "proxy", None),
    ({RATE_LIMIT: {"status_code": 407}}, "network", "proxy", 407),
    ({RATE_LIMIT: httpx2.ReadTimeout("slow")}, "network", "timeout", None),
    ({TOKEN_PATH: enveloped(401, "Authentication Failure")}, "authentication", "credential", 401),
    ({TOKEN_PATH: enveloped(404, "No Route Exists")}, "authentication", "no-account", 404),
    ({TOKEN_PATH: {"content": b"<html>"}}, "authentication", "no-account", 200),
    ({TOKEN_PATH: enveloped(403, "Forbidden")}, "authentication", "forbidden", 403),
    ({TOKEN_PATH: enveloped(500, "Internal Server Error")}, "authentication", "creator", 500),
    ({TOKEN_PATH: {"status_code": 429, "content": b"<html>"}}, "authentication", "rate-limit", 429),
    ({EVENTS: enveloped(403, "Insufficient Permission")}, "permission", "scope", 403),
    ({EVENTS: enveloped(401, "Authentication Failure")}, "permission", "scope", 401),
    ({EVENTS: enveloped(400, "rate_limit_exceeded")}, "permission", "rate-limit", 400),
    (
        {EVENTS: {"status_code": 302, "headers": {"location": "https://x.example.com"}}},
        "permission",
        "redirect",
        302,
    ),
    ({EVENTS: {"content": b"[1"}}, "fetch logs", "unreadable", 200),
    ({EVENTS: {"json": {"data": []}}}, "fetch logs", "unreadable", 200),
    ({EVENTS: listed(EVENT, {"nothing": "of an event"})}, "fetch logs", "records", 200),
]


@pytest.mark.parametrize(("answers", "stage", "cause", "status"), FAILURES)
def test_the_first_failure_is_named(answers, stage, cause, status):
    """
    Stages before it passed, it says why and what to do with the status, and those behind it are skipped.
    """
    stages = check(Answering({EVENTS: listed(EVENT), **answers}))
    place = STAGES.index(stage)
    wanted = [StageState.PASSED] * place + [StageState.FAILED] + [StageState.SKIPPED] * (4 - place)
    assert [each.state for each in stages] == wanted
    failed = stages[place]
    assert failed.message.startswith(CAUSES[cause].meaning)
    assert (failed.action, failed.http_status) == (CAUSES[cause].action, status)
    assert all(each.message == f"Not tried, because {stage} failed." for each in stages[place + 1 :])


def test_what_the_system_says_is_told():
    """
    The reason within a connection error is shown: it is this machine's own text.
    """
    told = {
        "Name or service not known": unknown_name(),
        "self-signed certificate": untrusted(),
        "Connection refused": ConnectionRefusedError(111, "Connection refused"),
    }
    for text, kind in told.items():
        assert text in check(Answering({RATE_LIMIT: failing(kind)}))[1].message


def test_a_bad_credential_is_seen_before_anything_is_sent():
    """
    The configuration stage fails without a call.
    """
    account = Answering(client_secret="pasted with blanks")
    stages = check(account)
    assert stages[0].state is StageState.FAILED
    assert "Copy both anew" in stages[0].action
    assert not account.requests


def test_a_check_remembers_nothing():
    """
    What was cached for polling hides no trouble: the check asks for its own token, and sees what is wrong now.
    """
    account = Answering({EVENTS: listed(EVENT)})
    account.events()
    account.answers[TOKEN_PATH] = enveloped(401, "Authentication Failure")
    assert [stage.state for stage in check(account)][2] is StageState.FAILED
    account.answers[TOKEN_PATH] = granted()
    assert {stage.state for stage in check(account)} == {StageState.PASSED}
    assert account.events().records


def test_a_check_takes_three_calls():
    """
    Where there are events, it is cheap enough to run every hour.
    """
    account = Answering({EVENTS: listed(EVENT)})
    check(account)
    assert sum(account.client.calls.values()) == len(account.requests) == 3


def test_a_wrong_clock_is_told():
    """
    A machine whose clock is minutes off hears of it, in the direction that it is off.
    """
    account = Answering({EVENTS: listed(EVENT)})
    account.now += 312
    assert "312 seconds ahead of OneLogin's" in check(account)[1].message
    account.now -= 624
    assert "312 seconds behind OneLogin's" in check(account)[1].message


def test_a_used_up_budget_is_told_at_once():
    """
    A check does not hang for an hour where no call may be made.
    """
    account = Answering({EVENTS: listed(EVENT)})
    account.budget.pause(3_000)
    stages = check(account)
    assert stages[1].state is StageState.FAILED
    assert "used up" in stages[1].message
    assert not account.requests
