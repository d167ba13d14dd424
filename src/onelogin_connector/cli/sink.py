"""
``sink``: pause or resume a destination, bring it what it is owed, or give that up.
"""

from argparse import Namespace
from urllib.parse import quote

from onelogin_connector.cli import DONE, tables
from onelogin_connector.cli.connection import connected
from onelogin_connector.config import Settings


async def sink(arguments: Namespace, settings: Settings) -> int:
    """
    Do what the second word says, in the running service.
    """
    async with connected(settings) as api:
        path = f"sinks/{quote(arguments.name, safe='')}/{arguments.what}"
        done = await api.post(path, {"confirmed": True} if arguments.what == "waive" else None)
    if arguments.json:
        tables.show_json(done)
    else:
        print(done["message"])
    return DONE
