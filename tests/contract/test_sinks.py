"""
Every sink keeps the contract of ``sinks/base.py``.
"""

from pathlib import Path
from typing import ClassVar

import httpx2
import msgspec
import pytest
from isal.igzip import decompress
from msgspec.json import decode

from onelogin_connector.azure.credentials import StaticTokenCredential
from onelogin_connector.setting import HttpUrl, Secret
from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import LEGACY_ID, WORKSPACE_KEY, Subscription
from onelogin_connector.simulator.azure.trouble import Fault, Trouble
from onelogin_connector.simulator.azure.wire import Wire
from onelogin_connector.sinks import data_collector
from onelogin_connector.sinks.base import Limits
from onelogin_connector.sinks.logs_ingestion import LogsIngestion, RuleId
from onelogin_connector.sinks.logs_ingestion import Settings as LogsIngestionSettings
from onelogin_connector.sinks.store import StoreSink
from onelogin_connector.store import Store
from onelogin_connector.testing.sinks import A_MOMENT_US, FakeSink, SinkContract, entry

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


class TestDataCollector(SinkContract):
    poison: ClassVar[bytes | None] = POISON

    @pytest.fixture(autouse=True)
    def azure(self):
        self.subscription = Subscription(clock=lambda: A_MOMENT_US / 1e6)
        self.subscription.faults.add(Fault(trouble=Trouble.POISON, containing='"never"'))

    def make(self, folder):
        settings = data_collector.Settings(
            workspace_id=LEGACY_ID, workspace_key=Secret(WORKSPACE_KEY), endpoint="http://127.0.0.1:9"
        )
        wire = Wire(Api(self.subscription))
        return data_collector.DataCollector(settings, clock=self.subscription.clock, transport=wire)

    def received(self, sink):
        rows = self.subscription.legacy.rows("OneLogin_CL")
        return [entry(int(row["uuid_g"][:8], 16)).raw for row in rows if "uuid_g" in row]


class Rule:
    """
    A data collection rule that keeps records as they came, and refuses a call that holds poison.
    """

    def __init__(self):
        self.received = []

    def __call__(self, request):
        content = decompress(request.content) if "content-encoding" in request.headers else request.content
        rows = decode(content, type=list[dict[str, msgspec.Raw]])
        raws = [bytes(row["Raw"]) for row in rows]
        if POISON in raws:
            return httpx2.Response(400, json={"error": {"code": "InvalidPayload", "message": "No."}})
        self.received += raws
        return httpx2.Response(204)


class TestLogsIngestion(SinkContract):
    poison: ClassVar[bytes | None] = POISON

    @pytest.fixture(autouse=True)
    def rule(self):
        self.rule = Rule()

    def make(self, folder):
        settings = LogsIngestionSettings(
            endpoint=HttpUrl("https://x.westeurope-1.ingest.monitor.azure.com"),
            rule_id=RuleId(f"dcr-{'0' * 32}"),
            credential=StaticTokenCredential(token=Secret("static")),
        )
        return LogsIngestion(settings, transport=httpx2.MockTransport(self.rule))

    def received(self, sink):
        return self.rule.received


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
