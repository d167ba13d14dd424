"""
How the program is called where it was started, so that a hint can be copied as it stands.
"""

import re
import shlex
import shutil
import sys
from pathlib import Path

NAME = "onelogin-connector"

COMMAND = re.compile(rf"(?<![\w./-]){NAME}(?= [a-z])")
"""The program's name where a command follows it: not that of a file, and not the name before a message."""


def as_called(text: str) -> str:
    """
    Write the commands in a text as they work here.
    """
    return COMMAND.sub(lambda _: program(), text) if COMMAND.search(text) else text


def program(*, folders: str | None = None, python: str = sys.executable, here: Path | None = None) -> str:
    """
    Return what starts this program, as a shell reads it: its name where that is on the path, else the file beside this Python.

    Args:
        folders: Where commands are looked for; the environment's PATH by default.
        python: The interpreter; a checkout's is in its ``.venv``.
        here: The folder that paths are named from; the present one by default.
    """
    if shutil.which(NAME, path=folders):
        return NAME
    beside = Path(python).with_name(NAME)
    if not beside.is_file():
        return f"{shlex.quote(python)} -m onelogin_connector"
    folder = here or Path.cwd()
    return shlex.quote(str(beside.relative_to(folder) if beside.is_relative_to(folder) else beside))
