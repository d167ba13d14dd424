"""
Journal and store have to speak of the same log.

The store keeps its own position: the journal's epoch and an offset. If it knows offsets that the journal
never gave out, the journal was lost or an older one was restored. Its next offsets would be taken for known
ones and their events passed over, and repeats of events that only the store holds would be taken for new. A
new epoch mends both: offsets count anew, and no hour's keys are trusted until the store has brought them back.
"""

import asyncio
import logging

from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.service.alarms import Alarms
from onelogin_connector.store import Store

logger = logging.getLogger(__name__)


async def agree(journal: LmdbJournal, store: Store, alarms: Alarms) -> bool:
    """
    Begin a new epoch if need be; returns whether that was done.
    """
    position = await asyncio.to_thread(store.position, journal.epoch)
    if position is not None and position <= journal.last_offset:
        return False
    if position is None:
        rows = (await asyncio.to_thread(store.stats))["rows"]
        if journal.last_offset or not rows:
            return False  # a new store, or both are new
        what = f"The journal is empty, but the store holds {rows} events: it was lost or removed."
    else:
        behind = position - journal.last_offset
        what = f"The journal lacks the last {behind} records that the store has: an older one was restored."
    await journal.renew()
    if journal.last_offset:  # up to its end, the store has everything already
        await asyncio.to_thread(store.pass_over, journal.epoch, journal.last_offset)
    alarms.raise_(
        "epoch",
        what,
        "Nothing is doubled in the store. Other destinations may lack events: compare, and import what is missing.",
    )
    logger.error("%s A new epoch begins", what, extra={"action": "epoch_renewed", "store_position": position})
    return True
