"""
Import events from files: what OneLogin's webhooks or API once gave, as ``body`` describes it, also gzipped.

A file is read twice. The first pass counts and hashes its content, decompressed; the second imports it. Records
without an id are named by that hash and their position, so that importing a file again doubles nothing,
compressed or not. What a file gained between the two passes waits for the next import.

Files up to 32 MiB may have any shape. Larger ones are streamed in constant memory and must be a JSON array, one
value per line, or objects one after another.

Records go to the journal by the thousand. The bad ones of such a group are one dead letter, whose body is their
bytes, one per line. When an import stops half-way, importing the file again continues where it stopped: what is
held already counts as duplicate.
"""

import gzip
import sys
import tempfile
import zlib
from asyncio import to_thread
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from shutil import copyfileobj
from time import time
from typing import BinaryIO, cast

from msgspec import Struct, field

from onelogin_connector.errors import BadRequest, ConnectorError
from onelogin_connector.event import LARGEST_RECORD_BYTES, Way
from onelogin_connector.journal.base import Journal, Receipt
from onelogin_connector.sources.body import (
    BYTE_ORDER_MARK,
    Record,
    any_object,
    behind_the_end,
    checked_and_opened,
    cut_off,
    first_line_is_whole,
    is_object,
    lines,
    records,
)
from onelogin_connector.sources.cutting import cut
from onelogin_connector.sources.reading import Reading, read_all

WHOLE_FILE_BYTES = 32 << 20
CHUNK_BYTES = 1 << 20
GROUP_RECORDS = 1_000  # per append: large enough for the disk, small enough for a smooth progress bar
LONGEST_LINE_BYTES = (
    4 * LARGEST_RECORD_BYTES
)  # a longer one is no record; it is cut so that memory stays small
GZIP_MAGIC = b"\x1f\x8b"

Progress = Callable[[int, int, int], None]
"""(records so far, bytes so far, bytes in all), bytes being those of the decompressed content."""


class Imported(Struct):
    """
    What became of a file.
    """

    records: int = 0
    size_bytes: int = 0
    """Decompressed."""
    receipt: Receipt = field(default_factory=Receipt)
    """Sums over all groups; ``dead`` are the bad records."""
    first_bad: str = ""
    """Position and reason of the first bad record; empty when all are good."""

    def add(self, reading: Reading, receipt: Receipt) -> None:
        """
        Count one group.
        """
        if reading.bad and not self.first_bad:
            position, reason = next(iter(reading.reasons.items()))
            self.first_bad = f"Record {position + 1}: {reason}"
        self.records += reading.records
        total = self.receipt
        self.receipt = Receipt(
            entries=total.entries + receipt.entries,
            twins=total.twins + receipt.twins,
            duplicates=total.duplicates + receipt.duplicates,
            changed=total.changed + receipt.changed,
            dead=total.dead + len(reading.bad),
        )


async def import_file(
    source: Path | str | BinaryIO,
    connector: str,
    journal: Journal,
    *,
    accept_duplicates: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time,
) -> Imported:
    """
    Import one file durably.

    Args:
        source: A path, ``-`` for standard input, or an open binary stream.
        connector: Id of the connector the events count for.
        accept_duplicates: Import also into hours whose keys are gone, where repeats are not recognised.
        progress: Called after each group.
        clock: Unix seconds.

    Raises:
        BadRequest: The file holds no JSON.
        ConnectorError: It cannot be opened or read.
        HourPruned, JournalFull, Unavailable: As ``Journal.append``; earlier groups stay imported.
    """
    name = _name(source)
    with ExitStack() as stack:
        try:
            content = await to_thread(_Content, source, stack)
            done = Imported(size_bytes=content.size_bytes)
            readings = _readings(content, connector, clock)
            while reading := await to_thread(next, readings, None):
                letter = reading.dead_letter(connector, b"\n".join(reading.bad))
                receipt = await journal.append(reading.events, letter, accept_duplicates=accept_duplicates)
                done.add(reading, receipt)
                if progress:
                    progress(done.records, content.passed_bytes, content.size_bytes)
        except BadRequest as error:
            raise BadRequest(
                f"{name} cannot be imported: {error.message}",
                action="Import a JSON array, one event per line, or saved pages of the Events API, as UTF-8; "
                "beyond 32 MiB no single page or object.",
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise _cannot_read(name, error) from error
    return done


class _Content:
    """
    The decompressed content of a source, hashed, and ready to be read from its beginning.
    """

    def __init__(self, source: Path | str | BinaryIO, stack: ExitStack) -> None:
        file = _opened(source, stack)
        if not file.seekable():
            spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
            copyfileobj(file, spool, CHUNK_BYTES)
            file = cast("BinaryIO", spool)
        file.seek(0)
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        self._file = cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=file))) if packed else file
        hashed = blake2b(digest_size=16)
        self.size_bytes = 0
        while chunk := self._file.read(CHUNK_BYTES):
            hashed.update(chunk)
            self.size_bytes += len(chunk)
        self.digest = hashed.digest()
        self.passed_bytes = 0
        self._file.seek(0)

    def read(self, size_bytes: int = CHUNK_BYTES) -> bytes:
        """
        Return the next part; empty at the end.
        """
        part = self._file.read(min(size_bytes, self.size_bytes - self.passed_bytes))
        self.passed_bytes += len(part)
        return part


def _opened(source: Path | str | BinaryIO, stack: ExitStack) -> BinaryIO:
    if not isinstance(source, (str, Path)):
        return source
    if source == "-":
        return sys.stdin.buffer
    return stack.enter_context(Path(source).open("rb"))


def _readings(content: _Content, connector: str, clock: Callable[[], float]) -> Iterator[Reading]:
    """
    Read a content group by group.
    """
    found = _records(content)
    position = 0
    while group := list(islice(found, GROUP_RECORDS)):
        yield read_all(
            group,
            connector=connector,
            way=Way.IMPORT,
            received_us=int(clock() * 1_000_000),
            body_hash=lambda: content.digest,
            first_position=position,
        )
        position += len(group)


def _records(content: _Content) -> Iterator[Record]:
    """
    Give the records of a whole content, in a way that fits its size and shape.
    """
    if content.size_bytes <= WHOLE_FILE_BYTES:
        whole = content.read(WHOLE_FILE_BYTES)
        empty = not whole.strip().removeprefix(BYTE_ORDER_MARK).strip()
        return iter(()) if empty else iter(records(whole, most=WHOLE_FILE_BYTES))
    head = content.read().lstrip().removeprefix(BYTE_ORDER_MARK).lstrip()
    array = head.startswith(b"[") and not first_line_is_whole(head)
    if array:
        return _streamed_values(head, content, array=True)
    if any_object(lines(head[: head.rfind(b"\n") + 1])):
        return _streamed_lines(head, content)
    values = cut(head, final=False, most=GROUP_RECORDS).values
    if values and all(is_object(r) for value in values for r in checked_and_opened(value)):
        return _streamed_values(head, content, array=False)
    raise BadRequest("It is neither a JSON array, nor one object per line, nor objects one after another.")


def _streamed_lines(text: bytes, content: _Content) -> Iterator[Record]:
    while True:
        end = text.rfind(b"\n") + 1
        if not end and len(text) > LONGEST_LINE_BYTES:
            end = len(text)
        yield from lines(text[:end])
        chunk = content.read()
        if not chunk:
            break
        text = text[end:] + chunk
    yield from lines(text[end:])


def _streamed_values(text: bytes, content: _Content, *, array: bool) -> Iterator[Record]:
    at = 1 if array else 0
    while True:
        chunk = content.read()
        done = cut(text, at, final=not chunk)
        if array and not chunk and not done.closed:
            yield from cut_off(done.values)
            return
        for value in done.values:
            yield from checked_and_opened(value)
        text, at = text[done.rest :] + chunk, 0
        if done.closed or not chunk:
            break
    if array:
        yield from behind_the_end(text + content.read(WHOLE_FILE_BYTES))


def _name(source: Path | str | BinaryIO) -> str:
    if not isinstance(source, (str, Path)):
        return "The stream"
    return "Standard input" if source == "-" else f"{source}"


def _cannot_read(name: str, error: Exception) -> ConnectorError:
    """
    Say in a person's words why a file cannot be read.
    """
    if isinstance(error, FileNotFoundError):
        return ConnectorError(f"{name} does not exist.", action="Check the path.")
    if isinstance(error, IsADirectoryError):
        return ConnectorError(f"{name} is a folder.", action="Name the files in it.")
    if isinstance(error, PermissionError):
        return ConnectorError(f"{name} may not be read by this user.", action="Change its permissions.")
    if isinstance(error, EOFError):
        return ConnectorError(
            f"{name} is cut off: its gzip stream has no end.", action="Copy it again; nothing was imported."
        )
    if isinstance(error, (gzip.BadGzipFile, zlib.error)):
        return ConnectorError(
            f"{name} is damaged: {error}.", action="Copy it again, or decompress what can be saved."
        )
    return ConnectorError(f"{name} cannot be read: {error}.", action="Check the disk or network drive.")
