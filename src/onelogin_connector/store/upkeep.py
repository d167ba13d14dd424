"""
Keeping the store in shape: retention, backup, restore.
"""

from contextlib import suppress
from pathlib import Path
from shutil import copyfile
from subprocess import run
from sys import executable

import duckdb

from onelogin_connector.errors import Busy, ConfigError, Unavailable
from onelogin_connector.store.completeness import forget
from onelogin_connector.store.database import Database
from onelogin_connector.store.ledgers import forget as forget_changes
from onelogin_connector.store.migration import version_of
from onelogin_connector.store.trouble import first_line, of_opening

PRUNED_SECONDS = 3_600
"""Events are removed an hour at a time, so that intake waits for no more than that."""

_COPY = """
import duckdb, os, shutil, sys
source, target = sys.argv[1:]
shutil.copyfile(source, target)
if os.path.exists(source + ".wal"):
    shutil.copyfile(source + ".wal", target + ".wal")
with duckdb.connect(target) as connection:  # takes the log in, and proves that the copy can be opened
    connection.execute("CHECKPOINT")
descriptor = os.open(target, os.O_RDONLY)
os.fsync(descriptor)
"""


def prune(database: Database, cutoff: float) -> int:
    """
    Remove events, with their twins and changes, that are older than a time.

    Args:
        cutoff: Unix seconds; an event at it is kept.

    Returns:
        How many events were removed.
    """
    removed = 0
    while True:
        with database.write_lock:
            row = database.writer.execute("SELECT epoch(min(event_time)) FROM events").fetchone()
            oldest = row[0] if row else None
            if oldest is None or oldest >= cutoff:
                break
            until = min(cutoff, oldest + PRUNED_SECONDS)
            gone = database.writer.execute(
                "DELETE FROM events WHERE event_time < make_timestamp($1::BIGINT)", [round(until * 1e6)]
            ).fetchone()
            removed += int(gone[0]) if gone else 0
    with database.write_lock:
        database.writer.execute(
            "DELETE FROM changes WHERE event_time < make_timestamp($1::BIGINT)", [round(cutoff * 1e6)]
        )
        forget(database.writer, cutoff)
        forget_changes(database.writer, cutoff)
    return removed


def backup(database: Database, path: Path) -> None:
    """
    Write a copy of the store as of one moment; intake waits meanwhile, queries go on.

    Raises:
        Unavailable: It could not be written; nothing is left at the path.
    """
    draft = path.with_name(path.name + ".part")
    with database.write_lock:
        # while a query runs it may be refused: the log is then copied beside the file, and taken in there
        with suppress(duckdb.Error):
            database.writer.execute("CHECKPOINT")
        # in another process: closing the file in this one would drop DuckDB's lock on it
        done = run(  # noqa: S603 - our own interpreter, our own lines
            [executable, "-I", "-c", _COPY, str(database.path), str(draft)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        for leftover in (draft, Path(f"{draft}.wal")):
            leftover.unlink(missing_ok=True)
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise Unavailable(f"The store could not be copied to {path}: {reason}", action="Free space there.")
    draft.replace(path)


def restore(backup_path: Path, path: Path) -> int:
    """
    Put a backup in the place of a store that no process has open; returns its version.

    Raises:
        ConfigError: The backup is no store.
        Busy: The store at the path is open.
    """
    try:
        with duckdb.connect(str(backup_path), read_only=True) as connection:
            connection.execute("SELECT count(*) FROM events")
            version = _version(connection)
    except duckdb.Error as error:
        raise ConfigError(f"{backup_path} is no backup of a store: {first_line(error)}") from error
    if path.exists():
        _refuse_open(path)
    draft = path.with_name(path.name + ".part")
    copyfile(backup_path, draft)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    draft.replace(path)
    return version


def _refuse_open(path: Path) -> None:
    try:
        duckdb.connect(str(path)).close()
    except duckdb.ConnectionException as error:  # open in this very process
        raise Busy(f"{path} is in use.", action="Close it, then restore.") from error
    except duckdb.Error as error:
        if isinstance(of_opening(path, error), Busy):
            raise Busy(f"{path} is in use.", action="Stop the service, then restore.") from error
        # anything else is wrong with the file that is replaced, and need not be right


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT max(version) FROM versions").fetchone()
    return int(row[0]) if row and row[0] is not None else version_of(connection)
