"""
``backup`` and ``restore``.
"""

from argparse import Namespace
from pathlib import Path

from onelogin_connector.cli import DONE, say
from onelogin_connector.cli.connection import connected, gone, refuse
from onelogin_connector.config import Settings
from onelogin_connector.errors import ConfigError
from onelogin_connector.service import backup as parts

ENDING = ".tar"


async def backup(arguments: Namespace, settings: Settings) -> int:
    """
    Write a backup to a new file or folder.
    """
    from httpx2 import TransportError

    target: Path = arguments.target
    if target.exists():
        raise ConfigError(f"{target} is there already.", action="Name a file or folder that does not exist.")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    try:
        async with connected(settings) as api, api.client.stream("POST", "/api/v1/backup") as answer:
            if answer.status_code >= 400:
                refuse(answer.status_code, await answer.aread())
            with unfinished.open("wb") as file:
                async for chunk in answer.aiter_raw():
                    file.write(chunk)
        parts.require_whole(unfinished)
        if target.suffix == ENDING:
            unfinished.rename(target)
        else:
            parts.unpack(unfinished, target)
    except TransportError as error:
        raise gone(error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    say(
        f"The backup is in {target}. The key of stored secrets is not in it: keep {settings.data_dir / 'secret.key'} elsewhere."
    )
    return DONE


async def restore(arguments: Namespace, settings: Settings) -> int:
    """
    Bring a backup back into the data folder.
    """
    aside = parts.restore(arguments.source, settings.data_dir, force=arguments.force)
    say(f"The backup is restored into {settings.data_dir}.")
    if aside is not None:
        say(f"What was there before is in {aside}; delete it when you no longer need it.")
    return DONE
