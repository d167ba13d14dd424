"""
Seconds of a machine that runs: time in which it stood still is nobody's fault.
"""

import threading
import time
from types import TracebackType
from typing import Self

TICK_SECONDS = 0.02
LONGEST_TICK_SECONDS = 0.1
"""Who asks for 20 ms and is woken only after more than this was not alone kept from running."""


class Stopwatch:
    """
    Measures what happens within it: what a program waits for counts in full, a machine that stalls hardly at all.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._over.wait(TICK_SECONDS):
            now = time.monotonic()
            self.seconds += min(now - before, LONGEST_TICK_SECONDS)
            before = now
