"""
The users of OneLogin on their way to a destination beside the events.

The store keeps each user once, as last listed. Here those of which the destination was told nothing yet, or something
else, are sent, in order of their ids, a call at a time; what was accepted is noted before the next call, so that a
failure or a restart goes on where it was. Sent twice is at most the call whose answer was lost. Every user is
sent again after 30 days, so that a workspace which forgets does not forget who somebody is. A user
who was deleted is not sent again; the destination keeps what it was told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from time import time
from typing import Any, Protocol

from msgspec.json import encode

from onelogin_connector.errors import ConfigError, Unauthorized
from onelogin_connector.failures import Failures
from onelogin_connector.formats.onelogin_users import USERS, User
from onelogin_connector.service.alarms import Alarms
from onelogin_connector.status import Status

_log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How often it is looked whether users were listed anew."""
PAUSE_SECONDS = 300.0
"""After a refused credential or setting, which only a person can mend; as events wait."""
RENEW_SECONDS = 30 * 86_400.0
"""Log Analytics keeps rows for 30 to 90 days by default."""
PAGE_USERS = 2_000


class Destination(Protocol):
    """
    What takes users: a sink.
    """

    async def send_users(self, users: Sequence[User], *, at_us: int) -> int:
        """Take as many of the first users as fit; returns how many. Raises ``ConnectorError`` if it took none."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...


class Inventory(Protocol):
    """
    What keeps users: the store.
    """

    def users(self, connector: str, *, after: int, limit: int) -> list[User]:
        """Return users in order of their ids, from after one on."""
        ...

    def users_mark(self, connector: str) -> Any:
        """Return something that changes when users were listed anew; None before the first list."""
        ...


class Memory(Protocol):
    """
    What remembers what was sent: the state.
    """

    def told(self, first: int, last: int) -> Mapping[int, Any]:
        """Return id → what was last sent (``digest``, ``at``) of a range of users."""
        ...

    def tell(self, digests: Mapping[int, bytes], at: float) -> None:
        """Keep what was sent."""
        ...


class UsersStream:
    """
    Brings the users of some connectors to one destination.
    """

    def __init__(
        self,
        sink: str,
        destination: Destination,
        inventory: Inventory,
        memories: Callable[[], Mapping[str, Memory]],
        *,
        alarms: Alarms | None = None,
        clock: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """
        Send nothing yet.

        Args:
            sink: Its name, for log and alarms.
            destination: Belongs to this stream, which closes it.
            memories: Gives connector → what of its users was sent, for the connectors of that moment.
            alarms: Where a person is told what only a person can mend.
            clock: Unix seconds.
        """
        self.status = Status(clock)
        """``counts`` holds ``users`` since the start."""
        self._sink, self._destination, self._inventory = sink, destination, inventory
        self._memories, self._clock, self._sleep = memories, clock, sleep
        self._done: dict[str, Any] = {}
        """Connector → mark of the list that was sent to its end."""
        self._failures = Failures(
            self.status,
            _log,
            pause_seconds=PAUSE_SECONDS,
            shown="Users are not sent",
            logged=f"The sink {sink} cannot be sent users",
            fields={"action": "users_stream_failed", "sink": sink},
        )
        self._alarms, self._alarm = alarms or Alarms(clock), f"users of {sink}"

    async def run(self) -> None:
        """
        Send what has changed until cancelled; no failure ends it.
        """
        try:
            while True:
                await self._sleep(await self.step())
        finally:
            await self._destination.close()

    async def step(self) -> float:
        """
        Send what has changed; returns how many seconds nothing more is due.
        """
        try:
            for connector, memory in self._memories().items():
                await self._send_changed(connector, memory)
        except Exception as error:  # noqa: BLE001 - the top of a loop that must never stop the rest
            if isinstance(error, Unauthorized | ConfigError):
                message = f"The sink {self._sink} is not sent users: {error.message}"
                self._alarms.raise_(self._alarm, message, error.action)
            return self._failures.failed(error)
        self._alarms.clear(self._alarm)
        self._failures.succeeded()
        return LOOK_SECONDS

    async def _send_changed(self, connector: str, memory: Memory) -> None:
        mark = await asyncio.to_thread(self._inventory.users_mark, connector)
        if mark is None or mark == self._done.get(connector):
            return
        after = -1
        while True:
            page = await asyncio.to_thread(self._inventory.users, connector, after=after, limit=PAGE_USERS)
            if not page:
                break
            users = {user.id: user for user in page if user.id is not None}
            await self._send_page(users, memory)
            after = max(users)
        self._done[connector] = mark

    async def _send_page(self, users: Mapping[int, User], memory: Memory) -> None:
        """
        Send those of some users that the destination was not told of as they are.
        """
        told = await asyncio.to_thread(memory.told, min(users), max(users))
        due = self._clock() - RENEW_SECONDS
        digests = {id: digest_of(user) for id, user in users.items()}
        changed = [
            id
            for id, digest in digests.items()
            if id not in told or told[id].digest != digest or told[id].at <= due
        ]
        while changed:
            at = self._clock()
            count = await self._destination.send_users([users[id] for id in changed], at_us=round(at * 1e6))
            await asyncio.to_thread(memory.tell, {id: digests[id] for id in changed[:count]}, at)
            self.status.counts["users"] += count
            changed = changed[count:]


def digest_of(user: User) -> bytes:
    """
    Return a digest of what a destination is told of a user.
    """
    return blake2b(encode([getattr(user, name) for name in USERS.values()]), digest_size=16).digest()
