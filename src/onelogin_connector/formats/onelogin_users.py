"""
A OneLogin user as a row of Microsoft's table ``OneLoginUsersV2_CL``.

OneLogin has two forms of a user, those of ``/api/1/users`` and ``/api/2/users``; they name the same things
alike, each leaves out some, and any may be null, "" or absent. Reading never fails: what is not there or
cannot be read is empty. Column list: Azure-Sentinel (MIT), ``Solutions/OneLoginIAM``.
"""

from typing import Any

from msgspec import Struct

from onelogin_connector.formats.fields import as_text, members
from onelogin_connector.formats.onelogin_cl import iso_time
from onelogin_connector.loose import parse_time_us, whole

USERS_TABLE = "OneLoginUsersV2_CL"
LARGEST_NUMBER = 2**63 - 1
LONGEST_TEXT = 1_000
"""In characters; the texts are repeated in every event of the user, and OneLogin's own are far shorter."""

USERS = {
    "UserAttributesUsername": "username",
    "UserAttributesFirstname": "firstname",
    "UserAttributesEmail": "email",
    "UserAttributesLastname": "lastname",
    "UserAttributesDepartment": "department",
    "UserAttributesOpenidName": "openid_name",
    "UserAttributesTitle": "title",
    "UserAttributesId": "id",
}
"""The 8 columns of ``OneLoginUsersV2_CL`` beside TimeGenerated → the field each holds."""


class User(Struct, frozen=True):
    """
    What is kept of a user; a text that is not known is "".
    """

    id: int | None = None
    """None where the record has none that can be read: nothing can be joined to it."""
    username: str = ""
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    department: str = ""
    openid_name: str = ""
    title: str = ""
    status: int | None = None
    """0 unactivated, 1 active, 2 suspended, 3 locked, 4 password expired, 5 awaiting reset, 7 password pending, 8 questions required."""
    updated_us: int | None = None
    """Last change in OneLogin, microseconds since 1970, UTC."""


TEXTS = tuple(name for name in USERS.values() if name != "id")


def read_user(raw: bytes) -> User:
    """
    Read a user of either form.
    """
    fields = members(raw)
    return User(
        id=_number(fields.get("id")),
        **{name: _text(fields.get(name)) for name in TEXTS},
        status=_number(fields.get("status")),
        updated_us=parse_time_us(fields.get("updated_at")),
    )


def users_row(user: User, *, at_us: int) -> dict[str, Any]:
    """
    Return the row of ``OneLoginUsersV2_CL``; a column without a value is None.

    Args:
        at_us: When the user was listed, microseconds since 1970, UTC.
    """
    row: dict[str, Any] = {"TimeGenerated": iso_time(at_us)}
    for column, name in USERS.items():
        value = getattr(user, name)
        row[column] = None if value == "" else value
    return row


def _text(value: Any) -> str:
    return (as_text(value) or "")[:LONGEST_TEXT]


def _number(value: Any) -> int | None:
    number = whole(value)
    return number if type(number) is int and 0 <= number <= LARGEST_NUMBER else None
