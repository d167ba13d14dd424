"""
What the rest of the program asks the store, apart from queries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import duckdb

from onelogin_connector.event import Entry, Kind
from onelogin_connector.journal.base import Held
from onelogin_connector.store import rows
from onelogin_connector.store.database import Database
from onelogin_connector.store.trouble import of_reading
from onelogin_connector.store.writing import position_of

_HELD = """
    SELECT entry_key, connector, account, native, raw, raw_bytes, twin_native, twin_raw, twin_raw_bytes
    FROM events WHERE key_hour = $hour
    UNION ALL
    SELECT entry_key, connector, account, native, raw, raw_bytes, twin_native, twin_raw, twin_raw_bytes
    FROM events WHERE twin_key_hour = $hour AND key_hour <> $hour"""

_ENTRIES = """
    SELECT journal_offset, entry_key, connector, account, channel, way, native, also,
        epoch_us(event_time), epoch_us(received_time), flags, raw, raw_bytes
    FROM events WHERE epoch = $epoch AND journal_offset > $after AND journal_offset <= $up_to
    ORDER BY journal_offset LIMIT $limit"""


class Reader:
    """
    Answers the journal, the sinks and the status page.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def _rows(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._reading() as connection:
            return connection.execute(statement, parameters or {}).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._database.read_lock:
            try:
                yield self._database.reader
            except duckdb.Error as error:
                raise of_reading(self._database.path, error) from error

    def position(self, epoch: str) -> int | None:
        """
        Return the offset up to which an epoch's journal is taken in, None where nothing of it is.
        """
        with self._reading() as connection:
            return position_of(connection, epoch)

    def held(self, hour: int) -> list[Held]:
        """
        Return the events with a record whose keys belong to an hour since 1970, with all their records.
        """
        return [_held(row) for row in self._rows(_HELD, {"hour": hour})]

    def entries(self, after: int, up_to: int, epoch: str, limit: int) -> list[Entry]:
        """
        Return entries (no twins, no changes) after an offset and up to one, in order.
        """
        bounds = {"epoch": epoch, "after": after, "up_to": up_to, "limit": limit}
        return [_entry(row) for row in self._rows(_ENTRIES, bounds)]

    def stats(self) -> dict[str, Any]:
        """
        Return ``rows, changes, bytes, oldest_us, newest_us, positions``.
        """
        count, oldest, newest = self._rows(
            "SELECT count(*), epoch_us(min(event_time)), epoch_us(max(event_time)) FROM events"
        )[0]
        path = self._database.path
        log = path.with_name(path.name + ".wal")
        return {
            "rows": count,
            "changes": self._rows("SELECT count(*) FROM changes")[0][0],
            "bytes": sum(file.stat().st_size for file in (path, log) if file.exists()),
            "oldest_us": oldest,
            "newest_us": newest,
            "positions": dict(self._rows("SELECT epoch, journal_offset FROM positions")),
        }


def _key(value: Any) -> bytes:
    return value.bytes if isinstance(value, UUID) else UUID(str(value)).bytes


def _held(row: tuple[Any, ...]) -> Held:
    key, connector, account, native, raw, raw_bytes, twin_native, twin_raw, twin_bytes = row
    records = [(native, rows.raw_of(raw, raw_bytes))]
    if twin_native is not None:
        records.append((twin_native, rows.raw_of(twin_raw, twin_bytes)))
    return Held(_key(key), connector, account, records)


def _entry(row: tuple[Any, ...]) -> Entry:
    offset, key, connector, account, channel, way, native, also, time_us, received_us, flags, raw, odd = row
    return Entry(
        offset=offset,
        kind=Kind.ENTRY,
        key=_key(key),
        of=b"",
        connector=connector,
        account=account,
        channel=channel,
        way=way,
        native=native,
        also=also,
        time_us=time_us,
        received_us=received_us,
        flags=flags,
        raw=rows.raw_of(raw, odd),
    )
