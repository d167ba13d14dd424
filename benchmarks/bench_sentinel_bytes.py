"""
Bytes per event on their way into Microsoft Sentinel: as received, as sent, and as a workspace stores them.

Thousands of webhook records of the simulated company, no two alike, become full calls of each sink, without a network. What is
*stored* is the text of every column that has a value, which is how Azure Monitor says that it counts what it bills;
its own sum can be looked up in ``_BilledSize`` afterwards, and was not compared here. The same records always give
the same bytes, but for the compression, which differs by a few per cent between processors. One company's
records resemble each other more than those of a real one, so these pack better.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from msgspec.json import decode, encode

from benchmarks.records import SINCE_US
from benchmarks.row import Row
from onelogin_connector.azure.logs_ingestion import Parcel
from onelogin_connector.event import Entry, Kind, Way, read
from onelogin_connector.formats import collector_record, fields
from onelogin_connector.formats.ingestion import event_row
from onelogin_connector.formats.onelogin_cl import LEGACY_TABLE, V2_TABLE
from onelogin_connector.simulator.azure.inference import flat
from onelogin_connector.simulator.company import Company
from onelogin_connector.sinks.data_collector import DataCollector

CALL_BYTES = 1 << 20


class Size(NamedTuple):
    """
    Bytes per event.
    """

    json: float
    """Of the call's JSON."""
    sent: float
    """On the wire: packed, where the API takes that."""
    stored: float
    """Of the columns' text."""
    without_raw: float
    """The same without the column ``Raw``, which a rule's transformation can leave out."""
    calls: float
    """Per million events."""


def run(quick: bool) -> list[Row]:
    """
    Measure every way into Sentinel over the same records.
    """
    batch = entries(1_000 if quick else 5_000)
    received = sum(len(entry.raw) for entry in batch) / len(batch)
    rows = [Row.of("webhook record as received", [received], "bytes/event")]
    for name, size in sizes(batch).items():
        rows += [
            Row.of(
                f"{name}: sent",
                [size.sent],
                "bytes/event",
                baseline="its JSON, not packed",
                against=size.json,
            ),
            Row.of(
                f"{name}: stored",
                [size.stored],
                "bytes/event",
                baseline="the record received",
                against=received,
            ),
            *(
                [Row.of(f"{name}: stored without Raw", [size.without_raw], "bytes/event")]
                if size.without_raw < size.stored
                else []
            ),
            Row.of(f"{name}: calls", [size.calls], "per million events"),
        ]
    return rows


def entries(count: int) -> list[Entry]:
    """
    Return journal entries of webhook records, half of them with all their nulls, always the same.
    """
    found = []
    for number, happening in enumerate(islice(Company(1).story(SINCE_US), count), start=1):
        record = happening.to_webhook()
        if number % 2:
            record = {name: value for name, value in record.items() if value is not None}
        found.append(_entry(number, encode(record)))
    return found


def sizes(batch: Sequence[Entry]) -> dict[str, Size]:
    """
    Return the sizes of a batch by each sink and table.
    """
    return {
        "data_collector": _by_collector(batch),
        f"logs_ingestion, {LEGACY_TABLE}": _by_ingestion(batch, LEGACY_TABLE),
        f"logs_ingestion, {V2_TABLE}": _by_ingestion(batch, V2_TABLE),
    }


def _entry(offset: int, raw: bytes) -> Entry:
    event = read(raw, connector="default", way=Way.WEBHOOK, received_us=SINCE_US)
    return Entry(
        offset=offset, kind=Kind.ENTRY, key=offset.to_bytes(16, "big"), of=b"", connector="default",
        account=event.account, channel=event.channel, way=event.way, native=event.native, also=event.also,
        time_us=event.time_us, received_us=event.received_us, flags=event.flags, raw=raw,
    )  # fmt: skip


def _by_collector(batch: Sequence[Entry]) -> Size:
    records = [
        collector_record.record(fields.read(entry.raw), native=entry.native, time_us=entry.time_us)
        for entry in batch
    ]
    json = (sum(len(encode(record)) + 1 for record in records) + 1) / len(batch)
    # the time stands twice in a row: as TimeGenerated, and in the column of its property
    stored = _mean(
        records, lambda record: _text_bytes(flat(record)) + len(record[collector_record.TIME_FIELD])
    )
    return Size(json, json, stored, stored, 1_000_000 / DataCollector.limits.records)


def _by_ingestion(batch: Sequence[Entry], table: str) -> Size:
    rows = [event_row(table, entry, most_bytes=CALL_BYTES) for entry in batch]
    json = sent = calls = done = 0
    while done < len(rows):
        parcel = Parcel.of(rows[done:])
        body = parcel.body(0, len(parcel.rows))
        done, calls = done + len(parcel.rows), calls + 1
        json, sent = json + body.rows_bytes, sent + len(body.content)
    full = len(Parcel.of(rows * (CALL_BYTES // sum(map(len, rows)) + 1)).rows)
    columns = [decode(row) for row in rows]
    stored = _mean(columns, lambda row: _text_bytes(row.items()))
    without_raw = _mean(columns, lambda row: _text_bytes((row | {"Raw": None}).items()))
    return Size(json / done, sent / done, stored, without_raw, 1_000_000 / full)


def _text_bytes(columns: Iterable[tuple[str, Any]]) -> int:
    return sum(len(_text(value).encode()) for _, value in columns if value is not None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _mean(rows: Sequence[Any], bytes_of: Callable[[Any], int]) -> float:
    return sum(map(bytes_of, rows)) / len(rows)
