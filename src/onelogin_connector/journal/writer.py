"""
The one thread that writes.

Jobs queue up while a commit is under way and share the next one: one sync for all of them, so that the rate
does not depend on the disk's latency. A group that fails is repeated job by job, so that a poison job fails
alone. A full map is grown behind a gate that lets reads drain, because LMDB allows no transaction meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Condition, Lock, Thread
from time import perf_counter, time
from typing import Any

import lmdb

from onelogin_connector.errors import Unavailable
from onelogin_connector.journal.base import Checkpoint
from onelogin_connector.journal.tables import Databases, LmdbTables, Mirror, load

GROUP_JOBS = 256
GROUP_BYTES = 8 << 20  # bounds how long a commit takes, and so the latency of those who wait for the next
PRESSED_JOBS = 6  # in one group: so many senders wait at the same time
IDLE_SECONDS = 0.5  # how long a checkpoint waits for a group to ride in before it gets one of its own
LARGEST_STEP_BYTES = 16 << 30

log = logging.getLogger(__name__)


class Gate:
    """
    Lets many in, or closes behind the last one out.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """
        Wait until everybody is out, and let nobody in meanwhile.
        """
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0)
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()


@dataclass(slots=True)
class Job:
    """
    Something to be done in a write transaction, and who waits for it.
    """

    run: Callable[[LmdbTables], Any]
    prepare: Callable[[LmdbTables], tuple[list[bytes], list[bytes]]] | None = None
    """Runs before any job of the group does; returns native keys and groups that will be asked for."""
    size_bytes: int = 0
    future: "asyncio.Future[Any] | None" = None


@dataclass(slots=True)
class SyncTimes:
    """
    How long commits took, as a histogram.
    """

    bounds: tuple[float, ...] = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
    buckets: list[int] = field(default_factory=lambda: [0] * 11)
    total_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """
        Count one commit.
        """
        self.total_seconds += seconds
        place = next((i for i, bound in enumerate(self.bounds) if seconds <= bound), len(self.bounds))
        self.buckets[place] += 1


class Writer(Thread):
    """
    Runs jobs in groups, each group in one durable transaction.
    """

    def __init__(
        self,
        env: lmdb.Environment,
        dbs: Databases,
        mirror: Mirror,
        *,
        clock: Callable[[], float] = time,
        committed: Callable[[], None] = lambda: None,
        press: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """
        Set up; ``start`` begins.

        Args:
            committed: Called in this thread after every commit.
            press: Called in this thread when senders begin to press, and when they no longer do.
        """
        super().__init__(name="journal-writer", daemon=True)
        self.env = env
        self.dbs = dbs
        self.mirror = mirror
        self.gate = Gate()
        self.sync_times = SyncTimes()
        self.dirty_checkpoints: set[str] = set()  # a mark follows the move in the mirror
        self._clock = clock
        self._committed = committed
        self._press = press
        self._pressed = False
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._at_work = False
        self._held: list[asyncio.Future[None]] = []
        self._turns = Lock()  # over the two above

    async def turn(self) -> None:
        """
        Return when this thread leaves the interpreter to others: when it waits for jobs, or for the disk.

        One interpreter runs one thread at a time. Who prepares jobs while a group is decided on only delays that
        group's sync, and then has nothing left to do beside it. One turn is waited for at most.
        """
        with self._turns:
            if not self._at_work:
                return
            turn = asyncio.get_running_loop().create_future()
            self._held.append(turn)
        await turn

    def submit(self, job: Job) -> None:
        """
        Queue a job.
        """
        self._queue.put(job)

    async def do(self, job: Job) -> Any:
        """
        Queue a job and return what came of it.
        """
        job.future = asyncio.get_running_loop().create_future()
        self.submit(job)
        return await job.future

    def forget(self, sinks: Collection[str]) -> bool:
        """
        Forget the checkpoints of sinks that are gone, before this thread starts; False if the disk still has them.
        """

        def run(tables: LmdbTables) -> None:
            for sink in sinks:
                tables.forget_checkpoint(sink)

        for sink in sinks:
            self.mirror.checkpoints.pop(sink, None)
        try:
            if sinks:
                self._transact([Job(run)])
        except (lmdb.Error, OSError) as error:
            log.warning("checkpoints could not be removed: %s", error, extra={"action": "checkpoint_left"})
            return False
        return True

    async def move(self, sink: str, to: Checkpoint | None, run: Callable[[LmdbTables], None]) -> None:
        """
        Do what moves or removes a checkpoint on the disk, and then the same in the mirror.

        The second follows the first even if the caller is cancelled. It is let go only then, so that whoever serves
        the sink next begins where the disk is, and neither sends the batch again nor buries its letters twice.
        """

        def follow(done: "asyncio.Future[None]") -> None:
            if done.exception() is None and to is not None:
                self.mirror.checkpoints[sink] = to
            elif done.exception() is None:
                self.mirror.checkpoints.pop(sink, None)

        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(follow)
        self.submit(Job(run, future=future))
        try:
            await asyncio.wait({future})  # leaves it alone when cancelled
        except asyncio.CancelledError:
            await asyncio.wait({future})
            raise
        future.result()

    def stop(self) -> None:
        """
        Finish what is queued, then end.
        """
        self._queue.put(None)
        self.join()

    def run(self) -> None:
        """
        Commit groups until told to stop.
        """
        stopping = False
        while not stopping:
            group, stopping = self._collect()
            self._note_pressure(len(group))
            if group or self.dirty_checkpoints:
                self._work(group)

    def _collect(self) -> tuple[list[Job], bool]:
        group: list[Job] = []
        size = 0
        try:
            job = self._queue.get(timeout=IDLE_SECONDS)
            while job is not None:
                group.append(job)
                size += job.size_bytes
                if len(group) >= GROUP_JOBS or size >= GROUP_BYTES:
                    return group, False
                job = self._queue.get_nowait()
        except Empty:
            return group, False
        return group, True

    def _note_pressure(self, jobs: int) -> None:
        pressed = jobs >= (PRESSED_JOBS // 2 if self._pressed else PRESSED_JOBS)
        if pressed is not self._pressed:
            self._pressed = pressed
            self._press(pressed)

    def _work(self, group: list[Job]) -> None:
        try:
            results = self._transact(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, each job gets its own chance or its error
            if len(group) > 1:
                for job in group:
                    self._work([job])
            elif group:
                _finish(group, [_translated(error)])
            else:
                log.warning("checkpoints could not be written: %s", error, extra={"action": "journal_write"})
            return
        _finish(group, results)
        self._committed()

    def _transact(self, group: list[Job]) -> list[Any]:
        """
        Run the jobs in one transaction and commit it, growing the map as often as it takes.
        """
        while True:
            try:
                return self._attempt(group)
            except lmdb.MapFullError:
                self._restore_mirror()
                self._grow()
            except BaseException:
                self._restore_mirror()
                raise

    def _attempt(self, group: list[Job]) -> list[Any]:
        marks = self._take_marks()
        try:
            with self.env.begin(write=True) as txn:
                with self._working():
                    tables = LmdbTables(txn, self.dbs, self.mirror, now=self._clock())
                    moved = {sink: self.mirror.checkpoints.get(sink) for sink in marks}
                    # ahead of the jobs: one that moves or forgets a checkpoint itself has the last word
                    tables.set_checkpoints({sink: found for sink, found in moved.items() if found})
                    wanted = [job.prepare(tables) for job in group if job.prepare]
                    natives = [key for keys, _ in wanted for key in keys]
                    tables.prefetch(natives, [key for _, keys in wanted for key in keys])
                    results = [job.run(tables) for job in group]
                    tables.flush()
                began = perf_counter()
        except BaseException:
            self.dirty_checkpoints |= marks
            raise
        self.sync_times.add(perf_counter() - began)
        return results

    def _take_marks(self) -> set[str]:
        """
        Return whose checkpoints are to be written, and take their marks away before any of them is read.

        One that moves after it was read is marked again, and so written with the next group.
        """
        marks = set(self.dirty_checkpoints)
        self.dirty_checkpoints -= marks
        return marks

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._at_work = True
        try:
            yield
        finally:
            with self._turns:
                self._at_work = False
                held, self._held = self._held, []
            _hand_over([(turn, None) for turn in held])

    def _restore_mirror(self) -> None:
        """
        Read the mirror again, because an abandoned transaction has changed it.
        """
        with self.env.begin() as txn:
            fresh = load(txn, self.dbs)
        for name in fresh.__struct_fields__:
            if name != "checkpoints":  # newer than the database's, not the transaction's, and moved meanwhile
                setattr(self.mirror, name, getattr(fresh, name))

    def _grow(self) -> None:
        with self.gate.closed():
            size = self.env.info()["map_size"]
            self.env.set_mapsize(size + min(size, LARGEST_STEP_BYTES))


def _translated(error: Exception) -> Exception:
    """
    Return what a caller can act on, for an error of the database.
    """
    if isinstance(error, lmdb.Error | OSError):
        return Unavailable(f"The journal could not be written: {error}.", action="Check the disk.")
    return error


def _finish(group: Sequence[Job], results: Sequence[Any]) -> None:
    """
    Hand results over to those who wait; an exception is raised there.
    """
    done = zip(group, results, strict=True)
    _hand_over([(job.future, result) for job, result in done if job.future is not None])


def _hand_over(done: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    """
    Settle futures from this thread, each event loop's at once: every call wakes it, to take turns with this thread.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for future, result in done:
        by_loop.setdefault(future.get_loop(), []).append((future, result))
    for loop, finished in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, finished)


def _settle(finished: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, result in finished:
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
