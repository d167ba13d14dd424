"""
The function app where its surroundings misbehave: storage that conflicts, a timer that never runs, clocks, poison.
"""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import encode

from onelogin_connector.errors import ConnectorError
from onelogin_connector.simulator.azure.blobs import BlobService, Reply, StoredBlob
from onelogin_connector.sources.spool import Spool
from tests.blob_account import blob_container
from tests.function_world import NOW, FunctionWorld, Process

pytestmark = pytest.mark.anyio

UUID = "11111111-1111-4111-8111-{:012d}"
SPOOL = "spool/default/"


def body(*numbers: int, **fields: object) -> bytes:
    """Return a webhook body."""
    records = [
        {
            "uuid": UUID.format(number),
            "event_timestamp": "2026-11-20 18:00:00 UTC",
            "event_type_id": 5,
            **fields,
        }
        for number in numbers
    ]
    return encode(records)


def behind(world: FunctionWorld, app: Process, answer: Callable[[str], Reply | None]) -> None:
    """Let a function stand between an instance and its storage account; None lets the call through."""
    container = blob_container(world.blobs, lambda asked, do: answer(asked) or do())
    app.front._drain._container = app.front._drain.spool._container = container


def lay(world: FunctionWorld, name: str, content: bytes) -> None:
    """Put a body into the spool past the webhook."""
    blobs = world.blobs.containers.setdefault("onelogin-connector", {})
    blobs[SPOOL + name] = StoredBlob(content, f'"{name}"', world.now)


@pytest.fixture
def world() -> FunctionWorld:
    """Give an empty world with one destination."""
    return FunctionWorld()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "ContainerBeingDeleted"),
        (409, "AccountBeingCreated"),
        (412, "LeaseNotPresentWithBlobOperation"),
        (503, "ServerBusy"),
        (500, "OperationTimedOut"),
    ],
)
async def test_no_answer_of_the_storage_account_is_a_200_for_nothing(world, status, code):
    """Whichever call fails, and however, a 200 means that the body is there; afterwards all of it arrives."""
    for failing in range(1, 30):
        app = world.start()
        count = 0

        def answer(asked: str, failing: int = failing) -> Reply | None:
            nonlocal count
            count += 1
            return Reply(status, {"x-ms-error-code": code}) if count == failing else None

        behind(world, app, answer)
        before = len(world.left("spool/"))
        reply = await app.post(body(failing))
        assert (reply.status_code == 200) == (len(world.left("spool/")) == before + 1)
        if reply.status_code == 200:
            world.acknowledged.append(body(failing))
        with suppress(ConnectorError):  # a failed call of the timer, which the next one makes good
            await app.tick()
    world.now += 61
    await world.start().tick()
    assert len(world.acknowledged) >= 25
    world.judge()


async def test_a_timer_that_never_runs_is_seen(world):
    """Before the first drain too, the pages tell what waits, and after ten minutes that it waits too long."""
    app = world.start()
    await world.post(app, [body(number) for number in range(3)])
    assert (await app.ask("Health")) == (200, {"status": "ok"})
    assert (await app.ask("Status"))[1]["spool"] == {"bodies": 3, "oldest_seconds": 0, "error": ""}
    world.now += 601
    assert (await app.ask("Health")) == (200, {"status": "late"})
    shown = (await app.ask("Status"))[1]
    assert (shown["status"], shown["spool"]["oldest_seconds"]) == ("late", 601)
    assert "Always On" in shown["spool"]["error"]
    await app.tick()
    assert (await app.ask("Health")) == (200, {"status": "ok"})


async def test_all_that_waits_is_counted(world):
    """More than one drain takes in at once, and the oldest of all of it."""
    for number in range(1_200):
        lay(world, f"{number:04d}", b"[]")
    world.blobs.containers["onelogin-connector"][f"{SPOOL}1199"].changed_at = NOW - 60
    shown = (await world.start().ask("Status"))[1]["spool"]
    assert (shown["bodies"], shown["oldest_seconds"]) == (1_200, 60)


@pytest.mark.parametrize("jump_seconds", [365 * 86_400.0, -365 * 86_400.0])
async def test_a_clock_that_jumps_holds_nothing_up(world, jump_seconds):
    """A wait that was noted by a clock a year ahead ends with the clock that is right again."""
    app = world.start()
    world.fail("status", status=503)
    await world.post(app, [body(1)])
    world.now += jump_seconds
    await app.tick()
    assert not world.accepted()
    world.now -= jump_seconds
    world.now += 61
    world.subscription.faults.clear()
    await world.start().tick()
    world.judge()


async def test_a_destination_that_asks_for_a_day_is_asked_again_within_the_hour(world):
    """Nobody's ``Retry-After`` decides alone how long events wait, and until then it is left alone."""
    app = world.start()
    world.fail("status", status=429, retry_after="86400")
    await world.post(app, [body(1)])
    await app.tick()
    world.subscription.faults.clear()
    world.now += 3_500
    await app.tick()
    assert len(world.api.calls) == 1
    world.now += 101
    await app.tick()
    world.judge()


async def test_a_body_that_cannot_be_removed_ends_the_drain_and_doubles_nothing(world, caplog):
    """An immutability policy keeps every body: they are delivered once, the log names them, and nothing spins."""
    app = world.start()
    await world.post(app, [body(1), body(2, 3)])
    asked: list[str] = []

    def kept(each: str) -> Reply | None:
        asked.append(each)
        if each.startswith("DELETE") and "/spool/" in each:
            return Reply(409, {"x-ms-error-code": "BlobImmutableDueToPolicy"})
        return None

    behind(world, app, kept)
    for _ in range(3):
        await app.tick()
    assert sorted(world.accepted().values()) == [1, 1, 1]
    assert len(asked) < 120
    assert "immutability" in caplog.text
    await world.start().tick()
    world.judge()


async def test_a_change_of_destination_in_the_middle_loses_and_doubles_nothing():
    """What waits, in the spool and in the journal, goes where the new settings say; what was delivered does not."""
    world, other = FunctionWorld(), FunctionWorld("logs_ingestion")
    app = world.start()
    await world.post(app, [body(1)])
    await app.tick()
    world.fail("status", status=503)
    await world.post(app, [body(2)])
    await app.tick()
    await world.post(app, [body(3), body(1)])
    world.subscription.faults.clear()
    world.settings = other.settings
    world.now += 61
    await world.start().tick()
    world.judge()
    assert sorted(world.accepted().values()) == [1, 1, 1]
    assert any("/dataCollectionRules" in step for step in world.steps)


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"\x00" * 1_000,
        b"[" * 100_000,
        b'[{"uuid":' * 10_000,
        b"\xff\xfe[\x00]\x00",
        b"[" + b"0," * 200_000 + b"0]",
        b'{"a":"' + b"x" * (16 << 20) + b'"}',
    ],
    ids=["empty", "zeros", "deep", "deeper", "utf-16", "many", "16 MiB"],
)
async def test_poison_in_the_spool_stops_nobody(world, poison):
    """Whatever lies there becomes a dead letter, or an event, and the bodies around it arrive."""
    app = world.start()
    lay(world, "0" * 64, poison)
    await world.post(app, [body(1), body(2)])
    await app.tick()
    await app.tick()
    assert set(world.accepted()) >= {UUID.format(1), UUID.format(2)}
    assert not world.left("spool/")
    shown = (await app.ask("Status"))[1]
    assert shown["dead_letters"] + shown["events"] == 3


@given(content=st.binary(max_size=400) | st.text(alphabet='[]{},:"0e\\ \n', max_size=200).map(str.encode))
@settings(deadline=None)
def test_no_bytes_make_reading_fail(content):
    """Every body has a reading, or a reason."""
    events, dead = Spool("default", blob_container(BlobService())).reading(content, received_us=1)
    assert events or dead or content.strip(b"\xef\xbb\xbf \n\r\t[],") == b""


async def test_large_letters_are_shown_and_replayed_one_at_a_time(world):
    """Twenty of 2 MiB do not have to fit into an instance's memory together."""
    app = world.start()
    for number in range(20):
        lay(world, f"{number}", b'[{"uuid":1},' + b"%d" % number + b',"%s"]' % (b"x" * (2 << 20)))
        await app.tick()
    tracemalloc.start()
    try:
        status, shown = await app.ask("DeadLetters")
        assert (status, len(shown["dead_letters"])) == (200, 20)
        assert max(len(each["body"]) for each in shown["dead_letters"]) <= 4_096
        assert (await app.ask("DeadLetters", b'{"replay": "all"}'))[1]["refused"] == 20
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()
