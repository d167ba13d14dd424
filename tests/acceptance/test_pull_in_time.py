"""
A day and more of the running program, hour by hour: webhooks lost, an API late by minutes and by hours, two kills.
"""

import asyncio
import sys
from bisect import bisect
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from msgspec.json import encode
from msgspec.structs import asdict

from acceptance.conftest import Program
from acceptance.hurry import Clock
from acceptance.promises import (
    MINUTE_US,
    OVERLAP_DONE_US,
    SAID,
    SECOND_US,
    Promises,
    ages,
    content,
    late_us,
)
from acceptance.telling import REQUEST_SECONDS, TOKEN, Telling
from onelogin_connector.simulator.company import HOUR_US, Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.listing import Delay
from onelogin_connector.simulator.serving import bind, serving, url_of
from onelogin_connector.simulator.webhooks import Faults

START_US = 1_795_165_200_000_000  # nine in the morning of a Friday
END_US = START_US + 27 * HOUR_US + 25 * MINUTE_US
"""Three hours were listed for the last time by then, and once more where that changed them."""
LATE = (
    Delay(0.08, 450, 590),  # found when recent time is read again
    Delay(0.04, 700, 3_500),  # by the sweep after an hour, if not sooner
    Delay(0.02, 7_200, 72_000),  # by that after six or after 24
    Delay(0.005, 97_200, 108_000),  # by none
)
USUAL_SECONDS = 20.0
FAULTS = Faults(lost=0.1, repeated=0.05, swapped=0.1, seed=6)
COMPANY_SEED = 42
CALLS_AN_HOUR = 150
"""A poll a minute, and less than one and a half times as much for all the rest; the account has 5,000."""
LISTED_TIMES = 5.2
"""By the tail, the overlap and three sweeps; the borders of windows are listed by both."""
FORGED = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """
    Tell the story to the program; what it then holds and says is judged by each test.
    """
    folder = tmp_path_factory.mktemp("told")
    clock = Clock.made(folder / "clock", START_US / 1e6)
    program = Program(
        folder, [sys.executable, str(Path(__file__).with_name("hurry.py")), str(folder / "clock")]
    )
    try:
        yield asyncio.run(tell(program, clock))
    finally:
        program.kill()


async def tell(program, clock):
    """
    Let the story happen; returns what there is to judge.
    """
    listener = bind()
    telling = Telling(
        program,
        clock,
        Company(COMPANY_SEED, people=40, events_per_day=2_500),
        settings=settings(program.folder, url_of(listener)),
        faults=FAULTS,
        delays=LATE,
        usual_seconds=USUAL_SECONDS,
    )
    telling.kill_webhook_at, telling.kill_sweep_at = START_US / 1e6 + 9_000, START_US / 1e6 + 4.5 * 3_600
    async with serving(telling, listener):
        forging = asyncio.create_task(forge(telling, clock))
        await telling.tell(END_US / 1e6)
        await forging
        return await asyncio.to_thread(Outcome, telling, program)


async def forge(telling, clock):
    """
    Send an event that never happened, half an hour after the start.
    """
    await clock.sleep(1_800)
    body = encode(
        [{"uuid": FORGED, "event_timestamp": f"{text(START_US + HOUR_US // 2)} UTC", "event_type_id": 5}]
    )
    async with httpx2.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as client:
        assert await telling.post(client, body) == 200


class Outcome:
    """
    What the program holds and says, and what it should.
    """

    def __init__(self, telling, program):
        self.telling = telling
        listed = list(telling.api.account.listing.whole(START_US, END_US))
        self.promises = Promises(listed, telling.told.uuids, START_US + HOUR_US // 2, END_US)
        self.by_number = {each.id: each for each in listed}
        self.by_uuid = {each.happening.uuid: each for each in listed}
        held = program.drained().rows(
            "OneLogin | project EventId, UUID, EventTime, ReceivedTime, ListedByApi, Unconfirmed, Raw"
        )
        self.rows = [row for row in held if row["UUID"] != FORGED]
        self.forged = [row for row in held if row["UUID"] == FORGED]
        figures = program.rows("OneLoginConnectorCompleteness | where ConnectorId == 'acme'")
        self.hours = {micros(row["TimeGenerated"]) // HOUR_US: row for row in figures}
        self.connector = program.status()["connectors"][0]
        self.log = program.log()


def settings(folder, url):
    """
    Write the connector's settings: everything about polling is as it is by default.
    """
    (folder / "secret").write_text(CLIENT_SECRET)
    (folder / "token").write_text(TOKEN)
    return f"""
        [connectors.acme]
        api_url = "{url}"
        client_id = "{CLIENT_ID}"
        client_secret = {{ file = "secret" }}
        webhook_tokens = [{{ file = "token" }}]
        start = {text(START_US).replace(" ", "T")}Z
    """


def text(time_us):
    """
    Write a moment as people do.
    """
    return f"{datetime.fromtimestamp(time_us // SECOND_US, UTC):%Y-%m-%d %H:%M:%S}"


def micros(text):
    """
    Read a time of an answer as microseconds since 1970.
    """
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def test_the_story_is_as_hard_as_it_is_meant_to_be(told):
    """
    Its premises hold: both kills came in the middle, every kind of lateness and loss is there, nothing is ambiguous.
    """
    promises, what = told.promises, told.telling.told
    assert promises.premises() == []
    assert sorted(what.kills) == ["sweep", "webhook"]
    assert what.refused > 0
    lost = [each for each in promises.listed if each.happening.uuid not in what.uuids]
    assert 0.05 < len(lost) / len(promises.listed) < 0.2
    waits = [promises.held_by_us(each) for each in lost]
    assert None in waits
    for least, most in ((450, 590), (700, 3_500), (7_200, 72_000), (97_200, 108_000)):
        assert sum(least * 1e6 <= late_us(each) <= most * 1e6 for each in lost) > 0
    assert [each.id for each in promises.listed] != [
        each.id for each in sorted(promises.listed, key=lambda e: e.time_us)
    ]


def test_every_event_is_held_once(told):
    """
    G3, G4: as many rows as events, each with the content of an event, and each record in one row.
    """
    promised = told.promises.rows()
    held = Counter(said(row) for row in told.rows)
    assert held.total() > 2_000
    wrong = {same: held[same] for same, (least, most) in promised.items() if not least <= held[same] <= most}
    assert wrong == {}
    assert held.keys() <= promised.keys()
    numbers = Counter(row["EventId"] for row in told.rows if row["ListedByApi"])
    uuids = Counter(row["UUID"] for row in told.rows if row["UUID"])
    assert set(numbers.values()) == set(uuids.values()) == {1}
    assert set(uuids) == told.telling.told.uuids
    assert numbers.keys() >= {
        each.id
        for each in told.promises.listed
        if (by_us := told.promises.held_by_us(each)) and by_us <= END_US
    }
    for row in told.rows:
        if row["UUID"] and row["ListedByApi"]:
            webhook, api = told.by_uuid[row["UUID"]], told.by_number[row["EventId"]]
            assert content(webhook.happening) == content(api.happening)


def test_what_webhooks_lost_is_there_when_it_is_promised(told):
    """
    The tail, the overlap and each of the three sweeps find what is theirs, and no later than that.
    """
    found = Counter()
    for row in told.rows:
        if row["UUID"]:
            continue
        each = told.by_number[row["EventId"]]
        by_us = told.promises.held_by_us(each)
        assert by_us is not None, f"{row} is not promised"
        assert each.appears_us <= micros(row["ReceivedTime"]) <= by_us, f"{row} was promised by {text(by_us)}"
        found[by_us - each.time_us > OVERLAP_DONE_US, bisect(ages(each), by_us)] += 1
    assert {(False, 0), (True, 1), (True, 2), (True, 3)} <= found.keys(), found


def test_the_figures_are_those_of_the_story(told):
    """
    Each hour that was swept says what the story says: listed, matched, repaired, late, unconfirmed, settled.
    """
    first = START_US // HOUR_US
    expected = {hour: figures for hour in range(first, first + 27) if (figures := told.promises.hour(hour))}
    assert len(expected) == 26
    for hour, figures in expected.items():
        assert {name: told.hours[hour][name] for name in asdict(figures)} == asdict(figures), hour - first
    last = [expected[hour] for hour in range(first, first + 3)]
    assert all(hour.Settled and hour.Repaired and hour.Matched and hour.Late for hour in last)
    assert {hour.Sweeps for hour in last} == {3, 4}
    assert sum(hour.Unconfirmed or 0 for hour in last) > 1
    assert {hour.Settled for hour in expected.values()} == {True, False}


def test_what_never_happened_is_marked(told):
    """
    A forged event is kept and unconfirmed; so are those that no listing of three days showed, and no others.
    """
    assert [row["Unconfirmed"] for row in told.forged] == [True]
    over = (START_US // HOUR_US + 3) * HOUR_US
    marked = {row["UUID"] for row in told.rows if row["Unconfirmed"]}
    never = [each for each in told.promises.listed if told.promises.never(each) and each.time_us < over]
    assert marked == {each.happening.uuid for each in never} & told.telling.told.uuids


def test_it_was_polite_and_well(told):
    """
    The API is asked about once a minute, no event is listed more than five times, and all is well.
    """
    hours = Counter(int(call.at) // 3_600 for call in told.telling.told.calls)
    assert max(hours.values()) <= CALLS_AN_HOUR
    assert min(count for hour, count in hours.items() if hour < END_US // HOUR_US) >= 25
    numbers = sum(1 for row in told.rows if row["ListedByApi"])
    assert told.telling.api.records / numbers <= LISTED_TIMES
    statuses = Counter(
        status for path, status in told.telling.api.calls.elements() if path.startswith("/api/")
    )
    assert statuses.keys() <= {200, 401}
    assert statuses[401] <= 3  # the token lives ten hours, and may end on the way
    assert told.connector["state"] == "ok"
    assert "Traceback" not in told.log


def said(row):
    """
    Return what a row says, as ``content`` says it of an event.
    """
    values = [row["Raw"].get(name) for name in SAID]
    return (micros(row["EventTime"]) // SECOND_US, *("" if value is None else str(value) for value in values))
