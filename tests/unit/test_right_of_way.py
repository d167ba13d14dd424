"""
Pages let requests pass, and come all the same.
"""

import asyncio
from contextlib import suppress
from threading import Event, Thread
from time import perf_counter

import pytest

from onelogin_connector.service.right_of_way import RightOfWay


def test_nobody_waits_where_nothing_is_taken_in():
    """
    A free way costs nothing, also after requests have passed.
    """
    way = RightOfWay()
    assert not way.is_taken
    with way, way:
        assert way.is_taken
    assert not way.is_taken
    assert min(way.let_pass(10.0) for _ in range(5)) < 1.0  # the machine may hold up one of them


def test_who_waits_goes_on_with_the_last_request():
    """
    The way is free when all requests are through, not when one of them is; also when one of them fails.
    """
    way, through = RightOfWay(), Event()
    waiting = Thread(target=lambda: (way.let_pass(300.0), through.set()))
    with way:
        with suppress(OSError), way:
            waiting.start()
            raise OSError
        assert not through.wait(0.05)
    assert through.wait(60.0)
    waiting.join()


def test_patience_ends():
    """
    Under requests that never pause somebody who waits goes on after the time that was named.
    """
    way = RightOfWay()
    with way:
        began = perf_counter()
        waited = way.let_pass(0.02)
    assert 0.02 <= waited <= perf_counter() - began


@pytest.mark.anyio
async def test_requests_of_one_loop_overlap():
    """
    Requests come and go in any order.
    """
    way = RightOfWay()
    left = asyncio.Event()

    async def request(first: bool) -> None:
        with way:
            if first:
                await left.wait()

    slow = asyncio.create_task(request(True))
    await asyncio.sleep(0)
    await request(False)
    assert way.is_taken
    left.set()
    await slow
    assert not way.is_taken
