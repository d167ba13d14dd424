"""
The room left on the disk, and the reserve below which nothing more is taken in.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from onelogin_connector.errors import JournalFull

RESERVE_BYTES = 1 << 30
RESERVE_SHARE = 0.02
FRESH_SECONDS = 1.0  # how long a look at the disk is good for
WAIT_SECONDS = 30.0


def free_bytes(path: Path) -> tuple[int, int]:
    """
    Return free and total bytes of the file system that holds a path.
    """
    usage = shutil.disk_usage(path)
    return usage.free, usage.total


class Space:
    """
    The disk under a folder.
    """

    def __init__(
        self,
        path: Path,
        *,
        reserve_bytes: int | None = None,
        look: Callable[[Path], tuple[int, int]] = free_bytes,
    ) -> None:
        """
        Watch the disk that holds a path.

        Args:
            reserve_bytes: By default 1 GiB or 2 % of the disk, whichever is more.
        """
        self._path = path
        self._reserve_bytes = reserve_bytes
        self._look = look
        self._seen = (0, 0)
        self._seen_at = 0.0

    @property
    def free_bytes(self) -> int:
        """
        Bytes that are free.
        """
        return self._now()[0]

    @property
    def reserve_bytes(self) -> int:
        """
        Bytes that stay free for checkpoints and pruning.
        """
        if self._reserve_bytes is not None:
            return self._reserve_bytes
        return max(RESERVE_BYTES, int(self._now()[1] * RESERVE_SHARE))

    def check(self) -> None:
        """
        Raise ``JournalFull`` at the reserve.
        """
        free, reserve = self.free_bytes, self.reserve_bytes
        if free < reserve:
            raise JournalFull(
                f"Only {free:,} bytes are free where the journal lies, below its reserve of {reserve:,}.",
                action="Make room on that disk; intake goes on by itself.",
                after_seconds=WAIT_SECONDS,
            )

    def _now(self) -> tuple[int, int]:
        now = monotonic()
        if not self._seen_at or now - self._seen_at > FRESH_SECONDS:
            self._seen, self._seen_at = self._look(self._path), now
        return self._seen
