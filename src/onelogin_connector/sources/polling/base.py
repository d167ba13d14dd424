"""
What a poller needs of others: the API it lists, and a place for how far it has come.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from onelogin_connector.marks import BackfillMark, Marks, SweptHour

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

PAGE_RECORDS = 50
"""As many as a page of the Events API holds."""


class Page(Protocol):
    """
    One answer of the Events API.
    """

    @property
    def records(self) -> Sequence[bytes]:
        """The events as received."""
        ...

    @property
    def cursor(self) -> str | None:
        """Where the next page begins; None after the last one."""
        ...

    @property
    def date_us(self) -> int | None:
        """The server's clock, microseconds since 1970; None if it did not say."""
        ...


class Events(Protocol):
    """
    The Events API of one account.
    """

    async def events(
        self, *, since_us: int, until_us: int, cursor: str | None = None, limit: int = PAGE_RECORDS
    ) -> Page:
        """
        Return one page of the events of a window.

        Raises:
            Unavailable: Try again, after the seconds it names.
            Unauthorized: The credential is not accepted.
            ConfigError: The request will never be accepted as it is.
        """
        ...


class Progress(Protocol):
    """
    Where a poller keeps how far it has come. Every call is durable when it returns, and may block.
    """

    def load(self) -> Marks | None:
        """Return the marks; None before the first page."""
        ...

    def save(self, marks: Marks, swept: SweptHour | None = None) -> None:
        """Replace the marks, together with an hour that was swept, if any."""
        ...

    def hour(self, hour: int) -> SweptHour | None:
        """Return what is known of an hour."""
        ...

    def due_hour(self, now_us: int) -> SweptHour | None:
        """Return the hour whose next sweep has been due for longest."""
        ...

    def reopen(self, hours: Iterable[int], due_us: int) -> list[SweptHour]:
        """Let settled hours be swept again; returns those that were settled."""
        ...

    def load_backfill(self) -> BackfillMark | None:
        """Return the unfinished backfill, if there is one."""
        ...

    def save_backfill(self, mark: BackfillMark | None) -> None:
        """Replace the unfinished backfill; None when it is finished."""
        ...
