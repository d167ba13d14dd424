"""
What the program takes while nothing happens, and how soon it is back.

Start-up until ``/readyz`` says yes, resident anonymous memory when idle and after a load, what an event takes on
the disk in journal and store, at one size and at ten times that, and the time from a start after ``kill -9`` until
ready with many entries in the journal. That journal is filled beforehand (``benchmarks/filling.py``) with small
records, since what a start reads does not depend on their size; the store is off there, so that only the journal
is measured.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from time import sleep

from benchmarks.client import Plan, send
from benchmarks.program import CHECKOUT, NO_STORE, Program, running
from benchmarks.row import Row

SETTLE_SECONDS = 1.0


def run(quick: bool) -> list[Row]:
    """
    Measure all of it.
    """
    return [
        *_idle(2 if quick else 7),
        *_load(*((0.3, 2.7) if quick else (4.0, 36.0))),
        *(_after_kill(200_000, times=2) if quick else _after_kill(10_000_000, times=5)),
    ]


def _idle(times: int) -> list[Row]:
    starts, memory, again = [], [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory(dir=CHECKOUT, prefix=".bench-") as folder:
            program = Program(Path(folder))
            starts.append(program.start())
            sleep(SETTLE_SECONDS)
            memory.append(program.anonymous_mib)
            program.kill()
            again.append(program.start())
            program.kill()
    return [
        Row.of("first start until ready", starts, "s", goal="< 1.5"),
        Row.of("later start until ready", again, "s", goal="< 1.5"),
        Row.of("anonymous memory, idle", memory, "MiB", goal="< 114 (120 MB)"),
    ]


def _load(first_seconds: float, then_seconds: float) -> list[Row]:
    """
    Feed for a while, and then nine times as long.
    """
    rows = []
    with running() as program:
        taken = 0
        for series, seconds in ((2, first_seconds), (3, then_seconds)):
            plan = Plan(port=program.port, token=program.token, seconds=seconds, series=series)
            taken += send(plan).records
            fed = program.anonymous_mib
            program.drain()
            at = f"after {taken:,} events"
            rows += [
                Row.of(f"anonymous memory under load, {at}", [fed], "MiB"),
                Row.of(f"anonymous memory when all is delivered, {at}", [program.anonymous_mib], "MiB"),
                Row.of(
                    f"journal on disk, {at}", [_size(program.data_dir / "journal") / taken], "bytes/event"
                ),
                Row.of(f"store on disk, {at}", [_size(program.data_dir, "store*") / taken], "bytes/event"),
            ]
    return rows


def _after_kill(entries: int, *, times: int) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=CHECKOUT, prefix=".bench-") as folder:
        program = Program(Path(folder), settings=NO_STORE)
        program.start()
        program.kill()
        command = [sys.executable, "-m", "benchmarks.filling", str(program.data_dir / "journal")]
        subprocess.run([*command, str(entries)], check=True, cwd=CHECKOUT)
        starts, memory = [], []
        for series in range(times):
            program.start()
            send(Plan(port=program.port, token=program.token, seconds=0.3, series=series))
            program.kill()
            starts.append(program.start())
            memory.append(program.anonymous_mib)
            program.kill()
    title = f"with {entries:,} entries"
    return [
        Row.of(f"ready again after kill -9, {title}", starts, "s", goal="< 5"),
        Row.of(f"anonymous memory then, {title}", memory, "MiB"),
    ]


def _size(folder: Path, pattern: str = "*") -> int:
    """
    Return the bytes that files take on the disk, which may be less than their lengths.
    """
    return sum(path.stat().st_blocks * 512 for path in folder.rglob(pattern) if path.is_file())
