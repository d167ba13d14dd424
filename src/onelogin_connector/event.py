"""
One audit record, as received and as read.

What is needed to recognise an event is read here, once; the bytes stay as they came, and unknown fields survive
in them.
"""

from enum import IntEnum, IntFlag, StrEnum
from hashlib import blake2b
from typing import Any, NewType

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from onelogin_connector.errors import BadRecord
from onelogin_connector.loose import mended, native_text, parse_time_us, uuid_text, whole

Offset = NewType("Offset", int)
"""A position in the journal, from 1; 0 is before the first."""

LARGEST_RECORD_BYTES = 1_000_000
"""No OneLogin event comes near this; a destination refuses larger ones in any case."""

LARGEST_ACCOUNT = 2**63 - 1
A_DAY_US = 86_400_000_000


class Channel(StrEnum):
    """
    The shape of a record: what it carries, not the way it came.
    """

    WEBHOOK = "webhook"
    API = "api"
    NONE = "none"


class Way(StrEnum):
    """
    The way in.
    """

    WEBHOOK = "webhook"
    POLL = "poll"
    RECONCILE = "reconcile"
    BACKFILL = "backfill"
    IMPORT = "import"


class Flag(IntFlag):
    """
    What is unusual about an entry.
    """

    TIME_UNREADABLE = 1
    """The record's time could not be read; its time is that of its arrival."""
    TIME_AHEAD = 2
    """The record's time lies more than a day ahead; its time is that of its arrival."""
    FOREIGN = 4
    """The record names another account than its connector is bound to."""
    UNVERIFIED = 8
    """Kept without its keys' hour being held: it may double an older entry."""


class Kind(IntEnum):
    """
    What a journal record is.
    """

    ENTRY = 1
    """An event, seen for the first time."""
    TWIN = 2
    """The same event's record from the other channel."""
    CHANGE = 3
    """A record whose native id is known, with other content."""
    MOVE = 4
    """A twin that belongs to another entry now, because a better match has come for the one it had."""


class Fields(Struct, gc=False):
    """
    The fields by which an event is recognised, as loosely typed as they arrive.
    """

    uuid: Any = None
    create: Any = None
    id: Any = None
    event_timestamp: Any = None
    created_at: Any = None
    account_id: Any = None
    event_type_id: Any = None
    user_id: Any = None
    actor_user_id: Any = None
    app_id: Any = None
    role_id: Any = None
    otp_device_id: Any = None
    ipaddr: Any = None
    notes: Any = None
    actor_system: Any = None
    actor_user_name: Any = None
    app_name: Any = None
    assuming_acting_user_id: Any = None
    browser_fingerprint: Any = None
    client_id: Any = None
    custom_message: Any = None
    directory_id: Any = None
    directory_sync_run_id: Any = None
    error_description: Any = None
    group_id: Any = None
    group_name: Any = None
    otp_device_name: Any = None
    policy_id: Any = None
    policy_name: Any = None
    proxy_ip: Any = None
    resolution: Any = None
    resource_type_id: Any = None
    risk_cookie_id: Any = None
    risk_reasons: Any = None
    risk_score: Any = None
    role_name: Any = None
    user_name: Any = None


class Event(Struct, frozen=True, gc=False):
    """
    One audit record on its way into the journal.
    """

    connector: str
    """Id of the connector it came through."""
    way: Way
    channel: Channel
    native: str
    """The record's own id: its uuid, its number as text, or ``body:position`` in hex where it has none."""
    also: str | None
    """Its number, where a record carries both ids (``native`` is then the uuid)."""
    account: int | None
    """OneLogin account id as the record names it."""
    time_us: int
    """Event time in microseconds since 1970, UTC; the arrival time where a flag says so."""
    sent_us: int | None
    """Event time as sent, also when it lies ahead; None when it cannot be read."""
    received_us: int
    flags: int
    """Of ``Flag``."""
    fields: Fields
    raw: bytes
    """The JSON object as received."""


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """
    A journal record: an event, a twin of one, or a changed repeat.
    """

    offset: int
    kind: int
    key: bytes
    """16 bytes that identify this record everywhere and for ever: account and native id, hashed."""
    of: bytes
    """For a twin, a change or a move: the key of the entry it belongs to. Empty for an entry."""
    connector: str
    account: int | None
    channel: str
    way: str
    native: str
    also: str | None
    time_us: int
    received_us: int
    flags: int
    raw: bytes


_decoder = Decoder(Fields)


def _fields(raw: bytes) -> Fields:
    try:
        return _decoder.decode(raw)
    except DecodeError:
        whole_text = mended(raw)
        if whole_text == raw:
            raise
        return _decoder.decode(whole_text)


def read(
    raw: bytes,
    *,
    connector: str,
    way: Way,
    received_us: int,
    body_hash: bytes = b"",
    position: int = 0,
) -> Event:
    """
    Read one JSON object as an event.

    Args:
        raw: The object's bytes.
        received_us: Arrival, microseconds since 1970, UTC.
        body_hash: Hash of the request or file the record came in; names a record without id.
        position: Its place there, from 0.

    Raises:
        BadRecord: The bytes are no JSON object, are too large, or hold nothing of an event.
    """
    if len(raw) > LARGEST_RECORD_BYTES:
        raise BadRecord(f"The record has {len(raw)} bytes; at most {LARGEST_RECORD_BYTES} are taken.")
    try:
        fields = _fields(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"The record is not a JSON object that can be read: {error}.") from error
    uuid = uuid_text(fields.uuid) or uuid_text(_nested_id(fields.create))
    number = native_text(fields.id)
    if uuid:
        channel, native, also = Channel.WEBHOOK, uuid, number
    elif number:
        channel, native, also = Channel.API, number, None
    else:
        channel = _channel_of_shape(fields)
        native, also = f"{(body_hash or _hash(raw)).hex()}:{position}", None
    sent_us = _time_of(fields, channel)
    flags = 0
    if sent_us is None:
        flags |= Flag.TIME_UNREADABLE
    elif sent_us > received_us + A_DAY_US:
        flags |= Flag.TIME_AHEAD
    return Event(
        connector=connector,
        way=way,
        channel=channel,
        native=native,
        also=also,
        account=_account(fields.account_id),
        time_us=received_us if flags or sent_us is None else sent_us,
        sent_us=sent_us,
        received_us=received_us,
        flags=flags,
        fields=fields,
        raw=raw,
    )


def _account(value: Any) -> int | None:
    number = whole(value)
    return number if type(number) is int and 0 <= number <= LARGEST_ACCOUNT else None


def _hash(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=16).digest()


def _nested_id(create: Any) -> Any:
    return create.get("_id") if isinstance(create, dict) else None


def _channel_of_shape(fields: Fields) -> Channel:
    """
    Tell the channel of a record without id from its time field, and refuse what is no event at all.
    """
    if _is_given(fields.event_timestamp):
        return Channel.WEBHOOK
    if _is_given(fields.created_at):
        return Channel.API
    if not any(_is_given(getattr(fields, name)) for name in Fields.__struct_fields__):
        raise BadRecord("The record has none of the fields of a OneLogin event.")
    return Channel.NONE


def _is_given(value: Any) -> bool:
    """
    Tell whether a field says anything: null, "" and absent are one.
    """
    return value is not None and (type(value) is not str or bool(value.strip()))


def _time_of(fields: Fields, channel: Channel) -> int | None:
    first, second = fields.event_timestamp, fields.created_at
    if channel is Channel.API:
        first, second = second, first
    read_first = parse_time_us(first)
    return parse_time_us(second) if read_first is None else read_first
