"""
Threads that are none, for tests that repeat a history.
"""

from concurrent.futures import Future, ThreadPoolExecutor


class Inline(ThreadPoolExecutor):
    """
    Runs what a thread would do at once, so that a history can be repeated.
    """

    def submit(self, work, /, *arguments, **named):
        future = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:  # noqa: BLE001 - as a thread would
            future.set_exception(error)
        return future
