"""
Taking journal records in, each exactly once.

The rows of a batch and the position up to which the journal is taken in commit in one transaction, so after
a crash both are there or neither. Records at or below the position are ignored: a batch may be repeated.

Keys settle what offsets cannot: a record that comes outside the order (offset 0, a replayed dead letter), and
every record once the store has seen another epoch, whose journal may have been restored from a backup and
brings some events again. It is taken only where no row has its key.

A record that DuckDB will not take is found by halving, in transactions that are rolled back, and refused by
its place in the batch; nothing of that batch is committed, so that the position never passes a record
before the journal knows what became of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from onelogin_connector.errors import Refused, Unavailable
from onelogin_connector.event import Entry, Kind
from onelogin_connector.store import completeness, rows, twins, users
from onelogin_connector.store.database import GIVEN_UP, Database
from onelogin_connector.store.rows import CHANGES, FIELDS, OWN, Line, Names, unpacking
from onelogin_connector.store.trouble import first_line

PASSING = (
    duckdb.OutOfMemoryException,
    duckdb.IOException,
    duckdb.TransactionException,
    duckdb.InterruptException,
    duckdb.ConnectionException,
    duckdb.FatalException,
    duckdb.InternalException,
    MemoryError,
)
"""Errors that say nothing about the records: the same batch may succeed later."""

JOINING = (Kind.TWIN, Kind.MOVE)
"""Records that join a row instead of making one."""

_EVENT = OWN | FIELDS
_INSERT_EVENTS = f"""
    INSERT INTO events BY NAME SELECT fresh.*, {users.COPIED}, {completeness.COPIED}
    FROM ({unpacking(_EVENT)}) AS fresh {users.JOINED} {completeness.JOINED}"""
_INSERT_CHANGES = f"INSERT INTO changes BY NAME {unpacking(CHANGES)}"


class Prepared(NamedTuple):
    """
    A record with all that can be done before the transaction.
    """

    place: int
    """In the batch."""
    entry: Entry
    line: Line | None
    """None for a twin, whose columns depend on its entry's row."""


class Writer:
    """
    The one who writes events.
    """

    def __init__(self, database: Database, names: Names) -> None:
        self._database = database
        self._names = names
        self.dropped_twins = 0
        """Twins whose entry is not held any more."""

    def insert(self, entries: Sequence[Entry], epoch: str) -> None:
        """
        Take records in, in order of their offsets, and move the position past them.

        Raises:
            Refused: Some can never be taken; nothing was.
            Unavailable: Nothing was taken; the same call may succeed later.
        """
        if not entries:
            return
        reasons: dict[int, str] = {}
        prepared = []
        for index, entry in enumerate(entries):
            try:
                prepared.append(Prepared(index, entry, self._line(entry, epoch)))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with this record, the others go on
                reasons[index] = f"It could not be read as a row: {error}."
        if not reasons:
            with self._database.write_lock:
                reasons = self._insert(prepared, epoch)
        if reasons:
            raise Refused(reasons)

    def pass_over(self, epoch: str, offset: int) -> None:
        """
        Set the position in an epoch whose first records are held already.

        Raises:
            Unavailable: It could not be written.
        """
        with self._database.write_lock:
            self._insert_position(epoch, offset)

    def _insert_position(self, epoch: str, offset: int) -> None:
        connection = self._database.writer
        try:
            connection.begin()
            known = position_of(connection, epoch) is not None
            _move(connection, epoch, offset, known=known)
            connection.commit()
        except duckdb.Error as error:
            _roll_back(connection)
            raise Unavailable(f"The store cannot be written: {first_line(error)}") from error

    def trial(self) -> None:
        """
        Write and take it back, to see whether events could be written.

        Raises:
            Unavailable: They could not.
        """
        with self._database.write_lock:
            self._insert_trial()

    def _insert_trial(self) -> None:
        connection = self._database.writer
        try:
            connection.begin()
            connection.execute("INSERT INTO positions VALUES ('', 0)")
            connection.rollback()
        except duckdb.Error as error:
            _roll_back(connection)
            raise Unavailable(f"The store cannot be written: {first_line(error)}") from error

    def _line(self, entry: Entry, epoch: str) -> Line | None:
        if entry.kind == Kind.ENTRY:
            return rows.of_entry(entry, epoch, self._names)
        return rows.of_change(entry, epoch) if entry.kind == Kind.CHANGE else None

    def _insert(self, prepared: list[Prepared], epoch: str) -> dict[int, str]:
        """
        Commit all records, or return why some cannot be taken.
        """
        try:
            try:
                self._transact(prepared, epoch)
            except PASSING:
                raise
            except (duckdb.Error, ValueError, TypeError) as error:
                reasons = self._refused(prepared, epoch, first_line(error))
                if reasons:
                    return reasons
                raise Unavailable(f"The store did not take the events: {first_line(error)}") from error
        except PASSING as error:
            if isinstance(error, GIVEN_UP):
                self._database.revive()
            raise Unavailable(f"The store did not take the events: {first_line(error)}") from error
        return {}

    def _refused(self, prepared: list[Prepared], epoch: str, reason: str) -> dict[int, str]:
        """
        Find the records that cannot be taken, by halving a batch of which that is known.
        """
        if len(prepared) <= 1:
            return {one.place: f"The store cannot hold it: {reason}" for one in prepared}
        middle = len(prepared) // 2
        found = {}
        for half in (prepared[:middle], prepared[middle:]):
            try:
                self._transact(half, epoch, trial=True)
            except PASSING:
                raise
            except (duckdb.Error, ValueError, TypeError) as error:
                found.update(self._refused(half, epoch, first_line(error)))
        return found

    def _transact(self, prepared: Sequence[Prepared], epoch: str, *, trial: bool = False) -> None:
        """
        Insert in one transaction and move the position; a trial leaves no trace.
        """
        connection = self._database.writer
        connection.begin()
        try:
            position = position_of(connection, epoch)
            fresh = self._fresh(connection, prepared, epoch, position or 0)
            dropped = self._write(connection, fresh)
            last = max((int(one.entry.offset) for one in prepared), default=0)
            if last > (position or 0):
                _move(connection, epoch, last, known=position is not None)
        except BaseException:
            _roll_back(connection)
            raise
        if trial:
            connection.rollback()
        else:
            connection.commit()
            self.dropped_twins += dropped

    def _fresh(
        self, connection: duckdb.DuckDBPyConnection, prepared: Sequence[Prepared], epoch: str, position: int
    ) -> list[Prepared]:
        """
        Leave out what is held already.
        """
        fresh = [one for one in prepared if one.entry.offset > position or not one.entry.offset]
        others = connection.execute("SELECT 1 FROM positions WHERE epoch <> ? LIMIT 1", [epoch]).fetchone()
        doubtful = {
            one.place for one in fresh if one.entry.kind not in JOINING and (others or not one.entry.offset)
        }
        if not doubtful:
            return fresh
        known = _known(connection, [one.entry for one in fresh if one.place in doubtful])
        kept = []
        for one in fresh:
            if one.place in doubtful:
                if one.entry.key in known:
                    continue
                known.add(one.entry.key)
            kept.append(one)
        return kept

    def _write(self, connection: duckdb.DuckDBPyConnection, fresh: Sequence[Prepared]) -> int:
        for kind, statement in ((Kind.ENTRY, _INSERT_EVENTS), (Kind.CHANGE, _INSERT_CHANGES)):
            lines = [one.line for one in fresh if one.entry.kind == kind and one.line]
            if lines:
                connection.execute(statement, [[one.values for one in lines], [one.raw for one in lines]])
        merging = [one.entry for one in fresh if one.entry.kind in JOINING]
        return twins.merge(connection, merging, self._names) if merging else 0


def position_of(connection: duckdb.DuckDBPyConnection, epoch: str) -> int | None:
    """
    Return the offset up to which an epoch's journal is taken in, None where nothing of it is.
    """
    row = connection.execute("SELECT journal_offset FROM positions WHERE epoch = ?", [epoch]).fetchone()
    return int(row[0]) if row else None


def _known(connection: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> set[bytes]:
    """
    Return which of the records' keys have a row, as an event, a twin or a change.
    """
    found = connection.execute(
        """
        WITH asked AS (SELECT unnest($keys::UUID[]) AS key)
        SELECT entry_key FROM events WHERE entry_key IN (SELECT key FROM asked)
            AND event_time BETWEEN make_timestamp($low) AND make_timestamp($high)
        UNION ALL SELECT twin_key FROM events WHERE twin_key IN (SELECT key FROM asked)
            AND event_time BETWEEN make_timestamp($low - $near) AND make_timestamp($high + $near)
        UNION ALL SELECT entry_key FROM changes WHERE entry_key IN (SELECT key FROM asked)""",
        {
            "keys": [entry.key.hex() for entry in entries],
            "low": min(entry.time_us for entry in entries),
            "high": max(entry.time_us for entry in entries),
            "near": twins.NEAR_US,
        },
    ).fetchall()
    return {key.bytes for (key,) in found}


def _move(connection: duckdb.DuckDBPyConnection, epoch: str, last: int, *, known: bool) -> None:
    if known:
        connection.execute("UPDATE positions SET journal_offset = ? WHERE epoch = ?", [last, epoch])
    else:
        connection.execute("INSERT INTO positions VALUES (?, ?)", [epoch, last])


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:
        return  # the transaction is gone already, which is what was wanted
