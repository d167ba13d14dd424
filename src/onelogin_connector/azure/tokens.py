"""
Bearer tokens for Azure Monitor.

A token is kept until shortly before it ends. One that was refused in spite of that is dropped with ``void``, and the
next ``get`` brings a really new one, past any cache below. A refused credential is not tried again for some
seconds: Entra locks out whoever tries too often.
"""

import asyncio
from collections.abc import Callable
from time import time
from typing import Protocol

from msgspec import Struct

from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized
from onelogin_connector.hiding import Hidden
from onelogin_connector.setting import Secret

SPARE_SECONDS = 120.0  # so that a token does not end while a post with it is on its way
REFUSED_SECONDS = 10.0


class Tokens(Protocol):
    """
    What hands out tokens.
    """

    async def get(self) -> str:
        """
        Return a token that should be valid.

        Raises:
            Unauthorized: The credential is not accepted.
            ConfigError: The credential cannot be one.
            Unavailable: None can be had now.
        """
        ...

    def void(self) -> None:
        """Drop the token at hand, because it was refused."""
        ...

    async def close(self) -> None:
        """Release what ``get`` took."""
        ...


class Granted(Struct, frozen=True):
    """
    A token, and when it ends.
    """

    token: Secret
    ends: float
    """Unix seconds, by our clock."""


class Issuer(Protocol):
    """
    Where new tokens come from.
    """

    async def grant(self, *, anew: bool) -> Granted:
        """
        Return a token; raises as ``Tokens.get`` does.

        Args:
            anew: The last one was refused, so no cache may answer.
        """
        ...

    async def close(self) -> None:
        """Release what ``grant`` took."""
        ...


class StaticToken:
    """
    One token that somebody else renews: for tests and simulators.
    """

    def __init__(self, token: Secret) -> None:
        self._token = token

    async def get(self) -> str:
        """
        Return it.
        """
        return self._token.reveal()

    def void(self) -> None:
        """
        Keep it; there is no other.
        """

    async def close(self) -> None:
        """
        Release nothing.
        """


class KeptTokens:
    """
    Tokens of an issuer, each kept as long as it can be used.
    """

    def __init__(
        self, issuer: Issuer, hidden: Hidden | None = None, *, clock: Callable[[], float] = time
    ) -> None:
        """
        Ask nothing yet.

        Args:
            hidden: Learns each token, so that no message shows it.
            clock: Unix seconds.
        """
        self._issuer, self._hidden, self._clock = issuer, hidden, clock
        self._held: Granted | None = None
        self._until = 0.0
        self._anew = False
        self._refused: tuple[float, ConnectorError] | None = None
        self._turn = asyncio.Lock()

    async def get(self) -> str:
        """
        Return the token at hand, or a new one where it has ended.

        Raises:
            Unauthorized, ConfigError, Unavailable: See ``Tokens``.
        """
        async with self._turn:
            held = self._held
            if held is None or self._clock() >= self._until:
                held = await self._renewed()
            return held.token.reveal()

    def void(self) -> None:
        """
        Drop the token at hand; the next one is new.
        """
        self._held, self._anew = None, True

    async def close(self) -> None:
        """
        Close the issuer.
        """
        self._held = None
        await self._issuer.close()

    async def _renewed(self) -> Granted:
        self._held = None
        if self._refused is not None and 0 <= self._clock() - self._refused[0] < REFUSED_SECONDS:
            error = self._refused[1]
            raise type(error)(error.message, action=error.action)
        self._refused = None
        try:
            granted = await self._issuer.grant(anew=self._anew)
        except (Unauthorized, ConfigError) as error:
            self._refused = (self._clock(), error)
            raise
        if self._hidden is not None:
            self._hidden.add(granted.token.reveal())
        now = self._clock()
        # one that lives for a minute is used for half of it, and not fetched anew for every post
        self._until = granted.ends - min(SPARE_SECONDS, max(0.0, granted.ends - now) / 2)
        self._held, self._anew = granted, False
        return granted
