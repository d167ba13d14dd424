"""
One call and its answer, as the parts of the simulation see them.
"""

import zlib
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from msgspec import Struct, field
from msgspec.json import encode

LARGEST_CONTENT = 64 << 20
"""Bytes of a body, inflated: more is cut off, since every limit lies far below."""

_GZIP = 31  # zlib's word for a gzip header with the largest window


class NotGzip(ValueError):
    """
    The body is no gzip, or ends too early.
    """


class Asked(Struct):
    """
    A request, read to its end.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    rows: int = 0
    """How many were accepted; set by the endpoint."""
    _content: bytes | None = None

    def content(self) -> bytes:
        """
        Return the body, inflated if it says that it is compressed.

        Raises:
            NotGzip: It says so, and is not.
        """
        if self._content is None:
            is_gzip = self.headers.get("content-encoding", "").lower() == "gzip"
            self._content = inflated(self.body) if is_gzip else self.body
        return self._content


class Answer(Struct):
    """
    A response.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def inflated(body: bytes) -> bytes:
    """
    Return what a gzip holds, all members of it.

    Raises:
        NotGzip: It is none.
    """
    whole = b""
    rest = body
    while rest and len(whole) < LARGEST_CONTENT:
        inflating = zlib.decompressobj(_GZIP)
        try:
            whole += inflating.decompress(rest, LARGEST_CONTENT)
        except zlib.error as error:
            raise NotGzip(str(error)) from error
        if not inflating.eof and len(whole) < LARGEST_CONTENT:
            raise NotGzip("it ends too early")
        rest = inflating.unused_data
    if not body:
        raise NotGzip("it is empty")
    return whole


def of_json(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """
    Answer in JSON.
    """
    return Answer(
        status, encode(content), {"content-type": "application/json; charset=utf-8"} | dict(headers or {})
    )


def retry_after(seconds: float | str | None, *, as_date: bool, now: float) -> dict[str, str]:
    """
    Return the header that asks to wait, in one of its two forms; none for None, a text as it stands.
    """
    if seconds is None:
        return {}
    if isinstance(seconds, str):
        return {"retry-after": seconds}
    return {"retry-after": formatdate(now + seconds, usegmt=True) if as_date else _number(seconds)}


def _number(seconds: float) -> str:
    return str(int(seconds)) if seconds == int(seconds) else str(seconds)
