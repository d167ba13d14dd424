"""
A world of audit events that are told twice, badly, and the judgement of what was made of it.

Events collide on purpose: few users, few seconds, few values. The webhook loses, repeats and reorders; the
API lists every event in the end, late and again; either writes its fields its own way or leaves them out.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from random import Random
from typing import Any
from uuid import UUID

from onelogin_connector.event import Entry, Event, Kind, Way, read

START = 1_790_000_000
COMPARED = ("group_id", "policy_id", "risk_score", "custom_message")
FINGERPRINT = ("event_type_id", "user_id", "ipaddr", "notes")
ACCOUNT = 4711


@dataclass(frozen=True)
class Truth:
    """One thing that happened."""

    number: int
    micros: int
    fields: dict[str, Any]
    uuid: str
    told_second: int
    """The second that the webhook tells."""


@dataclass
class Story:
    """What happened, and the records of it in the order of their arrival."""

    events: list[Truth]
    arrivals: list[list[Event]]
    """Requests, each of one channel."""
    delivered: set[int] = field(default_factory=set)
    """Numbers of the events of which any record arrives."""


@dataclass(frozen=True)
class Manner:
    """How this world misbehaves."""

    loss: float = 0.2
    repeats: float = 0.2
    hidden: float = 0.3
    """How often a record leaves a compared field out, at random."""
    webhook_omits: tuple[str, ...] = ()
    api_omits: tuple[str, ...] = ()
    """Compared fields that a channel never tells."""
    accounts_missing: float = 0.3
    rounds: bool = False
    drift: float = 0.0
    """How often the webhook's second is off by one, where a Correlation_id tells."""
    both: float = 0.0
    """How often a record carries both ids."""
    api: bool = True
    either_loses: float = 0.0
    """How often an event is told by one channel alone; then no two events of one second are alike."""
    seconds: int = 3
    webhook_first: float = 0.7


def tell(random: Random, manner: Manner, count: int) -> Story:
    """Make a story of so many events."""
    events = [_happen(random, manner, number) for number in range(count)]
    if manner.either_loses:
        events = list({_likeness(event): event for event in events}.values())
    story = Story(events, [])
    records: list[tuple[float, Event]] = []
    for truth in events:
        late = random.random() > manner.webhook_first
        alone = random.choice(["webhook", "api"]) if random.random() < manner.either_loses else None
        lost = alone == "api" or random.random() < manner.loss
        if not manner.api or not lost:
            raw = _write(random, truth, manner, api=False)
            times = 1 + (random.random() < manner.repeats) + (random.random() < manner.repeats / 2)
            records += [(random.random() + late, _read(raw, truth)) for _ in range(times)]
            story.delivered.add(truth.number)
        if manner.api and alone != "webhook":
            raw = _write(random, truth, manner, api=True)
            times = 1 + (random.random() < manner.repeats)
            records += [(random.random() + (not late) * 0.8, _read(raw, truth)) for _ in range(times)]
            story.delivered.add(truth.number)
        if random.random() < manner.both:
            raw = _write(random, truth, manner, api=True, uuid=truth.uuid)
            records.append((random.random() * 2, _read(raw, truth)))
    records.sort(key=lambda pair: pair[0])
    story.arrivals = list(_requests(random, [event for _, event in records]))
    return story


def _likeness(event: Truth) -> tuple[Any, ...]:
    """Return what nobody could tell two events apart by, if each were told by one channel alone."""
    tolerated = "Correlation_id" in str(event.fields["notes"])
    fields = (str(event.fields[name] or "") for name in FINGERPRINT)
    return (None if tolerated else event.told_second, *fields)


def _happen(random: Random, manner: Manner, number: int) -> Truth:
    second = START + random.randrange(manner.seconds)
    login = random.random() < 0.4
    notes = random.choice([None, "", "a  b", "Jo\u0301 & <Co>"])
    told = second
    micros = random.choice([0, 100_000, 499_999, 500_000, 999_000])
    if manner.rounds and micros >= 500_000:
        told += 1
    if login:
        notes = f"Authentication method: Login App.\nCorrelation_id: {number // 2}"
        if random.random() < manner.drift:
            told += random.choice([-1, 1])
    fields = {
        "event_type_id": random.choice([5, 8]),
        "user_id": random.choice([1, 2, None]),
        "ipaddr": random.choice(["192.0.2.1", None]),
        "notes": notes,
        **{name: random.choice([1, 2, "x"]) for name in COMPARED},
    }
    return Truth(number, second * 1_000_000 + micros, fields, str(UUID(int=random.getrandbits(128))), told)


def _write(random: Random, truth: Truth, manner: Manner, *, api: bool, uuid: str | None = None) -> bytes:
    from time import gmtime, strftime

    fields = dict(truth.fields)
    omitted = manner.api_omits if api and not uuid else manner.webhook_omits
    for name in COMPARED:
        if name in omitted or random.random() < manner.hidden:
            fields[name] = random.choice([None, ""])
    if fields["user_id"] is not None and random.random() < 0.3:
        fields["user_id"] = random.choice([str(fields["user_id"]), float(fields["user_id"])])
    if fields["notes"] and random.random() < 0.3:
        fields["notes"] = escape(fields["notes"]).replace("  ", " \n ")
    if random.random() >= manner.accounts_missing:
        fields["account_id"] = random.choice([ACCOUNT, str(ACCOUNT)])
    if api:
        clock = strftime("%Y-%m-%dT%H:%M:%S", gmtime(truth.micros // 1_000_000))
        fields["created_at"] = f"{clock}.{truth.micros % 1_000_000:06d}Z"
        fields["id"] = random.choice([truth.number + 1, str(truth.number + 1)])
        if uuid:
            fields["uuid"] = uuid
            fields["event_timestamp"] = strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(truth.told_second))
    else:
        fields["uuid"] = random.choice([truth.uuid, truth.uuid.upper()])
        fields["event_timestamp"] = strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(truth.told_second))
    fields = {name: value for name, value in fields.items() if value is not None or random.random() < 0.5}
    return json.dumps(fields).encode()


def _read(raw: bytes, truth: Truth) -> Event:
    return read(raw, connector="acme", way=Way.WEBHOOK, received_us=truth.micros + 1_000_000)


def _requests(random: Random, events: Sequence[Event]) -> Iterator[list[Event]]:
    rest = list(events)
    while rest:
        size = random.choice([1, 1, 2, 3, 10])
        yield rest[:size]
        rest = rest[size:]


@dataclass
class Row:
    """An event as a reader of the whole journal knows it."""

    webhook: bytes | None = None
    api: bytes | None = None

    def forget(self, raw: bytes) -> None:
        """Drop a record that belongs to another row now."""
        self.webhook = None if self.webhook == raw else self.webhook
        self.api = None if self.api == raw else self.api

    def told(self, names: Sequence[str]) -> dict[str, str]:
        """Return what its records tell of these fields."""
        told: dict[str, str] = {}
        for raw in (self.webhook, self.api):
            fields = json.loads(raw) if raw else {}
            told.update({name: str(fields[name]) for name in names if fields.get(name) not in (None, "")})
        return told


def rows_of(log: Sequence[Entry]) -> dict[bytes, Row]:
    """Read a journal as the store does: entries make rows, twins fill or replace a channel's record."""
    rows: dict[bytes, Row] = {}
    for entry in log:
        if entry.kind == Kind.CHANGE:
            continue
        key = entry.key if entry.kind == Kind.ENTRY else entry.of
        assert (entry.kind == Kind.ENTRY) == (key not in rows), "an entry once, its twins after it"
        if entry.kind == Kind.MOVE:
            for other in rows.values():
                other.forget(entry.raw)
        row = rows.setdefault(key, Row())
        setattr(row, "api" if entry.channel == "api" else "webhook", entry.raw)
    return rows


def unexplained(rows: Sequence[Row], events: Sequence[Truth], names: Sequence[str]) -> int:
    """Return how many rows cannot be told to be an event each, by content (maximum bipartite matching)."""
    told = [row.told(names) for row in rows]
    true = [{name: str(event.fields[name]) for name in names} for event in events]
    fits = [[j for j, fact in enumerate(true) if known.items() <= fact.items()] for known in told]
    owner: dict[int, int] = {}

    def assign(i: int, seen: set[int]) -> bool:
        for j in fits[i]:
            if j not in seen:
                seen.add(j)
                if j not in owner or assign(owner[j], seen):
                    owner[j] = i
                    return True
        return False

    return sum(not assign(i, set()) for i in range(len(told)))


def misplaced(rows: Sequence[Row], story: Story) -> int:
    """Return how many delivered records are not on exactly one row."""
    sent = Counter(event.native for request in story.arrivals for event in request)
    held: Counter[str] = Counter()
    for row in rows:
        for raw in (row.webhook, row.api):
            if raw:
                fields = json.loads(raw)
                held[str(fields["uuid"]).lower() if fields.get("uuid") else str(fields["id"])] += 1
    return sum(held[native] != 1 for native in sent)
