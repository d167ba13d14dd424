"""
Records whose columns come out with the official suffixes, whatever OneLogin sends and in whichever order.

The columns are found by the simulation's model of the service, which knows nothing of our records.
"""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from onelogin_connector.event import Way, read
from onelogin_connector.formats import fields
from onelogin_connector.formats.collector_record import (
    FURTHER_NUMBERS,
    FURTHER_TEXTS,
    LARGEST_TEXT_BYTES,
    cut,
    record,
    seed,
)
from onelogin_connector.formats.onelogin_cl import LEGACY
from onelogin_connector.simulator.azure.inference import (
    LARGEST_FIELD,
    LONGEST_COLUMN,
    Columns,
    check_names,
)
from onelogin_connector.simulator.azure.tables import Table
from onelogin_connector.simulator.company import Company
from onelogin_connector.testing.sinks import HOSTILE

FIXTURES = Path(__file__).parents[1] / "fixtures"
OFFICIAL = {
    column["name"]: column["type"]
    for column in json.loads((FIXTURES / "sentinel" / "table_OneLogin_CL.json").read_text())["columns"]
    if column["name"] != "TimeGenerated"
}
OURS = {"event_time_t", "event_id_s", "more_s"}
MOMENT = 1_587_055_884_000_123
GUID = "d210df80-ede8-42ba-8199-00ce951bc222"
MD5 = "57920d1feee527313658340bb1ab101a"

texts = st.sampled_from(
    ["", " ", "Ada", GUID, GUID.upper(), MD5, f"{{{GUID}}}", f" {GUID} ", "2026-11-21T09:30:00Z", "2026-11-21",
     "2026-11-21 09:30:00", "2026-11-21T09:30:00.123456+02:00", "2020-04-15 22:51:24 UTC", "12", "1e5", "true", "null",
     "[1]", '{"a":1}', "203.0.113.9", "x" * 33_000, "é" * 20_000, "\U0001f4a5" * 9_000]
) | st.text(max_size=40)  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    [*sorted(fields.KNOWN), *FURTHER_TEXTS, *FURTHER_NUMBERS, "create", "user_attributes", "tenant", "TimeGenerated",
     "RawData", "Computer", "more", "event_time", "event_id", "a.b", "name with blanks", "é", "n" * 60, "solved"]
)  # fmt: skip
sent_records = st.dictionaries(names, values, max_size=12) | st.dictionaries(st.text(max_size=50), values)


def of(sent, time_us=MOMENT, native="native:0"):
    """Return the record of what was sent."""
    raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return record(fields.read(raw), native=native, time_us=time_us)


def columns_of(*records):
    """Return the columns of a new table into which records came, and what was lost on the way."""
    table = Table("OneLogin_CL", {}, is_classic=True, most_rows=None)
    finding, lost = Columns(table), Counter()
    rows = []
    for each in records:
        arrived = json.loads(msgspec.json.encode(each))
        check_names(arrived)
        rows.append(finding.row(arrived, lost))
    return set(table.columns), rows, lost


def all_columns():
    """Return every column that a record can ever have."""
    further = {f"{name}_s" for name in FURTHER_TEXTS} | {f"{name}_d" for name in FURTHER_NUMBERS}
    plain = {
        f"{name}_{'d' if name in fields.NUMBERS else 's'}"
        for name in fields.KNOWN - {"id", "uuid", "create_id", "created_at"}
    }
    return plain | further | OURS | {"uuid_g", "create__id_g"}


def test_a_webhook_sample_makes_the_official_columns():
    """
    A documented webhook event comes out under the names that Microsoft's parsers read.
    """
    sent = json.loads((FIXTURES / "webhook" / "docs_login_array.json").read_text())[0]
    columns, (row,), lost = columns_of(of(sent))
    assert not lost
    assert columns - OURS <= set(OFFICIAL)
    assert row["uuid_g"] == row["create__id_g"] == sent["uuid"]
    assert row["event_timestamp_s"] == "2017-12-05 19:13:06 UTC"
    assert row["user_id_d"] == sent["user_id"]
    assert row["event_time_t"] == "2020-04-16T16:51:24.000000Z"


@pytest.mark.parametrize("column", OFFICIAL)
def test_each_official_column_comes_from_its_field(column):
    """
    Every one of the 29 columns is filled by its field, alone and with its one suffix.
    """
    name = LEGACY[column]
    value = {"d": 7, "g": GUID, "s": "a text"}[column[-1]]
    sent = {"create": {"_id": value}} if name == "create_id" else {name: value}
    columns, (row,), lost = columns_of(of(sent))
    assert not lost
    assert row[column] == value
    assert columns - OURS <= {column, "event_timestamp_s", "uuid_g"}


def test_nested_attributes_get_their_prefix():
    """
    ``user_attributes`` is flattened by the service into the official names, its number a number.
    """
    sent = {"user_attributes": {"email": "a@b", "account_id": "7", "title": None, "shoe": {"size": 43}}}
    _, (row,), _ = columns_of(of(sent))
    assert row["user_attributes_email_s"] == "a@b"
    assert row["user_attributes_account_id_d"] == 7
    assert "user_attributes_title_s" not in row
    assert json.loads(row["more_s"]) == {"user_attributes": {"shoe": {"size": 43}}}


@pytest.mark.parametrize("record", [seed(time_us=MOMENT)])
def test_the_seed_makes_every_column_and_no_other(record):
    """
    One seed gives all 29 columns and ours their types, and nobody takes it for an event.
    """
    columns, (row,), lost = columns_of(record)
    assert columns == set(OFFICIAL) | OURS
    assert not lost
    assert {name for name in OFFICIAL if row.get(name) is None} == set()
    assert row["event_type_id_d"] == row["account_id_d"] == row["user_id_d"] == 0
    assert row["notes_s"].startswith("This is no event.")
    assert row["event_timestamp_s"] == "2020-04-16 16:51:24 UTC"


@given(sent_records)
@example({"browser_fingerprint": MD5, "notes": "2026-11-21T09:30:00Z", "uuid": "no-guid", "id": 2**60})
@example({"event_timestamp": "2026-11-21T09:30:00.5Z", "create": {"_id": 5}, "user_id": 1.5, "app_id": True})
def test_every_column_has_one_type_for_ever(sent):
    """
    Whatever comes as a table's very first record, its columns are of the one closed set, and nothing is lost or refused.
    """
    columns, (row,), lost = columns_of(of(sent))
    assert columns <= all_columns()
    assert not lost, "cut, dropped or converted by the service"
    assert all(type(row[name]) in (int, float) for name in row if name.endswith("_d"))


def test_the_closed_set_fits_into_a_table():
    """
    All columns that can ever come are far below 500, with names that the service takes.
    """
    assert set(OFFICIAL) <= all_columns()
    assert len(all_columns()) < 100
    assert max(map(len, all_columns())) <= LONGEST_COLUMN


@given(st.lists(sent_records, max_size=6))
def test_any_sequence_keeps_the_columns(sequence):
    """
    No order of records makes a second column of one property.
    """
    columns, _, lost = columns_of(*map(of, sequence))
    assert columns <= all_columns()
    assert not lost


@given(sent_records)
def test_every_value_is_kept_somewhere(sent):
    """
    A value is in its column, or in ``more`` under its own name; only what is empty or too long is not there whole.
    """
    reading = fields.read(json.dumps(sent).encode())
    found = of(sent)
    assume("more" not in found or "left out" not in found["more"])
    more = json.loads(found.get("more", "{}"))
    for name in reading.more:
        further = name in FURTHER_TEXTS or name in FURTHER_NUMBERS
        assert name in more or (further and name in found), name
    for name, value in reading.values.items():
        place = found.get("user_attributes", {}) if name.startswith("user_attributes_") else found
        key = name.removeprefix("user_attributes_") if name.startswith("user_attributes_") else name
        held = [place.get(key), more.get(name), found.get("event_id"), found.get("create", {}).get("_id")]
        held += [found["event_timestamp"]] if name in ("event_timestamp", "created_at") else []
        texts = {str(each).strip('"') for each in held if each is not None}
        if name in ("uuid", "create_id"):
            texts |= {str(more.get("create_id")), str(more.get("uuid"))}
            assert any(same_guid(str(value), text) for text in texts), name
        elif name not in ("event_timestamp", "created_at") and len(str(value)) < 8_000:
            assert str(value).strip('"') in texts, name


def same_guid(one, other):
    """Tell whether two texts are one GUID, or the same text."""
    bare = [text.strip().strip("{}()").replace("-", "").lower() for text in (one, other)]
    return one == other or bare[0] == bare[1]


@pytest.mark.parametrize(
    ("sent", "column", "value"),
    [
        (MD5, "browser_fingerprint_s", f'"{MD5}"'),
        (GUID, "notes_s", f'"{GUID}"'),
        (f" {{{GUID}}}", "notes_s", f'" {{{GUID}}}"'),
        ("2026-11-21T09:30:00Z", "notes_s", '"2026-11-21T09:30:00Z"'),
        ("2026-11-21", "policy_name_s", '"2026-11-21"'),
        ("11/21/2026 9:30:00 AM", "user_name_s", '"11/21/2026 9:30:00 AM"'),
        ("signed in at 2026-11-21T09:30:00Z", "notes_s", "signed in at 2026-11-21T09:30:00Z"),
        ("2020-04-15 22:51:24 UTC", "notes_s", "2020-04-15 22:51:24 UTC"),
        ("12345678", "otp_device_name_s", "12345678"),
        ("203.0.113.9", "ipaddr_s", "203.0.113.9"),
    ],
)
def test_what_looks_like_another_type_is_quoted(sent, column, value):
    """
    A text that the service would rewrite or put into another column stays a text, visibly, and no other changes.
    """
    _, (row,), _ = columns_of(of({column[:-2]: sent}))
    assert row[column] == value


@pytest.mark.parametrize(
    ("sent", "ids"),
    [
        ({"uuid": GUID}, {"uuid_g": GUID}),
        ({"uuid": GUID.upper()}, {"uuid_g": GUID.upper()}),
        ({"uuid": GUID.replace("-", "")}, {"uuid_g": GUID}),
        ({"uuid": "evt-1"}, {"event_id_s": "native:0", "more_s": '{"uuid":"evt-1"}'}),
        ({"id": 36_000_000_001}, {"event_id_s": "36000000001"}),
        ({"id": 2**62}, {"event_id_s": str(2**62)}),
        ({"id": 5, "uuid": GUID}, {"event_id_s": "5", "uuid_g": GUID}),
        ({"id": 5, "uuid": "evt-1"}, {"event_id_s": "5", "more_s": '{"uuid":"evt-1"}'}),
        ({"create": {"_id": "evt-1"}}, {"event_id_s": "native:0", "more_s": '{"create_id":"evt-1"}'}),
        (
            {"create": {"_id": GUID}, "uuid": "evt-1"},
            {"event_id_s": "native:0", "more_s": '{"uuid":"evt-1"}'},
        ),
        ({}, {"event_id_s": "native:0"}),
    ],
)
def test_every_event_can_be_named(sent, ids):
    """
    ``coalesce(uuid_g, event_id_s)`` names each event; an id that is no GUID makes no column ``uuid_s``.
    """
    _, (row,), _ = columns_of(of(sent))
    found = {name: row[name] for name in ("uuid_g", "event_id_s", "more_s") if name in row}
    assert found == ids


@pytest.mark.parametrize("native", [MD5, "2026-11-21T09:30:00Z", "n" * 40_000])
def test_an_id_stays_a_text(native):
    """
    An id of the API may be any text; its column is the same, and what is kept of it fits.
    """
    columns, _, lost = columns_of(of({"id": native}, native=native))
    assert columns == {"event_time_t", "event_timestamp_s", "event_id_s", "more_s"}
    assert not lost


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_a_number_that_a_double_does_not_hold_is_kept_exactly(number):
    """
    A column of type real would hold another number, so it is kept in ``more`` to its last digit.
    """
    found = of({"user_id": number, "mapping_id": number, "user_attributes": {"account_id": number}})
    assert set(found) == {"event_time", "event_timestamp", "event_id", "more"}
    more = json.loads(found["more"])
    assert more == {"user_id": number, "mapping_id": number, "user_attributes_account_id": number}
    assert of({"user_id": 2**53})["user_id"] == 2**53


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2020-08-21 00:32:38 UTC", "2020-08-21 00:32:38 UTC"),
        ("2020-08-21T00:32:38Z", "2020-08-21 00:32:38 UTC"),
        ("2020-08-21T02:32:38.999+02:00", "2020-08-21 00:32:38 UTC"),
        ("2020-08-21 00:32:38", "2020-08-21 00:32:38 UTC"),
        ("2020-99-21T00:32:38Z", '"2020-99-21T00:32:38Z"'),
        ("soon", "soon"),
        (None, "2020-04-16 16:51:24 UTC"),
    ],
)
def test_the_timestamp_stays_in_onelogins_form(sent, kept):
    """
    ``event_timestamp`` is written as OneLogin does, so that its column stays ``event_timestamp_s``.
    """
    columns, (row,), _ = columns_of(of({"event_timestamp": sent}))
    assert row["event_timestamp_s"] == kept
    assert "event_timestamp_t" not in columns


def test_a_time_of_the_api_is_kept_to_the_millisecond():
    """
    ``created_at`` becomes the event's time; only what that does not say of it is kept beside.
    """
    raw = b'{"id":1,"created_at":"2026-11-21T09:30:00.125Z"}'
    event = read(raw, connector="c", way=Way.POLL, received_us=MOMENT * 2)
    assert of(raw, event.time_us, event.native) == {
        "event_time": "2026-11-21T09:30:00.125Z",
        "event_timestamp": "2026-11-21 09:30:00 UTC",
        "event_id": "1",
    }
    assert json.loads(of({"created_at": "yesterday"})["more"]) == {"created_at": "yesterday"}


@given(st.integers(0, 2**32 * 1_000_000 - 1))
def test_the_event_time_is_what_the_service_reads(time_us):
    """
    The added time has three digits of fraction, never later than the event.
    """
    written = of({}, time_us)["event_time"]
    assert len(written) == len("2026-11-21T09:30:00.125Z")
    read_us = round(datetime.fromisoformat(written).timestamp() * 1_000) * 1_000
    assert 0 <= time_us - read_us < 1_000


@pytest.mark.parametrize(
    "name", ["tenant", "TimeGenerated", "RawData", "Computer", "a.b", "n" * 60, "event_time", "more"]
)
def test_names_of_the_service_and_strange_names_go_aside(name):
    """
    A property that the service keeps for itself, or whose name it does not take, is in ``more_s`` under its name.
    """
    columns, (row,), _ = columns_of(of({name: "value", "uuid": GUID}))
    assert json.loads(row["more_s"]) == {name: "value"}
    assert columns == {"event_time_t", "event_timestamp_s", "uuid_g", "more_s"}


def test_many_unknown_fields_make_one_column():
    """
    A sender with a thousand fields of its own does not fill the table.
    """
    columns, (row,), _ = columns_of(of({f"field_{number}": number for number in range(1_000)}))
    assert len(columns) == 4
    assert json.loads(row["more_s"])["field_999"] == 999


@given(st.text(max_size=60), st.sampled_from(["a", "é", "€", "\U0001f4a5"]), st.integers(31_000, 33_000))
def test_a_cut_text_says_so_and_fits(before, letter, bytes_wanted):
    """
    A long text keeps its beginning whole, ends with its length, and fits to the byte.
    """
    text = before + letter * (bytes_wanted // len(letter.encode()))
    size = len(text.encode())
    found = cut(text)
    assert len(found.encode()) <= LARGEST_TEXT_BYTES <= LARGEST_FIELD
    if size <= LARGEST_TEXT_BYTES:
        assert found == text
    else:
        kept, _, marker = found.rpartition("… ")
        assert text.startswith(kept)
        assert marker == f"[cut: it had {size} bytes]"
        assert LARGEST_TEXT_BYTES - len(found.encode()) < 4


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20),
        st.text(max_size=10) | st.sampled_from(["x" * 20_000, "\x01" * 9_000]),
    )
)
@example({f"field {number}": "x" * 20 for number in range(5_000)})
@example({"a": "x" * 100_000, "b": [1, 2]})
def test_what_lies_aside_stays_json(more):
    """
    Beyond the limit the longest members give way, and the column is still JSON that can be parsed.
    """
    found = of({f"new {name}": value for name, value in more.items()})
    text = found.get("more", "{}")
    assert len(text.encode()) <= LARGEST_TEXT_BYTES
    parsed = json.loads(text)
    for name, value in more.items():
        if len(more) < 1_000 and value:
            assert parsed[f"new {name}"] == value or parsed[f"new {name}"].startswith("[left out: ")


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_records_have_a_record(raw):
    """
    Whatever came past the journal can be written, and the service takes it.
    """
    columns, _, lost = columns_of(of(raw))
    assert columns <= all_columns()
    assert not lost


def test_a_company_of_both_channels_makes_the_official_columns():
    """
    A day's events, as webhooks and as the API lists them, make columns of the closed set with nothing lost.
    """
    from itertools import islice

    day = list(islice(Company(1).story(1_795_200_000_000_000), 1_000))
    told = [happening.to_webhook() for happening in day[::2]] + [
        happening.to_api() for happening in day[1::2]
    ]
    columns, rows, lost = columns_of(*(of(each, native=str(number)) for number, each in enumerate(told)))
    assert columns <= all_columns()
    assert not lost
    names = [row.get("uuid_g") or row["event_id_s"] for row in rows]
    assert len(set(names)) == len(day)
