"""
Every change of state of every part is kept once, can be asked for in KQL, and worries a person when it should.
"""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onelogin_connector.config import load
from onelogin_connector.errors import Unavailable
from onelogin_connector.service import Service, build
from onelogin_connector.status import Stage, StageState, State
from passwords import QUICK
from patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

CONFIG = """
[connectors.acme]
name = "ACME production"
webhook_tokens = [{ env = "TOKEN" }]

[connectors.quiet]
silence_hours = 0
webhook_tokens = [{ env = "TOKEN" }]

[connectors.patient]
silence_hours = 72
webhook_tokens = [{ env = "TOKEN" }]
"""
TOKEN = "a webhook token that is long enough"


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def made(folder: Path, clock: Clock, more: str = "") -> Service:
    """
    Build a service without starting it: rounds are done by hand.
    """
    path = folder / "onelogin-connector.toml"
    path.write_text(CONFIG + more)
    environ = {"TOKEN": TOKEN, "ONELOGIN_CONNECTOR_ADMIN_PASSWORD": "a long enough password"}
    return build(load(path, environ, data_dir=folder / "data", folder=folder), clock=clock, hasher=QUICK)


@pytest.fixture
def clock() -> Clock:
    """
    Give a clock that stands still.
    """
    return Clock()


@pytest.fixture
async def service(tmp_path: Path, clock: Clock) -> AsyncIterator[Service]:
    """
    Give a service that was never started.
    """
    service = made(tmp_path, clock)
    yield service
    await service.stop()


async def asked(service: Service, kql: str) -> list[tuple]:
    """
    Return a query's rows, without waiting for a delivery that nobody started.
    """
    return (await service.query(kql, limit=None, timeout_seconds=PATIENCE_SECONDS)).rows


async def send(service: Service, connector: str, at: float) -> None:
    """
    Send an event by webhook.
    """
    record = {
        "uuid": f"{at}",
        "event_type_id": 5,
        "account_id": 7,
        "event_timestamp": "2026-09-21 14:13:20 UTC",
    }
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    answer = await service.webhooks[connector].take(headers, json.dumps([record]).encode())
    assert answer.status == 200, answer.body


def names(service: Service) -> list[str]:
    """
    Return the names of the alarms that stand.
    """
    return [alarm.name for alarm in service.alarms()]


async def test_every_change_is_a_row_with_the_columns_of_sentinel(service, clock):
    """
    Also those that come and go between two looks, and none twice.
    """
    await service.health.round()
    status = service.deliveries["store"].status
    for state, error in (
        (State.OK, ""),
        (State.RETRYING, "disk full"),
        (State.OK, ""),
        (State.PAUSED, "bad"),
    ):
        clock.now += 1
        status.turn(state, error)
        status.turn(state, error + "!")
    await service.health.round()
    await service.health.round()
    rows = await asked(
        service,
        """OneLoginConnectorHealth | where SentinelResourceName == 'store' | sort by TimeGenerated asc
        | project OperationName, Status, tostring(ExtendedProperties.State), Reason, SentinelResourceType, Type""",
    )
    assert [row[1:4] for row in rows] == [
        ("Informational", "starting", ""),
        ("Success", "ok", ""),
        ("Failure", "retrying", "disk full"),
        ("Success", "ok", ""),
        ("Failure", "paused", "bad"),
    ]
    assert {row[0] for row in rows} == {"Data delivery status change"}
    assert {row[4:] for row in rows} == {("Destination", "OneLoginConnectorHealth")}
    ids = await asked(service, "OneLoginConnectorHealth | summarize dcount(RecordId), count()")
    assert ids[0][0] == ids[0][1]


async def test_connectors_and_journal_are_parts_too(service, clock):
    """
    A connector's first event is a change, named as people name it, with its OneLogin account.
    """
    await service.health.round()
    await send(service, "acme", clock.now)
    await service.health.look()
    rows = await asked(
        service,
        """OneLoginConnectorHealth | where SentinelResourceName == 'ACME production' | sort by TimeGenerated asc
        | project tostring(ExtendedProperties.PreviousState), tostring(ExtendedProperties.State), TenantId,
            SentinelResourceKind""",
    )
    assert rows == [("", "starting", "", "OneLogin"), ("starting", "ok", "7", "OneLogin")]
    assert await asked(
        service, "OneLoginConnectorHealth | where SentinelResourceType == 'Journal' | count"
    ) == [(1,)]


async def test_a_restart_tells_only_what_changed(tmp_path, clock):
    """
    The history goes on over restarts; a part that stands as it stood is not noted again.
    """
    first = made(tmp_path, clock)
    await first.health.round()
    before = first.state.history.page(limit=1_000)
    await first.stop()
    second = made(tmp_path, clock)
    await second.health.round()
    after = second.state.history.page(limit=1_000)
    assert [change.id for change in after] == [change.id for change in before]
    assert await asked(second, "OneLoginConnectorHealth | count") == [(len(before),)]
    await second.stop()


async def test_without_a_store_the_history_is_kept_and_shown_later(tmp_path, clock):
    """
    The state has it all; a store that is turned on afterwards, or made anew, gets the whole.
    """
    off = "\n[sinks.store]\nenabled = false\n"
    service = made(tmp_path, clock, off)
    await service.health.round()
    service.state.note("anna", "backup_made", "x", size=3)
    await service.health.round()
    kept = len(service.state.history.page(limit=1_000))
    assert kept >= 4
    await service.stop()
    service = made(tmp_path, clock)
    await service.health.flush()
    assert await asked(service, "OneLoginConnectorHealth | count") == [(kept,)]
    rows = await asked(service, "OneLoginConnectorAudit | project Actor, Action, Target, toint(Detail.size)")
    assert ("anna", "backup_made", "x", 3) in rows
    await service.stop()
    for file in (tmp_path / "data").glob("store.duckdb*"):
        file.unlink()
    service = made(tmp_path, clock)
    assert await asked(service, "OneLoginConnectorHealth | count") == [(kept,)]
    await service.stop()


async def test_a_state_restored_from_a_backup_hides_nothing(tmp_path, clock):
    """
    It gives out ids again that the store has seen: what is new under them is shown none the less.
    """
    service = made(tmp_path, clock)
    service.state.note("anna", "first")
    await service.health.flush()
    service.state.backup(tmp_path / "copy")
    clock.now += 10
    service.state.note("anna", "lost")
    await service.health.flush()
    await service.stop()
    for ending in ("", "-wal", "-shm"):
        (tmp_path / "data" / f"state.db{ending}").unlink(missing_ok=True)
    (tmp_path / "copy").rename(tmp_path / "data" / "state.db")
    clock.now += 10
    service = made(tmp_path, clock)
    service.state.note("anna", "new under an old id")
    rows = await asked(service, "OneLoginConnectorAudit | where Actor == 'anna' | project Action, AuditId")
    actions = [action for action, _ in rows]
    assert sorted(actions) == ["first", "lost", "new under an old id"]
    assert len({id for _, id in rows}) == 2
    await service.stop()


async def test_a_store_in_trouble_holds_up_nothing(service, clock, monkeypatch):
    """
    While it refuses, changes are kept; when it takes them again, each comes once.
    """

    def refuse(lines):
        raise Unavailable("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(service.store, "add_health", refuse)
        await service.health.round()
        service.deliveries["store"].status.turn(State.OK)
        await service.health.round()
        assert len(service.state.history.page(part="store")) == 2
    await service.health.round()
    rows = await asked(service, "OneLoginConnectorHealth | where SentinelResourceName == 'store' | count")
    assert rows == [(2,)]


async def test_a_state_in_trouble_loses_no_change(service, monkeypatch):
    """
    Changes wait in memory, in their order, until they can be written.
    """

    def refuse(changes):
        raise Unavailable("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(service.state.history, "add", refuse)
        service.health.attend()
        await service.health.flush()
        service.deliveries["store"].status.turn(State.OK)
        await service.health.flush()
    await service.health.flush()
    states = [change.state for change in service.state.history.page(part="store")]
    assert states == ["ok", "starting"]


async def test_saying_that_a_state_changed_does_not_wait_for_the_disk(service, monkeypatch):
    """
    A part that turns ten thousand times costs its loop next to nothing, and memory stays bounded.
    """
    service.health.attend()
    status = service.deliveries["store"].status
    with monkeypatch.context() as unused:
        unused.setattr(service.state.history, "add", None)
        unused.setattr(service.store, "add_health", None)
        began = time.thread_time()  # of this thread alone: the machine may do something else meanwhile
        for _ in range(10_000):
            status.turn(State.OK)
            status.turn(State.RETRYING, "x")
        assert time.thread_time() - began < 5
    assert len(service.health._waiting) == 10_000


async def test_silence_is_an_alarm_after_a_day_or_as_each_connector_says(service, clock):
    """
    On by default; off for one connector, later for another; over with the next event.
    """
    await send(service, "acme", clock.now)
    await service.health.look()
    clock.now += 23.9 * 3_600
    await service.health.look()
    assert names(service) == []
    clock.now += 0.2 * 3_600
    await service.health.look()
    assert names(service) == ["silence acme"]
    alarm = service.alarms()[0]
    assert "ACME production has sent no event for 24 hours" in alarm.message
    clock.now += 48 * 3_600
    await service.health.look()
    assert names(service) == ["silence acme", "silence patient"]
    assert "None ever arrived" in service.alarms()[1].message
    record = {
        "uuid": "new",
        "event_type_id": 5,
        "account_id": 7,
        "event_timestamp": "2026-09-24 14:13:20 UTC",
    }
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    await service.webhooks["acme"].take(headers, json.dumps([record]).encode())
    await service.health.look()
    assert names(service) == ["silence patient"]
    await service.health.flush()
    rows = await asked(
        service,
        "OneLoginConnectorHealth | where SentinelResourceName == 'silence acme' | project OperationName, Status",
    )
    assert rows == [("Alarm raised", "Failure"), ("Alarm cleared", "Success")]


async def test_old_events_that_are_imported_do_not_end_silence(service, clock):
    """
    Nor does a restart begin the count anew.
    """
    await service.health.round()
    clock.now += 80 * 3_600
    await send(service, "patient", clock.now)  # an event of three days ago
    await service.health.look()
    assert "silence patient" in names(service)
    assert "The last event is of 2026-09-21" in next(
        alarm.message for alarm in service.alarms() if alarm.name == "silence patient"
    )


async def test_silence_counts_over_a_restart(tmp_path, clock):
    """
    A connector that never sent anything is known since it was first there.
    """
    first = made(tmp_path, clock)
    await first.health.round()
    await first.stop()
    clock.now += 25 * 3_600
    second = made(tmp_path, clock)
    await second.health.round()
    assert names(second) == ["silence acme"]
    await second.stop()


async def test_a_failing_check_is_an_alarm_and_a_row(service, clock):
    """
    Each change of outcome once, with stage and status; the alarm ends with a check that passes.
    """
    bad = [Stage("Authentication", StageState.FAILED, "The secret is wrong.", "Make another.", 401)]
    good = [Stage("Authentication", StageState.PASSED, "It works.")]
    for stages, ok in ((good, True), (bad, False), (bad, False), (good, True), (bad, False)):
        clock.now += 1
        service.state.connectors.save_outcome("acme", stages, ok=ok, at=clock.now)
    service.state.save_check("nobody any more", bad, ok=False)
    await service.health.look()
    assert names(service) == ["check acme"]
    alarm = service.alarms()[0]
    assert alarm.message == "The check of acme failed. Authentication Stage: The secret is wrong."
    assert alarm.action == "Make another."
    rows = await asked(
        service,
        """OneLoginConnectorHealth | where SentinelResourceType == 'Connection check'
        and SentinelResourceName == 'acme' | sort by TimeGenerated asc | project Status, Reason""",
    )
    assert rows == [
        ("Success", ""),
        ("Failure", "Authentication 401"),
        ("Success", ""),
        ("Failure", "Authentication 401"),
    ]
    service.state.save_check("acme", good, ok=True)
    await service.health.look()
    assert names(service) == []


REFUSED = Stage("Authentication", StageState.FAILED, "The secret is wrong.", "Make another.", 401)
FINE = Stage("Authentication", StageState.PASSED, "It works.")


@pytest.mark.parametrize("first", ["check", "sink"])
async def test_one_cause_is_one_alarm(service, clock, first):
    """
    A sink that is paused by what its check finds is told of once, by whichever was there first, and never twice in turn.
    """
    status = service.deliveries["store"].status
    told = []
    service.alarms.listen(lambda alarm, stands: told.append((alarm.name, stands)))

    def checked(stage):
        clock.now += 1
        ok = stage is FINE
        service.state.connectors.save_outcome("store", [stage], ok=ok, at=clock.now)

    if first == "check":
        checked(REFUSED)
        await service.health.look()
        status.turn(State.PAUSED, "The secret is wrong.")
    else:
        status.turn(State.PAUSED, "The secret is wrong.")
        await service.health.look()
        checked(REFUSED)
    await service.health.look()
    assert names(service) == [f"{first} store"]
    checked(FINE)
    await service.health.look()
    soon = [] if first == "check" else ["sink store"]
    assert names(service) == soon, "what its check finds well goes on by itself soon, and is not over before"
    clock.now += 601
    await service.health.look()
    assert names(service) == ["sink store"], "and if it does not, somebody has to know"
    status.turn(State.OK)
    await service.health.look()
    by_check = [("check store", True), ("check store", False)] if first == "check" else []
    assert told == [*by_check, ("sink store", True), ("sink store", False)]


async def test_a_pause_that_is_meant_is_told_apart(service):
    """
    Who paused a sink is named, as a warning; a check that fails beside it is another cause.
    """
    await service.sinks.pause("store", actor="ann")
    service.state.connectors.save_outcome("store", [REFUSED], ok=False, at=1.0)
    await service.health.look()
    assert names(service) == ["check store", "sink store"]
    (alarm,) = [each for each in service.alarms() if each.name == "sink store"]
    assert alarm.severity == "warning"
    assert "paused by ann" in alarm.message


async def test_sinks_in_trouble_are_alarms(service, clock):
    """
    Detached and paused at once, retrying when it lasts; gone when it is well.
    """
    status = service.deliveries["store"].status
    status.turn(State.DETACHED, "It is owed 7 records.")
    await service.health.look()
    assert "owed 7 records" in service.alarms()[0].message
    status.turn(State.RETRYING, "503")
    await service.health.look()
    assert names(service) == []
    clock.now += 901
    await service.health.look()
    assert [(alarm.name, alarm.severity) for alarm in service.alarms()] == [("sink store", "warning")]
    status.turn(State.OK)
    await service.health.look()
    assert names(service) == []


async def test_lasting_trouble_is_noted_each_hour(service, clock):
    """
    As SentinelHealth's failure summaries: a rule over an hour sees it although nothing changed.
    """
    await service.health.round()
    service.deliveries["store"].status.turn(State.RETRYING, "503")
    for _ in range(5):
        clock.now += 1_800
        await service.health.look()
    rows = await asked(
        service,
        """OneLoginConnectorHealth | where SentinelResourceName == 'store'
        | summarize count() by OperationName | sort by OperationName asc""",
    )
    assert rows == [("Data delivery failure summary", 2), ("Data delivery status change", 2)]


async def test_old_history_goes_except_the_last_of_each_part(service, clock):
    """
    It is bounded in time, and still tells since when a part stands as it does.
    """
    await service.health.round()
    status = service.deliveries["store"].status
    status.turn(State.OK)
    status.turn(State.RETRYING, "x")
    await service.health.flush()
    service.state.history.prune(clock.now + 1)
    assert [change.state for change in service.state.history.page(part="store")] == ["retrying"]
    assert {change.kind for change in service.state.history.latest()} >= {"connector", "journal", "sink"}
