"""
Open the journal's database, and say so when it is damaged.

A page that the file no longer reaches would be a SIGBUS at its first read, in whatever the program does then. So a
file that is shorter than its own tables say is first made as long as they say, with zeros, which LMDB reports as
corruption, and read through once. A shorter file need not be damaged: pages that were taken and given back within
one transaction are never written.
"""

import os
from pathlib import Path

import lmdb
from msgspec import MsgspecError

from onelogin_connector.errors import ConfigError
from onelogin_connector.journal.tables import Databases, Mirror, load


def open_database(path: Path, map_bytes: int) -> tuple[lmdb.Environment, Databases, Mirror]:
    """
    Open or make the database of a folder; what is there is only read, because it may be damaged.

    Raises:
        ConfigError: It is damaged, or the disk is full.
    """
    try:
        env = lmdb.open(
            str(path),
            map_size=map_bytes,
            max_dbs=16,
            readahead=False,
            metasync=True,
            sync=True,
            writemap=False,
        )
    except lmdb.DiskError as error:
        raise _no_room(path, error) from error
    except lmdb.Error as error:
        raise _damaged(path, error) from error
    try:
        short = _is_short(env, path)
        env.reader_check()
        dbs = Databases.open(env)
        with env.begin() as txn:
            mirror = load(txn, dbs)
            if short:
                _read_through(txn, dbs)
    except lmdb.MapFullError:
        raise
    except lmdb.DiskError as error:
        env.close()
        raise _no_room(path, error) from error
    except (lmdb.Error, MsgspecError, ValueError) as error:
        env.close()
        raise _damaged(path, error) from error
    return env, dbs, mirror


def _is_short(env: lmdb.Environment, path: Path) -> bool:
    file = path / "data.mdb"
    used = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    if file.stat().st_size >= used:
        return False
    os.truncate(file, used)
    return True


def _read_through(txn: lmdb.Transaction, dbs: Databases) -> None:
    for table in (*dbs[:7], *dbs.letters, dbs.meta):
        with txn.cursor(table) as cursor:
            for _ in cursor.iternext(keys=False):
                pass


def _no_room(path: Path, why: object) -> ConfigError:
    return ConfigError(
        f"The journal in {path} cannot be opened: {why}.", action="Make room on that disk, and start again."
    )


def _damaged(path: Path, why: object) -> ConfigError:
    return ConfigError(
        f"The journal in {path} is damaged: {why}.",
        action="Restore a backup. Or move that folder away and start: a new journal is made, nothing is doubled in "
        "the store, and events that no destination had yet have to be imported again.",
    )
