"""
What goes wrong, or goes on by itself, on each day of the simulated company.

Each function gives one day's happenings of one kind; days are numbered since 1970 in UTC.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from onelogin_connector.simulator.happening import Happening
from onelogin_connector.simulator.staff import Person, Staff

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
ATTACKERS = ("203.0.113.7", "203.0.113.8", "198.51.100.201", "198.51.100.202")
ATTACKERS_AGENT = "python-requests/2.31.0"


def incidents(staff: Staff, seed: int, day: int) -> Iterator[Happening]:
    """
    Give everything of a day that is no ordinary visit, in no order.
    """
    for what in (
        _password_spray,
        _mistaken_role,
        _directory_sync,
        _provisioning,
        _api_changes,
        _resets,
        _privileges,
    ):
        yield from what(staff, Random(f"{what.__name__}/{seed}/{day}"), day * DAY_US)


def about(staff: Staff, event_type: int, person: Person | None, **more: Any) -> dict[str, Any]:
    """
    Return the fields of an event upon a person, done by that person unless said otherwise.
    """
    fields: dict[str, Any] = {
        "account_id": staff.account_id, "event_type_id": event_type, "actor_system": "", "notes": None
    }  # fmt: skip
    if person:
        fields |= {"user_id": person.id, "user_name": person.name}
        fields |= {"actor_user_id": person.id, "actor_user_name": person.name}
    return fields | more


def by_system(system: str) -> dict[str, Any]:
    """
    Return the fields of an event that no person did.
    """
    return {"actor_system": system, "actor_user_id": None, "actor_user_name": system}


def by_admin(staff: Staff) -> dict[str, Any]:
    """
    Return the fields of what the administrator does at the office.
    """
    admin = staff.admin
    return {
        "actor_user_id": admin.id, "actor_user_name": admin.name, "ipaddr": "192.0.2.10", "user_agent": admin.agent
    }  # fmt: skip


def _password_spray(staff: Staff, chance: Random, day_us: int) -> Iterator[Happening]:
    """
    Try two passwords on everybody from a few addresses, slowly; the second fits once.
    """
    at = day_us + 2 * HOUR_US + chance.randrange(HOUR_US)
    outside = {"user_agent": ATTACKERS_AGENT}
    for _ in range(2):
        for person in chance.sample(staff.people, len(staff.people)):
            at += chance.randrange(2, 20) * SECOND_US + chance.randrange(SECOND_US)
            yield Happening(
                at,
                about(
                    staff,
                    6,
                    person,
                    notes="(invalid password)",
                    ipaddr=chance.choice(ATTACKERS),
                    error_description="Authentication Failed",
                    **outside,
                ),
            )
    victim = staff.victim
    outside["ipaddr"] = ATTACKERS[0]
    risk = {
        "risk_score": 88,
        "risk_reasons": "Access from a new address (41%)\nUnusual time (27%)\nUnknown device (20%)",
        "risk_cookie_id": f"{chance.getrandbits(256):064x}",
    }
    notes = "Authentication method: Login App.\nTransitions: username -> password\nCorrelation_id: " + uuid(
        chance
    )
    yield Happening(at + 9 * SECOND_US, about(staff, 5, victim, notes=notes, **outside, **risk))
    for place, app in enumerate(chance.sample(staff.apps, 3)):
        yield Happening(
            at + (40 + 55 * place) * SECOND_US + chance.randrange(SECOND_US),
            about(staff, 8, victim, app_id=app.id, app_name=app.name, **outside),
        )
    yield Happening(
        at + 240 * SECOND_US,
        about(staff, 22, victim, otp_device_id=1_169_999, otp_device_name="OneLogin Protect", **outside),
    )


def _mistaken_role(staff: Staff, chance: Random, day_us: int) -> Iterator[Happening]:
    """
    Give a powerful role to everybody instead of to one person, and take it back minutes later.
    """
    role = staff.roles[-1]
    start = day_us + 9 * HOUR_US + chance.randrange(HOUR_US)
    for event_type, begin in ((147, start), (148, start + chance.randrange(300, 1_500) * SECOND_US)):
        at = begin
        for person in staff.people:
            at += chance.randrange(150_000, 700_000)
            fields = about(staff, event_type, person, role_id=role.id, role_name=role.name)
            yield Happening(at, fields | by_admin(staff))


def _privileges(staff: Staff, chance: Random, day_us: int) -> Iterator[Happening]:
    """
    Lend a privilege for some hours.
    """
    start = day_us + 11 * HOUR_US + chance.randrange(2 * HOUR_US)
    privilege = {"privilege_id": 340_117, "privilege_name": "Super user"}
    person = chance.choice(staff.people)
    for event_type, at in ((72, start), (73, start + chance.randrange(HOUR_US, 4 * HOUR_US))):
        yield Happening(at, about(staff, event_type, person, **privilege) | by_admin(staff))


def _directory_sync(staff: Staff, chance: Random, day_us: int) -> Iterator[Happening]:
    """
    Import from the directory thrice a day: jobs write the same event many times within one second.
    """
    for hour in (1, 9, 17):
        at = day_us + hour * HOUR_US + 5 * 60 * SECOND_US
        run = {
            "directory_id": 7_301, "directory_name": "Corporate directory", "directory_sync_run_id": at // HOUR_US,
            **by_system("Directory"),
        }  # fmt: skip
        yield Happening(at, about(staff, 113, None, **run))
        for burst in range(1, 4):
            for _ in range(chance.randrange(10, 25)):
                within = chance.randrange(SECOND_US)
                yield Happening(at + burst * 2 * SECOND_US + within, about(staff, 33, None, **run))
        for person in chance.sample(staff.people, min(6, len(staff.people))):
            moment = at + 10 * SECOND_US + chance.randrange(5 * SECOND_US)
            yield Happening(moment, about(staff, 81, person, **run))
        yield Happening(at + 18 * SECOND_US, about(staff, 114, None, **run))


def _provisioning(staff: Staff, chance: Random, day_us: int) -> Iterator[Happening]:
    """
    Keep applications in step all day, sometimes in vain.
    """
    for _ in range(120):
        app, person = chance.choice(staff.apps), chance.choice(staff.people)
        failed = chance.random() < 0.08
        more = {"error_description": "The application answered 503"} if failed else {}
        fields = about(
            staff,
            25 if failed else 26,
            person,
            app_id=app.id,
            app_name=app.name,
            **by_system("Provisioning"),
            **more,
        )
        at = day_us + chance.randrange(DAY_US)
        for _ in range(chance.choice([1, 1, 1, 2])):  # a job that runs twice writes the same twice
            yield Happening(at - at % SECOND_US + chance.randrange(SECOND_US), fields)


def _api_changes(staff: Staff, chance: Random, day_us: int) -> Iterator[Happening]:
    """
    Let other programs read and change accounts through the API.
    """
    api = {**by_system("API"), "client_id": staff.api_client, "ipaddr": "192.0.2.40"}
    for event_type, often in ((515, 24), (501, 60), (14, 14), (533, 2), (531, 1)):
        for _ in range(often):
            person = chance.choice(staff.people) if event_type in {14, 533, 531} else None
            yield Happening(day_us + chance.randrange(DAY_US), about(staff, event_type, person, **api))


def _resets(staff: Staff, chance: Random, day_us: int) -> Iterator[Happening]:
    """
    Let people who forgot their password set a new one, or be let in again by the administrator.
    """
    for _ in range(7):
        person = chance.choice(staff.people)
        own = {"ipaddr": person.home, "user_agent": person.agent}
        at = day_us + chance.randrange(6, 19) * HOUR_US + chance.randrange(HOUR_US)
        yield Happening(at, about(staff, 10, person, **own))
        yield Happening(at + chance.randrange(40, 400) * SECOND_US, about(staff, 11, person, **own))
    for _ in range(3):
        person = chance.choice(staff.people)
        own = {"ipaddr": person.home, "user_agent": person.agent}
        at = day_us + chance.randrange(7, 18) * HOUR_US + chance.randrange(HOUR_US)
        for attempt in range(4):
            fields = about(staff, 6, person, notes="(invalid password)", **own)
            yield Happening(at + attempt * chance.randrange(6, 11) * SECOND_US, fields)
        yield Happening(at + 45 * SECOND_US, about(staff, 19, person, **own))
        unlocked = about(staff, 12, person) | by_admin(staff)
        yield Happening(at + chance.randrange(200, 1_500) * SECOND_US, unlocked)


def uuid(chance: Random) -> str:
    """
    Return a random uuid, repeatable as everything here.
    """
    text = f"{chance.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:]}"
