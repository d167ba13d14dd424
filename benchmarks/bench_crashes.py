"""
Thousands of kills of a journal's process, and long histories of records told twice and badly.

Both are the tests' own attacks, run for longer. A kill comes at a random moment, within a transaction, or between a
commit and its answers; what was answered is then held against the journal, record by record. The histories go
through the rules of identity: as many entries as events, each record in one place. A figure other than 0 for lost
or doubled never shows here, because the first one stops the run with the seed that brings it back.

The kills take longer than people wait. Each journal is counted in ``.bench-crashes/`` as soon as it is judged, so a
run that is ended goes on behind it, unless the sources changed meanwhile: then their kills say nothing of these.
"""

import json
import subprocess
import sys
import tempfile
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from random import Random
from time import perf_counter

from msgspec import Struct
from msgspec.json import decode, encode

from benchmarks.program import CHECKOUT
from benchmarks.row import Row
from onelogin_connector.event import Kind
from tests.simulation.test_identity import MANNERS, take_in
from tests.simulation.world import misplaced, rows_of, tell

ROUNDS = 100  # a process each; the story of a journal grows with them, and with it the judgement
KILLS = 3_000
TALLY = CHECKOUT / ".bench-crashes" / "tally.json"
KILLED = ("journal/*.py", "event.py", "identity.py", "matching.py")
KILLERS = ("crashes.py", "world.py")


class Judged(Struct):
    """
    One journal, killed and judged.
    """

    version: str
    """Of the sources that were killed."""
    kills: int
    answered: int
    """Requests."""
    records: int
    """In them."""
    seconds: float


def run(quick: bool) -> list[Row]:
    """
    Kill, and tell histories.
    """
    if quick:
        with tempfile.TemporaryDirectory() as folder:
            return [*_kills(1, Path(folder, "tally")), *_histories(4, 100)]
    rows = [*_kills(KILLS, TALLY), *_histories(60, 300)]
    TALLY.unlink()
    return rows


def _kills(wanted: int, tally: Path) -> list[Row]:
    """
    Kill one journal after another until there were so many kills, those of ended runs included.
    """
    version = version_of(CHECKOUT)
    others = [each for each in judged(tally) if each.version != version]
    journals = [each for each in judged(tally) if each.version == version]
    while sum(each.kills for each in journals) < wanted:
        start = perf_counter()
        # in a process of one thread, because it forks those that die
        command = [sys.executable, "-m", "benchmarks.bench_crashes", f"bench {len(journals)}", str(ROUNDS)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=CHECKOUT)
        kills, answered, records = json.loads(done.stdout)
        journals.append(Judged(version, kills, answered, records, perf_counter() - start))
        keep(tally, [*others, *journals])
    killed = sum(each.kills for each in journals)
    return [
        Row("kills of a journal", killed, "processes"),
        Row("requests acknowledged around them", sum(each.answered for each in journals), "requests"),
        Row("records in them", sum(each.records for each in journals), "records"),
        Row("acknowledged and lost", 0, "records", goal="0"),
        Row("doubled", 0, "records", goal="0"),
        Row("kills per second, judged", killed / sum(each.seconds for each in journals), "1/s"),
    ]


def version_of(checkout: Path) -> str:
    """
    Return a name for the sources that the kills are about.
    """
    program, attack = checkout / "src" / "onelogin_connector", checkout / "tests" / "simulation"
    paths = [path for pattern in KILLED for path in sorted(program.glob(pattern))]
    paths += [attack / name for name in KILLERS]
    return blake2b(b"\0".join(path.read_bytes() for path in paths), digest_size=8).hexdigest()


def judged(tally: Path) -> list[Judged]:
    """
    Return the journals that ended runs counted, of whatever sources.
    """
    return decode(tally.read_bytes(), type=list[Judged]) if tally.exists() else []


def keep(tally: Path, journals: list[Judged]) -> None:
    """
    Write the count down; whoever ends the run meanwhile leaves the count before.
    """
    tally.parent.mkdir(exist_ok=True)
    new = tally.with_suffix(".new")
    new.write_bytes(encode(journals))
    new.replace(tally)


def _histories(seeds: int, events: int) -> list[Row]:
    told = records = 0
    start = perf_counter()
    for name, manner in MANNERS.items():
        for seed in range(seeds):
            where = f"manner {name!r}, seed {seed}"
            story = tell(Random(f"bench {name} {seed}"), manner, events)
            log = take_in(story, rounds=manner.rounds).log
            rows = rows_of(log)
            assert len(rows) == len(story.delivered), f"{where}: {len(rows)} entries"
            assert manner.both or misplaced(list(rows.values()), story) == 0, f"{where}: misplaced"
            assert sum(entry.kind == Kind.ENTRY for entry in log) == len(rows), where
            told += len(story.delivered)
            records += sum(map(len, story.arrivals))
    seconds = perf_counter() - start
    return [
        Row("events of random histories, one entry each", told, "events"),
        Row("records that told them", records, "records"),
        Row("histories judged", records / seconds, "records/s"),
    ]


def main(seed: str, rounds: int) -> None:
    """
    Kill one journal's process so many times; prints kills, requests answered and their records.
    """
    crashes = import_module("tests.simulation.crashes")
    _, requests = crashes.requests_of(seed, rounds)
    with tempfile.TemporaryDirectory(dir=CHECKOUT, prefix=".bench-") as folder:
        counts = list(crashes.crash(Path(folder, "journal"), seed, rounds))
    print(json.dumps([len(counts), len(requests), sum(map(len, requests))]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
