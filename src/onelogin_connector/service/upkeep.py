"""
What has to be done from time to time: prune journal and store, watch the disk.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from onelogin_connector.errors import ConnectorError
from onelogin_connector.plural import counted

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

ROUND_SECONDS = 60.0
ROUNDS_BETWEEN_STORE_PRUNING = 60  # an hour: the store deletes by time, and days is what users set

DISK_ALARMS = (0.8, 0.5)
"""Shares of the usable disk taken by the journal at which a person is told, highest first."""


class Upkeep:
    """
    The housekeeping loop of a service.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._rounds = 0

    async def run(self) -> None:
        """
        Do a round each minute, for ever.
        """
        while True:
            await self.round()
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """
        Do what is due. One chore that fails does not keep the others from being done.
        """
        chores = [self._watch_disk, self._prune_journal, self._check_readers]
        if self._rounds % ROUNDS_BETWEEN_STORE_PRUNING == 0:
            chores.append(self._prune_store)
        self._rounds += 1
        for chore in chores:
            try:
                await chore()
            except ConnectorError as error:
                logger.warning(
                    "Housekeeping could not be done: %s",
                    error,
                    extra={"action": "upkeep_failed", "chore": chore.__name__.strip("_")},
                )

    async def _prune_journal(self) -> None:
        service = self._service
        async with service.sinks.turn:
            up_to = service.least_checkpoint()
            removed = await service.journal.prune(up_to)
        keys = await service.journal.prune_keys(up_to)
        if removed or keys:
            logger.debug(
                "Pruned %s and %s",
                counted(removed, "record"),
                counted(keys, "key"),
                extra={"action": "journal_pruned"},
            )

    async def _check_readers(self) -> None:
        self._service.journal.check_readers()

    async def _prune_store(self) -> None:
        store = self._service.store
        if store is None:
            return
        removed = await asyncio.to_thread(store.prune, self._service.clock())
        if removed:
            logger.info(
                "Removed %s past retention", counted(removed, "event"), extra={"action": "store_pruned"}
            )

    async def _watch_disk(self) -> None:
        service = self._service
        service.reasons_not_ready()  # raises and clears the alarm of its own
        found = service.journal.stats()
        used, free = found["bytes"], found["free_bytes"]
        share = used / max(1, used + free - found["reserve_bytes"])
        reached = next((level for level in DISK_ALARMS if share >= level), None)
        if reached is None:
            service.alarms.clear("disk")
            return
        slowest = min(service.deliveries.items(), key=lambda each: each[1].checkpoint.offset, default=None)
        held_by = f" It waits for the sink {slowest[0]}." if slowest else ""
        new = service.alarms.raise_(
            "disk",
            f"The journal takes {share:.0%} of the disk space that there is for it.{held_by}",
            "Repair or detach the sink that is behind, or make room: intake stops when the reserve is reached.",
        )
        if new:
            logger.error("The journal takes %.0f %% of its disk", share * 100, extra={"action": "disk_alarm"})
