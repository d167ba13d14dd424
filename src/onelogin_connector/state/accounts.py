"""
Accounts as an administrator sees them, and those that an identity provider vouches for.

An identity is its issuer and subject, which never change; the name that people see is given once and never
moves to another account, so that nobody becomes somebody else by a new name at the provider.
"""

from collections.abc import Callable

from msgspec import Struct, convert

from onelogin_connector.errors import ConfigError
from onelogin_connector.state.database import Database
from onelogin_connector.state.people import ADMIN, Role, User

LONGEST_NAME = 100  # characters


class Account(Struct, frozen=True):
    """
    A user with the ways in and what is open.
    """

    name: str
    role: Role
    created_at: float
    has_password: bool
    issuer: str
    """The identity provider that vouches for it; empty for a local account."""
    sessions: int
    """How many are open."""
    signed_in_at: float | None
    """The latest sign-in that is still remembered."""


class Accounts:
    """
    The accounts of the state.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def all(self) -> list[Account]:
        """
        Return all accounts by name.
        """
        rows = self._database.rows("people", now=self._clock())
        return convert([row | {"has_password": bool(row["has_password"])} for row in rows], list[Account])

    def set_role(self, name: str, role: Role) -> None:
        """
        Change what somebody may do; it counts from the next request on.

        Raises:
            ConfigError: There is no such user, or it is the last administrator with a password.
        """
        self._require(name)
        if not self._database.change("set_role", name=name, role=role):
            raise _last_admin(name)

    def remove(self, name: str) -> None:
        """
        Remove an account with its sessions and links.

        Raises:
            ConfigError: There is no such user, or it is the last administrator with a password.
        """
        self._require(name)
        if not self._database.change("remove_user", name=name):
            raise _last_admin(name)

    def end_sessions(self, name: str) -> int:
        """
        Sign somebody out everywhere; returns how many sessions ended.

        Raises:
            ConfigError: There is no such user.
        """
        self._require(name)
        self._database.change("end_links", user=name)
        return self._database.change("end_sessions", user=name)

    def _require(self, name: str) -> None:
        if self._database.row("user", name=name) is None:
            raise ConfigError(f"There is no user {name}.", action="Look at the list of users again.")

    def vouched(self, issuer: str, subject: str, name: str, role: Role) -> User:
        """
        Return the account of an identity, made at its first sign-in; its role is what the provider says now.

        Raises:
            ConfigError: The name belongs to another account, or cannot be used.
        """
        with self._database.transaction():
            found = self._database.row("identity", issuer=issuer, subject=subject)
            if found is None:
                name = self._new(issuer, subject, name, role)
            else:
                name = found["name"]
                # an account with a password keeps its role where it is the last such administrator
                self._database.change("set_role", name=name, role=role)
                self._database.change("see_identity", issuer=issuer, subject=subject, now=self._clock())
            row = self._database.row("user", name=name)
            assert row is not None  # noqa: S101 - made or found a line above, in this transaction
            return User(row["name"], row["role"], row["created_at"])

    def _new(self, issuer: str, subject: str, name: str, role: Role) -> str:
        name = name.strip().lower()
        if not (name and name.isprintable() and len(name) <= LONGEST_NAME):
            raise ConfigError(
                "The identity provider gives this person no name that can be used.",
                action="Set name_claim under [oidc] to a claim that has one, such as email.",
            )
        made = name != ADMIN and self._database.change(
            "add_user", name=name, role=role, password_hash="", now=self._clock()
        )
        if not made:
            raise ConfigError(
                f"There is another account of the name {name} already.",
                action="Ask an administrator to remove it, if it is yours; the next sign-in makes it anew.",
            )
        self._database.change("add_identity", issuer=issuer, subject=subject, user=name, now=self._clock())
        return name


def _last_admin(name: str) -> ConfigError:
    return ConfigError(
        f"{name} is the last administrator with a password.",
        action="Make another one first: somebody has to be able to come in when the identity provider cannot.",
    )
