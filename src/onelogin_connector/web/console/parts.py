"""
A page that takes long is sent in two parts: its frame at once, its content when it is there.

What is whole within a moment is sent so, with the status that fits. For the others a browser gets ready and paints the
navigation meanwhile, without any script. What goes wrong after that is told in the place of the content, with the
status 200 that was sent already; so only a browser that goes to a page is answered in parts.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from isal import isal_zlib
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from onelogin_connector.web.console.assets import accepts_gzip
from onelogin_connector.web.console.base import CONTENT, Given, console_of
from onelogin_connector.web.console.failing import explained

FRAME_AFTER_SECONDS = 0.01
"""A page that needs no more is painted as soon whole, and has the status that fits."""

READING = '<p class="reading" role="status">Reading …</p>'
"""Hidden by style as soon as something follows it."""

GZIP = 31  # the window's size as zlib wants it, with gzip's head


class _Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...

    def flush(self, mode: int = ...) -> bytes: ...


async def in_parts(request: Request, template: str, text: Callable[[Given], Awaitable[str]]) -> Response:
    """
    Answer with a page, whole if it is there soon.

    Args:
        text: Makes the page.

    Raises:
        Exception: What ``text`` raised, where nothing was sent yet.
    """
    console = console_of(request)
    given = console.given(request)
    making = asyncio.ensure_future(text(given))
    if not _is_visit(request):
        return console.answer(request, given, await making)
    try:
        await asyncio.wait({making}, timeout=FRAME_AFTER_SECONDS)
    except asyncio.CancelledError:
        making.cancel()
        raise
    frame = None if making.done() else console.frame(template, given)
    if frame is None:
        return console.answer(request, given, await making)
    answer = StreamingResponse(_parts(request, given, frame, making), media_type="text/html")
    answer.headers["vary"] = "accept-encoding"
    if accepts_gzip(request):
        answer.headers["content-encoding"] = "gzip"
    return console.finished(given, answer)


def _is_visit(request: Request) -> bool:
    """
    Tell whether a browser goes to the page, and no script or program asks for it.
    """
    # the first is not sent to an address without TLS, the second not by every browser
    headers = request.headers
    return headers.get("sec-fetch-mode") == "navigate" or headers.get("upgrade-insecure-requests") == "1"


async def _parts(
    request: Request, given: Given, frame: str, making: asyncio.Future[str]
) -> AsyncIterator[bytes]:
    console = console_of(request)
    packed: _Compressor | None = None
    if accepts_gzip(request):
        packed = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP)
    try:
        yield _packed(packed, frame + READING, isal_zlib.Z_SYNC_FLUSH)
        try:
            text = await making
        except Exception as error:  # noqa: BLE001 - the frame is sent: what went wrong is told within it
            text = explained(console, given, error)
        yield await console.aside(_packed, packed, text.partition(CONTENT)[2], isal_zlib.Z_FINISH)
    finally:
        making.cancel()  # of who left meanwhile


def _packed(packed: _Compressor | None, text: str, mode: int) -> bytes:
    raw = text.encode()
    return raw if packed is None else packed.compress(raw) + packed.flush(mode)
