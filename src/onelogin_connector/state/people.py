"""
Who may come in: users, one-time links, sessions, API tokens, webhook tokens.

Only hashes are kept. What a random token of 256 bits hashes to needs no slow hash; a password does.
"""

from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from secrets import token_urlsafe
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Struct, convert

from onelogin_connector.errors import ConfigError
from onelogin_connector.state.database import Database

Role = Literal["admin", "operator", "viewer"]

ADMIN = "admin"
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1_000  # characters; hashing must not be a way to keep the machine busy
TOUCH_SECONDS = 60.0  # the last use of a token is kept to the minute, so that reading does not mean writing


class User(Struct, frozen=True):
    """
    A person who may sign in.
    """

    name: str
    role: Role
    created_at: float


class Session(Struct, frozen=True):
    """
    A person who has signed in.
    """

    user: str
    role: Role
    created_at: float
    expires_at: float
    peer: str


class ApiToken(Struct, frozen=True):
    """
    A token of the API, without itself.
    """

    id: int
    name: str
    role: Role
    created_by: str
    created_at: float
    expires_at: float | None
    used_at: float | None


def hashed(token: str) -> bytes:
    """
    Return what is kept of a token: its SHA-256.
    """
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


class People:
    """
    Users and what they hold.
    """

    def __init__(self, database: Database, clock: Callable[[], float], hasher: PasswordHasher) -> None:
        self._database, self._clock, self._hasher = database, clock, hasher
        """Compared with where there is no such user, so that the answer takes as long."""

    def add_user(self, name: str, role: Role, password: str) -> None:
        """
        Add a user.

        Raises:
            ConfigError: The name is taken or unfit, or the password is too short.
        """
        name = name.strip().lower()
        if not (name and name.isprintable() and len(name) <= 100):
            raise ConfigError("A user's name has 1 to 100 printable characters.")
        if not self._database.change(
            "add_user", name=name, role=role, password_hash=self._hash(password), now=self._clock()
        ):
            raise ConfigError(f"There is a user {name} already.")

    def ensure_admin(self, password: str | None = None) -> str | None:
        """
        See to it that there is an administrator.

        Args:
            password: The configured one, which is set whenever it differs; None makes one at the first start.

        Returns:
            The password that was made, to be shown once; None when there was no need.
        """
        if not self._database.rows("count_admins")[0]["count"]:
            chosen = password or token_urlsafe(18)
            self.add_user(ADMIN, "admin", chosen)
            return None if password else chosen
        if password and self._database.row("user", name=ADMIN) and self.verify(ADMIN, password) is None:
            self.set_password(ADMIN, password)
        return None

    def users(self) -> list[User]:
        """
        Return all users by name.
        """
        return convert(self._database.rows("users"), list[User])

    def remove_user(self, name: str) -> bool:
        """
        Remove a user, except the last administrator; returns whether one was removed.
        """
        return bool(self._database.change("remove_user", name=name.strip().lower()))

    def set_password(self, name: str, password: str) -> None:
        """
        Replace a password; sessions and links made under the old one end.

        Raises:
            ConfigError: There is no such user, or the password is too short.
        """
        name, digest = name.strip().lower(), self._hash(password)
        with self._database.transaction():
            if not self._database.change("set_password", name=name, password_hash=digest):
                known = ", ".join(user.name for user in self.users())
                raise ConfigError(f"There is no user {name}.", action=f"The users are: {known}.")
            self._database.change("end_sessions", user=name)
            self._database.change("end_links", user=name)

    def verify(self, name: str, password: str) -> User | None:
        """
        Return the user whose name and password these are. Takes as long for a name that does not exist.
        """
        found = self._database.row("user", name=name.strip().lower())
        digest = found["password_hash"] if found else self._nobody
        try:
            self._hasher.verify(digest, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        if found is None:
            return None
        if self._hasher.check_needs_rehash(digest):
            self._database.change("set_password", name=found["name"], password_hash=self._hash(password))
        return User(found["name"], found["role"], found["created_at"])

    @cached_property
    def _nobody(self) -> str:
        """
        A hash to verify against when there is no such user, made when it is first needed: it takes a moment.
        """
        return self._hasher.hash(token_urlsafe())

    def _hash(self, password: str) -> str:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise ConfigError(
                f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.",
                action="Choose another.",
            )
        return self._hasher.hash(password)

    def make_link(self, user: str = ADMIN, *, seconds: float = 3_600) -> str:
        """
        Return the secret part of a link that signs a user in once.
        """
        token, now = token_urlsafe(32), self._clock()
        self._database.change("forget_expired_links", now=now)
        self._database.change("add_link", hash=hashed(token), user=user, expires_at=now + seconds)
        return token

    def use_link(self, token: str) -> str | None:
        """
        Return whose link this is, and void it.
        """
        found = self._database.row("use_link", hash=hashed(token))
        return found["user"] if found and found["expires_at"] > self._clock() else None

    def begin_session(self, user: str, *, hours: float, peer: str = "") -> str:
        """
        Sign a user in; returns what the cookie holds.
        """
        token, now = token_urlsafe(32), self._clock()
        self._database.change("forget_expired_sessions", now=now)
        self._database.change(
            "add_session", hash=hashed(token), user=user, now=now, expires_at=now + hours * 3_600, peer=peer
        )
        return token

    def session(self, token: str) -> Session | None:
        """
        Return the session of a cookie, if it has not ended.
        """
        found = self._database.row("session", hash=hashed(token), now=self._clock())
        return convert(found, Session) if found else None

    def end_session(self, token: str) -> None:
        """
        Sign out.
        """
        self._database.change("end_session", hash=hashed(token))

    def add_api_token(self, name: str, role: Role, *, created_by: str, seconds: float | None = None) -> str:
        """
        Return a new API token; it is shown once and kept as a hash.
        """
        token, now = f"olc_{token_urlsafe(32)}", self._clock()
        self._database.rows(
            "add_api_token",
            hash=hashed(token),
            name=name,
            role=role,
            created_by=created_by,
            now=now,
            expires_at=None if seconds is None else now + seconds,
        )
        return token

    def api_token(self, token: str) -> ApiToken | None:
        """
        Return what is known of an API token, if it is valid, and note its use.
        """
        now = self._clock()
        found = self._database.row("api_token", hash=hashed(token), now=now)
        if found is None:
            return None
        if found["used_at"] is None or now - found["used_at"] >= TOUCH_SECONDS:
            self._database.change("touch_api_token", id=found["id"], now=now)
        return convert(found, ApiToken)

    def api_tokens(self) -> list[ApiToken]:
        """
        Return all API tokens, newest first.
        """
        return convert(self._database.rows("api_tokens"), list[ApiToken])

    def revoke_api_token(self, id: int) -> bool:
        """
        End an API token; returns whether there was one.
        """
        return bool(self._database.change("revoke_api_token", id=id))

    def webhook_hashes(self, connector: str) -> list[bytes]:
        """
        Return the SHA-256 of each token that a connector's webhook accepts now: at most two, newest first.
        """
        rows = self._database.rows("webhook_tokens", connector=connector, now=self._clock())
        return [row["hash"] for row in rows[:2]]

    def ensure_webhook_token(self, connector: str) -> str | None:
        """
        See to it that a connector has a webhook token; returns it if it was made now, to be shown once.
        """
        with self._database.transaction():
            if self.webhook_hashes(connector):
                return None
            return self.rotate_webhook_token(connector)

    def rotate_webhook_token(self, connector: str, *, keep_seconds: float = 86_400) -> str:
        """
        Return a new webhook token. The one before stays valid for a while, older ones end at once.
        """
        token, now = token_urlsafe(32), self._clock()
        with self._database.transaction():
            rows = self._database.rows("webhook_tokens", connector=connector, now=now)
            for place, row in enumerate(rows):
                ends = now + keep_seconds if place == 0 else now
                self._database.change("expire_webhook_token", hash=row["hash"], expires_at=ends)
            self._database.change("forget_webhook_tokens", connector=connector, now=now)
            self._database.change("add_webhook_token", hash=hashed(token), connector=connector, now=now)
        return token
