"""
Which records of the two channels are one event.

Records with one fingerprint form a group. Each record of a group is *free* or *taken* by one record of the
other channel, and each event has one **token**: the key of the record that was published as its entry. A
token is never withdrawn, so the number of tokens must be right at every moment:

    tokens = records - pairs, with as many pairs as possible.

A new record adds one record and at most one pair, so it either finds a place among the events that are
already published (it is a twin), or it is a new one (an entry). It finds a place whenever there is one, if
need be by moving others along an augmenting path. Among possible places the better grade wins: all details
equal, before a detail that only one side knows, before a second of difference. Where a better match can only
be had by leaving the weaker partner alone, that partner becomes an entry of its own.

A slot is stored under its group as one byte string whose order makes every search a seek:
``channel, taken, digest (8), partner's digest (8), native key (16), token (16), partner (16), shift, grade,
published, details``. Records with equal digests are interchangeable, so searches look at one of each kind, and at
``WIDEST_SEARCH`` kinds at most: past that a record is kept as an entry, never dropped.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from onelogin_connector.identity import contradictions

LINKED, EXACT, PARTIAL, TOLERATED = range(4)
"""Grades of a pair, best first. Linked: one record named both ids."""

WIDEST_SEARCH = 256
DEEPEST_PATH = 32
_STORED = struct.Struct(">2s8s8s16s16s16sBB?")
"""A slot up to its details."""

FIRST = b"\0"  # at or before every stored slot of a group

NO_DIGEST = bytes(8)
NO_KEY = bytes(16)


class Slots(Protocol):
    """
    Byte strings in order, under groups.
    """

    def seek(self, group: bytes, prefix: bytes) -> bytes | None:
        """Return the first value of a group that is not below the prefix."""
        ...

    def add(self, group: bytes, value: bytes) -> None:
        """Add a value to a group."""
        ...

    def remove(self, group: bytes, value: bytes) -> None:
        """Remove a value from a group."""
        ...


class Slot(Struct, frozen=True, gc=False):
    """
    One record of a group.
    """

    second: int
    api: bool
    digest: bytes
    native: bytes
    token: bytes
    details: bytes
    published: bool = False
    """Whether its own key is the token of some event."""
    partner: bytes = NO_KEY
    partner_digest: bytes = NO_DIGEST
    shift: int = 0
    """Seconds from this record's group to its partner's."""
    grade: int = LINKED

    @property
    def taken(self) -> bool:
        """
        Tell whether it has a partner.
        """
        return self.partner != NO_KEY

    def encode(self) -> bytes:
        """
        Return the stored form.
        """
        head = _HEADS[self.api][self.partner != NO_KEY]
        keys = (self.digest, self.partner_digest, self.native, self.token, self.partner)
        return _STORED.pack(head, *keys, self.shift + 1, self.grade, self.published) + self.details

    @classmethod
    def decode(cls, second: int, value: bytes) -> "Slot":
        """
        Read the stored form.
        """
        head, digest, partner_digest, *keys, shift, grade, published = _STORED.unpack_from(value)
        native, token, partner = keys
        return cls(
            second=second,
            api=head[0] == 0,
            digest=digest,
            native=native,
            token=token,
            details=value[_STORED.size :],
            published=published,
            partner=partner,
            partner_digest=partner_digest,
            shift=shift - 1,
            grade=grade,
        )


class Step(Struct, frozen=True, gc=False):
    """
    One pair that a path would make.
    """

    record: Slot
    grade: int
    place: Slot
    """The record of the other channel."""


@dataclass(slots=True)
class Placement:
    """
    What placing one record changed.
    """

    token: bytes
    """The event the record belongs to."""
    fresh: bool = False
    """Whether that event is new, so that this record is to be published as its entry."""
    moved: Sequence[Slot] = ()
    """Records placed before that belong to another event now, as they stand."""
    orphan: Slot | None = None
    """A record placed before that lost its partner to a better one and is now an event of its own."""
    kept_apart: Counter[str] | None = None
    """Fields that contradicted, where that is why the record found no partner."""


_HEADS = ((b"\1\0", b"\1\1"), (b"\0\0", b"\0\1"))  # webhook, api; free, taken


def _head(*, api: bool, taken: bool) -> bytes:
    return _HEADS[api][taken]


@dataclass(slots=True)
class Group:
    """
    The records of one fingerprint, across the seconds that may be tolerated.
    """

    slots: Slots
    print: bytes
    """The fingerprint with its scope."""
    tolerant: bool
    at_hand: Callable[[Slot], bool]
    """Whether a record's bytes can still be read, so that it could be published."""

    def place(self, record: Slot) -> Placement:
        """
        Find the event a new record belongs to, or make it one.
        """
        if self.empty(record):
            self._add(replace(record, token=record.native, published=True))
            return Placement(record.native, fresh=True)
        # by far the most frequent: the twin waits, with equal details
        value = self._seek(record.second, _head(api=not record.api, taken=False) + record.digest)
        if value is not None:
            path = [Step(record, EXACT, Slot.decode(record.second, value))]
            return self._follow(path)
        kept_apart: Counter[str] = Counter()
        found = self._path(record, set(), kept_apart)
        if found:
            return self._follow(found)
        weaker = self._weaker(record)
        if weaker is not None:
            return self._displace(weaker)
        self._add(replace(record, token=record.native, published=True))
        return Placement(record.native, fresh=True, kept_apart=kept_apart)

    def empty(self, record: Slot) -> bool:
        """
        Tell whether the other channel has told nothing like this record.
        """
        other = _HEADS[not record.api][0][:1]
        if self._seek(record.second, other) is not None:
            return False
        if not self.tolerant:
            return True
        return all(self._seek(record.second + shift, other) is None for shift in (-1, 1))

    def link(self, known: Slot, partner: bytes) -> Placement:
        """
        Record that one record named both ids: the known one's and its partner's.

        Args:
            known: The placed record; second, api, digest and native are used.
            partner: Key of the other id, of which no record came so far.
        """
        slot = self._find(known)
        if slot is None or (slot.taken and slot.grade == LINKED):
            return Placement(known.native if slot is None else slot.token)
        linked = replace(slot, partner=partner, partner_digest=NO_DIGEST, shift=0, grade=LINKED)
        rival = self._partner(slot) if slot.taken else None
        self._remove(slot)
        if rival is None:
            self._add(linked)
            return Placement(slot.token)
        self._remove(rival)
        alone = _free(rival, rival.native)
        elsewhere = self._path(alone, set(), Counter())
        if elsewhere:
            self._add(linked)
            placed = self._follow(elsewhere)
            return Placement(slot.token, moved=[*placed.moved, replace(alone, token=placed.token)])
        if slot.token != rival.native and not rival.published and self.at_hand(rival):
            self._add(linked)
            self._add(replace(alone, published=True))
            return Placement(slot.token, orphan=rival)
        # the rival keeps the event, of which it was or may be the entry; the linked pair is a new one
        self._add(_free(rival, slot.token))
        moved = replace(linked, token=partner)
        self._add(moved)
        return Placement(partner, fresh=True, moved=[moved])

    def _path(
        self, record: Slot, seen: set[tuple[int, bytes]], kept_apart: Counter[str]
    ) -> list[Step] | None:
        """
        Return the pairs to make so that the record has a partner and nobody loses one.
        """
        if len(seen) >= DEEPEST_PATH:
            return None
        for grade, slot in sorted(self._candidates(record, kept_apart), key=_preference):
            if not slot.taken:
                return [Step(record, grade, slot)]
            if (slot.second, slot.native) in seen or slot.grade == LINKED:
                continue
            seen.add((slot.second, slot.native))
            onward = self._path(self._partner(slot), seen, Counter())
            if onward:
                return [Step(record, grade, slot), *onward]
        return None

    def _follow(self, path: list[Step]) -> Placement:
        moved: list[Slot] = []
        for step in path:
            self._remove(step.place)
            if step is not path[0]:
                self._remove(step.record)
                if step.record.token != step.place.token:
                    moved.append(replace(step.record, token=step.place.token))
        for step in path:
            self._pair(step)
        return Placement(path[0].place.token, moved=moved)

    def _weaker(self, record: Slot) -> Step | None:
        """
        Find a partner for whom the record is a better match than the one it has, which could be left alone.
        """
        for grade, slot in sorted(self._candidates(record, Counter()), key=_preference):
            if slot.taken and grade < slot.grade:
                rival = self._partner(slot)
                if slot.token == rival.native or (not rival.published and self.at_hand(rival)):
                    return Step(record, grade, slot)
        return None

    def _displace(self, step: Step) -> Placement:
        slot, record = step.place, step.record
        rival = self._partner(slot)
        self._remove(slot)
        self._remove(rival)
        self._add(replace(_free(rival, rival.native), published=True))
        if slot.token == rival.native:  # the rival was published; the new pair is the new event
            published = replace(record, token=record.native, published=True)
            moved = replace(slot, token=record.native)
            self._pair(Step(published, step.grade, moved))
            return Placement(record.native, fresh=True, moved=[moved])
        self._pair(step)
        return Placement(slot.token, orphan=rival)

    def restore(self, records: list[Slot]) -> None:
        """
        Put records of one event back as they stood: one alone, or two that are a pair.
        """
        if len(records) == 1:
            self._add(records[0])
            return
        first, second = records
        exact = first.digest == second.digest and first.second == second.second
        grade = EXACT if exact else PARTIAL if first.second == second.second else TOLERATED
        self._pair(Step(first, grade, second))

    def token_of(self, known: Slot) -> bytes:
        """
        Return the event a placed record belongs to; second, api, digest and native are used.
        """
        slot = self._find(known)
        return known.native if slot is None else slot.token

    def _shifts(self) -> tuple[int, ...]:
        return (0, -1, 1) if self.tolerant else (0,)

    def _candidates(self, record: Slot, kept_apart: Counter[str]) -> Iterator[tuple[int, Slot]]:
        for shift in self._shifts():
            for taken in (False, True):
                for slot in self._kinds(record.second + shift, _head(api=not record.api, taken=taken)):
                    against = contradictions(record.details, slot.details)
                    if against:
                        kept_apart.update(against)
                    elif shift:
                        yield TOLERATED, slot
                    else:
                        yield (EXACT if slot.digest == record.digest else PARTIAL), slot

    def _kinds(self, second: int, head: bytes) -> Iterator[Slot]:
        """
        Yield one slot for each pair of digests.
        """
        prefix = head
        for _ in range(WIDEST_SEARCH):
            value = self._seek(second, prefix, head)
            if value is None:
                return
            yield Slot.decode(second, value)
            prefix = value[:18] + b"\xff" * 17

    def _find(self, known: Slot) -> Slot | None:
        for taken in (False, True):
            head = _head(api=known.api, taken=taken) + known.digest
            prefix = head
            for _ in range(WIDEST_SEARCH):
                value = self._seek(known.second, prefix, head)
                if value is None:
                    break
                if value[18:34] == known.native:
                    return Slot.decode(known.second, value)
                prefix = value[:34] + b"\xff" * 17
        return None

    def _partner(self, slot: Slot) -> Slot:
        second = slot.second + slot.shift
        prefix = _head(api=not slot.api, taken=True) + slot.partner_digest + slot.digest + slot.partner
        value = self._seek(second, prefix)
        if value is None:  # cannot be: both slots of a pair are written together
            raise LookupError(f"slot {slot.native.hex()} names a partner that is not there")
        return Slot.decode(second, value)

    def _pair(self, step: Step) -> None:
        record, slot = step.record, step.place
        shift = slot.second - record.second
        self._add(
            replace(
                record,
                token=slot.token,
                partner=slot.native,
                partner_digest=slot.digest,
                shift=shift,
                grade=step.grade,
            )
        )
        self._add(
            replace(slot, partner=record.native, partner_digest=record.digest, shift=-shift, grade=step.grade)
        )

    def _seek(self, second: int, prefix: bytes, head: bytes | None = None) -> bytes | None:
        value = self.slots.seek(self._group(second), prefix)
        return value if value is not None and value.startswith(head or prefix) else None

    def _add(self, slot: Slot) -> None:
        self.slots.add(self._group(slot.second), slot.encode())

    def _remove(self, slot: Slot) -> None:
        self.slots.remove(self._group(slot.second), slot.encode())

    def _group(self, second: int) -> bytes:
        return second.to_bytes(4, "big") + self.print


def _free(slot: Slot, token: bytes) -> Slot:
    return replace(slot, token=token, partner=NO_KEY, partner_digest=NO_DIGEST, shift=0, grade=LINKED)


def _preference(candidate: tuple[int, Slot]) -> tuple[bool, int, bool]:
    """
    Order candidates: free or weakly taken ones first, by grade; then those that must be moved for it.
    """
    grade, slot = candidate
    return slot.taken and slot.grade <= grade, grade, slot.taken
