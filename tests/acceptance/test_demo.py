"""
The demo: a simulated company with its last day at once, through the real webhook and the real poller.
"""

import re
import subprocess
import sys
import time

import httpx2

from patience import PATIENCE_SECONDS

PROGRAM = [sys.executable, "-m", "onelogin_connector"]
NO_ACCIDENT = "[connectors.default]\n[connectors.other]\n"
"""Alone in a new folder, the demo loses two hours of its store after a minute or so, which are then new again."""


def told_of(program, what):
    """
    Return the numbers of the log's lines that say something, waiting for the first.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (told := re.findall(rf"(\d+) events {what}", program.log())):
        assert time.monotonic() < deadline, program.log()
        time.sleep(0.1)
    return [int(each) for each in told]


def wait_until_repaired(program):
    """
    Wait until the API has brought what the webhooks lost of the history; returns how many events those are.
    """
    (lost,) = told_of(program, "were lost on the way")
    deadline = time.monotonic() + PATIENCE_SECONDS
    kql = "OneLoginConnectorCompleteness | summarize repaired = sum(Repaired)"
    # what was lost in the last minutes is repaired as the demo goes on
    while program.rows(kql)[0]["repaired"] < lost - 5:
        assert time.monotonic() < deadline, program.log()
        time.sleep(0.2)
    return lost


def test_the_demo_shows_a_day_at_once(program):
    """
    A day of events is there within seconds, believable and searchable; a second start doubles nothing.
    """
    program.start("--demo", settings=NO_ACCIDENT)
    told_of(program, "of history were sent")
    found = program.drained().rows(
        "OneLogin | summarize n = count(), people = dcount(UserName), hours = dcount(bin(TimeGenerated, 1h))"
    )[0]
    assert found["n"] > 1_000
    assert found["people"] > 20
    assert found["hours"] >= 20
    wait_until_repaired(program)  # a story that begins later loses other requests, whose events would be new
    assert program.stop()[0] == 0
    before = program.status()["connectors"][0]["events_total"]
    program.start("--demo", settings=NO_ACCIDENT)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(told_of(program, "of history were sent")) < 2:
        assert time.monotonic() < deadline, program.log()
        time.sleep(0.1)
    # what happened in the seconds between is new; the day before is known
    assert program.status()["connectors"][0]["events_total"] < before + 100
    assert program.post(b"[]", authorization=f"Bearer {program.token}").status_code == 200


def test_the_demo_repairs_what_its_webhooks_lose(program):
    """
    G4: some events are lost on the way, and within seconds the API has brought each of them.
    """
    program.start("--demo", settings=NO_ACCIDENT)
    assert wait_until_repaired(program) > 30
    assert program.status()["connectors"][0]["state"] == "ok"


def test_simulate_answers_as_the_api(program, free_port):
    """
    With --api alone it serves the account until stopped; without anything to do it is wrong usage.
    """
    assert program.call("simulate").returncode == 2
    assert program.call("simulate", "http://127.0.0.1:9/webhook/default").returncode == 2
    words = [*PROGRAM, "simulate", "--api", str(free_port)]
    url = f"http://127.0.0.1:{free_port}/api/1"
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert str(free_port) in process.stdout.readline()
            types = httpx2.get(f"{url}/events/types", timeout=PATIENCE_SECONDS)
            assert types.json()["data"]
            assert httpx2.get(f"{url}/events", timeout=PATIENCE_SECONDS).status_code == 401
        finally:
            process.terminate()


def test_simulate_says_why_nothing_arrives(program, free_port):
    """
    Nobody there, a wrong token, no URL: each is said, and is a failure.
    """
    url = f"http://127.0.0.1:{free_port}/webhook/default"
    words = ("--token", "t" * 30, "--hours", "1")
    assert "Nobody answers" in program.call("simulate", url, *words).stderr
    program.start()
    wrong = program.call("simulate", f"{program.url}/webhook/default", *words)
    assert wrong.returncode == 1
    assert "401" in wrong.stderr
    assert "no URL" in program.call("simulate", "nonsense", *words).stderr
