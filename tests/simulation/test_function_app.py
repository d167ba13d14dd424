"""
The function app killed between every two steps, and two of it at once: none lost, none twice but for a lost answer.
"""

import asyncio
import random
from functools import cache

import pytest
from msgspec.json import decode, encode

from onelogin_connector.simulator.company import Company
from tests.blob_account import Killed
from tests.function_world import NOW, TAKEOVER_SECONDS, FunctionWorld, Process, in_another_thread

KINDS = ("data_collector", "logs_ingestion")
POISON = "poison-7f3a"


@cache
def bodies(count: int, per_body: int = 5, *, seed: int = 1, poisoned: int = 0) -> list[bytes]:
    """
    Return webhook bodies of a company's day, as OneLogin batches them.
    """
    story = Company(seed).story(int((NOW - 3_600) * 1e6))
    records = [next(story).to_webhook() for _ in range(count * per_body)]
    for record in records[:poisoned]:
        record["notes"] = POISON
    return [encode(records[at : at + per_body]) for at in range(0, len(records), per_body)]


async def story(world: FunctionWorld, process: Process) -> None:
    """
    Let bodies come, some of them twice, with drains between.
    """
    first, second = bodies(3), bodies(5)[2:]  # one body in both
    await world.post(process, first)
    await process.tick()
    await world.post(process, [*second, first[0]])
    await process.tick()
    await process.tick()


async def ended(world: FunctionWorld) -> None:
    """
    Let a new instance do what is left, when the lease of the last one has run out.
    """
    world.disturb = None
    for _ in range(2):
        world.now += TAKEOVER_SECONDS
        await world.start().tick()


def changes(steps: list[str], when: str) -> list[int]:
    """
    Return the numbers of the steps just before, or after, something outside changes.

    To be killed between two reads is the same as to be killed after the change before them.
    """
    verbs = tuple(f"{when} {verb}" for verb in ("PUT", "DELETE", "/api/logs", "/dataCollectionRules"))
    found = [number for number, step in enumerate(steps, 1) if step.startswith(verbs)]
    assert len(found) > 15
    return found


def undisturbed(kind: str) -> list[str]:
    """
    Return the steps of the story when nothing happens.
    """
    world = FunctionWorld(kind)
    asyncio.run(story(world, world.start()))
    world.judge()
    assert sum(world.accepted().values()) == 25
    return world.steps


@pytest.mark.parametrize("kind", ["data_collector"])
def test_killed_between_every_two_steps(kind):
    """
    Whichever step is the last of an instance, the next one finishes what was acknowledged.
    """
    for number in [1, *changes(undisturbed(kind), "after")]:
        world = FunctionWorld(kind)

        def kill(process: Process, at: int, number: int = number, world: FunctionWorld = world) -> None:
            if at == number:
                world.kill(process)

        world.disturb = kill
        with pytest.raises(Killed):
            asyncio.run(story(world, world.start()))
        asyncio.run(ended(world))
        world.judge()


@pytest.mark.parametrize("kind", ["logs_ingestion"])
def test_the_lease_is_lost_at_every_step(kind):
    """
    An instance that stands still for a minute while another drains everything does no harm when it goes on.
    """
    for number in changes(undisturbed(kind), "before"):
        world = FunctionWorld(kind)

        def stand_still(
            process: Process, at: int, number: int = number, world: FunctionWorld = world
        ) -> None:
            if at == number:
                world.disturb = None
                world.now += TAKEOVER_SECONDS
                world.doubled += world.uncommitted
                world.uncommitted = 0
                if "onelogin-connector/" not in world.steps[-1]:
                    world.late = process  # it is about to send, and nothing can call that back
                in_another_thread(world.start().tick)

        world.disturb = stand_still
        asyncio.run(story(world, world.start()))
        asyncio.run(ended(world))
        world.judge()


@pytest.mark.parametrize("seed", range(8))
def test_killed_again_and_again(seed):
    """
    Many kills in a row, also of those who repair what the last one left.
    """
    chance = random.Random(seed)
    world = FunctionWorld(chance.choice(KINDS))
    due = [chance.randrange(5, 60)]

    def kill(process: Process, at: int) -> None:
        due[0] -= 1
        if due[0] == 0:
            due[0] = chance.randrange(5, 60)
            world.kill(process)

    world.disturb = kill
    waiting = bodies(12, seed=seed)
    for _ in range(15):
        process = world.start()
        try:
            asyncio.run(world.post(process, waiting[:2]))
            del waiting[:2]
            asyncio.run(process.tick())
        except Killed:
            world.now += chance.choice((1.0, TAKEOVER_SECONDS))
    asyncio.run(ended(world))
    world.judge()


def test_two_drains_at_once():
    """
    Of two that begin at the same time one works, and the other leaves without an error.
    """
    world = FunctionWorld()

    async def together() -> None:
        one, other = world.start(), world.start()
        await world.post(one, bodies(10))
        await asyncio.gather(one.tick(), other.tick())
        await one.tick()

    asyncio.run(together())
    world.judge()
    assert world.doubled == 0
    assert max(world.accepted().values()) == 1


@pytest.mark.parametrize("kind", ["logs_ingestion"])
def test_refused_records_become_dead_letters_at_every_kill(kind):
    """
    A record that the service refuses is a dead letter, once, and everything else arrives, wherever the process ends.
    """
    dead: set[str] = set()

    async def told(world: FunctionWorld, process: Process) -> None:
        await world.post(process, bodies(2, poisoned=1))
        await process.tick()

    def world_with_poison() -> FunctionWorld:
        world = FunctionWorld(kind)
        world.fail("poison", containing=POISON)
        return world

    world = world_with_poison()
    asyncio.run(told(world, world.start()))
    dead = {key for key in _uuids(bodies(2, poisoned=1)) if key not in world.accepted()}
    assert len(dead) == 1
    for number in changes(world.steps, "after"):
        again = world_with_poison()

        def kill(process: Process, at: int, number: int = number, again: FunctionWorld = again) -> None:
            if at == number:
                again.kill(process)

        again.disturb = kill
        with pytest.raises(Killed):
            asyncio.run(told(again, again.start()))
        asyncio.run(ended(again))
        again.judge(dead=dead)
        asyncio.run(_one_letter(again, expected=bool(again.acknowledged)))


async def _one_letter(world: FunctionWorld, *, expected: bool) -> None:
    if not expected:
        return
    status, shown = await world.start().ask("DeadLetters")
    assert status == 200
    assert [letter["kind"] for letter in shown["dead_letters"]] == ["delivery"]
    assert POISON in shown["dead_letters"][0]["body"]


def _uuids(found: list[bytes]) -> list[str]:
    return [record["uuid"] for body in found for record in decode(body)]
