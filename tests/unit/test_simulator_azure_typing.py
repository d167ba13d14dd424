"""
The Data Collector API's columns come out with the suffixes that the official table has.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.azure_caller import Caller

GUID = "0a1b2c3d-0000-4000-8000-00000000000f"
WEBHOOK_SAMPLES = Path(__file__).parent.parent / "fixtures" / "sentinel"


def sent(*calls):
    """
    Post records, a call per list, and return the workspace's caller.
    """
    azure = Caller()
    for records in calls:
        assert azure.collect(records).status_code == 200
    return azure


def columns(azure):
    """
    Return the columns of the table, in the order in which they were made.
    """
    return list(azure.subscription.legacy.tables["OneLogin_CL"].columns)[1:]


@pytest.mark.parametrize(
    ("value", "column", "kept"),
    [
        ("text", "x_s", "text"),
        ("", "x_s", ""),
        ("5", "x_s", "5"),
        ("true", "x_s", "true"),
        (5, "x_d", 5),
        (-1.5, "x_d", -1.5),
        (True, "x_b", True),
        (GUID, "x_g", GUID),
        (GUID.replace("-", ""), "x_g", GUID),
        (GUID.upper(), "x_g", GUID.upper()),
        (GUID[:-1], "x_s", GUID[:-1]),
        ("2026-11-20T18:40:00Z", "x_t", "2026-11-20T18:40:00.000000Z"),
        ("2026-11-20T18:40:00.1234567+01:00", "x_t", "2026-11-20T17:40:00.123456Z"),
        ("2022-06-23 12:47:05 UTC", "x_s", "2022-06-23 12:47:05 UTC"),
        ("2022-06-23 12:47:05", "x_s", "2022-06-23 12:47:05"),
        ("2022-06-23", "x_s", "2022-06-23"),
        ("2026-13-45T00:00:00Z", "x_s", "2026-13-45T00:00:00Z"),
        ([1, {"a": None}], "x_s", '[1,{"a":null}]'),
        ([], "x_s", "[]"),
    ],
)
def test_the_first_value_makes_the_column(value, column, kept):
    """
    Its type is that of the JSON value, and for text that of what it looks like.
    """
    azure = sent([{"x": value}])
    assert columns(azure) == [column]
    assert azure.row(workspace="legacy")[column] == kept


def test_null_makes_no_column():
    """
    Neither a column nor a value; an object without members is as nothing.
    """
    azure = sent([{"x": None, "y": {}, "z": {"a": None}}])
    assert columns(azure) == []
    assert set(azure.row(workspace="legacy")) == {"TimeGenerated"}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (5, "17", {"x_d": 17.0}),
        (5, "seventeen", {"x_s": "seventeen"}),
        (5, True, {"x_b": True}),
        (5, GUID, {"x_g": GUID}),
        (True, "FALSE", {"x_b": False}),
        (True, 1, {"x_d": 1}),
        (True, "perhaps", {"x_s": "perhaps"}),
        ("text", 5, {"x_s": "5"}),
        ("text", True, {"x_s": "true"}),
        ("text", GUID, {"x_s": GUID}),
        ("text", "2026-11-20T18:40:00Z", {"x_s": "2026-11-20T18:40:00Z"}),
        ("text", [1], {"x_s": "[1]"}),
        (GUID, "no guid", {"x_s": "no guid"}),
        (GUID, 5, {"x_d": 5}),
        ("2026-11-20T18:40:00Z", "2022-06-23 12:47:05 UTC", {"x_s": "2022-06-23 12:47:05 UTC"}),
    ],
)
def test_a_later_value_is_converted_or_makes_a_second_column(first, second, expected):
    """
    The second column is what older queries do not see.
    """
    azure = sent([{"x": first}], [{"x": second}])
    row = azure.row(workspace="legacy")
    assert {name: value for name, value in row.items() if name != "TimeGenerated"} == expected
    assert len(columns(azure)) == len({*expected, columns(azure)[0]})


def test_a_value_goes_to_the_column_of_its_own_type_first():
    """
    With two columns of one name each value finds the one made for it.
    """
    azure = sent([{"x": GUID}, {"x": "no guid"}, {"x": GUID}, {"x": "other"}, {"x": 5}])
    rows = [{k: v for k, v in row.items() if k != "TimeGenerated"} for row in azure.rows(workspace="legacy")]
    assert rows == [{"x_g": GUID}, {"x_s": "no guid"}, {"x_g": GUID}, {"x_s": "other"}, {"x_s": "5"}]


def test_nested_objects_become_paths():
    """
    ``create._id`` is the column that the official parser reads.
    """
    azure = sent([{"create": {"_id": GUID, "deep": {"er": 1}}, "user_attributes": {"email": "a@b.example"}}])
    assert columns(azure) == ["create__id_g", "create_deep_er_d", "user_attributes_email_s"]


def test_a_webhook_record_makes_the_official_columns():
    """
    All 29 columns of the public list come from a record as OneLogin sends it, each with its suffix.
    """
    listed = json.loads((WEBHOOK_SAMPLES / "table_OneLogin_CL.json").read_text())["columns"][1:]
    record = {}
    for column in listed:
        value = {"d": 5, "g": GUID, "s": "text"}[column["name"][-1]]
        if column["name"] == "event_timestamp_s":
            value = "2022-06-23 12:47:05 UTC"
        outer, dot, inner = column["webhook_field"].partition(".")
        record[outer] = {inner: value} if dot else value
    azure = sent([record])
    assert set(columns(azure)) == {column["name"] for column in listed}


def test_bounds_of_columns_and_values():
    """
    32 KB of a value, 500 columns, 45 characters of a name: what is beyond is gone without a word.
    """
    azure = sent([{"x": "å" * 20_000}])
    assert len(azure.row(workspace="legacy")["x_s"].encode()) == 32_768
    assert azure.lost("legacy") == {("x", "cut"): 1}
    azure = sent([{f"c{number}": 1 for number in range(600)}])
    assert len(azure.subscription.legacy.tables["OneLogin_CL"].columns) == 500
    assert sum(azure.lost("legacy").values()) == 101
    azure = sent([{"n" * 43: 1, "n" * 44: 1}])
    assert columns(azure) == ["n" * 43 + "_d"]
    assert azure.lost("legacy") == {("n" * 44, "name too long"): 1}


def test_a_migrated_table_grows_no_columns():
    """
    After the migration existing columns are filled, and no new ones made.
    """
    azure = sent([{"x": 5}])
    azure.subscription.legacy.tables["OneLogin_CL"].is_classic = False
    azure.collect([{"x": "6", "y": 7}, {"x": "seven"}])
    rows = [{k: v for k, v in row.items() if k != "TimeGenerated"} for row in azure.rows(workspace="legacy")]
    assert rows == [{"x_d": 5}, {"x_d": 6.0}, {}]
    assert set(azure.lost("legacy")) == {(name, "no new columns after the migration") for name in "xy"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8) | st.sampled_from(
        [GUID, GUID.replace("-", ""), "2026-11-20T18:40:00Z", "5", "1e3", "true", "2022-06-23 12:47:05 UTC"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3), min_size=1, max_size=8))
def test_whatever_comes_keeps_the_types(records):
    """
    Every value of a column is of the column's type, no value is lost, and the rows are as many as the records.
    """
    azure = sent(records)
    assert azure.lost("legacy") == {}
    rows = azure.rows(workspace="legacy")
    assert len(rows) == len(records)
    types = {"string": str, "boolean": bool, "real": int | float, "datetime": str}
    for record, row in zip(records, rows, strict=True):
        assert len(row) - 1 == len(leaves(record))
        for name, value in row.items():
            kind = azure.subscription.legacy.tables["OneLogin_CL"].columns[name]
            assert isinstance(value, types[kind])
            assert kind == "boolean" or not isinstance(value, bool)


def leaves(record, before=""):
    """
    Return the distinct paths of a record's values.
    """
    found = set()
    for name, value in record.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{before}{name}_")
        elif value is not None:
            found.add(f"{before}{name}")
    return found
