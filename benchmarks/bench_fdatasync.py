"""
What the disk itself can do: the same bytes written and synced, with nothing around them.

Two files are written: one that grows with every write, so that each sync also brings its new length to
disk, and one that was filled with zeros before, so that a sync brings its bytes alone. The second is the
limit of any durable log. Each sync follows one request's worth of events.
"""

import os
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.row import Row

EVENT_BYTES = 1_400  # a webhook event with its nulls
EVENTS_PER_SYNC = (1, 10, 100, 1_000)


def write_synced(path: Path, chunk: bytes, syncs: int, *, filled: bool) -> float:
    """
    Write a chunk so many times with a sync after each; returns seconds.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if filled:
            for _ in range(syncs):
                os.write(handle, bytes(len(chunk)))
            os.fsync(handle)
            os.lseek(handle, 0, os.SEEK_SET)
        start = perf_counter()
        for _ in range(syncs):
            os.write(handle, chunk)
            os.fdatasync(handle)
        return perf_counter() - start
    finally:
        os.close(handle)
        path.unlink()


def run(quick: bool) -> list[Row]:
    """
    Measure events per second for one, ten, a hundred and a thousand events per sync.
    """
    rows = []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        for events in EVENTS_PER_SYNC:
            syncs = (2_000 if events < 100 else 200) // (10 if quick else 1)
            chunk = os.urandom(EVENT_BYTES * events)
            growing = write_synced(Path(folder, "growing"), chunk, syncs, filled=False)
            filled = write_synced(Path(folder, "filled"), chunk, syncs, filled=True)
            rows += [
                Row(f"fdatasync, growing file, {events} per sync", events * syncs / growing, "events/s"),
                Row(
                    f"fdatasync, zero-filled file, {events} per sync",
                    events * syncs / filled,
                    "events/s",
                    "growing file",
                    growing / filled,
                ),
            ]
    return rows
