"""
How far a poller has come: what is to be kept of it between two calls, wherever it is kept.

Times are microseconds since 1970 of OneLogin's clock, hours are counted from 1970.
"""

from msgspec import Struct


class Listing(Struct, frozen=True, kw_only=True):
    """
    A window of time that is being listed, page by page.
    """

    since_us: int
    until_us: int
    cursor: str | None = None
    """Where its next page begins; None for its first."""
    date_us: int | None = None
    """OneLogin's clock when its first page came."""
    pages: int = 0
    listed: int = 0
    """Different ids within the window so far."""
    newest_us: int = 0
    """Time of the newest event so far."""
    digest: str = ""
    """Sum over the ids so far, whatever their order."""

    def afresh(self) -> "Listing":
        """
        Return the same window with nothing read.
        """
        return Listing(since_us=self.since_us, until_us=self.until_us)


class Marks(Struct, frozen=True, kw_only=True):
    """
    How far a poller has come.
    """

    start_us: int
    """Where its first run began."""
    watermark_us: int
    """Up to here the tail has read."""
    overlap_us: int
    """Up to here everything was read a second time."""
    sweep_hour: int
    """The first hour that no sweep has listed."""
    server_us: int = 0
    """OneLogin's clock at the newest answer."""
    span_us: int
    """How much time the next window takes while the tail is behind."""
    tail: Listing | None = None
    overlap: Listing | None = None
    sweep: Listing | None = None


class SweptHour(Struct, frozen=True, kw_only=True):
    """
    What the sweeps found of one hour.
    """

    hour: int
    sweeps: int
    settled: bool
    """The newest sweep found the same ids as the one before."""
    listed: int
    digest: str
    at: float
    """Unix seconds of the newest sweep, by OneLogin's clock."""
    due_us: int | None
    """When it is swept again; None when it was swept for the last time."""


class BackfillMark(Struct, frozen=True, kw_only=True):
    """
    How far a backfill has come.
    """

    since_us: int
    until_us: int
    done_us: int
    """Everything from ``since_us`` to here is in the journal."""
    span_us: int
    listing: Listing | None = None
    events: int = 0
    """Records listed."""
    new: int = 0
    """Events among them that were not known."""
    calls: int = 0
