"""
What a reply of OneLogin means.

Errors come in several shapes: the v1 envelope ``{"status": {"error", "code", "type", "message"}}`` whose message
is a text or an object, the flat v2 ``{"message", "statusCode", "name"}``, a web page of the edge without any JSON,
and each of the JSON ones also with a status of 200. All of them end as one error of the program's tree.
"""

from math import ceil
from re import compile as pattern
from typing import Any
from urllib.parse import urlsplit

from msgspec import DecodeError, Struct, convert
from msgspec.json import decode

from onelogin_connector.errors import ConnectorError
from onelogin_connector.hiding import Hidden
from onelogin_connector.http_client import http_date_seconds
from onelogin_connector.onelogin.causes import trouble
from onelogin_connector.onelogin.wire import Reply, Wire

UNREADABLE = (DecodeError, RecursionError, UnicodeDecodeError)
NEVER = frozenset({400, 404, 405, 406, 410, 413, 414, 415, 422, 431})
"""Of these the same request gets the same answer again, unless a page of the edge says so."""
RATE_LIMITED = pattern(r"(?i)rate[_ ]limit[_ ]exceeded")
LONGEST_WAIT_SECONDS = 3_600.0  # the allowance is renewed within the hour
EPOCHS = 1e9  # a reset this large is a moment, though OneLogin documents seconds left


class Said(Struct, frozen=True):
    """
    What a body says of its own outcome.
    """

    status: int = 0
    """0 where it says none."""
    text: str = ""
    failed: bool = False


class _Outer(Struct):
    status: Any = None
    message: Any = None
    statusCode: Any = None  # noqa: N815 - OneLogin's name
    code: Any = None
    name: Any = None


class _Inner(Struct):
    error: Any = None
    code: Any = None
    type: Any = None
    message: Any = None


def said(body: bytes) -> Said:
    """
    Read what a body says of its own outcome, in any of the shapes.
    """
    try:
        outer = decode(body, type=_Outer)
        inner = convert(outer.status, _Inner) if isinstance(outer.status, dict) else None
    except UNREADABLE:
        return Said()
    if inner is not None:
        return Said(
            _status(inner.code), _text(inner.message or inner.type), inner.error not in (None, False, "false")
        )
    status = _status(outer.statusCode) or _status(outer.code)
    return Said(status, _text(outer.message or outer.name), status >= 400)


def status_of(reply: Reply) -> int:
    """
    Return the status that counts: the body's own where it is an error that came with a status of success.
    """
    if not 200 <= reply.status < 300:
        return reply.status
    found = said(reply.body)
    return (found.status if found.status >= 400 else 500) if found.failed else reply.status


def refuse(reply: Reply, wire: Wire, *, now: float, at_token: bool, proven: bool) -> None:
    """
    Raise the error that a reply amounts to; return if it is a success, whose content is still to be read.

    A refused pace holds up every call of the account, by its budget.

    Args:
        now: Our own time in Unix seconds, where the reply names none.
        at_token: Whether a token was asked for.
        proven: Whether this host has ever given a token; then a strange answer is an outage, not a wrong domain.

    Raises:
        Unavailable, Unauthorized, ConfigError: By its cause.
    """
    status = status_of(reply)
    text = "" if is_web_page(reply) else said(reply.body).text
    cause = _cause(status, text, reply, at_token=at_token, proven=proven)
    if cause is None:
        wire.budget.resume()
        return
    wait = wait_seconds(reply, now)
    if cause == "rate-limit" or wait:
        wait = wire.budget.pause(wait)
    raise trouble(cause, seen(reply, wire.hidden, text), after_seconds=wait)


def _cause(status: int, text: str, reply: Reply, *, at_token: bool, proven: bool) -> str | None:
    """
    Name the cause in ``CAUSES``; None for a success.
    """
    unknown = at_token and not proven
    if status == 429 or RATE_LIMITED.search(text):
        return "rate-limit"
    if status < 300 and not is_web_page(reply):
        return None
    if status < 400:
        return "no-account" if unknown else "redirect" if status >= 300 else "web-page"
    if status == 407:
        return "proxy"
    if at_token:
        return _cause_at_token(status, unknown=unknown)
    if status in {401, 403}:
        return "scope"
    if status in NEVER and not is_web_page(reply):
        return "request"
    return "creator" if status == 500 else "outage"


def _cause_at_token(status: int, *, unknown: bool) -> str:
    if status in {404, 405, 410}:
        return "no-account" if unknown else "outage"
    if status in {400, 401, 422}:
        return "credential"
    return {403: "forbidden", 500: "creator"}.get(status, "outage")


def unreadable(reply: Reply, hidden: Hidden, what: str, cause: str = "unreadable") -> ConnectorError:
    """
    Return the error of a reply that is a success but not in the shape it should have.
    """
    return trouble(cause, seen(reply, hidden, what, own=True))


def seen(reply: Reply, hidden: Hidden, text: str, *, own: bool = False) -> str:
    """
    Say what was seen of a reply: status, call, its own words, where it redirects to, its id.

    Args:
        own: The text is ours, not the reply's.
    """
    words = [f"HTTP {reply.status} from {reply.call}"]
    if text and (own or hidden.quotes):
        words.append(f"“{hidden.clean(text)}”")
    if 300 <= reply.status < 400:
        words.append(f"it leads to {_host(reply.headers.get('location', ''), hidden)}")
    if reply.request_id:
        words.append(f"x-request-id {reply.request_id}")
    return "; ".join(words)


def is_web_page(reply: Reply) -> bool:
    """
    Tell whether a body is for a browser.
    """
    return "html" in reply.headers.get("content-type", "").lower() or reply.body[:512].lstrip()[:1] == b"<"


def wait_seconds(reply: Reply, now: float) -> float | None:
    """
    Return how long OneLogin wants us to wait, at most an hour; None if it does not say.
    """
    date_us = reply.date_us
    here = now if date_us is None else date_us / 1_000_000
    asked = _seconds(reply.headers.get("retry-after", ""), here)
    if asked is None and reply.headers.get("x-ratelimit-remaining", "0").strip() == "0":
        asked = _seconds(reply.headers.get("x-ratelimit-reset", ""), here)
    return None if asked is None else min(max(asked, 0.0), LONGEST_WAIT_SECONDS)


def _seconds(text: str, here: float) -> float | None:
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < 16:
        number = float(text)
        return ceil(number - here) if number > EPOCHS else number
    moment = http_date_seconds(text)
    return None if moment is None else ceil(moment - here)


def _host(location: str, hidden: Hidden) -> str:
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return hidden.clean(host) if host else "another address of this host"


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and 100 <= value <= 599 else 0


def _text(value: Any) -> str:
    """
    Return a message as text: it may be an object that describes an attribute, or a list.
    """
    if isinstance(value, dict):
        value = value.get("description") or value.get("message")
    return value if isinstance(value, str) else ""
