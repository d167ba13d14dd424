"""
How intake fares while somebody looks at the pages of the console, with ten million events in the store.

A thousand events a second, ten per request: with nobody at the console, with a page every half second, and with one
page after another without a pause, in turns, so that whatever else the machine does meets all alike. The pages
are all of ``bench_pages``, one after the other, asked for as a browser asks, each visited once before. The last turn has
nobody at the console and a process beside that has nothing to do with the program and wants half of one processor: what
that costs, sharing the machine costs.

The disk's stalls are as large as what is looked for. With ``BENCH_STORES`` in memory (``/dev/shm``, 6 GB) they are away.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import cycle
from threading import Event, Thread
from time import perf_counter

import httpx2

from benchmarks.bench_pages import PAGES, on
from benchmarks.client import Outcome, Plan, send
from benchmarks.program import Program
from benchmarks.row import Row, percentile
from benchmarks.stores import filled

PAUSES = {
    "with nobody there": None,
    "a page every half second": 0.5,
    "one page after another": 0.0,
    "another program beside": None,
}
"""Seconds from page to page."""

ANOTHER = "another program beside"
BUSY = """
from time import perf_counter, sleep
while True:
    began = perf_counter()
    while perf_counter() - began < 0.03:
        pass
    sleep(0.03)
"""

AS_A_BROWSER = {"accept": "text/html", "upgrade-insecure-requests": "1"}


def run(quick: bool) -> list[Row]:
    """
    Feed and look, in turns.
    """
    times, seconds = (1, 1.0) if quick else (3, 10.0)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in PAUSES}
    looked = dict.fromkeys(PAUSES, 0)
    with filled(50_000 if quick else 10_000_000) as store, on(store) as program:
        plan = Plan(port=program.port, token=program.token, seconds=seconds, records_per_second=1_000)
        send(Plan(port=program.port, token=program.token, seconds=1.0, records_per_second=1_000))
        _visit_all(program)
        program.drain()
        for turn in range(times):
            for place, (name, pause) in enumerate(PAUSES.items()):
                plan.series = 2 + turn * len(PAUSES) + place
                beside = _another() if name == ANOTHER else nullcontext()
                with beside, _looking(program, pause) as seen:
                    outcomes[name].append(send(plan))
                looked[name] += len(seen)
                program.drain()
    rows = []
    calm = outcomes["with nobody there"]
    for share_name, share in (("p50", 0.5), ("p99", 0.99)):
        plain = percentile([percentile(one.latencies, share) for one in calm], 0.5)
        rows += [
            Row.of(
                f"intake at 1,000 events/s, {name} ({looked[name]} pages): {share_name}",
                [1_000 * percentile(one.latencies, share) for one in done],
                "ms",
                baseline="with nobody there (less is better)",
                against=1_000 * plain,
            )
            for name, done in outcomes.items()
        ]
    return rows


@contextmanager
def _another() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            yield
        finally:
            process.kill()


def _visit_all(program: Program) -> None:
    """
    Visit each page once: what it imports and compiles is paid once in the life of a process.
    """
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{program.port}", timeout=60, headers=AS_A_BROWSER
    ) as client:
        client.cookies = program.signed_in()
        for path in PAGES:
            client.get(path).raise_for_status()


@contextmanager
def _looking(program: Program, pause: float | None) -> Iterator[list[str]]:
    """
    Look at pages until the block ends; gives those that were looked at.
    """
    seen: list[str] = []
    if pause is None:
        yield seen
        return
    over = Event()
    thread = Thread(target=_look, args=(program, pause, over, seen), daemon=True)
    thread.start()
    yield seen
    over.set()
    thread.join()
    assert seen, "no page came"


def _look(program: Program, pause: float, over: Event, seen: list[str]) -> None:
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{program.port}", timeout=60, headers=AS_A_BROWSER
    ) as client:
        client.cookies = program.signed_in()
        for path in cycle(PAGES):
            began = perf_counter()
            answer = client.get(path)
            assert answer.status_code == 200, f"{path}: {answer.status_code}\n{program.log}"
            seen.append(path)
            if over.wait(max(0.0, pause - (perf_counter() - began))):
                return
