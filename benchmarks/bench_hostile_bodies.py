"""
A hundred thousand hostile bodies through the webhook into a real journal.

Each must be answered by a document, and what was acknowledged as new must be in the journal. The slowest answer is
what one hostile sender can cost the others.
"""

import asyncio
import logging
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path
from time import perf_counter, time

from msgspec.json import decode

from benchmarks.row import Row
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.hostile import HostileBody, hostile_bodies
from onelogin_connector.simulator.webhooks import Format, batches, body_of
from onelogin_connector.sources.webhook import Options, WebhookSource, token_hash

TOKEN = "a-token-for-the-benchmark-alone"  # noqa: S105 - it opens nothing
CONNECTIONS = 32
SINCE_US = 1_795_200_000_000_000


class Outcome:
    """
    What was answered.
    """

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.slowest_seconds = 0.0


def run(quick: bool) -> list[Row]:
    """
    Send them, and measure how fast they are answered and how long the slowest takes.
    """
    bodies = 2_000 if quick else 100_000
    batch = [happenings for _, happenings in islice(batches(Company(1).story(SINCE_US)), 20)]
    samples = [body_of(happenings, form) for happenings in batch for form in Format]
    logging.disable(logging.WARNING)  # a warning for each dead letter would be what is measured
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcome, seconds = asyncio.run(_send(Path(folder), samples, bodies))
    finally:
        logging.disable(logging.NOTSET)
    return [
        Row("hostile bodies answered", bodies / seconds, "requests/s"),
        Row("hostile bodies acknowledged", outcome.statuses[200] / bodies, "share"),
        Row("slowest answer to a hostile body", outcome.slowest_seconds * 1_000, "ms"),
    ]


async def _send(folder: Path, samples: list[bytes], bodies: int) -> tuple[Outcome, float]:
    journal = LmdbJournal(folder / "journal")
    options = Options(most_body_bytes=2 << 20, requests_per_second=0)
    source = WebhookSource("bench", journal, [token_hash(TOKEN)], clock=time, options=options)
    todo = islice(hostile_bodies(20261121, samples), bodies)
    outcome = Outcome()
    start = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_sender(source, todo, outcome))
    seconds = perf_counter() - start
    entries = journal.stats()["entries"]
    await journal.close()
    assert set(outcome.statuses) <= {200, 400, 413}, outcome.statuses
    assert source.results["new"] <= entries, "acknowledged, and not in the journal"
    return outcome, seconds


async def _sender(source: WebhookSource, todo: "islice[HostileBody]", outcome: Outcome) -> None:
    for hostile in todo:
        headers = {"authorization": f"Bearer {TOKEN}", "content-encoding": hostile.encoding}
        start = perf_counter()
        answer = await source.receive("POST", headers, hostile.body, "192.0.2.1")
        outcome.slowest_seconds = max(outcome.slowest_seconds, perf_counter() - start)
        outcome.statuses[answer.status] += 1
        assert isinstance(decode(answer.body), dict)
