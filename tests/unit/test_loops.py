"""
The clocks of the tests' own event loops: they run for what the program does, and not while it is kept waiting.
"""

import asyncio
import time

import pytest

from tests.loops import in_jumps, undisturbed


async def now():
    """Return the loop's clock."""
    return asyncio.get_running_loop().time()


def test_a_wait_is_a_jump():
    """
    A day passes at once, timeouts come in their order, and what others do takes no time.
    """
    order = []

    async def story():
        began = await now()

        async def after(seconds):
            for _ in range(1_000):
                await asyncio.sleep(0)
            assert await now() == began
            await asyncio.sleep(seconds)
            order.append((seconds, await now() - began))

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(86_400):
                await asyncio.gather(after(3_600), after(60), asyncio.Event().wait())
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        return await now() - began

    assert in_jumps(story()) == 86_400
    assert order == [(60, 60), (3_600, 3_600)]


def test_standing_still_takes_no_time():
    """
    A process that is kept from running is not late; one that waits or computes is.
    """

    async def story():
        began = await now()
        async with asyncio.timeout(0.3):
            time.sleep(0.6)  # as where others have the machine
            await asyncio.sleep(0.01)
        stood_still = await now() - began
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.Event().wait()
        waited = await now() - began - stood_still
        sum(range(300_000))
        return stood_still, waited, await now() - began - stood_still - waited

    stood_still, waited, computed = undisturbed(story())
    assert 0.01 <= stood_still < 0.3
    assert 0.1 <= waited < 0.3
    assert computed > 0.0005


def test_both_ends_of_a_connection_are_in_one_loop():
    """
    A call over loopback goes through, and its timeout comes where nobody answers.
    """

    async def echo(reader, writer):
        writer.write(await reader.readline())
        await reader.read()
        writer.close()

    async def story():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        async with asyncio.timeout(0.5):
            heard = await reader.readline()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.readline()
        writer.close()
        await writer.wait_closed()
        server.close()
        return heard

    assert undisturbed(story()) == b"hello\n"
