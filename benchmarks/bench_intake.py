"""
The running program, fed by HTTP from another process: what a sender sees.

As fast as answers come over 64 connections, ten and a hundred events per request, with the local store behind and
without; beside a plain forwarder that keeps nothing (``benchmarks/forwarder.py``). Then at a fixed rate, where the latency counts from the moment
each request was due: ten events a second, a thousand, and a thousand on a disk whose sync takes 3 ms more. What was
acknowledged is counted against the journal after every run. Processor time per event is what to compare between
busy machines, where the rate is what others leave.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import sleep

from benchmarks.client import Outcome, Plan, send
from benchmarks.program import CHECKOUT, NO_STORE, running
from benchmarks.row import Row, percentile

SHAPES = (10, 100)  # events in a request
SETTLED_SECONDS = 4.0


def run(quick: bool) -> list[Row]:
    """
    Measure all of it.
    """
    times, seconds = (1, 0.7) if quick else (3, 8.0)
    shapes = ("function",) if quick else ("function", "threads")
    rows: list[Row] = []
    for size in SHAPES:
        plan = Plan(port=0, records=size, seconds=seconds)
        plain = {shape: [_forwarded(plan, shape) for _ in range(times)] for shape in shapes}
        rate = median(one.records_per_second for one in plain["function"])
        for name, settings in (("", ""), (", no sink", NO_STORE)):
            done = [_fed(plan, settings=settings) for _ in range(times)]
            goal = "≥ 10,000; 44,000" if size == SHAPES[0] and not settings else ""
            title = f"HTTP, {size} per request × 64{name}"
            rows += _full_speed(title, done, rate, goal)
            costs = [1_000_000 * one.cpu_seconds / one.records for one in done]
            rows.append(Row.of(f"{title}: processor time", costs, "µs/event"))
        for shape, outcomes in plain.items():
            rows += _full_speed(f"forwarder ({shape}), {size} per request × 64", outcomes)
    return rows + _steady(quick)


def _full_speed(title: str, done: list[Outcome], rate: float | None = None, goal: str = "") -> list[Row]:
    rates = [one.records_per_second for one in done]
    first = Row.of(title, rates, "events/s", baseline="forwarder (function)", against=rate, goal=goal)
    return [first, *_latencies(title, done)]


def _latencies(title: str, done: list[Outcome]) -> list[Row]:
    return [
        Row.of(f"{title}: {name}", [1_000 * percentile(one.latencies, share) for one in done], "ms")
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]


def _steady(quick: bool) -> list[Row]:
    times, seconds = (1, 1.0) if quick else (3, 20.0)
    rows: list[Row] = []
    for rate, size, module in (
        (10, 1, "onelogin_connector"),
        (1_000, 10, "onelogin_connector"),
        (1_000, 10, "benchmarks.slow_sync"),
    ):
        plan = Plan(port=0, records=size, seconds=seconds, records_per_second=rate)
        title = f"HTTP at {rate:,} events/s" + (", sync 3 ms slower" if "slow" in module else "")
        rows += _latencies(title, [_fed(plan, module=module) for _ in range(times)])
    return rows


def _fed(plan: Plan, *, settings: str = "", module: str = "onelogin_connector") -> Outcome:
    """
    Send to a program of its own, and hold its journal to what it acknowledged.
    """
    with running(settings=settings, module=module) as program:
        # the first requests of a process pay for what it imports and allocates; pages get ready after the start
        sleep(SETTLED_SECONDS)
        warm = send(_at(Plan(port=0, seconds=0.3, series=2), program.port, program.token))
        before = program.cpu_seconds
        outcome = send(_at(plan, program.port, program.token))
        outcome.cpu_seconds = program.cpu_seconds - before
        assert program.entries == warm.records + outcome.records, "acknowledged is not what the journal has"
    return outcome


def _at(plan: Plan, port: int, token: str) -> Plan:
    plan.port, plan.token = port, token
    return plan


def _forwarded(plan: Plan, shape: str) -> Outcome:
    with forwarder(shape) as port:
        return send(_at(plan, port, ""))


@contextmanager
def forwarder(shape: str) -> Iterator[int]:
    """
    Run a plain forwarder and its destination; gives the forwarder's port.
    """
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, destination = one.getsockname()[1], other.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.forwarder"]
    running = [
        subprocess.Popen([*command, *words], cwd=CHECKOUT)
        for words in (["stub", str(destination)], [shape, str(port), str(destination)])
    ]
    try:
        for each in (destination, port):
            _await_listener(each)
        yield port
    finally:
        for process in running:
            process.kill()
            process.wait()


def _await_listener(port: int) -> None:
    for _ in range(1_000):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.01)
    raise TimeoutError(f"Nothing listens on port {port}.")
