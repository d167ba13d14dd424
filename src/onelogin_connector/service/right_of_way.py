"""
Intake goes first: work on a page lets the webhook request pass that is being taken in.

Both need the interpreter, which one thread has at a time. A request goes from the event loop to the journal's writer and
back and returns to the interpreter a dozen times; beside a thread that renders, each of these returns has to wait
until the interpreter is lent out. So who renders asks between two pieces of a page whether a request is on its way.
"""

from threading import Event
from time import perf_counter


class RightOfWay:
    """
    Whether requests are being taken in. Entered and left in the event loop alone; asked from any thread.
    """

    def __init__(self) -> None:
        self._requests = 0
        self._free = Event()
        self._free.set()

    def __enter__(self) -> None:
        self._requests += 1
        if self._requests == 1:
            self._free.clear()

    def __exit__(self, *_: object) -> None:
        self._requests -= 1
        if not self._requests:
            self._free.set()

    @property
    def is_taken(self) -> bool:
        """
        Whether a request is being taken in.
        """
        return self._requests > 0

    def let_pass(self, most_seconds: float) -> float:
        """
        Wait until no request is being taken in; returns the seconds that it took.

        Args:
            most_seconds: Under a load that never pauses a page has to come, too.
        """
        began = perf_counter()
        self._free.wait(most_seconds)
        return perf_counter() - began
