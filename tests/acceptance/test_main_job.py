"""
The main job on real input: every sample comes in, is kept once, and is found by a query.
"""

import csv
import io
import json
import uuid
from pathlib import Path
from time import monotonic

import httpx2

from onelogin_connector.service.queries import SETTLE_SECONDS
from patience import PATIENCE_SECONDS

FIXTURES = Path(__file__).parents[1] / "fixtures"
DOCUMENTED = "OneLogin | sort by TimeGenerated desc | take 20"


def event(**fields: object) -> dict[str, object]:
    """
    Make up a webhook event with an id of its own.
    """
    made = {
        "uuid": str(uuid.uuid4()),
        "event_timestamp": "2026-11-21 09:30:00 UTC",
        "account_id": 1,
        "event_type_id": 5,
        "user_id": 7,
        "user_name": "Ada Lovelace",
    }
    return made | fields


def test_every_sample_is_found_by_the_documented_query(program):
    """
    All webhook samples by HTTP and all API samples by import give ten events, each once (G1, G3).
    """
    program.start()
    for path in sorted((FIXTURES / "webhook").iterdir()):
        answer = program.post(path.read_bytes())
        assert answer.status_code == 200, f"{path.name}: {answer.text}"
        assert answer.json()["dead"] == 0
    files = [str(path) for path in sorted((FIXTURES / "events_api").iterdir())]
    done = program.call("import", *files, "--connector", "default")
    assert done.returncode == 0, done.stderr
    assert "7 new" in done.stdout
    program.drained()
    rows = json.loads(program.call("query", DOCUMENTED, "--json").stdout)
    assert len(rows) == 10
    times = [row["TimeGenerated"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert {row["EventTypeId"] for row in rows} == {5, 8, 13, 72, 111, 1400}
    assert all(row["EventType"] for row in rows)
    plain = program.call("query", DOCUMENTED)
    assert len(plain.stdout.splitlines()) == 11
    again = program.call("import", *files, "--connector", "default", "--json")
    assert sum(result["new"] for result in json.loads(again.stdout)) == 0


def test_the_answer_stands_for_what_a_query_finds(program):
    """
    An event that was acknowledged is seen by the next query, also after a kill and by the command alone (G1).
    """
    program.start()
    made = event(event_type_id="6", user_name="Zoë 🙂", unknown={"deep": [1, None]})
    assert program.post(json.dumps([made]).encode()).json()["new"] == 1
    asked = began = monotonic()
    while not (rows := program.rows_now("OneLogin | project UserName")):
        # on a machine so busy that the store needs longer than a query waits, the query must have waited
        assert monotonic() - asked >= SETTLE_SECONDS
        assert monotonic() - began < PATIENCE_SECONDS
        asked = monotonic()
    assert [row["UserName"] for row in rows] == ["Zoë 🙂"]
    program.kill()
    assert [row["UserName"] for row in program.rows("OneLogin | project UserName")] == ["Zoë 🙂"]
    program.start()
    assert program.post(json.dumps([made]).encode()).json()["duplicates"] == 1


def test_good_records_flow_past_bad_ones(program):
    """
    Bad records become a dead letter that can be looked at, replayed and discarded (G5).
    """
    program.start()
    body = json.dumps([event(), 7, {"nothing": "of an event"}, event()]).encode()
    assert program.post(body).json() == {"received": 4, "new": 2, "twins": 0, "duplicates": 0, "dead": 2}
    letters = json.loads(program.call("dead-letters", "list", "--json").stdout)
    assert [(letter["kind"], letter["count"], letter["bytes"]) for letter in letters] == [
        ("record", 1, len(body))
    ]
    identity = str(letters[0]["id"])
    assert letters[0]["reason"] in program.call("dead-letters", "show", identity).stdout
    replayed = program.call("dead-letters", "replay", identity)
    assert replayed.returncode == 1
    assert "still holds 2 bad records" in replayed.stderr
    assert program.call("dead-letters", "discard", identity).returncode == 0
    assert json.loads(program.call("dead-letters", "list", "--json").stdout) == []
    assert program.call("dead-letters", "discard", identity).returncode == 1
    assert len(program.rows("OneLogin | project UserName")) == 2


def test_commands_work_with_and_without_the_service(program):
    """
    The same commands give the same, whether the service runs or the command opens the folder itself.
    """
    program.start()
    program.post(json.dumps([event(), event()]).encode())
    query = "OneLogin | summarize n = count() by UserName"
    running = program.rows(query)
    assert program.call("check").returncode == 0
    assert program.stop()[0] == 0
    assert program.rows(query) == running == [{"UserName": "Ada Lovelace", "n": 2}]
    status = program.status()
    assert set(status) == {"connectors", "sinks", "journal", "alarms"}
    assert status["connectors"][0]["events_total"] == 2
    path = program.folder / "more.json"
    path.write_text(json.dumps([event()]))
    assert program.call("import", str(path), "--connector", "default").returncode == 0
    program.drained()
    assert program.rows(query)[0]["n"] == 3
    assert not (program.data_dir / "control.sock").exists()


def test_a_sink_is_paused_and_resumed_by_command(program):
    """
    What comes while the store is paused is kept, and queryable when it goes on.
    """
    program.start()
    paused = program.call("sink", "pause", "store")
    assert (paused.returncode, "is paused" in paused.stdout) == (0, True), paused.stderr
    program.post(b'[{"uuid":"a","event_type_id":5,"account_id":1,"notes":"while paused"}]')
    (store,) = program.status()["sinks"]
    assert (store["state"], store["lag_events"]) == ("paused", 1)
    assert program.rows_now('OneLogin_CL | where notes_s == "while paused"') == []
    assert program.call("sink", "resume", "store").returncode == 0
    program.drained()
    assert len(program.rows('OneLogin_CL | where notes_s == "while paused"')) == 1
    unknown = program.call("sink", "refill", "siem")
    assert unknown.returncode == 1
    assert "There is no sink 'siem'." in unknown.stderr


def test_output_is_safe_for_terminals_and_spreadsheets(program):
    """
    CSV has no formulas, and what a query prints for programs is exact.
    """
    program.start()
    name = '=HYPERLINK("http://evil.example")\x1b[2J'
    program.post(json.dumps([event(user_name=name)]).encode())
    kql = "OneLogin | project UserName, EventTypeId"
    assert program.rows(kql) == [{"UserName": name, "EventTypeId": 5}]
    cells = list(csv.reader(io.StringIO(program.call("query", kql, "--csv").stdout)))
    assert cells[1] == [f"'{name}", "5"]
    assert "\x1b" not in program.call("query", kql).stdout
    assert program.call("query", "-", "--json", stdin=kql).stdout.startswith("[{")
    wrong = program.call("query", "OneLogin | nonsense")
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert "nonsense" in wrong.stderr


def test_a_cut_result_says_so(program):
    """
    Rows beyond the cap are said on stderr and as a field, never cut in silence.
    """
    program.start()
    program.post(json.dumps([event() for _ in range(30)]).encode())
    program.drained()
    token = program.call("token", "--api", "reader").stdout.strip()
    answer = httpx2.post(
        f"{program.url}/api/v1/query",
        json={"kql": "OneLogin | project UserName", "limit": 10},
        headers={"authorization": f"Bearer {token}"},
        timeout=PATIENCE_SECONDS,
    )
    assert (len(answer.json()["rows"]), answer.json()["truncated"]) == (10, True)


def test_the_webhook_port_serves_nothing_else(program, free_port):
    """
    What is open to the internet answers webhooks and health, and not even the sign-in.
    """
    program.start(settings=f"[web]\nwebhook_port = {free_port}\n")
    base = f"http://127.0.0.1:{free_port}"
    sent = httpx2.post(
        f"{base}/webhook/default",
        content=json.dumps([event()]),
        headers={"authorization": f"Bearer {program.token}", "host": "events.example.com"},
        timeout=PATIENCE_SECONDS,
    )
    assert sent.json()["new"] == 1
    healthy = httpx2.get(f"{base}/healthz", headers={"host": "anything"}, timeout=PATIENCE_SECONDS)
    assert healthy.status_code == 200
    for path in ("/", "/login", "/metrics", "/readyz", "/api/v1/status", "/webhook", "//webhook/default"):
        answer = httpx2.get(f"{base}{path}", timeout=PATIENCE_SECONDS)
        assert answer.status_code == 404, path
        assert answer.json()["status"] == 404


def test_tokens_rotate_without_a_gap(program):
    """
    A new webhook token is valid at once, beside the one before, until that is revoked.
    """
    program.start()
    old = program.token
    new = program.call("token", "default").stdout.strip()

    def status(token: str) -> int:
        return program.post(b"[]", authorization=f"bearer {token}").status_code

    assert status(old) == status(new) != 401
    newest = program.call("token", "default", "--revoke-old").stdout.strip()
    assert (status(old), status(new)) == (401, 401)
    assert status(newest) != 401
    secrets = (program.data_dir / "initial-secrets").read_text()
    assert new not in program.log() + secrets
    assert old not in program.log()
