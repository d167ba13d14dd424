"""
Records as rows of Microsoft's tables.
"""

from json import dumps, loads
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.formats import fields
from onelogin_connector.formats.onelogin_cl import LEGACY, V2, iso_time, legacy_row, v2_row
from onelogin_connector.testing.sinks import HOSTILE

SAMPLES = Path(__file__).parents[1] / "fixtures"
MOMENT = 1_587_055_884_000_123

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(
    st.sampled_from([*sorted(fields.KNOWN), "create", "user_attributes", "new", ""]), values
)


def sample(name):
    """Read one event of the samples."""
    found = loads((SAMPLES / name).read_text("utf-8"))
    return found[0] if isinstance(found, list) else found["data"][0]


def test_half_a_surrogate_pair_costs_one_letter():
    """
    A record whose text was cut in the middle of an emoji has all its fields.
    """
    reading = fields.read(
        b'{"uuid":"u","user_name":"Ana \\ud83d","notes":"\\ud83d\\ude00","new":{"\\udc00":1}}'
    )
    assert reading.values == {"uuid": "u", "user_name": "Ana \ufffd", "notes": "\U0001f600"}
    assert reading.more == {"new": {"\ufffd": 1}}


def test_a_webhook_sample_fills_the_legacy_row():
    """
    A published webhook event becomes the row that Microsoft's table would hold.
    """
    sent = sample("webhook/panther_otp_verified_1400.json")
    raw = dumps(sent).encode()
    row = legacy_row(fields.read(raw), time_us=MOMENT, raw=raw)
    assert len(row) == 1 + 29 + 3
    assert row["event_timestamp_s"] == sent["event_timestamp"]
    assert row["uuid_g"] == row["create__id_g"] == sent["uuid"]
    assert row["event_type_id_d"] == 1400
    assert row["app_name_s"] is None
    assert loads(msgspec.json.encode(row))["Raw"] == sent
    assert row["TimeGenerated"] == row["event_time_t"] == "2020-04-16T16:51:24.000123Z"


def test_an_api_sample_fills_both_rows():
    """
    An event of the API goes into either table; its time is also there in the webhook's form.
    """
    sent = sample("events_api/pipedream_new_event_page.json")
    raw = dumps(sent).encode()
    reading = fields.read(raw)
    legacy, v2 = legacy_row(reading, time_us=MOMENT, raw=raw), v2_row(reading, time_us=MOMENT)
    assert legacy["event_timestamp_s"] == "2020-04-16 16:51:24 UTC"
    assert legacy["event_id_s"] == str(sent["id"])
    assert len(v2) == 19
    assert (v2["EventId"], v2["ActorUserName"], v2["AppName"]) == (sent["id"], "API", None)


def test_nested_user_attributes_are_taken_apart():
    """
    ``user_attributes`` fills its columns; what it holds beyond them stays aside, and a flat field wins.
    """
    raw = b'{"user_attributes":{"email":"a@b","account_id":"7","title":null,"shoe":43},"user_attributes_email":"flat"}'
    reading = fields.read(raw)
    assert reading.values["user_attributes_account_id"] == 7
    assert reading.values["user_attributes_email"] == "flat"
    assert reading.more["user_attributes"]["shoe"] == 43
    assert "user_attributes_title" not in reading.values


@pytest.mark.parametrize(
    ("sent", "uuid"),
    [
        ({"create": {"_id": "c1"}}, "c1"),
        ({"create": {"_id": "c1"}, "uuid": None}, "c1"),
        ({"create": {"_id": "c1"}, "uuid": ""}, "c1"),
        ({"create": {"_id": "c1"}, "uuid": "u1"}, "u1"),
        ({"uuid": "u1", "create": {"_id": "c1"}}, "u1"),
        ({"uuid": "u1"}, "u1"),
        ({"create": {"_id": None}, "id": 5}, None),
    ],
)
def test_the_id_of_an_event_is_its_uuid_or_that_within_create(sent, uuid):
    """
    An event that carries ``create._id`` alone is known by it, and its own uuid goes before.
    """
    raw = dumps(sent).encode()
    row = legacy_row(fields.read(raw), time_us=MOMENT, raw=raw)
    assert row["uuid_g"] == uuid


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_records_are_read(raw):
    """
    Whatever came past the journal has a row, and that row can be written.
    """
    reading = fields.read(raw)
    assert msgspec.json.encode(legacy_row(reading, time_us=MOMENT, raw=raw))
    assert msgspec.json.encode(v2_row(reading, time_us=MOMENT))
    assert isinstance(fields.as_json(reading.more), str)


@given(records)
def test_every_value_is_kept_somewhere(record):
    """
    Each column has its one type, and a value that no column takes is aside.
    """
    reading = fields.read(dumps(record).encode())
    for name, value in reading.values.items():
        assert type(value) is (int if name in fields.NUMBERS else str), name
        assert not isinstance(value, int) or -(2**63) <= value < 2**63
    for name, value in record.items():
        if value in (None, "") or name in ("create", "user_attributes"):
            continue
        blank = isinstance(value, str) and not value.strip() and name in fields.NUMBERS
        assert name in reading.values or name in reading.more or blank
    loads(fields.as_json(reading.more) or "{}")


def test_tables_have_the_published_columns():
    """
    29 columns read by Microsoft's parsers, 18 of the API connector, all from fields that are read.
    """
    assert len(LEGACY) == 29
    assert len(V2) == 18
    assert set(LEGACY.values()) | set(V2.values()) <= fields.KNOWN
    for column, name in LEGACY.items():
        assert column.endswith("_d") == (name in fields.NUMBERS), column


@given(st.integers(0, 2**32 * 1_000_000))
def test_iso_time_keeps_microseconds(time_us):
    """
    The written time is the same instant, to the microsecond.
    """
    from datetime import datetime

    parsed = datetime.fromisoformat(iso_time(time_us))
    assert round(parsed.timestamp()) * 1_000_000 // 1_000_000 == round(time_us / 1_000_000)
    assert parsed.microsecond == time_us % 1_000_000
