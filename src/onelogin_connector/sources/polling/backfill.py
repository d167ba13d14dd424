"""
Read a range of the past, resumable after a kill.

How far it has come is saved after each page. A later backfill that begins within what an unfinished one had
read goes on behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import Struct, structs

from onelogin_connector.errors import Busy, ConfigError, HourPruned, JournalFull, Unavailable
from onelogin_connector.marks import BackfillMark, Listing
from onelogin_connector.retry import backoff_seconds
from onelogin_connector.sources.polling.base import HOUR_US, Progress
from onelogin_connector.sources.polling.listing import (
    FIRST_SPAN_US,
    Lister,
    StandingCursor,
    Turned,
    next_span_us,
)

T = TypeVar("T")

MOST_FAILURES = 12
"""In a row; with back-off this bridges about eight minutes. Then a person is told, who can go on later."""


class Backfilled(Struct, frozen=True, kw_only=True):
    """
    How far a backfill is.
    """

    hours_done: float
    hours: float
    events: int
    """Records listed."""
    new: int
    """Events among them that were not known."""
    calls: int
    seconds_left: float | None = None
    """None until it can be told."""
    waiting: str = ""
    """Why it does not go on at the moment."""


Report = Callable[[Backfilled], None]


class Backfill:
    """
    The backfills of one connector, one at a time.
    """

    def __init__(
        self,
        connector: str,
        lister: Lister,
        progress: Progress,
        *,
        reopen: Callable[[frozenset[int]], Awaitable[None]],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]],
    ) -> None:
        self._connector = connector
        self._lister = lister
        self._progress = progress
        self._reopen = reopen
        self._clock, self._sleep = clock, sleep
        self._running = asyncio.Lock()
        self._ceasing = asyncio.Event()

    async def run(
        self, since_us: int, until_us: int, report: Report, *, accept_duplicates: bool
    ) -> Backfilled:
        """
        See ``Poller.backfill``.
        """
        if since_us >= until_us:
            raise ConfigError(
                "The range is empty: it ends before it begins.", action="Exchange since and until."
            )
        if self._running.locked():
            raise Busy(
                f"A backfill of {self._connector} is running already.",
                action="Wait for it, or stop that command.",
            )
        async with self._running:
            mark = await self._begin(since_us, until_us)
            began, first = self._clock(), mark.done_us
            while mark.done_us < mark.until_us:
                mark = await self._next_page(mark, report, accept_duplicates=accept_duplicates)
                report(self._state(mark, began=began, first_us=first))
            await asyncio.to_thread(self._progress.save_backfill, None)
            return self._state(mark)

    def cease(self) -> None:
        """
        End what is running, and begin nothing more: the service stops.
        """
        self._ceasing.set()

    async def _begin(self, since_us: int, until_us: int) -> BackfillMark:
        """
        Go on where an unfinished backfill had come to, if it began at or before this one.
        """
        before = await asyncio.to_thread(self._progress.load_backfill)
        if before is not None and before.since_us <= since_us <= before.done_us:
            listing = before.listing if before.listing and before.listing.until_us <= until_us else None
            done = min(before.done_us, until_us)
            return structs.replace(before, until_us=until_us, done_us=done, listing=listing)
        return BackfillMark(since_us=since_us, until_us=until_us, done_us=since_us, span_us=FIRST_SPAN_US)

    async def _next_page(
        self, mark: BackfillMark, report: Report, *, accept_duplicates: bool
    ) -> BackfillMark:
        end = min(mark.until_us, mark.done_us + mark.span_us)
        window = mark.listing or Listing(since_us=mark.done_us, until_us=end)
        turned = await self._tried(window, mark, report, accept_duplicates=accept_duplicates)
        await self._reopen(turned.hours)
        mark = structs.replace(
            mark,
            listing=None if turned.done else turned.listing,
            done_us=turned.listing.until_us if turned.done else mark.done_us,
            span_us=next_span_us(mark.span_us, turned.listing.pages) if turned.done else mark.span_us,
            events=mark.events + turned.records,
            new=mark.new + turned.receipt.entries,
            calls=mark.calls + 1,
        )
        await asyncio.to_thread(self._progress.save_backfill, mark)
        return mark

    async def _tried(
        self, window: Listing, mark: BackfillMark, report: Report, *, accept_duplicates: bool
    ) -> Turned:
        """
        Bring one page in, waiting while the API or the disk is not there.
        """
        failures = 0
        while True:
            try:
                return await self._unless_ceasing(
                    self._lister.page(window, accept_duplicates=accept_duplicates)
                )
            except Unavailable as error:
                if self._ceasing.is_set():
                    raise
                failures += 1
                if failures >= MOST_FAILURES or isinstance(error, JournalFull):
                    again = f"What was read is kept. {error.action} Then repeat the command: it goes on from here."
                    raise type(error)(error.message, action=again) from error
                if isinstance(error, StandingCursor) or failures == MOST_FAILURES // 2:
                    window = window.afresh()
                report(structs.replace(self._state(mark), waiting=error.message))
                await self._unless_ceasing(
                    self._sleep(backoff_seconds(failures, asked_seconds=error.after_seconds))
                )
            except ConfigError:
                if window.cursor is None:
                    raise
                window = window.afresh()  # perhaps a cursor from before a long interruption
            except HourPruned as error:
                raise HourPruned(
                    "This range reaches into hours so old that their keys are gone, and no store can bring them "
                    "back: events that are held already could not be recognised.",
                    action="Repeat it with --accept-duplicates if some events may come twice, or begin later.",
                ) from error

    async def _unless_ceasing(self, awaitable: Awaitable[T]) -> T:
        doing, ceasing = asyncio.ensure_future(awaitable), asyncio.ensure_future(self._ceasing.wait())
        try:
            await asyncio.wait({doing, ceasing}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise Unavailable(
                "The service is stopping.",
                action="Repeat the command when it runs again: it goes on from here.",
            )
        finally:
            doing.cancel()
            ceasing.cancel()

    def _state(self, mark: BackfillMark, *, began: float | None = None, first_us: int = 0) -> Backfilled:
        done, whole = mark.done_us - mark.since_us, mark.until_us - mark.since_us
        reached = mark.done_us - first_us
        left = None
        if began is not None and reached > 0:
            left = max(0.0, (self._clock() - began) * (mark.until_us - mark.done_us) / reached)
        return Backfilled(
            hours_done=done / HOUR_US,
            hours=whole / HOUR_US,
            events=mark.events,
            new=mark.new,
            calls=mark.calls,
            seconds_left=left,
        )
