"""
The real program on the clock of a story, which its test alone moves.

    python hurry.py CLOCK run …

In the whole process ``time.time`` is the story's. What asks OneLogin also waits and counts its budget by it: poller,
client, users. Everything else takes the time that it takes: disk, network, the store.
"""

import asyncio
import struct
import sys
import time
from functools import partial
from mmap import mmap
from pathlib import Path

LOOK_SECONDS = 0.001
"""How often, in real time, a sleeper looks at the clock."""


class Clock:
    """
    Unix seconds of a story, in a file that one process writes and others read; they say there when they rest.
    """

    def __init__(self, path: Path) -> None:
        """
        Read the clock of a file; whoever made it may also set it.
        """
        with path.open("r+b") as file:
            # aligned numbers, so nobody ever reads a half of one
            self._seconds = memoryview(mmap(file.fileno(), 16)).cast("d")

    @classmethod
    def made(cls, path: Path, seconds: float) -> "Clock":
        """
        Make a clock that stands at a moment.
        """
        path.write_bytes(struct.pack("dd", seconds, 0.0))
        return cls(path)

    def now(self) -> float:
        """
        Return the moment.
        """
        return self._seconds[0]

    def set(self, seconds: float) -> None:
        """
        Let it be another moment.
        """
        self._seconds[0] = seconds

    @property
    def resting_until(self) -> float:
        """
        Until when the one who works by this clock has nothing to do; 0 while it is at work.
        """
        return self._seconds[1]

    @resting_until.setter
    def resting_until(self, seconds: float) -> None:
        self._seconds[1] = seconds

    async def rest(self, seconds: float) -> None:
        """
        Have nothing to do until so much of the story has passed.
        """
        self.resting_until = self.now() + seconds
        try:
            await self.sleep(seconds)
        finally:
            self.resting_until = 0.0

    async def sleep(self, seconds: float) -> None:
        """
        Wait until so much of the story has passed.
        """
        end = self.now() + seconds
        while self.now() < end:
            await asyncio.sleep(LOOK_SECONDS)


def main(clock: Clock) -> int:
    """
    Be the program, by this clock.
    """
    time.time = clock.now  # before the program is imported, where it becomes the default of many parameters

    from onelogin_connector import cli
    from onelogin_connector.service import pulling

    pulling.Poller = partial(pulling.Poller, sleep=clock.rest)
    pulling.OneLogin = partial(pulling.OneLogin, sleep=clock.rest)
    pulling.Budget = partial(pulling.Budget, clock=clock.now, sleep=clock.rest)
    pulling.UsersSource = partial(pulling.UsersSource, sleep=clock.sleep)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main(Clock(Path(sys.argv.pop(1)))))
