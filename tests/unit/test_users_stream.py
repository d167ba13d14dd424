"""
Users on their way to a destination: each change once, and after a failure only what is missing.
"""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from onelogin_connector.errors import ConfigError, Unauthorized, Unavailable
from onelogin_connector.formats.onelogin_users import User
from onelogin_connector.service.alarms import Alarms
from onelogin_connector.service.users_stream import (
    LOOK_SECONDS,
    PAUSE_SECONDS,
    RENEW_SECONDS,
    UsersStream,
    digest_of,
)
from onelogin_connector.state import State as Settings
from onelogin_connector.status import State

NOW = 1_795_200_000.0


class Inventory:
    """
    Users as the store keeps them.
    """

    def __init__(self, count=0):
        self.rows = {number: User(id=number, username=f"u{number}") for number in range(count)}
        self.lists = 1 if count else 0

    def change(self, id, **values):
        """Change a user, and list anew."""
        self.rows[id] = structs.replace(self.rows.get(id, User(id=id)), **values)
        self.lists += 1

    def users(self, connector, *, after, limit):
        return [user for id, user in sorted(self.rows.items()) if id > after][:limit]

    def users_mark(self, connector):
        return self.lists or None


class Workspace:
    """
    A destination that takes some users per call, and fails as its script says.
    """

    def __init__(self, most=7, script=()):
        self.most, self.script = most, list(script)
        self.rows = []
        self.calls = 0
        self.closed = 0

    async def send_users(self, users, *, at_us):
        self.calls += 1
        fault = self.script.pop(0) if self.script else None
        if fault:
            raise fault
        self.rows += users[: self.most]
        return len(users[: self.most])

    async def close(self):
        self.closed += 1


class Story:
    """
    A stream with a state that outlives it, on a clock of its own.
    """

    def __init__(self, folder, inventory, workspace):
        self.now = NOW
        self.folder, self.inventory, self.workspace = folder, inventory, workspace
        self.state = Settings(folder)
        self.begin()

    def begin(self, target="sentinel x"):
        """Start the stream, as after a restart."""
        memories = {"acme": self.state.sent_users(target, "acme")}
        self.alarms = Alarms(lambda: self.now)
        self.stream = UsersStream(
            "sentinel",
            self.workspace,
            self.inventory,
            lambda: memories,
            alarms=self.alarms,
            clock=lambda: self.now,
        )

    def step(self):
        """Take one step; returns the wait."""
        return asyncio.run(self.stream.step())


@pytest.fixture
def story(tmp_path):
    """Give a function that sets the stage."""
    made = []

    def make(inventory, workspace=None):
        made.append(Story(tmp_path, inventory, workspace or Workspace()))
        return made[-1]

    yield make
    for each in made:
        each.state.close()


def test_each_user_is_sent_once_and_then_when_it_changes(story):
    """
    All at first, afterwards those that changed alone; a list without changes sends nothing.
    """
    here = story(Inventory(20))
    assert here.step() == LOOK_SECONDS
    assert [user.id for user in here.workspace.rows] == list(range(20))
    calls = here.workspace.calls
    here.step()
    here.inventory.change(3, department="Sales")
    here.inventory.change(20, username="new")
    here.inventory.change(5, status=2, updated_us=17)
    here.step()
    assert [(user.id, user.department) for user in here.workspace.rows[20:]] == [(3, "Sales"), (20, "")]
    assert here.workspace.calls == calls + 1
    assert here.stream.status.counts["users"] == 22


def test_before_the_first_list_nothing_is_sent(story):
    """
    Without a complete list there is nothing to send, and the destination is not asked.
    """
    here = story(Inventory())
    assert here.step() == LOOK_SECONDS
    assert here.workspace.calls == 0


def test_it_goes_on_where_it_failed(story):
    """
    What was accepted before a failure or a restart is not sent again.
    """
    workspace = Workspace(most=5, script=[None, None, Unavailable("down", after_seconds=40), None])
    here = story(Inventory(20), workspace)
    assert here.step() >= 40
    assert here.stream.status.state is State.RETRYING
    assert "down" in here.stream.status.error
    assert len(workspace.rows) == 10
    here.begin()
    assert here.step() == LOOK_SECONDS
    assert [user.id for user in workspace.rows] == list(range(20))
    assert here.stream.status.state is State.OK


@pytest.mark.parametrize("error", [Unauthorized("No role."), ConfigError("No stream.")])
def test_what_a_person_must_mend_waits_longer(story, error, caplog):
    """
    A missing role or stream is said once, and tried again every five minutes.
    """
    here = story(Inventory(3), Workspace(script=[error, error]))
    assert [here.step(), here.step()] == [PAUSE_SECONDS, PAUSE_SECONDS]
    assert here.stream.status.state is State.PAUSED
    assert len([record for record in caplog.records if record.action == "users_stream_failed"]) == 1
    (alarm,) = here.alarms.standing()
    assert error.message in alarm.message
    assert here.step() == LOOK_SECONDS
    assert here.alarms.standing() == []


def test_the_unforeseen_does_not_end_it(story, caplog):
    """
    An error that nobody thought of is logged with its trace, without its text, and tried again.
    """
    here = story(Inventory(3), Workspace(script=[ZeroDivisionError("secret")]))
    assert here.step() < 60
    assert "secret" not in here.stream.status.error
    assert caplog.records[0].exc_info
    here.step()
    assert len(here.workspace.rows) == 3


def test_who_does_not_change_is_sent_again_before_it_is_forgotten(story):
    """
    After thirty days a user is sent again, since the workspace's memory ends.
    """
    here = story(Inventory(4))
    here.step()
    here.now += RENEW_SECONDS - 10
    here.inventory.change(2, title="Boss")
    here.step()
    assert len(here.workspace.rows) == 5
    here.now += 20
    here.inventory.lists += 1
    here.step()
    assert sorted(user.id for user in here.workspace.rows[5:]) == [0, 1, 3]


def test_another_destination_gets_everything(story):
    """
    What was sent elsewhere says nothing about a new rule or stream.
    """
    here = story(Inventory(4))
    here.step()
    here.begin(target="sentinel y")
    here.step()
    assert Counter(user.id for user in here.workspace.rows) == Counter([*range(4)] * 2)


def test_the_loop_closes_its_destination(story):
    """
    When the service stops, the connections of the stream end with it.
    """
    here = story(Inventory(4))

    async def act():
        task = asyncio.create_task(here.stream.run())
        while len(here.workspace.rows) < 4:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(act())
    assert here.workspace.closed == 1


CHANGES = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["", "A", "B"])), max_size=12)


@given(
    st.lists(st.tuples(CHANGES, st.lists(st.booleans(), max_size=4), st.booleans()), max_size=6),
    st.integers(1, 5),
)
@settings(max_examples=30)
def test_the_destination_knows_every_user_as_it_is(tmp_path_factory, rounds, most):
    """
    Whatever changes, fails and restarts: at the end the latest row of each user is right, and none was sent in vain.
    """
    inventory, workspace = Inventory(), Workspace(most)
    here = Story(tmp_path_factory.mktemp("state"), inventory, workspace)
    for changes, fails, restart in rounds:
        for id, department in changes:
            inventory.change(id, department=department)
        workspace.script = [Unavailable("down") if fail else None for fail in fails]
        here.step()
        if restart:
            here.begin()
    workspace.script = []
    here.step()
    here.state.close()
    latest = {user.id: user for user in workspace.rows}
    assert latest == inventory.rows
    for id in latest:
        sent = [digest_of(user) for user in workspace.rows if user.id == id]
        assert all(one != other for one, other in pairwise(sent))
