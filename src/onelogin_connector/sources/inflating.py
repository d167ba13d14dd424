"""
Undo a request's content encoding, never producing more than is taken.
"""

import zlib
from collections.abc import Mapping

from onelogin_connector.errors import BadRequest, TooLarge

ENCODINGS: Mapping[str, tuple[int, ...]] = {
    "": (),
    "identity": (),
    "gzip": (zlib.MAX_WBITS | 16,),
    "x-gzip": (zlib.MAX_WBITS | 16,),
    # RFC 9110 means the zlib format by deflate, yet some senders mean the bare stream
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
"""Content encoding → formats to try, as ``zlib`` numbers them."""

MOST_MEMBERS = 16  # a gzip stream may be several, one after another; each costs a copy of what follows it


def inflated(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """
    Return a body without its content encoding.

    Args:
        encoding: A name in ``ENCODINGS``.
        most_bytes: Largest result that is taken.

    Raises:
        TooLarge: It would become larger than that; at most so much memory is used to find out.
        BadRequest: The body is not in its encoding, or is cut off.
    """
    formats = ENCODINGS[encoding]
    if not formats:
        return body
    for number, wbits in enumerate(formats, 1):
        try:
            return _inflate(body, wbits, most_bytes)
        except zlib.error as error:
            if number == len(formats):
                raise _not_in(encoding) from error
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _inflate(body: bytes, wbits: int, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = most_bytes
    while body and len(parts) < MOST_MEMBERS:
        stream = zlib.decompressobj(wbits)
        part = stream.decompress(body, left + 1)
        if len(part) > left:
            raise TooLarge(
                f"The body is larger than {most_bytes} bytes once decompressed.",
                action="Send fewer events per request.",
            )
        if not stream.eof:
            raise BadRequest(
                "The compressed body is cut off.", action="Send the whole body, or send it uncompressed."
            )
        parts.append(part)
        left -= len(part)
        body = stream.unused_data.lstrip(b"\0") if wbits > zlib.MAX_WBITS else b""
    if body:
        raise BadRequest(
            f"The body has more than {MOST_MEMBERS} compressed members.", action="Compress it as one."
        )
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _not_in(encoding: str) -> BadRequest:
    return BadRequest(
        f"The body is not {encoding}, though its Content-Encoding says so.",
        action="Send it compressed as the header says, or without that header.",
    )
