"""
Every sink keeps the contract of ``sinks/base.py``.
"""

from pathlib import Path
from typing import ClassVar

import pytest

from onelogin_connector.sinks.base import Limits
from onelogin_connector.sinks.store import StoreSink
from onelogin_connector.store import Store
from onelogin_connector.testing.sinks import FakeSink, SinkContract

POISON = b'{"notes":"never"}'


def refuse_poison(record):
    """Refuse one record, whenever it comes."""
    return "It is poison." if record.raw == POISON else None


class TestFakeSink(SinkContract):
    poison: ClassVar[bytes | None] = POISON
    keeps_position: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def destination(self):
        self.sink = None

    def make(self, folder):
        if self.sink is None:
            self.sink = FakeSink(
                limits=Limits(100, 1 << 20), refuse=refuse_poison, keeps_position=self.keeps_position
            )
        return self.sink

    def settings(self):
        return FakeSink.Settings

    def received(self, sink):
        return [record.raw for record in sink.accepted]


class TestFakeSinkWithPosition(TestFakeSink):
    keeps_position: ClassVar[bool] = True
    repeats: ClassVar[bool] = False


class TestStoreSink(SinkContract):
    repeats: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def stores(self):
        self.stores = {}
        yield
        while self.stores:  # pytest keeps this object to its end, and DuckDB wants all to be gone by then
            self.stores.popitem()[1].close()

    def make(self, folder):
        if folder not in self.stores and folder != Path():
            self.stores[folder] = Store.open(folder / "store", names=lambda _: None)
        return StoreSink(self.stores.get(folder), lambda: "epoch")

    def received(self, sink):
        return [record.raw for record in sink._store.entries(-1, 1_000, "epoch", 1_000)]


class Losing(FakeSink):
    async def send(self, batch):
        await super().send(batch[:-1] or batch)


class Forgetful(FakeSink):
    async def send(self, batch):
        if self.position is not None and any(record.offset <= self.position for record in batch):
            return
        await super().send(batch)


class Hasty(FakeSink):
    async def send(self, batch):
        await super().send([record for record in batch if record.raw != POISON])
        await super().send(batch)


class Raw(FakeSink):
    async def send(self, batch):
        for record in batch:
            record.raw.decode()
        await super().send(batch)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Losing, "test_a_batch_arrives"),
        (Forgetful, "test_a_replayed_record_is_taken"),
        (Hasty, "test_poison_is_refused_alone"),
        (Raw, "test_hostile_records_harm_only_themselves"),
    ],
)
def test_the_contract_sees_a_broken_sink(broken, clause, tmp_path):
    """
    Each clause fails for a sink that breaks it.
    """
    contract = TestFakeSinkWithPosition()
    contract.sink = broken(limits=Limits(100, 1 << 20), refuse=refuse_poison, keeps_position=True)
    with pytest.raises((AssertionError, UnicodeDecodeError)):
        getattr(contract, clause)(tmp_path)
