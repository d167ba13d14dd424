"""
A port for a program that has to be told one.
"""

import socket
from random import SystemRandom

PORTS = range(20_000, 32_000)
"""Below those from which Linux and macOS serve whoever takes any, so no other test's connection is there meanwhile."""


def free_port() -> int:
    """
    Return a port of loopback that nobody listens on, and that a process beside this one is unlikely to choose too.
    """
    chance = SystemRandom()  # hypothesis gives the usual one the same seed in every process
    while True:
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
