"""
Completeness by the hour, and the move of a store to the version that has it.
"""

from gzip import decompress
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.kql_story import EPOCH, key_of, morning, record, webhook
from onelogin_connector.errors import Unavailable
from onelogin_connector.event import Channel, Kind, Way
from onelogin_connector.onelogin import event_types
from onelogin_connector.store import Store, Swept, migration

VERSION_1 = Path(__file__).parents[1] / "fixtures" / "store" / "version_1.duckdb.gz"
NOW = 1_772_500_000
EIGHT = 1_772_438_400 // 3_600
"""The hour of 2026-03-02 08:00."""
HOUR_US = 3_600_000_000
DAY_AFTER = (EIGHT + 25) * 3_600.0
COMPLETE, MISSING = "complete as far as the API lists", "listed events missing"


@pytest.fixture
def store(tmp_path):
    """Give an empty store."""
    store = Store.open(tmp_path / "store.duckdb", names=event_types.name, clock=lambda: NOW)
    yield store
    store.close()


def swept(hour=EIGHT, **values):
    """Return a sweep that settled its hour a day after it."""
    values = {"connector": "acme", "sweeps": 3, "settled": True, "listed": 0, "at": DAY_AFTER} | values
    return Swept(hour=hour, **values)


def pushed(number, time="08:00:00", **values):
    """Return an entry that a webhook brought."""
    return record(number, webhook(number, time, 5), **values)


def api(number, time="08:00:00.5"):
    """Return what the API lists."""
    return {"id": 1_000 + number, "created_at": f"2026-03-02T{time}Z", "event_type_id": 5}


def pulled(number, way=Way.POLL, time="08:00:00.5"):
    """Return an entry that the API brought."""
    return record(number, api(number, time), channel=Channel.API, way=way)


def twin(number, of, way=Way.POLL, time="08:00:00.5"):
    """Return the API's record of an entry that a webhook brought."""
    return record(number, api(number, time), kind=Kind.TWIN, of=of.key, channel=Channel.API, way=way)


def hours(store, connector="acme", since=EIGHT - 5, until=EIGHT + 50):
    """Return a connector's figures."""
    return store.completeness(connector, since * HOUR_US, until * HOUR_US)


def test_each_figure_counts_what_it_says(store):
    """
    One hour with an event of every kind: matched, lost by webhook, late, forged, imported.
    """
    both, late = pushed(1), pushed(2)
    as_pushed = record(9, webhook(9, "08:30:00", 5), kind=Kind.TWIN, of=key_of(1_005))
    records = [
        both, late, twin(3, both), twin(4, late, Way.RECONCILE),
        pulled(5), pulled(6), pulled(7, Way.RECONCILE), pulled(8, Way.BACKFILL),
        as_pushed,                                    # the webhook came after the poller
        pushed(10),                                   # forged: nothing lists it
        record(11, api(11), channel=Channel.API, way=Way.IMPORT),
        record(12, api(12), channel=Channel.API, way=Way.WEBHOOK),  # forged in the API's shape
    ]  # fmt: skip
    store.insert(records, EPOCH)
    store.set_hours([swept(listed=7, webhooks=True)])
    (hour,) = hours(store)
    assert (hour.connector, hour.hour, hour.entries) == ("acme", EIGHT, 9)
    assert (hour.listed, hour.matched, hour.repaired, hour.late, hour.unconfirmed) == (7, 3, 4, 2, 2)
    assert (hour.settled, hour.sweeps, hour.listed_by_sweep, hour.swept_at) == (True, 3, 7, DAY_AFTER)
    assert (hour.complete, hour.verdict) == (True, COMPLETE)
    assert hour.listed == hour.matched + hour.repaired
    assert hour.entries == hour.listed + hour.unconfirmed
    query = "OneLogin | where Unconfirmed | project Way, Channel, ListedByApi | sort by Channel asc"
    assert store.query(query).rows == [("webhook", "api", False), ("webhook", "webhook", False)]


def test_nothing_is_repaired_where_no_webhooks_are(store):
    """
    A connector that is polled alone repairs nothing; where nobody says, an hour with a webhook counts as one.
    """
    store.insert([pulled(1), pulled(2, time="09:00:00")], EPOCH)
    store.set_hours([swept(listed=1, webhooks=False), swept(EIGHT + 1, listed=1)])
    assert [hour.repaired for hour in hours(store)] == [0, 0]
    store.insert([pushed(3, "09:10:00")], EPOCH)
    assert [hour.repaired for hour in hours(store)] == [0, 1]
    store.set_hours([swept(listed=1, webhooks=True)])
    assert [hour.repaired for hour in hours(store)] == [1, 1]


def test_a_missing_event_is_seen(store):
    """
    What a sweep listed and the store does not hold makes the hour incomplete, by whatever way it was lost.
    """
    store.insert([pulled(1), pulled(2)], EPOCH)
    store.set_hours([swept(listed=3)])
    (hour,) = hours(store)
    assert (hour.complete, hour.verdict) == (False, MISSING)
    store.insert([pulled(3, Way.RECONCILE)], EPOCH)
    (hour,) = hours(store)
    assert (hour.complete, hour.verdict) == (True, COMPLETE)


def test_verdicts_say_what_is_not_known(store):
    """
    Without a listing nothing is claimed: not checkable, not checked, not settled.
    """
    store.insert([pushed(1), pushed(2, "09:00:00")], EPOCH)
    assert [(hour.verdict, hour.complete, hour.unconfirmed) for hour in hours(store)] == [
        ("not checkable", None, None),
        ("not checkable", None, None),
    ]
    store.set_hours([swept(sweeps=1, settled=False, listed=1, at=(EIGHT + 2) * 3_600.0)])
    first, second = hours(store)
    assert (first.verdict, first.complete, first.unconfirmed, first.sweeps) == ("not settled", False, None, 1)
    assert (second.verdict, second.complete, second.swept_at) == ("not checked", None, None)
    assert hours(store, "other") == []


def test_an_empty_hour_that_was_swept_is_shown(store):
    """
    That nothing happened is a finding too, once the API was asked.
    """
    store.set_hours([swept(), swept(EIGHT + 1), swept(EIGHT + 2, connector="other")])
    assert [(hour.hour, hour.entries, hour.verdict) for hour in hours(store)] == [
        (EIGHT, 0, COMPLETE),
        (EIGHT + 1, 0, COMPLETE),
    ]
    assert hours(store, since=EIGHT + 1, until=EIGHT + 1) == []


def test_an_event_belongs_to_the_hour_of_its_listing(store):
    """
    A webhook's whole second may lie in the next hour; the API's time decides as soon as it is known.
    """
    rounded = pushed(1, "09:00:00")
    store.insert([rounded], EPOCH)
    assert [hour.hour for hour in hours(store)] == [EIGHT + 1]
    store.insert([twin(2, rounded, time="08:59:59.7")], EPOCH)
    assert [(hour.hour, hour.matched) for hour in hours(store)] == [(EIGHT, 1)]
    other = pushed(3, "09:00:01")
    store.insert(
        [other, record(4, api(2, "08:59:59.7"), kind=Kind.MOVE, of=other.key, channel=Channel.API)], EPOCH
    )
    assert [(hour.hour, hour.listed, hour.entries) for hour in hours(store)] == [
        (EIGHT, 1, 1),
        (EIGHT + 1, 0, 1),
    ]


def test_an_event_far_from_its_listing_is_counted_in_its_hour(store):
    """
    An event that bears its arrival's time, since its own cannot be read, is found under the hour of its listing.
    """
    odd = record(1, webhook(1, "never", 5) | {"event_timestamp": "2026-03-09 08:00:00 UTC"})
    store.insert([odd, twin(2, odd), pulled(3)], EPOCH)
    for since, until in ((EIGHT, EIGHT + 1), (0, EIGHT + 9_999), (EIGHT - 1, EIGHT + 7 * 24 + 5)):
        assert [(hour.hour, hour.matched, hour.entries) for hour in hours(store, "acme", since, until)] == [
            (EIGHT, 1, 2)
        ]
    assert hours(store, "acme", EIGHT + 7 * 24, EIGHT + 7 * 24 + 1) == []
    assert store.query("OneLoginConnectorCompleteness | count").rows == [(1,)]


def test_doubt_comes_a_day_later_and_goes_with_a_listing(store):
    """
    A webhook event is unconfirmed only after the sweep of the day after, also one that comes later than that.
    """
    first = pushed(1)
    store.insert([first], EPOCH)
    doubted = "OneLogin | where Unconfirmed | count"
    store.set_hours([swept(sweeps=2, at=DAY_AFTER - 7_200)])
    assert store.query(doubted).rows == [(0,)]
    assert hours(store)[0].unconfirmed is None
    store.set_hours([swept()])
    assert store.query(doubted).rows == [(1,)]
    store.insert([pushed(2), pushed(3, "09:00:00"), pulled(4)], EPOCH)
    assert store.query(doubted).rows == [(2,)]
    store.insert([twin(5, first, Way.BACKFILL)], EPOCH)
    assert store.query(doubted).rows == [(1,)]
    assert hours(store)[0].unconfirmed == 1


def test_recording_a_sweep_again_changes_nothing(store):
    """
    The same sweeps may be told any number of times, and a newer one takes the older one's place.
    """
    store.insert([pushed(1), pulled(2)], EPOCH)
    sweeps = [swept(listed=2, sweeps=1, settled=False), swept(listed=1)]
    store.set_hours(sweeps)
    before = hours(store)
    store.set_hours(sweeps)
    store.set_hours([])
    assert hours(store) == before
    assert before[0].listed_by_sweep == 1


def test_sweeps_go_with_their_events(store):
    """
    An hour whose events are pruned, even in part, is not called incomplete.
    """
    store.retention_days = 1
    store.insert([pulled(1), pulled(2, time="08:40:00"), pulled(3, time="09:10:00")], EPOCH)
    store.set_hours([swept(listed=2), swept(EIGHT + 1, listed=1)])
    store.prune(EIGHT * 3_600 + 1_800 + 86_400)
    assert [(hour.hour, hour.listed, hour.verdict) for hour in hours(store)] == [
        (EIGHT, 1, "not checked"),
        (EIGHT + 1, 1, COMPLETE),
    ]


def test_a_closed_store_asks_to_wait(store):
    """
    Both ways say that it is not possible now.
    """
    store.close()
    with pytest.raises(Unavailable):
        store.set_hours([swept()])
    with pytest.raises(Unavailable):
        hours(store)


def test_a_store_of_the_first_version_is_brought_forward(tmp_path):
    """
    A file that the version before made opens with its rows, answers the new tables, and takes events and users.
    """
    path = tmp_path / "store.duckdb"
    path.write_bytes(decompress(VERSION_1.read_bytes()))
    with duckdb.connect(str(path)) as old:
        assert old.execute("SELECT max(version) FROM versions").fetchone() == (1,)
    store = Store.open(path, names=event_types.name, clock=lambda: NOW)
    assert store.stats()["rows"] == 11
    assert store.position(EPOCH) == 12
    assert store._database.writer.execute("SELECT max(version) FROM versions").fetchone() == (
        migration.steps()[-1].version,
    )
    assert store._database.writer.execute(
        "SELECT epoch(twin_time) FROM events WHERE twin_key IS NOT NULL"
    ).fetchall() == [(EIGHT * 3_600 + 5.731,)]
    assert [(hour.hour - EIGHT, hour.listed, hour.matched, hour.entries) for hour in hours(store)] == [
        (0, 1, 1, 8), (1, 0, 0, 1), (2, 1, 0, 2),
    ]  # fmt: skip
    assert store.query("OneLogin | where Unconfirmed | count").rows == [(0,)]
    store.set_users([b'{"id": 101, "username": "anna"}'], NOW, connector="acme")
    assert store.spread_users() == 2
    store.insert(morning(), EPOCH)
    store.insert([pushed(20, "11:00:00")], EPOCH)
    assert store.query("OneLogin | count").rows == [(12,)]
    assert store.query("OneLoginConnectorHealth | count").rows == [(1,)]
    store.close()
    Store.open(path, names=event_types.name).close()


def test_the_first_versions_tables_grow_into_the_same_as_new_ones(tmp_path):
    """
    A store that was migrated and one that was made today have the same columns.
    """
    path = tmp_path / "old.duckdb"
    path.write_bytes(decompress(VERSION_1.read_bytes()))
    shapes = []
    for place in (path, tmp_path / "new.duckdb"):
        with duckdb.connect(str(place)) as connection:
            migration.migrate(connection)
            shapes.append(
                connection.execute(
                    "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() ORDER BY ALL"
                ).fetchall()
            )
    assert shapes[0] == shapes[1]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Give one store to all examples of a property."""
    store = Store.open(tmp_path_factory.mktemp("hours") / "store.duckdb", names=event_types.name)
    yield store
    store.close()


WAYS = st.sampled_from([Way.POLL, Way.RECONCILE, Way.BACKFILL])
STORY = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["pushed", "pulled", "both", "api first"]), WAYS),
    max_size=15,
)


@settings(max_examples=40, deadline=None)
@given(
    story=STORY,
    sweeps=st.dictionaries(st.integers(0, 2), st.tuples(st.booleans(), st.integers(0, 8))),
    early=st.booleans(),
)
def test_figures_equal_a_count_by_hand(shared, story, sweeps, early):
    """
    For any mixture of events and sweeps, told before or after the events, the figures are those of a plain count.
    """
    for table in ("events", "hours", "positions"):
        shared._database.writer.execute(f"DELETE FROM {table}")
    told = [
        swept(EIGHT + hour, settled=settled, listed=listed, at=DAY_AFTER + 9_000, webhooks=True)
        for hour, (settled, listed) in sweeps.items()
    ]
    if early:
        shared.set_hours(told)
    records, kinds = [], {}
    for hour, kind, way in story:
        place = len(records) + 1
        time = f"{8 + hour:02d}:20:00"
        kinds.setdefault(hour, []).append((kind, way))
        if kind in {"pushed", "both"}:
            records.append(pushed(place, time))
        else:
            records.append(pulled(place, way, f"{time}.25"))
        if kind == "both":
            records.append(twin(place + 1, records[-1], way, f"{time}.25"))
        elif kind == "api first":
            fields = webhook(place + 1, time, 5)
            records.append(record(place + 1, fields, kind=Kind.TWIN, of=records[-1].key))
    shared.insert(records, EPOCH)
    if not early:
        shared.set_hours(told)
    found = {row.hour - EIGHT: row for row in hours(shared)}
    assert set(found) == set(kinds) | set(sweeps)
    for hour, row in found.items():
        these = kinds.get(hour, [])
        listed = [way for kind, way in these if kind != "pushed"]
        matched = sum(kind in {"both", "api first"} for kind, _ in these)
        repaired = (
            len(listed) - matched
            if hour in sweeps or len(these) > sum(kind == "pulled" for kind, _ in these)
            else 0
        )
        assert (row.entries, row.listed, row.matched, row.repaired) == (
            len(these),
            len(listed),
            matched,
            repaired,
        )
        assert row.late == sum(way is Way.RECONCILE for way in listed)
        assert row.unconfirmed == (len(these) - len(listed) if hour in sweeps else None)
        if hour in sweeps:
            settled, by_sweep = sweeps[hour]
            assert row.complete == (settled and len(listed) >= by_sweep)
