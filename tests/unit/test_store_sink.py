"""
The store as a sink.
"""

import asyncio

import pytest

from fixtures.kql_story import morning
from onelogin_connector.errors import Refused, Unavailable
from onelogin_connector.event import Entry
from onelogin_connector.sinks.base import StageState
from onelogin_connector.sinks.store import StoreSink
from onelogin_connector.store import Store

EPOCH = "contract"


@pytest.fixture
def store(tmp_path):
    """Give an empty store."""
    store = Store.open(tmp_path / "store.duckdb", names=lambda id: None)
    yield store
    store.close()


def test_epoch_is_asked_for_each_time(store):
    """
    A journal that begins a new epoch is read from its start, without a new sink.
    """
    epochs = ["one"]
    sink = StoreSink(store, lambda: epochs[-1])
    asyncio.run(sink.send(morning()))
    assert asyncio.run(sink.open()) == 12
    epochs.append("two")
    assert asyncio.run(sink.open()) == 0


def test_refused_names_positions_and_takes_nothing(store):
    """
    Bad records are named by their place; the position stays before the batch.
    """
    records = morning()
    values = {name: getattr(records[1], name) for name in records[1].__struct_fields__}
    records[1] = Entry(**(values | {"channel": None}))
    sink = StoreSink(store, lambda: EPOCH)
    with pytest.raises(Refused) as caught:
        asyncio.run(sink.send(records))
    assert set(caught.value.reasons) == {1}
    assert asyncio.run(sink.open()) == 0


def test_check_passes_and_a_closed_store_fails_it(store):
    """
    Each stage says what was tried; when the store is gone, those that need it fail with what to do.
    """
    sink = StoreSink(store, lambda: EPOCH)
    assert {stage.state for stage in asyncio.run(sink.check())} == {StageState.PASSED}
    store.close()
    stages = asyncio.run(sink.check())
    assert [stage.state for stage in stages] == [StageState.FAILED, StageState.FAILED, StageState.PASSED]
    assert all(stage.action for stage in stages[:2])
    with pytest.raises(Unavailable):
        asyncio.run(sink.send(morning()))
