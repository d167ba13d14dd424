"""
How far the keys of an hour can be trusted, so that a repeat is recognised: in every journal alike.
"""

from collections.abc import Iterable
from enum import IntEnum

from msgspec import Struct
from msgspec.structs import replace

from onelogin_connector.errors import HourPruned
from onelogin_connector.event import Way
from onelogin_connector.journal.records import Record

HOUR_SECONDS = 3_600


class Keyring(IntEnum):
    """
    How far the keys of an hour can be trusted.
    """

    WHOLE = 1
    PRUNED = 2
    """Removed, or not known to be whole."""
    PARTIAL = 3
    """Removed; what came since is there."""


class Hour(Struct, array_like=True):
    """
    The keys of one hour of event time.
    """

    keyring: int
    touched_at: float
    """Unix seconds of the last addition."""
    last_offset: int
    """Offset of the last record added."""


def hours_of(records: Iterable[Record]) -> set[int]:
    """
    Return the hours whose keys say whether records are known.
    """
    records = list(records)
    seconds = {record.keys.second for record in records} | {record.keys.print_second for record in records}
    # a second of tolerance on both sides may reach into the next hour
    return {(second + shift) // HOUR_SECONDS for second in seconds for shift in (-1, 1)} - {-1}


def judged(record: Record, missing: set[int], *, accept_duplicates: bool) -> Record:
    """
    Mark a record whose hour's keys are incomplete, or refuse it where a person can decide.
    """
    second = record.keys.second
    if missing.isdisjoint({(second - 1) // HOUR_SECONDS, (second + 1) // HOUR_SECONDS}):
        return record
    if record.event.way in (Way.BACKFILL, Way.IMPORT) and not accept_duplicates:
        raise HourPruned(
            f"Events of hour {second // HOUR_SECONDS * HOUR_SECONDS} (Unix seconds) were taken in before, and "
            "their keys are gone.",
            action="Switch the local store on, which brings keys back, or accept duplicates by name.",
        )
    return replace(record, unverified=True)
