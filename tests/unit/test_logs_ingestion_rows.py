"""
Rows and calls of the Logs Ingestion API, to the byte.
"""

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onelogin_connector.azure.logs_ingestion import (
    LARGEST_CALL_BYTES,
    MOST_ROWS,
    Parcel,
    body_of,
    records_of,
    request_id,
)
from onelogin_connector.event import LARGEST_RECORD_BYTES
from onelogin_connector.formats.ingestion import LARGEST_FIELD_BYTES, event_row, shortened, user_row
from onelogin_connector.formats.onelogin_cl import LEGACY, V2
from onelogin_connector.formats.onelogin_users import User
from onelogin_connector.simulator.azure import definitions
from onelogin_connector.testing.sinks import A_MOMENT_US, HOSTILE, entry

SAMPLES = Path(__file__).parents[1] / "fixtures"
LEGACY_TABLE, V2_TABLE = "OneLogin_CL", "OneLoginEventsV2_CL"
MOST = LARGEST_CALL_BYTES - 2
MOMENT = datetime.fromtimestamp(A_MOMENT_US / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def row_of(record, table=LEGACY_TABLE, most=MOST):
    """Return the row of a record, read back, and its bytes."""
    raw = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
    written = event_row(table, entry(1, raw), most_bytes=most)
    return json.loads(written), written


def samples():
    """Give published events of both channels."""
    for path in sorted(SAMPLES.glob("webhook/*.json")) + sorted(SAMPLES.glob("events_api/*.json")):
        found = json.loads(path.read_text("utf-8"))
        found = found.get("data", found) if isinstance(found, dict) else found
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict) and "event_type_id" in each:
                yield each


@pytest.mark.parametrize("sent", list(samples()), ids=lambda each: str(each.get("uuid") or each.get("id")))
def test_every_record_has_every_column(sent):
    """
    Webhook or API: the 29 columns of Microsoft's parsers are in each record, with ours beside them.
    """
    row, _ = row_of(sent)
    assert set(row) == {"TimeGenerated", *LEGACY, "event_id_s", "event_time_t", "Raw"}
    assert row["Raw"] == sent
    assert row["TimeGenerated"] == row["event_time_t"] == MOMENT
    assert row["event_type_id_d"] == sent["event_type_id"]
    assert row["event_timestamp_s"]
    if "uuid" not in sent:
        assert row["event_id_s"] == str(sent["id"])
    v2, _ = row_of(sent, V2_TABLE)
    assert set(v2) == {"TimeGenerated", *V2}


@pytest.mark.parametrize("stream", definitions.STREAMS, ids=lambda stream: stream.table)
def test_nothing_is_sent_that_a_stream_does_not_declare(stream):
    """
    Whatever a rule made by the guide does not declare would be dropped without a word.
    """
    if stream.table == "OneLoginUsersV2_CL":
        sent = json.loads(user_row(User(id=1), at_us=A_MOMENT_US))
    else:
        sent, _ = row_of({"uuid": "u"}, stream.table)
    assert set(sent) == set(stream.columns)


def test_a_user_is_a_row():
    """
    A user's row has every column; what is not known is null.
    """
    row = json.loads(user_row(User(id=7, username="ana", email="a@b"), at_us=A_MOMENT_US))
    assert row["UserAttributesId"] == 7
    assert row["UserAttributesUsername"] == "ana"
    assert row["UserAttributesTitle"] is None
    assert row["TimeGenerated"] == MOMENT


def test_a_user_with_endless_texts_still_fits_into_a_call():
    """
    Texts are cut like those of events, so that one user can never hold up the others.
    """
    texts = {name: "💥" * 400_000 for name in User.__struct_fields__ if name not in ("id", "account_id")}
    known = {name: value for name, value in texts.items() if isinstance(getattr(User(), name), str | None)}
    written = user_row(User(id=7, **known), at_us=A_MOMENT_US)
    assert len(written) < 1_048_576 - 2
    assert "[cut: 1,600,000 bytes]" in json.loads(written)["UserAttributesUsername"]


@given(st.integers(65_500, 65_600) | st.integers(0, 300_000), st.sampled_from('xé€💥\u0000"'))
@example(65_536, "x")
@example(65_537, "x")
@example(32_768, "é")
@example(16_384, "💥")
@example(16_385, "💥")
def test_a_text_is_cut_to_what_a_column_holds(count, letter):
    """
    At most 65,536 bytes remain, whole characters all, and a mark says that and how much was there.
    """
    text = letter * count
    size = len(text.encode())
    cut = shortened(text)
    assert len(cut.encode()) <= LARGEST_FIELD_BYTES
    if size <= LARGEST_FIELD_BYTES:
        assert cut == text
    else:
        kept, mark = cut.split("…[cut: ")
        assert mark == f"{size:,} bytes]"
        assert text.startswith(kept)
        assert len(cut.encode()) > LARGEST_FIELD_BYTES - 4, "no more is cut than need be"


@given(
    st.dictionaries(
        st.sampled_from(
            ["notes", "user_name", "custom_message", "create", "user_attributes", "new", "risk_reasons"]
        ),
        st.integers(0, 200_000),
        max_size=5,
    ),
    st.sampled_from(["x", "é", "💥", "\u0001"]),
    st.sampled_from([LEGACY_TABLE, V2_TABLE]),
)
@settings(max_examples=40)
def test_no_column_of_any_record_is_too_long(sizes, letter, table):
    """
    Every column holds what it is given, the object column too, and a record that fits stays as it is.
    """
    record = {"uuid": "u", "event_type_id": 5}
    record |= {
        name: {"email": letter * size}
        if name in {"create", "user_attributes"}
        else letter * (size // len(letter.encode()))
        for name, size in sizes.items()
    }
    row, written = row_of(record, table)
    for column, value in row.items():
        text = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        )
        assert len(text.encode()) <= LARGEST_FIELD_BYTES, column
    assert len(written) <= MOST
    if table == LEGACY_TABLE:
        assert row["uuid_g"] == "u"
        assert row["Raw"]["event_type_id"] == 5, "only the largest members are left out"
        whole = len(json.dumps(record, ensure_ascii=False).encode()) <= LARGEST_FIELD_BYTES
        assert (row["Raw"] == record) or not whole
        assert set(row["Raw"]) == set(record)


def test_thousands_of_small_members_leave_a_mark():
    """
    Where no large member can be left out, the object column says so alone.
    """
    row, _ = row_of({"uuid": "u"} | {f"key{number}": "some text" for number in range(5_000)})
    assert list(row["Raw"]) == ["Raw"]
    assert "cut" in row["Raw"]["Raw"]
    assert row["uuid_g"] == "u"


def test_numbers_that_are_written_out_are_counted_so():
    """
    A service that writes 1e15 with all its digits must not find the object column longer than we did.
    """
    raw = b'{"uuid":"u","more":[' + b",".join([b"1e15"] * 12_000) + b"]}"
    assert len(raw) < LARGEST_FIELD_BYTES
    row, _ = row_of(raw)
    assert row["Raw"]["more"].startswith("…[cut")


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("table", [LEGACY_TABLE, V2_TABLE])
def test_hostile_records_become_rows(raw, table):
    """
    Whatever came past the journal is valid JSON in UTF-8 with every column, and fits into a call.
    """
    row, written = row_of(raw, table)
    assert written.decode()
    assert len(row) == (33 if table == LEGACY_TABLE else 19)
    assert len(written) <= MOST


def test_the_largest_record_fits_into_a_call():
    """
    Twenty columns of almost 64 KB and the whole record beside them would not; the record gives way.
    """
    names = [
        name for name in LEGACY.values() if not name.endswith("_id") and name not in {"create_id", "uuid"}
    ]
    size = (LARGEST_RECORD_BYTES - 2_000) // len(names[:16])
    record = {"uuid": "u"} | dict.fromkeys(names[:16], "é" * (size // 2))
    assert len(json.dumps(record, ensure_ascii=False).encode()) <= LARGEST_RECORD_BYTES
    row, written = row_of(record)
    assert len(written) <= MOST
    assert row["uuid_g"] == "u"


def test_a_row_gives_up_the_record_before_it_is_too_large():
    """
    What a column of its own holds stays; only when that alone is too large nothing more can be done.
    """
    record = {"uuid": "u", "notes": "x" * 30_000, "new": "y" * 30_000}
    row, written = row_of(record, most=40_000)
    assert row["Raw"] == {"Raw": "…[cut: 60,037 bytes]"}
    assert row["notes_s"] == record["notes"]
    assert len(written) <= 40_000
    _, written = row_of(record, most=10_000)
    assert len(written) > 10_000


def sizes_of(parcel):
    """Return the bytes of a call, as it is and as it is sent."""
    body = parcel.body(0, len(parcel.rows))
    plain = gzip.decompress(body.content) if body.is_packed else body.content
    assert len(plain) == body.rows_bytes
    return plain, body.content


@given(st.data())
@settings(max_examples=60)
def test_a_call_is_full_to_the_byte_and_never_over(data):
    """
    Around 1,048,576 bytes: with one byte more the last row is left for the next call, and it never comes to less.
    """
    letter = data.draw(st.sampled_from(["x", "é", "💥", '"']))
    large = data.draw(st.lists(st.integers(1_000, 300_000), min_size=1, max_size=12))
    rows = [json.dumps({"n": letter * (size // 4)}, ensure_ascii=False).encode() for size in large]
    used = 2 + sum(map(len, rows)) + len(rows)
    over = data.draw(st.sampled_from([-1, 0, 1]))
    filler = LARGEST_CALL_BYTES - used + over
    if filler >= 10:
        rows.append(b'{"f":"%s"}' % (b"y" * (filler - 8)))
    tail = [b'{"t":1}'] * 3
    parcel = Parcel.of([*rows, *tail])
    plain, sent = sizes_of(parcel)
    assert json.loads(plain) == [json.loads(row) for row in parcel.rows]
    assert len(plain) <= LARGEST_CALL_BYTES
    assert len(sent) <= LARGEST_CALL_BYTES
    left = [*rows, *tail][len(parcel.rows) :]
    if left:
        assert len(plain) + 1 + len(left[0]) > LARGEST_CALL_BYTES, "one more row would have fitted"
    if filler >= 10:
        assert len(parcel.rows) == (len(rows) - 1 if over > 0 else len(rows)) or used > LARGEST_CALL_BYTES


@pytest.mark.parametrize(("size", "fits"), [(LARGEST_CALL_BYTES - 2, 1), (LARGEST_CALL_BYTES - 1, 0)])
def test_a_row_alone(size, fits):
    """
    A row may fill a call by itself; one byte more and it is too large for any.
    """
    row = b'"' + b"x" * (size - 2) + b'"'
    assert len(Parcel.of([row, b"1"]).rows) == fits


def test_chance_is_sent_as_it_is():
    """
    What gzip makes larger than the limit is within it unpacked.
    """
    chance = random.Random(1)
    alphabet = [chr(0x4E00 + number) for number in range(20_000)]
    text = "".join(chance.choices(alphabet, k=(LARGEST_CALL_BYTES - 4) // 3))
    content = json.dumps([text], ensure_ascii=False).encode()
    assert body_of(content).is_packed, "text is never so much chance that nothing is gained"
    noise = chance.randbytes(LARGEST_CALL_BYTES)
    body = body_of(noise)
    assert not body.is_packed
    assert body.content == noise
    assert len(gzip.compress(noise)) > LARGEST_CALL_BYTES


@given(st.binary(max_size=2_000))
def test_packing_loses_nothing(content):
    """
    What is unpacked is what was packed, and never longer on the way than it is.
    """
    body = body_of(content)
    assert len(body.content) <= len(content)
    assert (gzip.decompress(body.content) if body.is_packed else body.content) == content


def test_a_call_counts_no_more_rows_than_its_name_can():
    """
    However small rows are, the name of the call tells how many there are.
    """
    parcel = Parcel.of(b"1" for _ in range(10_000))
    assert len(parcel.rows) == MOST_ROWS


@given(st.integers(0, 2**48 - 1), st.integers(0, MOST_ROWS))
def test_a_calls_name_tells_its_records(first, count):
    """
    Each name is a UUID of its own, from which offset and count can be read.
    """
    name = request_id(first, count)
    assert UUID(name).version == 8
    assert UUID(name).variant == "specified in RFC 4122"
    assert records_of(name) == (first, count)
    assert request_id(first, count) != name
    assert name.startswith(f"{first:012x}"[:8])


@pytest.mark.parametrize("name", ["", "x", "00000000-0000-4000-8000-000000000000", "0" * 32])
def test_a_name_of_others_tells_nothing(name):
    """
    Only names of ours are read.
    """
    assert records_of(name) is None
