"""
Queries of the local store: one at a time, on a thread that gives way, and not before what was acknowledged is there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import ConfigError, QueryError
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.service.niceness import stand_back
from onelogin_connector.store import Result, Store

SETTLE_SECONDS = 1.0
"""How long a query waits for events that were acknowledged before it and are still on their way."""

HISTORY = "OneLoginConnector"
"""How the tables begin that the program writes about itself."""

FEW_EVENTS = 20_000
"""With more than this on the way a query does not wait: it would be for nothing."""


class Queries:
    """
    Asks the store of one service.
    """

    def __init__(
        self,
        store: Store | None,
        journal: LmdbJournal,
        deliveries: Mapping[str, Delivery],
        *,
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        """
        Ask nothing yet.

        Args:
            deliveries: Of all sinks; that of the store says how far it has come.
            flush: Lets the store have what the program wrote about itself.
        """
        self._store, self._journal, self._deliveries, self._flush = store, journal, deliveries, flush
        self._turn = asyncio.Lock()
        # a thread of its own: waiting analysts must not take the threads that intake and delivery need
        self._analyst = ThreadPoolExecutor(1, "analyst", initializer=stand_back)

    async def run(self, kql: str, *, limit: int | None, timeout_seconds: float) -> Result:
        """
        Ask the store; what was acknowledged before is waited for a moment.

        Raises:
            QueryError: The query cannot be run.
            ConfigError: The store is turned off.
        """
        if self._store is None:
            raise no_store()
        store = self._store
        await self.settle(SETTLE_SECONDS)
        if HISTORY in kql:
            await self._flush()
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise QueryError(
                f"Other queries have been running for {timeout_seconds:g} seconds.",
                action="Try again when they are done.",
            ) from error
        left = max(0.1, timeout_seconds - (time.monotonic() - began))
        ask = partial(store.query, kql, limit=limit, timeout_seconds=left)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._analyst, ask)
        finally:
            self._turn.release()

    async def settle(self, timeout_seconds: float) -> None:
        """
        Wait until the store holds what the journal holds now, for a while.
        """
        delivery = next((each for each in self._deliveries.values() if each.sink.kind == "store"), None)
        end = self._journal.last_offset
        if delivery is None or end - delivery.checkpoint.offset > FEW_EVENTS:
            return
        deadline = time.monotonic() + timeout_seconds
        # a delivery tells nobody how far it is, since nothing else needs to know at once
        while delivery.checkpoint.offset < end and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """
        Let the thread go.
        """
        self._analyst.shutdown(wait=False, cancel_futures=True)


def no_store() -> ConfigError:
    """
    Say that there is nothing to ask.
    """
    return ConfigError("The local store is turned off.", action="Set enabled = true under [sinks.store].")
