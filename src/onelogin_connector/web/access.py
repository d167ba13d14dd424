"""
Who may do what: sign-in, sessions, API tokens, roles.

A request is a person's (a session cookie), a program's (``Authorization: Bearer``), or comes over the control
socket, which only the user of the data folder can open. Sessions and tokens are kept as hashes; whoever reads
the state cannot use them.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from secrets import compare_digest, token_bytes

from starlette.requests import Request

from onelogin_connector.errors import ConfigError
from onelogin_connector.state import ApiToken, State
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.attempts import Attempts, neighbourhood

logger = logging.getLogger(__name__)

COOKIE = "onelogin_connector_session"
FORM_COOKIE = "onelogin_connector_form"

LINK_SECONDS = 3_600.0
"""How long the sign-in link that is printed at the start works, once."""

LONGEST_NAME = 100  # characters

FAILURES_OF_ADDRESS = 5
FAILURES_OF_USER = 50
"""From many addresses; the sign-in link stays a way in for whoever can start the program."""


class Role(StrEnum):
    """
    What a caller may do; each includes the one before.
    """

    VIEWER = "viewer"
    """Look at states, events and dead letters."""
    OPERATOR = "operator"
    """Also import, check, replay and discard."""
    ADMIN = "admin"
    """Also make credentials and backups."""

    def includes(self, other: "Role") -> bool:
        """
        Tell whether this role may do what another may.
        """
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Whose request it is.
    """

    name: str
    role: Role
    by_session: bool = False
    """A browser sends its cookie also when another site makes it; such requests need more care."""


LOCAL = Caller("local", Role.ADMIN)
"""Who can open the control socket: the user of the data folder, and root."""


def caller_of(request: Request) -> Caller:
    """
    Return the caller that the gate has found.
    """
    caller: Caller = request.state.caller
    return caller


class Access:
    """
    Sign-in and the credentials behind it.
    """

    def __init__(self, state: State, *, session_seconds: float, clock: Callable[[], float]) -> None:
        """
        Stand on the state.

        Args:
            session_seconds: How long a sign-in lasts.
        """
        self._state = state
        self._people = state.people
        self.session_seconds = session_seconds
        self._clock = clock
        self._form_key = token_bytes(32)
        self._of_address = Attempts(allowed=FAILURES_OF_ADDRESS, clock=clock)
        self._of_user = Attempts(allowed=FAILURES_OF_USER, clock=clock)
        # each verification takes 64 MiB and a core for a moment: one at a time, whoever asks
        self._verifying = asyncio.Lock()

    def of_session(self, cookie: str) -> Caller | None:
        """
        Return whose session a cookie opens.
        """
        found = self._people.session(cookie) if cookie else None
        return Caller(found.user, Role(found.role), by_session=True) if found else None

    def of_token(self, token: str) -> Caller | None:
        """
        Return whose API token this is.
        """
        found = self._people.api_token(token) if token else None
        return Caller(f"token:{found.name}", Role(found.role)) if found else None

    async def sign_in(self, user: str, password: str, address: str) -> str:
        """
        Open a session; returns the cookie's value.

        Raises:
            HttpError: Wrong user or password, or too many attempts.
        """
        near = neighbourhood(address)
        wait = max(self._of_address.locked_seconds(near), self._of_user.locked_seconds(user))
        if wait > 0:
            raise HttpError(
                "too-many-requests",
                f"Too many failed sign-ins. The next attempt is possible in {wait:.0f} seconds.",
                action="Wait, or set a new password with `onelogin-connector password`.",
                headers={"retry-after": str(round(wait) + 1)},
            )
        async with self._verifying:
            found = await asyncio.to_thread(self._people.verify, user, password)
        if found is None:
            self._of_address.failed(near)
            self._of_user.failed(user)
            logger.warning("A sign-in failed", extra={"action": "sign_in_failed", "address": address})
            raise HttpError("not-signed-in", "User or password is wrong.", action="Try again.")
        self._of_address.succeeded(near)
        self._of_user.succeeded(user)
        return await self._open(found.name, near)

    def link_token(self) -> str:
        """
        Make the secret of a one-time sign-in link.
        """
        admin = next(user.name for user in self._people.users() if Role(user.role) is Role.ADMIN)
        return self._people.make_link(admin, seconds=LINK_SECONDS)

    async def redeem(self, token: str, address: str) -> str | None:
        """
        Open a session by a one-time link; None when it was used or is too old.
        """
        user = await asyncio.to_thread(self._people.use_link, token)
        return await self._open(user, address) if user else None

    async def _open(self, user: str, address: str) -> str:
        hours = self.session_seconds / 3_600
        cookie = await asyncio.to_thread(self._people.begin_session, user, hours=hours, peer=address)
        self.note(user, "signed_in", address)
        return cookie

    def sign_out(self, cookie: str) -> None:
        """
        End a session.
        """
        self._people.end_session(cookie)

    def form_token(self, seed: str) -> str:
        """
        Return what a form sends back to show that it is ours.

        Args:
            seed: The value of the cookie that came with the form.
        """
        return hmac.new(self._form_key, seed.encode(errors="replace"), sha256).hexdigest()

    def is_own_form(self, seed: str, token: str) -> bool:
        """
        Tell whether a form that came back is ours.
        """
        return bool(seed) and compare_digest(self.form_token(seed).encode(), token.encode(errors="replace"))

    async def set_password(self, user: str, password: str) -> None:
        """
        Set a password; the user's sessions end.

        Raises:
            ConfigError: There is no such user, or the password is too short or too long.
        """
        await asyncio.to_thread(self._people.set_password, user, password)

    def tokens(self) -> list[ApiToken]:
        """
        Return the API tokens, without their values.
        """
        return self._people.api_tokens()

    def new_token(self, name: str, role: Role, *, by: str) -> str:
        """
        Make an API token.

        Args:
            by: Who makes it.

        Raises:
            ConfigError: The name cannot be used.
        """
        if not (name.strip() and name.isprintable() and len(name) <= LONGEST_NAME):
            raise ConfigError(
                f"A token's name has 1 to {LONGEST_NAME} printable characters.",
                action="Name it after its use.",
            )
        return self._people.add_api_token(name, role.value, created_by=by)

    def revoke_token(self, id: int) -> bool:
        """
        End an API token; returns whether there was one.
        """
        return self._people.revoke_api_token(id)

    def note(self, who: str, action: str, target: str = "", **detail: object) -> None:
        """
        Write into the audit log who did what.

        Args:
            detail: Anything else worth keeping, and nothing secret.
        """
        words = action.replace("_", " ")
        logger.info("%s: %s %s", who, words, target, extra={"action": action, "who": who})
        self._state.note(who, action, target, **detail)
