"""
A journal with millions of entries, within a minute.

The first hundred thousand go through the journal itself; its tables are then copied, each time a little later in
the story, in the order in which LMDB appends. What a start reads is all there: log, hours, keys; that a copied key
names the content of its original is nothing that a start or a new event looks at.

    python -m benchmarks.filling FOLDER ENTRIES
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time

import lmdb
from msgspec import msgpack
from msgspec.structs import replace

from onelogin_connector.event import Entry, Way, read
from onelogin_connector.journal.hours import Hour, Keyring
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.journal.tables import Block, Databases, eight

ORIGINALS = 100_000
APPENDED = 5_000  # per append
A_SECOND_HAS = 1_000  # events, in the story they tell
SINCE = 1_795_000_000
RECEIVED_US = 1_795_300_000_000_000


def fill(path: Path, entries: int) -> None:
    """
    Make a journal of so many small entries, a multiple of a hundred thousand.
    """
    asyncio.run(_append(path, ORIGINALS))
    env = lmdb.open(str(path), map_size=64 << 30, max_dbs=16, sync=False)
    dbs = Databases.open(env)
    with env.begin() as txn:
        tables = [(db, list(txn.cursor(db))) for db in (dbs.natives, dbs.groups)]
        with txn.cursor(dbs.log) as cursor:
            blocks = [Block.at_cursor(cursor) for _ in cursor]
    for number in range(1, entries // ORIGINALS):
        later = number * ORIGINALS // A_SECOND_HAS
        with env.begin(write=True) as txn:
            for db, items in tables:
                txn.cursor(db).putmulti([(_later(key, later), value) for key, value in items], append=True)
            for key, value in _log(blocks, number * ORIGINALS):
                txn.put(key, value, db=dbs.log, append=True)
            hour = Hour(Keyring.WHOLE, time(), (number + 1) * ORIGINALS)
            txn.put(((SINCE + later) // 3_600).to_bytes(4, "big"), msgpack.encode(hour), db=dbs.hours)
    env.sync(True)
    env.close()


def _later(key: bytes, seconds: int) -> bytes:
    return (int.from_bytes(key[:4], "big") + seconds).to_bytes(4, "big") + key[4:]


def _log(blocks: list[Block], offset: int) -> Iterator[tuple[bytes, bytes]]:
    for block in blocks:
        entries: list[Entry] = [replace(entry, offset=entry.offset + offset) for entry in block.entries()]
        value = eight(block.first + offset) + eight(block.at) + msgpack.encode(entries)
        yield eight(block.last + offset), value


async def _append(path: Path, entries: int) -> None:
    journal = LmdbJournal(path)
    for start in range(0, entries, APPENDED):
        await journal.append(
            [
                read(
                    b'{"uuid":"%08x-0000-4000-8000-%012x","event_timestamp":%d,"account_id":282947,'
                    b'"event_type_id":8,"user_id":%d}' % (9, number, SINCE + number // A_SECOND_HAS, number),
                    connector="default",
                    way=Way.WEBHOOK,
                    received_us=RECEIVED_US,
                )
                for number in range(start, start + APPENDED)
            ]
        )
    await journal.close()


if __name__ == "__main__":
    os.umask(0o077)
    fill(Path(sys.argv[1]), int(sys.argv[2]))
