"""
Twenty thousand hostile bodies: each is answered, and nothing acknowledged is missing.
"""

import asyncio
import gzip
import json
import re
import zlib
from collections import Counter
from itertools import islice
from pathlib import Path

from onelogin_connector.simulator.hostile import hostile_bodies
from onelogin_connector.sources.webhook import Options, WebhookSource, token_hash
from unit.keeping import KeepingJournal

FIXTURES = Path(__file__).parent.parent / "fixtures"
SAMPLES = [
    path.read_bytes()
    for folder in ("webhook", "events_api")
    for path in sorted((FIXTURES / folder).iterdir())
]
TOKEN = "a-token-of-twenty-four-characters"
AROUND = re.compile(rb'(?:[\s,\[\]}]|\xef\xbb\xbf|\{\s*"event"\s*:)*')
"""What may stand around acknowledged records when none of them is dead."""


def plain(hostile):
    """
    Return a body as the source should have seen it.
    """
    if hostile.encoding == "gzip":
        return gzip.decompress(hostile.body)
    return zlib.decompress(hostile.body) if hostile.encoding else hostile.body


def assert_nothing_is_missing(body, events, letters, counts):
    """
    Check that every byte of an acknowledged body lies in an event or a dead letter, but for what is around records.
    """
    assert counts["received"] == sum(counts[name] for name in ("new", "twins", "duplicates", "dead"))
    assert counts["received"] - counts["dead"] == len(events)
    if counts["dead"]:
        (letter,) = letters
        assert letter.body == body
        assert letter.records == counts["dead"]
        assert len(letter.positions) == min(100, counts["dead"])
        return
    assert not letters
    around, at = [], 0
    for event in events:
        found = body.index(event.raw, at)
        around.append(body[at:found])
        at = found + len(event.raw)
    left = b"".join([*around, body[at:]])
    assert AROUND.fullmatch(left) or b'"data"' in left


def test_twenty_thousand_hostile_bodies(caplog):
    """
    Nothing is raised, each answer is one of the documented, and every acknowledged record is kept.
    """
    caplog.set_level("ERROR")  # a captured warning for each would take longer than the bodies

    async def story():
        journal = KeepingJournal()
        source = WebhookSource(
            "acme",
            journal,
            [token_hash(TOKEN)],
            clock=lambda: 1_790_000_000.0,
            options=Options(most_body_bytes=2 << 20, requests_per_second=0),
        )
        statuses = Counter()
        for hostile in islice(hostile_bodies(20261121, SAMPLES), 20_000):
            headers = {"authorization": f"Bearer {TOKEN}", "content-encoding": hostile.encoding}
            journal.letters.clear()
            journal.buried.clear()
            journal.last = []
            answer = await source.receive("POST", headers, hostile.body, "192.0.2.1")
            statuses[answer.status] += 1
            document = json.loads(answer.body)
            if answer.status == 200:
                assert_nothing_is_missing(plain(hostile), journal.last, journal.letters, document)
            else:
                assert answer.status in {400, 413}, hostile
                assert document["action"]
                assert not journal.last
                assert not journal.letters
            if answer.status == 400 and hostile.body:
                assert journal.buried[0].body == hostile.body
        return statuses

    statuses = asyncio.run(story())
    assert statuses[200] > 5_000
    assert statuses[400] > 3_000
    assert statuses[413] > 10


def test_the_same_seed_is_the_same_hostility():
    """
    A body that once did harm can be made again.
    """
    first, again, other = (list(islice(hostile_bodies(seed, SAMPLES), 200)) for seed in (1, 1, 2))
    assert first == again != other
