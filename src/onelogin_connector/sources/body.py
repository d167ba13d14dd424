"""
Split the body of a request, or a part of a file, into its records.

The body decides the format, no header does:

- a JSON array of objects, or a single object;
- one object per line (NDJSON), or one array per line, or objects one after another;
- any of these with objects wrapped as ``{"event": {…}}``, where ``event`` is the only key;
- pages of the Events API, ``{"status": …, "pagination": …, "data": […]}``;
- with a UTF-8 byte order mark, blank lines, a trailing line break, CRLF.

A record's place in the result is its position in the body, and its bytes are those that came. One bad record
harms only itself: an array element or a line that is no JSON object is ``Unreadable`` at its position, and
the others go on. A damaged or truncated array yields the elements that are whole; that it ends too early is
one ``Unreadable``, of the bytes of the element it ends in. A body is refused as no JSON when it is not a JSON
value and no object in it can be told from what surrounds it, readable or not.

An object is validated as far as needed to tell where it ends; ``event.read`` looks into it.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from re import compile as pattern

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from onelogin_connector.errors import BadRequest, TooLarge
from onelogin_connector.loose import mended
from onelogin_connector.sources.cutting import cut, delimited

MOST_RECORDS = 50_000
"""Records per body. OneLogin sends ten; millions of ``0,`` in one body would cost gigabytes of memory."""

DECODED_AT_ONCE_BYTES = 1 << 20
"""An array up to this size goes through the fast decoder, whose memory depends on the number of elements."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"{\x00", b"[\x00", b"\x00{", b"\x00[", b"\x00\x00\xfe\xff")
_BRACE, _BRACKET = ord("{"), ord("[")
_may_contain_records = pattern(rb'\{\s*+"(?:(event)|status|pagination|data)"\s*+:\s*+').match
_PAGE_FRAME = pattern(rb'(?:[\s{}:,]|"(?:status|pagination|data)")*+')

_decode_array = Decoder(list[Raw]).decode
_decode_value = Decoder(Raw).decode
_decode_object = Decoder(dict[str, Raw]).decode
_MALFORMED = (DecodeError, UnicodeDecodeError, RecursionError)


class Unreadable(Struct, frozen=True):
    """
    A record that is no JSON object.
    """

    reason: str
    raw: bytes


Record = bytes | Unreadable


def records(body: bytes, *, most: int = MOST_RECORDS) -> list[Record]:
    """
    Split a body into its records, in order.

    Args:
        body: What was sent, decompressed.
        most: How many records are taken.

    Raises:
        BadRequest: The body holds no JSON.
        TooLarge: It holds more records than are taken.
    """
    text = body.strip().removeprefix(BYTE_ORDER_MARK).lstrip()
    if text[:1] == b"[" and len(text) <= DECODED_AT_ONCE_BYTES:
        try:
            elements = _decode_array(text)
        except _MALFORMED:
            pass
        else:
            return _limited(_elements(elements), most)
    if not text:
        raise BadRequest("The text is empty.", action="Send a JSON array of events, or one event per line.")
    return _with_care(text, most)


def _elements(elements: list[Raw]) -> list[Record]:
    found: list[Record] = []
    for element in elements:
        value = bytes(element)
        if value[0] == _BRACE and not _may_contain_records(value):
            found.append(value)
        else:
            found.extend(opened(value))
    return found


def opened(value: bytes) -> tuple[Record, ...]:
    """
    Return the records that one JSON value holds, most often itself.

    Args:
        value: Bytes known to be one JSON value, without white space around.
    """
    if value[0] != _BRACE:
        return (Unreadable(f"The record is {_kind(value)}; an event is a JSON object.", value),)
    container = _may_contain_records(value)
    if container is None:
        return (value,)
    if container[1]:
        return (_unwrapped(value, container.end()),)
    return _page_records(value)


def _unwrapped(value: bytes, start: int) -> bytes:
    """
    Return the object inside ``{"event": {…}}``; the value itself if there is any other key.
    """
    inner = value[start:-1].rstrip()
    if isinstance(_checked(inner), Unreadable):  # with a second key this is no single value
        return value
    return inner if inner[0] == _BRACE else value


def _page_records(value: bytes) -> tuple[Record, ...]:
    """
    Return the records of a page of the Events API; the value itself if it is no such page.
    """
    text = value if _is_readable(value) else mended(value)
    try:
        page = _decode_object(text)
        if "data" not in page or not _is_only_a_page(text, page):
            return (value,)
        elements = [bytes(element) for element in _decode_array(page["data"])]
    except _MALFORMED:
        return (value,)
    if text is not value:
        elements = _in_their_own_bytes(elements, text, value, text.find(bytes(page["data"])))
    return tuple(_page_record(element) for element in elements)


def _in_their_own_bytes(elements: list[bytes], text: bytes, value: bytes, at: int) -> list[bytes]:
    """
    Return the elements of a mended text as they stand in the text that came.
    """
    found = []
    for element in elements:
        at = text.index(element, at)
        found.append(value[at : at + len(element)])
        at += len(element)
    return found


def _is_only_a_page(value: bytes, page: dict[str, Raw]) -> bool:
    """
    Tell whether an object has the keys of a page alone, each once: of a repeated key one value would be lost.
    """
    for part in sorted((bytes(raw) for raw in page.values()), key=len, reverse=True):
        value = value.replace(part, b"", 1)
    return _PAGE_FRAME.fullmatch(value) is not None


def _page_record(value: bytes) -> Record:
    container = _may_contain_records(value)
    return value if container and not container[1] else opened(value)[0]


def _with_care(text: bytes, most: int) -> list[Record]:
    """
    Split what is not one small array: a single value, lines, a long or a damaged array.
    """
    array = text[:1] == b"["
    if not array and not isinstance(_checked(text), Unreadable):
        return _limited(opened(text), most)
    in_lines = first_line_is_whole(text)
    by_line = _limited(lines(text), most) if in_lines or (not array and b"\n" in text) else []
    if any_readable(by_line) or (in_lines and any_object(by_line)):
        return by_line
    values = _limited(_cut_records(text, most, array=array), most)
    # what is no array must be objects from end to end, or any text with braces would pass
    if any_object(values) if array else values and all(map(is_object, values)):
        return values
    if any_object(by_line):
        return by_line
    if array and _is_readable(text):
        return values
    raise _no_json(text)


def first_line_is_whole(text: bytes) -> bool:
    """
    Return whether the first of several lines is a JSON value, so that the text is one value per line.
    """
    first, line_break, _ = text.partition(b"\n")
    first = first.strip()
    return bool(line_break) and (delimited(first) or not isinstance(_checked(first), Unreadable))


def lines(text: bytes) -> Iterator[Record]:
    """
    Give the records of a text with one value in each line.
    """
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        if end < 0:
            end = len(text)
        line = text[start:end].strip().removeprefix(BYTE_ORDER_MARK)
        start = end + 1
        if line[:1] == b"[":
            yield from _array_in_a_line(line)
        elif line:
            yield from checked_and_opened(line)


def _array_in_a_line(line: bytes) -> list[Record]:
    try:
        return _elements(_decode_array(line))
    except _MALFORMED:
        found = list(_cut_records(line, MOST_RECORDS, array=True))
        return found if any_object(found) else [_checked(line)]


def _cut_records(text: bytes, most: int, *, array: bool) -> Iterator[Record]:
    result = cut(text, 1 if array else 0, most=most + 1)
    whole = len(result.values) <= most
    if whole and array and not result.closed:
        yield from cut_off(result.values)
        return
    for value in result.values:
        yield from checked_and_opened(value)
    if whole and result.closed:
        yield from behind_the_end(text[result.rest :])


def cut_off(values: list[bytes]) -> Iterator[Record]:
    """
    Give the records of the end of an array that has no end: its last element is most often half a record.
    """
    *others, last = values or [b""]
    for value in others:
        yield from checked_and_opened(value)
    found = checked_and_opened(last) if last else ()
    if any_readable(found):
        yield from found
        last = b""
    yield Unreadable("The text ends before its array does; whatever followed is missing.", last)


def behind_the_end(rest: bytes) -> Iterator[Unreadable]:
    """
    Give what follows the end of an array, if there is anything.
    """
    if rest.strip():
        yield Unreadable("There is text behind the end of the array.", rest.strip())


def checked_and_opened(value: bytes) -> tuple[Record, ...]:
    """
    Return the records of a piece of text that may be no JSON at all.
    """
    checked = _checked(value)
    return (checked,) if isinstance(checked, Unreadable) else opened(checked)


def _checked(value: bytes) -> Record:
    try:
        _decode_value(value)
    except RecursionError:
        return Unreadable("The record is nested too deeply to be read.", value)
    except _MALFORMED as error:
        if _is_readable(mended(value)):
            return value
        return Unreadable(f"The record cannot be read: {error}.", value)
    return value


def _is_readable(value: bytes) -> bool:
    try:
        _decode_value(value)
    except _MALFORMED:
        return False
    return True


def any_readable(found: Iterable[Record]) -> bool:
    """
    Return whether there is any JSON object among the records.
    """
    return any(isinstance(record, bytes) for record in found)


def is_object(record: Record) -> bool:
    """
    Return whether a record is an object, or would be one if it could be read.
    """
    return isinstance(record, bytes) or (record.raw[:1] == b"{" and delimited(record.raw))


def any_object(found: Iterable[Record]) -> bool:
    """
    Return whether there is any object among the records, readable or not.
    """
    return any(map(is_object, found))


def _limited(found: Iterable[Record], most: int) -> list[Record]:
    result = found if isinstance(found, list) else list(islice(found, most + 1))
    if len(result) > most:
        raise TooLarge(f"The body holds more than {most} records.", action="Send fewer records per request.")
    return result


def _kind(value: bytes) -> str:
    first = value[:1]
    kinds = {b"[": "an array", b'"': "text", b"t": "true", b"f": "false", b"n": "null"}
    return kinds.get(first, "a number")


def _no_json(text: bytes) -> BadRequest:
    if text.startswith(_OTHER_ENCODINGS):
        return BadRequest("The text is UTF-16 or UTF-32.", action="Send JSON as UTF-8.")
    try:
        _decode_value(text)
        reason = "it holds nothing but an array that cannot be read"
    except _MALFORMED as error:
        reason = str(error).removeprefix("JSON is malformed: ")
    return BadRequest(
        f"The text is no JSON: {reason}.",
        action="Send a JSON array of events or one event per line, as the formats JSON Array and SIEM (NDJSON) "
        "of OneLogin's webhooks do.",
    )
