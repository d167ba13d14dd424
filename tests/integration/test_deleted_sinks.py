"""
The end of a sink made in the console: nothing of it is left for the next of its name, wherever a kill comes.
"""

import asyncio
import logging
import threading
from contextlib import suppress

import lmdb
import pytest
from msgspec import convert

from integration.test_connectors import world
from integration.test_console_sinks import OTHER_KEY, azure, give, legacy
from onelogin_connector.config import load
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.journal.base import Checkpoint, NewDeadLetter
from onelogin_connector.journal.tables import LmdbTables
from onelogin_connector.service import build, upkeep
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.simulator.azure.subscription import LEGACY_ID
from onelogin_connector.state import Flow
from onelogin_connector.state.sinks import SinkState
from patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

EVERY_STEP = range(1, 8)
"""Each way has three writes, and an end before and after each; beyond its last step nothing is cut off."""


class Killed(BaseException):
    """
    What stands for the end of the process.
    """


class Mortal:
    """
    A part whose process ends at one of its calls, before or after that has done its work.
    """

    def __init__(self, part, life):
        self._part, self._life = part, life

    def __getattr__(self, name):
        found = getattr(self._part, name)
        if name == "sinks":
            return Mortal(found, self._life)
        if name not in {"forget", "settle_checkpoint", "remove_part", "save_part", "advance"}:
            return found

        def step(*values, **options):
            self._life.step()
            done = found(*values, **options)
            if not hasattr(done, "__await__"):
                self._life.step()
                return done

            async def awaited():
                outcome = await done
                self._life.step()
                return outcome

            return awaited()

        return step


class Life:
    """
    How many steps a process has left.
    """

    def __init__(self, steps):
        self.left = steps

    def step(self):
        self.left -= 1
        if self.left == 0:
            raise Killed


def mortal(service, steps):
    """
    Let a service end after so many of its outside changes; returns what counts them.
    """
    life = Life(steps)
    service.state, service.journal = Mortal(service.state, life), Mortal(service.journal, life)
    return life


def left_of(service, sink):
    """
    Return what is kept of a sink anywhere but in the history and among the dead letters.
    """
    state = service.state
    return {
        "part": [part.id for part in state.parts("sink") if part.id == sink],
        "secrets": state.sinks.secrets(sink),
        "pause": state.sinks.pauses().get(sink),
        "has_flow": sink in state.sinks.flows(after_slot=0),
        "check": [check.target for check in state.checks() if check.target == sink],
        "users": state.sent_users(f"{sink} https://somewhere stream", "fixed").told(0, 9),
        "checkpoint": service.journal.checkpoint(sink),
    }


NOTHING = {
    "part": [],
    "secrets": {},
    "pause": None,
    "has_flow": False,
    "check": [],
    "users": {},
    "checkpoint": Checkpoint(),
}


async def plant(it):
    """
    Let everything be kept of a sink that can be.
    """
    state = it.service.state
    state.sinks.pause("legacy", actor="somebody")
    state.save_check("legacy", [], ok=True)
    state.sinks.save_flows({"legacy": Flow(2, it.clock(), {1: 2})}, before_slot=0)
    state.sent_users("legacy https://somewhere stream", "fixed").tell({5: b"digest"}, it.clock())
    state.sent_users("legacy-2 https://somewhere stream", "fixed").tell({5: b"digest"}, it.clock())
    await it.service.journal.bury(NewDeadLetter("fixed", "delivery", "It was refused.", b"{}", sink="legacy"))


async def test_nothing_is_left_of_a_deleted_sink(tmp_path):
    """
    Settings, secrets, pause, figures, check, users and checkpoint go; its dead letters stay, and so does its namesake's part.
    """
    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        assert (await client.post("/api/v1/sinks", json=legacy(cloud.url))).status_code == 201
        await give(it, "one", "two")
        await it.until(lambda: it.service.deliveries["legacy"].checkpoint.delivered == 2)
        await client.post("/api/v1/sinks/legacy/pause", json={})
        await plant(it)
        before = left_of(it.service, "legacy")
        assert [name for name in NOTHING if before[name] == NOTHING[name]] == []
        page = (await client.get("/sinks/legacy", headers={"accept": "text/html"})).text
        assert "one made later under its name begins anew" in page
        assert (await client.delete("/api/v1/sinks/legacy")).status_code == 200
        assert left_of(it.service, "legacy") == NOTHING
        assert it.service.state.sent_users("legacy-2 https://somewhere stream", "fixed").told(0, 9)
        assert [letter.sink for letter in it.service.letters.page(after=0, limit=9)] == ["legacy"]
        assert it.service.state.sinks.ownerless_checkpoints() == []
        # nobody waits for it any more, and one of its name waits for everything that is held
        await it.until(lambda: it.service.least_checkpoint() == it.service.journal.last_offset)
        await client.post("/api/v1/sinks", json=legacy(cloud.url))
        await it.until(lambda: sorted(cloud.notes()) == ["one", "one", "two", "two"])
        shown = (await client.get("/api/v1/sinks/legacy")).json()
        assert (shown["row"]["delivered"], shown["row"]["owed"], shown["paused_by"]) == (2, 0, "")


@pytest.mark.parametrize("steps", EVERY_STEP)
async def test_a_kill_leaves_a_sink_whole_or_gone(tmp_path, steps):
    """
    Killed before or after any write of a deletion, the next start has the sink as it was, or nothing of it.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        made = await client.post("/api/v1/sinks", json=legacy(it.url, enabled=False))
        assert made.status_code == 201, made.text
        await it.service.journal.advance("legacy", Checkpoint(offset=7, delivered=7))
        await plant(it)
        before = left_of(it.service, "legacy")
        state, journal = it.service.state, it.service.journal
        life = mortal(it.service, steps)
        with suppress(Killed):
            await it.service.sinks.remove("legacy")
        it.service.state, it.service.journal = state, journal
        assert life.left == (0 if steps < 7 else 1)
    async with world(tmp_path, start=False) as it:
        found = left_of(it.service, "legacy")
        assert found == (before if steps == 1 else NOTHING)
        assert it.service.state.sinks.ownerless_checkpoints() == []
        assert ("legacy" in it.service.settings.sinks) is (steps == 1)
        if steps == 1:
            await it.service.sinks.remove("legacy")
            assert left_of(it.service, "legacy") == NOTHING


@pytest.mark.parametrize("steps", EVERY_STEP)
async def test_a_kill_leaves_a_new_sink_whole_or_unmade(tmp_path, steps):
    """
    Killed while one is made under a name that was had before, the next start has it where it was to begin, or not at all.
    """
    async with world(tmp_path, start=False) as it:
        await give(it, "one", "two", "three")
        # what an earlier version left of one that was deleted
        await it.service.journal.advance("legacy", Checkpoint(offset=1, delivered=1, owed=[(0, 1)]))
        it.service.state.sinks.pause("legacy", actor="somebody")
        state, journal = it.service.state, it.service.journal
        life = mortal(it.service, steps)
        with suppress(Killed):
            await it.service.sinks.save(None, convert(legacy(it.url, begin="now"), WantedSink))
        it.service.state, it.service.journal = state, journal
        assert life.left == (0 if steps < 7 else 1)
    async with world(tmp_path, start=False) as it:
        assert it.service.state.sinks.ownerless_checkpoints() == []
        begun = it.service.journal.checkpoint("legacy")
        if steps < 6:
            # before the first write everything is as it was
            assert begun == (Checkpoint(offset=1, delivered=1, owed=[(0, 1)]) if steps == 1 else Checkpoint())
            assert "legacy" not in it.service.settings.sinks
        else:
            assert begun == Checkpoint(offset=3)
            assert it.service.sinks.pause_of("legacy") is None


def with_legacy_in_the_file(tmp_path):
    """
    Return the settings of a world whose file has a sink of the same name.
    """
    path = tmp_path / "settings.toml"
    path.write_text(
        f'{path.read_text()}[sinks.legacy]\nkind = "data_collector"\nworkspace_id = "{LEGACY_ID}"\n'
        'workspace_key = { env = "KEY" }\n'
    )
    environ = {"SECRET": "secret-of-the-file", "KEY": OTHER_KEY}
    return load(path, environ, data_dir=tmp_path / "data", folder=tmp_path)


async def test_a_sink_of_the_file_begins_anew_after_one_of_the_console(tmp_path):
    """
    A deletion that a kill cut off is finished before a sink of the settings file takes the name.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(it.url, enabled=False))
        await it.service.journal.advance("legacy", Checkpoint(offset=7, delivered=7))
        it.service.state.remove_part("sink", "legacy")
    service = build(with_legacy_in_the_file(tmp_path))
    try:
        assert service.deliveries["legacy"].checkpoint == Checkpoint()
    finally:
        await service.stop()


def full_disk(monkeypatch, where):
    """
    Let the state refuse to note that a checkpoint is gone, or the journal to remove it.
    """
    if where == "state":

        def settle(*_):
            raise Unavailable("The state cannot be written.")

        monkeypatch.setattr(SinkState, "settle_checkpoint", settle)
    else:

        def forget(*_):
            raise lmdb.DiskError("No space left on device")

        monkeypatch.setattr(LmdbTables, "forget_checkpoint", forget)


@pytest.mark.parametrize("where", ["state", "journal"])
async def test_a_start_does_not_need_what_is_left_to_go(tmp_path, monkeypatch, caplog, where):
    """
    Without room the service starts, does not know the old checkpoint, and says so; the next start removes it.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(it.url, enabled=False))
        await it.service.journal.advance("legacy", Checkpoint(offset=7, delivered=7))
        it.service.state.remove_part("sink", "legacy")
    with monkeypatch.context() as full, caplog.at_level(logging.WARNING):
        full_disk(full, where)
        async with world(tmp_path, start=False) as it:
            assert it.service.journal.checkpoint("legacy") == Checkpoint()
            assert it.service.state.sinks.ownerless_checkpoints() == ["legacy"]
    assert "The checkpoint of the deleted sink legacy goes with the next start" in caplog.text
    async with world(tmp_path, start=False) as it:
        assert it.service.journal.checkpoint("legacy") == Checkpoint()
        assert it.service.state.sinks.ownerless_checkpoints() == []


@pytest.mark.parametrize("where", ["state", "journal"])
async def test_a_start_that_would_cost_a_sink_its_checkpoint_fails_whole(tmp_path, monkeypatch, where):
    """
    A sink of the settings file does not begin beside what one of its name has left; nothing stays open meanwhile.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(it.url, enabled=False))
        await it.service.journal.advance("legacy", Checkpoint(offset=7, delivered=7))
        it.service.state.remove_part("sink", "legacy")
    path = tmp_path / "settings.toml"
    path.write_text(
        f'{path.read_text()}[sinks.legacy]\nkind = "data_collector"\nworkspace_id = "{LEGACY_ID}"\n'
        'workspace_key = { env = "KEY" }\n'
    )
    environ = {"SECRET": "secret-of-the-file", "KEY": OTHER_KEY}
    settings = load(path, environ, data_dir=tmp_path / "data", folder=tmp_path)
    with monkeypatch.context() as full:
        full_disk(full, where)
        with pytest.raises(ConfigError, match=r"The sink legacy cannot begin.*Make room"):
            build(settings)
    assert "journal-writer" not in [thread.name for thread in threading.enumerate()]
    service = build(settings)
    try:
        assert service.deliveries["legacy"].checkpoint == Checkpoint()
        assert service.state.sinks.ownerless_checkpoints() == []
    finally:
        await service.stop()


async def test_a_deletion_that_cannot_be_kept_leaves_the_sink_as_it_was(tmp_path, monkeypatch):
    """
    With a full disk it stays paused, can be resumed, and goes on: the journal does not wait for it for ever.
    """

    def full(*_):
        raise Unavailable("The disk is full.", action="Make room.")

    async with azure() as cloud, world(tmp_path) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(cloud.url))
        await client.post("/api/v1/sinks/legacy/pause", json={})
        with monkeypatch.context() as broken:
            broken.setattr(it.service.state, "remove_part", full)
            with pytest.raises(Unavailable):
                await it.service.sinks.remove("legacy")
        assert (await client.get("/api/v1/sinks/legacy")).json()["row"]["paused"]
        await give(it, "one")
        assert (await client.post("/api/v1/sinks/legacy/resume", json={})).status_code == 200
        await it.until(lambda: cloud.notes() == ["one"])
        await it.until(lambda: it.service.least_checkpoint() == it.service.journal.last_offset)


async def test_a_new_sink_does_not_begin_in_what_is_pruned_meanwhile(tmp_path, monkeypatch):
    """
    Pruning waits while one is made: what was held when its beginning was chosen, it gets, and it is owed nothing.
    """
    monkeypatch.setattr(upkeep, "ROUND_SECONDS", 3_600.0)  # days ahead, its own round would prune before
    async with azure() as cloud, world(tmp_path) as it:
        await give(it, "one")
        await give(it, "two")
        await it.until(lambda: it.service.least_checkpoint() == 2)
        it.clock.ahead = 3 * 86_400.0
        save_part, reached, go = it.service.state.save_part, threading.Event(), threading.Event()

        def slowly(*values, **options):
            reached.set()
            go.wait(PATIENCE_SECONDS)
            return save_part(*values, **options)

        monkeypatch.setattr(it.service.state, "save_part", slowly)
        making = asyncio.create_task(it.service.sinks.save(None, convert(legacy(cloud.url), WantedSink)))
        assert await asyncio.to_thread(reached.wait, PATIENCE_SECONDS)
        pruning = asyncio.create_task(it.service.upkeep._prune_journal())
        await asyncio.wait({pruning}, timeout=0.3)
        it.clock.ahead = 0.0  # the workspace takes nothing from another day
        go.set()
        await asyncio.gather(making, pruning)
        await give(it, "three")
        await it.until(lambda: it.service.deliveries["legacy"].checkpoint.offset == 3)
        assert it.service.deliveries["legacy"].checkpoint.owed == []
        assert sorted(cloud.notes()) == ["one", "three", "two"]


async def test_figures_that_were_on_their_way_do_not_come_back(tmp_path, monkeypatch):
    """
    What counts and checks may write of a sink while it goes is not left for the next of its name.
    """
    async with world(tmp_path, start=False) as it, it.client() as client:
        await client.post("/api/v1/sinks", json=legacy(it.url, enabled=False))
        state = it.service.state
        remove_part = state.remove_part

        def overtaken(*values):
            removed = remove_part(*values)
            state.sinks.save_flows({"legacy": Flow(2, it.clock(), {1: 2})}, before_slot=0)
            state.save_check("legacy", [], ok=True)
            return removed

        monkeypatch.setattr(state, "remove_part", overtaken)
        await it.service.sinks.remove("legacy")
        assert left_of(it.service, "legacy") == NOTHING
