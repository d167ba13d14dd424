"""
Event loops whose clock does not run while the machine lets this process wait.

A timeout of the program, and a bound in seconds that a test holds it to, then say something about the program and
nothing about how busy the machine is: a process that stands still for ten seconds is none the older for it.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SLICE_SECONDS = 0.02
"""Of a wait without an event at most so much is counted before it is looked again."""


def in_jumps(story: Coroutine[Any, Any, T]) -> T:
    """
    Run a story in which time passes only where everybody waits, and then at once.

    It is for stories without connections and threads: what would be done in a thread is done on the spot.
    """
    with asyncio.Runner(loop_factory=_Jumping) as runner:
        return runner.run(story)


def undisturbed(story: Coroutine[Any, Any, T]) -> T:
    """
    Run a story in the time that it computes, or means to wait.

    Its connections may have both their ends in it; another process would be waited for without need.
    """
    with asyncio.Runner(loop_factory=_Undisturbed) as runner:
        return runner.run(story)


class _Jumping(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.passed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as a thread would
            done.set_exception(error)
        return done


class _JumpingSelector(selectors.DefaultSelector):
    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout if timeout is None else 0)
        if not found and timeout is not None:
            self.passed += max(0.0, timeout)
        return found


class _Undisturbed(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _UndisturbedSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.waited + time.thread_time()


class _UndisturbedSelector(selectors.DefaultSelector):
    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)  # what is there already was not waited for, however long that took
        left = timeout
        while not found and (left is None or left > 0):
            piece = SLICE_SECONDS if left is None else min(left, SLICE_SECONDS)
            began = time.monotonic()
            found = super().select(piece)
            counted = min(time.monotonic() - began, piece)
            self.waited += counted
            left = None if left is None else left - (counted if found else piece)
        return found
