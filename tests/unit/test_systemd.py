"""
The unit, its user, its folders and Caddy's file, as the programs that read them judge them.
"""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.azure.machine import configure

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "onelogin-connector.service"
MOST_EXPOSURE = 1.5
"""On systemd's scale from 0 to 10, on which 2 and less is "OK"; a network service cannot come to 0."""

ON_MACHINE = ROOT / "deploy" / "azure" / "machine"


def settings_of(path: Path) -> dict[str, list[str]]:
    """
    Return a unit's settings: name → values, in order.
    """
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """
    Copy the unit to where its programs exist.
    """
    program = tmp_path / "opt" / "onelogin-connector" / "venv" / "bin"
    program.mkdir(parents=True)
    for name in ("onelogin-connector", "python"):
        (program / name).symlink_to("/bin/true")
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/", f"{tmp_path}/opt/"))
    folder = tmp_path / f"{UNIT.name}.d"
    folder.mkdir()
    (folder / "key-vault.conf").write_text(
        (ON_MACHINE / "key-vault.conf").read_text().replace("/opt/", f"{tmp_path}/opt/")
    )
    return path


def test_unit_is_understood(placed, needs):
    """
    Let systemd read the unit, alone and with the addition for a machine in Azure, and hear nothing from it.
    """
    words = [needs("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", str(placed)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr


def test_planted_mistakes_in_the_unit_are_seen(placed, needs):
    """
    The check works: a misspelt setting and a program that is not there are named.
    """
    placed.write_text(
        placed.read_text().replace("NoNewPrivileges", "NoNewPrivilege").replace("venv", "nowhere")
    )
    words = [needs("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", str(placed)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "NoNewPrivilege" in done.stderr
    assert "nowhere" in done.stderr


def test_unit_is_hardened(needs):
    """
    The judgement of systemd stays within what was reached; the level is printed where it does not.
    """
    words = [needs("systemd-analyze"), "security", "--offline=yes", "--no-pager", str(UNIT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSURE, done.stdout


def test_unit_writes_where_the_program_does():
    """
    User, folders and files are the same in the unit, in sysusers, in tmpfiles and in the settings.
    """
    unit = settings_of(UNIT)
    user = unit["User"][0]
    assert f"u {user} " in (FOLDER / "onelogin-connector.sysusers").read_text()
    data = f"/var/lib/{unit['StateDirectory'][0]}"
    assert f"ONELOGIN_CONNECTOR_DATA_DIR={data}" in unit["Environment"]
    assert unit["StateDirectoryMode"] == ["0700"]
    made = (FOLDER / "onelogin-connector.tmpfiles").read_text()
    assert f"d {data} 0700 {user} {user} " in made
    assert unit["ExecStart"][0].endswith("run --config /etc/onelogin-connector/onelogin-connector.toml")
    addition = settings_of(ON_MACHINE / "key-vault.conf")
    assert f"/run/{addition['RuntimeDirectory'][0]}" == configure.RUN
    assert addition["RequiresMountsFor"] == [data]


def test_tmpfiles_are_understood(tmp_path, needs):
    """
    systemd-tmpfiles makes the folders with the modes that the program asks for.
    """
    if os.getuid() != 0:
        pytest.skip("needs root to give folders away")
    text = (
        (FOLDER / "onelogin-connector.tmpfiles")
        .read_text()
        .replace("onelogin-connector onelogin-connector", "daemon daemon")
    )
    config = tmp_path / "test.conf"
    config.write_text(text.replace("root onelogin-connector", "root daemon"))
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for name in ("passwd", "group"):
        shutil.copyfile(f"/etc/{name}", root / "etc" / name)
    subprocess.run(
        [needs("systemd-tmpfiles"), f"--root={root}", "--create", str(config)],
        check=True,
        capture_output=True,
    )
    assert stat.S_IMODE((root / "var/lib/onelogin-connector").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "etc/onelogin-connector").stat().st_mode) == 0o750


def test_sysusers_are_understood(tmp_path, needs):
    """
    systemd-sysusers makes a user without shell, and its group.
    """
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    words = [needs("systemd-sysusers"), f"--root={root}", str(FOLDER / "onelogin-connector.sysusers")]
    subprocess.run(words, check=True, capture_output=True)
    (line,) = [each for each in (root / "etc/passwd").read_text().splitlines() if each.startswith("onelogin")]
    assert line.endswith(":/var/lib/onelogin-connector:/usr/sbin/nologin")
    assert "onelogin-connector:" in (root / "etc/group").read_text()


def test_shell_script_is_understood(needs):
    """
    The installer is read by a plain shell, and every file it names is there.
    """
    script = FOLDER / "install.sh"
    subprocess.run([needs("sh"), "-n", str(script)], check=True)
    named = re.findall(r"(?:deploy|requirements)/[\w./-]+\.[a-z]+", script.read_text())
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
