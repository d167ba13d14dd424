"""
The data folder: one process at a time, readable by nobody else.

The folder holds every event, the settings and hashes of credentials, so it belongs to one user with mode
0700. A process claims it by a lock on ``lock`` (released by the kernel when the process ends, however it
ends) and is reached by other commands through ``control.sock`` in it. A unix socket's path may have about
a hundred bytes; a longer one moves to a short folder that is derived from the data folder's name, so that
both sides find it without talking.
"""

import fcntl
import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path

from onelogin_connector.errors import Busy, ConfigError

LONGEST_SOCKET_PATH_BYTES = 100  # Linux takes 107, macOS 103

SCRATCH = "scratch"

SERVICE = "service"
COMMAND = "command"
"""What a folder is claimed for."""

PRIVATE = 0o077
"""Mode bits of others; none of them may be set."""


class Folder:
    """
    A claimed data folder; ``release`` or the end of the process frees it.
    """

    def __init__(self, path: Path, *, purpose: str = SERVICE) -> None:
        """
        Make the folder if need be, check that it is private, and claim it.

        Args:
            purpose: What for, told to others who want it.

        Raises:
            ConfigError: Others can read it, it belongs to another user, or it cannot be made.
            Busy: Another process has claimed it.
        """
        self.path = path
        _make(path)
        _require_private(path)
        self._lock = _claim(path, purpose)

    def part(self, name: str) -> Path:
        """
        Return the path of a subfolder, made with mode 0700.
        """
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def release(self) -> None:
        """
        Let other processes claim the folder.
        """
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write_private(self, name: str, text: str) -> Path:
        """
        Write a file that only this user can read, durably, replacing an older one in one step.
        """
        path = self.path / name
        fresh = path.with_name(f".{name}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        return path


def control_socket(path: Path) -> Path:
    """
    Return where the control socket of a data folder lies.
    """
    near = path.resolve() / "control.sock"
    if len(os.fsencode(near)) <= LONGEST_SOCKET_PATH_BYTES:
        return near
    # named after the folder's owner, not the asking user, so that root finds the service's socket
    owner = path.stat().st_uid if path.exists() else os.geteuid()
    name = blake2b(os.fsencode(path.resolve()), digest_size=8).hexdigest()
    # not $TMPDIR or $XDG_RUNTIME_DIR: a service and a login shell see different ones
    return Path("/tmp") / f"onelogin-connector-{owner}" / f"{name}.sock"  # noqa: S108 - checked by `make_way`


def make_way(socket_path: Path) -> None:
    """
    Prepare the folder of a control socket and remove what a killed process left there.

    Raises:
        ConfigError: The short runtime folder is not ours alone.
    """
    if socket_path.name != "control.sock":
        _make(socket_path.parent)
        _require_private(socket_path.parent)
    socket_path.unlink(missing_ok=True)


def holder(path: Path) -> int | None:
    """
    Return the process that has claimed a data folder; None if nobody has.
    """
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written_pid(lock)
    finally:
        os.close(lock)
    return None


def is_held_by_command(path: Path) -> bool:
    """
    Tell whether a single command, which will end, has claimed a data folder.
    """
    return holder(path) is not None and (path / "lock").read_text().split()[1:] == [COMMAND]


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The data folder {path} cannot be made: {error.strerror}.",
            action="Name another one with --data-dir, or make it yourself with mode 0700.",
        ) from error


def _require_private(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"The folder {path} belongs to {_user_name(found.st_uid)}, not to you ({_user_name(os.geteuid())}).",
            action=f"Run this as {_user_name(found.st_uid)}, or name another folder with --data-dir.",
        )
    if found.st_mode & PRIVATE:
        raise ConfigError(
            f"Others can read the folder {path} (mode {stat.S_IMODE(found.st_mode):04o}); "
            "it holds audit events and credentials.",
            action=f"Run: chmod 700 {path}",
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(
            f"The folder {path} cannot be written.",
            action="Check its mode (0700) and whether its file system is read-only, or name another with --data-dir.",
        )


def _claim(path: Path, purpose: str) -> int:
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"The data folder {path} cannot be used: {error.strerror}.",
            action="Check the file system, or name another folder with --data-dir.",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = _written_pid(lock)
        os.close(lock)
        raise Busy(
            f"Another OneLogin Connector (process {pid or 'unknown'}) is using the data folder {path}.",
            action=(
                f"Stop it first (kill {pid or 'PID'}), or start this one with another --data-dir. "
                "Commands such as `status` and `query` work while it runs."
            ),
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {purpose}\n".encode(), 0)
    return lock


def _written_pid(lock: int) -> int | None:
    pid, *_ = os.pread(lock, 64, 0).split() or [b""]
    return int(pid) if pid.isdigit() else None


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def scratch(folder: Path) -> Path:
    """
    Make an empty private folder inside the data folder for something short-lived.
    """
    base = folder / SCRATCH
    base.mkdir(mode=0o700, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=base))
