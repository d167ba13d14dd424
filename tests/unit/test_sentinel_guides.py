"""
What the guides for Microsoft Sentinel hand out: bodies that fit the rows that are sent, and figures that are measured.
"""

import json
import re
from pathlib import Path

import msgspec
import pytest

from benchmarks.bench_sentinel_bytes import entries, sizes
from onelogin_connector.formats.ingestion import event_row, user_row
from onelogin_connector.formats.onelogin_cl import LEGACY_TABLE, V2_TABLE
from onelogin_connector.formats.onelogin_users import USERS_TABLE, User
from onelogin_connector.simulator.azure import definitions

DOCS = Path(__file__).parents[2] / "docs"
BODIES = DOCS / "guides" / "sentinel"


def body(name):
    """Read a body."""
    return json.loads((BODIES / f"{name}.json").read_text())


def columns_of(table):
    """Return the columns that the body of a table makes, with their types."""
    columns = body(f"table-{table}")["properties"]["schema"]["columns"]
    assert len({column["name"].lower() for column in columns}) == len(columns)
    return {column["name"]: column["type"] for column in columns}


def row_of(table):
    """Return a row as it is sent."""
    if table == USERS_TABLE:
        return json.loads(user_row(User(id=1), at_us=0))
    return json.loads(event_row(table, entries(10)[0], most_bytes=1 << 20))


@pytest.mark.parametrize("table", [LEGACY_TABLE, V2_TABLE, USERS_TABLE])
def test_tables_have_the_columns_that_are_sent(table):
    """
    The table that a guide makes has each column that a row has, and no other.
    """
    schema = body(f"table-{table}")["properties"]["schema"]
    assert schema["name"] == table
    assert set(columns_of(table)) == set(row_of(table))
    assert all(column["description"] for column in schema["columns"]), "Azure asks for it"
    for name in columns_of(table):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,44}", name)
        assert name not in {"id", "TenantId", "Type", "UniqueId", "Title"}


@pytest.mark.parametrize("table", [LEGACY_TABLE, V2_TABLE])
def test_rules_declare_the_columns_of_their_tables(table):
    """
    The rule takes rows under the table's own names and types, and changes nothing on the way.
    """
    rule = body(f"rule-{table}")
    assert rule["kind"] == "Direct"
    declared = rule["properties"]["streamDeclarations"]
    assert list(declared) == [f"Custom-{table}", f"Custom-{USERS_TABLE}"]
    for stream, streamed in declared.items():
        columns = {column["name"]: column["type"] for column in streamed["columns"]}
        assert columns == columns_of(stream.removeprefix("Custom-"))
    for flow in rule["properties"]["dataFlows"]:
        assert flow["transformKql"] == "source"
        assert [flow["outputStream"]] == flow["streams"]
    text = (BODIES / f"rule-{table}.json").read_text()
    assert text.count("LOCATION") == text.count("WORKSPACE") == 1


def test_bodies_are_the_tables_of_the_simulation():
    """
    What a customer makes by the guide is what our delivery is tried against.
    """
    simulated = {stream.table: dict(stream.columns) for stream in definitions.STREAMS}
    for table, columns in simulated.items():
        assert columns_of(table) == columns


def test_the_figures_of_the_costs_are_measured():
    """
    Sizes, gigabytes and costs in the guide are those of the benchmark, give or take a little for the compression.
    """
    text = (DOCS / "guides" / "costs.md").read_text()
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`"):
            found[cells[0].replace("`", "")] = cells[1:]
    measured = sizes(entries(5_000))
    assert len(found) == len(measured) + 1
    for name, size in measured.items():
        key = name.replace(", OneLogin", " OneLogin") if name.startswith("logs") else f"{name} {LEGACY_TABLE}"
        sent, stored, gigabytes, cost, calls = map(float, found[key])
        assert sent == pytest.approx(size.sent, rel=0.15)
        assert (stored, calls) == pytest.approx((size.stored, size.calls), rel=0.02)
        assert gigabytes == pytest.approx(size.stored / 1_000, abs=0.01)
        assert cost == pytest.approx(5 * size.stored / 1_000, abs=0.02)
    without = found[f"logs_ingestion {LEGACY_TABLE} without Raw"]
    assert float(without[1]) == pytest.approx(
        measured[f"logs_ingestion, {LEGACY_TABLE}"].without_raw, rel=0.02
    )


def test_the_name_of_a_call_is_read_as_the_guide_says():
    """
    Offset and count stand in a call's name where the guide's query cuts them out.
    """
    from onelogin_connector.azure.logs_ingestion import request_id

    name = request_id(123_456_789_012, 417)
    assert re.match(r"^[0-9a-f]{8}-[0-9a-f]{4}-8", name)
    assert int(name[0:13].replace("-", ""), 16) == 123_456_789_012
    assert int(name[15 : 15 + 3], 16) == 417
    query = (DOCS / "guides" / "sentinel-dcr.md").read_text()
    assert "substring(ClientRequestId, 0, 13)" in query
    assert "substring(ClientRequestId, 15, 3)" in query


def test_bodies_are_json_that_people_can_read():
    """
    Every column has a line of its own.
    """
    for path in BODIES.glob("*.json"):
        text = path.read_text()
        assert msgspec.json.decode(text)
        assert text.count('{ "name"') >= 9
