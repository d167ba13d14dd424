"""
What goes wrong on Azure's side, on request: one small language for every endpoint.
"""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct


class Endpoint(StrEnum):
    """
    Where something can go wrong.
    """

    TOKEN = "token"  # noqa: S105 - the name of an endpoint
    INGESTION = "ingestion"
    COLLECTOR = "collector"


class Trouble(StrEnum):
    """
    A way to fail. Unless it says otherwise, nothing of the call is accepted.
    """

    STATUS = "status"
    """The answer has ``status``, ``code``, ``message`` and perhaps ``retry_after``."""
    DOWN = "down"
    """The connection ends before anything is read."""
    RESET = "reset"
    """The connection ends in the middle of the request's body."""
    HANG = "hang"
    """No answer comes, ever."""
    SLOW = "slow"
    """The right answer comes, ``wait_seconds`` late."""
    LOST_ANSWER = "lost_answer"
    """All is accepted; then the connection ends without an answer."""
    LATE_ANSWER = "late_answer"
    """All is accepted; then no answer comes, ever."""
    CUT_ANSWER = "cut_answer"
    """All is accepted; the connection ends in the middle of the answer, whose status said so."""
    CUT_REFUSAL = "cut_refusal"
    """The answer with ``status`` ends in the middle of its body."""
    PAGE = "page"
    """A proxy answers 200 with a page of its own."""
    REDIRECT = "redirect"
    """307 to another host."""
    NO_ROLE = "no_role"
    """403: the role on the rule is missing, or has not propagated yet."""
    REVOKED = "revoked"
    """401: the tokens given so far are no longer good; a new one is."""
    POISON = "poison"
    """400 for a body that holds ``containing``, as for a record that the service cannot take."""
    LOST_ROWS = "lost_rows"
    """204, but rows that hold ``containing`` are missing afterwards; the rule's error table says so."""


WITHOUT_BODY = frozenset({Trouble.DOWN, Trouble.RESET})
"""These happen before a body is there to look into."""


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One thing that goes wrong.
    """

    trouble: Trouble
    where: Endpoint | None = None
    """None for every endpoint."""
    containing: str = ""
    """Only calls whose body, inflated, holds this text."""
    times: int | None = None
    """How many calls; None for all."""
    skip: int = 0
    """How many calls go well first."""
    seconds: float | None = None
    """How long it lasts from the request for it on, by Azure's clock; None for ever."""
    status: int = 500
    code: str = ""
    message: str = ""
    retry_after: float | str | None = None
    """Seconds, or the header's text as it is to stand; None for no header."""
    retry_as_date: bool = False
    """Write the seconds as the moment they end."""
    wait_seconds: float = 0.0
    """How late a slow answer is."""


class _Counted(Struct):
    fault: Fault
    skip: int
    times: int | None
    end: float | None


class Faults:
    """
    The faults in force. The oldest that fits a call is the one it meets.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: list[_Counted] = []

    def add(self, fault: Fault) -> None:
        """
        Let something go wrong from now on.
        """
        end = None if fault.seconds is None else self._clock() + fault.seconds
        self._waiting.append(_Counted(fault, fault.skip, fault.times, end))

    def clear(self) -> None:
        """
        Let everything go well again.
        """
        self._waiting.clear()

    def next(self, where: Endpoint, content: bytes | None = None) -> Fault | None:
        """
        Return what goes wrong with a call, and count it.

        Args:
            content: The inflated body; None before it was read, when only what needs no body can go wrong.
        """
        now = self._clock()
        self._waiting = [
            each for each in self._waiting if each.times != 0 and (each.end is None or now < each.end)
        ]
        for each in self._waiting:
            if not _fits(each.fault, where, content):
                continue
            if each.skip:
                each.skip -= 1
            else:
                each.times = None if each.times is None else each.times - 1
                return each.fault
        return None


def _fits(fault: Fault, where: Endpoint, content: bytes | None) -> bool:
    if fault.where not in {None, where} or (fault.trouble in WITHOUT_BODY) is not (content is None):
        return False
    return content is None or not fault.containing or fault.containing.encode() in content
