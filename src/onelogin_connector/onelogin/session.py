"""
Calls with a token: get one, use it, and renew it once where it is refused.
"""

from collections.abc import Callable, Mapping

from onelogin_connector.onelogin import replies
from onelogin_connector.onelogin.token import Token
from onelogin_connector.onelogin.wire import Reply, Wire
from onelogin_connector.setting import Secret


class Session:
    """
    One credential on one wire.
    """

    def __init__(
        self, wire: Wire, client_id: Secret, client_secret: Secret, *, clock: Callable[[], float]
    ) -> None:
        self.wire = wire
        self.token = Token(wire, client_id, client_secret, clock=clock)
        self._clock = clock

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Reply:
        """
        Fetch something.

        Returns:
            A success; what it holds is still to be read.

        Raises:
            Unavailable: Not now; a refused pace holds up every other call of the account too.
            Unauthorized: The credential is not accepted, or may not read this.
            ConfigError: There is no account at this address, or the request is refused for good.
        """
        token = await self.token.get()
        reply = await self._ask(path, query, token)
        if replies.status_of(reply) == 401:  # it may have ended, or been revoked, a moment ago
            token = await self.token.get(instead_of=token)
            reply = await self._ask(path, query, token)
        replies.refuse(reply, self.wire, now=self._clock(), at_token=False, proven=self.token.proven)
        return reply

    async def _ask(self, path: str, query: Mapping[str, str] | None, token: Secret) -> Reply:
        return await self.wire.ask("GET", path, query, headers={"authorization": f"Bearer {token.reveal()}"})
