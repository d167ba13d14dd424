"""
Bring to one sink what the journal holds, until it has everything or cannot go on.

What the delivery loop of the server does within one process is done here within one call: why a sink has to wait, and for how
long, is kept in the journal, so that the next call knows.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from msgspec import structs

from onelogin_connector.batch import Batch, cut
from onelogin_connector.delivery.outlet import Outlet
from onelogin_connector.delivery.progress import Progress
from onelogin_connector.delivery.replay import Replayed, entry_of
from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.event import Offset
from onelogin_connector.journal.base import DeadLetter
from onelogin_connector.journal.blobs.head import Hold
from onelogin_connector.journal.blobs.journal import BlobJournal
from onelogin_connector.retry import backoff_seconds
from onelogin_connector.sinks.base import Sink

PAUSE_AFTER_REFUSALS = 100
CREDENTIAL_SECONDS = 300.0
"""After a refused credential or a wrong setting: somebody may mend it at any time."""
LONGEST_HOLD_SECONDS = 3_600.0
"""However long the destination asks to be left alone, and however far the clock was off when it did."""
LONGEST_ERROR = 500

_log = logging.getLogger(__name__)


class Sending:
    """
    The way from one journal to one sink.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        journal: BlobJournal,
        *,
        may_go_on: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """
        Send nothing yet.

        Args:
            name: The sink's; its checkpoint is kept under it.
            may_go_on: Raises ``Busy`` where the right to send may be lost.
            clock: Unix seconds.
        """
        self.name, self._sink, self._journal = name, sink, journal
        self._may_go_on, self._clock = may_go_on, clock
        self._outlet = Outlet(sink)
        self._progress = Progress(name, journal, pause_after_refusals=PAUSE_AFTER_REFUSALS)
        self._progress.refused_in_a_row = journal.hold(name).refused_in_a_row

    @property
    def offset(self) -> Offset:
        """
        Up to here the sink has everything.
        """
        return self._progress.offset

    @property
    def held(self) -> bool:
        """
        Whether the sink gets nothing at the moment.
        """
        hold, now = self._journal.hold(self.name), self._clock()
        return bool(hold.why) and (hold.until is None or now < hold.until <= now + LONGEST_HOLD_SECONDS)

    async def one_batch(self) -> bool:
        """
        Send what goes in one call; returns whether there was anything, and it went.

        Raises:
            ConnectorError: The journal or the lease fails; the sink's own troubles are kept as a hold.
        """
        if self.held:
            return False
        await self._progress.settle()
        limits = self._sink.limits
        records = await asyncio.to_thread(
            self._journal.read, self.offset, records=limits.records, size_bytes=limits.size_bytes
        )
        batch = cut(records, limits, wants_twins=self._sink.wants_twins)
        if batch is None:
            return False
        await asyncio.to_thread(self._may_go_on)
        try:
            sent, refused = await self._outlet.offer(batch)
        except Exception as error:  # noqa: BLE001 - as in the delivery loop: whatever a sink raises is a reason to wait
            await self._failed(error)
            return False
        outcome = self._progress.judge(sent, refused)
        await self._progress.conclude(outcome)
        await self._went(outcome.too_many)
        return not outcome.too_many

    async def resume(self) -> None:
        """
        Let a sink that waits, or was paused, try again at once.
        """
        await self._journal.set_hold(self.name, Hold())
        self._progress.refused_in_a_row = 0

    async def replay(self, letters: Sequence[DeadLetter]) -> Replayed:
        """
        Send dead letters of this sink again; what is accepted is discarded.

        Raises:
            ConnectorError: The destination cannot take them now; those not yet sent are kept.
        """
        accepted = 0
        for letter in letters:
            entry = entry_of(letter, self._journal, wants_twins=self._sink.wants_twins)
            await asyncio.to_thread(self._may_go_on)
            _, refused = await self._outlet.offer(Batch((entry,), Offset(0)))
            if refused:
                again = self._progress.letter(entry, refused[0])
                await self._journal.bury(structs.replace(again, offset=letter.offset))
            else:
                accepted += await self._journal.discard([letter.id])
        return Replayed(accepted, len(letters) - accepted)

    async def _went(self, too_many: str) -> None:
        if too_many:
            why = f"{too_many} Correct the cause, resume the sink, and replay its dead letters."
            await self._hold(Hold(why[:LONGEST_ERROR], None))
            return
        row = self._progress.refused_in_a_row
        await self._journal.set_hold(self.name, Hold(refused_in_a_row=row))

    async def _failed(self, error: Exception) -> None:
        failures = self._journal.hold(self.name).failures + 1
        if isinstance(error, Unauthorized | ConfigError):
            wait = CREDENTIAL_SECONDS
        else:
            asked = error.after_seconds if isinstance(error, Unavailable) else None
            wait = min(backoff_seconds(failures, asked_seconds=asked), LONGEST_HOLD_SECONDS)
        row = self._progress.refused_in_a_row
        text = str(error) if isinstance(error, ConnectorError) else f"{type(error).__name__}: {error}"
        await self._hold(Hold(text[:LONGEST_ERROR], self._clock() + wait, failures, row))

    async def _hold(self, hold: Hold) -> None:
        _log.warning(
            "The sink %s gets nothing at the moment: %s",
            self.name,
            hold.why,
            extra={"action": "hold", "sink": self.name},
        )
        await self._journal.set_hold(self.name, hold)
