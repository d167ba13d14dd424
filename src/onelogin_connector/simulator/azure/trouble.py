"""
What goes wrong on Azure's side, on request: one small language for every endpoint.
"""

from enum import StrEnum

from onelogin_connector.simulator.faults import Planted


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


class Fault(Planted, frozen=True, kw_only=True):
    """
    One thing that goes wrong.
    """

    trouble: Trouble
    where: Endpoint | None = None
    """None for every endpoint."""
    containing: str = ""
    """Only calls whose body, inflated, holds this text."""
    status: int = 500
    code: str = ""
    message: str = ""
    retry_after: float | str | None = None
    """Seconds, or the header's text as it is to stand; None for no header."""
    retry_as_date: bool = False
    """Write the seconds as the moment they end."""

    def fits(self, where: Endpoint, content: bytes | None = None) -> bool:
        """
        Tell whether it is about a call.

        Args:
            content: The inflated body; None before it was read, when only what needs no body can go wrong.
        """
        if self.where not in {None, where} or (self.trouble in WITHOUT_BODY) is not (content is None):
            return False
        return content is None or not self.containing or self.containing.encode() in content
