"""
``password`` and ``token``: make credentials; each is shown once.
"""

import sys
from argparse import Namespace
from getpass import getpass

from onelogin_connector.cli import DONE, WRONG_USAGE, say, tables
from onelogin_connector.cli.connection import connected
from onelogin_connector.config import Settings
from onelogin_connector.errors import ConfigError


async def password(arguments: Namespace, settings: Settings) -> int:
    """
    Set a user's password.
    """
    secret = _asked(arguments.user) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    async with connected(settings, make=True) as api:
        await api.post("password", {"user": arguments.user, "password": secret})
    say(f"The password of {arguments.user} is set; sessions opened with the old one have ended.")
    return DONE


async def token(arguments: Namespace, settings: Settings) -> int:
    """
    Make a webhook token for a connector, or a token for the HTTP API.
    """
    if (arguments.id is None) == (arguments.api is None):
        say("Name the connector that gets a new webhook token, or --api NAME for a token of the HTTP API.")
        return WRONG_USAGE
    async with connected(settings, make=True) as api:
        if arguments.api is not None:
            made = await api.post("tokens", {"name": arguments.api, "role": arguments.role})
        else:
            made = await api.post(f"connectors/{arguments.id}/token", {"revoke_old": arguments.revoke_old})
    if arguments.json:
        tables.show_json(made)
    else:
        print(made["token"])
    say(made["note"])
    return DONE


def _asked(user: str) -> str:
    first = getpass(f"New password of {user}: ")
    if getpass("The same again: ") != first:
        raise ConfigError("The two passwords differ.", action="Nothing was changed; try again.")
    return first
