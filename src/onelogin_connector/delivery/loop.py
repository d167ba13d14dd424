"""
The loop that brings the journal to one sink.

What holds at every step, also when the process dies between two of them (guarantee G2):

- The checkpoint moves only after the sink accepted what lies below it, together with the dead letters of
  what it refused and the counts of what a setting skips. A range that the sink is owed is named in the
  checkpoint that passes it.
- So a record may be sent twice after a crash, and none is passed over. A sink that keeps its own position
  gets each once: it says in ``open`` after which offset it wants to read, and that is believed.
- One failing or slow sink holds up nothing but its own checkpoint.

A sink that keeps its own position must commit nothing when it raises ``Refused``. The loop then sends what
lies before the first refused record, makes that record a dead letter, and goes on behind it. Records that
come outside the order, as replayed dead letters do, have offset 0.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from logging import INFO, WARNING, getLogger
from time import time
from typing import Any

from msgspec import structs

from onelogin_connector.batch import Batch, cut
from onelogin_connector.delivery.options import Lag, Options
from onelogin_connector.delivery.outlet import Outlet
from onelogin_connector.delivery.progress import Outcome, Progress
from onelogin_connector.delivery.replay import Replayed, entry_of
from onelogin_connector.delivery.waiting import Alarm
from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.event import Entry, Offset
from onelogin_connector.journal.base import Checkpoint, DeadLetter, Journal
from onelogin_connector.plural import counted
from onelogin_connector.retry import backoff_seconds
from onelogin_connector.sinks.base import Sink
from onelogin_connector.status import State, Status

IDLE_SECONDS = 60.0  # how often a loop without work looks around: a pause must not hide a growing backlog
LONGEST_ERROR = 500  # characters; some libraries put whole pages into their messages

Refill = Callable[[Offset, Offset, int], list[Entry]]
"""(after, up to, limit) → entries of that range as the store holds them, in order. Called in a thread."""

_log = getLogger(__name__)


class Delivery:
    """
    One sink's loop.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        journal: Journal,
        *,
        options: Options | None = None,
        clock: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        refill: Refill | None = None,
    ) -> None:
        """
        Prepare a loop; ``run`` starts it.

        Args:
            name: The sink's name in the configuration; its checkpoint is kept under it.
            refill: Reads ranges back that the sink is owed; None where there is no store.
        """
        self.name, self.sink, self.journal = name, sink, journal
        self.options = options or Options()
        self.status = Status(clock)
        self._clock, self._sleep, self._read_back = clock, sleep, refill
        self._outlet = Outlet(sink)
        self._progress = Progress(name, journal, pause_after_refusals=self.options.pause_after_refusals)
        self._batch: Batch | None = None
        """What goes next; kept over failures, so that the same goes again."""
        self._ready = False
        self._failures = 0
        self._pause = ""
        """Why nothing is sent; empty when it may be."""
        self._pause_ends = False
        """Whether the pause ends by itself, to try the credential again."""
        self._stopping = False
        self._alarm = Alarm()
        self._one_at_a_time = asyncio.Lock()
        """Held over sending and settling, so that a refill and the loop never write one checkpoint at once."""
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def checkpoint(self) -> Checkpoint:
        """
        How far the sink has come.
        """
        return self._progress.checkpoint

    @property
    def _held_up(self) -> bool:
        return self._stopping or bool(self._pause)

    def lag(self) -> Lag:
        """
        Return how far the sink is behind.
        """
        events = max(0, self._last_offset() - self._progress.offset)
        oldest = self.journal.read(self._progress.offset, records=1) if events else []
        return Lag(events, max(0.0, self._clock() - oldest[0].received_us / 1e6) if oldest else 0.0)

    async def run(self) -> None:
        """
        Deliver until ``stop``; closes the sink at the end. No failure of the sink or the journal ends it.
        """
        try:
            with self._registered():
                while not self._stopping:
                    try:
                        await self._round()
                    except Exception as error:  # noqa: BLE001 - the top of the loop
                        await self._failed(error)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            await self._close()

    def pause(self, why: str = "It was paused by a person.") -> None:
        """
        Send nothing more until ``resume``; what is being sent is settled.
        """
        self._pause, self._pause_ends = why, False
        self._turn(State.PAUSED, why)
        self._alarm.ring()

    def resume(self) -> None:
        """
        Go on at once, also out of a wait between attempts.
        """
        if self._pause:
            self._turn(State.STARTING)
        self._pause, self._progress.refused_in_a_row = "", 0
        self._alarm.ring()

    async def stop(self) -> None:
        """
        End the loop within seconds. A ``send`` that hangs is cut off; its batch goes again after the restart.
        """
        self._stopping = True
        self._alarm.ring(stays=True)
        running = {task for task in self._tasks if task is not asyncio.current_task()}
        for _ in range(2):  # once with patience, once after cancelling
            if running:
                _, running = await asyncio.wait(running, timeout=self.options.grace_seconds)
            for task in running:
                task.cancel()

    async def refill(self) -> int:
        """
        Send what the sink is owed, from the store and in order. What is broken off goes on at the next call.

        Returns:
            Records accepted.

        Raises:
            ConfigError: There is no store to read from.
            Unauthorized: The destination refuses the credential.
        """
        if self._read_back is None:
            raise ConfigError(
                f"The sink {self.name} cannot be refilled: there is no store to read from.",
                action="Turn the store on ([sinks.store] enabled = true), or waive what the sink is owed.",
            )
        accepted = 0
        with self._registered():
            while self.checkpoint.owed and not self._held_up:
                try:
                    accepted += await self._refill_some(self._read_back)
                except (Unauthorized, ConfigError):
                    raise
                except Exception as error:  # noqa: BLE001 - as in the loop: wait, and go on
                    await self._failed(error)
        if not self._pause:
            self._well()
        return accepted

    async def waive(self) -> int:
        """
        Give up what the sink is owed. Returns how many records that are, counted as skipped by ``waived``.
        """
        async with self._one_at_a_time:
            return await self._progress.waive()

    async def replay(self, ids: Sequence[int]) -> Replayed:
        """
        Send dead letters again: what is accepted is discarded, what is refused again is counted.

        Raises:
            Unavailable, Unauthorized: The destination cannot take them now; those not yet sent are kept.
            ConnectorError: A letter's record cannot be told from its bytes.
        """
        letters = [self.journal.dead_letter(id) for id in ids]
        own = [
            letter for letter in letters if letter and (letter.kind, letter.sink) == ("delivery", self.name)
        ]
        accepted = 0
        with self._registered():
            for letter in own:
                accepted += await self._replay_one(letter)
        return Replayed(accepted, len(own) - accepted, len(letters) - len(own))

    # One round of the loop. Any step may fail; the next round takes it up where it failed.

    async def _round(self) -> None:
        if self._pause:
            await self._stay_paused()
            return
        if not self._ready:
            await self._get_ready()
        async with self._one_at_a_time:
            await self._progress.settle()
        self._batch = self._batch or await self._next()
        if self._batch is None or self._held_up:
            return
        began, before = self._clock(), self._last_offset()
        async with self._one_at_a_time:
            sent, refused = await self._outlet.offer(self._batch)
            outcome = self._progress.judge(sent, refused)
            self._batch = None
            await self._progress.conclude(outcome)
        self._after(outcome)
        await self._detach_if_overrun()
        grew = self._last_offset() - before
        rest = sent.rest_seconds(self.sink.limits, took_seconds=self._clock() - began, grew=grew)
        if rest and not self._held_up:
            await self._rest(rest)

    async def _stay_paused(self) -> None:
        self._turn(State.PAUSED, self._pause)
        await self._rest(self.options.credential_seconds if self._pause_ends else IDLE_SECONDS)
        if self._pause_ends:
            self._pause = ""
        await self._detach_if_overrun()

    async def _get_ready(self) -> None:
        position = await self.sink.open()
        last = self._last_offset()
        if position is not None and position > last:
            raise ConnectorError(
                f"The sink {self.name} has come to offset {position}, but the journal ends at {last}: it was "
                "lost, or restored from a backup.",
                action="Start the service again, so that the journal begins a new epoch.",
            )
        self._outlet.keeps_position = position is not None
        if position is not None:
            self._progress.begin_at(position)
        self._ready = True

    async def _next(self) -> Batch | None:
        batch = await self._cut()
        if batch is None:
            self._well()
            await self._alarm.unless_rung(self.journal.wait(self._progress.offset, IDLE_SECONDS))
            return None
        wait_seconds = batch.wait_seconds(self.sink.limits, self._clock())
        # company is waited for only at the journal's end: before it, a fuller batch is there to be read
        if wait_seconds > 0 and not await self.journal.wait(batch.up_to, 0):
            await self._rest(wait_seconds)
            batch = await self._cut()
        return batch

    async def _cut(self) -> Batch | None:
        limits, after = self.sink.limits, self._progress.offset
        records = await asyncio.to_thread(
            self.journal.read, after, records=limits.records, size_bytes=limits.size_bytes
        )
        if records and records[0].offset > after + 1:
            await self._owe(Offset(records[0].offset - 1), "they were pruned before their turn came")
        return self._batch_of(records)

    def _batch_of(self, records: Sequence[Entry]) -> Batch | None:
        return cut(records, self.sink.limits, wants_twins=self.sink.wants_twins, skips=self.options.skips)

    def _after(self, outcome: Outcome) -> None:
        self._failures = 0
        self.status.counts["batches"] += 1
        if outcome.too_many:
            self.pause(f"{outcome.too_many} Correct the cause, resume the sink, and replay its dead letters.")
        elif not self._pause:
            self._well()

    # Ranges that are passed over, and records that come back.

    async def _owe(self, up_to: Offset, why: str) -> None:
        async with self._one_at_a_time:
            await self._progress.settle()
            after, _ = await self._progress.owe(up_to)
        text = f"The sink {self.name} is owed {counted(up_to - after, 'record')} up to {up_to}: {why}."
        self._note(WARNING, "owe", text)

    async def _detach_if_overrun(self) -> None:
        limit, last = self.options.backlog_limit, self._last_offset()
        if limit is not None and last - self._progress.offset > limit:
            self._batch = None
            await self._owe(last, f"more than {limit} records waited for it")
            if not self._pause:
                self._turn(State.DETACHED, self.status.error)

    async def _refill_some(self, read_back: Refill) -> int:
        after, up_to = self.checkpoint.owed[0]
        records = await asyncio.to_thread(read_back, Offset(after), Offset(up_to), self.sink.limits.records)
        batch = self._batch_of([record for record in records if after < record.offset <= up_to])
        outcome = Outcome(Offset(up_to))  # the store holds nothing more of this range
        async with self._one_at_a_time:
            if batch is not None:
                outcome = self._progress.judge(*await self._outlet.offer(batch))
            await self._progress.pay(outcome)
        self._after(outcome)
        return outcome.delivered

    async def _replay_one(self, letter: DeadLetter) -> bool:
        entry = entry_of(letter, self.journal, wants_twins=self.sink.wants_twins)
        async with self._one_at_a_time:
            _, refused = await self._outlet.offer(Batch((entry,), Offset(0)))
            if not refused:
                await self.journal.discard([letter.id])
                return True
            again = self._progress.letter(entry, refused[0])
            await self.journal.bury(structs.replace(again, offset=letter.offset))
            return False

    # Waiting, and what an operator sees.

    async def _failed(self, error: Exception) -> None:
        """
        Say what went wrong, and wait before the same is tried again.
        """
        text = str(error) if isinstance(error, ConnectorError) else f"{type(error).__name__}: {error}"
        self.status.counts["failures"] += 1
        if isinstance(error, Unauthorized | ConfigError):
            if not self._pause:
                self._pause, self._pause_ends = text[:LONGEST_ERROR], True
            return
        self._failures += 1
        if not self._pause:
            self._turn(State.DETACHED if self.checkpoint.owed else State.RETRYING, text[:LONGEST_ERROR])
        asked = error.after_seconds if isinstance(error, Unavailable) else None
        await self._rest(backoff_seconds(self._failures, asked_seconds=asked))
        try:
            await self._detach_if_overrun()
        except Exception as again:  # noqa: BLE001 - the journal is in trouble too; the next round says so
            self._note(WARNING, "detach", f"The sink {self.name} could not be detached: {again}")

    async def _rest(self, seconds: float) -> None:
        await self._alarm.unless_rung(self._sleep(seconds))

    def _well(self) -> None:
        if self.checkpoint.owed:
            owed = counted(self._progress.owed, "record")
            self._turn(
                State.DETACHED, f"It is owed {owed}. Refill it from the store, or waive what it is owed."
            )
        else:
            self._turn(State.OK)

    def _turn(self, state: State, error: str = "") -> None:
        if self.status.turn(state, error):
            text = (
                f"The sink {self.name} is {state}: {error}" if error else f"The sink {self.name} is {state}."
            )
            self._note(WARNING if error else INFO, "turn", text)

    def _note(self, level: int, action: str, text: str) -> None:
        _log.log(level, text, extra={"action": action, "sink": self.name, "state": str(self.status.state)})

    def _last_offset(self) -> Offset:
        return Offset(self.journal.stats()["last_offset"])

    @contextmanager
    def _registered(self) -> Iterator[None]:
        """
        Let ``stop`` end the current task too.
        """
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            yield
        finally:
            if task is not None:
                self._tasks.discard(task)

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self.sink.close(), self.options.grace_seconds)
        except Exception as error:  # noqa: BLE001 - nothing depends on it any more
            text = f"The sink {self.name} did not close: {type(error).__name__}: {error}"
            self._note(WARNING, "close", text)
        self._turn(State.STOPPED)
