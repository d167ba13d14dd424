"""
The store against hostile records, repeats, and what operators do to it.
"""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import pytest
from msgspec.json import encode

from fixtures.kql_story import EPOCH, FROM_API, MORNING, TWIN, key_of, morning, record, webhook
from onelogin_connector.errors import Busy, ConfigError, QueryError, Refused, Unavailable
from onelogin_connector.event import Channel, Entry, Flag, Kind
from onelogin_connector.onelogin import event_types
from onelogin_connector.store import Store, migration, upkeep
from onelogin_connector.testing.sinks import HOSTILE, entry

NOW = 1_772_500_000  # the evening of the story's day
DAY = 86_400


def opened(path, **options):
    """Open a store on the story's evening."""
    return Store.open(path, names=event_types.name, clock=lambda: NOW, **options)


@pytest.fixture
def path(tmp_path):
    """Give the place of a store."""
    return tmp_path / "store.duckdb"


@pytest.fixture
def store(path):
    """Give an empty store."""
    store = opened(path)
    yield store
    store.close()


def with_(entry_, **values):
    """Return an entry with other values."""
    return Entry(**({name: getattr(entry_, name) for name in entry_.__struct_fields__} | values))


def raws(store, after=0, up_to=10**9, epoch=EPOCH):
    """Return the bytes of the held entries."""
    return [held.raw for held in store.entries(after, up_to, epoch, 10**6)]


def test_entries_come_back_as_they_were(store):
    """
    An entry read back for a refill equals the one that came in, every field of it.
    """
    records = morning()
    store.insert(records, EPOCH)
    entries = [one for one in records if one.kind == Kind.ENTRY]
    assert store.entries(0, 100, EPOCH, 100) == entries
    assert store.entries(2, 5, EPOCH, 2) == entries[2:4]
    assert store.entries(0, 100, "other", 100) == []


def test_half_a_surrogate_pair_can_be_queried_and_keeps_its_bytes(store):
    """
    Text cut in the middle of an emoji is found by its fields, and its bytes come back as they were sent.
    """
    raw = b'{"uuid":"half","event_type_id":8,"user_name":"Ana \\ud83d"}'
    store.insert([with_(entry(1), raw=raw)], EPOCH)
    assert raws(store) == [raw]
    found = store.query(
        'OneLogin_CL | where user_name_s startswith "Ana" | project user_name_s, event_type_id_d'
    )
    assert found.rows == [("Ana \ufffd", 8)]


def test_an_event_is_found_by_its_id_wherever_it_stands(store):
    """
    ``UUID`` and ``EventOriginalUid`` hold the id of an event that carries it in one of its two places.
    """
    sent = [{"create": {"_id": "c1"}}, {"uuid": "u2"}, {"uuid": "u3", "create": {"_id": "c3"}}, {"id": 4}]
    store.insert([entry(n, encode(one)) for n, one in enumerate(sent, 1)], EPOCH)
    found = store.query("OneLogin | sort by UUID asc | project UUID, EventOriginalUid").rows
    assert found == [("", ""), ("c1", "c1"), ("u2", "u2"), ("u3", "c3")]
    assert store.query("OneLogin_CL | where uuid_g == 'c1' | project create__id_g").rows == [("c1",)]


def test_a_repeated_batch_changes_nothing(store):
    """
    Whatever part of the journal comes again, each event has one row.
    """
    records = morning()
    store.insert(records[:4], EPOCH)
    store.insert(records[:7], EPOCH)
    store.insert(records[2:], EPOCH)
    store.insert(records, EPOCH)
    assert store.stats()["rows"] == 11
    assert store.position(EPOCH) == len(records)
    assert store.position("other") is None


def test_position_moves_with_the_rows(store):
    """
    A batch that ends in a twin of a pruned entry still moves the position, and the twin is counted.
    """
    store.insert([record(1, TWIN, kind=Kind.TWIN, of=key_of("gone"), channel=Channel.API)], EPOCH)
    assert store.position(EPOCH) == 1
    assert store.stats()["dropped_twins"] == 1
    assert store.stats()["rows"] == 0


def test_hostile_bytes_come_back_unchanged(store):
    """
    What no table can hold is kept as bytes: nothing is refused, nothing altered, and queries still run.
    """
    records = [entry(offset, raw) for offset, raw in enumerate(HOSTILE, 1)]
    store.insert(records, EPOCH)
    assert raws(store) == list(HOSTILE)
    assert store.query("OneLogin | count").rows == [(len(HOSTILE),)]
    assert len(store.query("OneLogin_CL | extend x = Raw.notes").rows) == len(HOSTILE)
    assert store.query("OneLogin | where EventTypeId == 5 | count").rows == [(1,)]


@pytest.mark.parametrize(
    ("sent", "number", "text"),
    [
        (7, 7, "7"),
        ("7", 7, "7"),
        (7.0, 7, "7"),
        (2**63 - 1, 2**63 - 1, str(2**63 - 1)),
        (2**63, None, str(2**63)),
        (7.5, None, "7.5"),
        ("seven", None, "seven"),
        (True, None, "true"),
        (None, None, ""),
        ("", None, ""),
        ("a\0b", None, "a\0b"),
        pytest.param("x" * 900_000, None, "x" * 900_000, id="long"),
    ],
    ids=repr,
)
def test_loose_types(store, sent, number, text):
    """
    An id is a number where it is one, a text is its text, and what does not fit its column is kept aside.
    """
    fields = webhook(1, "08:00:00", 5, app_id=sent, app_name=sent)
    store.insert([record(1, fields)], EPOCH)
    query = "OneLogin | project TargetAppId, TargetAppName, AdditionalFields"
    ((app_id, app_name, aside),) = store.query(query).rows
    assert (app_id, app_name) == (number, text)
    assert (aside or {}) == ({} if number is not None or sent in (None, "") else {"app_id": sent})


def test_a_record_that_cannot_be_held_is_refused_by_its_place(store):
    """
    Poison is found by halving and named; nothing of its batch is committed, and the rest is taken without it.
    """
    records = morning()
    poisoned = [with_(one, connector=None) if one.offset in (3, 8) else one for one in records]
    with pytest.raises(Refused) as refused:
        store.insert(poisoned, EPOCH)
    assert set(refused.value.reasons) == {2, 7}
    assert all("cannot hold" in reason for reason in refused.value.reasons.values())
    assert store.position(EPOCH) is None
    assert store.stats()["rows"] == 0
    store.insert([one for one in records if one.offset not in (3, 8)], EPOCH)
    assert store.stats()["rows"] == 9


def test_a_replayed_record_is_taken_once(store):
    """
    A record with offset 0 comes outside the order: it is taken where its key has no row, and moves nothing.
    """
    first, second, *_ = morning()
    store.insert([second], EPOCH)
    for _ in range(2):
        store.insert([with_(first, offset=0), with_(first, offset=0), with_(second, offset=0)], EPOCH)
    assert store.stats()["rows"] == 2
    assert store.position(EPOCH) == 2


def test_a_store_that_was_given_up_is_opened_again(store):
    """
    When DuckDB gives the file up, one batch has to wait, and the next attempt finds the store open.
    """
    records = morning()
    store.insert(records[:3], EPOCH)
    store._database.writer.close()
    with pytest.raises(Unavailable):
        store.insert(records, EPOCH)
    store.insert(records, EPOCH)
    assert store.stats()["rows"] == 11
    assert store.query("OneLogin | count").rows == [(11,)]


def test_another_epoch_doubles_nothing(store):
    """
    A journal restored from a backup brings events again under a new epoch; those with a row are left out.
    """
    records = morning()
    store.insert(records, EPOCH)
    again = [with_(one, offset=n) for n, one in enumerate(reversed(records[:11]), 1)]
    as_entry = record(12, TWIN, channel=Channel.API)  # its key is known as a twin's
    fresh = record(13, webhook(77, "11:00:00", 5))
    store.insert([*again, as_entry, fresh], "restored")
    assert store.stats()["rows"] == 12
    assert store.stats()["positions"] == {EPOCH: 12, "restored": 13}


def test_a_relinked_twin_replaces_the_former(store):
    """
    When the journal links another record, nothing of the former twin stays in the row.
    """
    first = record(1, MORNING[0])
    store.insert([first, record(2, TWIN, kind=Kind.TWIN, of=first.key, channel=Channel.API)], EPOCH)
    better = {
        "id": 99,
        "created_at": "2026-03-02T08:00:05Z",
        "event_type_id": 5,
        "policy_id": 3,
        "spare": True,
    }
    store.insert([record(3, better, kind=Kind.TWIN, of=first.key, channel=Channel.API)], EPOCH)
    query = (
        "OneLogin | project EventId, RiskScore, BrowserFingerprint, PolicyId, tobool(AdditionalFields.spare)"
    )
    assert store.query(query).rows == [(99, None, "", 3, True)]
    (held,) = store.held(first.time_us // 3_600_000_000)
    assert [native for native, _ in held.records] == [first.native, "99"]


def test_a_twin_far_from_its_entry_is_found(store):
    """
    An entry whose own time could not be read has its arrival time, and still meets its twin.
    """
    odd = with_(record(1, MORNING[0]), time_us=NOW * 1_000_000, flags=int(Flag.TIME_UNREADABLE))
    store.insert([odd, record(2, TWIN, kind=Kind.TWIN, of=odd.key, channel=Channel.API)], EPOCH)
    assert store.query("OneLogin | project RiskScore").rows == [(12,)]


def test_held_is_by_the_hour_of_the_records_own_time(store):
    """
    A row is found under the hour of its record, under its twin's hour too, and under 0 without a time.
    """
    hour = 1_772_438_400 // 3_600  # 2026-03-02 08:00
    late = webhook(21, "08:59:59", 5)
    next_hour = {"id": 5, "created_at": "2026-03-02T09:00:00.01Z", "event_type_id": 5}
    timeless = with_(
        record(3, webhook(22, "never", 5)), time_us=NOW * 1_000_000, flags=int(Flag.TIME_UNREADABLE)
    )
    first = record(1, late)
    store.insert(
        [first, record(2, next_hour, kind=Kind.TWIN, of=first.key, channel=Channel.API), timeless], EPOCH
    )
    for asked in (hour, hour + 1):
        (held,) = store.held(asked)
        assert (held.key, held.connector, held.account) == (first.key, "acme", 4711)
        assert [native for native, _ in held.records] == [first.native, "5"]
        assert held.records[0][1] == first.raw
    assert [held.key for held in store.held(0)] == [timeless.key]
    assert store.held(hour + 5) == []
    assert store.held(hour - 24 * 365) is None


def test_changes_are_kept_aside(store):
    """
    A changed repeat is no second row; its bytes are kept.
    """
    first = record(1, MORNING[0])
    store.insert([first, record(2, MORNING[1], kind=Kind.CHANGE, of=first.key)], EPOCH)
    assert (store.stats()["rows"], store.stats()["changes"]) == (1, 1)


def test_unknown_event_types_have_a_name(path):
    """
    The name is decided when the event comes in; an id without one is called by its number.
    """
    store = Store.open(path, names={5: "SIGNED_IN"}.get)
    store.insert(
        [record(n, webhook(n, "08:00:00", id_)) for n, id_ in enumerate((5, 6, None, "x"), 1)], EPOCH
    )
    rows = store.query("OneLogin | sort by UUID asc | project EventType").rows
    store.close()
    assert rows == [("SIGNED_IN",), ("EVENT_TYPE_6",), ("",), ("",)]


def test_retention_removes_whole_days_in_pieces(path):
    """
    What is older than the retention goes, with its changes; what is at its edge stays.
    """
    store = opened(path, retention_days=2)
    fields = [
        webhook(n, "00:00:00", 5) | {"event_timestamp": f"2026-02-{n:02d} 12:00:00 UTC"} for n in range(1, 29)
    ]
    store.insert([record(n, one) for n, one in enumerate(fields, 1)], EPOCH)
    edge = datetime(2026, 2, 27, 12, tzinfo=UTC).timestamp() + 2 * DAY
    assert store.prune(edge) == 26
    assert store.prune(edge) == 0
    assert store.prune(edge + 1) == 1
    assert len(raws(store)) == 1
    store.close()


def test_backup_of_a_running_store_can_be_restored(store, path, tmp_path):
    """
    A backup taken between inserts holds what was committed, and a store goes on from it.
    """
    records = morning()
    store.insert(records[:5], EPOCH)
    store.backup(tmp_path / "backup.duckdb")
    store.insert(records[5:], EPOCH)
    assert opened_elsewhere(path) == "Busy", "the backup gave up the lock on the store"
    store.close()
    assert upkeep.restore(tmp_path / "backup.duckdb", path) == migration.steps()[-1].version
    restored = opened(path)
    assert (restored.stats()["rows"], restored.position(EPOCH)) == (5, 5)
    restored.insert(records, EPOCH)
    assert restored.stats()["rows"] == 11
    restored.close()


def opened_elsewhere(path):
    """Open a store in another process; returns the error's class."""
    lines = (
        "import sys, pathlib; from onelogin_connector.store import Store\n"
        "try:\n    Store.open(pathlib.Path(sys.argv[1]), names=lambda id: None); print('open')\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_restore_refuses_what_is_no_backup_or_is_in_use(store, path, tmp_path):
    """
    An open store is never overwritten, and a file that is no store never put in its place.
    """
    (tmp_path / "text").write_text("no store")
    with pytest.raises(ConfigError, match="no backup"):
        upkeep.restore(tmp_path / "text", path)
    store.backup(tmp_path / "backup.duckdb")
    with pytest.raises(Busy):
        upkeep.restore(tmp_path / "backup.duckdb", path)


def test_a_second_process_is_told_who_has_it(store, path):
    """
    Only one process can have the store.
    """
    assert opened_elsewhere(path) == "Busy"


def test_a_file_that_is_no_store_is_refused(path):
    """
    The message says what to do.
    """
    path.write_text("something else")
    with pytest.raises(ConfigError) as error:
        opened(path)
    assert "backup" in error.value.action


def zeroed(path, start, length=8192):
    """Overwrite a part of a file with zeros."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(length))


DAMAGES = {
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a quarter": lambda path: os.truncate(path, path.stat().st_size // 4),
    "its beginning": lambda path: os.truncate(path, 12_288),
    "nothing": lambda path: os.truncate(path, 0),
    "zeros at 4096": lambda path: zeroed(path, 4096),
    "zeros at 8192": lambda path: zeroed(path, 8192),
    "zeros at 12288": lambda path: zeroed(path, 12_288),
    "zeros in the middle": lambda path: zeroed(path, path.stat().st_size // 2),
    "zeros in its second half": lambda path: zeroed(path, path.stat().st_size // 2, path.stat().st_size // 2),
}


READS = {
    "position": lambda store: store.position(EPOCH),
    "held": lambda store: store.held(492_360),
    "stats": lambda store: {name: value for name, value in store.stats().items() if name != "bytes"},
    "entries": raws,
    "rows": lambda store: sorted(store.query("OneLogin | summarize count() by tostring(Raw)").rows),
    "columns": lambda store: sorted(map(str, store.query("OneLogin_CL").rows)),
    "other columns": lambda store: sorted(map(str, store.query("OneLoginEventsV2_CL").rows)),
}


def readings(path):
    """Open a store and read all there is: name of the read → what it gave, or its error."""
    try:
        store = opened(path)
    except ConfigError as error:
        return {"opening": error}
    found = {}
    for name, read in READS.items():
        try:
            found[name] = read(store)
        except (ConfigError, QueryError) as error:
            found[name] = error
    store.close()
    return found


def filled(path):
    """Fill a store with some thousand events."""
    store = opened(path)
    store.insert([record(n, webhook(n, "12:00:00", 5)) for n in range(1, 3000)], EPOCH)
    store.close()


def errors_of(found, path):
    """Return the errors among readings, each of which names the file and what to do for its events."""
    errors = [error for error in found.values() if isinstance(error, Exception)]
    for error in errors:
        assert "is damaged" in error.message
        assert str(path) in error.message
        assert "Restore a backup" in error.action
        assert "imported or backfilled" in error.action
    return errors


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_called_damaged(path, damage):
    """
    Whether it shows at the start or when a part is read: the file is named, and what to do for its events.
    """
    filled(path)
    damage(path)
    assert errors_of(readings(path), path)


def test_damage_anywhere_is_told_or_touches_nothing_that_is_read(path, tmp_path):
    """
    Eight kilobytes in each block of the file: every reading is the same as before, or says that the file is damaged.
    """
    filled(path)
    before = readings(path)
    assert not errors_of(before, path)
    block, size = 256 * 1024, path.stat().st_size
    told = []
    for start in range(12_288, size, block):
        copy = tmp_path / f"{start}.duckdb"
        shutil.copy(path, copy)
        zeroed(copy, start + block // 3, min(8192, size - start))
        found = readings(copy)
        told.append(bool(errors_of(found, copy)))
        for name, value in found.items():
            assert isinstance(value, Exception) or value == before[name], (start, name)
        copy.unlink()
    assert sum(told) > len(told) / 2, told


@pytest.mark.parametrize("room", [0, 4_096, 8_192, 12_288])
def test_a_full_disk_is_called_full(path, room):
    """
    Where there is no room for a new store, freeing some is all that is advised, and then it can be made.
    """
    lines = (
        "import resource, signal, sys; from pathlib import Path; from onelogin_connector.store import Store;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
        "Store.open(Path(sys.argv[1]), names=lambda number: None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines, str(path)], capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "its disk is full" in last
    assert "Free disk space" in last
    assert "backup" not in last
    assert not path.exists()
    opened(path).close()


def test_migrations_run_once_and_in_order(tmp_path):
    """
    An older file is brought forward step by step, its rows kept; a failing step leaves the version before.
    """
    one = migration.Step(1, "CREATE TABLE things (a INTEGER); INSERT INTO things VALUES (1);")
    two = migration.Step(2, "ALTER TABLE things ADD COLUMN b INTEGER; UPDATE things SET b = a + 1;")
    broken = migration.Step(3, "ALTER TABLE things ADD COLUMN c INTEGER; SELECT nonsense;")
    with duckdb.connect(str(tmp_path / "old.duckdb")) as connection:
        for steps in ([one], [one, two], [one, two]):
            migration.apply(connection, steps)
        assert connection.execute("SELECT a, b FROM things").fetchall() == [(1, 2)]
        with pytest.raises(duckdb.Error):
            migration.apply(connection, [one, two, broken])
        assert migration.version_of(connection) == 2
        assert len(connection.execute("DESCRIBE things").fetchall()) == 2
        with pytest.raises(ConfigError, match="version 2"):
            migration.apply(connection, [one])


def test_a_newer_store_is_refused(path):
    """
    A store of a later program is not touched.
    """
    opened(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO versions VALUES (999, now()::TIMESTAMP)")
    with pytest.raises(ConfigError, match="999"):
        opened(path)


def test_one_table_row_is_the_sinks_row(store):
    """
    ``OneLogin_CL`` and ``OneLoginEventsV2_CL`` hold what an Azure sink would send.
    """
    from onelogin_connector.formats import fields
    from onelogin_connector.formats.onelogin_cl import legacy_row, v2_row

    for offset, sent in enumerate([*MORNING, FROM_API], 1):
        channel = Channel.API if sent is FROM_API else Channel.WEBHOOK
        one = record(1, sent, channel=channel)
        store.insert([one], f"epoch {offset}")
        reading = fields.read(one.raw)
        for table, row in (
            ("OneLogin_CL", legacy_row(reading, time_us=one.time_us, raw=one.raw)),
            ("OneLoginEventsV2_CL", v2_row(reading, time_us=one.time_us)),
        ):
            at = f"datetime({row['TimeGenerated']})"
            result = store.query(f"{table} | where TimeGenerated == {at}")
            assert {column.name for column in result.columns} == set(row), table
            found = dict(zip([column.name for column in result.columns], result.rows[0], strict=True))
            for name in set(row) - {"TimeGenerated", "event_time_t", "Raw"}:
                assert found[name] == ("" if row[name] is None and found[name] == "" else row[name]), name


def test_a_position_can_be_set_for_a_new_epoch(tmp_path):
    """
    Records that came in under another epoch are passed over, those behind them are taken.
    """
    store = Store.open(tmp_path / "s.duckdb", names=lambda _: None)
    store.pass_over("new", 5)
    assert store.position("new") == 5
    store.pass_over("new", 6)
    assert store.position("new") == 6
    store.close()
