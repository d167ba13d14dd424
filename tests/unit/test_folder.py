"""
The data folder: private, and one process at a time.
"""

import os
import subprocess
import sys

import pytest

from onelogin_connector.errors import Busy, ConfigError
from onelogin_connector.service.folder import (
    LONGEST_SOCKET_PATH_BYTES,
    Folder,
    control_socket,
    holder,
    make_way,
    scratch,
)


def test_a_folder_is_made_private(tmp_path):
    """
    What is made can be read by its owner alone, with everything in it.
    """
    folder = Folder(tmp_path / "a" / "data")
    try:
        assert folder.path.stat().st_mode & 0o777 == 0o700
        secret = folder.write_private("initial-secrets", "x")
        assert secret.stat().st_mode & 0o777 == 0o600
        assert scratch(folder.path).stat().st_mode & 0o777 == 0o700
    finally:
        folder.release()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_read_is_refused(tmp_path, mode):
    """
    The message names the folder, its mode, and the command that mends it.
    """
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"{mode:04o}.*chmod 700"):
        Folder(path)
    assert not (path / "lock").exists()


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    """
    Files of ours in somebody else's folder would lock that one out.
    """
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(ConfigError, match="belongs to"):
        Folder(path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    """
    A path that is no folder is an error of the configuration, not a traceback.
    """
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        Folder(tmp_path / "data")


def test_a_claimed_folder_is_busy_until_its_process_ends(tmp_path):
    """
    A second process is told which process it is; a killed one leaves no claim behind.
    """
    path = tmp_path / "data"
    code = (
        "import sys, time; from pathlib import Path; from onelogin_connector.service.folder import Folder\n"
        "folder = Folder(Path(sys.argv[1])); print('claimed', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "claimed\n"
        assert holder(path) == other.pid
        with pytest.raises(Busy, match=f"process {other.pid}.*--data-dir"):
            Folder(path)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert holder(path) is None
    Folder(path).release()


def test_a_long_folder_has_a_short_socket(tmp_path):
    """
    Both sides find the same place, which is private and short enough for every system.
    """
    long = tmp_path / ("x" * 100)
    long.mkdir(mode=0o700)
    found = control_socket(long)
    assert len(os.fsencode(found)) <= LONGEST_SOCKET_PATH_BYTES
    assert found == control_socket(long)
    assert found != control_socket(tmp_path / ("y" * 100))
    make_way(found)
    assert found.parent.stat().st_mode & 0o777 == 0o700
    assert control_socket(tmp_path).parent == tmp_path.resolve() or len(str(tmp_path)) > 80
