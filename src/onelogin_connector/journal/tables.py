"""
The journal's tables in LMDB, within one write transaction.

===========  ==================================================  ==============================================
table        key                                                 value
===========  ==================================================  ==============================================
log          last offset of the block (8)                        first offset (8), Unix second (8), entries
natives      second (4), native key (16)                         ``intake.Known``
groups       second (4), fingerprint (16); many values           ``matching.Slot``
hours        hour (4)                                            ``Hour``
scopes       account, as text                                    name of the scope
counts       connector                                           ``ConnectorCounts``
checkpoints  sink                                                ``Checkpoint``
letters      id (8)                                              ``DeadLetter``
letter_keys  hash (16)                                           id (8)
letter_ring  connector, NUL, id (8)                              size (8)
meta         name                                                ``epoch``, ``suspect``
===========  ==================================================  ==============================================

Keys begin with the event's second, so that events of one time stand together: a batch touches a few pages
instead of one per key, and an hour is removed as one range. A transaction buffers what it adds and writes it
sorted and in bulk, because each call into LMDB lets other threads run and costs a turn to get back.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import lmdb
from msgspec import Struct, field, msgpack

from onelogin_connector.event import Entry
from onelogin_connector.journal.base import Checkpoint, ConnectorCounts, NewDeadLetter
from onelogin_connector.journal.hours import HOUR_SECONDS, Hour, Keyring
from onelogin_connector.journal.letters import Letters, Table, Transaction

NAMES = (
    "log",
    "natives",
    "groups",
    "hours",
    "scopes",
    "counts",
    "checkpoints",
    "letters",
    "letter_keys",
    "letter_ring",
    "meta",
)
BLOCK_RECORDS = 256  # a block is read whole: large enough to be few, small enough to be cheap
OFFSET_BYTES = 8

_encode = msgpack.Encoder().encode
_entries = msgpack.Decoder(list[Entry]).decode


class Mirror(Struct):
    """
    What of the tables is kept in memory too: small, and read for every request.
    """

    epoch: str
    last_offset: int
    suspect: bool = False
    """Whether an hour that is not listed may have had keys once: the journal was lost or restored."""
    hours: dict[int, Hour] = field(default_factory=dict)
    scopes: dict[int, str] = field(default_factory=dict)
    counts: dict[str, ConnectorCounts] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)

    def keyring(self, hour: int) -> Keyring:
        """
        Tell how far an hour's keys can be trusted.
        """
        known = self.hours.get(hour)
        if known is None:
            return Keyring.PRUNED if self.suspect else Keyring.WHOLE
        return Keyring(known.keyring)


class Databases(NamedTuple):
    """
    Handles of the tables.
    """

    log: Table
    natives: Table
    groups: Table
    hours: Table
    scopes: Table
    counts: Table
    checkpoints: Table
    letters: Letters
    meta: Table

    @classmethod
    def open(cls, env: lmdb.Environment) -> "Databases":
        """
        Open the tables, creating what is missing.
        """
        tables = {name: env.open_db(name.encode(), dupsort=name == "groups") for name in NAMES}
        letters = Letters(tables.pop("letters"), tables.pop("letter_keys"), tables.pop("letter_ring"))
        return cls(**tables, letters=letters)


class Block(NamedTuple):
    """
    Consecutive records of the log, as stored.
    """

    last: int
    first: int
    at: int
    """Unix second it was written."""
    body: bytes

    @classmethod
    def at_cursor(cls, cursor: Any) -> "Block":
        """
        Read key and head where a cursor stands; the body stays packed.
        """
        key, value = cursor.item()
        return cls(number(key), number(value[:8]), number(value[8:16]), value[16:])

    def entries(self) -> list[Entry]:
        """
        Unpack the records.
        """
        return _entries(self.body)


def number(data: bytes) -> int:
    """
    Read a big-endian number.
    """
    return int.from_bytes(data, "big")


def eight(value: int) -> bytes:
    """
    Return eight bytes, big-endian.
    """
    return value.to_bytes(OFFSET_BYTES, "big")


def load(txn: Transaction, dbs: Databases) -> Mirror:
    """
    Read the mirror; the epoch is empty in a journal that was just made.
    """
    with txn.cursor(dbs.log) as cursor:
        last = number(cursor.key()) if cursor.last() else 0
    return Mirror(
        epoch=(txn.get(b"epoch", db=dbs.meta) or b"").decode(),
        # pruning may have emptied the log; offsets go on all the same
        last_offset=max(last, number(txn.get(b"last_offset", db=dbs.meta) or b"")),
        suspect=txn.get(b"suspect", db=dbs.meta) is not None,
        hours={number(k): msgpack.decode(v, type=Hour) for k, v in txn.cursor(dbs.hours)},
        scopes={int(k): v.decode() for k, v in txn.cursor(dbs.scopes)},
        counts={k.decode(): msgpack.decode(v, type=ConnectorCounts) for k, v in txn.cursor(dbs.counts)},
        checkpoints={k.decode(): msgpack.decode(v, type=Checkpoint) for k, v in txn.cursor(dbs.checkpoints)},
    )


class LmdbTables:
    """
    ``intake.Tables`` over one write transaction. ``flush`` before the commit.
    """

    def __init__(self, txn: Transaction, dbs: Databases, mirror: Mirror, *, now: float) -> None:
        self.txn = txn
        self.dbs = dbs
        self.mirror = mirror
        self.now = now
        self.scopes = mirror.scopes
        self.counts = mirror.counts
        self._scopes_before = len(mirror.scopes)
        self._natives: dict[bytes, bytes] = {}
        self._looked_up: dict[bytes, bytes | None] = {}
        self._first: dict[bytes, bytes | None] = {}
        self._alone: dict[bytes, bytes] = {}
        self._log: list[Entry] = []
        self._touched: set[int] = set()
        self._cursor = txn.cursor(dbs.groups)

    def prefetch(self, natives: Iterable[bytes], groups: Iterable[bytes]) -> None:
        """
        Look keys up in bulk that will be asked for one by one.
        """
        wanted = sorted(set(natives))
        self._looked_up = dict.fromkeys(wanted)
        self._looked_up.update(self.txn.cursor(self.dbs.natives).getmulti(wanted))
        grouped = sorted(set(groups))
        self._first = dict.fromkeys(grouped)
        self._first.update(self._cursor.getmulti(grouped))

    def native(self, key: bytes) -> bytes | None:
        """
        See ``Tables``.
        """
        value = self._natives.get(key)
        if value is None and key in self._looked_up:
            return self._looked_up[key]
        return value or self._get(key)

    def _get(self, key: bytes) -> bytes | None:
        found: bytes | None = self.txn.get(key, db=self.dbs.natives)
        return found

    def set_native(self, key: bytes, value: bytes) -> None:
        """
        See ``Tables``.
        """
        self._natives[key] = value

    def seek(self, group: bytes, prefix: bytes) -> bytes | None:
        """
        See ``Slots``.
        """
        alone = self._alone.get(group)
        if alone is not None:
            return alone if alone >= prefix else None
        first = self._first.get(group, prefix)
        if first is None:
            return None
        if first > prefix:
            return first
        found = self._cursor.set_range_dup(group, prefix)
        return bytes(self._cursor.value()) if found else None

    def add(self, group: bytes, value: bytes) -> None:
        """
        See ``Slots``.
        """
        if group in self._first and self._first[group] is None and group not in self._alone:
            self._alone[group] = value
        else:
            self._settle(group)
            self._cursor.put(group, value)

    def remove(self, group: bytes, value: bytes) -> None:
        """
        See ``Slots``.
        """
        self._settle(group)
        if self._cursor.set_key_dup(group, value):
            self._cursor.delete()

    def _settle(self, group: bytes) -> None:
        """
        Leave the group to the database: what was known of it holds no longer.
        """
        self._first.pop(group, None)
        alone = self._alone.pop(group, None)
        if alone is not None:
            self._cursor.put(group, alone)

    def next_offset(self) -> int:
        """
        See ``Tables``.
        """
        return self.mirror.last_offset + len(self._log) + 1

    def write(self, entry: Entry) -> None:
        """
        See ``Tables``.
        """
        self._log.append(entry)

    def entry(self, offset: int) -> Entry | None:
        """
        See ``Tables``.
        """
        if offset > self.mirror.last_offset:
            return self._log[offset - self.mirror.last_offset - 1]
        with self.txn.cursor(self.dbs.log) as cursor:
            if not offset or not cursor.set_range(eight(offset)):
                return None
            block = Block.at_cursor(cursor)
        return block.entries()[offset - block.first] if block.first <= offset else None

    def touch(self, hour: int) -> None:
        """
        See ``Tables``.
        """
        self._touched.add(hour)

    def bury(self, letter: NewDeadLetter) -> None:
        """
        See ``Tables``.
        """
        self.dbs.letters.bury(self.txn, letter, at=self.now)

    def forget_hour(self, hour: int, limit: int | None = None) -> int:
        """
        Remove keys of an hour, at most so many of each kind; returns how many were removed.
        """
        first, end = (
            second.to_bytes(4, "big") for second in (hour * HOUR_SECONDS, (hour + 1) * HOUR_SECONDS)
        )
        removed = 0
        for db in (self.dbs.natives, self.dbs.groups):
            with self.txn.cursor(db) as cursor:
                left = limit
                cursor.set_range(first)
                while first <= cursor.key() < end and left != 0:  # past the last key there is an empty one
                    cursor.delete()
                    removed += 1
                    left = None if left is None else left - 1
        return removed

    def set_hour(self, hour: int, keyring: Keyring) -> None:
        """
        Say how far an hour's keys can be trusted.
        """
        known = self.mirror.hours.setdefault(hour, Hour(keyring, self.now, 0))
        known.keyring = keyring
        self.txn.put(hour.to_bytes(4, "big"), _encode(known), db=self.dbs.hours)

    def set_checkpoints(self, checkpoints: dict[str, Checkpoint]) -> None:
        """
        Store checkpoints.
        """
        for sink, checkpoint in checkpoints.items():
            self.txn.put(sink.encode(), _encode(checkpoint), db=self.dbs.checkpoints)

    def forget_checkpoint(self, sink: str) -> None:
        """
        Remove a checkpoint.
        """
        self.txn.delete(sink.encode(), db=self.dbs.checkpoints)

    def set_meta(self, name: bytes, value: bytes) -> None:
        """
        Store a value of the journal as a whole.
        """
        self.txn.put(name, value, db=self.dbs.meta)

    def flush(self) -> None:
        """
        Write what was buffered, and bring the mirror up to it.
        """
        if self._natives:
            self.txn.cursor(self.dbs.natives).putmulti(sorted(self._natives.items()))
        if self._alone:
            self._cursor.putmulti(sorted(self._alone.items()))
        if self._log:
            self._write_log(self._log)
        if len(self.scopes) != self._scopes_before:
            for account, name in self.scopes.items():
                self.txn.put(str(account).encode(), name.encode(), db=self.dbs.scopes)
        for connector, counts in self.counts.items():
            self.txn.put(connector.encode(), _encode(counts), db=self.dbs.counts)
        for hour in self._touched:
            known = self.mirror.hours.setdefault(hour, Hour(self.mirror.keyring(hour), 0.0, 0))
            if known.keyring == Keyring.PRUNED:
                known.keyring = Keyring.PARTIAL
            known.touched_at, known.last_offset = self.now, self.mirror.last_offset
            self.txn.put(hour.to_bytes(4, "big"), _encode(known), db=self.dbs.hours)

    def _write_log(self, entries: Sequence[Entry]) -> None:
        at = eight(int(self.now))
        for start in range(0, len(entries), BLOCK_RECORDS):
            block = entries[start : start + BLOCK_RECORDS]
            value = eight(block[0].offset) + at + _encode(block)
            self.txn.put(eight(block[-1].offset), value, db=self.dbs.log, append=True)
        self.mirror.last_offset = entries[-1].offset
