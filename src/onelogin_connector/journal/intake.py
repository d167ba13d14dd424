"""
What becomes of a record: entry, twin, duplicate or change.

``Intake`` decides it, one request at a time, inside the transaction of whoever holds the tables. It is the
same for every journal, so that the rules of identity are written, and attacked by tests, once.

Scope. Keys are those of a OneLogin account. A connector is bound to the first account it meets; records that
do not name an account are that account's. The scope of an account is the connector bound to it, so that
records which came before the binding keep their keys. A record that names another account is kept in that
account's scope and counted ``foreign``.
"""

from collections.abc import Sequence

from msgspec import structs

from onelogin_connector.errors import BadRecord
from onelogin_connector.event import Channel, Entry, Flag, Kind, Way, read
from onelogin_connector.identity import keys_of, native_hash, same_content, scope_hash, scoped
from onelogin_connector.journal.base import ConnectorCounts, Held, NewDeadLetter, Receipt
from onelogin_connector.journal.hours import HOUR_SECONDS
from onelogin_connector.journal.records import Known, Placed, Record, Tables, native_key
from onelogin_connector.matching import FIRST, Group, Placement, Slot


class Intake:
    """
    Decides on records, within one transaction of ``tables``.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._scope_hashes: dict[str, int] = {}

    def locate(self, record: Record) -> Placed:
        """
        Find the scope of a record, binding its connector where that is still open.
        """
        event, tables = record.event, self.tables
        counts = tables.counts.get(event.connector)
        if counts is None:
            counts = tables.counts[event.connector] = ConnectorCounts()
        own, flags = f"connector:{event.connector}", event.flags
        account = event.account
        if account is None:
            name = own
        else:
            known = tables.scopes.get(account)
            if known is None:
                if counts.account is None:
                    counts.account = account
                    known = own
                else:
                    known = f"account:{account}"
                tables.scopes[account] = known
            elif counts.account is None and known == own:
                counts.account = account
            if known != own:
                flags |= Flag.FOREIGN
                counts.foreign += 1
            name = known
        if record.unverified:
            flags |= Flag.UNVERIFIED
        scope = self._scope_hashes.get(name)
        if scope is None:
            scope = self._scope_hashes[name] = scope_hash(name)
        keys = record.keys
        native = scoped(keys.native, scope)
        group = None
        if keys.print is not None and keys.also is None:
            group = native_key(keys.print_second, scoped(keys.print, scope))
        return Placed(record, native, native_key(keys.second, native), group, scope, flags)

    def admit(self, records: Sequence[Placed], dead: NewDeadLetter | None) -> Receipt:
        """
        Take the records of one request in.

        Raises nothing on any content; what a table raises aborts the transaction.
        """
        tally = dict.fromkeys(("entries", "twins", "duplicates", "changed"), 0)
        for placed in records:
            event = placed.record.event
            counts = self.tables.counts[event.connector]
            counts.events += 1
            counts.last_received_us = max(counts.last_received_us, event.received_us)
            counts.last_event_us = max(counts.last_event_us, event.time_us)
            value = self.tables.native(placed.key)
            if value is not None:
                tally["duplicates"] += 1
                counts.duplicates += 1
                tally["changed"] += self._repeat(placed, Known.decode(value), counts)
            elif self._new(placed, counts):
                tally["entries"] += 1
                counts.entries[event.channel] = counts.entries.get(event.channel, 0) + 1
            else:
                tally["twins"] += 1
                counts.twins += 1
        if dead is not None:
            self.tables.bury(dead)
            counts = self.tables.counts.setdefault(dead.connector, ConnectorCounts())
            counts.dead += dead.records
        return Receipt(**tally, dead=dead.records if dead else 0)

    def restore(self, held: Held) -> None:
        """
        Bring the keys of one entry back from the store.
        """
        records: list[Placed] = []
        for native, raw in held.records:
            try:
                event = read(raw, connector=held.connector, way=Way.IMPORT, received_us=0)
            except BadRecord:
                continue
            event = structs.replace(event, native=native, account=event.account or held.account)
            placed = self.locate(Record(event, keys_of(event)))
            if self.tables.native(placed.key) is not None:
                return  # the hour's keys are here, or the store gave this entry twice
            records.append(placed)
        for placed in records:
            self._remember(placed, offset=0)
        slots = [
            structs.replace(_slot(placed), token=held.key, published=placed.native == held.key)
            for placed in records
            if placed.group is not None
        ]
        prints = {placed.record.keys.print for placed in records}
        if slots and len(slots) == len(records) and len(prints) == 1:
            self._group(records[0]).restore(slots)

    def _new(self, placed: Placed, counts: ConnectorCounts) -> bool:
        """
        Place a record that was never seen; returns whether it is an event of its own.
        """
        keys = placed.record.keys
        if keys.also is not None:
            number = scoped(keys.also, placed.scope)
            value = self.tables.native(native_key(keys.also_second, number))
            if value is not None:
                return self._link(placed, number, Known.decode(value), unseen=placed.native)
        elif self._is_unlike_others(placed):
            self.tables.add(placed.group or b"", _slot(placed, published=True).encode())
            self._remember(placed, self.tables.next_offset())
            counts.unverified += placed.record.unverified
            self._write(placed, Kind.ENTRY, key=placed.native, of=b"")
            return True
        if placed.group is None:
            placement = Placement(placed.native, fresh=True)
        else:
            if keys.api and keys.other_second != keys.print_second:
                self._compare_rules(placed, counts)
            placement = self._group(placed).place(_slot(placed))
        self._remember(placed, self.tables.next_offset())
        if placement.fresh:
            counts.unverified += placed.record.unverified
            for name, times in (placement.kept_apart or {}).items():
                counts.contradictions[name] = counts.contradictions.get(name, 0) + times
        self._publish(placed, placement, key=placed.native)
        return placement.fresh

    def _is_unlike_others(self, placed: Placed) -> bool:
        """
        Tell whether nobody has told anything like a record: by far the most frequent, and quickly seen.
        """
        group, keys = placed.group, placed.record.keys
        return (
            group is not None
            and not keys.tolerant
            and keys.other_second == keys.print_second
            and self.tables.seek(group, FIRST) is None
        )

    def _repeat(self, placed: Placed, known: Known, counts: ConnectorCounts) -> bool:
        """
        Look at a record whose key is known; returns whether it says something else than before.
        """
        keys = placed.record.keys
        if keys.also is not None:
            number = scoped(keys.also, placed.scope)
            if self.tables.native(native_key(keys.also_second, number)) is None:
                self._link(placed, placed.native, known, unseen=number)
                return False
        if known.content == keys.content:
            return False
        mark = native_hash(Channel.NONE, (placed.native + keys.content).hex())
        if self.tables.native(native_key(keys.second, mark)) is not None:
            return False
        before = self.tables.entry(known.offset)
        if before is not None and same_content(before.raw, placed.record.event.raw):
            return False
        counts.changed += 1
        token = placed.native
        if known.print:
            token = self._group_of(known).token_of(known.slot(placed.native))
        offset = self.tables.next_offset()
        self.tables.set_native(native_key(keys.second, mark), Known(keys.content, offset).encode())
        self._write(placed, Kind.CHANGE, key=mark, of=token)
        return True

    def _link(self, placed: Placed, seen: bytes, known: Known, *, unseen: bytes) -> bool:
        """
        Take in a record that carries both ids, of which one was seen; returns whether it is an event.
        """
        placement = Placement(seen)
        if known.print:
            placement = self._group_of(known).link(known.slot(seen), unseen)
        keys = placed.record.keys
        linked = Known(keys.content, self.tables.next_offset())
        second = keys.second if unseen == placed.native else keys.also_second
        self.tables.set_native(native_key(second, unseen), linked.encode())
        self._publish(placed, placement, key=unseen)
        return placement.fresh

    def _publish(self, placed: Placed, placement: Placement, *, key: bytes) -> None:
        """
        Write the record, and what placing it changed for others.
        """
        if placement.fresh:
            self._write(placed, Kind.ENTRY, key=placement.token, of=b"")
        else:
            self._write(placed, Kind.TWIN, key=key, of=placement.token)
        if placement.orphan is not None:
            orphan = self._rewrite(placement.orphan, Kind.ENTRY, of=b"")
            if orphan is not None:  # counted as a twin when it came
                counts = self.tables.counts[orphan.connector]
                counts.twins -= 1
                counts.entries[orphan.channel] = counts.entries.get(orphan.channel, 0) + 1
        for slot in placement.moved:
            self._rewrite(slot, Kind.MOVE, of=slot.token)

    def _write(self, placed: Placed, kind: Kind, *, key: bytes, of: bytes) -> None:
        event = placed.record.event
        self.tables.write(
            Entry(
                offset=self.tables.next_offset(),
                kind=kind,
                key=key,
                of=of,
                connector=event.connector,
                account=event.account,
                channel=event.channel,
                way=event.way,
                native=event.native,
                also=event.also,
                time_us=event.time_us,
                received_us=event.received_us,
                flags=placed.flags,
                raw=event.raw,
            )
        )
        keys = placed.record.keys
        self.tables.touch(keys.second // HOUR_SECONDS)
        if keys.print_second != keys.second:
            self.tables.touch(keys.print_second // HOUR_SECONDS)

    def _rewrite(self, slot: Slot, kind: Kind, *, of: bytes) -> Entry | None:
        """
        Write a record again that belongs to another event now. Without its bytes the store keeps the old link.
        """
        before = self._bytes_of(slot)
        if before is None:
            return None
        offset = self.tables.next_offset()
        again = structs.replace(before, offset=offset, kind=kind, key=slot.native, of=of)
        self.tables.write(again)
        return again

    def _bytes_of(self, slot: Slot) -> Entry | None:
        # rounding may have put the fingerprint a second after the native key
        for second in (slot.second, slot.second - 1):
            value = self.tables.native(native_key(second, slot.native))
            if value is not None:
                return self.tables.entry(Known.decode(value).offset)
        return None

    def _remember(self, placed: Placed, offset: int) -> None:
        keys = placed.record.keys
        if placed.group is None:
            known = Known(keys.content, offset)
        else:
            print_, second = placed.group[4:], keys.print_second
            known = Known(keys.content, offset, keys.api, keys.tolerant, print_, second, keys.digest)
        value = known.encode()
        self.tables.set_native(placed.key, value)
        if keys.also is not None:
            self.tables.set_native(native_key(keys.also_second, scoped(keys.also, placed.scope)), value)

    def _compare_rules(self, placed: Placed, counts: ConnectorCounts) -> None:
        """
        Count under which time rule this API record would meet a webhook record.
        """
        keys = placed.record.keys
        print_ = (placed.group or b"")[4:]
        webhook = b"\x01"
        counts.api_records += 1
        for second in (keys.print_second, keys.other_second):
            group = native_key(second, print_)
            if self.tables.seek(group, webhook) is not None:
                if second == keys.second:
                    counts.match_floor += 1
                else:
                    counts.match_round += 1

    def _group(self, placed: Placed) -> Group:
        print_ = (placed.group or b"")[4:]
        return Group(self.tables, print_, placed.record.keys.tolerant, self._at_hand)

    def _group_of(self, known: Known) -> Group:
        return Group(self.tables, known.print, known.tolerant, self._at_hand)

    def _at_hand(self, slot: Slot) -> bool:
        return self._bytes_of(slot) is not None


def _slot(placed: Placed, *, published: bool = False) -> Slot:
    keys, native = placed.record.keys, placed.native
    return Slot(keys.print_second, keys.api, keys.digest, native, native, keys.details, published)
