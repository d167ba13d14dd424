"""
The loop that reads one account's events.

It does one page at a time, always the most urgent one: the tail first, then the overlap, then a sweep. So a
long sweep after an outage never keeps new events waiting, and a kill costs one page.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import Any

from msgspec import structs

from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.event import Way
from onelogin_connector.journal.base import Keeper
from onelogin_connector.marks import Listing, Marks, SweptHour
from onelogin_connector.sources.polling import sweeps, tail
from onelogin_connector.sources.polling.backfill import Backfill, Backfilled, Report
from onelogin_connector.sources.polling.base import MINUTE_US, SECOND_US, Events, Progress
from onelogin_connector.sources.polling.jobs import FAILURES_UNTIL_AFRESH, Job, left_seconds
from onelogin_connector.sources.polling.listing import Lister, StandingCursor
from onelogin_connector.status import State, Status

_log = logging.getLogger(__name__)

WEBHOOK_DELAY_SECONDS = 30.0
"""How far behind the present to read while webhooks come: their records say more, and should be the entry."""

PAUSE_SECONDS = 300.0
"""After a refused credential: somebody may mend it at any time, and a few calls an hour disturb nobody."""

STOP_SECONDS = 1.0


async def _anyone() -> None:
    """
    Let the poller begin.
    """


class Poller:
    """
    Reads the events of one connector.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults, as the settings name them
        self,
        connector: str,
        client: Events,
        journal: Keeper,
        progress: Progress,
        *,
        poll_seconds: float = 60.0,
        overlap_minutes: float = 10.0,
        delay_seconds: float | None = None,
        start_us: int | None = None,
        webhooks_on: bool | Callable[[], bool] = False,
        admit: Callable[[], Awaitable[None]] = _anyone,
        on_swept: Callable[[Sequence[SweptHour]], Awaitable[None]] | None = None,
        spare: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """
        Take the account's API, and a place for how far it has come.

        Args:
            poll_seconds: How often the tail asks for new events.
            overlap_minutes: How often, and how far back, recent time is read again.
            delay_seconds: How far behind the present; None for 30 seconds while webhooks are on, else 0.
            start_us: Where the first run begins; None for 24 hours before it, by OneLogin's clock.
            admit: Called before the first page; raises ``ConfigError`` if this account is not to be polled.
            on_swept: Told what the sweeps found, after it was saved.
            spare: Whether there are calls to spare for what is not urgent.
            clock: Unix seconds; may jump, since nothing but waits depends on it.
        """
        self.connector = connector
        self.status = Status(clock)
        self.last_poll: float | None = None
        """Unix seconds at which the tail last reached the end of its window."""
        self._client, self._journal, self._progress = client, journal, progress
        self._poll_seconds = poll_seconds
        self._overlap_us = int(overlap_minutes * MINUTE_US)
        self._delay_seconds, self._webhooks_on = delay_seconds, webhooks_on
        self._start_us = start_us
        self._admit, self._admitted = admit, False
        self._on_swept, self._spare = on_swept, spare
        self._clock, self._sleep = clock, sleep
        self._tail = self._job("tail", Way.POLL, "")
        self._overlap = self._job("overlap", Way.RECONCILE, "While recent events are read again: ")
        self._sweep = self._job("sweep", Way.RECONCILE, "While finished hours are read again: ")
        self._backfill: Backfill | None = None
        self._marks: Marks | None = None
        self._ahead_us = 0
        """How far OneLogin's clock is ahead of ours, as of the newest answer."""
        self._behind = True
        self._paused_at: float | None = None
        self._stopping, self._ended = asyncio.Event(), asyncio.Event()
        self._ended.set()

    def _job(self, name: Any, way: Way, doing: str) -> Job:
        lister = Lister(self.connector, self._client, self._journal, way, clock=self._clock)
        return Job(name, lister, doing)

    @property
    def watermark_us(self) -> int | None:
        """
        Event time up to which the tail has read; None before the first run.
        """
        marks = self._marks or self._progress.load()
        return marks.watermark_us if marks else None

    @property
    def delay_us(self) -> int:
        """
        How far behind the present the tail reads.
        """
        seconds = self._delay_seconds
        if seconds is None:
            on = self._webhooks_on() if callable(self._webhooks_on) else self._webhooks_on
            seconds = WEBHOOK_DELAY_SECONDS if on else 0.0
        return int(seconds * SECOND_US)

    async def run(self) -> None:
        """
        Read until stopped. What an answer may hold never ends it.
        """
        self._ended.clear()
        try:
            while not self._stopping.is_set():
                seconds = await self.step()
                if seconds > 0:
                    await self._rest(seconds)
        finally:
            self._ended.set()
            self._turn(State.STOPPED)

    async def stop(self) -> None:
        """
        Finish the page at hand, for a second; whoever runs the loop may cancel it then, or at any moment.
        """
        self._stopping.set()
        self.cease()
        try:
            await asyncio.wait_for(self._ended.wait(), STOP_SECONDS)
        except TimeoutError:
            self._note(
                logging.INFO, "stop", f"The poller of {self.connector} is stopped in the middle of a call."
            )

    async def step(self) -> float:
        """
        Do the page that is most urgent; returns how many seconds nothing more is due.
        """
        now = self._clock()
        if self._paused_at is not None and (left := left_seconds(self._paused_at, PAUSE_SECONDS, now)):
            return left
        job = self._tail
        if self._marks is None and (left := job.rest_seconds(now)):
            return left
        try:
            marks = await self._begun()
            found = await self._most_urgent(marks, now)
            if found is None:
                return self._idle_seconds(now)
            job, listing = found
            at_end = await self._turn_page(job, listing, marks)
        except ConnectorError as error:
            self._failed(job, error)
        else:
            self._succeeded(job, at_end=at_end)
        return 0.0

    async def backfill(
        self, since_us: int, until_us: int, report: Report, *, accept_duplicates: bool = False
    ) -> Backfilled:
        """
        Read a range of the past, going on where an interrupted backfill of it had come to.

        Args:
            report: Called after each page with how far it is.
            accept_duplicates: Read also hours whose keys are gone, where repeats are not recognised.

        Raises:
            Busy: Another backfill of this connector is running.
            HourPruned: Repeats could not be recognised.
            Unauthorized, ConfigError, Unavailable: The API cannot be read; what was read is kept.
        """
        if self._backfill is None:
            self._backfill = Backfill(
                self.connector,
                Lister(self.connector, self._client, self._journal, Way.BACKFILL, clock=self._clock),
                self._progress,
                reopen=self._reopen,
                clock=self._clock,
                sleep=self._sleep,
            )
        await self._ask_admission()
        return await self._backfill.run(since_us, until_us, report, accept_duplicates=accept_duplicates)

    def cease(self) -> None:
        """
        End a backfill that is running, in its own words: the service is about to stop.
        """
        if self._backfill is not None:
            self._backfill.cease()

    async def step_back(self, back_us: int) -> None:
        """
        Read this much time again, since what was read of it may be lost.
        """
        marks = await asyncio.to_thread(self._progress.load)
        if marks is not None:
            back = max(marks.start_us, marks.watermark_us - back_us)
            await self._save(tail.stepped_back(marks, back))

    # What is due.

    async def _most_urgent(self, marks: Marks, now: float) -> tuple[Job, Listing] | None:
        if not self._tail.rest_seconds(now):
            if marks.tail is not None:
                return self._tail, marks.tail
            if not self._poll_rest_seconds(now):
                target = int(now * SECOND_US) + self._ahead_us - self.delay_us
                return self._tail, tail.window(marks, target)
        if not self._overlap.rest_seconds(now):
            overlap = marks.overlap or tail.overlap_window(marks, self._overlap_us)
            if overlap is not None and not self._behind:
                return self._overlap, overlap
        if not self._sweep.rest_seconds(now) and self._spare():
            sweep = marks.sweep or await self._sweep_window(marks)
            if sweep is not None:
                return self._sweep, sweep
        return None

    def _poll_rest_seconds(self, now: float) -> float:
        if self.last_poll is None or self._behind:
            return 0.0
        return left_seconds(self.last_poll, self._poll_seconds, now)

    def _idle_seconds(self, now: float) -> float:
        """
        Return how long nothing is due: overlap and sweeps become so by what the tail brings.
        """
        if self._paused_at is not None:
            return left_seconds(self._paused_at, PAUSE_SECONDS, now)
        waits = [job.rest_seconds(now) for job in (self._overlap, self._sweep)]
        waits.append(max(self._tail.rest_seconds(now), self._poll_rest_seconds(now)))
        return min((wait for wait in waits if wait > 0), default=self._poll_seconds)

    async def _sweep_window(self, marks: Marks) -> Listing | None:
        if sweeps.mark_is_due(marks):
            return sweeps.window(marks.sweep_hour, start_us=marks.start_us)
        found = await asyncio.to_thread(self._progress.due_hour, marks.server_us)
        return None if found is None else sweeps.window(found.hour, start_us=marks.start_us)

    # One page, and what follows from it.

    async def _turn_page(self, job: Job, listing: Listing, marks: Marks) -> bool:
        """
        Do a page; returns whether it was the last one of its window.
        """
        turned = await job.lister.page(listing)
        if turned.date_us is not None:
            self._ahead_us = turned.date_us - int(self._clock() * SECOND_US)
            marks = structs.replace(marks, server_us=turned.date_us)
        own = {sweeps.hour_of(listing.since_us)} if job is self._sweep else set()
        await self._reopen(turned.hours - own)
        if not turned.done:
            await self._save(structs.replace(marks, **{job.name: turned.listing}))
        elif job is self._tail:
            await self._finish_tail(marks, turned.listing)
        elif job is self._overlap:
            await self._save(structs.replace(marks, overlap=None, overlap_us=turned.listing.until_us))
        else:
            await self._finish_sweep(marks, turned.listing)
        return turned.done

    async def _finish_tail(self, marks: Marks, window: Listing) -> None:
        before = marks.watermark_us
        marks = tail.finished(marks, window, delay_us=self.delay_us)
        await self._save(marks)
        self.last_poll = self._clock()
        self._behind = tail.behind_us(marks, window, delay_us=self.delay_us) > self._poll_seconds * SECOND_US
        if marks.watermark_us < before:
            self._note(
                logging.WARNING,
                "watermark_set_back",
                f"The watermark of {self.connector} lay ahead of OneLogin's clock; the last day is read again.",
            )

    async def _finish_sweep(self, marks: Marks, window: Listing) -> None:
        hour = sweeps.hour_of(window.since_us)
        done = sweeps.swept(
            hour,
            window,
            await asyncio.to_thread(self._progress.hour, hour),
            now_us=marks.server_us if window.date_us is None else window.date_us,
            again_us=self._overlap_us,
        )
        marks = structs.replace(marks, sweep=None, sweep_hour=max(marks.sweep_hour, hour + 1))
        await self._save(marks, done)
        await self._tell([done])

    async def _reopen(self, hours: frozenset[int] | set[int]) -> None:
        marks = self._marks
        known = [hour for hour in hours if marks and hour < marks.sweep_hour]
        if known and marks:
            await self._tell(await asyncio.to_thread(self._progress.reopen, known, marks.server_us))

    async def _tell(self, hours: Sequence[SweptHour]) -> None:
        if hours and self._on_swept is not None:
            await self._on_swept(hours)

    async def _save(self, marks: Marks, swept: SweptHour | None = None) -> None:
        await asyncio.to_thread(self._progress.save, marks, swept)
        self._marks = marks

    # Beginning.

    async def _begun(self) -> Marks:
        await self._ask_admission()
        if self._marks is None:
            self._marks = await asyncio.to_thread(self._progress.load) or await self._first_marks()
        return self._marks

    async def _ask_admission(self) -> None:
        if not self._admitted:
            await self._admit()
            self._admitted = True

    async def _first_marks(self) -> Marks:
        start = self._start_us
        if start is None:
            now_us = int(self._clock() * SECOND_US)
            # one call for the time alone: by a clock that is years off, "24 hours back" would be years of history
            page = await self._client.events(since_us=now_us - SECOND_US, until_us=now_us, limit=1)
            start = (page.date_us or now_us) - tail.FIRST_RUN_US
        return tail.first_marks(start)

    # Waiting, and what an operator sees.

    def _succeeded(self, job: Job, *, at_end: bool) -> None:
        job.succeed(at_end=at_end)
        self._paused_at = None
        trouble = next((each.error for each in (self._tail, self._overlap, self._sweep) if each.error), "")
        self._turn(State.RETRYING if trouble else State.OK, trouble)

    def _failed(self, job: Job, error: ConnectorError) -> None:
        asked = error.after_seconds if isinstance(error, Unavailable) else None
        listing: Listing | None = getattr(self._marks, job.name, None)
        often = (job.failures + 1) % FAILURES_UNTIL_AFRESH == 0
        standing = isinstance(error, StandingCursor)
        lost_place = standing or (listing is not None and (often or isinstance(error, ConfigError)))
        job.fail(str(error), self._clock(), asked_seconds=asked, lost_place=lost_place)
        if lost_place and listing is not None and self._marks is not None:
            self._marks = structs.replace(self._marks, **{job.name: listing.afresh()})
        if isinstance(error, Unauthorized) or (isinstance(error, ConfigError) and not lost_place):
            self._paused_at = self._clock()
            self._turn(State.PAUSED, str(error))
        else:
            self._turn(State.RETRYING, job.error)

    def _turn(self, state: State, error: str = "") -> None:
        if self.status.turn(state, error):
            text = f"The poller of {self.connector} is {state}" + (f": {error}" if error else ".")
            self._note(logging.WARNING if error else logging.INFO, "turn", text)

    def _note(self, level: int, action: str, text: str) -> None:
        _log.log(level, text, extra={"action": action, "connector": self.connector})

    async def _rest(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
