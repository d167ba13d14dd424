"""
How collection stands: one row per connector, per source of it and per sink, with figures of the last day.

Nothing here reads more than a day of events. Totals, checkpoints and rates are counters in memory, the day comes from
the store in one pass that is kept for some seconds, and changes of state from the settings database.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from onelogin_connector.errors import ConnectorError
from onelogin_connector.journal.base import ConnectorCounts
from onelogin_connector.service import standing
from onelogin_connector.service.collection import Collection, ConnectorRow, SinkRow, SourceRow, Turn
from onelogin_connector.service.meter import SLOT_SECONDS, SLOTS, Gauge, Meter
from onelogin_connector.service.standing import Beat, Stand, Word
from onelogin_connector.state import Change, Flow
from onelogin_connector.store.figures import Counted

if TYPE_CHECKING:
    from onelogin_connector.delivery import Delivery
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How often the meter looks at the counters."""

LOOKS_BETWEEN_KEEPING = 6
"""What the sinks took is kept each minute; the counters themselves are in the journal."""

FRESH_SECONDS = 5.0
"""How long the figures of the day are shown again: several people look at one page."""

STALE_SECONDS = 30.0
"""Figures up to this old are shown at once, while newer ones are counted for the next look."""

PATIENCE_SECONDS = 1.0
"""How long a page waits for newer figures before it shows those it has."""

DAY_SECONDS = 86_400.0
CHANGES_OF_PART = 200
TIMELINE = 50

EMPTY = (0,) * SLOTS
NOTHING = Counted(EMPTY, EMPTY, EMPTY, 0, 0, 0, None, None)


class Seen(NamedTuple):
    """
    What was looked up for one answer.
    """

    day: dict[str, Counted] | None
    """None without a store."""
    changes: dict[tuple[str, str], list[Change]]
    now: float

    def counted(self, connector: str) -> Counted | None:
        """
        Return the last day of a connector; None without a store.
        """
        return None if self.day is None else self.day.get(connector, NOTHING)

    def of(self, kind: str, part: str) -> list[Change]:
        """
        Return the newest changes of a part, newest first.
        """
        return self.changes.get((kind, part), [])

    def beats(self, slots: Sequence[int], changes: Sequence[Change]) -> list[Beat]:
        """
        Return the last day of a part by half hours.
        """
        return standing.beats(slots, changes, now=self.now, slot_seconds=SLOT_SECONDS)


class Collecting:
    """
    What tells how the collection of one service stands.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self.meter = Meter()
        self._day: dict[str, Counted] | None = None
        self._day_at = 0.0
        self._counting: asyncio.Task[None] | None = None
        self._resumed = False

    async def run(self) -> None:
        """
        Look at the counters until cancelled.
        """
        await asyncio.to_thread(self.resume)
        looks = 0
        while True:
            self.look()
            looks += 1
            if looks % LOOKS_BETWEEN_KEEPING == 0:
                await self.keep()
            await asyncio.sleep(LOOK_SECONDS)

    def resume(self) -> None:
        """
        Take up what the sinks took before a restart.
        """
        now, deliveries = self._service.clock(), self._service.deliveries
        flows = self._service.state.sinks.flows(after_slot=int(now // SLOT_SECONDS) - SLOTS)
        for name, flow in flows.items():
            delivery = deliveries.get(name)
            if delivery is not None:
                # after a kill the counter may be behind what was kept, and in a new journal it begins anew
                gauge = Gauge.resumed(
                    now,
                    delivery.checkpoint.delivered,
                    before=flow.delivered,
                    slots=flow.slots,
                    moved_at=flow.moved_at,
                )
                self.meter.put(f"sink {name}", gauge)
        self._resumed = True

    def attend(self, sink: str) -> None:
        """
        Count what a new sink takes from its first record on; one of that name may have been there before.
        """
        self.meter.put(f"sink {sink}", Gauge(self._service.clock(), 0))

    async def keep(self) -> None:
        """
        Keep what the sinks took; what cannot be kept now is kept a minute later.
        """
        if not self._resumed:  # a single command, which knows nothing of before
            return
        after = int(self._service.clock() // SLOT_SECONDS) - SLOTS
        flows = {
            name: Flow(gauge.value, gauge.moved_at, gauge.kept(after))
            for name in self._service.deliveries
            if (gauge := self.meter.gauge(f"sink {name}")) is not None
        }
        try:
            await asyncio.to_thread(self._service.state.sinks.save_flows, flows, before_slot=after)
        except ConnectorError as error:
            logger.debug("What the sinks took was not kept: %s", error, extra={"action": "flows_not_kept"})

    def look(self) -> None:
        """
        Take down where the counters are.
        """
        service = self._service
        counts = service.journal.counts()
        values = {
            f"connector {name}": sum(counts[name].entries.values()) if name in counts else 0
            for name in service.settings.connectors
        }
        values |= {f"sink {name}": each.checkpoint.delivered for name, each in service.deliveries.items()}
        self.meter.note(service.clock(), values)

    async def stand(self) -> Collection:
        """
        Return how collection stands now.
        """
        service = self._service
        day = await self._last_day()
        seen = Seen(day, await asyncio.to_thread(self._changes), service.clock())
        return Collection(
            at=datetime.fromtimestamp(seen.now, UTC),
            since=datetime.fromtimestamp(service.started_at, UTC),
            connectors=[self._connector(name, seen) for name in service.settings.connectors],
            sinks=[self._sink(name, seen) for name in service.settings.sinks],
            last_offset=service.journal.last_offset,
            turns=[_turn(change) for change in seen.of("", "")],
        )

    # The day.

    async def _last_day(self) -> dict[str, Counted] | None:
        """
        Return the day's figures by connector; None without a store, or before it has told any.
        """
        service = self._service
        if service.store is None:
            return None
        age = abs(service.clock() - self._day_at)
        if age >= FRESH_SECONDS and (self._counting is None or self._counting.done()):
            self._counting = asyncio.create_task(self._count(), name="figures of the day")
        if age >= STALE_SECONDS and self._counting is not None:
            # a store that is busy with something else must not keep the page from being shown
            await asyncio.wait([self._counting], timeout=PATIENCE_SECONDS)
        return self._day

    async def _count(self) -> None:
        service = self._service
        if service.store is None:
            return
        now = service.clock()
        try:
            self._day = await asyncio.to_thread(service.store.figures.last_day, now)
        except ConnectorError as error:
            logger.warning("The day's figures are not known: %s", error, extra={"action": "figures_unknown"})
        self._day_at = now

    def _changes(self) -> dict[tuple[str, str], list[Change]]:
        """
        Return the newest changes of each part by kind and id, and of all under empty names.
        """
        service, history = self._service, self._service.state.history
        wanted = [("journal", "journal")]
        wanted += [("connector", name) for name in service.settings.connectors]
        wanted += [("source", f"{name}/poller") for name in service.pulls]
        wanted += [("sink", name) for name in service.settings.sinks]
        found = {
            (kind, part): history.page(kind=kind, part=part, limit=CHANGES_OF_PART) for kind, part in wanted
        }
        return found | {("", ""): history.page(limit=TIMELINE)}

    # Connectors and their sources.

    def _connector(self, name: str, seen: Seen) -> ConnectorRow:
        service, now = self._service, seen.now
        settings = service.settings.connectors[name]
        counts = service.journal.counts().get(name) or ConnectorCounts()
        counted, own = seen.counted(name), seen.of("connector", name)
        sources = [self._webhook(name, counts, seen)]
        if name in service.pulls:
            sources.append(self._poll(name, counts, seen))
        stand = standing.worst([Stand(each.state, each.error) for each in sources])
        if service.connectors.is_stopped(name):
            stand = Stand(Word.INACTIVE)
        gauge = self.meter.gauge(f"connector {name}")
        slots = counted.slots if counted else gauge.slots(now) if gauge else EMPTY
        return ConnectorRow(
            id=name,
            name=settings.name or name,
            description=settings.description,
            origin=str(service.connectors.origin(name)),
            state=stand.word,
            since=next((each.since for each in sources if each.since and each.state is stand.word), None)
            or (_moment(own[0].at) if own else None),
            error=stand.error,
            last_event=_moment(_last_event(counts, now)),
            last_received=_moment(counts.last_received_us / 1e6),
            lag_seconds=next((each.lag_seconds for each in sources if each.kind == "poll"), None),
            events_hour=counted.hour if counted else None,
            events_day=counted.day if counted else None,
            events_total=sum(counts.entries.values()),
            rate=gauge.rate() if gauge else None,
            duplicates=counts.duplicates,
            twins=counts.twins,
            dead_letters=counts.dead,
            slots=slots,
            beats=seen.beats(slots, own),
            sources=sources,
        )

    def _webhook(self, name: str, counts: ConnectorCounts, seen: Seen) -> SourceRow:
        service, counted = self._service, seen.counted(name)
        first = counts.entries.get("webhook", 0)
        last = _seconds(counted.last_webhook_us) if counted else _last_event(counts, seen.now)
        stand = standing.of_webhook(
            stopped=service.connectors.is_stopped(name),
            refusing=" ".join(service.reasons_not_ready()),
            last=last,
            ever=bool(first) or last is not None,
            now=seen.now,
        )
        slots = counted.webhook if counted else EMPTY
        return SourceRow(
            kind="webhook",
            state=stand.word,
            since=None,
            error=stand.error,
            last_event=_moment(last),
            events_hour=counted.webhook_hour if counted else None,
            events_day=sum(slots) if counted else None,
            first=first,
            slots=slots,
            beats=seen.beats(slots, seen.of("journal", "journal")),
        )

    def _poll(self, name: str, counts: ConnectorCounts, seen: Seen) -> SourceRow:
        poller, counted, now = self._service.pulls[name].poller, seen.counted(name), seen.now
        poll_seconds = self._service.settings.connectors[name].poll_seconds
        last = _seconds(counted.last_api_us) if counted else _last_event(counts, now)
        stand = standing.of_poll(
            poller.status.state,
            poller.status.error,
            since=poller.status.since,
            last_poll=poller.last_poll,
            poll_seconds=poll_seconds,
            last=last,
            now=now,
        )
        slots, watermark = counted.api if counted else EMPTY, poller.watermark_us
        due = None
        if poller.last_poll is not None and stand.word in {Word.ACTIVE, Word.QUIET}:
            due = max(now, poller.last_poll + poll_seconds)
        return SourceRow(
            kind="poll",
            state=stand.word,
            since=_moment(poller.status.since),
            error=stand.error,
            last_event=_moment(last),
            last_poll=_moment(poller.last_poll),
            next_run=_moment(due),
            read_up_to=_moment(_seconds(watermark)),
            lag_seconds=max(0.0, now - watermark / 1e6)
            if watermark and stand.word is not Word.INACTIVE
            else None,
            events_hour=counted.api_hour if counted else None,
            events_day=sum(slots) if counted else None,
            first=counts.entries.get("api", 0),
            slots=slots,
            beats=seen.beats(slots, seen.of("source", f"{name}/poller")),
        )

    # Sinks.

    def _sink(self, name: str, seen: Seen) -> SinkRow:
        service, now = self._service, seen.now
        delivery: Delivery | None = service.deliveries.get(name)
        checkpoint = service.journal.checkpoint(name) if delivery is None else delivery.checkpoint
        gauge, lag = self.meter.gauge(f"sink {name}"), delivery.lag() if delivery else None
        status = delivery.status if delivery else None
        stand = (
            Stand(Word.INACTIVE, "It is turned off.")
            if status is None
            else standing.of_sink(status.state, status.error, since=status.since, now=now)
        )
        slots = gauge.slots(now) if gauge else EMPTY
        return SinkRow(
            name=name,
            kind=service.settings.sinks[name].kind,
            state=stand.word,
            since=_moment(status.since) if status else None,
            error=stand.error,
            last_delivery=_moment(gauge.moved_at) if gauge else None,
            backlog=lag.events if lag else 0,
            lag_seconds=round(lag.seconds, 3) if lag else 0.0,
            delivered_hour=gauge.since(3_600, now) if gauge else 0,
            delivered_day=gauge.since(DAY_SECONDS, now) if gauge else 0,
            delivered=checkpoint.delivered,
            skipped=sum(checkpoint.skipped.values()),
            owed=sum(up_to - after for after, up_to in checkpoint.owed),
            dead_letters=checkpoint.dead,
            checkpoint=checkpoint.offset,
            rate=gauge.rate() if gauge else None,
            slots=slots,
            beats=seen.beats(slots, seen.of("sink", name)),
            paused=status is not None and str(status.state) == "paused",
        )


def _last_event(counts: ConnectorCounts, now: float) -> float | None:
    """
    Return when the newest event happened, never in the future: some senders' clocks are ahead.
    """
    return min(counts.last_event_us / 1e6, now) if counts.last_event_us else None


def _seconds(us: int | None) -> float | None:
    return us / 1e6 if us else None


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _turn(change: Change) -> Turn:
    return Turn(
        datetime.fromtimestamp(change.at, UTC),
        change.kind,
        change.part,
        change.name,
        change.connector,
        change.before,
        change.state,
        change.outcome,
        change.description,
    )
