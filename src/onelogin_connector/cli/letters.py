"""
``dead-letters``: look at, replay or discard what was not accepted.
"""

import sys
from argparse import Namespace
from typing import Any

from onelogin_connector.cli import DONE, FAILED, WRONG_USAGE, say, tables
from onelogin_connector.cli.connection import Api, connected
from onelogin_connector.cli.text import printable
from onelogin_connector.config import Settings

COLUMNS = ("id", "at", "connector", "sink", "kind", "count", "bytes", "reason")


async def dead_letters(arguments: Namespace, settings: Settings) -> int:
    """
    Do what the second word says.
    """
    async with connected(settings) as api:
        if arguments.what == "list":
            return await _list(api, arguments)
        if arguments.what == "show":
            return await _show(api, arguments)
        return await _change(api, arguments)


async def _list(api: Api, arguments: Namespace) -> int:
    found = await api.get("dead-letters", after=arguments.after, limit=arguments.limit)
    letters = found["dead_letters"]
    if arguments.json:
        tables.show_json(letters)
    else:
        tables.show(COLUMNS, letters)
    if found["next"] is not None:
        say(f"There are more: --after {found['next']}")
    return DONE


async def _show(api: Api, arguments: Namespace) -> int:
    letter = await api.get(f"dead-letters/{arguments.id}")
    if arguments.json:
        tables.show_json(letter)
        return DONE
    for name in COLUMNS:
        print(f"{name:<10} {tables.text(letter[name])}")
    for position, reason in letter["positions"].items():
        print(f"{'record ' + position:<10} {printable(reason)}")
    print()
    body = letter["body"]
    # in a pipe the bytes are wanted as they came; a terminal obeys control characters
    print("\n".join(printable(line) for line in body.split("\n")) if sys.stdout.isatty() else body)
    return DONE


async def _change(api: Api, arguments: Namespace) -> int:
    if bool(arguments.ids) == arguments.all:
        say(f"Name the ids to {arguments.what}, or --all.")
        return WRONG_USAGE
    which: dict[str, Any] = {"all": True} if arguments.all else {"ids": arguments.ids}
    result = await api.post(f"dead-letters/{arguments.what}", which)
    if arguments.json:
        tables.show_json(result)
    else:
        print(", ".join(f"{count} {word}" for word, count in result.items() if isinstance(count, int)))
        for failure in result.get("errors", []):
            say(failure)
    failed = result.get("failed", 0) or (0 if arguments.all else len(arguments.ids) - sum(_counts(result)))
    return FAILED if failed else DONE


def _counts(result: dict[str, Any]) -> list[int]:
    return [count for count in result.values() if isinstance(count, int)]
