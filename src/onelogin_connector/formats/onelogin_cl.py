"""
An event as a row of Microsoft's tables ``OneLogin_CL`` and ``OneLoginEventsV2_CL``.

``OneLogin_CL`` is what the first connector (an Azure function fed by the webhook) made: a column per
webhook field, the suffix telling the type: ``_s`` text, ``_d`` real, ``_g`` GUID, ``_t`` time. 29 of them
are read by the official parsers, all versions of which need them to exist. ``OneLoginEventsV2_CL`` is
what the second connector (fed by the Events API) makes, with names of its own. Column lists: Azure-Sentinel
(MIT), ``.script/tests/KqlvalidationsTests/CustomTables`` and ``Solutions/OneLoginIAM``.

Both are filled from whichever channel the event came by. ``TimeGenerated`` is the event's time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Raw
from msgspec.json import Decoder, encode

from onelogin_connector.formats.fields import Reading

LEGACY_TABLE = "OneLogin_CL"
V2_TABLE = "OneLoginEventsV2_CL"

LEGACY = {
    "app_name_s": "app_name",
    "app_id_d": "app_id",
    "role_name_s": "role_name",
    "role_id_d": "role_id",
    "policy_name_s": "policy_name",
    "policy_type_s": "policy_type",
    "policy_id_d": "policy_id",
    "user_agent_s": "user_agent",
    "user_id_d": "user_id",
    "user_attributes_username_s": "user_attributes_username",
    "user_attributes_account_id_d": "user_attributes_account_id",
    "user_attributes_department_s": "user_attributes_department",
    "user_attributes_firstname_s": "user_attributes_firstname",
    "user_attributes_email_s": "user_attributes_email",
    "user_attributes_openid_name_s": "user_attributes_openid_name",
    "user_attributes_title_s": "user_attributes_title",
    "user_attributes_lastname_s": "user_attributes_lastname",
    "user_name_s": "user_name",
    "create__id_g": "create_id",
    "uuid_g": "uuid",
    "actor_system_s": "actor_system",
    "custom_message_s": "custom_message",
    "account_id_d": "account_id",
    "ipaddr_s": "ipaddr",
    "actor_user_name_s": "actor_user_name",
    "actor_user_id_d": "actor_user_id",
    "notes_s": "notes",
    "event_type_id_d": "event_type_id",
    "event_timestamp_s": "event_timestamp",
}
"""The 29 columns of ``OneLogin_CL`` beside TimeGenerated → the field each holds."""

V2 = {
    "EventId": "id",
    "AppName": "app_name",
    "AppId": "app_id",
    "RoleName": "role_name",
    "RoleId": "role_id",
    "PolicyName": "policy_name",
    "PolicyId": "policy_id",
    "PolicyType": "policy_type",
    "UserId": "user_id",
    "UserName": "user_name",
    "ActorSystem": "actor_system",
    "CustomMessage": "custom_message",
    "AccountId": "account_id",
    "Ipaddr": "ipaddr",
    "ActorUserName": "actor_user_name",
    "ActorUserId": "actor_user_id",
    "Notes": "notes",
    "EventTypeId": "event_type_id",
}
"""The 18 columns of ``OneLoginEventsV2_CL`` beside TimeGenerated → the field each holds."""

_any = Decoder(Raw)


def legacy_row(reading: Reading, *, time_us: int, raw: bytes) -> dict[str, Any]:
    """
    Return the row of ``OneLogin_CL``, with three columns of ours: ``event_id_s``, ``event_time_t``, ``Raw``.

    A column without a value is None. Ids are whole numbers; the table's type ``real`` holds them exactly
    up to 2⁵³.

    Args:
        time_us: The event's time, microseconds since 1970, UTC.
        raw: The record as received; becomes the ``Raw`` column as JSON, not as text.
    """
    values = reading.values
    row: dict[str, Any] = {"TimeGenerated": iso_time(time_us)}
    for column, field in LEGACY.items():
        row[column] = values.get(field)
    row["event_timestamp_s"] = timestamp_text(values, time_us)
    number = values.get("id")
    row["event_id_s"] = None if number is None else str(number)
    row["event_time_t"] = row["TimeGenerated"]
    row["Raw"] = embedded(raw)
    return row


def v2_row(reading: Reading, *, time_us: int) -> dict[str, Any]:
    """
    Return the row of ``OneLoginEventsV2_CL``; a column without a value is None.

    Args:
        time_us: The event's time, microseconds since 1970, UTC.
    """
    row: dict[str, Any] = {"TimeGenerated": iso_time(time_us)}
    for column, field in V2.items():
        row[column] = reading.values.get(field)
    return row


def iso_time(time_us: int) -> str:
    """
    Write microseconds since 1970 as ISO 8601 in UTC, always with six digits of fraction.
    """
    seconds, micros = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def timestamp_text(values: Mapping[str, Any], time_us: int) -> str:
    """
    Return the webhook's ``event_timestamp``; for a record of the API its time written in the same form.
    """
    sent = values.get("event_timestamp")
    if sent:
        return str(sent)
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S UTC}"


def embedded(raw: bytes) -> Raw:
    """
    Return a record's bytes to be written as they are into other JSON; bytes that are no UTF-8 are replaced.
    """
    text = raw.decode("utf-8", "replace")
    try:
        return _any.decode(text)
    except (ValueError, RecursionError):
        return Raw(encode(text))
