"""
``config`` and ``init``: the settings file.
"""

from argparse import Namespace
from pathlib import Path

from onelogin_connector.cli import DONE, say
from onelogin_connector.config import Settings, export, starter
from onelogin_connector.errors import ConfigError
from onelogin_connector.plural import counted

FILE_NAME = Path("onelogin-connector.toml")


async def config(arguments: Namespace, settings: Settings) -> int:
    """
    Print the settings, or say that they are in order; what is wrong with them was raised while reading.
    """
    if arguments.what == "export":
        from onelogin_connector.service.exporting import sinks_of_console, with_console

        print(export(with_console(settings), sinks_of_console(settings)), end="")
    else:
        say(
            f"{settings.path or 'The environment'} is in order: "
            f"{counted(len(settings.connectors), 'connector')}, {counted(len(settings.sinks), 'sink')}, "
            f"data in {settings.data_dir}."
        )
    return DONE


async def init(arguments: Namespace) -> int:
    """
    Write a commented settings file where there is none.
    """
    path = arguments.config or FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(starter())
    except FileExistsError as error:
        raise ConfigError(
            f"{path} is there already, and is left as it is.", action="Name another file with --config."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.", action="Name another file with --config."
        ) from error
    say(f"{path} is written. Edit it, check it with `onelogin-connector config validate`, then `run`.")
    return DONE
