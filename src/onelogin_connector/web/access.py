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
from onelogin_connector.plural import counted
from onelogin_connector.state import Account, ApiToken, Deed, State
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

    def __init__(
        self, state: State, *, session_seconds: float, clock: Callable[[], float], sso_label: str = ""
    ) -> None:
        """
        Stand on the state.

        Args:
            session_seconds: How long a sign-in lasts.
            sso_label: What the button of single sign-on says; empty where there is none.
        """
        self._state = state
        self._people = state.people
        self.sso_label = sso_label
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
        self._require_unlocked(max(self._of_address.locked_seconds(near), self._of_user.locked_seconds(user)))
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

    def _require_unlocked(self, wait: float) -> None:
        if wait > 0:
            raise HttpError(
                "too-many-requests",
                f"Too many failed sign-ins. The next attempt is possible in {counted(round(wait), 'second')}.",
                action="Wait, or set a new password with `onelogin-connector password`.",
                headers={"retry-after": str(round(wait) + 1)},
            )

    def require_not_locked(self, address: str) -> None:
        """
        Refuse an address from which too many sign-ins failed, whichever way they were tried.

        Raises:
            HttpError: It has to wait.
        """
        self._require_unlocked(self._of_address.locked_seconds(neighbourhood(address)))

    def refuse_vouched(self, address: str, why: str, *, counts: bool) -> None:
        """
        Note that a single sign-on failed.

        Args:
            counts: Whether it may have been an attack, of which an address has but a few.
        """
        if counts:
            self._of_address.failed(neighbourhood(address))
        logger.warning(
            "A single sign-on failed: %s", why, extra={"action": "sign_in_failed", "address": address}
        )

    async def vouched(self, issuer: str, subject: str, name: str, role: Role, address: str) -> str:
        """
        Open a session for somebody whom an identity provider vouches for; returns the cookie's value.

        Raises:
            ConfigError: The name belongs to another account, or cannot be used.
        """
        user = await asyncio.to_thread(self._state.accounts.vouched, issuer, subject, name, role.value)
        near = neighbourhood(address)
        self._of_address.succeeded(near)
        return await self._open(user.name, near)

    def link_token(self) -> str:
        """
        Make the secret of a one-time sign-in link.
        """
        admin = next(
            each.name
            for each in self._state.accounts.all()
            if Role(each.role) is Role.ADMIN and each.has_password
        )
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
        found = next((each for each in self.accounts() if each.name == user.strip().lower()), None)
        if found is not None and not found.has_password:
            raise ConfigError(
                f"{found.name} signs in at the identity provider, and has no password here.",
                action="Change it there.",
            )
        await asyncio.to_thread(self._people.set_password, user, password)

    def tokens(self) -> list[ApiToken]:
        """
        Return the API tokens, without their values.
        """
        return self._people.api_tokens()

    def new_token(self, name: str, role: Role, *, by: str, days: float | None = None) -> str:
        """
        Make an API token.

        Args:
            by: Who makes it.
            days: After how many it ends; None never.

        Raises:
            ConfigError: The name cannot be used.
        """
        if not (name.strip() and name.isprintable() and len(name) <= LONGEST_NAME):
            raise ConfigError(
                f"A token's name has 1 to {LONGEST_NAME} printable characters.",
                action="Name it after its use.",
            )
        seconds = None if days is None else days * 86_400
        return self._people.add_api_token(name, role.value, created_by=by, seconds=seconds)

    def revoke_token(self, id: int) -> bool:
        """
        End an API token; returns whether there was one.
        """
        return self._people.revoke_api_token(id)

    def accounts(self) -> list[Account]:
        """
        Return all accounts, by name.
        """
        return self._state.accounts.all()

    def account(self, name: str) -> Account:
        """
        Return one account.

        Raises:
            HttpError: There is none of this name.
        """
        found = next((each for each in self.accounts() if each.name == name), None)
        if found is None:
            raise HttpError("not-found", f"There is no account {name[:LONGEST_NAME]}.")
        return found

    async def add_account(self, name: str, role: Role, password: str) -> None:
        """
        Make a local account.

        Raises:
            ConfigError: The name is taken or unfit, or the password too short or too long.
        """
        async with self._verifying:
            await asyncio.to_thread(self._people.add_user, name, role.value, password)

    async def set_role(self, name: str, role: Role) -> None:
        """
        Change what somebody may do; it counts from the next request on.

        Raises:
            HttpError: The account's role comes from the identity provider.
            ConfigError: There is no such account, or it is the last administrator with a password.
        """
        if self.account(name).issuer:
            raise HttpError(
                "conflict",
                f"What {name} may do is decided by the identity provider at each sign-in.",
                action="Change the person's groups there.",
            )
        await asyncio.to_thread(self._state.accounts.set_role, name, role.value)

    async def remove_account(self, name: str) -> None:
        """
        Remove an account with its sessions.

        Raises:
            ConfigError: There is no such account, or it is the last administrator with a password.
        """
        await asyncio.to_thread(self._state.accounts.remove, name)

    async def end_sessions(self, name: str) -> int:
        """
        Sign somebody out everywhere; returns how many sessions ended.

        Raises:
            ConfigError: There is no such account.
        """
        return await asyncio.to_thread(self._state.accounts.end_sessions, name)

    async def change_password(self, name: str, old: str, new: str, address: str) -> None:
        """
        Let somebody replace the own password; all of the account's sessions end.

        Raises:
            HttpError: The old one is wrong, or was wrong too often.
            ConfigError: The new one is too short or too long.
        """
        near = neighbourhood(address)
        self._require_unlocked(max(self._of_address.locked_seconds(near), self._of_user.locked_seconds(name)))
        async with self._verifying:
            found = await asyncio.to_thread(self._people.verify, name, old)
        if found is None:
            self._of_address.failed(near)
            self._of_user.failed(name)
            raise HttpError("invalid-input", "The present password is wrong.", action="Try again.")
        await self.set_password(name, new)

    def deeds(self, *, actor: str, action: str, text: str, before: int | None, limit: int) -> list[Deed]:
        """
        Return lines of the audit log, newest first; see ``State.deeds``.
        """
        more = {} if before is None else {"before": before}
        return self._state.deeds(actor=actor, action=action, text=text, limit=limit, **more)

    def note(self, who: str, action: str, target: str = "", **detail: object) -> None:
        """
        Write into the audit log who did what.

        Args:
            detail: Anything else worth keeping, and nothing secret.
        """
        words = action.replace("_", " ")
        logger.info("%s: %s %s", who, words, target, extra={"action": action, "who": who})
        self._state.note(who, action, target, **detail)
