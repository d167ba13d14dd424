"""
What an operator sees of a part: its state, since when, why, and the numbers beside it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from time import time

from msgspec import Struct


class State(StrEnum):
    """
    Where a part stands. The same words feed API, console and command line.
    """

    STARTING = "starting"
    OK = "ok"
    RETRYING = "retrying"
    PAUSED = "paused"
    DETACHED = "detached"
    STOPPED = "stopped"


@dataclass(slots=True)
class Status:
    """
    State of one part, with the moment of the last change and its cause.
    """

    clock: Callable[[], float] = time
    state: State = State.STARTING
    since: float = 0.0
    """Unix seconds of the last change of state."""
    error: str = ""
    """Why the part is not ok; empty when it is."""
    counts: Counter[str] = field(default_factory=Counter)
    listener: Callable[["Status", State], None] | None = None
    """Told of each change of state, with the state before; it must not wait, and may be called from any thread."""

    def __post_init__(self) -> None:
        self.since = self.since or self.clock()

    def turn(self, state: State, error: str = "") -> bool:
        """
        Enter a state; returns whether it differs from the one before.

        The error is replaced in any case, so that the newest cause is shown; ``since`` keeps the start
        of the state.
        """
        self.error = error
        if state is self.state:
            return False
        before = self.state
        self.state, self.since = state, self.clock()
        if self.listener is not None:
            self.listener(self, before)
        return True


class StageState(StrEnum):
    """
    Outcome of one stage of a check.
    """

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Stage(Struct, frozen=True):
    """
    One step of a check: what was tried, what came of it, what to do.
    """

    stage: str
    state: StageState
    message: str
    action: str = ""
    http_status: int | None = None
    seconds: float = 0.0
    code: str = ""
    """Name of the cause of a failure, as the documentation lists it."""


Tell = Callable[[Stage], None]
"""Called with each stage of a check as soon as it is done."""


def silent(stage: Stage) -> None:
    """
    Tell nobody.
    """
