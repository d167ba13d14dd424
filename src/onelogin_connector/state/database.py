"""
The SQLite file of the state: opened, migrated, queried, backed up.

Every statement stands in a ``.sql`` file under a name. One connection serves all threads, one statement or
transaction at a time. What was written is on disk when a call returns (WAL, synchronous FULL).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from re import MULTILINE, match
from re import compile as pattern
from threading import RLock
from typing import Any

from onelogin_connector.errors import ConfigError, Unavailable

FOLDER = files(__package__)
_NAME = pattern(r"^-- name: (\w+)$", MULTILINE)


def queries() -> dict[str, str]:
    """
    Return every statement by its name.
    """
    found: dict[str, str] = {}
    for file in FOLDER.iterdir():
        if file.name.endswith(".sql"):
            _, *parts = _NAME.split(file.read_text("utf-8"))
            found |= {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    return found


def migrations() -> list[tuple[int, str]]:
    """
    Return the migrations by number, from 1 and without gaps.
    """
    return sorted(
        (int(number[1]), file.read_text("utf-8"))
        for file in (FOLDER / "migrations").iterdir()
        if (number := match(r"(\d{4})_\w+\.sql$", file.name))
    )


class Database:
    """
    The open file.
    """

    def __init__(self, path: Path) -> None:
        """
        Open the file, make it if need be, and bring its schema up to date.

        Raises:
            ConfigError: It is no SQLite file, belongs to a newer version, or cannot be opened.
        """
        self.path = path
        self._lock = RLock()
        self._queries = queries()
        self._depth = 0
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its -wal and -shm take over the mode
            self._connection = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=10
            )
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"The state file {path} cannot be opened: {error}.", action="Check its owner, mode and disk."
            ) from error
        self._connection.row_factory = sqlite3.Row
        try:
            self._migrate()
        except sqlite3.Error as error:
            self._connection.close()
            raise ConfigError(
                f"The state file {path} cannot be used: {error}.", action="Restore it from a backup."
            ) from error
        except ConfigError:
            self._connection.close()
            raise

    def _migrate(self) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}").close()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        known = migrations()
        if version > known[-1][0]:
            raise ConfigError(
                f"The state file {self.path} was written by a newer version of OneLogin Connector (schema {version}; "
                f"this one knows up to {known[-1][0]}).",
                action="Start that version, or restore a backup made by this one.",
            )
        for number, script in known:
            if number > version:
                try:
                    self._connection.executescript(f"BEGIN;{script}PRAGMA user_version = {number};COMMIT;")
                except sqlite3.Error:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """
        Make everything within happen or nothing; may be nested.
        """
        with self._lock, _translated():
            outermost = self._depth == 0
            if outermost:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if outermost:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def rows(self, query: str, /, **values: Any) -> list[dict[str, Any]]:
        """
        Run a named statement and return its rows.
        """
        with self._lock, _translated():
            return [dict(row) for row in self._connection.execute(self._queries[query], values).fetchall()]

    def row(self, query: str, /, **values: Any) -> dict[str, Any] | None:
        """
        Run a named statement and return its first row, if there is one.
        """
        return next(iter(self.rows(query, **values)), None)

    def change(self, query: str, /, **values: Any) -> int:
        """
        Run a named statement and return how many rows it changed.
        """
        with self._lock, _translated():
            return self._connection.execute(self._queries[query], values).rowcount

    def backup(self, path: Path) -> None:
        """
        Write a consistent copy to a new file, mode 0600, while others go on.

        Raises:
            ConfigError: There is such a file already, or it cannot be made.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise ConfigError(f"The backup file {path} cannot be made: {error.strerror}.") from error
        copy = sqlite3.connect(path)
        try:
            with self._lock, _translated():
                self._connection.backup(copy)
        finally:
            copy.close()

    def close(self) -> None:
        """
        Close the file.
        """
        with self._lock:
            self._connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(
            f"The state cannot be read or written: {error}.", action="Check the disk of the data folder."
        ) from error
