"""
A port for a program that has to be told one.
"""

import os
import socket
from random import SystemRandom

PORTS = range(20_000, 32_000)
"""Below those from which Linux and macOS serve whoever takes any, so no other test's connection is there meanwhile."""
PROCESSES = 16
"""As many processes of tests have ports of their own."""


def free_port() -> int:
    """
    Return a port of loopback that nobody listens on, and that no process of tests beside this one chooses.
    """
    chance = SystemRandom()  # hypothesis gives the usual one the same seed in every process
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = PORTS[worker % PROCESSES :: PROCESSES]
    while True:
        port = chance.choice(own)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
