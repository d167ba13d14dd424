"""
Journal and store have to speak of the same log.

The store keeps its own position: the journal's epoch and an offset. If it knows offsets that the journal
never gave out, the journal was lost or an older one was restored. Its next offsets would be taken for known
ones and their events passed over, and repeats of events that only the store holds would be taken for new. A
new epoch mends both: offsets count anew, and no hour's keys are trusted until the store has brought them back.
"""

import asyncio
import logging

from onelogin_connector.event import Channel, Entry, Kind, Way
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
    if journal.last_offset:
        await asyncio.to_thread(_pass, store, journal)
    alarms.raise_(
        "epoch",
        what,
        "Nothing is doubled in the store. Other destinations may lack events: compare, and import what is missing.",
    )
    logger.error("%s A new epoch begins", what, extra={"action": "epoch_renewed", "store_position": position})
    return True


def _pass(store: Store, journal: LmdbJournal) -> None:
    """
    Set the store's position in the new epoch to the journal's end: up to there it has everything already.

    A position moves with records only, so this is one without effect: the twin of an event that never was.
    """
    end = journal.last_offset
    nothing = Entry(
        offset=end,
        kind=Kind.TWIN,
        key=bytes(16),
        of=bytes(16),
        connector="",
        account=None,
        channel=Channel.NONE,
        way=Way.IMPORT,
        native="",
        also=None,
        time_us=0,
        received_us=0,
        flags=0,
        raw=b"{}",
    )
    store.insert([nothing], journal.epoch)
