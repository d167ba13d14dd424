"""
What a person should know now, beyond the states of single parts.

Alarms are raised and cleared from the event loop and from threads alike; who listens gets each raise and each
clearing once, in order, and must not wait.
"""

from collections.abc import Callable
from threading import Lock
from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning"]


class Alarm(Struct, frozen=True, order=True):
    """
    One thing that is wrong, since when, and what to do.
    """

    since: float
    """Unix seconds."""
    message: str
    action: str
    name: str = ""
    """The same each time, such as ``silence acme``."""
    severity: Severity = "error"
    """``error``: data is or will be lost, or somebody has to act. ``warning``: look at it."""
    link: str = "/health"
    """The page that shows more."""


Listener = Callable[[Alarm, bool], None]
"""Gets an alarm, and whether it stands now or ended."""


class Alarms:
    """
    The alarms that stand, by name. Called as a function it lists them, oldest first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """
        Start without any.
        """
        self._clock = clock
        self._standing: dict[str, Alarm] = {}
        self._listeners: list[Listener] = []
        self._lock = Lock()

    def raise_(
        self,
        name: str,
        message: str,
        action: str,
        *,
        severity: Severity = "error",
        link: str = "/health",
        since: float | None = None,
    ) -> bool:
        """
        Let an alarm stand, in its newest words; returns whether it is new.

        Args:
            since: Unix seconds; now by default. An alarm that stands keeps its own.
        """
        with self._lock:
            before = self._standing.get(name)
            began = before.since if before else self._clock() if since is None else since
            alarm = self._standing[name] = Alarm(began, message, action, name, severity, link)
        if before is None:
            self._tell(alarm, stands=True)
        return before is None

    def clear(self, name: str) -> None:
        """
        End an alarm, if it stands.
        """
        with self._lock:
            ended = self._standing.pop(name, None)
        if ended is not None:
            self._tell(ended, stands=False)

    def listen(self, listener: Listener) -> None:
        """
        Tell somebody of every raise and clearing from now on.
        """
        self._listeners.append(listener)

    def _tell(self, alarm: Alarm, *, stands: bool) -> None:
        for listener in self._listeners:
            listener(alarm, stands)

    def standing(self) -> list[Alarm]:
        """
        Return the alarms, oldest first.
        """
        with self._lock:
            return sorted(self._standing.values())

    def __call__(self) -> list[Alarm]:
        """
        Return the alarms, oldest first.
        """
        return self.standing()
