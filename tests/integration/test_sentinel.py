"""
The running program delivers into a simulated Azure, set up by the settings that the simulation prints.
"""

import json
import re
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import httpx2
import pytest
from msgspec.json import encode

from acceptance.conftest import PROGRAM, Program
from onelogin_connector.simulator.azure.subscription import (
    CLIENT_SECRET,
    LEGACY_ID,
    WORKSPACE_KEY,
)
from onelogin_connector.simulator.company import Company
from patience import PATIENCE_SECONDS, wait_until

FIXTURES = Path(__file__).parents[1] / "fixtures"
MAPPING = json.loads((FIXTURES / "sentinel" / "parser_column_mapping.json").read_text())
USERS = """
[sinks.users]
kind = "logs_ingestion"
endpoint = "{url}"
rule_id = "dcr-00000000000000000000000000000001"
table = "OneLoginEventsV2_CL"
users_stream = "Custom-OneLoginUsersV2_CL"
credential = {{ kind = "static_token", token = {{ env = "SIMULATED_TOKEN" }} }}

[connectors.default]
api_url = "{api}"
client_id = "simulated-client-id"
client_secret = {{ env = "SIMULATED_SECRET" }}
"""
V2 = """
[sinks.v2]
kind = "logs_ingestion"
endpoint = "{url}"
rule_id = "dcr-00000000000000000000000000000001"
table = "OneLoginEventsV2_CL"
credential = {{ kind = "static_token", token = {{ env = "SIMULATED_TOKEN" }} }}
"""


class Azure:
    """
    A simulated Azure as a process of its own.
    """

    def __init__(self, said):
        self.said = said
        self.url = re.search(r"Azure is simulated at (\S+[0-9]);", said)[1]
        self.settings = said.partition("\n\n")[2]
        self.client = httpx2.Client(base_url=self.url, timeout=PATIENCE_SECONDS)

    def get(self, path):
        answer = self.client.get(path)
        return answer.json() if answer.status_code == 200 else []

    def rows(self, table="OneLogin_CL", workspace="sentinel"):
        return self.get(f"/simulator/{workspace}/tables/{table}")

    def query(self, kql, workspace="sentinel"):
        answer = self.client.post(f"/v1/workspaces/{workspace}/query", json={"query": kql})
        assert answer.status_code == 200, answer.text
        return answer.json()["tables"][0]

    def fail(self, **fault):
        assert self.client.post("/simulator/faults", json=fault).status_code == 204

    def lost(self):
        return {
            (each["table"], one["column"], one["why"])
            for each in self.get("/simulator/tables")
            for one in each["lost"]
        }


@contextmanager
def simulated(*flags):
    """
    Start ``simulate --azure`` as a person does, and read what it says.
    """
    words = [*PROGRAM, "simulate", "--azure", "0", *flags]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = ""
            while "workspace_key" not in said:
                line = process.stdout.readline()
                assert line, "it ended"
                said += line
            azure = Azure(said)
            with azure.client:
                yield azure
        finally:
            process.terminate()


@pytest.fixture
def azure(monkeypatch):
    """
    Give a simulated Azure, and its secrets to whatever is started.
    """
    monkeypatch.setenv("SIMULATED_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("SIMULATED_KEY", WORKSPACE_KEY)
    monkeypatch.setenv("SIMULATED_TOKEN", "simulated-static-token")
    with simulated() as found:
        yield found


@pytest.fixture
def program(tmp_path):
    """
    Make a program that is not started yet, and end it in any case.
    """
    made = Program(tmp_path)
    yield made
    made.kill()


def story(count, *, seed=1):
    """
    Return webhook records of the last hour.
    """
    start_us = int((time.time() - 3_000) * 1e6)
    return [happening.to_webhook() for happening in islice(Company(seed).story(start_us), count)]


def renamed(pairs):
    """
    Write the strict renames of a parser: each input column has to exist.
    """
    return ", ".join(f"{pair['output_column']} = {pair['input_column']}" for pair in pairs)


def test_webhooks_become_rows_that_every_parser_reads(program, azure):
    """
    Each event is there once in both workspaces, in columns that the parsers of 2022, 2023 and 2025 rename.
    """
    settings = azure.settings.replace("workspace_key", "seed_columns = true\nworkspace_key")
    program.start(settings=settings + V2.format(url=azure.url))
    records = story(150)
    assert program.post(encode(records[:100])).status_code == 200
    assert program.post(b"\n".join(encode({"event": record}) for record in records[100:])).status_code == 200
    program.drained()

    legacy = MAPPING["legacy_parser"]["pairs"]
    assert len(legacy) == 29
    sent = {record["uuid"] for record in records}
    for workspace, seeds in (("sentinel", 0), ("legacy", 1)):
        found = azure.query(f"OneLogin_CL | project-rename {renamed(legacy)}", workspace)
        names = [column["name"] for column in found["columns"]]
        assert {pair["output_column"] for pair in legacy} <= set(names)
        uuids = Counter(row[names.index("UUID")] for row in found["rows"] if row[names.index("EventTypeId")])
        assert uuids == Counter(sent)
        assert len(found["rows"]) == len(sent) + seeds
        mandatory = ", ".join(MAPPING["legacy_parser_2023"]["mandatory_columns"])
        assert azure.query(f"OneLogin_CL | project {mandatory} | count", workspace)["rows"] == [
            [len(sent) + seeds]
        ]
        branch = ", ".join(pair["input_column"] for pair in MAPPING["parser_2025"]["legacy_branch_pairs"])
        assert azure.query(f"OneLogin_CL | project {branch} | count", workspace)["rows"] == [
            [len(sent) + seeds]
        ]

    pairs = [
        pair
        for pair in MAPPING["parser_2025"]["v2_branch_pairs"]
        if not pair["input_column"].startswith("users.")
    ]
    found = azure.query(f"OneLoginEventsV2_CL | project-rename {renamed(pairs)} | where EventTypeId > 0")
    assert len(found["rows"]) == len(sent)
    assert azure.lost() == set()


def test_users_become_rows_that_the_parser_joins(program, monkeypatch):
    """
    The user inventory is in the columns that the parser of 2025 joins with; once, and with the events' own ids.
    """
    monkeypatch.setenv("SIMULATED_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("SIMULATED_TOKEN", "simulated-static-token")
    with simulated("--api", "0") as azure:
        api = re.search(r"account answers at (\S+)", azure.said)[1]
        settings, table = USERS.format(url=azure.url, api=api), "OneLoginUsersV2_CL"
        program.start(settings=settings)
        # a list that a stop cuts off behind its last user is none yet
        listed = (
            "OneLoginConnectorHealth | where SentinelResourceName == 'default/users' and Status == 'Success'"
        )
        wait_until(lambda: program.rows(listed), tell=program.log)
        assert program.rows(f"{table} | take 1")
        program.stop()
        program.start(settings=settings)  # at its start it looks at once which users are new
        wait_until(lambda: azure.rows(table) and azure.rows("OneLoginEventsV2_CL"), tell=program.log)
        pairs = [
            each for each in MAPPING["parser_2025"]["v2_branch_pairs"] if "users." in each["input_column"]
        ]
        columns = ", ".join(each["input_column"].removeprefix("users.") for each in pairs)
        assert len(azure.query(f"{table} | project {columns}")["rows"]) == len(azure.rows(table))
        ids = [row["UserAttributesId"] for row in azure.rows(table)]
        assert len(ids) == len(set(ids)) > 20
        events = {row["UserId"] for row in azure.rows("OneLoginEventsV2_CL") if "UserId" in row}
        assert events
        assert events <= set(ids)
        assert azure.lost() == set()


def test_rows_hold_what_the_local_store_holds(program, azure):
    """
    The 29 columns of each workspace have the store's types and values, event for event.
    """
    program.start(settings=azure.settings)
    fixtures = [json.loads(path.read_text()) for path in sorted((FIXTURES / "webhook").glob("*.json"))]
    told = story(60)
    records = told + [record for batch in fixtures for record in batch]
    assert program.post(encode(records)).status_code == 200
    program.drained()
    columns = [pair["input_column"] for pair in MAPPING["legacy_parser"]["pairs"]]
    stored = {row["uuid_g"]: row for row in program.rows(f"OneLogin_CL | project {', '.join(columns)}")}
    assert len(stored) >= 60
    for workspace in ("sentinel", "legacy"):
        rows = {row["uuid_g"]: row for row in azure.rows(workspace=workspace)}
        assert rows.keys() == stored.keys()
        for uuid, row in rows.items():
            assert {name: row.get(name) or None for name in columns} == {
                name: stored[uuid][name] or None for name in columns
            }
    listed = json.loads((FIXTURES / "sentinel" / "table_OneLogin_CL.json").read_text())["columns"]
    types = {column["name"]: column["type"] for column in listed}
    for table in azure.get("/simulator/tables"):
        if table["table"] == "OneLogin_CL":
            assert {
                name: kind for name, kind in table["columns"].items() if name in types
            }.items() <= types.items()
    assert {why for _, _, why in azure.lost()} <= {"replaced by arrival"}, (
        "the samples are old, nothing else is lost"
    )
    raw = {row["uuid_g"]: row["Raw"] for row in azure.rows()}
    assert all(raw[record["uuid"]] == record for record in told)


def test_a_check_says_what_is_wrong_and_what_to_do(program, azure):
    """
    Every refusal becomes a sentence with the missing role, rule or key; a check stores nothing.
    """
    program.start(settings=azure.settings)

    def checked(name):
        done = program.call("check", name, "--json")
        (target,) = json.loads(done.stdout)
        assert done.returncode == (0 if target["ok"] else 1)
        failed = [stage for stage in target["stages"] if stage["state"] == "failed"]
        return failed[0] if failed else None

    assert checked("sentinel") is None
    assert checked("legacy") is None
    for name, fault, word in (
        ("sentinel", {"trouble": "no_role"}, "Monitoring Metrics Publisher"),
        ("sentinel", {"trouble": "status", "status": 404, "where": "ingestion"}, "rule_id"),
        ("sentinel", {"trouble": "status", "status": 401, "where": "ingestion"}, "cloud"),
        ("sentinel", {"trouble": "status", "status": 401, "where": "token"}, "client"),
        ("legacy", {"trouble": "status", "status": 403, "where": "collector"}, "key"),
        (
            "legacy",
            {"trouble": "status", "status": 400, "code": "InactiveCustomer", "where": "collector"},
            "workspace",
        ),
    ):
        azure.fail(**fault)
        failed = checked(name)
        assert failed, fault
        assert word in failed["message"] + failed["action"]
        assert CLIENT_SECRET not in json.dumps(failed)
        assert WORKSPACE_KEY not in json.dumps(failed)
        azure.client.delete("/simulator/faults")
    assert azure.rows() == []
    assert azure.rows(workspace="legacy") == []


def test_a_kill_in_the_middle_of_trouble_loses_nothing(program, azure):
    """
    Answers fail and the program is killed; after the restart each event is there, doubled only where that is in doubt.
    """
    program.start(settings=azure.settings)
    records = story(1_500)
    sent = {record["uuid"] for record in records}
    azure.fail(trouble="status", status=503, times=4, skip=1)
    azure.fail(trouble="reset", times=2, skip=2)
    azure.fail(trouble="poison", containing="certainly in no event")
    for start in range(0, len(records), 50):
        assert program.post(encode(records[start : start + 50])).status_code == 200
        if start == 500:
            program.kill()
            program.start(settings=azure.settings)
    program.drained()
    assert not program.ask("GET", "dead-letters")["dead_letters"]
    for workspace in ("sentinel", "legacy"):
        found = Counter(row["uuid_g"] for row in azure.rows(workspace=workspace))
        assert found.keys() == sent
        # one call of each sink may have been under way when it was killed
        assert sum(found.values()) - len(found) <= 1_000


def test_the_functions_settings_alone_bring_the_rows(program, azure, monkeypatch):
    """
    Whoever exchanges Microsoft's function keeps its settings: workspace, key and address.
    """
    monkeypatch.setenv("WorkspaceID", LEGACY_ID)
    monkeypatch.setenv("WorkspaceKey", WORKSPACE_KEY)
    monkeypatch.setenv("logAnalyticsUri", azure.url)
    program.start()
    records = story(20)
    assert program.post(encode(records)).status_code == 200
    program.drained()
    assert Counter(row["uuid_g"] for row in azure.rows(workspace="legacy")) == Counter(
        r["uuid"] for r in records
    )


def test_the_demo_delivers_into_a_simulated_sentinel(program):
    """
    ``run --demo --azure``: the day is in both workspaces; without the demo the flag is wrong usage.
    """
    program.start("--demo", "--azure")
    url = re.search(
        r"shows what it was sent at (\S+)/simulator/tables", (program.folder / "out").read_text()
    )[1]

    def fewest():
        tables = httpx2.get(f"{url}/simulator/tables", timeout=PATIENCE_SECONDS).json()
        return min((each["rows"] for each in tables if each["table"] == "OneLogin_CL"), default=0)

    wait_until(lambda: fewest() >= 1_000, every_seconds=0.2, tell=program.log)
    assert program.stop()[0] == 0
    assert subprocess.run([*PROGRAM, "run", "--azure"], capture_output=True, check=False).returncode == 2


def test_a_taken_port_is_said(tmp_path):
    """
    ``simulate --azure`` names the port that it cannot have.
    """
    with simulated() as azure:
        port = azure.url.rpartition(":")[2]
        words = [*PROGRAM, "simulate", "--azure", port]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert port in done.stderr
