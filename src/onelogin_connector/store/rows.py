"""
A journal entry as a row.

A row travels into DuckDB as one line of JSON beside its raw bytes as text; DuckDB takes a thousand lines
apart in one statement, several times as fast as bound values (``executemany`` takes 600 rows/s, a list per
column 20,000, lines 40,000). Each value already has its column's type, so nothing is converted on the way.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from json import dumps
from typing import Any, NamedTuple

from msgspec.json import Encoder

from onelogin_connector.event import Entry, Flag, Way, read
from onelogin_connector.formats import fields
from onelogin_connector.formats.fields import Reading
from onelogin_connector.formats.onelogin_cl import timestamp_text
from onelogin_connector.onelogin.event_types import placeholder

NO_TIME = Flag.TIME_UNREADABLE | Flag.TIME_AHEAD
HOUR_US = 3_600_000_000

Names = Callable[[int], str | None]
"""Event type id → its name, None where it is not known."""

TIMES = ("event_time", "received_time", "twin_received_time", "twin_time")
KEYS = ("entry_key", "twin_key", "of_key")
OWN = {
    "entry_key": "UUID",
    "epoch": "VARCHAR",
    "journal_offset": "BIGINT",
    "key_hour": "INTEGER",
    "connector": "VARCHAR",
    "account": "BIGINT",
    "channel": "VARCHAR",
    "way": "VARCHAR",
    "native": "VARCHAR",
    "also": "VARCHAR",
    "flags": "INTEGER",
    "event_time": "TIMESTAMP",
    "received_time": "TIMESTAMP",
    "event_type": "VARCHAR",
}
FIELDS = dict.fromkeys(fields.TEXTS, "VARCHAR") | dict.fromkeys(fields.NUMBERS, "BIGINT") | {"more": "JSON"}
CHANGES = {
    name: kind for name, kind in OWN.items() if name not in ("key_hour", "also", "flags", "event_type")
} | {"of_key": "UUID"}
TWIN = {
    "twin_key": "UUID",
    "twin_key_hour": "INTEGER",
    "twin_channel": "VARCHAR",
    "twin_way": "VARCHAR",
    "twin_native": "VARCHAR",
    "twin_also": "VARCHAR",
    "twin_received_time": "TIMESTAMP",
    "twin_time": "TIMESTAMP",
}

_encode = Encoder().encode


class Line(NamedTuple):
    """
    A row on its way: its values as JSON text, and its raw bytes as text.
    """

    values: str
    raw: str


def of_entry(entry: Entry, epoch: str, names: Names) -> Line:
    """
    Return the row of an event.
    """
    reading = fields.read(entry.raw)
    row = _own(entry, epoch)
    row["key_hour"] = key_hour(entry)
    row["also"] = entry.also
    row["flags"] = entry.flags
    row.update(of_fields(reading.values, reading.more, entry.time_us, names))
    return line(row, entry.raw)


def of_change(entry: Entry, epoch: str) -> Line:
    """
    Return the row that keeps a changed repeat.
    """
    row = _own(entry, epoch)
    row["of_key"] = entry.of.hex() or None
    return line(row, entry.raw)


def _own(entry: Entry, epoch: str) -> dict[str, Any]:
    return {
        "entry_key": entry.key.hex(),
        "epoch": epoch,
        "journal_offset": int(entry.offset),
        "connector": entry.connector,
        "account": entry.account,
        "channel": entry.channel,
        "way": entry.way,
        "native": entry.native,
        "event_time": entry.time_us,
        "received_time": entry.received_us,
    }


def of_fields(
    values: Mapping[str, Any], more: Mapping[str, Any], time_us: int, names: Names
) -> dict[str, Any]:
    """
    Return the columns that come from a record's fields, the name of its type among them.
    """
    row = dict(values)
    row["event_timestamp"] = timestamp_text(values, time_us)
    number = values.get("event_type_id")
    row["event_type"] = "" if number is None else names(number) or placeholder(number)
    if more:
        row["more"] = fields.as_json(more)
    return row


def merged(entry: Reading, twin: Reading) -> Reading:
    """
    Return an event's fields from both of its records: the entry's, and the twin's where it has none.
    """
    return Reading(dict(twin.values) | entry.values, dict(twin.more) | entry.more)


def key_hour(entry: Entry) -> int:
    """
    Return the hour (since 1970) under which the journal keeps a record's keys; 0 where its time is unreadable.
    """
    if not entry.flags & NO_TIME:
        return entry.time_us // HOUR_US
    event = read(entry.raw, connector=entry.connector, way=Way(entry.way), received_us=entry.received_us)
    return 0 if event.sent_us is None else event.sent_us // HOUR_US


def line(row: dict[str, Any], raw: bytes, bytes_column: str = "raw_bytes") -> Line:
    """
    Return a row as JSON text; bytes that are no UTF-8 go along in full beside their readable text.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
        row[bytes_column] = b64encode(raw).decode()
    return Line(_encode(row).decode(), text)


def raw_of(text: str, odd: bytes | None) -> bytes:
    """
    Return a record's bytes from the two columns that hold them.
    """
    return text.encode() if odd is None else odd


def unpacking(columns: Mapping[str, str], bytes_column: str = "raw_bytes") -> str:
    """
    Return the SQL that takes lines ($1) and raw texts ($2) apart into columns and ``raw``.

    A text that is no JSON for DuckDB (half a surrogate pair in an escape, say) becomes a JSON string, and
    its bytes are kept beside it.
    """
    structure = {name: "BIGINT" if name in TIMES else kind for name, kind in columns.items()}
    structure = {name: "VARCHAR" if kind == "JSON" else kind for name, kind in structure.items()}
    chosen = ", ".join(f"{_typed(name, kind)} AS {name}" for name, kind in columns.items())
    text = dumps(structure | {bytes_column: "VARCHAR"})
    return f"""
        SELECT {chosen},
            coalesce(parsed, to_json(raw)) AS raw,
            coalesce(from_base64(r.{bytes_column}), CASE WHEN parsed IS NULL THEN encode(raw) END) AS raw_bytes
        FROM (
            SELECT from_json(line, '{text}') AS r, TRY_CAST(raw AS JSON) AS parsed, raw
            FROM (SELECT unnest($1::VARCHAR[]) AS line, unnest($2::VARCHAR[]) AS raw)
        )"""


def _typed(name: str, kind: str) -> str:
    if name in TIMES:
        return f"make_timestamp(r.{name})"
    if kind == "JSON":
        return f"TRY_CAST(r.{name} AS JSON)"
    if name in fields.TEXTS:
        return f"coalesce(r.{name}, '')"
    return f"r.{name}"
