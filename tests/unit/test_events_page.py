"""
What the events page reads: filter, list, histogram and KQL mean the same, whatever strangers put into events.
"""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.event import Channel, Entry, Kind, Way
from onelogin_connector.moments import text_of_us
from onelogin_connector.onelogin import event_types
from onelogin_connector.service.event_kql import KQL_COLUMNS, KQL_SEARCHED, kql_of, literal
from onelogin_connector.service.events import Events
from onelogin_connector.store import Store
from onelogin_connector.store.events import COLUMNS, SEARCHED, Filter
from onelogin_connector.store.listed import place_of

pytestmark = pytest.mark.anyio

NOW = 1_772_500_000
HOUR_US = 3_600_000_000
EPOCH = "first"

FRAGMENTS = [
    '"', "'", "\\", "\\\\", '\\"', "%", "_", "\n", "\r\n", "\t", "\x00", "\x1b[31m", "\u202e", "\u2066", "\u200d", "\ufeff",
    "//", "/*", "--", ";", "```", "]", "{", '@"', "| take 0", "*", "or true", "<script>", "Ä", "ä", "ß", "İ", "i", "Σ", "σ",
    "ς", "K", "😀", "\u2028", "\x85", "Anna", "anna", " ", "10.0.0.1", "$text", "?",
]  # fmt: skip
FIELDS = {
    "user": "user_name",
    "actor": "actor_user_name",
    "app": "app_name",
    "ip": "ipaddr",
}
TEXTS = {"notes": "Message", "custom_message": "CustomMessage", "user_agent": "HttpUserAgent"}


def made(offset, fields, *, time_us=NOW * 1_000_000, way=Way.WEBHOOK, connector="acme", late_us=2_000_000):
    """Return a journal entry with some fields."""
    return Entry(
        offset=offset,
        kind=Kind.ENTRY,
        key=(offset * 7919 + 1).to_bytes(16, "big"),
        of=b"",
        connector=connector,
        account=1,
        channel=Channel.WEBHOOK if way is Way.WEBHOOK else Channel.API,
        way=way,
        native=f"n{offset}",
        also=None,
        time_us=time_us,
        received_us=time_us + late_us,
        flags=0,
        raw=encode({"uuid": f"n{offset}", "account_id": 1, **fields}),
    )


def opened(path):
    """Open a store on a fixed evening."""
    return Store.open(path, names=event_types.name, clock=lambda: NOW, retention_days=36_500)


def events_of(store):
    """Return what pages ask."""
    return Events(store, lambda: EPOCH, clock=lambda: NOW, refusal=lambda: ConfigError("No store."))


class Held:
    """A store and the rows it holds, with a short name for reports."""

    def __init__(self, store, rows):
        self.store, self.rows = store, rows

    def __repr__(self):
        return "held"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """
    Give a store of events whose fields are made of what breaks queries, and the values it holds.
    """
    chance = random.Random(5)
    text = lambda: "".join(chance.choices(FRAGMENTS, k=chance.randint(0, 4)))  # noqa: E731
    store = opened(tmp_path_factory.mktemp("hostile") / "store.duckdb")
    entries = []
    for number in range(1, 201):
        fields = {column: text() for column in (*FIELDS.values(), *TEXTS)} | {
            "event_type_id": chance.choice([5, 6, 8, 990_000])
        }
        moment = NOW * 1_000_000 - chance.randrange(40) * HOUR_US - chance.randrange(3) * 500_000
        entries.append(made(number, fields, time_us=moment, connector=chance.choice(["acme", "o'b\"c"])))
    store.insert(entries, EPOCH)
    columns = ["EventKey", "TimeGenerated", *dict.fromkeys((*KQL_COLUMNS.values(), *KQL_SEARCHED))]
    rows = store.query(f"OneLogin | project {', '.join(columns)}").rows
    yield Held(store, [dict(zip(columns, row, strict=True)) for row in rows])
    store.close()


def lower(text):
    """Lower each character to one, without looking at its neighbours; only İ has more in Python: an i, and a dot."""
    return "".join(each.lower()[0] for each in text)


def fits(row, chosen):
    """Say in Python what a filter means."""
    time_us = round(row["TimeGenerated"].timestamp() * 1_000_000)
    return (
        (chosen.since_us is None or time_us >= chosen.since_us)
        and (chosen.until_us is None or time_us < chosen.until_us)
        and all(row[KQL_COLUMNS[name]] in values for name, values in chosen.values.items())
        and any(lower(chosen.text) in lower(row[column]) for column in KQL_SEARCHED)
    )


@st.composite
def filters(draw, held_here):
    """Draw a filter out of what the events hold, and of what they do not."""
    rows, values = held_here.rows, {}
    for name in sorted(draw(st.sets(st.sampled_from(sorted(KQL_COLUMNS)), max_size=2))):
        held = st.sampled_from(sorted({row[KQL_COLUMNS[name]] for row in rows}))
        strange = st.lists(st.sampled_from(FRAGMENTS), max_size=3).map("".join)
        values[name] = tuple(draw(st.lists(held | held | strange, min_size=1, max_size=3, unique=True)))
    moments = st.none() | st.integers(-45 * HOUR_US, HOUR_US).map(lambda back: NOW * 1_000_000 + back)
    text = draw(st.just("") | st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=2).map("".join))
    return Filter(since_us=draw(moments), until_us=draw(moments), values=values, text=text)


@given(data=st.data())
def test_filter_list_and_kql_mean_the_same(hostile, data):
    """
    The list, the query that is shown, and the histogram find exactly the events that the filter means.
    """
    store, rows = hostile.store, hostile.rows
    chosen = data.draw(filters(hostile))
    meant = {row["EventKey"] for row in rows if fits(row, chosen)}
    assert {place_of(event.id)[1] for event in store.events.newest(chosen, 1_000)} == meant
    kql = kql_of(chosen, limit=1_000)
    found = store.query(f"{kql}\n| project EventKey").rows
    assert {key for (key,) in found} == meant, kql
    assert sum(store.events.histogram(chosen, NOW * 1_000_000 - 48 * HOUR_US, HOUR_US).values()) == len(meant)


@given(st.text(max_size=30))
def test_any_text_is_one_literal_that_hides_nothing(hostile, text):
    """
    A text of any characters is compared as it is, and the query shows no character that turns or hides others.
    """
    store = hostile.store
    written = literal(text)
    assert all(
        ord(each) >= 32 and each not in "\x7f\x85\u2028\u2029\u202e\u2066\u200b\ufeff" for each in written
    )
    assert store.query(f"print x = {written}").rows == [(text,)]


def test_both_ways_to_ask_know_the_same_fields():
    """
    A field of the filter without its KQL column would make the shown query a lie.
    """
    assert list(COLUMNS) == list(KQL_COLUMNS)
    assert len(SEARCHED) == len(KQL_SEARCHED)


def test_values_never_become_part_of_a_statement(hostile):
    """
    A value that is SQL finds nothing and changes nothing.
    """
    store, rows = hostile.store, hostile.rows
    for attack in ("' OR 1=1 --", '"; DROP TABLE events; --', "$since", "%' OR '1'='1"):
        assert store.events.newest(Filter(values={"user": (attack,)}), 10) == []
        assert store.events.newest(Filter(text=attack), 10) == []
    assert len(store.events.newest(Filter(), 1_000)) == len(rows)


@pytest.fixture
def store(tmp_path):
    """Give an empty store."""
    made_here = opened(tmp_path / "store.duckdb")
    yield made_here
    made_here.close()


async def test_pages_show_each_event_once_newest_first(store):
    """
    Going back page by page meets every event once, also where many happened in the same microsecond.
    """
    same = [made(number, {"event_type_id": 5}) for number in range(1, 31)]
    older = [made(number, {}, time_us=(NOW - number) * 1_000_000) for number in range(31, 61)]
    store.insert([*same, *older], EPOCH)
    pages, before, seen, times = events_of(store), "", [], []
    while True:
        page = await pages.found(Filter(), range="all", before=before, limit=7)
        seen += [event.id for event in page.events]
        times += [event.time for event in page.events]
        if page.older is None:
            break
        before = page.older
    assert len(seen) == len(set(seen)) == 60
    assert times == sorted(times, reverse=True)
    pages.close()


async def test_bars_cover_the_range_and_count_everything(store):
    """
    The bars follow each other without a gap, hold every event of the range, and are few.
    """
    chance = random.Random(1)
    moments = [NOW * 1_000_000 - chance.randrange(40 * 24 * HOUR_US) for _ in range(300)]
    store.insert([made(n, {}, time_us=moment) for n, moment in enumerate(moments, 1)], EPOCH)
    pages = events_of(store)
    for range_, seconds in (("1h", 3_600), ("24h", 86_400), ("30d", 2_592_000), ("all", 10**9)):
        page = await pages.found(Filter(), range=range_, limit=10)
        expected = sum(moment >= (NOW - seconds) * 1_000_000 for moment in moments)
        assert page.total == sum(bar.count for bar in page.bars) == expected, range_
        assert len(page.bars) <= 61
        assert all(one.end == next_.start for one, next_ in zip(page.bars, page.bars[1:], strict=False))
    pages.close()


async def test_nothing_held_is_an_empty_page(store):
    """
    An empty store is no error.
    """
    pages = events_of(store)
    page = await pages.found(Filter(), range="all")
    assert (page.events, page.bars, page.total, page.newest, page.older) == ([], [], 0, None, None)
    pages.close()


async def test_arrivals_go_on_where_they_were(store):
    """
    Each look gives what came since the one before, once, by arrival and not by time; a new epoch is begun anew.
    """
    pages = events_of(store)
    store.insert([made(1, {"user_name": "Anna"})], EPOCH)
    cursor = (await pages.found(Filter(), range="all")).cursor
    assert (await pages.arrived(Filter(), cursor)).events == []
    late = made(2, {"user_name": "Ben"}, time_us=(NOW - 90_000) * 1_000_000)
    store.insert([late, made(3, {"user_name": "Anna"})], EPOCH)
    found = await pages.arrived(Filter(), cursor)
    assert [event.user for event in found.events] == ["Anna", "Ben"]
    assert not found.more
    assert (await pages.arrived(Filter(), found.cursor)).events == []
    only = await pages.arrived(Filter(values={"user": ("Ben",)}), cursor)
    assert [event.user for event in only.events] == ["Ben"]
    cut = await pages.arrived(Filter(), cursor, limit=1)
    assert (len(cut.events), cut.more) == (1, True)
    assert len((await pages.arrived(Filter(), "before.77")).events) == 3
    for strange in ("", "x", f"{EPOCH}.-1", f"{EPOCH}.{'9' * 30}", "<script>"):
        assert (await pages.arrived(Filter(), strange)).events == []
    pages.close()


async def test_an_event_in_full(store):
    """
    One event is found by its address, with its columns, its bytes and a query that finds it alone.
    """
    pages = events_of(store)
    big = {"user_name": "Anna", "notes": "x" * 60_000, "odd": {"deep": [1, "\u202e"]}}
    store.insert([made(n, big) for n in range(1, 4)], EPOCH)
    row = (await pages.found(Filter(), range="all")).events[1]
    found = await pages.one(row.id)
    assert found is not None
    assert found.columns["UserName"] == "Anna"
    assert found.columns["AdditionalFields"]
    assert "" not in found.columns.values()
    assert (found.cut, found.raw_bytes > 60_000, len(found.raw) < 40_000) == (True, True, True)
    assert await pages.raw(row.id) == made(2, big).raw or b'"notes":"xxx' in await pages.raw(row.id)
    assert [key for (key,) in store.query(f"{found.kql} | project EventKey").rows] == [place_of(row.id)[1]]
    for strange in (
        "",
        "1.2",
        f"1.{place_of(row.id)[1]}",
        "x" * 200,
        f"{'9' * 40}.{place_of(row.id)[1]}",
        "٣.x",
    ):
        assert await pages.one(strange) is None
        assert await pages.raw(strange) is None
    pages.close()


async def test_top_values_leave_out_what_no_filter_can_hold(store):
    """
    The most frequent values come first; empty ones and very long ones are no choice.
    """
    names = ["Anna"] * 3 + ["Ben"] * 5 + ["", "", "y" * 60_000]
    store.insert([made(n, {"user_name": name}) for n, name in enumerate(names, 1)], EPOCH)
    pages = events_of(store)
    found = (await pages.found(Filter(), range="all")).top["user"]
    assert [(each.value, each.count) for each in found] == [("Ben", 5), ("Anna", 3)]
    pages.close()


def test_lateness_is_counted_by_way_and_without_history(store):
    """
    What a backfill brings says nothing about how fast events arrive.
    """
    second = 1_000_000
    store.insert(
        [
            made(1, {}, late_us=second // 2),
            made(2, {}, late_us=-second),
            made(3, {}, late_us=40 * second, way=Way.POLL),
            made(4, {}, late_us=90_000 * second, way=Way.RECONCILE),
            made(5, {}, late_us=90_000 * second, way=Way.BACKFILL),
            made(6, {}, late_us=second // 2, connector="other"),
        ],
        EPOCH,
    )
    bars = store.events.lateness("acme", (NOW - 60) * second, (NOW + 60) * second)
    counted = {bar.below_seconds: (bar.webhook, bar.api) for bar in bars if bar.webhook or bar.api}
    assert counted == {1: (2, 0), 60: (0, 1), None: (0, 1)}


def test_reading_ends_when_its_time_is_over(store):
    """
    A page that would take too long says so instead of holding a thread.
    """
    store.insert([made(n, {}) for n in range(1, 9)], EPOCH)
    with pytest.raises(Unavailable, match="took longer"), store.events._reading(0.1) as cursor:
        cursor.execute("SELECT sum(range) FROM range(1_000_000_000_000)").fetchall()  # hours, were it let
    assert len(store.events.newest(Filter(), 5)) == 5


def test_times_are_whole():
    """
    Microseconds survive on their way to text.
    """
    assert text_of_us(1_772_500_000_000_001) == "2026-03-03T01:06:40.000001Z"
    assert datetime.fromisoformat(text_of_us(0)) == datetime(1970, 1, 1, tzinfo=UTC)
