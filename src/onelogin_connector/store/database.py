"""
One DuckDB file, opened for this process alone and locked down.

The order of the settings matters: what an analyst's query must not change is set first, then the
configuration is locked for good. Limits are per instance, so a connection that shall be free of the time
limit (the writer's, the reader's) is made before the lock and kept.

DuckDB holds the file by a POSIX lock, which the operating system drops as soon as this process closes
*any* descriptor of that file. So nothing here ever opens the file again; ``backup`` copies it in another
process.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import cpu_count
from pathlib import Path
from threading import RLock

import duckdb

from onelogin_connector.errors import Busy, ConnectorError, Unavailable
from onelogin_connector.store.migration import migrate
from onelogin_connector.store.trouble import first_line, of_opening

DEFAULT_MEMORY = "1GB"
LONGEST_QUERY_SECONDS = 600
LARGEST_SPILL = "8GB"  # of a sort or join that outgrows the memory; a runaway must not fill the disk
GIVEN_UP = (duckdb.ConnectionException, duckdb.FatalException, duckdb.InternalException)
"""Errors after which DuckDB must be opened anew."""

CHECKPOINT_AT = "64MB"  # of log: at the default 16 MB half of the time goes into rewriting the newest rows


class Database:
    """
    The open file with its two connections of ours: one that writes, one that reads.
    """

    def __init__(self, path: Path, *, memory: str = DEFAULT_MEMORY, threads: int | None = None) -> None:
        """
        Open, and make or migrate where needed.

        Args:
            memory: DuckDB's memory limit, as it writes it ("1GB"); intake and queries share it.
            threads: Threads of one query. Half of the cores by default, so that intake keeps the others.

        Raises:
            Busy: Another process has the file open.
            ConfigError: The file is damaged, no store, or one of a newer version.
            Unavailable: The file cannot be opened at the moment.
        """
        self.path = path
        self.memory = memory
        self.threads = threads or max(1, (cpu_count() or 2) // 2)
        self.write_lock = RLock()
        self.read_lock = RLock()
        self._closed = False
        self._connect()

    def _connect(self) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self.memory,
            "threads": self.threads,
            "max_temp_directory_size": LARGEST_SPILL,
            "checkpoint_threshold": CHECKPOINT_AT,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        }
        is_new = not self.path.exists()
        try:
            self.writer = duckdb.connect(str(self.path), config=config)
            try:
                migrate(self.writer)
                self._lock_down()
            except BaseException:
                self.writer.close()
                raise
        except duckdb.Error as error:
            told = of_opening(self.path, error)
            if is_new and not isinstance(told, Busy):
                # half made, on a full disk say: the next start would take it for a damaged store
                for leftover in (self.path, self.path.with_name(self.path.name + ".wal")):
                    leftover.unlink(missing_ok=True)
            raise told from error

    def _lock_down(self) -> None:
        self.writer.execute("SET GLOBAL TimeZone = 'UTC'")
        self.writer.execute("SET GLOBAL enable_external_access = false")
        self.writer.execute(f"SET GLOBAL max_execution_time = {LONGEST_QUERY_SECONDS * 1000}")
        self.reader = self.writer.cursor()
        for own in (self.writer, self.reader):
            own.execute("SET SESSION max_execution_time = 0")
        # a cut or overwritten file opens none the less; better told now than at the first event
        self.reader.execute("SELECT count(*), max(journal_offset) FROM positions").fetchall()
        self.writer.execute("SET GLOBAL lock_configuration = true")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """
        Return a connection for one query of an analyst; the caller closes it.

        Raises:
            Unavailable: The store is closed.
        """
        try:
            return self.reader.cursor()
        except duckdb.ConnectionException as error:
            raise Unavailable("The store is closed.") from error

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """
        Give the writing connection for one transaction, which ends with the block.

        Raises:
            Unavailable: It was taken back.
        """
        with self.write_lock:
            try:
                self.writer.begin()
                yield self.writer
                self.writer.commit()
            except BaseException as error:
                with suppress(duckdb.Error):
                    self.writer.rollback()
                if isinstance(error, GIVEN_UP):
                    self.revive()
                if isinstance(error, duckdb.Error | MemoryError):
                    raise Unavailable(f"The store cannot be written: {first_line(error)}") from error
                raise

    def revive(self) -> None:
        """
        Open again after an error that made DuckDB give the file up; where that fails, the next call tries.
        """
        with self.write_lock, self.read_lock:
            if self._closed:
                return
            for connection in (self.reader, self.writer):
                with suppress(duckdb.Error):
                    connection.close()
            with suppress(ConnectorError):
                self._connect()

    def close(self) -> None:
        """
        Close the file; what was committed is in it or in its log beside it.
        """
        with self.write_lock, self.read_lock:
            self._closed = True
            self.reader.close()
            self.writer.close()
