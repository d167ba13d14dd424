"""
The program on a disk whose sync takes 3 ms, as a cloud's managed disk does: for a benchmark alone.

The journal's writer is made to take that much longer for each commit. Nothing else differs, and no setting of the
program can do this.

    python -m benchmarks.slow_sync run …
"""

import sys
from time import sleep
from typing import Any

from onelogin_connector import cli
from onelogin_connector.journal import lmdb
from onelogin_connector.journal.writer import Job, Writer

SYNC_SECONDS = 0.003


class SlowWriter(Writer):
    """
    Commits as on a slower disk.
    """

    def _attempt(self, group: list[Job]) -> list[Any]:
        results = super()._attempt(group)
        sleep(SYNC_SECONDS)  # like a sync it leaves the interpreter to others
        return results


if __name__ == "__main__":
    setattr(lmdb, "Writer", SlowWriter)  # noqa: B010 - the name is not for others, and this is a benchmark
    sys.exit(cli.main())
