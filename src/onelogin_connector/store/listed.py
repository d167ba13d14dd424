"""
One event of a list: what is shown of it, and its address.

An event's address is its time and its key. The key alone would name it; the time lets all but a few thousand rows be
passed over, where the key alone would read ten million.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct

from onelogin_connector.moments import text_of_us

LONGEST_VALUE = 200
"""Characters of a value that can still be chosen as a filter; longer ones are no names."""

NOTE_CHARACTERS = 300
"""Of the notes in a list; all of them stand in the event itself."""

LISTED = f"""
    entry_key, epoch_us(event_time), epoch_us(received_time), left(event_type, {LONGEST_VALUE + 1}),
    left(user_name, {LONGEST_VALUE + 1}), left(actor_user_name, {LONGEST_VALUE + 1}),
    left(app_name, {LONGEST_VALUE + 1}), left(ipaddr, {LONGEST_VALUE + 1}), left(notes, {NOTE_CHARACTERS + 1}),
    connector, channel, way, twin_key IS NOT NULL, unconfirmed"""
"""The columns from which ``listed`` makes a row."""


class EventRow(Struct, frozen=True):
    """
    One event of a list; long texts are cut.
    """

    id: str
    """Its address: time and key."""
    time: str
    received: str
    type: str
    user: str
    actor: str
    app: str
    ip: str
    notes: str
    """Its beginning."""
    connector: str
    channel: str
    way: str
    both: bool
    """Webhook and API have both brought it."""
    unconfirmed: bool
    """It came by webhook, and the API has not listed it a day later."""


def listed(row: tuple[Any, ...]) -> EventRow:
    """
    Make the row of a list from what ``LISTED`` selects.
    """
    key, time_us, received_us, *shown = row
    return EventRow(f"{time_us}.{UUID(str(key))}", text_of_us(time_us), text_of_us(received_us), *shown)


def place_of(id: str) -> tuple[int, str] | None:
    """
    Return time and key from an event's id; None where it is no id.
    """
    time, _, key = id.partition(".")
    sign = time.removeprefix("-")
    hexadecimal = key.replace("-", "")
    known = len(hexadecimal) == 32 and all(each in "0123456789abcdef" for each in hexadecimal)
    if not (known and len(key) == 36 and sign.isascii() and sign.isdecimal() and len(sign) <= 17):
        return None
    return int(time), key
