"""
Kill a journal's process at random points, again and again, and judge what is left.

Run as a program, so that a process of one thread forks those that die. Each round opens the journal where
the last one left it, goes on with the story as OneLogin would, repeating what got no answer, and is killed:
after a random time, within a transaction, or between a commit and its answers.
"""

import asyncio
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from onelogin_connector.event import Entry, Event, Offset
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.journal.tables import LmdbTables
from tests.simulation.world import Manner, Story, misplaced, rows_of, tell

AT_ONCE = 4
REQUESTS_A_ROUND = 40
LONGEST_ROUND_SECONDS = 0.03


def requests_of(seed: str, rounds: int) -> tuple[Story, list[list[Event]]]:
    """Return a story long enough for so many rounds."""
    story = tell(Random(seed), Manner(hidden=0.1, seconds=max(3, rounds)), rounds * 12)
    return story, story.arrivals


async def feed(path: Path, requests: list[list[Event]], first: int, answers: int, kill: Random) -> None:
    """Append requests, several at once, and write the number of each that was answered."""
    journal = LmdbJournal(path, reserve_bytes=0, map_bytes=1 << 20)
    plant(journal, kill)
    os.write(answers, b"open\n")
    numbers = iter(range(first, len(requests)))

    async def sender() -> None:
        for number in numbers:
            await journal.append(requests[number])
            os.write(answers, b"%d\n" % number)

    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
    await journal.close()


def plant(journal: LmdbJournal, kill: Random) -> None:
    """Choose where this process dies, unless the clock comes first."""
    where, commits = kill.choice(["clock", "transaction", "answer"]), kill.randrange(1, 12)
    seen = 0

    def die_at_last() -> None:
        nonlocal seen
        seen += 1
        if seen == commits:
            os.kill(os.getpid(), signal.SIGKILL)

    if where == "answer":
        journal._writer._committed = die_at_last  # the seam of this attack
    elif where == "transaction":
        flush = LmdbTables.flush

        def dying(tables: LmdbTables) -> None:
            flush(tables)
            die_at_last()

        LmdbTables.flush = dying  # type: ignore[method-assign]


def one_round(path: Path, requests: list[list[Event]], first: int, kill: Random) -> set[int]:
    """Run one process until it dies; returns the numbers of the requests it answered."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        asyncio.run(feed(path, requests[: first + REQUESTS_A_ROUND], first, writer, kill))
        os._exit(0)
    os.close(writer)
    seen = b""
    deadline = time.monotonic() + 10
    while chunk := _read(reader, deadline):
        if not seen:
            deadline = time.monotonic() + kill.uniform(0, LONGEST_ROUND_SECONDS)
        seen += chunk
    os.kill(child, signal.SIGKILL)
    while chunk := os.read(reader, 1 << 16):
        seen += chunk
    os.waitpid(child, 0)
    os.close(reader)
    complete = seen[: seen.rfind(b"\n") + 1].split()
    return {int(line) for line in complete if line != b"open"}


def _read(reader: int, deadline: float) -> bytes:
    ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
    return os.read(reader, 1 << 16) if ready else b""


def judge(path: Path, story: Story, requests: list[list[Event]], answered: set[int]) -> None:
    """Read the journal and hold it to what was answered."""
    entries = asyncio.run(_log(path))
    assert [entry.offset for entry in entries] == list(range(1, len(entries) + 1)), "offsets rise by one"
    held = {entry.native for entry in entries} | {entry.also for entry in entries}
    for number, events in enumerate(requests):
        there = [event.native in held for event in events]
        assert number not in answered or all(there), f"request {number} was answered and is not held"
    rows = rows_of(entries)
    if len(answered) == len(requests):
        assert len(rows) == len(story.delivered), "as many entries as events"
        assert misplaced(list(rows.values()), story) == 0, "each record in one place"


async def _log(path: Path) -> list[Entry]:
    journal = LmdbJournal(path, reserve_bytes=0, map_bytes=1 << 20)
    entries: list[Entry] = []
    while chunk := journal.read(Offset(len(entries))):
        entries += chunk
    await journal.close()
    return entries


def in_child(run: object, *arguments: object) -> bool:
    """Run a function in a process of its own, because LMDB is opened after a fork and never before."""
    child = os.fork()
    if child == 0:
        try:
            run(*arguments)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - it must reach the exit code
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def crash(path: Path, seed: str, rounds: int) -> Iterator[int]:
    """Kill so many processes; yields how many requests were answered after each."""
    story, requests = requests_of(seed, rounds)
    kill = Random(f"kill {seed}")
    answered: set[int] = set()
    for number in range(rounds):
        first = min(set(range(len(requests))) - answered, default=None)
        if first is None:
            break
        answered |= one_round(path, requests, first, Random(f"{seed} {number} {kill.random()}"))
        if number % 10 == 0 and not in_child(judge, path, story, requests, answered):
            raise SystemExit(f"seed {seed!r}: round {number} left the journal wrong")
        yield len(answered)
    # the rest in peace, and then everything has to be there
    first = min(set(range(len(requests))) - answered, default=len(requests))
    silent = os.open(os.devnull, os.O_WRONLY)
    if not in_child(lambda: asyncio.run(finish(path, requests, first, silent))):
        raise SystemExit(f"seed {seed!r}: the journal cannot be opened after the last crash")
    if not in_child(judge, path, story, requests, set(range(len(requests)))):
        raise SystemExit(f"seed {seed!r}: the end is wrong")


async def finish(path: Path, requests: list[list[Event]], first: int, answers: int) -> None:
    """Append what is left."""
    journal = LmdbJournal(path, reserve_bytes=0, map_bytes=1 << 20)
    for number in range(first, len(requests)):
        await journal.append(requests[number])
        os.write(answers, b"%d\n" % number)
    await journal.close()


if __name__ == "__main__":
    folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    killed = sum(1 for _ in crash(folder, name, count))
    print(killed)
