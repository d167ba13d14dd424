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
from secrets import compare_digest, token_bytes, token_urlsafe

from starlette.requests import Request

from onelogin_connector.errors import ConfigError
from onelogin_connector.state import State
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.attempts import Attempts, neighbourhood

logger = logging.getLogger(__name__)

COOKIE = "onelogin_connector_session"
FORM_COOKIE = "onelogin_connector_form"

LINK_SECONDS = 3_600.0
"""How long the sign-in link that is printed at the start works, once."""

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1_024  # hashing more would only cost time

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


LOCAL = Caller("control socket", Role.ADMIN)


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
        self._session_seconds = session_seconds
        self._clock = clock
        self._form_key = token_bytes(32)
        self._links: dict[bytes, float] = {}
        self._of_address = Attempts(allowed=FAILURES_OF_ADDRESS, clock=clock)
        self._of_user = Attempts(allowed=FAILURES_OF_USER, clock=clock)
        # each verification takes 64 MiB and a core for a moment: one at a time, whoever asks
        self._verifying = asyncio.Lock()

    def of_session(self, cookie: str) -> Caller | None:
        """
        Return whose session a cookie opens.
        """
        found = self._state.session(cookie) if cookie else None
        return Caller(found.name, Role(found.role), by_session=True) if found else None

    def of_token(self, token: str) -> Caller | None:
        """
        Return whose API token this is.
        """
        found = self._state.api_token(token) if token else None
        return Caller(found.name, Role(found.role)) if found else None

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
            right = len(password) <= LONGEST_PASSWORD and await asyncio.to_thread(
                self._state.verify_password, user, password
            )
        if not right:
            self._of_address.failed(near)
            self._of_user.failed(user)
            logger.warning("A sign-in failed", extra={"action": "sign_in_failed", "address": address})
            raise HttpError("not-signed-in", "User or password is wrong.", action="Try again.")
        self._of_address.succeeded(near)
        self._of_user.succeeded(user)
        return await self._open(user)

    def link_token(self) -> str:
        """
        Make the secret of a one-time sign-in link.
        """
        token = token_urlsafe(24)
        self._links[sha256(token.encode()).digest()] = self._clock() + LINK_SECONDS
        return token

    async def redeem(self, token: str) -> str | None:
        """
        Open a session by a one-time link; None when it was used or is too old.
        """
        until = self._links.pop(sha256(token.encode(errors="replace")).digest(), 0.0)
        return await self._open("admin") if until > self._clock() else None

    async def _open(self, user: str) -> str:
        cookie = await asyncio.to_thread(self._state.open_session, user, self._session_seconds)
        self.note(Caller(user, Role.ADMIN), "signed_in", "")
        return cookie

    def sign_out(self, cookie: str) -> None:
        """
        End a session.
        """
        self._state.close_session(cookie)

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
            ConfigError: It is too short or too long.
        """
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise ConfigError(
                f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.",
                action="Choose another one; a few random words are easy to remember.",
            )
        await asyncio.to_thread(self._state.set_password, user, password)

    def tokens(self) -> list[dict[str, object]]:
        """
        Return names, roles and times of the API tokens.
        """
        return self._state.api_tokens()

    def new_token(self, name: str, role: Role) -> str:
        """
        Make an API token.

        Raises:
            ConfigError: The name is taken.
        """
        return self._state.make_api_token(name, str(role))

    def revoke_token(self, name: str) -> bool:
        """
        End an API token; returns whether there was one.
        """
        return self._state.revoke_api_token(name)

    def note(self, caller: Caller, action: str, what: str) -> None:
        """
        Write into the audit log who did what.
        """
        logger.info("%s: %s %s", caller.name, action, what, extra={"action": action, "who": caller.name})
        self._state.note(caller.name, action, what)
