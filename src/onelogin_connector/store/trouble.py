"""
What DuckDB's errors about its file mean, and what to do about them.
"""

from errno import ENOSPC
from os import strerror
from pathlib import Path

import duckdb

from onelogin_connector.errors import Busy, ConfigError, ConnectorError, Unavailable

_FULL = (strerror(ENOSPC), "No space left on device", "File too large", "Disk quota exceeded")
_LOCKED = ("Could not set lock on file", "Conflicting lock is held", "with a different configuration")
_DAMAGED = (
    "not a valid DuckDB database",
    "Corrupt database file",
    "Could not read enough bytes from file",
    "does not match stored checksum",
    "Failed to load metadata pointer",
    "Failure while replaying WAL",
    "Serialization Error",
    "failed to deserialize",
)


def of_opening(path: Path, error: duckdb.Error) -> ConnectorError:
    """
    Tell what stands in the way of opening a store.
    """
    text = str(error)
    if any(sign in text for sign in _FULL):
        return full(path, error)
    if any(sign in text for sign in _LOCKED):
        return Busy(f"{path} is open already.", action="Stop the other process, or ask the running service.")
    if isinstance(error, duckdb.IOException) and not is_damage(error):
        return Unavailable(f"{path} cannot be opened: {first_line(error)}")
    return damaged(path, error)


def of_reading(path: Path, error: duckdb.Error) -> ConnectorError:
    """
    Tell why an open store cannot be read.
    """
    if isinstance(error, duckdb.ConnectionException):
        return Unavailable("The store is closed.")
    if any(sign in str(error) for sign in _FULL):
        return full(path, error)
    return damaged(path, error) if is_damage(error) else Unavailable(f"{path}: {first_line(error)}")


def is_damage(error: duckdb.Error) -> bool:
    """
    Tell whether an error says that the file's content is not what was written.
    """
    return any(sign in str(error) for sign in _DAMAGED)


def full(path: Path, error: duckdb.Error) -> Unavailable:
    """
    Return the error of a disk without room; nothing is wrong with the store.
    """
    return Unavailable(
        f"The store {path} cannot be written, for its disk is full: {first_line(error)}.",
        action=f"Free disk space in {path.parent}.",
    )


def damaged(path: Path, error: duckdb.Error) -> ConfigError:
    """
    Return the error of a file that is no store, or no longer one.
    """
    return ConfigError(
        f"The store {path} is damaged: {first_line(error)}",
        action=f"Restore a backup. Without one, move {path.name} and {path.name}.wal away: a new store is filled from"
        " the journal, and older events must be imported or backfilled again.",
    )


def first_line(error: BaseException) -> str:
    """
    Return the first line of an error of DuckDB, without its class in front.
    """
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line.partition("Error: ")[2] or line
