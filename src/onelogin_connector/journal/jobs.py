"""
What the writer is asked to do, each within one transaction.
"""

from collections.abc import Sequence

from onelogin_connector.journal.base import Held, NewDeadLetter, Receipt
from onelogin_connector.journal.hours import Keyring
from onelogin_connector.journal.intake import Intake
from onelogin_connector.journal.records import Placed, Record
from onelogin_connector.journal.tables import Block, LmdbTables, eight
from onelogin_connector.journal.writer import Job

PRUNE_CHUNK = 1_000  # more in one transaction would hold up intake


def admission(records: Sequence[Record], dead: NewDeadLetter | None) -> Job:
    """
    Return the job that takes one request in.
    """
    placed: list[Placed] = []

    def prepare(tables: LmdbTables) -> tuple[list[bytes], list[bytes]]:
        placed.clear()
        intake = Intake(tables)
        placed.extend(intake.locate(record) for record in records)
        return [each.key for each in placed], [group for each in placed for group in each.groups()]

    def run(tables: LmdbTables) -> Receipt:
        return Intake(tables).admit(placed, dead)

    size = sum(len(record.event.raw) for record in records) + (len(dead.body) if dead else 0)
    return Job(run, prepare, size)


def restore(tables: LmdbTables, hour: int, held: Sequence[Held]) -> None:
    """
    Make an hour's keys whole again from what the store holds.
    """
    if tables.mirror.keyring(hour) is Keyring.WHOLE:
        return
    tables.forget_hour(hour)
    intake = Intake(tables)
    for entry in held:
        intake.restore(entry)
    tables.set_hour(hour, Keyring.WHOLE)


def prune_log(tables: LmdbTables, up_to: int, before: float) -> tuple[int, int]:
    """
    Remove a chunk of old blocks that everybody has; returns blocks and records.
    """
    blocks = records = 0
    tables.set_meta(b"last_offset", eight(tables.mirror.last_offset))
    with tables.txn.cursor(tables.dbs.log) as cursor:
        cursor.first()
        while cursor.key() and blocks < PRUNE_CHUNK:
            block = Block.at_cursor(cursor)
            if block.last > up_to or block.at > before:
                break
            records += block.last - block.first + 1
            blocks += 1
            cursor.delete()
    return blocks, records


def retire(tables: LmdbTables, hour: int, before: float) -> None:
    """
    Stop trusting an hour's keys, unless something came for it meanwhile.
    """
    known = tables.mirror.hours.get(hour)
    if known and known.touched_at < before:
        tables.set_hour(hour, Keyring.PRUNED)


def prune_hour(tables: LmdbTables, hour: int) -> int:
    """
    Remove some keys of an hour, unless something came for it meanwhile.
    """
    if tables.mirror.keyring(hour) is not Keyring.PRUNED:
        return 0
    return tables.forget_hour(hour, PRUNE_CHUNK)
