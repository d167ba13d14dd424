"""
The people of a company as the Users API lists them; now and then somebody is promoted.
"""

from datetime import UTC, datetime
from typing import Any

from onelogin_connector.simulator.incidents import DAY_US, HOUR_US
from onelogin_connector.simulator.staff import Person, Staff

PROMOTED_EVERY_US = 60 * DAY_US
TITLES = ("Junior", "Associate", "Specialist", "Senior", "Lead", "Principal")
FOUNDED_US = 1_577_836_800_000_000  # the start of 2020
USUAL_FIELDS = (
    "id", "username", "email", "firstname", "lastname", "status", "state", "group_id", "directory_id",
    "distinguished_name", "external_id", "samaccountname", "member_of", "phone", "invalid_login_attempts",
    "locked_until", "invitation_sent_at", "activated_at", "password_changed_at", "created_at", "updated_at",
    "last_login",
)  # fmt: skip
"""What a user has in a list that asks for no fields by name."""


def users(staff: Staff, now_us: int) -> list[dict[str, Any]]:
    """
    Return everybody, with all fields, as they are at a moment; by id.
    """
    return [_user(staff, place, person, now_us) for place, person in enumerate(staff.people)]


def changed_us(place: int, now_us: int) -> int:
    """
    Return when somebody was last promoted; people take turns.
    """
    phase = place * 7_919 * HOUR_US % PROMOTED_EVERY_US
    return (now_us - phase) // PROMOTED_EVERY_US * PROMOTED_EVERY_US + phase


def iso(moment_us: int) -> str:
    """
    Write a moment as OneLogin does.
    """
    moment = datetime.fromtimestamp(moment_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment_us // 1_000 % 1_000:03d}Z"


def _user(staff: Staff, place: int, person: Person, now_us: int) -> dict[str, Any]:
    first, _, last = person.name.partition(" ")
    joined_us = FOUNDED_US + place * DAY_US
    updated_us = changed_us(place, now_us)
    title = f"{TITLES[updated_us // PROMOTED_EVERY_US % len(TITLES)]}, {person.department}"
    fields: dict[str, Any] = dict.fromkeys(USUAL_FIELDS)
    return fields | {
        "id": person.id, "username": person.login, "email": person.login, "firstname": first, "lastname": last,
        "status": 1, "state": 1, "invalid_login_attempts": 0, "phone": "", "activated_at": iso(joined_us),
        "created_at": iso(joined_us), "password_changed_at": iso(joined_us), "updated_at": iso(updated_us),
        "last_login": iso(now_us // DAY_US * DAY_US + 8 * HOUR_US - DAY_US), "company": "Example",
        "department": person.department, "title": title, "openid_name": person.login.partition("@")[0],
        "role_ids": [role.id for role in staff.roles if role.name in {"Everyone", person.department}],
        "custom_attributes": {"cost_center": str(100 + place % 7)}, "manager_user_id": staff.admin.id,
    }  # fmt: skip
