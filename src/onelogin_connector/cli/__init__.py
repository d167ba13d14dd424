"""
The command line: one function per command, each a thin call into the service.

Data goes to stdout and messages to stderr. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from io import TextIOWrapper

from onelogin_connector.cli import logs
from onelogin_connector.cli.arguments import parser
from onelogin_connector.cli.called import as_called
from onelogin_connector.cli.text import printable
from onelogin_connector.config import Settings, load
from onelogin_connector.errors import ConfigError, ConnectorError

DONE, FAILED, WRONG_USAGE = 0, 1, 2
INTERRUPTED = 130  # what shells expect of a program that Ctrl+C ended

MODULES = {
    "run": "run",
    "status": "watch",
    "ready": "watch",
    "check": "watch",
    "query": "query",
    "import": "feed",
    "backfill": "backfill",
    "simulate": "feed",
    "dead-letters": "letters",
    "sink": "sink",
    "password": "credentials",
    "token": "credentials",
    "config": "settings",
    "init": "settings",
    "backup": "keep",
    "restore": "keep",
    "bench": "measure",
}
"""Command → module of this folder that holds its function; imported only when it is called."""

Command = Callable[[Namespace, Settings], Coroutine[None, None, int]]


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """
    Run one command; returns the exit status.
    """
    os.umask(0o077)  # whatever this program writes, others cannot read
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that this terminal lacks is no reason to fail
    top, twins = parser(environ)
    arguments = top.parse_args(argv)
    try:
        return _call(arguments, {name: value for name, value in environ.items() if name not in twins})
    except ConnectorError as error:
        say(f"onelogin-connector: {error.message}")
        if error.action:
            say(f"  {error.action}")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; Python would complain once more while it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def say(text: str) -> None:
    """
    Print a message for the person, with control characters taken out and commands as they work here.
    """
    print("\n".join(printable(line) for line in as_called(text).split("\n")), file=sys.stderr, flush=True)


def _call(arguments: Namespace, environ: Mapping[str, str]) -> int:
    module = import_module(f"onelogin_connector.cli.{MODULES[arguments.command]}")
    function = getattr(module, arguments.command.replace("-", "_").replace("import", "import_"))
    if arguments.command in {"init", "bench", "simulate"}:
        # these need no settings, so that they also work where there are none or broken ones
        logs.set_up()
        return _run(function(arguments))
    settings = load(
        arguments.config,
        environ,
        data_dir=arguments.data_dir,
        host=getattr(arguments, "host", None),
        port=getattr(arguments, "port", None),
        demo=getattr(arguments, "demo", False),
    )
    # a command says what it has to say itself; its log is for what goes wrong
    level = settings.log.level if arguments.command == "run" else "warning"
    logs.set_up(level=level.upper(), form=settings.log.format)
    if arguments.command in {"run", "config"}:
        for warning in settings.warnings:
            say(f"warning: {warning}")
    return _run(function(arguments, settings))


def _run(command: Coroutine[None, None, int]) -> int:
    import asyncio

    try:
        from uvloop import new_event_loop
    except ImportError:  # it does not exist for Windows
        new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(command)


__all__ = ["DONE", "FAILED", "WRONG_USAGE", "ConfigError", "main", "say"]
