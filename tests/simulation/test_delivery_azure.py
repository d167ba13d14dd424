"""
Delivery into both ingestion APIs under every fault: each event accepted once where the fault allows, or dead with a reason.
"""

import asyncio
import math
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from onelogin_connector.azure.credentials import ClientSecret
from onelogin_connector.delivery import Options
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.setting import HttpUrl, Secret
from onelogin_connector.simulator.azure.subscription import (
    CLIENT_ID,
    CLIENT_SECRET,
    LEGACY_ID,
    RULE_ID,
    TENANT_ID,
    WORKSPACE_KEY,
)
from onelogin_connector.simulator.azure.trouble import Endpoint, Fault, Trouble
from onelogin_connector.simulator.azure.wire import Wire
from onelogin_connector.sinks.data_collector import DataCollector
from onelogin_connector.sinks.data_collector import Settings as CollectorSettings
from onelogin_connector.sinks.logs_ingestion import LogsIngestion
from onelogin_connector.sinks.logs_ingestion import Settings as IngestionSettings
from tests.simulation.azure_world import GRACE_SECONDS, NOW, World, events

URL = HttpUrl("http://127.0.0.1:9")
DAY = 86_400.0
KINDS = ("logs_ingestion", "data_collector")


def data_collector(world: World) -> DataCollector:
    """Make the older sink."""
    chosen = CollectorSettings(workspace_id=LEGACY_ID, workspace_key=Secret(WORKSPACE_KEY), endpoint=URL)
    return DataCollector(chosen, clock=world.clock, transport=Wire(world.api))


def logs_ingestion(world: World) -> LogsIngestion:
    """Make the newer sink, with a client secret that the simulated sign-in accepts."""
    chosen = IngestionSettings(
        endpoint=URL,
        rule_id=RULE_ID,
        table="OneLogin_CL",
        credential=ClientSecret(
            tenant_id=TENANT_ID, client_id=CLIENT_ID, client_secret=Secret(CLIENT_SECRET), authority=URL
        ),
    )
    return LogsIngestion(chosen, clock=world.clock, transport=Wire(world.api))


def world_of(kind: str, **options: Any) -> World:
    """Set a stage for a kind of sink."""
    return World({"data_collector": data_collector, "logs_ingestion": logs_ingestion}[kind], **options)


def told(kind: str, count: int = 40, *, doubled: int | None = 0, before: Any = None, **fault: Any) -> World:
    """Bring events through one fault, and judge."""

    async def story() -> World:
        world = world_of(kind)
        if before is not None:
            before(world)
        await world.take_in(events(count))
        if fault:
            world.fail(**fault)
        await world.deliver()
        world.judge(doubled=doubled)
        return world

    return asyncio.run(story())


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_fault_everything_arrives_at_once(kind):
    """One call, every column, nothing lost on the way, nothing waited for."""
    world = told(kind, 300)
    assert len([call for call in world.api.calls if call.rows]) == 1
    assert world.delivery.status.counts["failures"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_backlog_goes_out_in_full_calls(kind):
    """No call is refused for its size, and few calls carry it."""
    world = told(kind, 3_000)
    calls = [call for call in world.api.calls if call.rows]
    assert {call.status for call in world.api.calls} <= {200, 204}
    size = sum(len(encode(row)) for row in world.rows())
    assert len(calls) <= (math.ceil(size / (0.8 * 1_048_576)) + 1 if kind == "logs_ingestion" else 3)


TRANSIENT = {
    "408": {"trouble": "status", "status": 408, "times": 3},
    "429": {"trouble": "status", "status": 429, "times": 3},
    "500": {"trouble": "status", "status": 500, "times": 3},
    "502": {"trouble": "status", "status": 502, "times": 3},
    "503": {"trouble": "status", "status": 503, "times": 3},
    "504": {"trouble": "status", "status": 504, "times": 3},
    "401": {"trouble": "status", "status": 401, "times": 3},
    "403": {"trouble": "status", "status": 403, "times": 3},
    "404": {"trouble": "status", "status": 404, "times": 3},
    "409": {"trouble": "status", "status": 409, "times": 3},
    "400 once": {"trouble": "status", "status": 400, "times": 1},
    "413 for one": {"trouble": "status", "status": 413, "times": 1},
    "413 for some": {"trouble": "status", "status": 413, "times": 4},
    "connection refused": {"trouble": "down", "times": 3},
    "reset in the body": {"trouble": "reset", "times": 3},
    "no answer": {"trouble": "hang", "times": 3},
    "refusal cut off": {"trouble": "cut_refusal", "status": 503, "times": 3},
    "page of a proxy": {"trouble": "page", "times": 3},
    "redirect": {"trouble": "redirect", "times": 3},
    "slow": {"trouble": "slow", "wait_seconds": 20, "times": 3},
    "status without meaning": {"trouble": "status", "status": 299, "times": 1},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_what_passes_costs_nothing(kind, fault):
    """A fault in which nothing was accepted ends with each event there once, and no dead letter."""
    where = Endpoint.INGESTION if kind == "logs_ingestion" else Endpoint.COLLECTOR
    world = told(kind, where=where, **fault)
    assert any(call.trouble for call in world.api.calls), "the fault was never met"
    errors = [error for _, _, error in world.states if error]
    assert not [error for error in errors if re.match(r"\w+(Error|Timeout|Exception): ", error)], (
        "not in our words"
    )
    assert world.now - NOW < 3_600


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", ["lost_answer", "late_answer"])
def test_a_lost_answer_may_double_and_loses_nothing(kind, trouble):
    """Nobody can know whether it was accepted: rows come twice, exactly those of the calls in doubt."""
    where = Endpoint.INGESTION if kind == "logs_ingestion" else Endpoint.COLLECTOR
    world = told(kind, doubled=None, trouble=trouble, times=2, where=where)
    accepted = world.accepted()
    assert sum(accepted.values()) - len(accepted) == world.doubtful() == 80


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_whose_status_came_is_believed(kind):
    """The connection broke behind the status of success: the events are not sent again."""
    where = Endpoint.INGESTION if kind == "logs_ingestion" else Endpoint.COLLECTOR
    told(kind, trouble="cut_answer", times=1, where=where)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("asked", "least"),
    [
        ({"retry_after": 100}, 100),
        ({"retry_after": 100, "retry_as_date": True}, 100),
        ({"retry_after": "soon"}, 0),
        ({}, 0),
        ({"retry_after": -5}, 0),
        ({"retry_after": 10**9}, 600),
    ],
    ids=["seconds", "date", "nonsense", "absent", "negative", "absurd"],
)
def test_retry_after_is_kept_in_every_form(kind, asked, least):
    """No call comes earlier than the service asked, and none an unreasonable time later."""
    where = Endpoint.INGESTION if kind == "logs_ingestion" else Endpoint.COLLECTOR
    world = told(kind, trouble="status", status=429, times=3, where=where, **asked)
    calls = [call.at for call in world.api.calls if call.path == "/api/logs" or "/streams/" in call.path]
    gaps = [later - earlier for earlier, later in pairwise(calls)]
    assert len(gaps) == 3
    assert all(least <= gap <= max(4 * least, 61, 3_700 if least == 600 else 0) for gap in gaps), gaps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "poisoned", [[0], [39], [17], [3, 4, 5], [0, 20, 39], list(range(0, 40, 2))], ids=str
)
def test_poison_dies_alone(kind, poisoned):
    """The records the service cannot take are dead letters with its reason; the others are there once."""

    async def story() -> World:
        world = world_of(kind)
        world.poison()
        await world.take_in(events(40, poisoned=poisoned))
        await world.deliver()
        world.judge()
        return world

    world = asyncio.run(story())
    assert len(world.dead()) == len(poisoned)
    assert all("HTTP 400" in reason for reason in world.dead().values())
    log_calls = math.ceil(math.log2(40)) + 2
    assert len(world.api.calls) <= len(poisoned) * log_calls + 5


@pytest.mark.parametrize("kind", KINDS)
def test_poison_while_the_service_is_failing(kind):
    """The search for the record at fault is broken off by an outage, and goes on without doubling."""

    async def story() -> None:
        for skip in range(12):
            world = world_of(kind)
            where = Endpoint.INGESTION if kind == "logs_ingestion" else Endpoint.COLLECTOR
            world.fail("status", status=503, skip=skip, times=2, where=where)
            world.poison()
            await world.take_in(events(40, poisoned=[7, 30]))
            await world.deliver()
            world.judge()

    asyncio.run(story())


def test_tokens_that_end_between_batches_are_renewed():
    """Each batch goes with a token that is valid, and no event waits for a person."""

    async def story() -> World:
        world = world_of("logs_ingestion", token_seconds=600)
        for number in range(20):
            await world.take_in(events(200)[number * 10 : number * 10 + 10])
            await world.deliver()
            world.now += 137
        world.judge()
        return world

    world = asyncio.run(story())
    assert [call.status for call in world.api.calls if "/streams/" in call.path] == [204] * 20
    assert 4 <= world.subscription.entra.given <= 20
    assert "paused" not in {state for _, state, _ in world.states}


def test_a_token_revoked_on_the_way_is_renewed_at_once():
    """A 401 for a token that should be good brings a new one; that takes no five minutes."""
    world = told(
        "logs_ingestion", before=lambda world: world.fail("revoked", times=1, where=Endpoint.INGESTION)
    )
    assert world.subscription.entra.given == 2
    assert world.now - NOW < 60


@pytest.mark.parametrize(
    "fault",
    [
        {"trouble": "status", "status": 503, "times": 4},
        {"trouble": "status", "status": 429, "times": 4, "retry_after": 30},
        {"trouble": "down", "times": 4},
        {"trouble": "hang", "times": 4},
        {"trouble": "page", "times": 4},
        {"trouble": "cut_refusal", "times": 4, "status": 500},
    ],
    ids=lambda fault: fault["trouble"],
)
def test_trouble_with_signing_in_heals(fault):
    """Where tokens come from may fail too; nothing is lost, and nothing is sent without one."""
    told("logs_ingestion", where=Endpoint.TOKEN, **fault)


@pytest.mark.parametrize(("trouble", "hours"), [("no_role", 0.5), ("no_role", 7.0)])
def test_a_missing_role_is_named_and_heals(trouble, hours):
    """While the role is missing the status names it; when it is back everything goes out, once."""

    async def story() -> World:
        world = world_of("logs_ingestion")
        world.fail(trouble, seconds=hours * 3_600)
        await world.take_in(events(40))
        await world.deliver()
        world.judge()
        return world

    world = asyncio.run(story())
    states = {state: error for _, state, error in world.states if error}
    assert "Monitoring Metrics Publisher" in states["paused"]
    assert hours * 3_600 <= world.now - NOW <= hours * 3_600 + 600
    assert len(world.api.calls) < 20 + 20 * hours


def test_a_role_that_propagates_late_needs_nobody():
    """The first start, before the role works: half an hour later everything is there."""

    async def story() -> None:
        world = world_of("logs_ingestion", propagation_seconds=1_800)
        await world.take_in(events(40))
        await world.deliver()
        world.judge()
        assert world.now - NOW <= 2_400

    asyncio.run(story())


def test_a_regenerated_key_is_named_and_heals():
    """The older API's key was changed and changed back: the status says so, and nothing is dead."""

    async def story() -> World:
        world = world_of("data_collector")
        world.fail("status", status=403, code="InvalidAuthorization", seconds=7_200)
        await world.take_in(events(40))
        await world.deliver()
        world.judge()
        return world

    world = asyncio.run(story())
    assert any(state == "paused" and "key" in error for _, state, error in world.states)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_rule_or_workspace_kills_no_event(kind):
    """404 for hours is a setting's fault: it is said, tried slowly, and no event is dead."""

    async def story() -> World:
        world = world_of(kind)
        where = Endpoint.INGESTION if kind == "logs_ingestion" else Endpoint.COLLECTOR
        world.fail("status", status=404, seconds=4 * 3_600, where=where)
        await world.take_in(events(40))
        await world.deliver()
        world.judge()
        return world

    world = asyncio.run(story())
    errors = " ".join(error for _, _, error in world.states)
    assert "404" in errors
    assert len(world.api.calls) < 300


@pytest.mark.parametrize(
    ("kind", "fault", "total"),
    [
        ("logs_ingestion", {"trouble": "status", "status": 503, "retry_after": 600}, 8_640),
        ("data_collector", {"trouble": "status", "status": 503, "retry_after": 600}, 4_320),
        ("logs_ingestion", {"trouble": "down"}, 144),  # a try a minute costs its encoding each time
    ],
    ids=["503", "503 of the older API", "down"],
)
def test_a_day_down_with_a_growing_backlog(kind, fault, total, tmp_path):
    """The journal holds a day of events on disk; when the destination is back each is accepted, once."""

    async def story() -> None:
        journal = LmdbJournal(tmp_path / "journal", reserve_bytes=1 << 20)
        world = world_of(kind, journal=journal)
        stock = events(total)
        world.fail(seconds=DAY, **fault)
        taken = starts = 0
        while world.now < NOW + DAY - 4_000:
            starts += 1
            due = int((world.now - NOW) * total / DAY) + 1
            await world.take_in(stock[taken:due])
            taken = due
            await world.deliver(until=world.now + 1_800)
        await world.take_in(stock[taken:])
        assert not world.accepted()
        assert world.delivery.lag().events == total
        assert len(world.api.calls) <= len(world.waits) + starts, "it tries again without a wait"
        # from half a second on they double to a minute, less up to a half: seven of each start are under half a minute
        short = [wait for wait in world.waits if wait < 30]
        assert len(short) <= 7 * starts, "it hammers a destination that is down"
        await world.deliver()
        world.judge()
        assert world.now < NOW + DAY + 700, "the backlog waits although the destination is back"
        assert len([call for call in world.api.calls if call.rows]) < 60, (
            "the backlog goes out in large calls"
        )
        await journal.close()

    asyncio.run(story())


@pytest.mark.parametrize("kind", KINDS)
def test_a_backlog_of_days_is_not_passed_over_for_its_age(kind):
    """Events that grew old in the backlog are sent all the same; only their TimeGenerated is the arrival's."""

    async def story() -> None:
        world = world_of(kind)
        await world.take_in(events(40))
        world.fail("status", status=503, retry_after=3_600, seconds=3 * DAY)
        await world.deliver()
        assert set(world.accepted().values()) == {1}
        assert len(world.accepted()) == 40
        (kept,) = {each.why for each in (world.subscription.sentinel.lost | world.subscription.legacy.lost)}
        assert kept == "replaced by arrival"
        assert all(row["event_timestamp_s"] < row["TimeGenerated"] for row in world.rows())

    asyncio.run(story())


FAULTS = st.builds(
    lambda trouble, status, seconds, times, skip, retry_after, as_date, where: Fault(
        trouble=trouble, status=status, seconds=seconds, times=times, skip=skip, retry_after=retry_after,
        retry_as_date=as_date, where=where, wait_seconds=5,
    ),
    st.sampled_from(sorted(set(Trouble) - {Trouble.POISON, Trouble.LOST_ROWS})),
    st.sampled_from([401, 403, 404, 408, 409, 413, 429, 500, 502, 503, 504]),
    st.sampled_from([30.0, 1_000.0, 20_000.0]),
    st.integers(1, 5) | st.none(),
    st.integers(0, 4),
    st.none() | st.integers(0, 200) | st.just("whenever"),
    st.booleans(),
    st.sampled_from([None, *Endpoint]),
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("events"), st.integers(1, 30), st.booleans()),
        st.tuples(st.just("fault"), FAULTS),
        st.tuples(st.just("deliver"), st.sampled_from([1.0, 100.0, 10_000.0])),
        st.tuples(st.just("crash"), st.integers(1, 8)),
        st.tuples(st.just("role"), st.booleans()),
    ),
    min_size=3,
    max_size=12,
)


@pytest.mark.parametrize("kind", KINDS)
@given(steps=STEPS, token_seconds=st.sampled_from([60, 600, 3_599]))
def test_any_history_of_faults_ends_well(kind, steps, token_seconds):
    """Whatever fails, in whatever order, also with crashes between: all is accepted or dead, and doubled only in doubt."""

    async def story() -> None:
        world = world_of(kind, token_seconds=token_seconds, options=Options(grace_seconds=GRACE_SECONDS))
        world.poison()
        stock, crashed = iter(events(400, poisoned=range(5, 400, 9))), False
        for step in steps:
            match step:
                case "events", count, poisoned:
                    batch = [event for _, event in zip(range(count), stock, strict=False)]
                    await world.take_in([e for e in batch if poisoned or b"poison" not in e.raw])
                case "fault", fault:
                    world.subscription.faults.add(fault)
                case "deliver", seconds:
                    await world.deliver(until=world.now + seconds)
                case "crash", ticks:
                    crashed = True
                    await world.crash(ticks)
                case "role", has:
                    rule = world.subscription.rule
                    (rule.grant if has else rule.revoke)(CLIENT_ID)
        world.recover()
        world.subscription.rule.grant(CLIENT_ID)
        await world.deliver()
        world.judge(doubled=10_000 if crashed else None)

    asyncio.run(story())
