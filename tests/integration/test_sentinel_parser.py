"""
The parser for Sentinel over every shape that its tables have.
"""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.json import encode

from deploy.sentinel import build
from fixtures import sentinel_world as world
from fixtures.kql_story import FROM_API, MORNING
from onelogin_connector.formats import fields

FIXTURES = Path(__file__).parents[1] / "fixtures"
MAPPING = json.loads((FIXTURES / "sentinel" / "parser_column_mapping.json").read_text())
BATCH = json.loads((FIXTURES / "webhook" / "derived_batch_array.json").read_text())
RECORDS = [*MORNING, *BATCH]
UUIDS = sorted(record["uuid"] for record in RECORDS)
MORE = (
    "group_id group_name otp_device_id otp_device_name authentication_factor_id authentication_factor_type "
    "authentication_factor_description privilege_id privilege_name directory_id directory_name directory_sync_run_id "
    "assuming_acting_user_id api_credential_name client_id resource_type_id operation_name resolution "
    "error_description proxy_ip risk_score risk_reasons risk_cookie_id browser_fingerprint"
)
FIELDS = {
    pair["output_column"]: pair["webhook_field"]
    for pair in MAPPING["legacy_parser"]["pairs"]
    if pair["webhook_field"] not in {"create._id", "uuid", "event_timestamp"}
} | {name.title().replace("_", ""): name for name in MORE.split()}
"""Output column → the field of the record that it shows."""
CONSTANT = {"EventVendor", "EventProduct", "EventType", "TimeGenerated", "UserAttributesId"}
SHAPES = {
    "classic": world.collected,
    "classic by us": world.collected_by_us,
    "by a rule": world.ruled,
    "migrated": lambda space, records: (world.collected(space, records[:6]), world.ruled(space, records[6:])),
    "migrated from ours": lambda space, records: (
        world.collected_by_us(space, records[:6]),
        world.ruled(space, records[6:]),
    ),
}


def official():
    """Return every output column of Microsoft's parsers."""
    pairs = [
        *MAPPING["legacy_parser"]["pairs"],
        *MAPPING["parser_2025"]["v2_branch_pairs"],
        *MAPPING["parser_2025"]["legacy_branch_pairs"],
    ]
    return CONSTANT | {pair["output_column"] for pair in pairs}


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request):
    """Give a shape's name, and what the parser makes of the records in it."""
    space = world.workspace()
    SHAPES[request.param](space, RECORDS)
    return request.param, world.asked(space)


def test_each_event_is_one_row_in_every_shape(shaped):
    """
    Each event is there once, under its id, at its own time, with all that its record says.
    """
    _, rows = shaped
    assert sorted(row["UUID"] for row in rows) == UUIDS
    assert sorted(row["EventOriginalUid"] for row in rows) == UUIDS
    sent = {record["uuid"]: fields.read(encode(record)).values for record in RECORDS}
    for row in rows:
        record = sent[row["UUID"]]
        assert row["EventStartTime"] == record["event_timestamp"]
        assert row["EventTime"] == record["event_timestamp"].removesuffix(" UTC").replace(" ", "T")
        assert row["SourceTable"] == "OneLogin_CL"
        for column, field in FIELDS.items():
            absent = None if field in fields.NUMBERS else ""
            assert row[column] == record.get(field, absent), (column, field)


def test_fields_without_a_column_are_kept(shaped):
    """
    What has no column of its own is in AdditionalFields, in all tables but that of Microsoft's function.
    """
    shape, rows = shaped
    [row] = [row for row in rows if row["EventTypeId"] == 999_999]
    if shape in {"classic by us", "by a rule", "migrated"}:
        assert row["AdditionalFields"]["brand_new"] == {"a": 1}
        assert (row["Raw"] or {}).get("brand_new") == (None if shape == "classic by us" else {"a": 1})


def test_every_column_of_the_official_parsers_is_there():
    """
    A query written for any of Microsoft's parsers finds its columns, whatever tables there are.
    """
    assert len(official()) == 35
    empty, full = world.workspace(), world.workspace()
    world.collected(full, RECORDS)
    world.codeless(full, [FROM_API])
    world.users(full, [])
    columns = list(world.types(full))
    assert official() <= set(columns)
    assert columns == list(world.types(empty))


def test_no_table_is_no_event():
    """
    Before the first connector has run, the function is empty rather than wrong.
    """
    assert world.asked(world.workspace()) == []


def test_both_generations_together():
    """
    Rows of the webhook's table and of the API's stand beside each other, with ids and times of their own.
    """
    space = world.workspace()
    world.ruled(space, MORNING[:2])
    world.codeless(space, [FROM_API])
    rows = world.asked(space, "\n| sort by EventTime asc")
    assert [row["SourceTable"] for row in rows] == ["OneLogin_CL", "OneLogin_CL", "OneLoginEventsV2_CL"]
    assert [row["EventId"] for row in rows] == [None, None, 36114558381]
    assert rows[2]["EventStartTime"] == "2026-03-02 10:05:00 UTC"
    assert rows[2]["EventType"] == "EVENT_TYPE_13"
    assert rows[2]["UUID"] == ""


def test_first_codeless_table_kept_the_events_time():
    """
    Where the codeless connector's table has EventTimestamp, the event's time is that and not the arrival.
    """
    space = world.workspace()
    world.codeless(space, [FROM_API], extra=["EventTimestamp"])
    space.tables["OneLoginEventsV2_CL"].rows[0] |= {
        "TimeGenerated": world.ARRIVED,
        "EventTimestamp": "2026-03-02T10:05:00.250Z",
    }
    [row] = world.asked(space)
    assert (row["TimeGenerated"], row["EventTime"]) == ("2026-03-02T12:00:00", "2026-03-02T10:05:00.250000")


def test_users_never_multiply_events():
    """
    However often a user was polled, each event stays one row, with the newest that is known of its user.
    """
    space = world.workspace()
    world.ruled(space, RECORDS)
    world.codeless(space, [FROM_API])
    polls = [
        (
            f"2026-03-02T{hour:02}:00:00Z",
            [{"UserAttributesId": 101, "UserAttributesDepartment": f"As of {hour}"}],
        )
        for hour in range(24)
    ]
    world.users(space, [*polls, ("2026-03-02T05:30:00Z", [{"UserAttributesUsername": "nobody"}])])
    rows = world.asked(space)
    assert sorted(row["UUID"] for row in rows if row["UUID"]) == UUIDS
    assert len(rows) == len(RECORDS) + 1
    assert {row["UserAttributesDepartment"] for row in rows if row["UserId"] == 101} == {"As of 23"}
    # what the event itself says of its user is never replaced
    assert {
        row["UserAttributesDepartment"] for row in rows if row["EventTypeId"] == 72 and row["UserId"] == 102
    } == {"Finance"}


def test_ids_and_times_in_columns_of_another_type():
    """
    A first record whose ids were texts, or whose time a program rewrote, made other columns; they are read too.
    """
    space = world.workspace()
    odd = MORNING[0] | {"user_id": "101", "event_timestamp": "2026-03-02T08:00:05Z", "uuid": "not a guid"}
    world.collected(
        space, [odd | {"create": {"_id": "nor this"}, "client_id": "1e87e84576a77d999e89e3ba110df946"}]
    )
    assert {"user_id_s", "event_timestamp_t", "uuid_s", "create__id_s", "client_id_g"} <= set(
        space.tables["OneLogin_CL"].columns
    )
    [row] = world.asked(space)
    assert row["UserId"] == 101
    assert row["EventTime"] == "2026-03-02T08:00:05"
    assert row["EventStartTime"] == "2026-03-02 08:00:05 UTC"
    assert (row["UUID"], row["EventOriginalUid"]) == ("not a guid", "nor this")
    assert row["ClientId"] == "1e87e845-76a7-7d99-9e89-e3ba110df946"


def test_the_seed_is_no_event():
    """
    The row that makes columns exist is in the table, and not among the events.
    """
    space = world.workspace()
    world.collected_by_us(space, MORNING[:1])
    assert len(space.rows("OneLogin_CL")) == 2
    assert [row["UUID"] for row in world.asked(space)] == [MORNING[0]["uuid"]]


CLASSIC = world.workspace()
world.collected(CLASSIC, RECORDS)
COLUMNS = sorted(set(CLASSIC.tables["OneLogin_CL"].columns) - {"TimeGenerated", "uuid_g"})


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.sampled_from(COLUMNS)))
def test_any_column_may_be_absent(absent):
    """
    Whatever columns a table lacks, the parser gives each of its rows once.
    """
    space = world.workspace()
    kept = {name: kind for name, kind in CLASSIC.tables["OneLogin_CL"].columns.items() if name not in absent}
    space.make("OneLogin_CL", kept).add(
        [{name: row[name] for name in row if name in kept} for row in CLASSIC.rows("OneLogin_CL")]
    )
    assert sorted(row["UUID"] for row in world.asked(space, "\n| project UUID")) == UUIDS


def test_event_types_are_those_of_the_catalogue():
    """
    The deployed parser names each of OneLogin's known types.
    """
    space = world.workspace()
    types = sorted(build.event_types.known())
    world.codeless(space, [FROM_API | {"id": id, "event_type_id": id} for id in types])
    rows = world.asked(space, "\n| project EventTypeId, EventType", parser=build.parser("OneLogin"))
    assert {row["EventTypeId"]: row["EventType"] for row in rows} == {
        id: one.name for id, one in build.event_types.known().items()
    }
