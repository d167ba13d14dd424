"""
Backups: whole or refused, and never mixed with what was there.
"""

import tarfile
from io import BytesIO

import pytest

from onelogin_connector.errors import ConfigError
from onelogin_connector.service import backup

pytestmark = pytest.mark.anyio


async def made(tmp_path, content=b"x" * 1_000):
    """
    Write a backup folder of made-up parts.
    """
    folder = tmp_path / "copy"
    folder.mkdir()

    async def part(path):
        path.write_bytes(content)

    async def journal(path):
        path.mkdir()
        (path / "data.mdb").write_bytes(content * 3)

    parts = {backup.STORE: part, backup.STATE: part, backup.JOURNAL: journal}
    await backup.copy(parts, folder, at=1.0)
    return folder


async def archived(folder, path):
    """
    Write a folder as an archive.
    """
    path.write_bytes(b"".join([chunk async for chunk in backup.archive(folder)]))
    return path


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 3_000_000])
async def test_an_archive_holds_every_byte(tmp_path, size):
    """
    What is unpacked is what was packed, at every size around tar's blocks.
    """
    folder = await made(tmp_path, bytes(size))
    path = await archived(folder, tmp_path / "b.tar")
    backup.require_whole(path)
    backup.unpack(path, tmp_path / "out")
    for source in folder.rglob("*"):
        if source.is_file():
            assert (tmp_path / "out" / source.relative_to(folder)).read_bytes() == source.read_bytes()
    with tarfile.open(path) as tar:
        assert tar.getnames()[-1] == backup.MANIFEST


async def test_a_cut_archive_is_refused(tmp_path):
    """
    A download that broke off is never taken for a backup, wherever it broke off.
    """
    whole = (await archived(await made(tmp_path), tmp_path / "b.tar")).read_bytes()
    for size in range(0, len(whole) - 1_536, 700):
        (tmp_path / "cut.tar").write_bytes(whole[:size])
        with pytest.raises(ConfigError):
            backup.require_whole(tmp_path / "cut.tar")


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "journal/../../evil", "lock", "journal/.x", "state.db/x"]
)
async def test_an_archive_writes_nowhere_else(tmp_path, name):
    """
    Names that lead out of the folder, or that no backup has, are refused.
    """
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, BytesIO(b"x"))
    with pytest.raises(ConfigError, match="no backup"):
        backup.unpack(path, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


async def test_a_link_in_an_archive_is_refused(tmp_path):
    """
    A link could point anywhere.
    """
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("state.db")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(ConfigError, match="no backup"):
        backup.unpack(path, tmp_path / "out")


@pytest.mark.parametrize("as_archive", [True, False])
async def test_restore_fills_an_empty_folder(tmp_path, as_archive):
    """
    A backup comes back from a folder and from an archive.
    """
    source = await made(tmp_path)
    if as_archive:
        source = await archived(source, tmp_path / "b.tar")
    assert backup.restore(source, tmp_path / "data", force=False) is None
    assert (tmp_path / "data" / backup.STORE).read_bytes() == b"x" * 1_000
    assert (tmp_path / "data" / "journal" / "data.mdb").stat().st_size == 3_000


async def test_restore_sets_aside_what_was_there_only_by_force(tmp_path):
    """
    Nothing is overwritten; by force the old parts move out of the way, with their companions.
    """
    source = await made(tmp_path)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "state.db").write_text("old")
    (data / "state.db-wal").write_text("old too")
    with pytest.raises(ConfigError, match="--force"):
        backup.restore(source, data, force=False)
    assert (data / "state.db").read_text() == "old"
    aside = backup.restore(source, data, force=True)
    assert (aside / "state.db").read_text() == "old"
    assert not (data / "state.db-wal").exists()
    assert (data / "state.db").read_bytes() == b"x" * 1_000


async def test_a_damaged_backup_leaves_the_folder_as_it_was(tmp_path):
    """
    Everything is checked before anything moves.
    """
    source = await made(tmp_path)
    (source / "state.db").unlink()
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "store.duckdb").write_text("old")
    with pytest.raises(ConfigError, match="not whole"):
        backup.restore(source, data, force=True)
    assert (data / "store.duckdb").read_text() == "old"
    assert list((data / "scratch").iterdir()) == []
