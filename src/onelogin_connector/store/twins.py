"""
Merging a twin, the same event's record of the other channel, into the event's row.

A row is always the merge of its entry and its *latest* twin: the entry's fields, and the twin's where the
entry has none. When the journal links another twin, the merge is made anew from the entry's bytes, so that
nothing of the former twin stays. Only columns that change are written; most twins bring an id and their
bytes, and a column that is not touched is not rewritten on disk.

Two rare cases: a record of the entry's own channel takes the entry's place in the row, because the journal
has moved that one to another event or the new one names both ids; and a record that moves leaves its row.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import duckdb

from onelogin_connector.event import Entry, Kind
from onelogin_connector.formats import fields
from onelogin_connector.store import rows, users
from onelogin_connector.store.rows import FIELDS, TWIN, Line, Names, unpacking

NEAR_US = 2_000_000
"""A twin's time is within a second of its entry's, apart from times that cannot be read."""

_ROW = """
    SELECT rowid, entry_key, channel, epoch_us(event_time), raw, raw_bytes, twin_raw, twin_raw_bytes
    FROM events"""
_FOUND = f"{_ROW} WHERE entry_key IN (SELECT unnest($keys::UUID[]))"
_AS_TWIN = f"{_ROW} WHERE twin_key = $key::UUID AND entry_key <> $home::UUID"
_AS_ENTRY = f"""{_ROW} WHERE native = $native AND channel = $channel AND entry_key <> $home::UUID
    AND event_time = make_timestamp($time)"""
_NO_TWIN = ", ".join(f"{name} = NULL" for name in (*TWIN, "twin_raw", "twin_raw_bytes"))
_PROMOTED = ", ".join(
    f"{name} = twin_{name}"
    for name in ("key_hour", "channel", "way", "native", "also", "received_time", "raw", "raw_bytes")
)
_MERGED = FIELDS | {"event_type": "VARCHAR"}


class Row(NamedTuple):
    """
    What of an event's row a merge needs.
    """

    id: int
    key: bytes
    channel: str
    time_us: int
    entry: fields.Reading
    twin: fields.Reading | None


def merge(connection: duckdb.DuckDBPyConnection, twins: Sequence[Entry], names: Names) -> int:
    """
    Merge twins into their entries' rows, within the caller's transaction.

    Returns:
        How many found no row: their entry is not held any more.
    """
    home = {twin.key: twin.of for twin in twins}
    staying = [twin for twin in twins if home[twin.key] == twin.of]
    found: set[bytes] = set()
    # two records of one event, one of each channel, come one after the other
    for channel in sorted({twin.channel for twin in staying}):
        latest = {twin.of: twin for twin in staying if twin.channel == channel}
        found |= _merge_latest(connection, latest, names)
    _release(connection, [twin for twin in staying if twin.kind == Kind.MOVE], names)
    return sum(twin.of not in found for twin in staying)


def _merge_latest(
    connection: duckdb.DuckDBPyConnection, latest: dict[bytes, Entry], names: Names
) -> set[bytes]:
    """
    Merge one record into each row; returns the keys of the rows that were found.
    """
    found = _find(connection, list(latest.values()))
    changed: set[str] = set()
    lines, times = [], []
    for row in found:
        twin = latest[row.key]
        if twin.channel == row.channel:
            _replace(connection, row, twin, names)
            continue
        line, touched = _merged(row, twin, names)
        lines.append(line)
        times.append(row.time_us)
        changed |= touched
    if lines:
        _update(connection, lines, changed, min(times), max(times))
    if "user_id" in changed:
        users.look_up(connection, [row.id for row in found])
    return {row.key for row in found}


def _release(connection: duckdb.DuckDBPyConnection, moved: Sequence[Entry], names: Names) -> None:
    """
    Take records out of the rows they were in; what is left there is the record of the other channel.
    """
    for record in moved:
        home = {"home": record.of.hex()}
        for values in connection.execute(_AS_TWIN, home | {"key": record.key.hex()}).fetchall():
            row = _row(values)
            _set(connection, _columns(row.entry, row.time_us, names) | {"row": row.id}, b"", _MERGED)
            connection.execute(f"UPDATE events SET {_NO_TWIN} WHERE rowid = ?", [row.id])
        own = home | {"native": record.native, "channel": record.channel, "time": record.time_us}
        for values in connection.execute(_AS_ENTRY, own).fetchall():
            row = _row(values)
            if row.twin is not None:
                _set(connection, _columns(row.twin, row.time_us, names) | {"row": row.id}, b"", _MERGED)
                connection.execute(f"UPDATE events SET {_PROMOTED}, {_NO_TWIN} WHERE rowid = ?", [row.id])


def _replace(connection: duckdb.DuckDBPyConnection, row: Row, record: Entry, names: Names) -> None:
    """
    Put a record into its row in the place of the entry's own.
    """
    reading = fields.read(record.raw)
    whole = reading if row.twin is None else rows.merged(reading, row.twin)
    own = {"native": "VARCHAR", "also": "VARCHAR", "key_hour": "INTEGER"}
    values = _columns(whole, row.time_us, names) | {
        "row": row.id,
        "native": record.native,
        "also": record.also,
        "key_hour": rows.key_hour(record),
    }
    _set(connection, values, record.raw, _MERGED | own)


def _set(
    connection: duckdb.DuckDBPyConnection, values: dict[str, Any], raw: bytes, columns: dict[str, str]
) -> None:
    """
    Write a row's columns, and its entry's bytes where there are any.
    """
    line = rows.line(values, raw or b"{}")
    assignments = [f"{name} = new.{name}" for name in columns]
    if raw:
        assignments += ["raw = new.raw", "raw_bytes = new.raw_bytes"]
    connection.execute(
        f"""
        UPDATE events SET {", ".join(assignments)}
        FROM ({unpacking({"row": "BIGINT"} | columns)}) AS new WHERE events.rowid = new.row""",
        [[line.values], [line.raw]],
    )
    users.look_up(connection, [values["row"]])


def _find(connection: duckdb.DuckDBPyConnection, twins: Sequence[Entry]) -> list[Row]:
    """
    Find the rows by key: first near the twins' times, which touches little, then wherever they are.
    """
    times = [twin.time_us for twin in twins]
    near = connection.execute(
        f"{_FOUND} AND event_time BETWEEN make_timestamp($low) AND make_timestamp($high)",
        {
            "keys": [twin.of.hex() for twin in twins],
            "low": min(times) - NEAR_US,
            "high": max(times) + NEAR_US,
        },
    ).fetchall()
    found = [_row(values) for values in near]
    missing = {twin.of for twin in twins} - {row.key for row in found}
    if missing:
        far = connection.execute(_FOUND, {"keys": [key.hex() for key in missing]}).fetchall()
        found += [_row(values) for values in far]
    return found


def _row(values: Sequence[Any]) -> Row:
    id_, key, channel, time_us, raw, raw_bytes, twin_raw, twin_raw_bytes = values
    return Row(
        id=id_,
        key=key.bytes if isinstance(key, UUID) else bytes.fromhex(str(key).replace("-", "")),
        channel=channel,
        time_us=time_us,
        entry=fields.read(rows.raw_of(raw, raw_bytes)),
        twin=None if twin_raw is None else fields.read(rows.raw_of(twin_raw, twin_raw_bytes)),
    )


def _merged(row: Row, twin: Entry, names: Names) -> tuple[Line, set[str]]:
    """
    Return the row's new values, and which columns differ from what it holds.
    """
    before = _columns(row.entry if row.twin is None else rows.merged(row.entry, row.twin), row.time_us, names)
    after = _columns(rows.merged(row.entry, fields.read(twin.raw)), row.time_us, names)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    values = after | {
        "row": row.id,
        "twin_key": twin.key.hex(),
        "twin_key_hour": rows.key_hour(twin),
        "twin_channel": twin.channel,
        "twin_way": twin.way,
        "twin_native": twin.native,
        "twin_also": twin.also,
        "twin_received_time": twin.received_us,
        "twin_time": twin.time_us,
    }
    return rows.line(values, twin.raw), changed


def _columns(reading: fields.Reading, time_us: int, names: Names) -> dict[str, Any]:
    return rows.of_fields(reading.values, reading.more, time_us, names)


def _update(
    connection: duckdb.DuckDBPyConnection,
    lines: Sequence[Line],
    changed: Iterable[str],
    low_us: int,
    high_us: int,
) -> None:
    columns = {name: kind for name, kind in _MERGED.items() if name in set(changed)} | TWIN
    assignments = ", ".join(f"{name} = new.{name}" for name in columns)
    connection.execute(
        f"""
        UPDATE events SET {assignments}, twin_raw = new.raw, twin_raw_bytes = new.raw_bytes
        FROM ({unpacking({"row": "BIGINT"} | columns)}) AS new
        WHERE events.rowid = new.row
            AND events.event_time BETWEEN make_timestamp($3) AND make_timestamp($4)""",
        [[line.values for line in lines], [line.raw for line in lines], low_us, high_us],
    )
