"""
The fields of a OneLogin record with one type each.

OneLogin writes an id as a number, as text or as a whole float, and a text as null, as "" or not at all.
Here each known field becomes text or a 64-bit whole number, or is absent; null and "" are absent. What
fits no known field, or not its type, is kept aside in ``more``. Reading never fails: what came past the
journal has been acknowledged, and its bytes are kept in any case.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import DecodeError, MsgspecError, Raw, Struct
from msgspec.json import Decoder, encode

from onelogin_connector.loose import mended, whole

TEXTS = (
    "event_timestamp",
    "created_at",
    "uuid",
    "create_id",
    "user_name",
    "actor_user_name",
    "actor_system",
    "ipaddr",
    "user_agent",
    "app_name",
    "role_name",
    "group_name",
    "policy_name",
    "policy_type",
    "notes",
    "custom_message",
    "error_description",
    "operation_name",
    "resolution",
    "proxy_ip",
    "client_id",
    "api_credential_name",
    "otp_device_name",
    "authentication_factor_description",
    "privilege_name",
    "directory_name",
    "risk_reasons",
    "risk_cookie_id",
    "browser_fingerprint",
    "user_attributes_username",
    "user_attributes_email",
    "user_attributes_firstname",
    "user_attributes_lastname",
    "user_attributes_openid_name",
    "user_attributes_department",
    "user_attributes_title",
)
"""Known fields that hold text. ``create_id`` is ``create._id``; ``user_attributes`` is taken apart."""

NUMBERS = (
    "id",
    "event_type_id",
    "account_id",
    "user_id",
    "actor_user_id",
    "assuming_acting_user_id",
    "app_id",
    "role_id",
    "group_id",
    "policy_id",
    "otp_device_id",
    "authentication_factor_id",
    "authentication_factor_type",
    "privilege_id",
    "directory_id",
    "directory_sync_run_id",
    "resource_type_id",
    "risk_score",
    "user_attributes_account_id",
)
"""Known fields that hold a whole number."""

KNOWN = frozenset(TEXTS) | frozenset(NUMBERS)
_IS_NUMBER = {name: name in NUMBERS for name in KNOWN}
_NESTED = {"create", "user_attributes"}
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)

_members = Decoder(dict[str, Any]).decode
_raw_members = Decoder(dict[str, Raw]).decode
_value = Decoder(Any).decode


class Reading(Struct, frozen=True):
    """
    A record with one type per field.
    """

    values: dict[str, Any]
    """Known field → text or whole number; a field without a value is not in it."""
    more: dict[str, Any]
    """Fields of no known name, and values that do not fit their field. Never null."""


def read(raw: bytes) -> Reading:
    """
    Read a record's fields; bytes that cannot be read give a reading without values.
    """
    values: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name, value in members(raw).items():
        if value is None or value == "":
            continue
        is_number = _IS_NUMBER.get(name)
        if is_number is None:
            if name in _NESTED and type(value) is dict:
                _read_nested(name, value, values, more)
            else:
                more[name] = value
        else:
            _read_known(name, value, values, more, is_number=is_number)
    if "create_id" in values:
        # an event that carries only this one is known by it
        values.setdefault("uuid", values["create_id"])
    return Reading(values, more)


def _read_known(
    name: str, value: Any, values: dict[str, Any], more: dict[str, Any], *, is_number: bool
) -> None:
    if is_number:
        number = value if type(value) is int else whole(value)
        if type(number) is int and _LOWEST <= number <= _HIGHEST:
            values[name] = number
        elif number != "":
            more[name] = value
    elif type(value) is str:
        values[name] = value
    elif (text := as_text(value)) is not None:
        values[name] = text
    else:
        more[name] = value


def _read_nested(parent: str, object_: dict[str, Any], values: dict[str, Any], more: dict[str, Any]) -> None:
    """
    Take ``create._id`` and ``user_attributes.*`` apart; a field that also stands beside them wins.
    """
    rest: dict[str, Any] = {}
    for key, value in object_.items():
        name = f"{parent}_{key.lstrip('_')}"
        if value is None or value == "":
            continue
        if name in KNOWN and name not in values:
            _read_known(name, value, values, rest, is_number=_IS_NUMBER[name])
        else:
            rest[key] = value
    if rest:
        more[parent] = rest


def as_text(value: Any) -> str | None:
    """
    Write a number or truth value as text; None for an object or array, which has no text of its own.
    """
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or (kind is float and not value.is_integer()):
        return str(value)
    if kind is float:
        return str(int(value))
    return value if kind is str else None


def members(raw: bytes) -> Mapping[str, Any]:
    """
    Return a JSON object's members, those that cannot be read as their text; never fails.
    """
    try:
        return _members(raw)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        # one bad member, somewhere in a record whose other members are good: read them one by one
        return _members_one_by_one(raw)


def _members_one_by_one(raw: bytes) -> Mapping[str, Any]:
    try:
        parts = _raw_members(mended(raw).decode("utf-8", "replace"))
    except _UNREADABLE:
        return {}
    found: dict[str, Any] = {}
    for name, part in parts.items():
        try:
            found[name] = _value(part)
        except (MsgspecError, UnicodeDecodeError, RecursionError):
            found[name] = bytes(part).decode("utf-8", "replace")
    return found


def as_json(object_: Mapping[str, Any]) -> str:
    """
    Write an object as JSON text, with what no JSON number holds as text; "" for an empty one.
    """
    if not object_:
        return ""
    try:
        return encode(object_).decode()
    except (MsgspecError, ValueError, OverflowError, RecursionError):
        return encode({name: _writable(value) for name, value in object_.items()}).decode()


def _writable(value: Any) -> Any:
    try:
        encode(value)
    except (MsgspecError, ValueError, OverflowError, RecursionError):
        return str(value) if isinstance(value, int | float) else ""
    return value
