"""
Backup and restore: one archive with store, state and journal.

The store is copied first and the journal last, so that the journal of a backup reaches at least as far as
its store: after a restore the store reads on from its own position and misses nothing. The manifest is the
archive's last member; without it the archive is not whole. The key of stored secrets is never part of it.
"""

import asyncio
import os
import tarfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from re import compile as pattern
from shutil import copyfileobj, rmtree
from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import decode, encode

from onelogin_connector import __version__
from onelogin_connector.errors import ConfigError
from onelogin_connector.service.folder import Folder, scratch

JOURNAL, STORE, STATE = "journal", "store.duckdb", "state.db"
PARTS = (STORE, STATE, JOURNAL)
"""Names in the data folder and in a backup, in the order in which they are copied."""

MANIFEST = "manifest.json"
FORMAT = 1

# what may stand in an archive; nothing else is ever written to disk from one
_MEMBER = pattern(r"store\.duckdb|state\.db|manifest\.json|journal/[A-Za-z0-9][A-Za-z0-9_.-]*")

BLOCK_BYTES = 512  # of the tar format
CHUNK_BYTES = 1 << 20


class Manifest(Struct, frozen=True):
    """
    What a backup says about itself.
    """

    format: int
    version: str
    at: float
    """Unix seconds."""
    parts: list[str]


async def copy(parts: dict[str, Any], folder: Path, *, at: float) -> None:
    """
    Copy running parts into an empty folder.

    Args:
        parts: Name → function that copies the part to a path, as a coroutine.
    """
    for name in PARTS:
        if name in parts:
            await parts[name](folder / name)
    manifest = Manifest(FORMAT, __version__, at, [name for name in PARTS if name in parts])
    (folder / MANIFEST).write_bytes(encode(manifest))


async def archive(folder: Path) -> AsyncIterator[bytes]:
    """
    Give a folder's files as a tar archive, piece by piece, without a second copy on disk.
    """
    for path in sorted(_files(folder), key=lambda path: path.name == MANIFEST):
        info = tarfile.TarInfo(path.relative_to(folder).as_posix())
        found = path.stat()
        info.size, info.mtime, info.mode = found.st_size, int(found.st_mtime), 0o600
        yield info.tobuf(tarfile.PAX_FORMAT)
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
        yield bytes(-info.size % BLOCK_BYTES)
    yield bytes(2 * BLOCK_BYTES)


def require_whole(path: Path) -> None:
    """
    Check that an archive has all its members.

    Raises:
        ConfigError: It is no backup, or its end is missing.
    """
    try:
        with tarfile.open(path) as tar:
            last = tar.getmembers()[-1:]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ConfigError(f"The backup {path} cannot be read: {error}.", action="Make it again.") from error
    if not last or last[0].name != MANIFEST:
        raise ConfigError(f"The backup {path} is not whole.", action="Make it again.")


def unpack(path: Path, folder: Path) -> None:
    """
    Write an archive's members into a new folder.

    Raises:
        ConfigError: It holds something that no backup holds.
    """
    folder.mkdir(mode=0o700)
    with tarfile.open(path) as tar:
        for member in tar:
            if not (member.isreg() and _MEMBER.fullmatch(member.name)):
                raise ConfigError(f"{path} is no backup: it holds {member.name!r}.")
            source = tar.extractfile(member)
            target = folder / member.name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if source is not None:
                with target.open("xb") as file:
                    copyfileobj(source, file, CHUNK_BYTES)
                    os.fsync(file.fileno())


def restore(source: Path, data_dir: Path, *, force: bool) -> Path | None:
    """
    Bring a backup into a data folder that nobody uses.

    The old parts leave and the new ones come by renaming, after everything was unpacked and checked.

    Args:
        source: A folder or an archive that ``backup`` wrote.
        force: Set aside what is there.

    Returns:
        Where the former content lies, if there was any.

    Raises:
        Busy: A service runs on the data folder.
        ConfigError: The source is no backup, or the folder is in use and ``force`` is not set.
    """
    if not source.exists():
        raise ConfigError(
            f"There is no backup {source}.", action="Name the folder or file that `backup` wrote."
        )
    folder = Folder(data_dir)
    try:
        present = [name for name in PARTS if (data_dir / name).exists()]
        if present and not force:
            raise ConfigError(
                f"The data folder {data_dir} is not empty: it holds {', '.join(present)}.",
                action="Restore into another one with --data-dir, or set aside what is there with --force.",
            )
        fresh = scratch(data_dir)
        try:
            _fetch(source, fresh / "backup")
            _check(source, fresh / "backup")
            return _exchange(data_dir, fresh / "backup")
        finally:
            rmtree(fresh)
    finally:
        folder.release()


def _fetch(source: Path, target: Path) -> None:
    if not source.is_dir():
        require_whole(source)
        unpack(source, target)
        return
    target.mkdir(mode=0o700)
    for path in _files(source):
        name = path.relative_to(source).as_posix()
        if not _MEMBER.fullmatch(name):
            raise ConfigError(f"{source} is no backup: it holds {name!r}.")
        (target / name).parent.mkdir(mode=0o700, exist_ok=True)
        with path.open("rb") as old, (target / name).open("xb") as new:
            copyfileobj(old, new, CHUNK_BYTES)
            os.fsync(new.fileno())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if not path.is_dir())


def _check(source: Path, folder: Path) -> None:
    try:
        manifest = decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, DecodeError) as error:
        raise ConfigError(
            f"{source} is no backup: its {MANIFEST} is missing or damaged.",
            action="Name the folder or file that `backup` wrote.",
        ) from error
    if manifest.format > FORMAT:
        raise ConfigError(
            f"The backup {source} was made by the newer version {manifest.version}.",
            action="Restore it with that version or a later one.",
        )
    missing = [name for name in manifest.parts if not (folder / name).exists()]
    if missing:
        raise ConfigError(f"The backup {source} is not whole: {', '.join(missing)} is missing.")


def _exchange(data_dir: Path, fresh: Path) -> Path | None:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = data_dir / f"before-restore-{stamp}"
    # with a part come its companions: a write-ahead log of another database would damage it
    old = [path for name in PARTS for path in data_dir.glob(f"{name}*")]
    if old:
        aside.mkdir(mode=0o700)
    for path in old:
        path.rename(aside / path.name)
    for name in PARTS:
        if (fresh / name).exists():
            (fresh / name).rename(data_dir / name)
    return aside if old else None
