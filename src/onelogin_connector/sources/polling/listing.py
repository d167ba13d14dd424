"""
List a window of time page by page, each page into the journal before anything is noted of it.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b

from msgspec import Struct, structs

from onelogin_connector.errors import BadRecord, Unavailable
from onelogin_connector.event import Event, Way, read
from onelogin_connector.journal.base import Keeper, NewDeadLetter, Receipt
from onelogin_connector.marks import Listing
from onelogin_connector.sources.polling.base import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Events

WIDENED_US = SECOND_US
"""``since`` and ``until`` are worded as exclusive, and nobody shows whether they are."""

BARREN_PAGES = 3
"""So many pages in a row without a new id are no list that comes to an end."""

NARROWEST_SPAN_US = 5 * MINUTE_US
FIRST_SPAN_US = HOUR_US
WIDEST_SPAN_US = 7 * DAY_US
FEW_PAGES, MANY_PAGES = 2, 100
"""A window that took fewer pages is followed by one twice as wide, one that took more by one half as wide: few
calls for a quiet account, and not much to list again for a busy one whose listing had to begin anew."""

DIGEST_BYTES = 16


class StandingCursor(Unavailable):
    """
    The list of events does not move on.
    """


class Turned(Struct, frozen=True):
    """
    What one page brought.
    """

    listing: Listing
    """Advanced past the page."""
    done: bool
    """It was the last one."""
    date_us: int | None
    receipt: Receipt
    records: int
    hours: frozenset[int]
    """Hours of its events, when at least one of them was new."""


class Lister:
    """
    Lists one window after another for one purpose.
    """

    def __init__(
        self, connector: str, client: Events, journal: Keeper, way: Way, *, clock: Callable[[], float]
    ) -> None:
        self._connector = connector
        self._client = client
        self._journal = journal
        self._way = way
        self._clock = clock
        self._last: Listing | None = None
        self._ids: set[bytes] = set()
        self._cursors: set[str] = set()
        self._barren = 0

    async def page(self, listing: Listing, *, accept_duplicates: bool = False) -> Turned:
        """
        Bring the next page into the journal, durably.

        Raises:
            StandingCursor: The list goes in a circle, or on without anything new.
            Unavailable, Unauthorized, ConfigError, HourPruned: As the client and the journal say.
        """
        if listing != self._last:
            # another window, or one whose last page could not be noted: what was seen of it is seen again
            self._ids, self._cursors, self._barren = set(), set(), 0
            self._last = listing
        page = await self._client.events(
            since_us=max(0, listing.since_us - WIDENED_US),
            until_us=listing.until_us + WIDENED_US,
            cursor=listing.cursor,
        )
        events, bad = self._read(page.records)
        receipt = await self._append(events, bad, accept_duplicates=accept_duplicates)
        fresh = self._fresh(events)
        self._require_movement(page.cursor, moved=bool(fresh))
        within = [event for event in fresh if _within(event, listing)]
        advanced = structs.replace(
            listing,
            cursor=page.cursor,
            date_us=listing.date_us if listing.pages else page.date_us,
            pages=listing.pages + 1,
            listed=listing.listed + len(within),
            newest_us=max((listing.newest_us, *(event.sent_us or 0 for event in fresh))),
            digest=_added(listing.digest, within),
        )
        self._last = advanced
        new = receipt.entries or receipt.twins
        return Turned(
            advanced,
            page.cursor is None,
            page.date_us,
            receipt,
            len(page.records),
            frozenset(event.time_us // HOUR_US for event in events) if new else frozenset(),
        )

    def _read(self, records: Iterable[bytes]) -> tuple[list[Event], list[NewDeadLetter]]:
        events, bad = [], []
        received_us = int(self._clock() * SECOND_US)
        for raw in records:
            try:
                # without a position: a record without an id is named by its bytes alone, wherever it is listed
                events.append(read(raw, connector=self._connector, way=self._way, received_us=received_us))
            except BadRecord as error:
                letter = NewDeadLetter(
                    self._connector, "record", error.message, raw, positions={0: error.message}
                )
                bad.append(letter)
        return events, bad

    async def _append(
        self, events: list[Event], bad: list[NewDeadLetter], *, accept_duplicates: bool
    ) -> Receipt:
        """
        Append a page. Each bad record is a dead letter of its own, so that a later listing repeats its bytes.
        """
        receipt = Receipt()
        if events:
            receipt = await self._journal.append(events, accept_duplicates=accept_duplicates)
        for letter in bad:
            await self._journal.append([], letter)
        return receipt

    def _fresh(self, events: list[Event]) -> list[Event]:
        """
        Return the events that this listing has not shown yet.
        """
        fresh = []
        for event in events:
            mark = _mark(event.native)
            if mark not in self._ids:
                self._ids.add(mark)
                fresh.append(event)
        return fresh

    def _require_movement(self, cursor: str | None, *, moved: bool) -> None:
        self._barren = 0 if moved else self._barren + 1
        if cursor is None:
            return
        if cursor in self._cursors:
            raise StandingCursor(
                "OneLogin's list of events goes in a circle: it gave the same cursor twice.",
                action="It is listed again from the window's beginning; if this stays, ask OneLogin's support.",
            )
        if self._barren >= BARREN_PAGES:
            raise StandingCursor(
                f"OneLogin's list of events does not end: {self._barren} pages in a row held nothing new.",
                action="It is listed again from the window's beginning; if this stays, ask OneLogin's support.",
            )
        self._cursors.add(cursor)


def next_span_us(span_us: int, pages: int) -> int:
    """
    Return how wide the next window should be, after one of this width took so many pages.
    """
    if pages <= FEW_PAGES:
        return min(WIDEST_SPAN_US, span_us * 2)
    if pages > MANY_PAGES:
        return max(NARROWEST_SPAN_US, span_us // 2)
    return span_us


def _within(event: Event, listing: Listing) -> bool:
    # an event whose time cannot be read belongs to whatever window lists it
    return event.sent_us is None or listing.since_us <= event.sent_us < listing.until_us


def _mark(native: str) -> bytes:
    return blake2b(native.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()


def _added(digest: str, events: list[Event]) -> str:
    """
    Add ids to a digest: a sum, so that it is the same in whatever order and on whatever pages they come.
    """
    total = int(digest or "0", 16) + sum(int.from_bytes(_mark(event.native)) for event in events)
    return f"{total % 2 ** (8 * DIGEST_BYTES):0{2 * DIGEST_BYTES}x}"
