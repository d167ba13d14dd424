"""
Events for people to look at: a page of the newest with their spread over time, what has just arrived, one in full.

Reading has threads of its own, with a low priority: a page waits for no query, and intake for no page.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import DecodeError, Struct, structs
from msgspec.json import format as pretty

from onelogin_connector.errors import Unavailable
from onelogin_connector.moments import text_of_us
from onelogin_connector.service.event_kql import kql_of, literal, moment
from onelogin_connector.store import HourFigures, Store
from onelogin_connector.store.events import FacetValue, Filter, LatenessBar
from onelogin_connector.store.listed import EventRow, place_of

T = TypeVar("T")

RANGES_SECONDS = {"1h": 3_600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000}
"""Spans up to now, as KQL writes them."""
ALL = "all"

MOST_BARS = 60
WIDTHS_SECONDS = (
    1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000,
)  # fmt: skip
"""How much time a bar may stand for."""

ARRIVALS = 100
"""Of one look at what has arrived; with more, the newest."""

SHOWN_RAW_BYTES = 32_768
"""Of a record's text on a page; the whole can be downloaded."""

READING_THREADS = 2


class Bar(Struct, frozen=True):
    """
    How many events there are in a part of the time; its end does not belong to it.
    """

    start: str
    end: str
    count: int


class EventsFound(Struct, frozen=True):
    """
    What a filter lets through.
    """

    kql: str
    """The same as a query."""
    events: list[EventRow]
    older: str | None
    """The id behind which the next page begins; None where there is none."""
    cursor: str
    """From here on, later events have not been seen."""
    total: int | None
    """All that fit; None where they could not be counted in time."""
    bars: list[Bar]
    top: dict[str, list[FacetValue]]
    """Field → its most frequent values among the newest events that fit."""
    newest: str | None
    """Time of the newest event of all."""
    trouble: str
    """What could not be read in time; empty when all is there."""


class Arrivals(Struct, frozen=True):
    """
    What has come in since a cursor, the newest first.
    """

    events: list[EventRow]
    cursor: str
    """Where to go on."""
    more: bool
    """More have arrived than these."""


class EventInFull(Struct, frozen=True):
    """
    One event with everything that is known of it.
    """

    id: str
    kql: str
    """Finds it."""
    columns: dict[str, Any]
    """As queries see it; empty columns are left out."""
    raw: str
    """Its record as received, indented and cut at some length."""
    raw_bytes: int
    cut: bool
    twin: str
    """The record of the other channel, where it differs."""
    twin_bytes: int


class Events:
    """
    Answers pages about events.
    """

    def __init__(
        self,
        store: Store | None,
        epoch: Callable[[], str],
        *,
        clock: Callable[[], float],
        refusal: Callable[[], Exception],
        initializer: Callable[[], None] | None = None,
    ) -> None:
        """
        Read nothing yet.

        Args:
            epoch: Returns the journal's epoch.
            refusal: Makes what is raised where there is no store.
            initializer: Called in each reading thread as it starts.
        """
        self._store = store
        self._epoch = epoch
        self._clock = clock
        self._refusal = refusal
        self._threads = ThreadPoolExecutor(READING_THREADS, "pages", initializer=initializer)

    async def found(
        self, chosen: Filter, *, range: str = "", before: str = "", limit: int = 100
    ) -> EventsFound:
        """
        Return a page of events.

        Args:
            range: A name of ``RANGES_SECONDS`` or ``all``, which stands for the filter's time; else empty.
            before: Id of the event behind which to go on.

        Raises:
            Unavailable: The store cannot be read.
        """
        return await self._read(lambda store: self._found(store, chosen, range, before, limit))

    async def arrived(self, chosen: Filter, cursor: str, limit: int = ARRIVALS) -> Arrivals:
        """
        Return what has come in since a cursor; a strange cursor means since now.

        Raises:
            Unavailable: The store cannot be read.
        """
        return await self._read(lambda store: self._arrived(store, chosen, cursor, limit))

    async def one(self, id: str) -> EventInFull | None:
        """
        Return an event in full; None where there is none of this id.

        Raises:
            Unavailable: The store cannot be read.
        """
        return await self._read(lambda store: _in_full(store, id))

    async def raw(self, id: str, *, twin: bool = False) -> bytes | None:
        """
        Return an event's record as received, or that of the other channel.

        Raises:
            Unavailable: The store cannot be read.
        """

        def read(store: Store) -> bytes | None:
            place = place_of(id)
            found = store.events.one(*place) if place else None
            return None if found is None else found[2] if twin else found[1]

        return await self._read(read)

    async def lateness(self, connector: str, since_us: int, until_us: int) -> list[LatenessBar]:
        """
        Return how long after they happened a connector's events arrived.

        Raises:
            Unavailable: The store cannot be read.
        """
        return await self._read(lambda store: store.events.lateness(connector, since_us, until_us))

    async def hours(self, connector: str, since_us: int, until_us: int) -> list[HourFigures]:
        """
        Return completeness as the store has it now, without waiting for what is on its way.

        Raises:
            Unavailable: The store cannot be read.
        """
        return await self._read(lambda store: store.completeness(connector, since_us, until_us))

    def close(self) -> None:
        """
        Let the threads go.
        """
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _read(self, ask: Callable[[Store], T]) -> T:
        store = self._store
        if store is None:
            raise self._refusal()
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: ask(store))

    def _found(self, store: Store, chosen: Filter, range: str, before: str, limit: int) -> EventsFound:
        now_us = int(self._clock() * 1_000_000)
        ago = range if range in RANGES_SECONDS else ""
        if ago:
            since_us = now_us - RANGES_SECONDS[ago] * 1_000_000
            chosen = structs.replace(chosen, since_us=since_us, until_us=None)
        elif range == ALL:
            chosen = structs.replace(chosen, since_us=None, until_us=None)
        cursor = self._cursor(store)
        rows = store.events.newest(chosen, limit + 1, before=place_of(before))
        whole = store.events.span()
        trouble, bars, top = "", [], {}
        try:
            bars = _bars(store, chosen, whole, now_us)
            top = store.events.facets(chosen)
        except Unavailable as error:  # the list itself is there
            trouble = f"{error.message} {error.action}"
        shown = rows[:limit]
        return EventsFound(
            kql=kql_of(chosen, ago=ago, limit=limit),
            events=shown,
            older=shown[-1].id if len(rows) > limit else None,
            cursor=cursor,
            total=None if trouble else sum(bar.count for bar in bars),
            bars=bars,
            top=top,
            newest=text_of_us(whole[1]) if whole else None,
            trouble=trouble,
        )

    def _arrived(self, store: Store, chosen: Filter, cursor: str, limit: int) -> Arrivals:
        epoch = self._epoch()
        upto = store.position(epoch) or 0
        of, _, offset = cursor.rpartition(".")
        # of another epoch nothing more comes, and the present one may have begun since
        after = upto if not offset.isdecimal() or len(offset) > 18 else int(offset) if of == epoch else 0
        rows = store.events.arrived(chosen, epoch, after, upto, limit + 1) if after < upto else []
        return Arrivals(rows[:limit], f"{epoch}.{upto}", len(rows) > limit)

    def _cursor(self, store: Store) -> str:
        epoch = self._epoch()
        return f"{epoch}.{store.position(epoch) or 0}"


def _bars(store: Store, chosen: Filter, whole: tuple[int, int] | None, now_us: int) -> list[Bar]:
    if whole is None:
        return []
    start_us = whole[0] if chosen.since_us is None else chosen.since_us
    end_us = max(now_us, whole[1] + 1) if chosen.until_us is None else chosen.until_us
    if end_us <= start_us:
        return []
    span_us = end_us - start_us
    width_us = 1_000_000 * next(
        (width for width in WIDTHS_SECONDS if span_us <= width * 1_000_000 * (MOST_BARS - 1)),
        -(-span_us // (1_000_000 * (MOST_BARS - 1))),
    )
    first_us = start_us // width_us * width_us  # bars begin at whole minutes, hours, days
    counts = store.events.histogram(chosen, first_us, width_us)
    return [
        Bar(text_of_us(first_us + n * width_us), text_of_us(first_us + (n + 1) * width_us), counts.get(n, 0))
        for n in range(-(-(end_us - first_us) // width_us))
    ]


def _in_full(store: Store, id: str) -> EventInFull | None:
    place = place_of(id)
    found = store.events.one(*place) if place else None
    if place is None or found is None:
        return None
    columns, raw, twin = found
    text, cut = _readable(raw)
    other, also_cut = _readable(twin) if twin is not None else ("", False)
    return EventInFull(
        id=id,
        kql=f"OneLogin\n| where TimeGenerated == {moment(place[0])} and EventKey == {literal(place[1])}",
        columns={name: value for name, value in columns.items() if value not in (None, "")},
        raw=text,
        raw_bytes=len(raw),
        cut=cut or also_cut,
        twin=other,
        twin_bytes=len(twin or b""),
    )


def _readable(raw: bytes) -> tuple[str, bool]:
    try:
        text = pretty(raw, indent=2).decode(errors="replace")
    except (DecodeError, UnicodeDecodeError, RecursionError):
        text = raw.decode(errors="replace")
    return text[:SHOWN_RAW_BYTES], len(text) > SHOWN_RAW_BYTES
