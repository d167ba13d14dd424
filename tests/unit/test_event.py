"""
Reading one record: loose ids, times in every shape, hostile bytes.
"""

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelogin_connector.errors import BadRecord
from onelogin_connector.event import A_DAY_US, LARGEST_RECORD_BYTES, Channel, Event, Fields, Flag, Way, read
from onelogin_connector.loose import LAST_SECOND, mended, native_text, parse_time_us, whole

NOW_US = 1_795_000_000_000_000  # 2026-11-18 and some hours
LAST_US = LAST_SECOND * 1_000_000
UUID = "3d2b0c52-6a35-4f6a-9f38-0123456789ab"


def read_bytes(raw: bytes, *, body_hash: bytes = b"", position: int = 0) -> Event:
    """
    Read bytes as if a webhook had brought them now.
    """
    return read(
        raw,
        connector="acme",
        way=Way.WEBHOOK,
        received_us=NOW_US,
        body_hash=body_hash,
        position=position,
    )


def read_record(**record: object) -> Event:
    """
    Read a record given by its fields.
    """
    return read_bytes(json.dumps(record).encode())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=50),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=12,
)

moments = st.datetimes(datetime(1970, 1, 2), datetime(2105, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001

whole_numbers = st.integers(min_value=0, max_value=2**64)


def micros(moment: datetime) -> int:
    """
    Count microseconds since 1970 without going through a float.
    """
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class TestTimes:
    @given(moments)
    def test_webhook_text(self, moment):
        """
        The webhook's ``2020-08-21 00:32:38 UTC`` is read to the second.
        """
        assert parse_time_us(moment.strftime("%Y-%m-%d %H:%M:%S UTC")) == micros(
            moment.replace(microsecond=0)
        )

    @given(moments, st.text("0123456789", min_size=1, max_size=12), st.sampled_from("Tt "))
    def test_iso_with_any_fraction(self, moment, fraction, between):
        """
        A fraction of any number of digits is cut to microseconds, never rounded up into another second.
        """
        text = f"{moment:%Y-%m-%d}{between}{moment:%H:%M:%S}.{fraction}Z"
        expected = micros(moment.replace(microsecond=0)) + int(fraction.ljust(6, "0")[:6])
        assert parse_time_us(text) == expected

    @given(moments, st.integers(-14 * 60, 14 * 60), st.booleans())
    def test_offsets(self, moment, minutes, colon):
        """
        A time with an offset is the same moment in UTC.
        """
        local = moment.astimezone(timezone(timedelta(minutes=minutes)))
        text = local.isoformat(timespec="microseconds")
        assert parse_time_us(text if colon else text[:-3] + text[-2:]) == micros(moment)

    @given(moments)
    def test_without_zone_is_utc(self, moment):
        """
        OneLogin's times without a zone are UTC.
        """
        assert parse_time_us(moment.strftime("%Y-%m-%dT%H:%M:%S")) == micros(moment.replace(microsecond=0))

    @given(st.integers(1, LAST_SECOND))
    def test_seconds_as_a_number(self, second):
        """
        A number is seconds since 1970.
        """
        assert parse_time_us(second) == second * 1_000_000

    @given(st.integers(100_000_000_001, LAST_SECOND * 1_000))
    def test_milliseconds_as_a_number(self, millis):
        """
        A number too large for seconds is milliseconds.
        """
        assert parse_time_us(millis) == millis * 1_000

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00+99:99",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00-00:60",
            "2026-01-01",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59Z",
            "2026-01-01T00:00:00Z and more",
            True,
            False,
            0,
            -1,
            1e300,
            None,
            [],
            {"$date": "2026-01-01T00:00:00Z"},
        ],
    )
    def test_not_a_time(self, value):
        """
        What is no time is None, and no exception.
        """
        assert parse_time_us(value) is None

    def test_leap_second_stays_in_its_minute(self):
        """
        23:59:60 is read as the last second of its minute, so that it keeps its hour.
        """
        assert parse_time_us("2016-12-31 23:59:60 UTC") == parse_time_us("2016-12-31 23:59:59 UTC")

    @given(json_values)
    @example(99_999_999_999)
    @example(9_999_999_999_999)
    @example("2106-02-07T06:28:16Z")
    def test_any_value_gives_a_time_that_can_be_kept(self, value):
        """
        Whatever is sent as time is None or fits the four bytes in which seconds are held.
        """
        result = parse_time_us(value)
        assert result is None or 0 <= result <= LAST_US + 999_999

    def test_unreadable_time_becomes_arrival_with_a_flag(self):
        """
        A record keeps flowing when its time cannot be read, and says so.
        """
        event = read_record(id=1, created_at="soon")
        assert (event.time_us, event.sent_us, event.flags) == (NOW_US, None, Flag.TIME_UNREADABLE)

    @pytest.mark.parametrize(
        ("ahead_us", "flags"), [(A_DAY_US, Flag(0)), (A_DAY_US + 1_000_000, Flag.TIME_AHEAD)]
    )
    def test_more_than_a_day_ahead(self, ahead_us, flags):
        """
        A clock a day wrong is believed; further ahead the arrival counts, and the sent time is kept.
        """
        sent_us = NOW_US + ahead_us
        event = read_record(id=1, created_at=sent_us / 1e6)
        assert (event.flags, event.sent_us) == (flags, sent_us)
        assert event.time_us == (NOW_US if flags else sent_us)

    def test_each_channel_prefers_its_own_time(self):
        """
        With both times present each channel reads its own, and falls back to the other.
        """
        times = {"event_timestamp": "2026-01-01 00:00:01 UTC", "created_at": "2026-01-01T00:00:02.5Z"}
        first, second = parse_time_us(times["event_timestamp"]), parse_time_us(times["created_at"])
        assert read_record(uuid=UUID, **times).time_us == first
        assert read_record(id=1, **times).time_us == second
        assert read_record(id=1, **times | {"created_at": "soon"}).time_us == first


class TestIds:
    @given(whole_numbers, st.sampled_from(["int", "text", "padded", "zeros", "float"]))
    def test_every_loose_form_is_one_id(self, number, form):
        """
        An id is the same as number, as text, padded, with leading zeros, and as a whole float.
        """
        if form == "float":
            number %= 2**53
        sent = {
            "int": number,
            "text": str(number),
            "padded": f" \t{number}\n",
            "zeros": f"00{number}",
            "float": float(number),
        }[form]
        assert read_record(id=sent).native == str(number)

    @given(st.uuids(), st.booleans(), st.sampled_from(["", " ", "\n"]))
    def test_uuids_are_lower_case(self, uuid, upper, around):
        """
        A uuid is the same in capitals and with spaces around it.
        """
        text = str(uuid).upper() if upper else str(uuid)
        event = read_record(uuid=f"{around}{text}{around}")
        assert (event.channel, event.native) == (Channel.WEBHOOK, str(uuid))

    @given(
        st.uuids(),
        st.sampled_from(["{%s}", "urn:uuid:%s", "urn:uuid:{%s}", " %s\n", "%s"]),
        st.booleans(),
        st.booleans(),
    )
    @example(uuid.UUID("01234567890123456789012345678901"), "%s", False, False)
    def test_every_form_of_a_uuid_is_one_id(self, uuid, form, dashed, upper):
        """
        Braces, the prefix of a URN, missing dashes and capitals make no other id.
        """
        text = form % (uuid if dashed else uuid.hex)
        text = text.upper() if upper else text
        assert read_record(uuid=text).native == str(uuid)
        assert read_record(create={"_id": text}).native == str(uuid)

    @pytest.mark.parametrize("other", ["{%s", "%s}", "%s0", "g%s", "urn:uuid: %s", "x" * 36])
    def test_what_is_nearly_a_uuid_is_an_id_of_its_own(self, other):
        """
        Text that only resembles a uuid is kept as it is.
        """
        text = other.replace("%s", UUID)
        assert read_record(uuid=text).native == text

    def test_a_number_of_32_digits_is_no_uuid(self):
        """
        The API's number stays a number, however long.
        """
        assert read_record(id="1" * 32).native == "1" * 32

    def test_create_id_stands_in_for_uuid(self):
        """
        ``create._id`` names the event where ``uuid`` is absent, null or empty.
        """
        for absent in ({}, {"uuid": None}, {"uuid": ""}, {"uuid": "  "}):
            event = read_record(**absent, create={"_id": UUID.upper()})
            assert (event.channel, event.native) == (Channel.WEBHOOK, UUID)

    def test_both_ids(self):
        """
        A record with both ids is a webhook's, and remembers its number.
        """
        event = read_record(uuid=UUID, id="36114558381")
        assert (event.channel, event.native, event.also) == (Channel.WEBHOOK, UUID, "36114558381")

    @pytest.mark.parametrize("number", [2**31, 36_114_558_381, 2**53 + 1, 2**63, 2**64 - 1])
    def test_large_numbers_keep_every_digit(self, number):
        """
        Ids above 2**31 and above what a float holds keep their digits.
        """
        assert read_record(id=number).native == str(number)

    @pytest.mark.parametrize("other", ["٣", "12a", "1.5", "-", "--1", "0x10", "1_000", "½"])
    def test_other_text_stays_text(self, other):
        """
        Only ASCII digits are a number; anything else is an id of its own.
        """
        assert read_record(id=other).native == other

    @pytest.mark.parametrize("value", [None, "", " ", True, False, [], {}, [1], {"id": 1}])
    def test_no_id(self, value):
        """
        Null, empty, truth values and containers are no id.
        """
        assert native_text(value) is None

    def test_a_record_without_id_is_named_by_its_place(self):
        """
        Body hash and position name it, so that the same body sent again is the same record.
        """
        raw = b'{"event_type_id": 8}'
        first = read_bytes(raw, body_hash=b"\x01\x02", position=3)
        again = read_bytes(raw, body_hash=b"\x01\x02", position=3)
        other = read_bytes(raw, body_hash=b"\x01\x02", position=4)
        assert first.native == again.native == "0102:3"
        assert other.native != first.native

    @pytest.mark.parametrize("nothing", [None, "", "  "])
    def test_null_empty_and_absent_are_one(self, nothing):
        """
        A field that says nothing makes no event of a record, nor tells its channel.
        """
        with pytest.raises(BadRecord, match="none of the fields"):
            read_record(uuid=nothing, id=nothing, event_timestamp=nothing, notes=nothing)
        event = read_record(event_timestamp=nothing, created_at="2026-01-01T00:00:00Z")
        assert event.channel is Channel.API

    def test_without_body_hash_the_record_names_itself(self):
        """
        Different records never share a name for want of a body hash.
        """
        assert read_bytes(b'{"event_type_id": 8}').native != read_bytes(b'{"event_type_id": 9}').native

    @pytest.mark.parametrize(
        ("record", "channel"),
        [
            ({"event_timestamp": "2026-01-01 00:00:00 UTC"}, Channel.WEBHOOK),
            ({"created_at": "2026-01-01T00:00:00Z"}, Channel.API),
            ({"event_type_id": 5}, Channel.NONE),
        ],
    )
    def test_channel_without_id(self, record, channel):
        """
        Without an id the time field tells the channel.
        """
        assert read_record(**record).channel is channel

    @given(json_values)
    @example(True)
    @example(2**63)
    @example(1e300)
    @example("99999999999999999999999")
    def test_an_account_is_a_number_that_can_be_kept(self, value):
        """
        An account is a plain integer of 64 bits or None, so that no record breaks what keeps it.
        """
        account = read_record(id=1, account_id=value).account
        assert account is None or (type(account) is int and -(2**63) <= account < 2**63)

    @given(st.integers(0, 2**40), st.booleans())
    def test_accounts_are_read_loosely(self, number, as_text):
        """
        An account id is the same as number and as text.
        """
        assert read_record(id=1, account_id=str(number) if as_text else number).account == number

    @given(json_values)
    def test_normal_form_is_stable(self, value):
        """
        Taking the normal form twice changes nothing.
        """
        assert whole(whole(value)) == whole(value)


class TestBytes:
    @given(st.dictionaries(st.sampled_from(Fields.__struct_fields__), json_values), st.booleans())
    def test_any_values_in_known_fields(self, record, named):
        """
        No value in any known field breaks reading: there is an event, or the record is refused as bad.
        """
        raw = json.dumps(record | ({"id": 5} if named else {})).encode()
        try:
            event = read_bytes(raw)
        except BadRecord:
            assert not named
            return
        assert event.raw == raw
        assert event.native.encode()
        assert 0 <= event.time_us <= LAST_US + 999_999

    @given(st.dictionaries(st.text(max_size=20), json_values, max_size=20))
    def test_unknown_fields_survive(self, record):
        """
        The bytes stay as they came, whatever unknown keys they hold.
        """
        raw = json.dumps(record | {"uuid": UUID}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        try:
            assert read_bytes(raw).raw == raw
        except BadRecord:
            assert any(0xD800 <= ord(letter) <= 0xDFFF for letter in json.dumps(record, ensure_ascii=False))

    @given(st.binary(max_size=200))
    def test_any_bytes(self, raw):
        """
        Arbitrary bytes are an event or a bad record, nothing else.
        """
        with suppress(BadRecord):
            assert read_bytes(raw).raw == raw

    @given(st.data())
    def test_damaged_records(self, data):
        """
        A true record with bytes changed, cut or doubled is an event or a bad record, nothing else.
        """
        raw = bytearray(
            json.dumps({"uuid": UUID, "account_id": 1, "notes": "ä\n", "create": {"_id": UUID}}).encode()
        )
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(raw) - 1))
            raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
            if not raw:
                break
        with suppress(BadRecord):
            assert read_bytes(bytes(raw)).raw == raw

    def test_eighty_nulls(self):
        """
        A webhook record's many nulls are no values.
        """
        event = read_record(**dict.fromkeys(Fields.__struct_fields__) | {"uuid": UUID, "x": None})
        assert event.account is None
        assert event.native == UUID

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"null",
            b"[]",
            b"1",
            b'"text"',
            b"{",
            b"{}",
            b'{"unknown": 1}',
            b'{"id": 1} {"id": 2}',
            b"\xef\xbb\xbf{}",
            b'{"id": NaN}',
            b'{"uuid": "\xff"}',
            b'{"notes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"id": ' + b"9" * 5_000 + b"}",
            b'{"id": 1e999}',
        ],
        ids=lambda raw: raw[:24].decode("utf-8", "replace"),
    )
    def test_bad_records(self, raw):
        """
        What is no event is refused with a sentence.
        """
        with pytest.raises(BadRecord, match=r"^The record .*\.$"):
            read_bytes(raw)

    @given(st.lists(st.sampled_from(["\\ud83d", "\\uDE00", "\\\\", "\\n", "ud83d", "x", "\\u0041", '\\"'])))
    def test_half_a_surrogate_pair_is_read_as_unknown_letter(self, parts):
        """
        Whatever escapes surround them, halves become U+FFFD, pairs stay, and the bytes are untouched.
        """
        text = "".join(parts)
        raw = f'{{"uuid":"{UUID}","x":["{text}"],"notes":"{text}"}}'.encode()
        event = read_bytes(raw)
        expected = json.loads(raw)["notes"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert event.fields.notes == expected
        assert event.raw == raw
        assert len(mended(raw)) == len(raw)

    def test_size_limit(self):
        """
        The largest record is taken, one byte more is refused with both figures.
        """
        frame = len(b'{"id":1,"notes":""}')
        largest = b'{"id":1,"notes":"' + b"x" * (LARGEST_RECORD_BYTES - frame) + b'"}'
        assert read_bytes(largest).native == "1"
        with pytest.raises(BadRecord, match="1000001 bytes; at most 1000000"):
            read_bytes(largest + b" ")

    def test_reading_is_repeatable(self):
        """
        The same bytes give the same event.
        """
        raw = json.dumps(
            {"uuid": UUID, "risk_score": 3.0, "event_timestamp": "2026-11-01 00:00:00 UTC"}
        ).encode()
        assert read_bytes(raw) == read_bytes(raw)
