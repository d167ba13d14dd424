"""
Into Microsoft Sentinel, simulated in a process of its own: how soon, how fast, and what a failing one costs others.

*Latency*: the service runs whole in this process, requests come at a fixed rate, and an event's latency is from the
moment its request was due to the moment the sink's checkpoint passed it, which is after it was accepted.

*Rate*: a journal of webhook records is brought out by the real loop and sink; this process has one core and the
simulation another, where there are two. Processor time counts this process alone. Beside it stands Microsoft's own client,
``azure-monitor-ingestion``, with the same rows, ready made: what the sink does to make them from records, it need not.
Either posts one call at a time, so the rate is that of sender and simulation together. Rates count what was
handed over; rows of calls that the service refuses for their size are counted beside.

*Beside a failing sink*: webhooks as fast as answers come, and the store's latency, with a Sentinel that never answers,
one that refuses connections, and without one.
"""

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, time
from typing import Any, NamedTuple

import uvloop
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.monitor.ingestion import LogsIngestionClient
from msgspec import Raw
from msgspec.json import decode, encode

from benchmarks.azure import STREAM, Azure, simulated
from benchmarks.client import Plan, send
from benchmarks.program import running
from benchmarks.records import Requests
from benchmarks.row import Row, percentile
from onelogin_connector.azure.logs_ingestion import LARGEST_CALL_BYTES
from onelogin_connector.config import Settings, load
from onelogin_connector.delivery import Delivery
from onelogin_connector.event import Event, Way, read
from onelogin_connector.formats import fields
from onelogin_connector.formats.onelogin_cl import legacy_row
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.service import Service, build
from onelogin_connector.simulator.azure.subscription import RULE_ID, STATIC_TOKEN
from onelogin_connector.sinks import registry

RATE = 1_000  # events per second
LOOK_SECONDS = 0.005
DRAIN_SECONDS = 60.0
APPENDED = 1_000
NOBODY = "http://127.0.0.1:9"  # the discard port, where nobody listens


class Sent(NamedTuple):
    """
    What bringing out a journal took.
    """

    events: int
    seconds: float
    cpu_seconds: float
    calls: int
    accepted: int
    refused_calls: int
    sent_bytes: int


def run(quick: bool) -> list[Row]:
    """
    Measure all of it.
    """
    return [*_latencies(quick), *_rates(quick), *_beside(quick)]


# How soon.


def _latencies(quick: bool) -> list[Row]:
    rows = []
    for name in ("sentinel", "legacy"):
        runs = [_latency(name, 2.0 if quick else 10.0) for _ in range(1 if quick else 2)]
        for word, share in (("p50", 0.5), ("p99", 0.99)):
            values = [1_000 * percentile(latencies, share) for latencies in runs]
            title = f"from webhook to accepted by {name} at {RATE:,} events/s: {word}"
            rows.append(Row.of(title, values, "ms", goal="< 1,000" if word == "p99" else ""))
    return rows


def _latency(name: str, seconds: float) -> list[float]:
    with simulated() as azure:
        settings = azure.sentinel if name == "sentinel" else azure.legacy
        found = uvloop.run(_measured(settings, seconds, lambda service: _checkpoint(service, name)))
        accepted, _ = azure.calls()
        assert accepted == len(found) * 10, "accepted is not what was sent"
        assert not azure.lost(), azure.lost()
    return found


def _checkpoint(service: Service, name: str) -> int:
    return service.deliveries[name].checkpoint.offset


def _stored(service: Service) -> int:
    assert service.store
    return service.store.position(service.journal.epoch) or 0


async def _measured(settings: str, seconds: float, position: Callable[[Service], int]) -> list[float]:
    """
    Return the latency of each request until a sink has come past it.
    """
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        service = build(_loaded(settings, Path(folder)))
        await service.start()
        try:
            return await _fed(service, seconds, position)
        finally:
            await service.stop()


def _loaded(text: str, folder: Path) -> Settings:
    path = folder / "settings.toml"
    path.write_text(text)
    return load(path, {}, data_dir=folder / "data")


async def _fed(service: Service, seconds: float, position: Callable[[Service], int]) -> list[float]:
    requests = Requests(10)
    headers = {"authorization": f"Bearer {service.lend_webhook_token('default')}"}
    waiting: deque[tuple[int, float]] = deque()
    """Last offset of a request, and when it was due; 0 at the end."""
    watching = asyncio.create_task(_watch(service, waiting, position))
    start = perf_counter()
    for number in range(int(seconds * RATE / requests.records)):
        due = start + number * requests.records / RATE
        await asyncio.sleep(due - perf_counter())
        answer = await service.webhooks["default"].receive("POST", headers, requests.body(), "127.0.0.1")
        assert answer.status == 200, answer
        waiting.append((service.journal.last_offset, due))
    waiting.append((0, 0.0))
    return await asyncio.wait_for(watching, DRAIN_SECONDS)


async def _watch(
    service: Service, waiting: "deque[tuple[int, float]]", position: Callable[[Service], int]
) -> list[float]:
    latencies: list[float] = []
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        come_to = await asyncio.to_thread(position, service)
        now = perf_counter()
        while waiting and waiting[0][0] <= come_to:
            offset, due = waiting.popleft()
            if not offset:
                return latencies
            latencies.append(now - due)


# How fast.


def _rates(quick: bool) -> list[Row]:
    times, count = (1, 3_000) if quick else (2, 20_000)
    events = _events(count)
    rows: list[Row] = []
    with _one_core_each() as beside:
        ours = {
            kind: [_brought(kind, events, beside) for _ in range(times)]
            for kind in ("logs_ingestion", "data_collector")
        }
        theirs = [_uploaded(events, beside) for _ in range(times)]
    client = "azure-monitor-ingestion, from rows ready made"
    for kind, done in ours.items():
        assert all(one.accepted == one.events and not one.refused_calls for one in done), done
        same = kind == "logs_ingestion"
        rows += _of_sent(kind, done, client if same else "", theirs if same else ())
    rows += _of_sent(client, theirs)
    lost = [one.events - one.accepted for one in theirs]
    rows.append(
        Row.of(f"{client}: rows refused, for calls above {LARGEST_CALL_BYTES:,} bytes", lost, "events")
    )
    return rows


def _of_sent(
    title: str, done: list[Sent], baseline: str = "", against: "list[Sent] | tuple[()]" = ()
) -> list[Row]:
    def row(name: str, unit: str, value: Callable[[Sent], float]) -> Row:
        other = median(map(value, against)) if against else None
        return Row.of(
            f"{title}: {name}", [value(one) for one in done], unit, baseline=baseline, against=other
        )

    return [
        row("sustained, one core", "events/s", lambda one: one.events / one.seconds),
        row("processor time", "µs/event", lambda one: 1e6 * one.cpu_seconds / one.events),
        row("calls", "per 1,000 events", lambda one: 1_000 * one.calls / one.events),
        row("sent", "bytes/event", lambda one: one.sent_bytes / one.accepted),
    ]


def _events(count: int) -> list[Event]:
    requests, now = Requests(APPENDED), int(time())
    return [
        read(encoded, connector="default", way=Way.WEBHOOK, received_us=now * 1_000_000)
        for _ in range(count // APPENDED)
        for encoded in _parts(requests.body(now))
    ]


def _parts(body: bytes) -> list[bytes]:
    return [bytes(part) for part in decode(body, type=list[Raw])]


def _brought(kind: str, events: list[Event], core: int | None) -> Sent:
    with simulated() as azure, tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        _pin(azure, core)
        seconds, cpu_seconds = uvloop.run(_drained(kind, events, azure, Path(folder)))
        return _counted(azure, len(events), seconds, cpu_seconds)


async def _drained(kind: str, events: list[Event], azure: Azure, folder: Path) -> tuple[float, float]:
    settings = _loaded(azure.sentinel if kind == "logs_ingestion" else azure.legacy, folder)
    chosen = next(sink for sink in settings.sinks.values() if sink.kind == kind)
    journal = LmdbJournal(folder / "journal")
    for start in range(0, len(events), APPENDED):
        await journal.append(events[start : start + APPENDED])
    delivery = Delivery("sink", registry.sink_type(kind)(chosen.settings), journal)
    began, cpu_began = perf_counter(), process_time()
    running = asyncio.create_task(delivery.run())
    while delivery.checkpoint.offset < len(events):
        assert not running.done()
        assert perf_counter() - began < DRAIN_SECONDS, delivery.status
        await asyncio.sleep(LOOK_SECONDS)
    seconds, cpu_seconds = perf_counter() - began, process_time() - cpu_began
    await delivery.stop()
    await running
    await journal.close()
    return seconds, cpu_seconds


class _Credential:
    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(STATIC_TOKEN, int(time()) + 3_600)


def _uploaded(events: list[Event], core: int | None) -> Sent:
    """
    Send the same rows by Microsoft's client, going on after a refused call.
    """
    rows: list[MutableMapping[str, Any]] = [_row(event) for event in events]
    with simulated() as azure:
        _pin(azure, core)
        refused: list[Any] = []
        client = LogsIngestionClient(azure.url, _Credential())
        began, cpu_began = perf_counter(), process_time()
        client.upload(RULE_ID, STREAM, rows, on_error=refused.append, enforce_https=False)
        seconds, cpu_seconds = perf_counter() - began, process_time() - cpu_began
        client.close()
        for each in refused:
            assert isinstance(each.error, HttpResponseError), each.error
            assert each.error.status_code == 413, each.error
        sent = _counted(azure, len(rows), seconds, cpu_seconds)
        assert sent.accepted == len(rows) - sum(len(each.failed_logs) for each in refused)
        return sent


def _row(event: Event) -> dict[str, Any]:
    row = legacy_row(fields.read(event.raw), time_us=event.time_us, raw=event.raw)
    made: dict[str, Any] = decode(encode(row))
    return made


def _counted(azure: Azure, events: int, seconds: float, cpu_seconds: float) -> Sent:
    accepted, calls = azure.calls()
    posts = [call for call in calls if "/streams/" in call["path"] or call["path"] == "/api/logs"]
    good = [call for call in posts if call["status"] in {200, 204}]
    assert len(posts) < 1_000, "more calls than are remembered"
    assert not azure.lost(), azure.lost()
    sent_bytes = sum(call["sent_bytes"] for call in good)
    return Sent(events, seconds, cpu_seconds, len(posts), accepted, len(posts) - len(good), sent_bytes)


@contextmanager
def _one_core_each() -> Iterator[int | None]:
    """
    Keep this process on one core; gives another, for the simulation, where there is one.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield None
        return
    os.sched_setaffinity(0, {cores[0]})
    try:
        yield cores[1]
    finally:
        os.sched_setaffinity(0, set(cores))


def _pin(azure: Azure, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(azure.pid, {core})


# What a failing one costs the others.


def _beside(quick: bool) -> list[Row]:
    times, seconds = (1, 1.0) if quick else (2, 4.0)
    rows: list[Row] = []
    with simulated() as azure:
        azure.fail(trouble="hang", where="ingestion")
        shapes = {
            "no other sink": "",
            "a Sentinel that never answers": azure.sentinel,
            "a Sentinel that nobody reaches": azure.sentinel.replace(azure.url, NOBODY),
        }
        # round and round, so that each shape meets the same moods of the machine
        rates: dict[str, list[float]] = {name: [] for name in shapes}
        delays: dict[str, list[float]] = {name: [] for name in shapes}
        for _ in range(times):
            for name, settings in shapes.items():
                rates[name].append(_intake(settings, seconds))
                delays[name].append(
                    1_000 * percentile(uvloop.run(_measured(settings, seconds, _stored)), 0.99)
                )
    for title, found, unit in (
        ("webhooks, 10 per request × 64, beside", rates, "events/s"),
        (f"p99 to the store at {RATE:,} events/s, beside", delays, "ms"),
    ):
        base = median(found["no other sink"])
        for name, values in found.items():
            alone = name == "no other sink"
            against, goal = (None, "") if alone else (base, "ratio near 1")
            rows.append(
                Row.of(f"{title} {name}", values, unit, baseline="no other sink", against=against, goal=goal)
            )
    return rows


def _intake(settings: str, seconds: float) -> float:
    with running(settings=settings) as program:
        send(Plan(port=program.port, token=program.token, seconds=0.3, series=2))
        outcome = send(Plan(port=program.port, token=program.token, seconds=seconds))
        assert set(outcome.statuses) <= {200}, outcome.statuses
    return outcome.records_per_second
