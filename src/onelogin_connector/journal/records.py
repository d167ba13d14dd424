"""
A record with its keys, and what the journal remembers of one.
"""

import struct
from typing import Protocol

from msgspec import Struct

from onelogin_connector.event import Entry, Event
from onelogin_connector.identity import Keys
from onelogin_connector.journal.base import ConnectorCounts, NewDeadLetter
from onelogin_connector.matching import Slot, Slots


class Record(Struct, frozen=True, gc=False):
    """
    An event with its keys, and whether its hour's keys are incomplete.
    """

    event: Event
    keys: Keys
    unverified: bool = False


class Placed(Struct, frozen=True, gc=False):
    """
    A record with its place among the keys of all accounts.
    """

    record: Record
    native: bytes
    key: bytes
    """Key in the table of native keys."""
    group: bytes | None
    """Key in the table of groups; None for a record that has no twin to look for."""
    scope: int
    flags: int

    def groups(self) -> tuple[bytes, ...]:
        """
        Return the groups in which its twin may be.
        """
        group, keys = self.group, self.record.keys
        if group is None:
            return ()
        if not keys.tolerant:
            return (group,)
        second, print_ = keys.print_second, group[4:]
        return group, native_key(second - 1, print_), native_key(second + 1, print_)


def native_key(second: int, native: bytes) -> bytes:
    """
    Return the key in the table of native keys.
    """
    return second.to_bytes(4, "big") + native


_WITHOUT_PRINT = struct.Struct(">8sQ??")
_WITH_PRINT = struct.Struct(">8sQ??16sI8s")


class Known(Struct, frozen=True, gc=False):
    """
    What is stored under a native key.
    """

    content: bytes
    offset: int
    """Where the record's bytes stand in the log; 0 when they do not."""
    api: bool = False
    tolerant: bool = False
    print: bytes = b""
    """The fingerprint with its scope; empty for a record without one."""
    print_second: int = 0
    digest: bytes = b""

    def encode(self) -> bytes:
        """
        Return the stored form.
        """
        if not self.print:
            return _WITHOUT_PRINT.pack(self.content, self.offset, self.api, self.tolerant)
        return _WITH_PRINT.pack(
            self.content,
            self.offset,
            self.api,
            self.tolerant,
            self.print,
            self.print_second,
            self.digest,
        )

    @classmethod
    def decode(cls, value: bytes) -> "Known":
        """
        Read the stored form.
        """
        if len(value) < _WITH_PRINT.size:
            return cls(*_WITHOUT_PRINT.unpack_from(value))
        return cls(*_WITH_PRINT.unpack(value))

    def slot(self, native: bytes) -> Slot:
        """
        Return what is needed to find the record's slot.
        """
        return Slot(self.print_second, self.api, self.digest, native, native, b"")


class Tables(Slots, Protocol):
    """
    The tables of a journal within one transaction.
    """

    scopes: dict[int, str]
    """Account → name of its scope."""
    counts: dict[str, ConnectorCounts]

    def native(self, key: bytes) -> bytes | None:
        """Return what is stored under second (4 bytes) and native key."""
        ...

    def set_native(self, key: bytes, value: bytes) -> None:
        """Store under second and native key."""
        ...

    def next_offset(self) -> int:
        """Return the offset of the next record to be written."""
        ...

    def write(self, entry: Entry) -> None:
        """Append a record to the log."""
        ...

    def entry(self, offset: int) -> Entry | None:
        """Return a record of the log, unless it is pruned."""
        ...

    def touch(self, hour: int) -> None:
        """Note that an hour's keys got an addition now."""
        ...

    def bury(self, letter: NewDeadLetter) -> None:
        """Keep a dead letter, or count the repeat of one."""
        ...
