"""
The journal in blobs: its trees against a dictionary, old keys, what is left behind, and whoever has lost the lease.
"""

import random
from itertools import count

import pytest

from onelogin_connector.errors import Busy, ConfigError, Unavailable
from onelogin_connector.event import Event, Flag, Offset, Way, read
from onelogin_connector.journal.base import Checkpoint, NewDeadLetter
from onelogin_connector.journal.blobs.head import HEAD, LEAVES, prepare
from onelogin_connector.journal.blobs.journal import ORPHAN_SECONDS, SWEEP_SECONDS, BlobJournal
from onelogin_connector.journal.blobs.lease import take
from onelogin_connector.journal.blobs.letters import RING_LETTERS
from onelogin_connector.journal.blobs.tree import LARGEST_LEAF_BYTES, Leaves, Tree
from onelogin_connector.simulator.azure.blobs import BlobService
from tests.blob_account import blob_container

NOW = 1_795_200_000.0
DAY = 86_400.0


class Clock:
    """A clock that is set."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def event(number: int, **fields: object) -> Event:
    """Make a webhook record."""
    extra = "".join(f',"{name}":"{value}"' for name, value in fields.items())
    raw = f'{{"uuid":"{number:08x}-0000-4000-8000-000000000000","event_timestamp":"2026-11-20 18:00:00 UTC"{extra}}}'
    return read(raw.encode(), connector="default", way=Way.WEBHOOK, received_us=int(NOW * 1e6))


class Opened:
    """A journal on one clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.service = BlobService(clock=self.clock)
        self.container = blob_container(self.service)
        prepare(self.container)
        self.journal = self.open()

    def open(self) -> BlobJournal:
        """Open it, whoever held it before."""
        self.clock.now += 61
        lease = take(self.container, HEAD, tick=self.clock)
        return BlobJournal(self.container, lease, clock=self.clock)

    def names(self, prefix: str) -> list[str]:
        """Return the blobs that are there."""
        return [blob.name for blob in self.container.blobs(prefix)]


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_is_a_dictionary(seed):
    """Whatever is put, removed, cleared and written in whatever order, the tree finds it, in order, in leaves that are small."""
    chance = random.Random(seed)
    stored: dict[str, bytes] = {}
    names = (f"leaf-{number}" for number in count())
    listed, model = [], {}
    for _ in range(12):
        tree = Tree(listed, Leaves(stored.get, most_bytes=1 << 20))
        for _ in range(chance.randrange(60)):
            key = chance.randrange(300).to_bytes(2, "big")
            if chance.random() < 0.7:
                model[key] = chance.randbytes(chance.choice((0, 10, 20_000, 70_000)))
                tree.put(key, model[key])
            else:
                assert tree.remove(key) == (model.pop(key, None) is not None)
        if chance.random() < 0.3:
            first, end = sorted(chance.randrange(300).to_bytes(2, "big") for _ in range(2))
            gone = [key for key in model if first <= key < end]
            assert tree.clear(first, end) == len(gone)
            for key in gone:
                del model[key]

        def write(body: bytes) -> str:
            name = next(names)
            stored[name] = body
            return name

        listed, replaced = tree.flush(write)
        for name in replaced:
            del stored[name]
        assert set(stored) == {leaf.name for leaf in listed}
        assert all(leaf.keys == 1 or leaf.size_bytes < 1.1 * LARGEST_LEAF_BYTES for leaf in listed)
        again = Tree(listed, Leaves(stored.get))
        assert list(again.pairs()) == sorted(model.items())
        assert again.count() == len(model)
        probe = chance.randrange(300).to_bytes(2, "big")
        assert again.get(probe) == model.get(probe)
        assert again.seek(probe) == min(((k, v) for k, v in model.items() if k >= probe), default=None)


@pytest.mark.anyio
async def test_many_events_lie_in_many_leaves():
    """A large intake is cut into leaves, and all of it is recognised afterwards from what was written."""
    opened = Opened()
    events = [event(number, notes="x" * 500) for number in range(3_000)]
    assert (await opened.journal.append(events)).entries == 3_000
    assert len(opened.names(LEAVES)) > 5
    journal = opened.open()
    assert len(journal.read(Offset(0), records=5_000, size_bytes=1 << 30)) == 3_000
    assert (await journal.append(events)).duplicates == 3_000
    await journal.prune(Offset(3_000))
    assert journal.stats()["entries"] == 0
    assert journal.last_offset == 3_000
    assert (await opened.open().append([event(1)])).duplicates == 1


@pytest.mark.anyio
async def test_keys_go_after_a_week_and_what_comes_then_is_kept():
    """A repeat of an hour whose keys are gone is kept, and marked."""
    opened = Opened()
    await opened.journal.append([event(1)])
    opened.clock.now += 6 * DAY
    journal = opened.open()
    assert await journal.prune_keys(Offset(1)) == 0
    assert (await journal.append([event(1)])).duplicates == 1
    opened.clock.now += 8 * DAY
    journal = opened.open()
    await journal.prune(Offset(1))
    assert await journal.prune_keys(Offset(1)) == 1
    assert opened.names(LEAVES) == []
    assert (await opened.open().append([event(1)])).entries == 1
    (entry,) = opened.open().read(Offset(1))
    assert entry.flags & Flag.UNVERIFIED
    assert (await opened.open().append([event(1)])).duplicates == 1


@pytest.mark.anyio
async def test_what_nobody_names_is_removed_when_it_is_old():
    """Leaves of a transaction that was never committed go; what counts stays."""
    opened = Opened()
    await opened.journal.append([event(1)])
    named = opened.names(LEAVES)
    opened.container.create(f"{LEAVES}orphan-1", b"x")
    opened.container.create("dead-letters/0000000009-orphan.json", b"{}")
    opened.clock.now += ORPHAN_SECONDS + 1
    opened.container.create(f"{LEAVES}young-1", b"x")
    journal = opened.open()
    assert await journal.tidy() == 2
    assert await journal.tidy() == 0
    assert opened.names(LEAVES) == sorted([*named, f"{LEAVES}young-1"])
    opened.clock.now += SWEEP_SECONDS + 1
    assert await opened.open().tidy() == 1
    assert (await opened.open().append([event(1)])).duplicates == 1


@pytest.mark.anyio
async def test_whoever_has_lost_the_lease_changes_nothing():
    """Every way to write fails, and what the other one wrote stands."""
    opened = Opened()
    stale = opened.journal
    journal = opened.open()
    await journal.append([event(1)])
    for attempt in (
        stale.append([event(2)]),
        stale.advance("x", Checkpoint(offset=9)),
        stale.bury(NewDeadLetter("default", "request", "no", b"x")),
        stale.prune(Offset(9)),
    ):
        with pytest.raises(Busy):
            await attempt
    assert journal.last_offset == opened.open().last_offset == 1
    assert opened.open().dead_letters() == []


@pytest.mark.anyio
async def test_requests_without_json_are_kept_in_a_ring():
    """The newest stay; acknowledged letters are never among those that go."""
    opened = Opened()
    await opened.journal.bury(NewDeadLetter("default", "record", "bad", b"kept"))
    numbers = range(RING_LETTERS + 128)

    def fill(tables) -> None:
        for number in numbers:
            tables.bury(NewDeadLetter("default", "request", "no", b"%d" % number))

    await opened.journal._transact(fill)
    found = opened.journal.dead_letters(limit=10_000)
    assert found[0].body == b"kept"
    assert len(found) < RING_LETTERS + 65
    assert found[-1].body == b"%d" % numbers[-1]


def test_a_head_that_cannot_be_read_is_no_crash():
    """It is named, and what to do; one of a later version is left alone."""
    container = blob_container(BlobService())
    container.create(HEAD, b"not JSON")
    with pytest.raises(Unavailable, match="state/head cannot be read"):
        BlobJournal(container, None)
    other = blob_container(BlobService())
    other.create(HEAD, b'{"version": 99}')
    with pytest.raises(ConfigError, match="version 99"):
        BlobJournal(other, None)
