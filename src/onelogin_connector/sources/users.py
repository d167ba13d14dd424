"""
Keeping a connector's users up to date, so that events can say who someone is.

All users are listed once a day, and in between those that changed. The mark between two lists is the latest change
that OneLogin named, by its own clock, and each list begins a little before it. A list is paged by number, so a
change while it is read can push a user past; the whole list of the next day brings it. The mark moves only
when a list is complete; what was kept before a failure stays kept.

Users are an ornament of events. Whatever goes wrong here is shown in the status and tried again later, and
nothing else waits for it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from time import time
from typing import Any, Protocol

from onelogin_connector.failures import Failures
from onelogin_connector.formats.onelogin_users import read_user
from onelogin_connector.status import State, Status
from onelogin_connector.store import UsersMark

_log = logging.getLogger(__name__)

REFRESH_SECONDS = 900.0
"""A name or a department changes rarely, and a list of changes costs a call."""

WHOLE_SECONDS = 86_400.0
"""A call per 50 users a day."""

REACH_BACK_US = 300_000_000
"""A change may become visible a little after the time it bears."""

PAUSE_SECONDS = 900.0
"""After a refused credential or setting, which only a person can mend."""

KEPT_AT_ONCE = 1_000
"""A transaction for each page of 50 would keep intake waiting more often than need be."""


class Listing(Protocol):
    """
    What lists users: OneLogin's client.
    """

    def users(self, *, updated_since_us: int | None = None) -> AsyncIterator[list[bytes]]:
        """Give users page by page: those changed after a time, or all."""
        ...


class Inventory(Protocol):
    """
    What keeps users: the store. Each method may raise ``Unavailable``.
    """

    def set_users(self, records: Sequence[bytes], at: float, *, connector: str) -> int:
        """Keep users as listed at a time; returns how many could be read."""
        ...

    def spread_users(self) -> int:
        """Let events held before show what has changed."""
        ...

    def users_mark(self, connector: str) -> UsersMark | None:
        """Return how far a connector's users have been read."""
        ...

    def set_users_mark(self, connector: str, mark: UsersMark) -> None:
        """Remember how far a connector's users have been read."""
        ...


class UsersSource:
    """
    Keeps the users of one connector up to date.
    """

    def __init__(
        self,
        connector: str,
        client: Listing,
        inventory: Inventory,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
        clock: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """
        Take the account's API and the store.

        Args:
            refresh_seconds: How often those that changed are listed.
            whole_seconds: How often all are listed.
        """
        self.connector = connector
        self.status = Status(clock)
        """``counts`` holds ``lists``, ``users`` and ``unreadable`` since the start."""
        self.last_refresh: float | None = None
        """Unix seconds at which a list was last complete."""
        self._client, self._inventory = client, inventory
        self._refresh_seconds, self._whole_seconds = refresh_seconds, whole_seconds
        self._clock, self._sleep = clock, sleep
        self._failures = Failures(
            self.status,
            _log,
            pause_seconds=PAUSE_SECONDS,
            shown="Users are not up to date",
            logged=f"The users of {connector} cannot be listed",
            fields={"action": "users_failed", "connector": connector},
        )
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """
        List until stopped; no failure ends it.
        """
        while not self._stopping.is_set():
            await self._rest(await self.step())
        self.status.turn(State.STOPPED)

    async def stop(self) -> None:
        """
        End after the list at hand; whoever runs the loop may cancel it instead, at any moment.
        """
        self._stopping.set()

    async def step(self) -> float:
        """
        List once; returns how many seconds nothing more is due.
        """
        try:
            await self.refresh()
        except Exception as error:  # noqa: BLE001 - the top of a loop that must never stop the rest
            return self._failures.failed(error)
        self._failures.succeeded()
        return self._refresh_seconds

    async def refresh(self) -> int:
        """
        List the users that changed, or all where that is due; returns how many were kept.

        Raises:
            Unavailable, Unauthorized, ConfigError: The list is incomplete; the next begins where this one did.
        """
        mark = await asyncio.to_thread(self._inventory.users_mark, self.connector)
        began = self._clock()
        since_us, whole_at = self._due(mark, began)
        kept, named_us = await self._list(since_us)
        known_us = None if mark is None else mark.updated_us
        latest_us = max((us for us in (named_us, known_us) if us is not None), default=None)
        if latest_us is not None:
            # a date in the future must not hide what comes until then
            latest_us = min(latest_us, round(began * 1e6))
        await asyncio.to_thread(self._inventory.spread_users)
        await asyncio.to_thread(
            self._inventory.set_users_mark, self.connector, UsersMark(latest_us, whole_at)
        )
        self.last_refresh = self._clock()
        self.status.counts["lists"] += 1
        return kept

    def _due(self, mark: UsersMark | None, now: float) -> tuple[int | None, float]:
        """
        Return from when on to list (None for all), and when all will have been listed last.
        """
        # a clock that was set back must not put the next whole list off for years
        if mark is None or mark.updated_us is None or not 0 <= now - mark.whole_at < self._whole_seconds:
            return None, now
        return mark.updated_us - REACH_BACK_US, mark.whole_at

    async def _list(self, since_us: int | None) -> tuple[int, int | None]:
        """
        Keep all pages; returns how many users were kept, and the latest change named.
        """
        kept, latest_us = 0, None
        waiting: list[bytes] = []
        async for page in self._client.users(updated_since_us=since_us):
            waiting += page
            for record in page:
                updated_us = read_user(record).updated_us
                if updated_us is not None:
                    latest_us = max(updated_us, latest_us or 0)
            if len(waiting) >= KEPT_AT_ONCE:
                kept += await self._keep(waiting)
                waiting = []
        return kept + await self._keep(waiting), latest_us

    async def _keep(self, records: list[bytes]) -> int:
        if not records:
            return 0
        keep = self._inventory.set_users
        kept = await asyncio.to_thread(keep, records, self._clock(), connector=self.connector)
        self.status.counts["users"] += kept
        self.status.counts["unreadable"] += len(records) - kept
        return kept

    async def _rest(self, seconds: float) -> None:
        """
        Wait for a time, or until stopped.
        """
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sleeping, stopping):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
