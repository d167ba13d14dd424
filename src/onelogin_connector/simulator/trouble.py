"""
What goes wrong with the simulated API, on request.
"""

from enum import StrEnum

from onelogin_connector.simulator.faults import Planted


class Trouble(StrEnum):
    """
    A way to fail.
    """

    UNAUTHORIZED = "unauthorized"
    """401, as for a token that ended or a credential that does not fit; a token held is revoked."""
    DEAD = "dead"
    """The person who made the credential was deleted: tokens are answered 500, calls 401."""
    FORBIDDEN = "forbidden"
    """403: the credential's scope does not suffice."""
    TOO_MANY = "too_many"
    """429 in JSON."""
    TOO_MANY_HTML = "too_many_html"
    """429 from the edge: a page, no JSON, no hint how long."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """400 whose message is ``rate_limit_exceeded``."""
    SERVER_ERROR = "server_error"
    """500 in JSON."""
    BAD_GATEWAY = "bad_gateway"
    """502 as a page."""
    SLOW = "slow"
    """A right answer, late."""
    TRUNCATED = "truncated"
    """200 whose JSON ends in the middle."""
    PAGE = "page"
    """200 with a page instead of JSON."""
    REDIRECT = "redirect"
    """302 to another host."""
    STANDING_CURSOR = "standing_cursor"
    """A page whose cursor leads to itself."""
    ENDLESS = "endless"
    """After the last page there is always another, empty one."""


class Fault(Planted, frozen=True, kw_only=True):
    """
    One thing that goes wrong.
    """

    trouble: Trouble
    path: str = "/api/1/events"
    """Calls whose path begins so."""

    def fits(self, path: str) -> bool:
        """
        Tell whether it is about a call.
        """
        return path.startswith(self.path)
