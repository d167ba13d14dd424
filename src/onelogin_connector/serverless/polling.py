"""
How far the poller has come, in a blob, and a poll that ends when nothing more is due.
"""

import asyncio
from collections.abc import Callable, Iterable

from msgspec import DecodeError, Struct, field, json, structs

from onelogin_connector.azure.blobs import Container
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.journal.base import Journal
from onelogin_connector.marks import BackfillMark, Marks, SweptHour
from onelogin_connector.sources.polling import Events, Poller
from onelogin_connector.status import State

POLL = "state/poll-"
POLL_SECONDS = 60.0
PAUSE_SECONDS = 300.0
"""After a refused credential."""
MOST_HOURS = 1_000
"""Swept hours that are remembered: six weeks; an hour is swept for the last time a day after its end."""


class _Kept(Struct):
    marks: Marks | None = None
    hours: dict[int, SweptHour] = field(default_factory=dict)
    backfill: BackfillMark | None = None
    next_at: float = 0.0
    """Unix seconds before which nothing is polled."""
    error: str = ""


class BlobProgress:
    """
    The progress of one connector's poller; ``sources.polling.Progress`` in a blob.
    """

    def __init__(self, connector: str, container: Container) -> None:
        """
        Read how far it has come.

        Raises:
            Unavailable, Unauthorized, ConfigError: It cannot be read.
        """
        self._name, self._container = f"{POLL}{connector}", container
        found = container.read(self._name)
        if found is None:
            container.create(self._name, json.encode(_Kept()))
            found = container.read(self._name)
        if found is None:
            raise Unavailable(f"The blob {self._name} was just made and is gone.")
        blob, body = found
        self._etag = blob.etag
        try:
            self._kept = json.decode(body, type=_Kept)
        except DecodeError as error:
            raise ConfigError(
                f"The blob {self._name} cannot be read: {error}.",
                action="Remove it: the poller then begins 24 hours back, and known events are recognised.",
            ) from error

    @property
    def error(self) -> str:
        """
        Why the latest poll failed; empty when it did not.
        """
        return self._kept.error

    def is_due(self, now: float) -> bool:
        """
        Tell whether it is time to poll; a clock that was set back makes no wait longer.
        """
        return not now < self._kept.next_at < now + PAUSE_SECONDS

    def wait(self, until: float, error: str) -> None:
        """
        Say when to poll next, and what is wrong.
        """
        self._save(structs.replace(self._kept, next_at=until, error=error))

    def load(self) -> Marks | None:
        """
        See ``Progress``.
        """
        return self._kept.marks

    def save(self, marks: Marks, swept: SweptHour | None = None) -> None:
        """
        See ``Progress``.
        """
        hours = self._kept.hours if swept is None else self._kept.hours | {swept.hour: swept}
        if len(hours) > MOST_HOURS:
            hours = dict(sorted(hours.items())[-MOST_HOURS:])
        self._save(structs.replace(self._kept, marks=marks, hours=hours))

    def hour(self, hour: int) -> SweptHour | None:
        """
        See ``Progress``.
        """
        return self._kept.hours.get(hour)

    def due_hour(self, now_us: int) -> SweptHour | None:
        """
        See ``Progress``.
        """
        due = [
            each for each in self._kept.hours.values() if each.due_us is not None and each.due_us <= now_us
        ]
        return min(due, key=lambda each: (each.due_us or 0, each.hour), default=None)

    def reopen(self, hours: Iterable[int], due_us: int) -> list[SweptHour]:
        """
        See ``Progress``.
        """
        settled = [each for hour in hours if (each := self._kept.hours.get(hour)) and each.settled]
        opened = {each.hour: structs.replace(each, settled=False, due_us=due_us) for each in settled}
        if opened:
            self._save(structs.replace(self._kept, hours=self._kept.hours | opened))
        return list(opened.values())

    def load_backfill(self) -> BackfillMark | None:
        """
        See ``Progress``.
        """
        return self._kept.backfill

    def save_backfill(self, mark: BackfillMark | None) -> None:
        """
        See ``Progress``.
        """
        self._save(structs.replace(self._kept, backfill=mark))

    def _save(self, kept: _Kept) -> None:
        """
        Replace what is kept, as it was read: somebody who works on it after us makes this fail.
        """
        self._etag = self._container.replace(self._name, json.encode(kept), etag=self._etag)
        self._kept = kept


async def poll(
    connector: str,
    client: Events,
    journal: Journal,
    progress: BlobProgress,
    *,
    goes_on: Callable[[], bool],
    clock: Callable[[], float],
) -> None:
    """
    List what is due, page by page, into the journal.

    Args:
        goes_on: Asked before each page whether there is time for it.

    Raises:
        Busy: Somebody else has taken over.
    """
    poller = Poller(connector, client, journal, progress, webhooks_on=True, clock=clock)
    while await asyncio.to_thread(goes_on):
        if await poller.step() > 0:
            break
        if poller.status.state in {State.PAUSED, State.RETRYING}:
            break
    paused = poller.status.state is State.PAUSED
    await asyncio.to_thread(
        progress.wait, clock() + (PAUSE_SECONDS if paused else POLL_SECONDS), poller.status.error
    )
