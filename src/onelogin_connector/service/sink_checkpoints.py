"""
The beginning and the end of a sink made in the console: its part in the state, its checkpoint in the journal.

These are two files, and a kill may come between any two writes. What holds then:

- A sink that the state has, has the checkpoint that it set out with or has come to. A new one never takes up where
  one of its name ended, nor is it owed what that one was.
- A checkpoint without a sink is noted in the state (``ownerless_checkpoints``) before it comes to be: in the same
  transaction as the end of its sink, or ahead of a new one. The next start removes it before anything reads it,
  or does not know it, where the disk cannot be written.
- The journal is pruned by the checkpoints of the sinks that there are, never by an ownerless one.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onelogin_connector.config import Settings
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.journal.base import Checkpoint
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.state import State

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)


async def set_out(service: "Service", wanted: WantedSink) -> None:
    """
    Put the checkpoint of a new sink where it is to begin, and forget what one of that name has left.

    It has no owner until the sink is kept, which is to follow.

    Raises:
        Unavailable: State or journal cannot be written.
    """
    await asyncio.to_thread(service.state.sinks.forget, wanted.name)
    stats = service.journal.stats()
    # what was pruned before it was made is nothing that it is owed
    nothing_held = wanted.begin == "now" or not stats["entries"]
    begin = stats["last_offset"] if nothing_held else max(0, stats["first_offset"] - 1)
    await service.journal.advance(wanted.name, Checkpoint(offset=begin), at_once=True)


async def forget(service: "Service", sink: str) -> None:
    """
    Remove the checkpoint of a sink that the state no longer has; where that fails, the next start does it.
    """
    try:
        await service.journal.forget(sink)
        await asyncio.to_thread(service.state.sinks.settle_checkpoint, sink)
    except Unavailable as error:
        _leave(sink, error)


def settle(settings: Settings, state: State, journal: LmdbJournal, gone: Sequence[str]) -> None:
    """
    Note that the checkpoints which the journal was opened without are gone; what fails, the next start does.

    Raises:
        ConfigError: It fails, and a sink of the settings file has the name: the next start would take what that one
            has come to for what an earlier one has left.
    """
    for sink in gone:
        try:
            if not journal.has_forgotten:
                raise Unavailable("The journal could not be written.", action="Check the disk.")
            state.sinks.settle_checkpoint(sink)
        except Unavailable as error:
            if sink in settings.sinks:
                raise ConfigError(
                    f"The sink {sink} cannot begin: what a deleted one of its name has left cannot be removed. {error}",
                    action="Make room on the disk of the data folder, and start again.",
                ) from error
            _leave(sink, error)


def _leave(sink: str, error: Unavailable) -> None:
    logger.warning(
        "The checkpoint of the deleted sink %s goes with the next start: %s",
        sink,
        error,
        extra={"action": "checkpoint_left", "sink": sink},
    )


def unsent(service: "Service", sink: str) -> int:
    """
    Return how many entries wait for a sink or are owed to it: what it never gets if it is removed.
    """
    delivery = service.deliveries.get(sink)
    owed = sum(up_to - after for after, up_to in service.journal.checkpoint(sink).owed)
    return owed + (delivery.lag().events if delivery else 0)
