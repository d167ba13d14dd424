"""
From the 200 to the store: how long an acknowledged event waits until a query can find it.

The service runs whole, in this process; requests come at a fixed rate, and the store is asked how far it is, every
few milliseconds. An event's latency is from its acknowledgement to the first answer of the store that includes it.
"""

import asyncio
import tempfile
from collections import deque
from pathlib import Path
from time import perf_counter

import uvloop

from benchmarks.records import Requests
from benchmarks.row import Row, percentile
from onelogin_connector.config import load
from onelogin_connector.service import Service, build

RATES = (100, 1_000)  # events per second
LOOK_SECONDS = 0.005
DRAIN_SECONDS = 30.0


def run(quick: bool) -> list[Row]:
    """
    Measure both rates.
    """
    rows = []
    for rate in RATES:
        runs = [uvloop.run(_measured(rate, 4.0 if quick else 20.0)) for _ in range(1 if quick else 3)]
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            values = [1_000 * percentile(latencies, share) for latencies in runs]
            goal = "< 1,000" if name == "p99" else ""
            rows.append(
                Row.of(f"from 200 to queryable at {rate:,} events/s: {name}", values, "ms", goal=goal)
            )
    return rows


async def _measured(rate: int, seconds: float) -> list[float]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        service = build(load(None, {}, data_dir=Path(folder, "data")))
        await service.start()
        try:
            return await _fed(service, rate, seconds)
        finally:
            await service.stop()


async def _fed(service: Service, rate: int, seconds: float) -> list[float]:
    requests = Requests(10)
    headers = {"authorization": f"Bearer {service.lend_webhook_token('default')}"}
    acknowledged: deque[tuple[int, float]] = deque()
    """Last offset of a request, and when its answer came."""
    watching = asyncio.create_task(_watch(service, acknowledged))
    start = perf_counter()
    for number in range(int(seconds * rate / requests.records)):
        await asyncio.sleep(start + number * requests.records / rate - perf_counter())
        answer = await service.webhooks["default"].receive("POST", headers, requests.body(), "127.0.0.1")
        assert answer.status == 200, answer
        acknowledged.append((service.journal.last_offset, perf_counter()))
    acknowledged.append((0, 0.0))
    return await asyncio.wait_for(watching, DRAIN_SECONDS)


async def _watch(service: Service, acknowledged: "deque[tuple[int, float]]") -> list[float]:
    """
    Return the latencies of what is acknowledged, until there comes an offset of 0.
    """
    store = service.store
    assert store is not None
    latencies: list[float] = []
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        position = await asyncio.to_thread(store.position, service.journal.epoch) or 0
        now = perf_counter()
        while acknowledged and acknowledged[0][0] <= position:
            offset, at = acknowledged.popleft()
            if not offset:
                return latencies
            latencies.append(now - at)
