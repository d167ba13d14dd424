"""
A port for a program that has to be told one.
"""

import os
import socket
from random import SystemRandom

PORTS = range(20_000, 32_000)
"""Below those from which Linux and macOS serve whoever takes any, so no other test's connection is there meanwhile."""

_given: set[int] = set()


def free_port() -> int:
    """
    Return a port of loopback that nobody listens on, and that is given to nobody else, here or in a process beside this one.
    """
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = PORTS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) :: beside]
    chance = SystemRandom()  # hypothesis gives the usual one the same seed in every process
    while True:
        port = chance.choice(own)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
