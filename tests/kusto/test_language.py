"""
Microsoft's own parser and binder of KQL, run in Node, over every query of the Sentinel solution.

It is what the query editor of Azure Data Explorer and Log Analytics is built on. It knows syntax, functions, columns and
types; it runs nothing.
"""

import json
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from deploy.sentinel import build
from fixtures import sentinel_world as world
from fixtures.kql_story import FROM_API, MORNING

FOLDER = Path(__file__).parent
LANGUAGE = FOLDER / "node_modules" / "@kusto" / "language-service-next"
GRAIN = "{TimeRange:grain}"
PARSER = build.parser("OneLogin")
LOST_ROWS = {
    "TimeGenerated": "datetime",
    "InputStreamId": "string",
    "OperationName": "string",
    "Message": "string",
    "ClientRequestId": "string",
}
"""What is read of Azure's own table of errors."""


def columns(make):
    """Return the columns of tables that are made in an empty workspace."""
    space = world.workspace()
    make(space)
    return {
        name: {column: {"boolean": "bool"}.get(kind, kind) for column, kind in table.columns.items()}
        for name, table in space.tables.items()
    }


RULED = columns(partial(world.ruled, records=MORNING))
CLASSIC = columns(partial(world.collected, records=MORNING))
OURS = columns(partial(world.collected_by_us, records=MORNING))
CODELESS = columns(partial(world.codeless, records=[FROM_API])) | columns(partial(world.users, polls=[]))
WORKSPACES = {
    "no table": {},
    "by a rule": RULED,
    "classic": CLASSIC,
    "classic by us": OURS,
    "migrated": {
        "OneLogin_CL": CLASSIC["OneLogin_CL"]
        | RULED["OneLogin_CL"]
        | {"uuid_g": "guid", "create__id_g": "guid"}
    },
    "first codeless": {"OneLoginEventsV2_CL": CODELESS["OneLoginEventsV2_CL"] | {"EventTimestamp": "string"}},
    "all": RULED | CODELESS | {"DCRLogErrors": LOST_ROWS},
}


@pytest.fixture(scope="module")
def here():
    """Give the parser's columns with their types, as the local engine has them."""
    return world.types(world.workspace())


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Return what asks the language service of queries in a workspace of given tables and functions."""
    missing = "Node" if not shutil.which("node") else "" if LANGUAGE.is_dir() else str(LANGUAGE)
    if missing:
        told = f"{missing} is missing: install Node, then run npm ci --prefix tests/kusto"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    told = tmp_path_factory.mktemp("language") / "told"

    def ask(tables, queries, functions=None):
        asked = {
            "tables": {
                name: f"({', '.join(f'{column}: {kind}' for column, kind in columns.items())})"
                for name, columns in tables.items()
            },
            "functions": functions or {},
            "queries": queries,
        }
        service.stdin.write(json.dumps(asked) + "\n")
        service.stdin.flush()
        answer = service.stdout.readline()
        assert answer, told.read_text()
        return json.loads(answer)

    # one for all tests: it takes longer to load than to answer
    command = ["node", str(FOLDER / "check.js")]
    with (
        told.open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as service,
    ):
        yield ask


@pytest.mark.parametrize("name", WORKSPACES)
def test_the_parser_binds(name, here, check):
    """
    In each workspace the parser is without error, and of the same columns and types: none is split in two.
    """
    found = check(WORKSPACES[name], {"call": "OneLogin"}, {"OneLogin": PARSER})
    assert found["errors"] == {"call": []}
    kinds = dict(found["columns"]["call"])
    assert len(kinds) == len(found["columns"]["call"])
    assert list(kinds) == list(here)
    # the language service keeps the part of a table that is not there, and cannot know the type of its time
    unsure = set() if "OneLogin_CL" in WORKSPACES[name] else {"TimeGenerated", "EventTime"}
    assert {column for column in kinds if kinds[column] != here[column]} <= unsure


def test_every_query_binds(here, check):
    """
    Each query of the solution is KQL that Microsoft's tools take, over the tables as they are in a workspace.
    """
    queries = {name: text.replace(GRAIN, "1h") for name, text in build.queries().items()}
    found = check(WORKSPACES["all"] | {"OneLogin": here}, queries)
    assert found["errors"] == {name: [] for name in queries}
    assert all(kind != "unknown" for kinds in found["columns"].values() for _, kind in kinds)


def test_queries_need_no_particular_table(here, check):
    """
    What asks the function is without error in a workspace that has none of the tables.
    """
    queries = {
        name: text.replace(GRAIN, "1h") for name, text in build.queries().items() if "/received-" not in name
    }
    assert len(queries) > 20
    assert check({"OneLogin": here}, queries)["errors"] == {name: [] for name in queries}


def test_a_mistake_is_found(here, check):
    """
    The check can fail: a column that is not there, a wrong type, an unknown function and a slip of the pen are named.
    """
    wrong = {
        "column": "OneLogin | project NoSuchColumn",
        "type": "OneLogin | where UserId has 'x'",
        "function": "OneLogin | extend X = no_such_function(UserId)",
        "syntax": "OneLogin | summarize count( by UserId",
        "table": "NoSuchTable | take 1",
    }
    found = check({"OneLogin": here}, wrong)
    assert all(len(found["errors"][name]) == 1 for name in wrong), found["errors"]
    assert "NoSuchColumn" in found["errors"]["column"][0]
