"""
Dead letters in the journal.

What was acknowledged is never dropped. Requests that hold no JSON were not: they are kept in a ring per
connector, so that a person can see what a sender did wrong, and a hostile one cannot fill the disk.
"""

from collections import deque
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec import Raw, Struct, msgpack, structs

from onelogin_connector.journal.base import DeadLetter, LetterHead, NewDeadLetter

Table = Any  # lmdb has no public name for it
Transaction = Any  # lmdb types what it returns as bytes or memoryview; without buffers it is always bytes

RING_LETTERS = 10_000
RING_BYTES = 256 << 20
RING_STEP = 64  # look at the ring's size once in so many additions

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(DeadLetter).decode


class _Head(Struct):
    """
    A kept letter whose bytes are passed over.
    """

    id: int
    at: float
    connector: str
    sink: str
    kind: str
    reason: str
    body: Raw
    records: int = 1
    count: int = 1


_decode_head = msgpack.Decoder(_Head).decode
_COUNTER = b"\0"  # where the ring's table keeps the last id given, so that an id never means two letters


class Letters(NamedTuple):
    """
    The tables of dead letters, to be used with a transaction.
    """

    table: Table
    """id (8) → ``DeadLetter``."""
    keys: Table
    """Hash (16) of what makes two letters one → id (8)."""
    ring: Table
    """Connector, NUL, id (8) → size of a ``request`` letter (8)."""

    def bury(self, txn: Transaction, letter: NewDeadLetter, *, at: float) -> int:
        """
        Keep a dead letter, or count the repeat of one; returns its id.
        """
        key = letter_key(letter)
        known = txn.get(key, db=self.keys)
        value = txn.get(known, db=self.table) if known else None
        if value:
            before = _decode(value)
            txn.put(known, _encode(structs.replace(before, count=before.count + 1)), db=self.table)
            return before.id
        id = int.from_bytes(txn.get(_COUNTER, db=self.ring) or b"", "big") + 1
        place = id.to_bytes(8, "big")
        txn.put(_COUNTER, place, db=self.ring)
        txn.put(place, _encode(DeadLetter(id=id, at=at, **structs.asdict(letter))), db=self.table)
        txn.put(key, place, db=self.keys)
        if letter.kind == "request":
            txn.put(_ring_key(letter.connector, id), len(letter.body).to_bytes(8, "big"), db=self.ring)
            if id % RING_STEP == 0:
                self._turn(txn, letter.connector)
        return id

    def discard(self, txn: Transaction, ids: Sequence[int]) -> int:
        """
        Remove dead letters; returns how many there were.
        """
        removed = 0
        for id in ids:
            value = txn.pop(id.to_bytes(8, "big"), db=self.table)
            if value is not None:
                letter = _decode(value)
                txn.delete(letter_key(letter), db=self.keys)
                txn.delete(_ring_key(letter.connector, id), db=self.ring)
                removed += 1
        return removed

    def read(self, txn: Transaction, *, after: int, limit: int) -> list[DeadLetter]:
        """
        Return dead letters in the order of their ids.
        """
        found: list[DeadLetter] = []
        with txn.cursor(self.table) as cursor:
            if cursor.set_range((after + 1).to_bytes(8, "big")):
                for value in cursor.iternext(keys=False):
                    if len(found) == limit:
                        break
                    found.append(_decode(value))
        return found

    def read_heads(self, txn: Transaction, *, after: int, limit: int) -> list[LetterHead]:
        """
        Return the same without bytes.

        Args:
            txn: With buffers: a value is then a view into the file, of which only what is looked at is read.
        """
        found: list[LetterHead] = []
        with txn.cursor(self.table) as cursor:
            if cursor.set_range((after + 1).to_bytes(8, "big")):
                for value in cursor.iternext(keys=False):
                    if len(found) == limit:
                        break
                    found.append(_head_of(value))
        return found

    def _turn(self, txn: Transaction, connector: str) -> None:
        """
        Remove a connector's oldest ``request`` letters until the ring's bounds hold.
        """
        prefix = _ring_key(connector, 0)[:-8]
        ring: deque[tuple[int, int]] = deque()
        with txn.cursor(self.ring) as cursor:
            if cursor.set_range(prefix):
                for key, size in cursor:
                    if not key.startswith(prefix):
                        break
                    ring.append((int.from_bytes(key[-8:], "big"), int.from_bytes(size, "big")))
        total = sum(size for _, size in ring)
        surplus: list[int] = []
        while ring and (len(ring) > RING_LETTERS or total > RING_BYTES):
            id, size = ring.popleft()
            surplus.append(id)
            total -= size
        self.discard(txn, surplus)


def _head_of(value: memoryview) -> LetterHead:
    """
    Return what a list says of a kept letter; nothing of the view is held when this returns.
    """
    head = _decode_head(value)
    body = memoryview(head.body)
    try:
        first = body[0]
        # MessagePack's three sizes of binary: one, two or four bytes of length behind the first
        size = len(body) - {0xC4: 2, 0xC5: 3, 0xC6: 5}[first]
    finally:
        body.release()
    return LetterHead(
        head.id, head.at, head.connector, head.sink, head.kind, head.reason, head.records, head.count, size
    )


def letter_key(letter: NewDeadLetter | DeadLetter) -> bytes:
    """
    Return what makes two letters one: the same bytes, refused by the same part.
    """
    head = f"{letter.kind}\0{letter.sink}\0{letter.connector}\0{letter.offset}\0".encode()
    return blake2b(head + letter.body, digest_size=16).digest()


def _ring_key(connector: str, id: int) -> bytes:
    return connector.encode() + b"\0" + id.to_bytes(8, "big")
