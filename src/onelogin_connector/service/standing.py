"""
The words by which people are told how a part stands, and its last day in short.

A state of the program (``status.State``) says what a part does; an operator asks whether it is well. The answer takes
the time into account: a poll that failed once is late, one that goes on failing is an error. What each word means
stands in ``MEANINGS``, which the page shows.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from onelogin_connector.state import Change
from onelogin_connector.status import State

QUIET_SECONDS = 3_600.0
"""Without events for so long a part that works is called quiet."""

LATE_INTERVALS = 2
"""After as many poll intervals without a successful poll it is an error and not just late."""

STUCK_SECONDS = 300.0
"""A sink that has tried again for so long is an error and not just late."""

BEATS = 48


class Word(StrEnum):
    """
    How a part stands.
    """

    ACTIVE = "Active"
    QUIET = "Active, quiet"
    LATE = "Late"
    ERROR = "Error"
    INACTIVE = "Inactive"
    PENDING = "Pending"

    @property
    def tone(self) -> str:
        """
        The name of its badge.
        """
        return {"Active": "ok", "Active, quiet": "quiet"}.get(self.value, self.value.lower())


MEANINGS: dict[Word, str] = {
    Word.ACTIVE: "It works: the last poll, request or delivery succeeded, and data is ready to be taken in.",
    Word.QUIET: f"It works, but nothing has happened for {QUIET_SECONDS / 60:.0f} minutes.",
    Word.LATE: "The last attempt failed, or a poll is overdue. It tries again by itself; nothing is lost.",
    Word.ERROR: (
        f"It has failed for more than {LATE_INTERVALS} poll intervals (a sink: {STUCK_SECONDS / 60:.0f} minutes), or "
        "its credential was refused. Somebody has to look."
    ),
    Word.PENDING: "It is set up, and waits for its first event or its first poll.",
    Word.INACTIVE: "A person stopped it, or it is turned off.",
}

_WORST_FIRST = (Word.ERROR, Word.LATE, Word.ACTIVE, Word.QUIET, Word.PENDING, Word.INACTIVE)


class Stand(NamedTuple):
    """
    How a part stands, and why if it is not well.
    """

    word: Word
    error: str = ""


def of_webhook(*, stopped: bool, refusing: str, last: float | None, ever: bool, now: float) -> Stand:
    """
    Return how a webhook listener stands.

    Args:
        refusing: Why nothing can be taken in.
        last: When the newest event happened that it brought.
        ever: Whether any came at all.
    """
    if stopped:
        return Stand(Word.INACTIVE)
    if refusing:
        return Stand(Word.ERROR, refusing)
    if not ever:
        return Stand(Word.PENDING)
    return Stand(Word.QUIET if last is None or now - last > QUIET_SECONDS else Word.ACTIVE)


def of_poll(
    state: State,
    error: str,
    *,
    since: float,
    last_poll: float | None,
    poll_seconds: float,
    last: float | None,
    now: float,
) -> Stand:
    """
    Return how a poller stands.

    Args:
        since: Unix seconds at which it entered its state.
        last: When the newest event happened that it listed.
    """
    if state is State.STOPPED:
        return Stand(Word.INACTIVE, error)
    if state is State.PAUSED:
        return Stand(Word.ERROR, error)
    if state is State.STARTING:
        return Stand(Word.PENDING, error)
    patience = LATE_INTERVALS * poll_seconds
    if state is not State.OK:
        return Stand(Word.ERROR if now - (last_poll or since) > patience else Word.LATE, error)
    if last_poll is not None and now - last_poll > patience + poll_seconds:
        return Stand(Word.LATE, "It is behind, and reads on.")
    return Stand(Word.QUIET if last is None or now - last > QUIET_SECONDS else Word.ACTIVE)


def of_sink(state: State, error: str, *, since: float, now: float) -> Stand:
    """
    Return how a sink stands.
    """
    if state is State.OK:
        return Stand(Word.ACTIVE)
    if state is State.STARTING:
        return Stand(Word.PENDING, error)
    if state is State.STOPPED:
        return Stand(Word.INACTIVE, error)
    if state is State.RETRYING:
        return Stand(Word.ERROR if now - since > STUCK_SECONDS else Word.LATE, error)
    return Stand(Word.ERROR, error)


def worst(stands: Sequence[Stand]) -> Stand:
    """
    Return how a whole stands by its parts: trouble counts before what works, and that before what waits.
    """
    return min(stands, key=lambda each: _WORST_FIRST.index(each.word), default=Stand(Word.PENDING))


class Beat(Struct, frozen=True):
    """
    Half an hour of a part.
    """

    at: float
    """Unix seconds of its begin."""
    kind: str
    """``events``, ``quiet``, ``trouble`` or ``off``."""
    events: int


def beats(slots: Sequence[int], changes: Sequence[Change], *, now: float, slot_seconds: int) -> list[Beat]:
    """
    Return the last day by half hours, the running one last.

    Args:
        slots: Events of each part of the day, the running one last.
        changes: Of the part's state, in any order; before the first nothing ran.
    """
    each = len(slots) // BEATS
    begin = (int(now // slot_seconds) - len(slots) + 1) * slot_seconds
    ordered = sorted(changes, key=lambda change: (change.at, change.id))
    found = []
    for number in range(BEATS):
        at = float(begin + number * each * slot_seconds)
        until = at + each * slot_seconds
        events = sum(slots[number * each : (number + 1) * each])
        found.append(Beat(at, _kind(events, ordered, at, until), events))
    return found


def _kind(events: int, changes: Sequence[Change], at: float, until: float) -> str:
    standing = None
    within = []
    for change in changes:
        if change.at <= at:
            standing = change
        elif change.at < until:
            within.append(change)
    known = [change for change in (standing, *within) if change is not None]
    if any(change.outcome == "Failure" for change in known):
        return "trouble"
    if events:
        return "events"
    return (
        "quiet" if any(change.outcome == "Success" or change.state == "quiet" for change in known) else "off"
    )
