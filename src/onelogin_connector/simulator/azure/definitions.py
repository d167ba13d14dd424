"""
Tables and rules as a customer would have made them for OneLogin.

``OneLogin_CL`` is the table of the first connector, by its public column list, with three columns that keep what
that list has no place for. ``OneLoginEventsV2_CL`` and ``OneLoginUsersV2_CL`` are those of Microsoft's second
connector. ``CODELESS`` are that connector's own streams: they declare OneLogin's field names and rename them, so who
sends column names through them loses everything in silence.
"""

from onelogin_connector.simulator.azure.rules import Stream

TIME = {"TimeGenerated": "datetime"}

_STRINGS = (
    "app_name", "role_name", "policy_name", "policy_type", "user_agent", "user_attributes_username",
    "user_attributes_department", "user_attributes_firstname", "user_attributes_email",
    "user_attributes_openid_name", "user_attributes_title", "user_attributes_lastname", "user_name", "actor_system",
    "custom_message", "ipaddr", "actor_user_name", "notes", "event_timestamp",
)  # fmt: skip
_REALS = (
    "app_id", "role_id", "policy_id", "user_id", "user_attributes_account_id", "account_id", "actor_user_id",
    "event_type_id",
)  # fmt: skip

LEGACY = (
    TIME
    | {f"{name}_s": "string" for name in _STRINGS}
    | {f"{name}_d": "real" for name in _REALS}
    | {"create__id_g": "string", "uuid_g": "string"}
)
"""TimeGenerated and the 29 columns that the official parsers read."""

OURS = {"event_id_s": "string", "event_time_t": "datetime", "Raw": "dynamic"}

_EVENTS = {
    "id": "EventId", "app_name": "AppName", "app_id": "AppId", "role_name": "RoleName", "role_id": "RoleId",
    "policy_name": "PolicyName", "policy_id": "PolicyId", "policy_type": "PolicyType", "user_id": "UserId",
    "user_name": "UserName", "actor_system": "ActorSystem", "custom_message": "CustomMessage",
    "account_id": "AccountId", "ipaddr": "Ipaddr", "actor_user_name": "ActorUserName",
    "actor_user_id": "ActorUserId", "notes": "Notes", "event_type_id": "EventTypeId",
}  # fmt: skip
_USERS = {
    "username": "UserAttributesUsername", "firstname": "UserAttributesFirstname", "email": "UserAttributesEmail",
    "lastname": "UserAttributesLastname", "department": "UserAttributesDepartment",
    "openid_name": "UserAttributesOpenidName", "title": "UserAttributesTitle", "id": "UserAttributesId",
}  # fmt: skip


def _typed(names: dict[str, str]) -> dict[str, str]:
    """
    Return fields with their types: ids are real, all else is text.
    """
    return {name: "real" if name == "id" or name.endswith("_id") else "string" for name in names}


def _columns(names: dict[str, str]) -> dict[str, str]:
    return TIME | {names[name]: kind for name, kind in _typed(names).items()}


STREAMS = (
    Stream("Custom-OneLogin_CL", LEGACY | OURS, "OneLogin_CL"),
    Stream("Custom-OneLoginEventsV2_CL", _columns(_EVENTS), "OneLoginEventsV2_CL"),
    Stream("Custom-OneLoginUsersV2_CL", _columns(_USERS), "OneLoginUsersV2_CL"),
)
"""Streams that declare the tables' own columns."""

CODELESS = (
    Stream("Custom-OneLoginEventsV2_CL", _typed(_EVENTS), "OneLoginEventsV2_CL", _EVENTS, stamps=True),
    Stream("Custom-OneLoginUsersV2_CL", _typed(_USERS), "OneLoginUsersV2_CL", _USERS, stamps=True),
)
"""The streams of Microsoft's codeless connector."""
