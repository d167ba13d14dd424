"""
Read the success replies: pages of events, pages of users, the list of event types.

A record is handed on as the bytes that came. A page is read whole or not at all, since a page that was read in
part would lose events unseen; but one record that is no JSON spoils only itself: it is cut out as it is, for
whoever reads records to refuse.
"""

from datetime import UTC, datetime
from re import DOTALL
from re import compile as pattern
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import decode

from onelogin_connector.hiding import Hidden
from onelogin_connector.onelogin.replies import UNREADABLE, unreadable
from onelogin_connector.onelogin.wire import Reply

EVENTS = "/api/1/events"
MOST_A_PAGE = 50  # OneLogin's own limit
MOST_CURSOR = 4_096  # characters; a cursor is a short text, and has to fit into an address
MOST_CUT_BYTES = 8 << 20  # what is no JSON is cut by hand, which takes a second for so much


class Page(Struct, frozen=True):
    """
    One page of a list.
    """

    records: list[bytes]
    """As they came, each one JSON value."""
    cursor: str | None
    """To ask for the next page with; None if this is the last."""
    date_us: int | None = None
    """The server's time when it answered, in microseconds since 1970; None if it did not say."""


class _Listed(Struct):
    data: Raw
    pagination: "_Pagination"


class _Pagination(Struct):
    next_link: Any = None
    after_cursor: Any = None


class _Kind(Struct):
    id: Any = None
    name: Any = None


class _Kinds(Struct):
    data: list[_Kind]


_DATA = pattern(rb'"data"\s*:\s*\[')
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PART = pattern(rb'[^"{}\[\],]++|' + _STRING + rb"|[{}\[\],]", DOTALL)


def moment(time_us: int) -> str:
    """
    Write a moment as OneLogin reads it: UTC, with the millisecond that it lies in.
    """
    seconds, rest_us = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_us // 1_000:03}Z"


def events_query(
    since_us: int, until_us: int, cursor: str | None = None, limit: int = MOST_A_PAGE
) -> dict[str, str]:
    """
    Return the parameters that ask for a page of events; the window is widened to whole milliseconds.
    """
    query = {"since": moment(since_us), "until": moment(until_us + 999), "limit": str(limit)}
    return query if cursor is None else query | {"after_cursor": cursor}


def events_page(reply: Reply, hidden: Hidden, cursor: str | None) -> Page:
    """
    Read a page of events.

    Args:
        cursor: The one that was asked for.

    Raises:
        Unavailable: It is no such page, or names no way on although there is more.
    """
    try:
        try:
            listed = decode(reply.body, type=_Listed)
            records = [bytes(raw) for raw in decode(listed.data, type=list[Raw])]
        except UNREADABLE:
            records, outer = _cut(reply.body)
            listed = decode(outer, type=_Listed)
    except UNREADABLE:
        raise unreadable(reply, hidden, "it is no page of events") from None
    following = None
    # an empty last page still has a cursor: the link alone tells whether there is more
    if listed.pagination.next_link not in (None, "", False):
        following = listed.pagination.after_cursor
        if not isinstance(following, str) or not 0 < len(following) <= MOST_CURSOR:
            raise unreadable(reply, hidden, "there is a next page, but no cursor to it", "cursor")
        if following == cursor:
            raise unreadable(reply, hidden, "the cursor stands still", "cursor")
    return Page(records, following, reply.date_us)


def users_page(reply: Reply, hidden: Hidden, cursor: str | None) -> Page:
    """
    Read a page of users, which names the next one in its headers.

    Raises:
        Unavailable: It is no such page, or names itself as the next one.
    """
    try:
        records = [bytes(raw) for raw in decode(reply.body, type=list[Raw])]
    except UNREADABLE:
        raise unreadable(reply, hidden, "it is no page of users") from None
    following = reply.headers.get("after-cursor", "").strip() or None
    number, total = reply.headers.get("current-page", ""), reply.headers.get("total-pages", "")
    digits = number.isdecimal() and total.isdecimal() and len(number) < 10 and len(total) < 10
    if not records or (digits and int(number) >= int(total)):
        following = None
    if following is not None and (following == cursor or len(following) > MOST_CURSOR):
        raise unreadable(reply, hidden, "the cursor stands still, or is far too long", "cursor")
    return Page(records, following, reply.date_us)


def event_types(reply: Reply, hidden: Hidden) -> dict[int, str]:
    """
    Read the list of event types: id → name; entries without either are left out.

    Raises:
        Unavailable: It is no such list.
    """
    try:
        kinds = decode(reply.body, type=_Kinds).data
    except UNREADABLE:
        raise unreadable(reply, hidden, "it is no list of event types") from None
    found = {}
    for kind in kinds:
        id = whole_number(kind.id)
        if id is not None and isinstance(kind.name, str) and kind.name.strip():
            found[id] = kind.name.strip()
    return found


def whole_number(value: Any) -> int | None:
    """
    Read a number that may have come as text or as a whole fraction; None if it is none, or below zero.
    """
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _cut(body: bytes) -> tuple[list[bytes], bytes]:
    """
    Cut the records out of a page that holds something no JSON may hold.

    Returns:
        The records, and the page without them.

    Raises:
        DecodeError: Its list has no beginning or no end.
    """
    found = _DATA.search(body)
    if found is None or len(body) > MOST_CUT_BYTES:
        raise DecodeError("no list of records, or too long to be cut by hand")
    records: list[bytes] = []
    depth, start, end = 0, found.end(), found.end()
    for part in _PART.finditer(body, start):
        if part.start() != end:  # a quote without its partner
            break
        end = part.end()
        mark = part[0]
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if depth < 0 or (depth == 0 and mark == b","):
            record = body[start : part.start()].strip()
            if record or mark == b",":
                records.append(record)
            start = end
        if depth < 0:
            return records, body[: found.end()] + body[part.start() :]
    raise DecodeError("the list of records has no end")
