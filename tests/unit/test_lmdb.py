"""
What is the embedded journal's own: full disks, growth, readers, poison, lost and restored files.
"""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lmdb
import pytest
from msgspec import msgpack

from onelogin_connector.errors import ConfigError, HourPruned, JournalFull, Unavailable
from onelogin_connector.event import Event, Flag, Kind, Offset, Way
from onelogin_connector.journal.base import Checkpoint, Held, NewDeadLetter
from onelogin_connector.journal.intake import Intake
from onelogin_connector.journal.letters import RING_STEP
from onelogin_connector.journal.lmdb import LmdbJournal
from tests.contract.test_journal import api, event
from tests.simulation.world import rows_of

pytestmark = pytest.mark.anyio

HOUR = 1_790_000_000 // 3_600
DAYS = 86_400


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def open_journal(path: Path, **options: Any) -> LmdbJournal:
    """Open a journal that does not look at this machine's disk."""
    return LmdbJournal(path, **{"reserve_bytes": 0, **options})


def kept(journal: LmdbJournal, sink: str) -> Checkpoint | None:
    """Return a sink's checkpoint as the disk has it."""
    with journal._env.begin() as txn:
        found = txn.get(sink.encode(), db=journal._dbs.checkpoints)
    return None if found is None else msgpack.decode(found, type=Checkpoint)


class SlowDisk:
    """A journal's disk that holds every commit until it may end, and then may refuse it."""

    def __init__(self, journal: LmdbJournal) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        self.is_broken = False
        self._env = journal._env
        journal._writer.env = self  # type: ignore[assignment]

    @contextmanager
    def begin(self, *, write: bool = False) -> Iterator[Any]:
        """Begin a transaction."""
        with self._env.begin(write=write) as txn:
            yield txn
            if write:
                self.began.set()
                assert self.may_end.wait(60)
                if self.is_broken:
                    raise OSError(5, "Input/output error")


async def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    """Everything that is told again after a restart is known, and offsets and checkpoints go on."""
    journal = open_journal(tmp_path)
    await journal.append([event(1), event(2)])
    await journal.advance("store", Checkpoint(offset=2, delivered=2))
    epoch = journal.epoch
    await journal.close()
    journal = open_journal(tmp_path)
    receipt = await journal.append([event(1), api(2), event(3)])
    assert (receipt.entries, receipt.twins, receipt.duplicates) == (1, 1, 1)
    assert journal.epoch == epoch
    assert journal.checkpoint("store") == Checkpoint(offset=2, delivered=2)
    assert [entry.offset for entry in journal.read(Offset(0))] == [1, 2, 3, 4]
    assert journal.counts()["acme"].duplicates == 1
    await journal.close()


async def test_a_checkpoint_needs_no_append(tmp_path: Path) -> None:
    """Without traffic a checkpoint gets a group of its own soon."""
    journal = open_journal(tmp_path)
    await journal.advance("store", Checkpoint(offset=7))
    async with asyncio.timeout(60):
        while kept(journal, "store") is None:
            await asyncio.sleep(0.01)
    assert kept(journal, "store") == Checkpoint(offset=7)
    await journal.close()


async def test_the_newest_checkpoint_is_the_one_on_disk(tmp_path: Path) -> None:
    """One that is durable at once is not written over by the one before, which waits for a group to ride in."""
    letter = NewDeadLetter("acme", "delivery", "no", b"{}", sink="store", offset=6)
    for dead, at_once in (([letter], False), ([], True)):
        path = tmp_path / str(at_once)
        journal = open_journal(path)
        await journal.advance("store", Checkpoint(offset=5))
        await journal.advance("store", Checkpoint(offset=6, owed=[(1, 2)]), dead, at_once=at_once)
        assert kept(journal, "store") == Checkpoint(offset=6, owed=[(1, 2)])
        await journal.close()


async def test_a_checkpoint_that_moves_during_a_commit_is_written(tmp_path: Path) -> None:
    """Also if nothing is written after it: an orderly stop keeps the newest."""
    journal = open_journal(tmp_path)
    disk = SlowDisk(journal)
    await journal.advance("store", Checkpoint(offset=1))
    append = asyncio.create_task(journal.append([event(1)]))
    assert await asyncio.to_thread(disk.began.wait, 60)
    await journal.advance("store", Checkpoint(offset=2))
    disk.may_end.set()
    await append
    await journal.close()
    journal = open_journal(tmp_path)
    assert journal.checkpoint("store") == Checkpoint(offset=2)
    await journal.close()


@pytest.mark.parametrize("forgets", [False, True], ids=["advance", "forget"])
async def test_a_checkpoint_outlives_the_failure_of_the_next(tmp_path: Path, forgets: bool) -> None:
    """What waits for a group to ride in still waits when the group fails, or the job for its own sink."""
    journal = open_journal(tmp_path)
    disk = SlowDisk(journal)
    disk.may_end.set()
    disk.is_broken = True
    await journal.advance("store", Checkpoint(offset=5))
    newer = Checkpoint(offset=6)
    with pytest.raises(Unavailable, match="Check the disk"):
        await (journal.forget("store") if forgets else journal.advance("store", newer, at_once=True))
    disk.is_broken = False
    await journal.close()
    journal = open_journal(tmp_path)
    assert journal.checkpoint("store") == Checkpoint(offset=5)
    await journal.close()


@pytest.mark.parametrize("times", [1, 2])
async def test_who_is_cancelled_during_a_commit_leaves_what_the_disk_has(tmp_path: Path, times: int) -> None:
    """Who moves a checkpoint is let go when it has moved; who is cancelled again goes at once, and it moves."""
    letter = NewDeadLetter("acme", "delivery", "no", b"{}", sink="store", offset=6)
    journal = open_journal(tmp_path)
    await journal.advance("gone", Checkpoint(offset=5))
    disk = SlowDisk(journal)
    moving = [
        asyncio.create_task(journal.advance("store", Checkpoint(offset=6), [letter])),
        asyncio.create_task(journal.forget("gone")),
    ]
    assert await asyncio.to_thread(disk.began.wait, 60)
    for _ in range(times):
        for task in moving:
            task.cancel()
        for _ in range(20):  # the cancelling goes through; nothing else can happen, since the disk is held
            await asyncio.sleep(0)
    assert [task.done() for task in moving] == [times > 1] * 2
    disk.may_end.set()
    await asyncio.gather(*moving, return_exceptions=True)
    assert all(task.cancelled() for task in moving)
    await journal.append([event(1)])  # behind both
    assert (journal.checkpoint("store"), journal.checkpoint("gone")) == (Checkpoint(offset=6), Checkpoint())
    assert (kept(journal, "store"), kept(journal, "gone")) == (Checkpoint(offset=6), None)
    assert len(journal.dead_letters()) == 1
    await journal.close()


async def test_a_sink_that_moves_while_it_is_forgotten_stops_nobody(tmp_path: Path) -> None:
    """A mark of a sink that is gone is no reason for a group to fail."""
    journal = open_journal(tmp_path)
    disk = SlowDisk(journal)
    forgetting = asyncio.create_task(journal.forget("gone"))
    assert await asyncio.to_thread(disk.began.wait, 60)
    await journal.advance("gone", Checkpoint(offset=7))
    disk.may_end.set()
    await forgetting
    assert (await journal.append([event(1)])).entries == 1
    assert journal.checkpoint("gone") == Checkpoint()
    await journal.close()


async def test_a_forgotten_checkpoint_stays_forgotten(tmp_path: Path) -> None:
    """Also one that had just been moved; that of others stays, and a sink of its name begins at the beginning."""
    journal = open_journal(tmp_path)
    await journal.advance("other", Checkpoint(offset=3))
    for _ in range(20):
        await journal.advance("gone", Checkpoint(offset=7))
        await journal.forget("gone")
        await journal.forget("gone")
    assert journal.checkpoint("gone") == Checkpoint()
    await journal.close()
    journal = open_journal(tmp_path)
    assert journal.checkpoint("gone") == Checkpoint()
    assert journal.checkpoint("other") == Checkpoint(offset=3)
    await journal.advance("gone", Checkpoint(offset=9), at_once=True)
    await journal.close()
    journal = open_journal(tmp_path, forget=["gone", "never there"])
    assert journal.checkpoint("gone") == Checkpoint()
    assert journal.checkpoint("other") == Checkpoint(offset=3)
    await journal.close()


async def test_the_map_grows_while_others_read(tmp_path: Path) -> None:
    """The writer grows the map between reads; nobody sees an error, nothing is lost."""
    journal = open_journal(tmp_path, map_bytes=1 << 18)
    stop = threading.Event()
    failures: list[BaseException] = []

    def read_on() -> None:
        try:
            while not stop.wait(0.001):
                journal.read(Offset(0), records=50)
                journal.dead_letters()
        except BaseException as error:  # noqa: BLE001 - it must reach the test
            failures.append(error)

    readers = [threading.Thread(target=read_on) for _ in range(3)]
    for reader in readers:
        reader.start()
    for start in range(0, 4_000, 400):
        await journal.append([event(start + number, notes="x" * 900) for number in range(400)])
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert journal.stats()["entries"] == 4_000
    assert journal._env.info()["map_size"] > 1 << 18
    await journal.close()


async def test_growth_waits_for_a_pinned_reader(tmp_path: Path) -> None:
    """A read that takes long holds the growth up, and the append succeeds once it is over."""
    journal = open_journal(tmp_path, map_bytes=1 << 18)
    await journal.append([event(0)])
    with journal._writer.gate, journal._env.begin():
        appending = asyncio.create_task(
            journal.append([event(number, notes="x" * 900) for number in range(1, 600)])
        )
        done, _ = await asyncio.wait({appending}, timeout=0.3)
        assert not done
    assert (await appending).entries == 599
    await journal.close()


async def test_a_poison_request_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When one request of a group cannot be taken in, the others are, and nothing of it stays."""
    journal = open_journal(tmp_path)
    admit = Intake.admit

    def poisoned(self: Intake, records: Any, dead: Any) -> Any:
        receipt = admit(self, records, dead)
        if any(placed.record.event.fields.notes == "poison" for placed in records):
            raise ZeroDivisionError("poison")
        return receipt

    monkeypatch.setattr(Intake, "admit", poisoned)
    requests = [[event(number), event(number + 100)] for number in range(20)]
    requests[7] = [event(7), event(107, notes="poison")]
    results = await asyncio.gather(*(journal.append(each) for each in requests), return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, Exception)] == [7]
    assert isinstance(results[7], ZeroDivisionError)
    natives = {entry.native for entry in journal.read(Offset(0))}
    assert natives == {each.native for number, each_ in enumerate(requests) if number != 7 for each in each_}
    assert journal.counts()["acme"].events == 38
    monkeypatch.undo()
    assert (await journal.append([event(7)])).entries == 1
    await journal.close()


@pytest.mark.parametrize("poisoned", [False, True], ids=["kept", "refused"])
async def test_who_prepares_waits_while_a_group_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poisoned: bool
) -> None:
    """A turn comes at once in an idle journal, and otherwise when the deciding ends, however it ends."""
    began, may_end = threading.Event(), threading.Event()
    admit = Intake.admit

    def slowly(self: Intake, records: Any, dead: Any) -> Any:
        began.set()
        assert may_end.wait(60)
        if poisoned:
            raise ZeroDivisionError("poison")
        return admit(self, records, dead)

    monkeypatch.setattr(Intake, "admit", slowly)
    journal = open_journal(tmp_path)
    await asyncio.wait_for(journal.turn(), 60)
    append = asyncio.create_task(journal.append([event(1)]))
    assert await asyncio.to_thread(began.wait, 60)
    turns = [asyncio.create_task(journal.turn()) for _ in range(5)]
    turns[0].cancel()  # a sender that went away meanwhile
    await asyncio.sleep(0.05)
    assert [turn.done() for turn in turns] == [True, False, False, False, False]
    may_end.set()
    await asyncio.wait_for(asyncio.gather(*turns[1:]), 60)
    with pytest.raises(ZeroDivisionError) if poisoned else nullcontext():
        await append
    await asyncio.wait_for(journal.turn(), 60)
    await journal.close()


async def test_turns_never_hang(tmp_path: Path) -> None:
    """Whoever waits for a turn gets it, beside any number of commits and wherever threads are switched."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the two threads meet in every place
    journal = open_journal(tmp_path)

    async def sender(number: int) -> None:
        for step in range(40):
            await journal.turn()
            await journal.append([event(1_000 * number + step)])

    try:
        await asyncio.wait_for(asyncio.gather(*map(sender, range(16))), 300)
    finally:
        sys.setswitchinterval(before)
    assert journal.last_offset == 640
    await journal.close()


async def test_pressure_is_told_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    """Many senders at once are pressure, a few are none, and each change is told once."""
    told: list[bool] = []
    journal = open_journal(tmp_path, press=told.append)
    for number in range(5):
        await journal.append([event(number)])
    assert told == []
    disk = SlowDisk(journal)
    for first in (100, 200, 300):  # the first of each is committed alone, and the others gather behind it
        disk.began.clear()
        disk.may_end.clear()
        alone = asyncio.create_task(journal.append([event(first)]))
        assert await asyncio.to_thread(disk.began.wait, 60)
        others = [asyncio.create_task(journal.append([event(first + number)])) for number in range(1, 60)]
        async with asyncio.timeout(60):
            while journal._writer._queue.qsize() < len(others):
                await asyncio.sleep(0.001)
        disk.may_end.set()
        await asyncio.gather(alone, *others)
    for number in range(5):
        await journal.append([event(400 + number)])
    assert told == [True, False] * 3
    await journal.close()


async def test_intake_stops_at_the_reserve(tmp_path: Path) -> None:
    """Below the reserve nothing more comes in, and the error says what to do; checkpoints still move."""
    free = [500]
    journal = open_journal(tmp_path, reserve_bytes=1_000, free_space=lambda _: (free[0], 10_000))
    with pytest.raises(JournalFull, match="Make room"):
        await journal.append([event(1)])
    assert "reserve" in journal.writable()
    await journal.advance("store", Checkpoint(offset=0), [NewDeadLetter("acme", "delivery", "no", b"{}")])
    free[0] = 5_000
    journal.space._seen_at = 0.0
    assert (await journal.append([event(1)])).entries == 1
    assert journal.writable() == ""
    await journal.close()


FULL_DISK = """
    import asyncio, resource, signal, sys
    from pathlib import Path
    from onelogin_connector.errors import Unavailable
    from onelogin_connector.journal.lmdb import LmdbJournal
    from tests.contract.test_journal import event

    async def main():
        journal = LmdbJournal(Path(sys.argv[1]), reserve_bytes=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        kept, refused = 0, 0
        for start in range(0, 4_000, 100):
            try:
                kept += (await journal.append([event(start + n, notes="x" * 900) for n in range(100)])).entries
            except Unavailable:
                refused += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = (await journal.append([event(n, notes="x" * 900) for n in range(4_000)])).entries
        assert kept and refused and kept + again == 4_000, (kept, refused, again)
        assert len({e.native for e in journal.read(0, records=9_999, size_bytes=1 << 30)}) == 4_000
        await journal.close()
        print("ok")

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asyncio.run(main())
"""


def in_a_process(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script whose limits must not be those of the tests."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def test_a_full_disk_is_an_error_and_no_loss(tmp_path: Path) -> None:
    """When the file cannot grow, appends fail as Unavailable; with room again everything goes on."""
    run = in_a_process(FULL_DISK, tmp_path / "j")
    assert run.stdout == "ok\n", run.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


READ_ONLY_START = """
    import resource, sys
    from pathlib import Path
    from onelogin_connector.event import Offset
    from onelogin_connector.journal.base import Checkpoint
    from onelogin_connector.journal.lmdb import LmdbJournal

    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))
    journal = LmdbJournal(Path(sys.argv[1]), reserve_bytes=0, forget=["gone"])
    assert not journal.has_forgotten
    assert journal.checkpoint("gone") == Checkpoint()
    assert journal.checkpoint("other") == Checkpoint(offset=3)
    assert [entry.offset for entry in journal.read(Offset(0))] == [1]
    journal._writer.stop()
    print("ok")
"""


async def test_a_full_disk_at_start_is_no_damage(tmp_path: Path) -> None:
    """The journal opens without the checkpoint that cannot be removed; a start with room again removes it."""
    journal = open_journal(tmp_path)
    await journal.append([event(1)])
    for sink in ("gone", "other"):
        await journal.advance(sink, Checkpoint(offset=3), at_once=True)
    await journal.close()
    run = in_a_process(READ_ONLY_START, tmp_path)
    assert run.stdout == "ok\n", run.stderr
    journal = open_journal(tmp_path)
    assert kept(journal, "gone") == Checkpoint(offset=3)
    await journal.close()
    journal = open_journal(tmp_path, forget=["gone"])
    assert journal.has_forgotten
    assert kept(journal, "gone") is None
    assert kept(journal, "other") == Checkpoint(offset=3)
    await journal.close()
    journal = open_journal(tmp_path, forget=["gone"])
    assert journal.has_forgotten
    assert (kept(journal, "gone"), kept(journal, "other")) == (None, Checkpoint(offset=3))
    await journal.close()


async def test_a_full_map_is_grown_at_start(tmp_path: Path) -> None:
    """A journal that was opened with no page to spare still forgets."""
    journal = open_journal(tmp_path)
    await journal.append([event(number, notes="x" * 900) for number in range(600)])
    await journal.advance("gone", Checkpoint(offset=3), at_once=True)
    await journal.close()
    journal = open_journal(tmp_path, forget=["gone"], map_bytes=1 << 18)
    assert journal.has_forgotten
    assert kept(journal, "gone") is None
    await journal.close()


def test_a_disk_without_room_is_said_to_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is met after the file was opened: nobody is told to restore a backup."""

    def load(*_: object) -> None:
        raise lmdb.DiskError("No space left on device")

    monkeypatch.setattr("onelogin_connector.journal.opening.load", load)
    with pytest.raises(ConfigError, match="Make room on that disk"):
        open_journal(tmp_path)


async def test_readers_of_dead_processes_are_cleared(tmp_path: Path) -> None:
    """What a killed process left in the reader table does not pin pages for ever."""
    journal = open_journal(tmp_path)
    await journal.append([event(1)])
    code = """
        import lmdb, os, signal, sys
        env = lmdb.open(sys.argv[1], max_dbs=16, readonly=True)
        txn = env.begin()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert journal.check_readers() == 1
    assert journal.check_readers() == 0
    await journal.close()


async def test_pruning_keeps_what_is_owed_or_young(tmp_path: Path) -> None:
    """Records leave only when every sink has them and they are old; their keys stay."""
    clock = Clock()
    journal = open_journal(tmp_path, clock=clock, keep_delivered_hours=1)
    await journal.append([event(number) for number in range(600)])
    assert await journal.prune(Offset(600)) == 0
    clock.now += 3_601
    await journal.append([event(number) for number in range(600, 700)])
    assert await journal.prune(Offset(300)) == 256  # whole blocks
    assert await journal.prune(Offset(700)) == 344
    assert [entry.offset for entry in journal.read(Offset(0))][:1] == [601]
    assert (await journal.append([event(5)])).duplicates == 1
    await journal.close()
    journal = open_journal(tmp_path, clock=clock, keep_delivered_hours=0)
    clock.now += 10
    assert await journal.prune(Offset(700)) == 100
    await journal.close()
    journal = open_journal(tmp_path, clock=clock)
    await journal.append([event(9_000)])
    assert journal.last_offset == 701, "offsets go on after everything was pruned"
    await journal.close()


def recalling(held: dict[int, list[Held] | None], asked: list[int]) -> Callable[[int], Any]:
    """Return a store's part of bringing keys back."""

    async def recall(hour: int) -> list[Held] | None:
        asked.append(hour)
        return held.get(hour, [])

    return recall


def held_of(journal: LmdbJournal) -> list[Held]:
    """Return what a store would hold of a journal's records."""
    entries = journal.read(Offset(0))
    natives = {entry.raw: entry.native for entry in entries}
    return [
        Held(key, "acme", 1, [(natives[raw], raw) for raw in (row.webhook, row.api) if raw])
        for key, row in rows_of(entries).items()
    ]


async def prepare_pruned(path: Path, clock: Clock, **options: Any) -> tuple[LmdbJournal, list[Held]]:
    """Return a journal whose keys were pruned, and what the store holds."""
    journal = open_journal(path, clock=clock, **options)
    await journal.append([event(1), event(2), api(2), event(3, user_id=2), api(4)])
    held = held_of(journal)
    clock.now += 8 * DAYS
    assert await journal.prune_keys(Offset(4)) == 0, "the hour's last record is not in every sink yet"
    assert await journal.prune_keys(Offset(5)) == 10
    return journal, held


async def test_pruned_keys_come_back_from_the_store(tmp_path: Path) -> None:
    """A record of a pruned hour is recognised, as a repeat, as a twin, and as new."""
    asked: list[int] = []
    held: dict[int, list[Held] | None] = {}
    journal, held[HOUR] = await prepare_pruned(tmp_path, Clock(), recall=recalling(held, asked))
    receipt = await journal.append([event(1), api(1), api(2), event(2), event(4), event(9)])
    assert (receipt.entries, receipt.twins, receipt.duplicates) == (1, 2, 3)
    assert (await journal.append([api(3, user_id=2), api(9)])).twins == 2
    assert set(asked) == {HOUR}
    assert len(asked) == 1
    assert all(not entry.flags for entry in journal.read(Offset(0)))
    await journal.close()


async def test_records_of_pruned_hours_without_a_store(tmp_path: Path) -> None:
    """A webhook is kept and marked; an import is refused unless a person accepts duplicates."""
    journal, _ = await prepare_pruned(tmp_path, Clock())
    with pytest.raises(HourPruned, match="accept duplicates"):
        await journal.append([event(1, way=Way.IMPORT)])
    assert (await journal.append([event(1)])).entries == 1
    assert (await journal.append([event(1)])).duplicates == 1
    receipt = await journal.append([event(2, way=Way.IMPORT)], accept_duplicates=True)
    assert receipt.entries == 1
    assert [entry.flags for entry in journal.read(Offset(5))] == [Flag.UNVERIFIED, Flag.UNVERIFIED]
    assert journal.counts()["acme"].unverified == 2
    await journal.close()


async def test_hours_the_store_has_given_up(tmp_path: Path) -> None:
    """When the store does not hold the hour any more either, the record is kept and marked."""
    held: dict[int, list[Held] | None] = {HOUR: None}
    journal, _ = await prepare_pruned(tmp_path, Clock(), recall=recalling(held, []))
    await journal.append([event(1)])
    assert journal.read(Offset(5))[0].flags == Flag.UNVERIFIED
    await journal.close()


async def test_a_lost_journal_asks_the_store(tmp_path: Path) -> None:
    """After a renewal every hour is brought back first, so that the new journal doubles nothing."""
    first = open_journal(tmp_path / "lost")
    await first.append([event(1), api(1), event(2)])
    held = held_of(first)
    await first.close()
    asked: list[int] = []
    journal = open_journal(tmp_path / "new", recall=recalling({HOUR: held}, asked))
    epoch = journal.epoch
    await journal.renew()
    receipt = await journal.append([event(1), api(1), api(2), event(3)])
    assert journal.epoch != epoch
    assert (receipt.entries, receipt.twins, receipt.duplicates) == (1, 1, 2)
    assert asked == [HOUR]
    twin = next(entry for entry in journal.read(Offset(0)) if entry.kind == Kind.TWIN)
    assert twin.of == held[1].key
    await journal.close()


async def test_concurrent_requests_recall_an_hour_once(tmp_path: Path) -> None:
    """Many requests for one pruned hour share one question to the store."""
    asked: list[int] = []
    held: dict[int, list[Held] | None] = {}
    journal, held[HOUR] = await prepare_pruned(tmp_path, Clock(), recall=recalling(held, asked))
    receipts = await asyncio.gather(*(journal.append([event(number)]) for number in (1, 2, 3, 50, 51)))
    assert sum(receipt.entries for receipt in receipts) == 2
    assert asked == [HOUR]
    await journal.close()


async def test_the_ring_of_hostile_requests_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies without JSON are bounded per connector; acknowledged records' letters are not."""
    monkeypatch.setattr("onelogin_connector.journal.letters.RING_LETTERS", 10)
    journal = open_journal(tmp_path)
    await journal.append([], NewDeadLetter("acme", "record", "bad", b"kept"))
    for number in range(3 * RING_STEP):
        await journal.bury(NewDeadLetter("acme", "request", "no JSON", b"%d" % number))
    letters = journal.dead_letters(limit=1_000)
    assert letters[0].body == b"kept"
    assert 10 <= len(letters) <= 11 + RING_STEP
    assert letters[-1].body == b"%d" % (3 * RING_STEP - 1)
    await journal.close()


async def test_a_backup_is_a_journal(tmp_path: Path) -> None:
    """A copy made under load opens as a journal that knows what was there."""
    journal = open_journal(tmp_path / "j")
    await journal.append([event(number) for number in range(100)])
    more = [asyncio.create_task(journal.append([event(number)])) for number in range(100, 200)]
    await journal.backup(tmp_path / "copy")
    await asyncio.gather(*more)
    await journal.close()
    copy = open_journal(tmp_path / "copy")
    assert (await copy.append([event(number) for number in range(100)])).duplicates == 100
    assert copy.epoch
    await copy.close()


async def test_the_time_rule_is_counted_both_ways(tmp_path: Path) -> None:
    """Where the API's fraction tells the rules apart, it is counted under which one twins meet."""
    journal = open_journal(tmp_path, time_rules={"acme": "round"})
    late = "2026-09-21T14:13:19.700Z"
    await journal.append([event(number) for number in range(3)])
    receipt = await journal.append([api(number, created_at=late) for number in range(3)])
    counts = journal.counts()["acme"]
    assert receipt.twins == 3
    assert (counts.api_records, counts.match_floor, counts.match_round) == (3, 0, 3)
    await journal.close()


async def test_contradictions_are_counted_by_field(tmp_path: Path) -> None:
    """Records that differ in one known field are two events, and the field is named."""
    journal = open_journal(tmp_path)
    await journal.append([event(1, policy_id=5, group_id=None)])
    receipt = await journal.append([api(1, policy_id=6, group_id=3)])
    assert receipt.entries == 1
    assert journal.counts()["acme"].contradictions == {"policy_id": 1}
    await journal.close()


async def test_a_closed_disk_is_unavailable(tmp_path: Path) -> None:
    """An error of the database reaches the caller as Unavailable, saying what to look at."""
    journal = open_journal(tmp_path)
    original = journal._writer.env

    class Broken:
        def begin(self, *, write: bool = False) -> Any:
            if write:
                raise OSError(5, "Input/output error")
            return original.begin()

    journal._writer.env = Broken()  # type: ignore[assignment]
    with pytest.raises(Unavailable, match="Check the disk"):
        await journal.append([event(1)])
    journal._writer.env = original
    assert (await journal.append([event(1)])).entries == 1
    await journal.close()


def test_crashes_lose_and_double_nothing(tmp_path: Path) -> None:
    """Hundreds of processes killed in mid-write leave a journal that holds what it answered, once."""
    for seed, rounds in (("first", 150), ("second", 150)):
        run = subprocess.run(
            [sys.executable, "-m", "tests.simulation.crashes", str(tmp_path / seed), seed, str(rounds)],
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": "src"},
        )
        assert run.returncode == 0, run.stderr
        assert int(run.stdout) > rounds // 2


def events_of_two_hours() -> list[Event]:
    """Return records on both sides of an hour's border."""
    before = event(1, event_timestamp="2026-09-21 13:59:59 UTC", notes="Correlation_id: 1")
    after = api(1, created_at="2026-09-21T14:00:00.200Z", notes="Correlation_id: 1")
    return [before, after]


async def test_a_pair_across_the_border_of_an_hour(tmp_path: Path) -> None:
    """Keys of both hours are brought back when only one record's hour was touched."""
    clock = Clock()
    asked: list[int] = []
    held: dict[int, list[Held] | None] = {}
    journal = open_journal(tmp_path, clock=clock, recall=recalling(held, asked))
    webhook, listed = events_of_two_hours()
    await journal.append([webhook])
    held[webhook.time_us // 3_600_000_000] = held_of(journal)
    clock.now += 8 * DAYS
    await journal.prune_keys(Offset(1))
    receipt = await journal.append([listed])
    assert (receipt.entries, receipt.twins) == (0, 1)
    await journal.close()


@pytest.mark.parametrize("share", [0.1, 0.34, 0.7, 0.95])
async def test_a_truncated_file_is_no_crash(tmp_path: Path, share: float) -> None:
    """A file that lost its end is reported as damaged, or serves what is left; the process lives."""
    journal = open_journal(tmp_path)
    for start in range(0, 3_000, 300):
        await journal.append([event(start + number, notes="x" * 500) for number in range(300)])
    await journal.close()
    file = tmp_path / "data.mdb"
    os.truncate(file, int(file.stat().st_size * share))
    code = "import sys; from tests.unit.test_lmdb import *; open_journal(Path(sys.argv[1]))._writer.stop()"
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert run.returncode == 1, run.stderr
    assert "is damaged" in run.stderr
    assert "Restore a backup" in run.stderr


@pytest.mark.parametrize("damage", [b"\0" * 40_000, b"garbage" * 6_000])
async def test_a_file_of_something_else_is_said_to_be_damaged(tmp_path: Path, damage: bytes) -> None:
    """Whatever stands in the file, the message says what to do."""
    journal = open_journal(tmp_path)
    await journal.append([event(1)])
    await journal.close()
    (tmp_path / "data.mdb").write_bytes(damage)
    with pytest.raises(ConfigError, match="is damaged"):
        open_journal(tmp_path)


async def test_an_orphan_is_counted_as_an_entry(tmp_path: Path) -> None:
    """What became an event of its own later is no twin any more in the figures."""
    journal = open_journal(tmp_path)
    for record in (event(1, policy_id=1), api(1), api(2, user_id=1, policy_id=1)):
        await journal.append([record])
    counts = journal.counts()["acme"]
    assert (sum(counts.entries.values()), counts.twins) == (2, 1)
    await journal.close()


async def test_a_list_of_letters_does_not_read_their_bytes(tmp_path: Path) -> None:
    """A page of letters may hold gigabytes; their heads take none of it into memory."""
    journal = open_journal(tmp_path)
    for number in range(16):
        await journal.bury(NewDeadLetter("acme", "record", "odd", bytes([number]) * (1 << 20)))
    tracemalloc.start()
    try:
        heads = journal.letter_heads(limit=100)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [head.size_bytes for head in heads] == [1 << 20] * 16
    assert most < 1 << 18
    await journal.close()
