"""
Taking journal records in, each exactly once.

The rows of a batch and the position up to which the journal is taken in commit in one transaction, so after
a crash both are there or neither. Records at or below the position are ignored: a batch may be repeated.

A record that DuckDB will not take is found by halving, in transactions that are rolled back; the others are
kept, the position passes it, and its reason is reported, so that one bad record never blocks the rest.
"""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from onelogin_connector.errors import Refused, Unavailable
from onelogin_connector.event import Entry, Kind
from onelogin_connector.store import rows, twins
from onelogin_connector.store.database import Database, first_line
from onelogin_connector.store.rows import CHANGES, FIELDS, OWN, Line, Names, unpacking

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

_EVENT = OWN | FIELDS
_INSERT_EVENTS = f"INSERT INTO events BY NAME {unpacking(_EVENT)}"
_INSERT_CHANGES = f"INSERT INTO changes BY NAME {unpacking(CHANGES)}"


class Prepared(NamedTuple):
    """
    A record with all that can be done before the transaction.
    """

    index: int
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
            Refused: Some can never be taken; the others are, and the position has passed them all.
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
        with self._database.write_lock:
            self._insert(prepared, epoch, int(entries[-1].offset), reasons)
        if reasons:
            raise Refused(reasons, action="Look at their bytes among the dead letters.")

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

    def _insert(self, prepared: list[Prepared], epoch: str, last: int, reasons: dict[int, str]) -> None:
        try:
            try:
                self._transact(prepared, epoch, last)
            except PASSING:
                raise
            except (duckdb.Error, ValueError, TypeError) as error:
                reasons.update(self._refused(prepared, epoch, first_line(error)))
                self._transact([one for one in prepared if one.index not in reasons], epoch, last)
        except PASSING as error:
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                self._database.reopen()
            raise Unavailable(f"The store did not take the events: {first_line(error)}") from error
        except (duckdb.Error, ValueError, TypeError) as error:
            raise Unavailable(f"The store did not take the events: {first_line(error)}") from error

    def _refused(self, prepared: list[Prepared], epoch: str, reason: str) -> dict[int, str]:
        """
        Find the records that cannot be taken, by halving a batch of which that is known.
        """
        if len(prepared) <= 1:
            return {one.index: f"The store cannot hold it: {reason}" for one in prepared}
        middle = len(prepared) // 2
        found = {}
        for half in (prepared[:middle], prepared[middle:]):
            try:
                self._transact(half, epoch, None)
            except PASSING:
                raise
            except (duckdb.Error, ValueError, TypeError) as error:
                found.update(self._refused(half, epoch, first_line(error)))
        return found

    def _transact(self, prepared: Sequence[Prepared], epoch: str, last: int | None) -> None:
        """
        Insert in one transaction and move the position to ``last``; None is a trial that leaves no trace.
        """
        connection = self._database.writer
        connection.begin()
        try:
            position = position_of(connection, epoch)
            fresh = [one for one in prepared if one.entry.offset > (position or 0)]
            dropped = self._write(connection, fresh, epoch)
            if last is not None and last > (position or 0):
                _move(connection, epoch, last, known=position is not None)
        except BaseException:
            _roll_back(connection)
            raise
        if last is None:
            connection.rollback()
        else:
            connection.commit()
            self.dropped_twins += dropped

    def _write(self, connection: duckdb.DuckDBPyConnection, fresh: Sequence[Prepared], epoch: str) -> int:
        for kind, statement in ((Kind.ENTRY, _INSERT_EVENTS), (Kind.CHANGE, _INSERT_CHANGES)):
            lines = [one.line for one in fresh if one.entry.kind == kind and one.line]
            if lines:
                connection.execute(statement, [[one.values for one in lines], [one.raw for one in lines]])
        merging = [one.entry for one in fresh if one.entry.kind == Kind.TWIN]
        return twins.merge(connection, merging, self._names) if merging else 0


def position_of(connection: duckdb.DuckDBPyConnection, epoch: str) -> int | None:
    """
    Return the offset up to which an epoch's journal is taken in, None where nothing of it is.
    """
    row = connection.execute("SELECT journal_offset FROM positions WHERE epoch = ?", [epoch]).fetchone()
    return int(row[0]) if row else None


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
