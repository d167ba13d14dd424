"""
Journal and store after one of them was lost, or an older one was put back.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from onelogin_connector.event import Offset
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.service import epoch
from onelogin_connector.service.alarms import Alarms
from onelogin_connector.store import Store
from tests.contract.test_journal import event

pytestmark = pytest.mark.anyio

EVENTS = 700  # three blocks of the log, so that a part of it can be pruned


class Parts:
    """A journal, a store and what stands between them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.alarms = Alarms(lambda: 0.0)
        self.open()

    def open(self, journal: str = "journal", store: str = "store") -> None:
        """Open both."""

        async def recall(hour: int) -> object:
            return await asyncio.to_thread(self.store.held, hour)

        self.store = Store.open(self.path / f"{store}.duckdb", names=lambda _: None)
        self.journal = LmdbJournal(
            self.path / journal, reserve_bytes=0, keep_delivered_hours=-1, recall=recall
        )

    async def close(self) -> None:
        """Close both."""
        await self.journal.close()
        self.store.close()

    def deliver(self, most: int = EVENTS) -> None:
        """Do what the delivery loop does."""
        at = self.store.position(self.journal.epoch) or 0
        batch = self.journal.read(Offset(at), records=most)
        self.store.insert(batch, self.journal.epoch)

    @property
    def rows(self) -> int:
        """How many events the store holds."""
        return int(self.store.stats()["rows"])

    async def resend(self) -> SimpleNamespace:
        """Bring every event again, and deliver."""
        receipt = await self.journal.append([event(number) for number in range(EVENTS)])
        while self.journal.read(Offset(self.store.position(self.journal.epoch) or 0), records=1):
            self.deliver()
        return SimpleNamespace(new=receipt.entries, known=receipt.duplicates)


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    """Yield a journal and a store that hold the same events."""
    made = Parts(tmp_path)
    await made.journal.append([event(number) for number in range(EVENTS)])
    made.deliver()
    yield made
    await made.close()


async def test_nothing_is_done_while_they_agree(parts: Parts) -> None:
    """Neither at the first start nor later, with the log whole or pruned."""
    before = parts.journal.epoch
    assert not await epoch.agree(parts.journal, parts.store, parts.alarms)
    await parts.journal.prune(Offset(EVENTS))
    assert not await epoch.agree(parts.journal, parts.store, parts.alarms)
    assert parts.journal.epoch == before


async def test_a_lost_store_is_filled_from_a_whole_log(parts: Parts) -> None:
    """Nothing is missing, so nothing is said."""
    await parts.close()
    parts.open(store="new")
    assert not await epoch.agree(parts.journal, parts.store, parts.alarms)
    parts.deliver()
    assert parts.rows == EVENTS


@pytest.mark.parametrize("pruned", [300, EVENTS])
async def test_a_lost_store_beside_a_pruned_log(parts: Parts, pruned: int) -> None:
    """A person is told, and what is brought again is taken: each event once in the end."""
    gone = await parts.journal.prune(Offset(pruned))
    await parts.close()
    parts.open(store="new")
    assert gone
    assert await epoch.agree(parts.journal, parts.store, parts.alarms)
    assert f"lacks {gone} records" in str(parts.alarms.standing())
    while parts.rows < EVENTS - gone:
        parts.deliver()
    again = await parts.resend()
    assert (again.new, again.known) == (gone, EVENTS - gone)
    assert parts.rows == EVENTS


async def test_an_older_store_beside_a_pruned_log(tmp_path: Path) -> None:
    """What the older store has is known, what it lacks is new."""
    parts = Parts(tmp_path)
    await parts.journal.append([event(number) for number in range(EVENTS)])
    parts.deliver(600)
    parts.store.backup(tmp_path / "older.duckdb")
    parts.deliver()
    await parts.journal.prune(Offset(EVENTS))
    await parts.close()
    parts.open(store="older")
    assert await epoch.agree(parts.journal, parts.store, parts.alarms)
    again = await parts.resend()
    assert (again.new, again.known) == (EVENTS - 600, 600)
    assert parts.rows == EVENTS
    await parts.close()


async def test_a_lost_journal(parts: Parts) -> None:
    """The store's events are known to the new journal, and offsets count anew."""
    await parts.close()
    parts.open(journal="new")
    assert await epoch.agree(parts.journal, parts.store, parts.alarms)
    again = await parts.resend()
    assert (again.new, again.known) == (0, EVENTS)
    assert (await parts.journal.append([event(EVENTS)])).entries == 1
    parts.deliver()
    assert parts.rows == EVENTS + 1


async def test_an_older_journal(parts: Parts) -> None:
    """What came after the backup is in the store, and is known when it comes again."""
    await parts.journal.backup(parts.path / "copy")
    await parts.journal.append([event(number) for number in range(EVENTS, EVENTS + 50)])
    parts.deliver()
    await parts.close()
    parts.open(journal="copy")
    assert await epoch.agree(parts.journal, parts.store, parts.alarms)
    receipt = await parts.journal.append([event(number) for number in range(EVENTS, EVENTS + 60)])
    assert (receipt.entries, receipt.duplicates) == (10, 50)
    parts.deliver()
    assert parts.rows == EVENTS + 60
