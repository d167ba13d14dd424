"""
The journal's tables over the trees of leaves, within one transaction.
"""

from msgspec import msgpack

from onelogin_connector.event import Entry
from onelogin_connector.journal.base import NewDeadLetter
from onelogin_connector.journal.blobs.head import Head
from onelogin_connector.journal.blobs.letters import Letters
from onelogin_connector.journal.blobs.tree import Tree
from onelogin_connector.journal.hours import HOUR_SECONDS, Hour, Keyring

GROUP_BYTES = 20

_encode = msgpack.Encoder().encode
_entry = msgpack.Decoder(Entry).decode


def eight(value: int) -> bytes:
    """
    Return eight bytes, big-endian.
    """
    return value.to_bytes(8, "big")


class BlobTables:
    """
    ``records.Tables`` over one state of the head, which changes with it.
    """

    def __init__(self, head: Head, trees: dict[str, Tree], letters: Letters, *, now: float) -> None:
        self.head, self.trees, self.letters = head, trees, letters
        self.now = now
        self.scopes, self.counts = head.scopes, head.counts
        self._touched: set[int] = set()

    def native(self, key: bytes) -> bytes | None:
        """
        See ``Tables``.
        """
        return self.trees["natives"].get(key)

    def set_native(self, key: bytes, value: bytes) -> None:
        """
        See ``Tables``.
        """
        self.trees["natives"].put(key, value)

    def seek(self, group: bytes, prefix: bytes) -> bytes | None:
        """
        See ``Slots``.
        """
        found = self.trees["groups"].seek(group + prefix)
        return found[0][GROUP_BYTES:] if found and found[0].startswith(group) else None

    def add(self, group: bytes, value: bytes) -> None:
        """
        See ``Slots``.
        """
        self.trees["groups"].put(group + value, b"")

    def remove(self, group: bytes, value: bytes) -> None:
        """
        See ``Slots``.
        """
        self.trees["groups"].remove(group + value)

    def next_offset(self) -> int:
        """
        See ``Tables``.
        """
        return self.head.last_offset + 1

    def write(self, entry: Entry) -> None:
        """
        See ``Tables``.
        """
        self.trees["log"].put(eight(entry.offset), _encode(entry))
        self.head.last_offset = entry.offset

    def entry(self, offset: int) -> Entry | None:
        """
        See ``Tables``.
        """
        value = self.trees["log"].get(eight(offset)) if offset else None
        return _entry(value) if value else None

    def touch(self, hour: int) -> None:
        """
        See ``Tables``.
        """
        self._touched.add(hour)

    def bury(self, letter: NewDeadLetter) -> None:
        """
        See ``Tables``.
        """
        self.letters.bury(letter)

    def forget_hour(self, hour: int) -> None:
        """
        Remove the keys of an hour.
        """
        first, end = ((each * HOUR_SECONDS).to_bytes(4, "big") for each in (hour, hour + 1))
        for name in ("natives", "groups"):
            self.trees[name].clear(first, end)

    def settle(self) -> None:
        """
        Bring the head up to what the transaction did.
        """
        for hour in self._touched:
            known = self.head.hours.setdefault(hour, Hour(self.head.keyring(hour), 0.0, 0))
            if known.keyring == Keyring.PRUNED:
                known.keyring = Keyring.PARTIAL
            known.touched_at, known.last_offset = self.now, self.head.last_offset
        self.head.last_letter = self.letters.last
