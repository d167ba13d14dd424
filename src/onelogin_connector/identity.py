"""
Keys by which a record is recognised: as a repeat of itself, and as one event with its twin.

A webhook record has a ``uuid``, an API record a number, and no field is known to hold both. So a record has

- a **native key**, the hash of its own id: the same key again is the same record again;
- a **fingerprint**, the hash of eight fields that both channels carry, kept beside the second of the event:
  records of the two channels with one fingerprint in one second are *candidates* for one event;
- **details**, the hashes of further fields that occur in both channels: two records that both know such a
  field and disagree are two events, whatever else is equal (``matching`` decides).

All values enter in a normal form: ids trimmed, decimal text and whole floats as integers, uuids in lower
case; null, "" and absent are one value; text in NFC with entities resolved and runs of white space as one
space. Keys hold hashes, never text. They are free of the account: the journal folds the scope in.
"""

from functools import lru_cache
from hashlib import blake2b
from html import unescape
from operator import attrgetter
from typing import Any
from unicodedata import normalize

from msgspec import DecodeError, Struct, json

from onelogin_connector.event import Channel, Event
from onelogin_connector.loose import LAST_SECOND, mended, parse_time_us, whole

FINGERPRINT = (
    "event_type_id",
    "user_id",
    "actor_user_id",
    "app_id",
    "role_id",
    "otp_device_id",
    "ipaddr",
    "notes",
)
"""Fields of the fingerprint, beside account and second."""

DETAILS = (
    "actor_system",
    "actor_user_name",
    "app_name",
    "assuming_acting_user_id",
    "browser_fingerprint",
    "client_id",
    "custom_message",
    "directory_id",
    "directory_sync_run_id",
    "error_description",
    "group_id",
    "group_name",
    "otp_device_name",
    "policy_id",
    "policy_name",
    "proxy_ip",
    "resolution",
    "resource_type_id",
    "risk_cookie_id",
    "risk_reasons",
    "risk_score",
    "role_name",
    "user_name",
)
"""Further fields that occur in both channels. Their order is on disk: add at the end only."""

DETAIL_BYTES = 9  # one for the field's place in DETAILS, eight of its value's hash
CORRELATION = "Correlation_id"

KEPT = 16_384  # names of users, applications and policies, addresses and notes come again and again
LONGEST_KEPT = 256  # characters; many long texts would cost gigabytes

_PREFIX = {channel: f"{channel}\0".encode() for channel in Channel}
_fingerprint_of = attrgetter(*FINGERPRINT)
_details_of = attrgetter(*DETAILS)
_encode = json.Encoder(order="sorted").encode


class Keys(Struct, frozen=True, gc=False):
    """
    What identifies one record within its account.
    """

    api: bool
    """Whether the record is of the API channel."""
    native: bytes
    """16 bytes."""
    also: bytes | None
    """Key of the API id in a record that carries both ids."""
    also_second: int
    """Event second that orders it."""
    second: int
    """Event second as sent, cut down; 0 when it cannot be read. Orders the native keys."""
    print: bytes | None
    """Fingerprint, 16 bytes; None for a record that has no channel or no time, and so no twin."""
    print_second: int
    """Event second by the connector's time rule. Orders the fingerprints."""
    other_second: int
    """The second by the other rule; the same where the rules agree."""
    tolerant: bool
    """Whether the notes carry a Correlation_id, so that one second of difference is tolerated."""
    digest: bytes
    """8 bytes over ``details``."""
    details: bytes
    """``DETAIL_BYTES`` for each known detail, in the order of ``DETAILS``."""
    content: bytes
    """8 bytes over the record as received."""


def keys_of(event: Event, *, rounds: bool = False) -> Keys:
    """
    Compute the keys of a record.

    Args:
        rounds: The connector's time rule: whether OneLogin's webhook rounds the API's fraction of a second
            instead of cutting it.
    """
    fields = event.fields
    sent_us = event.sent_us
    second = print_second = other_second = 0
    fingerprint = None
    tolerant = False
    if sent_us is not None:
        second = sent_us // 1_000_000
        nearest = min((sent_us + 500_000) // 1_000_000, LAST_SECOND)
        print_second, other_second = (nearest, second) if rounds else (second, nearest)
        if event.channel is not Channel.NONE:
            values = [
                value
                if value is None or type(value) is int
                else _normal(value)
                if type(value) is str and len(value) <= LONGEST_KEPT
                else normal(value)
                for value in _fingerprint_of(fields)
            ]
            fingerprint = _hash(_encode(values), 16)
            tolerant = isinstance(values[-1], str) and CORRELATION in values[-1]
    details = b"".join(
        [
            _detail(place, value)
            if type(value) is int or (type(value) is str and len(value) <= LONGEST_KEPT)
            else _detail.__wrapped__(place, value)
            for place, value in enumerate(_details_of(fields))
            if value is not None
        ]
    )
    return Keys(
        api=event.channel is Channel.API,
        native=native_hash(event.channel, event.native),
        also=native_hash(Channel.API, event.also) if event.also else None,
        also_second=_second(fields.created_at, second) if event.also else second,
        second=second,
        print=fingerprint,
        print_second=print_second,
        other_second=other_second,
        tolerant=tolerant,
        digest=_hash(details, 8),
        details=details,
        content=_hash(event.raw, 8),
    )


def same_content(one: bytes, other: bytes) -> bool:
    """
    Tell whether two records say the same, however they write it.
    """
    try:
        return _content(one) == _content(other)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _content(raw: bytes) -> dict[str, Any]:
    record = json.decode(mended(raw))
    return {name: known for name, value in record.items() if (known := normal(value)) is not None}


@lru_cache(maxsize=KEPT)
def _detail(place: int, value: Any) -> bytes:
    known = normal(value)
    return b"" if known is None else place.to_bytes(1, "big") + _hash(_encode(known), 8)


def native_hash(channel: Channel, native: str) -> bytes:
    """
    Return the 16-byte key of a record's own id.
    """
    data = _PREFIX[channel] + native.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=16).digest()


def scope_hash(scope: str) -> int:
    """
    Return what ``scoped`` folds into the keys of an account.
    """
    return int.from_bytes(_hash(scope.encode(), 16), "big")


def scoped(key: bytes, scope: int) -> bytes:
    """
    Return a key as it stands among those of all accounts.
    """
    return (int.from_bytes(key, "big") ^ scope).to_bytes(16, "big")


def contradictions(details: bytes, others: bytes) -> list[str]:
    """
    Return the fields that both records know and in which they differ.
    """
    theirs = {others[i]: others[i + 1 : i + DETAIL_BYTES] for i in range(0, len(others), DETAIL_BYTES)}
    return [
        DETAILS[details[i]]
        for i in range(0, len(details), DETAIL_BYTES)
        if theirs.get(details[i], details[i + 1 : i + DETAIL_BYTES]) != details[i + 1 : i + DETAIL_BYTES]
    ]


def normal(value: Any) -> Any:
    """
    Return a field's value in its normal form; None for null and empty.
    """
    if value is None:
        return None
    value = whole(value)
    if type(value) is not str:
        return value
    if not value.isascii() or "&" in value:
        value = normalize("NFC", unescape(value))
    return " ".join(value.split()) or None


_normal = lru_cache(maxsize=KEPT)(normal)


def _second(value: Any, otherwise: int) -> int:
    sent_us = parse_time_us(value)
    return otherwise if sent_us is None else sent_us // 1_000_000


def _hash(data: bytes, size: int) -> bytes:
    return blake2b(data, digest_size=size).digest()
