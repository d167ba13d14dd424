"""
Journal and store have to speak of the same log.

The store keeps its own position: the journal's epoch and an offset. Two things may have happened to one of them
while the program was down.

The store knows offsets that the journal never gave out: the journal was lost, or an older one was restored. Its
next offsets would be taken for known ones and their events passed over, and repeats of events that only the store
holds would be taken for new.

The store lacks records that the journal's log holds no longer: the store was lost, or an older one was put back.
They cannot be delivered any more, and bringing them again would be in vain while the journal takes them for known.

A new epoch mends both: offsets count anew, and no hour's keys are trusted until the store has brought them back. What
the store lacks is then new again, what it has is a duplicate.
"""

import asyncio
import logging
from typing import NamedTuple

from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.plural import counted
from onelogin_connector.service.alarms import Alarms
from onelogin_connector.store import Store

logger = logging.getLogger(__name__)


class Rift(NamedTuple):
    """
    How journal and store disagree.
    """

    what: str
    action: str
    held_up_to: int
    """Offset up to which nothing of the log is to be delivered to the store."""


async def agree(journal: LmdbJournal, store: Store, alarms: Alarms) -> bool:
    """
    Begin a new epoch if need be; returns whether that was done.
    """
    position = await asyncio.to_thread(store.position, journal.epoch)
    rows = (await asyncio.to_thread(store.stats))["rows"]
    rift = _rift(position, rows, journal)
    if rift is None:
        return False
    await journal.renew()
    if rift.held_up_to:
        await asyncio.to_thread(store.pass_over, journal.epoch, rift.held_up_to)
    alarms.raise_("epoch", rift.what, rift.action)
    logger.error(
        "%s A new epoch begins", rift.what, extra={"action": "epoch_renewed", "store_position": position}
    )
    return True


def _rift(position: int | None, rows: int, journal: LmdbJournal) -> Rift | None:
    last = journal.last_offset
    if position is None and not last and rows:
        return Rift(
            f"The journal is empty, but the store holds {counted(rows, 'event')}: it was lost or removed.",
            COMPARE,
            0,
        )
    reached = position or 0
    if reached > last:
        what = f"The journal lacks the last {counted(reached - last, 'record')} that the store has: an older one was restored."
        return Rift(what, COMPARE, last)
    pruned = (journal.stats()["first_offset"] or last + 1) - 1
    if reached < pruned:
        what = (
            f"The store lacks {counted(pruned - reached, 'record')} that the journal's log holds no longer: it was lost, or an "
            "older one was put back."
        )
        return Rift(what, BRING_BACK, pruned)
    return None


COMPARE = "Nothing is doubled in the store. Other destinations may lack events: compare, and import what is missing."
BRING_BACK = "Restore a newer backup, or import these events again; what the store has is recognised."
