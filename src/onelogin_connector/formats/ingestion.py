"""
An event as the bytes of one row for the Logs Ingestion API, within what a column holds.

A column holds 64 KB (65,536 bytes of UTF-8), and the service cuts what is longer without a word. So it is cut here,
at the end of a character, and says so: ``…[cut: 81,234 bytes]``. ``Raw`` is an object and cannot be cut like a
text: where the record is longer, the largest of its members are replaced by such a mark, one after the other, until
the rest fits; what was a column of its own is still there in that column. A row that is still too large for a
call loses ``Raw`` but for the mark. The journal and the local store keep the record as it came in any case.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Raw
from msgspec.json import encode

from onelogin_connector.event import Entry
from onelogin_connector.formats import fields
from onelogin_connector.formats.onelogin_cl import LEGACY_TABLE, V2_TABLE, legacy_row, v2_row
from onelogin_connector.formats.onelogin_users import User, users_row

LARGEST_FIELD_BYTES = 65_536
SURELY_FITS_BYTES = LARGEST_FIELD_BYTES // 6
"""No value of a record so short is too long: reading makes at most three bytes of one, writing again two."""

Row = dict[str, Any]


def event_row(table: str, entry: Entry, *, most_bytes: int, include_raw: bool = True) -> bytes:
    """
    Return the row of an event, as JSON; it may still have more than ``most_bytes`` where nothing more can be cut.

    Args:
        table: ``OneLogin_CL`` or ``OneLoginEventsV2_CL``.
        most_bytes: What a call can hold.
        include_raw: Whether ``Raw`` is filled, in the table that has it.
    """
    row = _ROWS[table](entry)
    if not include_raw:
        row.pop("Raw", None)
    if len(entry.raw) <= SURELY_FITS_BYTES:
        return encode(row)
    for column, value in row.items():
        if type(value) is str:
            row[column] = shortened(value)
    if "Raw" in row:
        row["Raw"] = _fitting(row["Raw"], entry.raw)
    written = encode(row)
    if len(written) > most_bytes and "Raw" in row:
        row["Raw"] = {"Raw": _mark(len(entry.raw))}
        written = encode(row)
    return written


def user_row(user: User, *, at_us: int) -> bytes:
    """
    Return the row of a user, as JSON; a call always holds it.
    """
    row = users_row(user, at_us=at_us)
    return encode({name: shortened(value) if type(value) is str else value for name, value in row.items()})


def shortened(text: str) -> str:
    """
    Return a text that fits into a column, with a mark at its end where it was cut.
    """
    if len(text) * 4 <= LARGEST_FIELD_BYTES:  # no character has more bytes
        return text
    written = text.encode()
    if len(written) <= LARGEST_FIELD_BYTES:
        return text
    mark = _mark(len(written))
    return written[: LARGEST_FIELD_BYTES - len(mark.encode())].decode(errors="ignore") + mark


def _mark(size: int) -> str:
    return f"…[cut: {size:,} bytes]"


def _fitting(raw: Any, record: bytes) -> Any:
    """
    Return the ``Raw`` column, without its largest members where it is too long.
    """
    members = dict(fields.members(record))
    written = fields.as_json(members)
    # some services write numbers out in full, so both ways of writing it must fit
    if max(len(bytes(raw)), len(written.encode())) <= LARGEST_FIELD_BYTES:
        return raw
    sizes = {name: len(fields.as_json({name: value}).encode()) for name, value in members.items()}
    left = sum(sizes.values()) + 2
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if left <= LARGEST_FIELD_BYTES:
            break
        members[name] = _mark(sizes[name])
        left += len(fields.as_json({name: members[name]}).encode()) - sizes[name]
    if left > LARGEST_FIELD_BYTES:  # thousands of small ones
        return {"Raw": _mark(len(record))}
    return Raw(fields.as_json(members).encode())


def _legacy(entry: Entry) -> Row:
    return legacy_row(fields.read(entry.raw), time_us=entry.time_us, raw=entry.raw)


def _v2(entry: Entry) -> Row:
    return v2_row(fields.read(entry.raw), time_us=entry.time_us)


_ROWS: Mapping[str, Callable[[Entry], Row]] = MappingProxyType({LEGACY_TABLE: _legacy, V2_TABLE: _v2})
