"""
What ``conftest`` promises to every test, attacked.
"""

import asyncio
import os
import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("8.8.8.8", 53), ("10.0.0.1", 1)])
def test_no_test_reaches_another_machine(address):
    """
    A connection to anything but this machine fails before a packet leaves.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection,
        pytest.raises(OSError, match="tests talk to loopback alone"),
    ):
        connection.connect(address)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid"])
def test_asyncio_is_held_too(host):
    """
    The event loop's connections go through the same guard, before a name is looked up.
    """
    with pytest.raises(OSError, match="tests talk to loopback alone"):
        asyncio.run(asyncio.open_connection(host, 80))


def test_loopback_is_open():
    """
    A server on this machine is reached.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_settings_of_whoever_runs_the_tests_are_hidden():
    """
    No setting of the program comes from outside into a test.
    """
    assert not [name for name in os.environ if name.upper().startswith("ONELOGIN")]


def test_a_missing_tool_skips_here_and_fails_on_ci(needs):
    """
    Without its tool a test is skipped by name, but never on CI.
    """
    assert needs("sh")
    with pytest.raises(
        pytest.skip.Exception if not os.environ.get("CI") else pytest.fail.Exception, match="no-such-tool"
    ):
        needs("no-such-tool")
