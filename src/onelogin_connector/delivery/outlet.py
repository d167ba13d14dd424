"""
The way out to one sink: how much goes in one batch, and which of its records were refused.
"""

import asyncio
from collections.abc import Mapping, Sequence

from onelogin_connector.batch import Batch
from onelogin_connector.errors import ConnectorError, Partly, Refused, TooLarge, Unavailable
from onelogin_connector.event import Entry
from onelogin_connector.sinks.base import Sink

Refusals = Mapping[int, str]
"""Position in a batch → why the sink refused that record."""


class Outlet:
    """
    Sends batches through a sink's ``send``, in parts that it can take.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.keeps_position = False
        """Whether the sink knows by itself how far it has come; then it commits nothing on ``Refused``."""
        self._most = sink.limits.records
        """Records that go in one batch: halved by ``TooLarge``, doubled again by every success."""
        self._then: ConnectorError | None = None
        """Why the batch before came no further; raised when what it had settled is safe in the checkpoint."""

    async def offer(self, batch: Batch) -> tuple[Batch, Refusals]:
        """
        Send a batch, or the part of it that the destination takes in one go.

        Returns:
            The part that is settled now, and what of it was refused. Never nothing.

        Raises:
            Unavailable, Unauthorized, ConfigError: Nothing is settled.
        """
        then, self._then = self._then, None
        if then is not None:
            raise then
        batch = batch.head(self._most)
        while True:
            try:
                await self._send(batch.entries)
            except TooLarge as error:
                if len(batch.entries) == 1:
                    return batch, {0: error.message}
                batch = batch.head(len(batch.entries) // 2)
                self._most = len(batch.entries)
            except Partly as error:
                self._then = error.then
                if not 0 < error.settled < len(batch.entries):
                    raise Unavailable("The sink settled a part of the batch that is none.") from error
                return batch.head(error.settled), {
                    at: why for at, why in error.refused.items() if 0 <= at < error.settled
                }
            except Refused as error:
                refused = {at: why for at, why in error.reasons.items() if 0 <= at < len(batch.entries)}
                if not refused:
                    raise Unavailable("The sink refused records without saying which.") from error
                if not self.keeps_position:
                    return batch, refused
                first = min(refused)
                if first == 0:
                    return batch.head(1), {0: refused[0]}
                batch = batch.head(first)
            else:
                self._most = min(self.sink.limits.records, max(self._most, 2 * len(batch.entries)))
                return batch, {}

    async def _send(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        try:
            await self.sink.send(entries)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # something within the sink was cancelled, not this loop
            raise Unavailable("The sink gave up in the middle of a batch.") from error
