"""
The demo: a simulated company with its last day at once, through the real webhook.
"""

import time

HISTORY_SECONDS = 60.0  # an idle machine needs four


def test_the_demo_shows_a_day_at_once(program):
    """
    A day of events is there within seconds, believable and searchable; a second start doubles nothing.
    """
    program.start("--demo")
    deadline = time.monotonic() + HISTORY_SECONDS
    while "events of history were sent" not in program.log():
        assert time.monotonic() < deadline, program.log()
        time.sleep(0.1)
    found = program.drained().rows(
        "OneLogin | summarize n = count(), people = dcount(UserName), hours = dcount(bin(TimeGenerated, 1h))"
    )[0]
    assert found["n"] > 1_000
    assert found["people"] > 20
    assert found["hours"] >= 20
    assert program.stop()[0] == 0
    before = program.status()["connectors"][0]["events_total"]
    program.start("--demo")
    while program.log().count("events of history were sent") < 2:
        assert time.monotonic() < deadline + HISTORY_SECONDS, program.log()
        time.sleep(0.1)
    # what happened in the seconds between is new; the day before is known
    assert program.status()["connectors"][0]["events_total"] < before + 100
    assert program.post(b"[]", authorization=f"Bearer {program.token}").status_code == 200


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
