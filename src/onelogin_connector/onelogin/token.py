"""
The access token of one credential.

Only the v2 endpoint is asked: it gives the same token until that ends, whereas each call of the v1 endpoint ends
the tokens that other programs hold. So a token's life is counted from its own ``created_at``, in the server's time.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from re import fullmatch
from typing import Any

from msgspec import Struct
from msgspec.json import decode

from onelogin_connector.errors import ConfigError, Unauthorized
from onelogin_connector.loose import parse_time_us
from onelogin_connector.onelogin import replies
from onelogin_connector.onelogin.causes import trouble
from onelogin_connector.onelogin.pages import whole_number
from onelogin_connector.onelogin.wire import Reply, Wire
from onelogin_connector.setting import Secret

PATH = "/auth/oauth2/v2/token"
SPARE_SECONDS = 5.0  # a token that ends while the call is on its way is refused
SHORTEST_HOLD_SECONDS = 1.0  # the same token comes until it ends, so asking more often brings nothing
UNKNOWN_HOLD_SECONDS = 600.0  # where the answer does not say how long; a 401 ends it sooner
LONGEST_HOLD_SECONDS = 86_400.0
REFUSED_SECONDS = 10.0
"""So long a refused credential is not tried again: the edge shuts out whoever tries too often."""


class _Granted(Struct):
    access_token: str
    created_at: Any = None
    expires_in: Any = None
    account_id: Any = None
    refresh_token: Any = None


class Token:
    """
    Gets a token, keeps it as long as it lives, and gets another when it was refused.
    """

    def __init__(
        self, wire: Wire, client_id: Secret, client_secret: Secret, *, clock: Callable[[], float]
    ) -> None:
        """
        Ask nothing yet.

        Args:
            clock: Unix seconds.
        """
        self.account_id: int | None = None
        """As the last answer said."""
        self.skew_seconds: float | None = None
        """By how much our clock is ahead of the server's; None while it has not told its time."""
        self.ends: float = 0.0
        """Unix seconds, by our clock, until which the token is used."""
        self.proven = False
        """Whether this host has ever given a token."""
        self._wire = wire
        self._id, self._secret = client_id, client_secret
        self._clock = clock
        self._token: Secret | None = None
        self._turn = asyncio.Lock()
        self._refused: tuple[float, Unauthorized | ConfigError] | None = None

    def __repr__(self) -> str:
        return f"Token(account_id={self.account_id})"

    async def get(self, *, instead_of: Secret | None = None) -> Secret:
        """
        Return a valid token.

        Args:
            instead_of: One that was just refused.

        Raises:
            Unavailable: None can be had now.
            Unauthorized: The credential is not accepted.
            ConfigError: There is no account at this address, or the credential cannot be one.
        """
        async with self._turn:
            held = self._token
            if held is not None and held is not instead_of and self._clock() < self.ends:
                return held
            self._token = None
            return await self._fetch()

    def check_form(self) -> None:
        """
        Look whether id and secret can be a credential at all.

        Raises:
            ConfigError: They cannot.
        """
        for value in (self._id, self._secret):
            if not fullmatch(r"[!-~]{1,1024}", value.reveal()):
                raise trouble("incomplete")

    async def _fetch(self) -> Secret:
        self.check_form()
        if self._refused and 0 <= self._clock() - self._refused[0] < REFUSED_SECONDS:
            error = self._refused[1]
            again = type(error)(error.message, action=error.action)
            again.code = error.code
            raise again
        self._refused = None
        basic = b64encode(f"{self._id.reveal()}:{self._secret.reveal()}".encode()).decode()
        self._wire.hidden.add(basic)
        reply = await self._wire.ask(
            "POST",
            PATH,
            headers={"authorization": f"Basic {basic}", "content-type": "application/json"},
            content=b'{"grant_type":"client_credentials"}',
        )
        now = self._clock()
        try:
            replies.refuse(reply, self._wire, now=now, at_token=True, proven=self.proven)
        except (Unauthorized, ConfigError) as error:
            self._refused = (now, error)
            raise
        self._token = self._read(reply, now)
        self.proven = True
        return self._token

    def _read(self, reply: Reply, now: float) -> Secret:
        try:
            granted = decode(reply.body, type=_Granted)
        except replies.UNREADABLE:
            granted = None
        if granted is None or not fullmatch(r"[!-~]{1,8192}", granted.access_token):
            raise replies.unreadable(reply, self._wire.hidden, "it holds no token")
        for secret in (granted.access_token, granted.refresh_token):
            if isinstance(secret, str):
                self._wire.hidden.add(secret)
        self.account_id = whole_number(granted.account_id)
        self.ends = now + self._hold_seconds(granted, reply.date_us, now)
        return Secret(granted.access_token)

    def _hold_seconds(self, granted: _Granted, date_us: int | None, now: float) -> float:
        """
        Return how long a token can be used: what is left of its life, counted in the server's time.
        """
        self.skew_seconds = None if date_us is None else now - date_us / 1_000_000
        life = whole_number(granted.expires_in)
        if life is None:
            return UNKNOWN_HOLD_SECONDS
        created_us = parse_time_us(granted.created_at)
        age = 0.0
        if created_us is not None:
            server = now if date_us is None else date_us / 1_000_000
            age = server - created_us / 1_000_000
        left = min(life - max(age, 0.0), LONGEST_HOLD_SECONDS) - SPARE_SECONDS
        if left <= 0 and date_us is None:  # our clock may be wrong; a 401 will tell
            return UNKNOWN_HOLD_SECONDS
        return max(left, SHORTEST_HOLD_SECONDS)
