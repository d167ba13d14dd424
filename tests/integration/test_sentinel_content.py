"""
The queries of the Sentinel solution, run over a morning of events with known answers.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.sentinel import build
from fixtures import sentinel_world as world
from fixtures.kql_story import ANNA, BEN, FROM_API, MORNING, webhook
from onelogin_connector.errors import QueryError
from onelogin_connector.simulator.azure.asking import ask
from onelogin_connector.store import Store

ROOT = Path(__file__).parents[2]
ANSWERS = json.loads((ROOT / "tests" / "fixtures" / "sentinel" / "content_answers.json").read_text("utf-8"))
PAGE = (ROOT / "docs" / "azure" / "sentinel-content.md").read_text()
QUERIES = build.queries()
GRAIN = "{TimeRange:grain}"
LATER = [
    webhook(20, "08:02:00", 9, app_id=900, app_name="Payroll", notes="No access", **BEN),
    webhook(21, "08:03:00", 8, app_id=901, app_name="Wiki", **ANNA),
    webhook(22, "11:00:00", 39, notes="Directory not reachable", directory_id=3, directory_name="Berlin"),
    webhook(23, "11:30:00", 135, notes="SAML certificate expires in 7 days"),
    webhook(24, "11:31:00", 135, notes="SAML certificate expires in 7 days", app_name="Wiki"),
    webhook(25, "11:45:00", 157, policy_id=5, policy_name="Contractors", **ANNA),
]
LOST = {
    "TimeGenerated": "2026-03-02T11:00:00Z",
    "InputStreamId": "Custom-OneLogin_CL",
    "OperationName": "Transformation",
    "Message": "The row is too long.",
    "ClientRequestId": "00000000-01f4-8064-8000-000000000000",
}


def listed(heading):
    """Return the queries that a table of the page names, below a heading."""
    part = PAGE.split(heading, 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([\w/-]+)`", part, re.MULTILINE))


@pytest.fixture(scope="module")
def space():
    """Give a workspace in which the deployed parser has read three tables."""
    made = world.workspace()
    world.collected(made, MORNING[:4])
    world.ruled(made, [*MORNING[4:], *LATER, MORNING[4]])
    world.codeless(made, [FROM_API])
    world.users(
        made, [("2026-03-02T00:00:00Z", [{"UserAttributesId": 101, "UserAttributesDepartment": "Payroll"}])]
    )
    for row in made.tables["OneLogin_CL"].rows:
        row["TimeGenerated"] = world.iso(row["event_timestamp_s"])
    found = world.parsed(made, parser=build.parser("OneLogin"))
    strings = {name: "datetime" if name == "TimeGenerated" else "string" for name in LOST}
    found.make("DCRLogErrors", strings).add([LOST])
    return found


def rows(space, name):
    """Run a query as the workbook does, with its grain chosen."""
    found = ask(space, QUERIES[name].replace(GRAIN, "1h")).rows
    # a set has no order
    return [[sorted(value) if isinstance(value, list) else value for value in row] for row in found]


@pytest.mark.parametrize("name", ANSWERS)
def test_known_answers(space, name):
    """
    The query gives exactly these rows, in this order.
    """
    assert rows(space, name) == ANSWERS[name]


def test_every_query_is_asked(space):
    """
    Each query has known answers here, or a test of its own below, or stands in the page as one that cannot be run.
    """
    own = {"connectors/connected", "connectors/newest", "workbooks/newest-event"}
    assert set(ANSWERS) | own | listed("## What cannot be run here") == set(QUERIES)
    for name in listed("## What cannot be run here"):
        with pytest.raises(QueryError):
            rows(space, name)


def test_newest_comes_first(space):
    """
    The sample of newest events is all of them here, the newest first.
    """
    times = [row[0] for row in rows(space, "connectors/newest")]
    assert len(times) == len(MORNING) + len(LATER) + 2
    assert times == sorted(times, reverse=True)


def test_connected_for_a_week_after_the_newest_event(space):
    """
    The page's status is false for events of long ago, and true once there is one of this week.
    """
    assert rows(space, "connectors/connected") == [[False]]
    fresh = world.workspace()
    fresh.make("OneLogin", {}).add([{"TimeGenerated": datetime.now(UTC).isoformat()}])
    assert rows(fresh, "connectors/connected") == [[True]]
    empty = world.workspace()
    empty.make("OneLogin", {})
    assert rows(empty, "connectors/connected") == [[None]]


def test_minutes_since_the_newest_event(space):
    """
    Each account and table has its newest event, with its age in minutes.
    """
    began = datetime.now(UTC)
    found = rows(space, "workbooks/newest-event")
    ended = datetime.now(UTC)
    assert [row[:4] for row in found] == [
        [4711, "OneLoginEventsV2_CL", 1, "2026-03-02T10:05:00.250000"],
        [4711, "OneLogin_CL", 17, "2026-03-02T11:45:00"],
    ]
    newest = datetime(2026, 3, 2, 11, 45, tzinfo=UTC)
    least, most = ((moment - newest).total_seconds() / 60 for moment in (began, ended))
    assert least - 2 < found[1][4] < most + 2


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give an empty local store."""
    opened = Store.open(
        tmp_path_factory.mktemp("local") / "store.duckdb", names=lambda _: None, clock=lambda: 1_772_500_000
    )
    yield opened
    opened.close()


def test_what_the_local_store_can_be_asked(store):
    """
    Each query runs over the local store as it is, or stands in the page as one that does not.
    """
    refused = set()
    for name, text in QUERIES.items():
        try:
            store.query(text.replace(GRAIN, "1h"))
        except QueryError:
            refused.add(name)
    assert refused == listed("## What cannot be run here") | listed("## What only a workspace knows")
