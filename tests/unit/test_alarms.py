"""
Alarms stand until they are cleared, and a receiver hears of each raise and each clearing once.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import httpx2
import pytest

from onelogin_connector.config import AlarmOptions
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.reach import Reach
from onelogin_connector.service.alarms import Alarms
from onelogin_connector.service.notices import ATTEMPTS_BEFORE_ALARM, GRACE_SECONDS, Notices
from onelogin_connector.setting import Secret
from onelogin_connector.state import State
from passwords import QUICK
from tests.loops import in_jumps

pytestmark = pytest.mark.anyio

PATH = "/services/T00/B00/very-secret-part"


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class Receiver:
    """
    A web server that takes notices, or refuses them for a while.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        """Statuses of the next answers; 200 when there are none left."""
        self.took: list[dict] = []
        self.heads: list[str] = []
        self.location = ""
        self.silent = False
        """Takes what is sent, and never says so."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
        )
        body = await reader.readexactly(length)
        status = self.answers.pop(0) if self.answers else 200
        self.heads.append(head)
        if status == 200:
            self.took.append(json.loads(body))
        if self.silent:
            await reader.read()  # until the sender goes away
            writer.close()
            return
        more = f"location: {self.location}\r\n" if self.location else ""
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{more}connection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


class World:
    def __init__(self, folder: Path, port: int, **options) -> None:
        self.clock = Clock()
        self.state = State(folder, clock=self.clock, hasher=QUICK)
        self.port = port
        self.rests: list[float] = []
        self.restart(**options)

    def restart(self, *, allowed=("127.0.0.1",), **options) -> None:
        """
        Begin anew, as after a restart: alarms are gone, the state is not.
        """
        self.alarms = Alarms(self.clock)
        webhook = Secret(f"http://127.0.0.1:{self.port}{PATH}")
        self.notices = Notices(
            AlarmOptions(**({"webhook": webhook} | options)),
            self.state.history,
            self.alarms,
            reach=Reach(allowed),
            console_url="https://console.example",
            clock=self.clock,
            sleep=self._sleep,
            send_seconds=100.0,  # this machine may be busy; no test is about a receiver that is
        )

    async def _sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(0.005)

    def is_noted(self, name: str) -> bool:
        """
        Tell whether the state knows what the receiver's latest answer was.
        """
        return self.state.history.told_alarms().get(name, {}).get("taken", True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.notices.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, int]]:
    """
    Give a receiver and its port.
    """
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    yield made, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture
async def world(tmp_path, receiver) -> AsyncIterator[World]:
    """
    Give alarms with somebody who is told.
    """
    made = World(tmp_path, receiver[1])
    yield made
    made.state.close()


async def until(condition) -> None:
    """
    Wait until something holds.
    """
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_an_alarm_keeps_its_beginning_and_takes_the_newest_words():
    """
    Raised again it is no new alarm; cleared twice it ends once.
    """
    clock = Clock()
    alarms, heard = Alarms(clock), []
    alarms.listen(lambda alarm, stands: heard.append((alarm.message, stands)))
    assert alarms.raise_("disk", "half", "act")
    clock.now += 60
    assert not alarms.raise_("disk", "full", "act")
    assert [(alarm.since, alarm.message) for alarm in alarms()] == [(clock.now - 60, "full")]
    alarms.clear("disk")
    alarms.clear("disk")
    assert heard == [("half", True), ("full", False)]
    assert alarms() == []


async def test_threads_raise_an_alarm_once():
    """
    Of many threads that notice the same, one raises the alarm.
    """
    alarms, heard = Alarms(Clock()), []
    alarms.listen(lambda alarm, stands: heard.append(stands))
    threads = [Thread(target=alarms.raise_, args=("intake", "full", "act")) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [True]


async def test_each_raise_and_each_clearing_is_told_once(world, receiver):
    """
    Whatever is repeated in between.
    """
    async with world.running():
        for _ in range(3):
            world.alarms.raise_("sink a", "a is detached", "Repair it.", link="/sinks/a")
        await until(lambda: len(receiver[0].took) == 1)
        world.alarms.clear("sink a")
        world.alarms.clear("sink a")
        world.alarms.raise_("sink a", "a is detached again", "Repair it.")
        await until(lambda: len(receiver[0].took) == 3)
    first = receiver[0].took[0]
    assert [each["event"] for each in receiver[0].took] == ["raised", "cleared", "raised"]
    assert (first["alarm"], first["message"], first["action"]) == ("sink a", "a is detached", "Repair it.")
    assert first["url"] == "https://console.example/sinks/a"
    assert first["since"] == "2026-09-21T14:13:20.000Z"


async def test_a_receiver_that_refuses_gets_it_later_in_order(world, receiver):
    """
    Waits grow; nothing is lost, doubled or overtaken, and raising an alarm never waits.
    """
    receiver[0].answers = [500, 503, 404]
    async with world.running():
        world.alarms.raise_("one", "1", "")
        world.alarms.raise_("two", "2", "")
        await until(lambda: len(receiver[0].took) == 2)
    assert [each["alarm"] for each in receiver[0].took] == ["one", "two"]
    waits = [rest for rest in world.rests if rest != 1.0]
    assert len(waits) == 3
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1 <= waits[2] <= 2


async def test_trouble_with_notices_is_an_alarm_of_its_own_that_is_not_sent(world, receiver):
    """
    The console says that nobody can be told; the alarm ends when somebody can.
    """
    receiver[0].answers = [500] * (ATTEMPTS_BEFORE_ALARM + 1)
    raised = []
    world.alarms.listen(lambda alarm, stands: raised.append((alarm, stands)))
    async with world.running():
        world.alarms.raise_("disk", "full", "")
        await until(
            lambda: receiver[0].took and not [each for each in world.alarms() if each.name == "notices"]
        )
    mine = [(alarm, stands) for alarm, stands in raised if alarm.name == "notices"]
    assert [stands for _, stands in mine] == [True, False]
    assert "500" in mine[0][0].message
    assert [each["alarm"] for each in receiver[0].took] == ["disk"]


async def test_the_address_is_shown_nowhere(world, receiver, caplog):
    """
    The path of a chat service's address is a secret: not in errors, logs, alarms, or the options' text.
    """
    caplog.set_level("DEBUG", logger="onelogin_connector")
    receiver[0].answers = [500] * 9
    async with world.running():
        world.alarms.raise_("disk", "full", "")
        await until(lambda: world.alarms() and any(each.name == "notices" for each in world.alarms()))
    shown = f"{world.alarms()} {world.notices.last_error} {world.notices.host} {caplog.text} "
    shown += repr(AlarmOptions(webhook=Secret(PATH)))
    assert "very-secret-part" not in shown


async def test_a_restart_repeats_nothing_and_takes_back_what_is_over(world, receiver):
    """
    What still stands is not told again; what ended meanwhile is told as over after a moment's grace.
    """
    async with world.running():
        world.alarms.raise_("disk", "full", "")
        world.alarms.raise_("sink a", "detached", "")
        await until(lambda: len(receiver[0].took) == 2)
    world.restart()
    async with world.running():
        world.alarms.raise_("disk", "still full", "")
        await asyncio.sleep(0.05)
        assert len(receiver[0].took) == 2
        world.clock.now += GRACE_SECONDS + 1
        await until(lambda: len(receiver[0].took) == 3)
        await asyncio.sleep(0.05)
    last = receiver[0].took[2:]
    assert [(each["alarm"], each["event"], each["message"]) for each in last] == [
        ("sink a", "cleared", "detached")
    ]


@pytest.mark.parametrize("stands", [True, False], ids=["stands", "is over"])
async def test_an_end_between_a_notice_and_its_answer(world, receiver, stands):
    """
    What may have been told is told again if it stands, and taken back if not: no receiver is left with it.
    """
    receiver[0].silent = True
    async with world.running():
        world.alarms.raise_("disk", "full", "")
        await until(lambda: receiver[0].took)
    receiver[0].silent = False
    for _ in range(2):  # and nothing more at a second restart
        world.restart()
        async with world.running():
            if stands:
                world.alarms.raise_("disk", "full", "")
            world.clock.now += GRACE_SECONDS + 1
            await until(lambda: len(receiver[0].took) == 2 and world.is_noted("disk"))
            world.rests.clear()
            await until(lambda: len(world.rests) > 2)  # had it more to tell, it would not rest
    assert [each["event"] for each in receiver[0].took] == ["raised", "raised" if stands else "cleared"]


@pytest.mark.parametrize(("seconds", "taken"), [(14, True), (16, False)])
def test_a_receiver_has_fifteen_seconds_for_its_answer(tmp_path, seconds, taken):
    """
    One that thinks for long is not told the same again, and one that never answers holds up no other notice for ever.
    """

    async def slowly(request):
        assert set(request.extensions["timeout"].values()) == {None}, (
            "a part of the call has a limit of its own"
        )
        await asyncio.sleep(seconds)
        return httpx2.Response(200)

    world = World(tmp_path, 1)
    world.notices = Notices(
        AlarmOptions(webhook=Secret("http://127.0.0.1:1")),
        world.state.history,
        world.alarms,
        reach=SimpleNamespace(transport=lambda **_: httpx2.MockTransport(slowly)),
        console_url="",
        clock=world.clock,
    )
    with nullcontext() if taken else pytest.raises(Unavailable, match="did not answer in time"):
        in_jumps(world.notices.try_out())
    world.state.close()


async def test_private_hosts_are_refused_unless_allowed(world, receiver):
    """
    An alarm is no way into the network that this machine stands in.
    """
    world.restart(allowed=())
    with pytest.raises(ConfigError, match="private network"):
        await world.notices.try_out()
    for address in ("https://10.0.0.1/x", "https://[::ffff:192.168.0.1]/x", "https://169.254.169.254/latest"):
        world.restart(allowed=(), webhook=Secret(address))
        with pytest.raises(ConfigError, match="private network"):
            await world.notices.try_out()
    assert receiver[0].heads == []


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.example/x",
        "ftp://127.0.0.1/",
        "https://user:pass@127.0.0.1/",
        "https://[",
        "127.0.0.1",
        "",
    ],
)
async def test_an_address_that_cannot_be_used_is_told_without_it(world, address):
    """
    Plain http leaves this machine for nobody.
    """
    world.restart(webhook=Secret(address))
    with pytest.raises(ConfigError, match="no address that can be used") as told:
        await world.notices.try_out()
    assert "hooks.example" not in str(told.value)
    assert "pass" not in str(told.value)


async def test_redirects_are_not_followed(world, receiver):
    """
    A receiver cannot send a notice, with its token, somewhere else.
    """
    receiver[0].answers, receiver[0].location = [302], f"http://127.0.0.1:{world.port}/elsewhere"
    world.restart(token=Secret("the token"))
    with pytest.raises(Unavailable, match="302"):
        await world.notices.try_out()
    assert len(receiver[0].heads) == 1
    assert "authorization: bearer the token" in receiver[0].heads[0].lower()


async def test_slack_gets_text_that_mentions_nobody(world, receiver):
    """
    A cause may hold what an attacker wrote: it must not call the whole channel, nor look like a link.
    """
    world.restart(format="slack")
    async with world.running():
        world.alarms.raise_("sink a", "<!channel> click <https://evil.example|here> & now\x1b\u202e", "Act.")
        await until(lambda: receiver[0].took)
    text = receiver[0].took[0]["text"]
    assert "&lt;!channel&gt;" in text
    assert "<https://evil" not in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert "<https://console.example/health|Open the console>" in text


async def test_without_a_receiver_nothing_is_kept(tmp_path):
    """
    Nobody to tell: the loop ends at once, and alarms pile up nowhere.
    """
    world = World(tmp_path, 0, webhook=None)
    world.alarms.raise_("disk", "full", "")
    await asyncio.wait_for(world.notices.run(), 60)
    assert not world.notices._waiting
    world.state.close()
