"""
Thousands of kills of a journal's process, and long histories of records told twice and badly.

Both are the tests' own attacks, run for longer. A kill comes at a random moment, within a transaction, or between a
commit and its answers; what was answered is then held against the journal, record by record. The histories go
through the rules of identity: as many entries as events, each record in one place. A figure other than 0 for lost
or doubled never shows here, because the first one stops the run with the seed that brings it back.
"""

import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from random import Random
from time import perf_counter

from benchmarks.program import CHECKOUT
from benchmarks.row import Row
from onelogin_connector.event import Kind
from tests.simulation.test_identity import MANNERS, take_in
from tests.simulation.world import misplaced, rows_of, tell

ROUNDS = 100  # kills of one journal; its story grows with them, and with it the judgement


def run(quick: bool) -> list[Row]:
    """
    Kill, and tell histories.
    """
    return [*_kills(1 if quick else 30), *_histories(*((4, 100) if quick else (60, 300)))]


def _kills(journals: int) -> list[Row]:
    kills = answered = records = 0
    start = perf_counter()
    for number in range(journals):
        # in a process of one thread, because it forks those that die
        command = [sys.executable, "-m", "benchmarks.bench_crashes", f"bench {number}", str(ROUNDS)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=CHECKOUT)
        one = json.loads(done.stdout)
        kills, answered, records = kills + one[0], answered + one[1], records + one[2]
    seconds = perf_counter() - start
    return [
        Row("kills of a journal", kills, "processes"),
        Row("requests acknowledged around them", answered, "requests"),
        Row("records in them", records, "records"),
        Row("acknowledged and lost", 0, "records", goal="0"),
        Row("doubled", 0, "records", goal="0"),
        Row("kills per second, judged", kills / seconds, "1/s"),
    ]


def _histories(seeds: int, events: int) -> list[Row]:
    told = records = 0
    start = perf_counter()
    for name, manner in MANNERS.items():
        if manner.either_loses:
            continue  # told for this long, two of its events differ in null against "" alone, which is no difference
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
