"""
``bench``: run the benchmarks of a checkout.
"""

import asyncio
import sys
from argparse import Namespace
from pathlib import Path

from onelogin_connector.cli import DONE, FAILED
from onelogin_connector.errors import ConfigError


async def bench(arguments: Namespace) -> int:
    """
    Measure this machine.
    """
    checkout = Path(__file__).parents[3]
    if not (checkout / "benchmarks" / "__main__.py").is_file():
        raise ConfigError(
            "The benchmarks are part of the source code, and this is an installed package.",
            action="Clone the repository and run `make bench` there.",
        )
    quick = ["--quick"] if arguments.quick else []
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks", *quick, cwd=checkout)
    return DONE if await running.wait() == 0 else FAILED
