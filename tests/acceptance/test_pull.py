"""
The running program between a simulated company's webhooks and its API: what one loses, the other repairs.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import HOUR_US, Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.listing import Delay
from onelogin_connector.simulator.serving import bind, serving, url_of
from onelogin_connector.simulator.trouble import Fault, Trouble
from onelogin_connector.simulator.webhooks import Faults, Webhooks, requests

TOKEN = "a-token-of-twenty-four-characters"
HOURS = 27
LIMIT_SECONDS = 400.0  # most of it is the minute until hours are listed again


@contextmanager
def answering(api: Api) -> Iterator[str]:
    """
    Serve an API from a thread, so that the test can wait for the program meanwhile.
    """
    listener, ending = bind(), threading.Event()

    async def serve() -> None:
        async with serving(api, listener):
            while not ending.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield url_of(listener)
    finally:
        ending.set()
        thread.join()


def settings(folder, url, start_us, *, token=TOKEN):
    """
    Write a connector's settings for a simulated account; polls and overlaps come as often as is allowed.
    """
    (folder / "secret").write_text(CLIENT_SECRET)
    (folder / "token").write_text(token)
    return f"""
        [connectors.acme]
        api_url = "{url}"
        client_id = "{CLIENT_ID}"
        client_secret = {{ file = "secret" }}
        webhook_tokens = [{{ file = "token" }}]
        poll_seconds = 5
        overlap_minutes = 1
        api_budget_share = 1
        start = {datetime.fromtimestamp(start_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}
    """


def wait_until(happened, program, *, seconds=180.0):
    """
    Wait for something, for a while.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, program.log()[-3_000:]
        time.sleep(0.2)


def send(program, company, since_us, until_us, faults):
    """
    Send a part of the story to the program; it answers every request with 200, or the test fails.
    """
    webhooks = Webhooks(f"{program.url}/webhook/acme", TOKEN, faults=faults, clock=time.time)
    tally = asyncio.run(webhooks.send_history(company, since_us, until_us))
    assert set(tally.answers) == {200}


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_what_webhooks_lose_is_repaired_through_two_kills(program):
    """
    G3, G4: webhooks lost, repeated and swapped, an API that is late, two kills: every event once, the figures right.
    """
    company = Company(7, people=40, events_per_day=2_000)
    now_us = int(time.time()) * 1_000_000
    start_us = (now_us // HOUR_US - HOURS) * HOUR_US
    third_us = (now_us - start_us) // 3
    faults = losing(company, start_us, third_us)
    api = Api(Account(company, delays=[Delay(0.05, 120, 900), Delay(0.02, 4_000, 30_000)]))
    with answering(api) as url:
        given = settings(program.folder, url, start_us)
        for part in range(3):
            program.start(settings=given)
            send(program, company, start_us + part * third_us, start_us + (part + 1) * third_us, faults)
            if part < 2:
                seen = api.records
                wait_until(lambda seen=seen: api.records > seen + 300, program)
                program.kill()
        first = start_us // HOUR_US
        kql = "OneLoginConnectorCompleteness | where ConnectorId == 'acme' | sort by TimeGenerated asc"
        wait_until(
            lambda: [row["Settled"] for row in program.rows(kql)[:2]] == [True, True],
            program,
            seconds=LIMIT_SECONDS,
        )
        hours = {int(parsed(row["TimeGenerated"])) // 3_600: row for row in program.drained().rows(kql)}
        found = program.rows("OneLogin_CL | project event_id_s, uuid_g")
        status = program.status()["connectors"][0]

    told = told_by(company, start_us, third_us, faults)
    everything = list(api.account.listing.whole(start_us, now_us - HOUR_US))
    numbers = Counter(int(row["event_id_s"]) for row in found if row["event_id_s"])
    assert set(numbers.values()) == {1}
    due = {each.id for each in everything if each.appears_us < now_us - 60_000_000}
    assert due <= set(numbers)
    assert len({row["uuid_g"] for row in found if row["uuid_g"]}) == len(told)
    for hour in (first, first + 1):
        truth = {each.happening.uuid for each in everything if each.time_us // HOUR_US == hour}
        row = hours[hour]
        assert 0 < len(truth & told) < len(truth)
        assert row["Listed"] == row["Entries"] == row["ListedBySweep"] == len(truth)
        assert row["Matched"] == len(truth & told)
        assert row["Repaired"] == len(truth - told)
        assert row["Unconfirmed"] == 0
        assert row["CompleteAsFarAsListed"]
    assert status["state"] == "ok"
    assert status["watermark"]
    assert "Traceback" not in program.log()


def told_by(company, start_us, third_us, faults):
    """
    Return the uuids of what the webhooks of the story's three parts tell.
    """
    told = set()
    for part in range(3):
        story = company.story(start_us + part * third_us, start_us + (part + 1) * third_us)
        for request in requests(story, faults=faults):
            told.update(happening.uuid for happening in request.batch)
    return told


def losing(company, start_us, third_us):
    """
    Return faults by which each of the first two hours loses something: at night an hour has few requests.
    """
    hours = [
        {each.uuid for each in company.story(start_us + hour * HOUR_US, start_us + (hour + 1) * HOUR_US)}
        for hour in range(2)
    ]
    for seed in range(4, 100):
        faults = Faults(lost=0.1, repeated=0.05, swapped=0.1, seed=seed)
        told = told_by(company, start_us, third_us, faults)
        if all(0 < len(hour & told) < len(hour) for hour in hours):
            return faults
    pytest.fail("no seed loses a webhook of each of the first two hours")


def parsed(text):
    """
    Read a time of an answer as unix seconds.
    """
    return datetime.fromisoformat(text).timestamp()


def test_a_dead_credential_is_said_and_survived(program):
    """
    G4: while the API refuses, webhooks flow and status says why nothing is polled; afterwards nothing is missing.
    """
    company = Company(7, people=40, events_per_day=2_000)
    now_us = int(time.time()) * 1_000_000
    start_us = now_us - 2 * HOUR_US
    api = Api(Account(company))
    api.account.faults.add(Fault(trouble=Trouble.FORBIDDEN))
    with answering(api) as url:
        given = settings(program.folder, url, start_us)
        program.start(settings=given)

        def state():
            return program.status()["connectors"][0]

        wait_until(lambda: state()["error"], program)
        said = state()
        assert said["state"] in {"paused", "retrying"}
        assert "403" in said["error"]
        assert CLIENT_SECRET not in said["error"] + program.log()
        send(program, company, start_us, now_us - HOUR_US, Faults(lost=0.5))
        program.stop()
        api.account.faults.clear()
        program.start(settings=given)
        wait_until(lambda: state()["state"] == "ok" and state()["last_poll"], program)
        expected = {each.id for each in api.account.listing.whole(start_us + 1_000_000, now_us - 60_000_000)}

        def numbers():
            rows = program.rows("OneLogin_CL | where event_id_s != '' | project event_id_s")
            return {int(row["event_id_s"]) for row in rows}

        # the first window that was read to its end need not have come to the present
        wait_until(lambda: expected <= numbers(), program)
