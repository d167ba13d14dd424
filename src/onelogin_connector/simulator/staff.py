"""
The people, applications and roles of a company that does not exist.

Names are invented, mail addresses lie in example.com, and addresses in the ranges kept for documentation.
"""

from random import Random

from msgspec import Struct

_FIRST = (
    "Ada", "Bela", "Cleo", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaia", "Liam", "Mira",
    "Nils", "Oona", "Pavel", "Quinn", "Rosa", "Sami", "Tove", "Uma", "Viktor", "Wanda", "Xenia", "Yara", "Zeno",
    "Amara", "Bruno", "Chidi", "Dalia", "Emil", "Freya", "Goran", "Hana", "Ivo", "Juno", "Kenji", "Lena",
    "Malik", "Noor",
)  # fmt: skip
_LAST = (
    "Abbing", "Berger", "Castellan", "Dahlin", "Eskola", "Farrow", "Grimaldi", "Holt", "Ibarra", "Jansson",
    "Kowal", "Lindqvist", "Marchetti", "Nakano", "Okafor", "Petrov", "Quist", "Romero", "Sandoval", "Tanaka",
    "Ulrich", "Vance", "Wexler", "Yilmaz", "Zeller", "Armitage", "Brandt", "Costa", "Duval", "Ekström",
    "Fontaine",
)  # fmt: skip
_DEPARTMENTS = ("Engineering", "Sales", "Support", "Finance", "People", "Operations")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)
_APPS = (
    "Mail", "Chat", "Wiki", "Tickets", "Code Forge", "Payroll", "Expenses", "Travel Desk", "CRM", "Data Warehouse",
    "Cloud Console", "Learning", "Design Board", "Contracts",
)  # fmt: skip
_ROLES = (
    "Everyone",
    "Engineering",
    "Sales",
    "Support",
    "Finance",
    "People",
    "Operations",
    "Finance – full access",
)
OFFICES = ("192.0.2.10", "192.0.2.11", "2001:db8:10::5")
"""Addresses from which most people reach the world while at work."""


class Person(Struct, frozen=True):
    """
    Somebody with an account.
    """

    id: int
    name: str
    login: str
    department: str
    offset_hours: int
    """Of their clock against UTC."""
    home: str
    """Their address when not in an office."""
    agent: str
    otp_device_id: int | None
    """None for the few without a second factor."""
    weight: float
    """How much they are about, against others."""


class Named(Struct, frozen=True):
    """
    An application or a role.
    """

    id: int
    name: str


class Staff(Struct, frozen=True):
    """
    Everybody and everything there is in one company.
    """

    account_id: int
    people: tuple[Person, ...]
    apps: tuple[Named, ...]
    roles: tuple[Named, ...]
    admin: Person
    victim: Person
    """Whose password is guessed."""
    api_client: str
    """Client id of the API credential with which other programs change accounts."""


def staff(seed: int, people: int) -> Staff:
    """
    Invent a company; the same for the same seed.
    """
    chance = Random(f"staff/{seed}")
    everybody = tuple(_person(chance, place) for place in range(people))
    busiest = everybody[: max(2, people // 10)]
    return Staff(
        account_id=chance.randrange(100_000, 500_000),
        people=everybody,
        apps=tuple(Named(1_200_000 + 37 * place, name) for place, name in enumerate(_APPS)),
        roles=tuple(Named(480_000 + 11 * place, name) for place, name in enumerate(_ROLES)),
        admin=busiest[1],
        victim=everybody[chance.randrange(len(busiest), people) if people > len(busiest) else 0],
        api_client=f"{chance.getrandbits(256):064x}",
    )


def _person(chance: Random, place: int) -> Person:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    outside = f"{chance.choice(['198.51.100', '203.0.113'])}.{chance.randrange(20, 250)}"
    return Person(
        id=50_400_000 + 113 * place,
        name=f"{first} {last}",
        login=f"{first}.{last}{place}@example.com".lower(),
        department=chance.choice(_DEPARTMENTS),
        offset_hours=chance.choices([1, -5, 9], [7, 2, 1])[0],
        home=f"2001:db8:{place:x}::{chance.randrange(1, 999):x}" if chance.random() < 0.15 else outside,
        agent=chance.choices(_AGENTS, [5, 4, 1, 2])[0],
        otp_device_id=1_160_000 + place if chance.random() < 0.85 else None,
        weight=1 / (place + 1) ** 0.8,
    )
