"""
An event as a record of the HTTP Data Collector API.

That service makes its columns from what it sees: a property's value decides the suffix of its column, and a
value that looks like another type makes a second column beside the first, which no query reads. So the
names sent here are a closed set, each with one type for ever, and what does not fit goes into ``more``,
which is one column of JSON text (``more_s``):

- unknown fields and whatever is nested in them, so that no sender can fill the table's 500 columns, use a
  reserved name (``tenant``, ``TimeGenerated``, ``RawData``), one that means something else there
  (``Computer``), or one that is too long or holds other characters than letters, digits and ``_``;
- a number that is none, or that a double does not hold exactly;
- a ``uuid`` or ``create._id`` that is no GUID: it would make ``uuid_s``.

Texts that look like a GUID or a date are put in quotation marks, since the service would move them to
another column and, for 32 hex digits, rewrite them. A text beyond the service's limit is cut by us, visibly;
it would be cut there in silence. Fields without value are left out.

``create`` and ``user_attributes`` stay objects: the service joins the names with ``_``, which is where
``create__id_g`` and ``user_attributes_email_s`` come from. Two names are ours: ``event_time``, which becomes
TimeGenerated, and ``event_id``, an event's id where it has no GUID. So ``coalesce(uuid_g, event_id_s)`` names
every event, and repeats can be told by it.
"""

from collections.abc import Mapping
from re import IGNORECASE
from re import compile as pattern
from typing import Any

from onelogin_connector.formats.fields import NUMBERS, TEXTS, Reading, as_json, as_text
from onelogin_connector.formats.onelogin_cl import LEGACY, iso_time, timestamp_text
from onelogin_connector.loose import parse_time_us, whole

TIME_FIELD = "event_time"
"""The property that names an event's time; the service calls its column ``event_time_t``."""

LARGEST_TEXT_BYTES = 32_000
"""UTF-8 bytes of one value: the service cuts behind 32 KB, and does not say how it counts."""

LARGEST_EXACT = 2**53
"""Whole numbers beyond it are not exact in a column of type real."""

FURTHER_TEXTS = (
    "adc_name",
    "certificate_name",
    "entity",
    "imported_user_name",
    "login_name",
    "mapping_name",
    "note_title",
    "param",
    "proxy_agent_name",
    "radius_config_name",
    "task_name",
    "trusted_idp_name",
    "user_field_name",
)
FURTHER_NUMBERS = (
    "adc_id",
    "certificate_id",
    "imported_user_id",
    "login_id",
    "mapping_id",
    "note_id",
    "object_id",
    "proxy_agent_id",
    "radius_config_id",
    "resolved_by_user_id",
    "service_directory_id",
    "trusted_idp_id",
    "user_field_id",
)
"""Fields of OneLogin's documented webhook that no official parser reads, but that had columns before."""

_APART = {"id", "uuid", "create_id", "event_timestamp", "created_at"}
_ATTRIBUTES = "user_attributes_"
_PLAIN = tuple(name for name in (*TEXTS, *NUMBERS) if name not in _APART and not name.startswith(_ATTRIBUTES))
_NESTED = tuple(name for name in (*TEXTS, *NUMBERS) if name.startswith(_ATTRIBUTES))

_GUID = pattern(
    r"\s*[{(]?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})[)}]?\s*", IGNORECASE
)
_DATE = pattern(
    r"\s*(?:\d{4}-\d\d?-\d\d?|\d{1,4}/\d\d?/\d{1,4})(?:[T ]\s*\d\d?(?::\d\d?){0,2}(?:[.,]\d*)?\s*(?:[AP]M)?\s*"
    r"(?:Z|[+-]\d\d?(?::?\d\d)?)?)?\s*|\s*/Date\(.*",
    IGNORECASE,
)
_ONELOGIN_TIME = pattern(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
_NO_EVENT = "This is no event. OneLogin Connector wrote it so that every column exists."


def record(reading: Reading, *, native: str, time_us: int) -> dict[str, Any]:
    """
    Return the record of an event.

    Args:
        native: The event's own id, as the journal names it.
        time_us: The event's time, microseconds since 1970, UTC.
    """
    values, more = reading.values, dict(reading.more)
    found: dict[str, Any] = {
        TIME_FIELD: _milliseconds(time_us),
        "event_timestamp": _timestamp(values, time_us),
    }
    _put_ids(found, values, more, native)
    for name in _PLAIN:
        if name in values:
            _put(found, name, values[name], more)
    attributes: dict[str, Any] = {}
    for name in _NESTED:
        if name in values:
            _put(attributes, name.removeprefix(_ATTRIBUTES), values[name], more, aside=name)
    if attributes:
        found["user_attributes"] = attributes
    _put_further(found, more)
    created = values.get("created_at")
    if created is not None and parse_time_us(created) != time_us:
        more["created_at"] = created
    if more:
        found["more"] = more_text(more)
    return found


def seed(*, time_us: int) -> dict[str, Any]:
    """
    Return a record with a value for each column that Microsoft's parsers need, and for ours.

    It is no event and says so: type and account are 0, its uuid is all zeros.

    Args:
        time_us: Now, microseconds since 1970, UTC.
    """
    blank: dict[str, Any] = {"s": "-", "d": 0, "g": "00000000-0000-0000-0000-000000000000"}
    found: dict[str, Any] = {TIME_FIELD: _milliseconds(time_us), "create": {}, "user_attributes": {}}
    for column, name in LEGACY.items():
        value = blank[column[-1]]
        if name == "create_id":
            found["create"]["_id"] = value
        elif name.startswith(_ATTRIBUTES):
            found["user_attributes"][name.removeprefix(_ATTRIBUTES)] = value
        else:
            found[name] = value
    found["event_timestamp"] = timestamp_text({}, time_us)
    found["notes"] = _NO_EVENT
    return found | {"event_id": "-", "more": "{}"}


def _put_ids(found: dict[str, Any], values: Mapping[str, Any], more: dict[str, Any], native: str) -> None:
    for name in ("uuid", "create_id"):
        sent = values.get(name)
        if sent is None:
            continue
        guid = _guid(sent)
        if guid is None:
            # the uuid of a record that carries only create._id is that very value
            if name == "create_id" or sent != values.get("create_id"):
                more[name] = sent
        elif name == "uuid":
            found["uuid"] = guid
        else:
            found["create"] = {"_id": guid}
    number = values.get("id")
    if number is not None or "uuid" not in found:
        found["event_id"] = text(native if number is None else str(number))


def _guid(sent: str) -> str | None:
    """
    Return a GUID with its dashes, as sent where it has them; None if it is none.
    """
    if len(sent) > 64:
        return None
    match = _GUID.fullmatch(sent)
    return "-".join(match.groups()) if match else None


def _put(
    into: dict[str, Any], name: str, value: str | int, more: dict[str, Any], *, aside: str | None = None
) -> None:
    if isinstance(value, str):
        into[name] = text(value)
    elif -LARGEST_EXACT <= value <= LARGEST_EXACT:
        into[name] = value
    else:
        more[aside or name] = value


def _put_further(found: dict[str, Any], more: dict[str, Any]) -> None:
    if not more:
        return
    for name in FURTHER_TEXTS:
        written = as_text(more.get(name))
        if written is not None:
            found[name] = text(written)
            del more[name]
    for name in FURTHER_NUMBERS:
        number = whole(more.get(name))
        if type(number) is int and -LARGEST_EXACT <= number <= LARGEST_EXACT:
            found[name] = number
            del more[name]


def text(value: str) -> str:
    """
    Return a text that stays a text at the service, and is no longer than it keeps.
    """
    if len(value) <= 64 and (_GUID.fullmatch(value) or _DATE.fullmatch(value)):
        return f'"{value}"'
    return cut(value)


def cut(value: str, most_bytes: int = LARGEST_TEXT_BYTES) -> str:
    """
    Return a text of at most so many bytes in UTF-8; what was cut says so at its end.
    """
    if len(value) * 4 <= most_bytes:
        return value
    encoded = value.encode("utf-8", "replace")
    if len(encoded) <= most_bytes:
        return value
    marker = f"… [cut: it had {len(encoded)} bytes]"
    kept = encoded[: most_bytes - len(marker.encode())].decode("utf-8", "ignore")
    return kept + marker


def more_text(more: Mapping[str, Any]) -> str:
    """
    Write what has no column as one JSON object that the service keeps whole.

    Where it is too long, the longest members give way, one after the other, to a text that says how long
    they were, so that it stays JSON.
    """
    written = as_json(more)
    if len(written.encode()) <= LARGEST_TEXT_BYTES:
        return written
    sizes = {name: len(as_json({name: value}).encode()) for name, value in more.items()}
    kept = dict(more)
    left = sum(sizes.values())
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        marker = f"[left out: {sizes[name]} bytes]"
        kept[name] = marker
        left += len(as_json({name: marker}).encode()) - sizes[name]
        if left <= LARGEST_TEXT_BYTES:
            return as_json(kept)
    return as_json({"…": f"[left out: {len(more)} fields, {len(written.encode())} bytes]"})


def _timestamp(values: Mapping[str, Any], time_us: int) -> str:
    """
    Return ``event_timestamp`` as OneLogin writes it; in any other form its column would be another.
    """
    sent = timestamp_text(values, time_us)
    if _ONELOGIN_TIME.fullmatch(sent):
        return sent
    read_us = parse_time_us(sent)
    return text(sent) if read_us is None else timestamp_text({}, read_us)


def _milliseconds(time_us: int) -> str:
    return f"{iso_time(time_us)[:-4]}Z"
