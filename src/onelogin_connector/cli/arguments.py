"""
The commands and flags, with the texts of ``--help``.

Every flag has a twin in the environment. Flags that are settings have that of the setting
(``ONELOGIN_CONNECTOR_DATA_DIR``); the twin of any other names its command too
(``ONELOGIN_CONNECTOR_QUERY_JSON``), so that no variable can turn one command's harmless flag into another's
destructive one. A flag that is given wins over its twin.
"""

from argparse import (
    SUPPRESS,
    Action,
    ArgumentParser,
    ArgumentTypeError,
    RawDescriptionHelpFormatter,
    _ActionsContainer,
    _SubParsersAction,
)
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onelogin_connector import __version__
from onelogin_connector.cli.times import moment
from onelogin_connector.config import PREFIX

NO = frozenset({"", "0", "no", "false", "off"})
"""Texts by which a variable turns its flag off."""

LAST_PORT = 65_535
OF_CONFIG = frozenset({"config", "data-dir", "host", "port"})
"""Flags whose twins ``config`` reads itself."""

OVERVIEW = """\
start here:
  onelogin-connector run              start; prints the address and a sign-in link
  onelogin-connector status           what arrives, what is delivered, what is wrong
  onelogin-connector query 'OneLogin | sort by TimeGenerated desc | take 20'

Commands talk to the service that runs on the data folder; without one they open the folder themselves.
Exit status: 0 done, 1 failed, 2 wrong usage.
"""


class Flags:
    """
    Adds flags with their twins in the environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """
        Read the twins from an environment.
        """
        self._environ = environ
        self.twins: set[str] = set()

    def add(
        self,
        parser: ArgumentParser,
        flag: str,
        text: str,
        group: _ActionsContainer | None = None,
        **options: Any,
    ) -> Action:
        """
        Add a flag; its help names its twin.

        Args:
            group: Where in the parser, if it excludes other flags.
        """
        words = [flag.removeprefix("--")]
        if words[0] not in OF_CONFIG:
            words = [*parser.prog.split()[1:], *words]
        twin = PREFIX + "_".join(words).replace("-", "_").upper()
        value = self._environ.get(twin)
        if words[0] not in OF_CONFIG:
            self.twins.add(twin)
            if value is not None and options.get("action") == "store_true":
                options["default"] = value.strip().lower() not in NO
            elif value is not None:
                # argparse converts text defaults by the flag's type, and says so when it cannot
                options |= {"default": value, "required": False}
        return (group or parser).add_argument(flag, help=f"{text} [{twin}]", **options)


def parser(environ: Mapping[str, str]) -> tuple[ArgumentParser, set[str]]:
    """
    Return the parser of the whole command line, and the variables that are twins of flags.
    """
    flags = Flags(environ)
    top = ArgumentParser(
        prog="onelogin-connector",
        description="Get OneLogin's audit events, complete and once, to where a security team works.",
        epilog=OVERVIEW,
        formatter_class=RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"onelogin-connector {__version__}")
    _common(flags, top)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (
        _run,
        _status,
        _ready,
        _check,
        _query,
        _import,
        _backfill,
        _letters,
        _sink,
        _password,
        _token,
        _config,
        _init,
    ):
        add(flags, commands)
    for add in (_backup, _restore, _simulate, _bench):
        add(flags, commands)
    return top, flags.twins


def _common(flags: Flags, parser: ArgumentParser, **options: Any) -> None:
    flags.add(
        parser,
        "--config",
        "settings file; ./onelogin-connector.toml when present",
        type=Path,
        metavar="FILE",
        **options,
    )
    flags.add(parser, "--data-dir", "the data folder", type=Path, metavar="FOLDER", **options)


def _command(
    flags: Flags, commands: "_SubParsersAction[ArgumentParser]", name: str, text: str
) -> ArgumentParser:
    found = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        formatter_class=RawDescriptionHelpFormatter,
    )
    # absent, they must not hide what was given before the command
    _common(flags, found, default=SUPPRESS)
    return found


def _json(flags: Flags, parser: ArgumentParser) -> None:
    flags.add(parser, "--json", "print JSON for programs", action="store_true")


def _run(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    run = _command(flags, commands, "run", "start the service; Ctrl+C stops it")
    flags.add(run, "--host", "address to listen on; 127.0.0.1 by default", metavar="ADDRESS")
    flags.add(run, "--port", "port to listen on; 8080 by default", type=_port, metavar="NUMBER")
    flags.add(
        run,
        "--demo",
        "feed it from a simulated company, with its last 30 hours at once, in a data folder of its own",
        action="store_true",
    )
    flags.add(
        run, "--azure", "with --demo: deliver into a simulated Microsoft Sentinel too", action="store_true"
    )


def _status(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    _json(
        flags, _command(flags, commands, "status", "show connectors, sinks and journal, with what is wrong")
    )


def _ready(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    _command(flags, commands, "ready", "tell whether the service takes events; for health checks")


def _check(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    check = _command(flags, commands, "check", "test connectors and sinks, stage by stage")
    check.add_argument("names", nargs="*", metavar="NAME", help="connectors or sinks; all by default")
    _json(flags, check)


def _query(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    query = _command(flags, commands, "query", "ask the local store in KQL")
    query.add_argument("kql", metavar="KQL", help="the query, or - to read it from standard input")
    shape = query.add_mutually_exclusive_group()
    flags.add(query, "--json", "print one JSON array of row objects", shape, action="store_true")
    flags.add(query, "--csv", "print CSV that is safe to open in a spreadsheet", shape, action="store_true")
    flags.add(query, "--all", "every row; without it at most 30,000", action="store_true")
    flags.add(
        query, "--timeout", "give up after so many seconds", type=_seconds, default=60.0, metavar="SECONDS"
    )


def _import(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    imports = _command(
        flags, commands, "import", "take events from files: JSON, NDJSON, pages of the API, gzip"
    )
    imports.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a file, a pipe, or - for standard input"
    )
    flags.add(imports, "--connector", "id of the connector they belong to", required=True, metavar="ID")
    flags.add(
        imports,
        "--accept-duplicates",
        "also take events so old that repeats of them can no longer be recognised",
        action="store_true",
    )
    _json(flags, imports)


def _backfill(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    backfill = _command(
        flags,
        commands,
        "backfill",
        "read a range of the past from OneLogin's API; interrupted, the same command goes on where it was",
    )
    backfill.add_argument("id", metavar="ID", help="connector to read for")
    flags.add(
        backfill,
        "--since",
        "where to begin: a time such as 2026-11-01T00:00:00Z, a day, or how long ago (36h, 7d)",
        type=moment,
        required=True,
        metavar="TIME",
    )
    flags.add(backfill, "--until", "where to end; now by default", type=moment, metavar="TIME")
    flags.add(
        backfill,
        "--accept-duplicates",
        "also read hours so old that repeats of their events can no longer be recognised",
        action="store_true",
    )
    _json(flags, backfill)


def _letters(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    letters = _command(flags, commands, "dead-letters", "look at, replay or discard what was not accepted")
    what = letters.add_subparsers(dest="what", metavar="list|show|replay|discard", required=True)
    shown = _command(flags, what, "list", "list dead letters, oldest first")
    flags.add(shown, "--limit", "at most so many", type=int, default=100, metavar="NUMBER")
    flags.add(shown, "--after", "only those with a larger id", type=int, default=0, metavar="ID")
    _json(flags, shown)
    show = _command(flags, what, "show", "show one dead letter with its bytes")
    show.add_argument("id", type=int, metavar="ID")
    _json(flags, show)
    for name, text in (
        ("replay", "send dead letters again; those that are accepted now are removed"),
        ("discard", "remove dead letters for ever"),
    ):
        change = _command(flags, what, name, text)
        change.add_argument("ids", nargs="*", type=int, metavar="ID")
        flags.add(change, "--all", "all of them", action="store_true")
        _json(flags, change)


def _sink(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    sink = _command(flags, commands, "sink", "pause or resume a sink, or settle what it is owed")
    what = sink.add_subparsers(dest="what", metavar="pause|resume|refill|waive", required=True)
    for name, text in (
        ("pause", "send it nothing until it is resumed, over restarts too"),
        ("resume", "go on at once, also out of a wait between attempts"),
        ("refill", "send it what it is owed, from the local store"),
        ("waive", "give up what it is owed; counted as skipped"),
    ):
        act = _command(flags, what, name, text)
        act.add_argument("name", metavar="NAME", help="the sink's name in the settings")
        _json(flags, act)


def _password(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    password = _command(
        flags, commands, "password", "set a user's password; asks for it, or reads it from a pipe"
    )
    flags.add(password, "--user", "whose password; admin by default", default="admin", metavar="NAME")


def _token(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    token = _command(flags, commands, "token", "make a token; it is printed once and cannot be shown again")
    token.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="connector that gets a new webhook token; the one before stays valid",
    )
    flags.add(token, "--revoke-old", "make the connector's older tokens invalid now", action="store_true")
    flags.add(token, "--api", "make a token for the HTTP API instead, of this name", metavar="NAME")
    flags.add(
        token,
        "--role",
        "what an API token may do",
        choices=("viewer", "operator", "admin"),
        default="viewer",
    )
    _json(flags, token)


def _config(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    config = _command(flags, commands, "config", "show or check the settings")
    what = config.add_subparsers(dest="what", metavar="export|validate", required=True)
    _command(flags, what, "export", "print the settings as TOML, with references in place of secrets")
    _command(flags, what, "validate", "say what is wrong with the settings, and where")


def _init(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    _command(flags, commands, "init", "write a commented settings file; never overwrites one")


def _backup(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    backup = _command(flags, commands, "backup", "copy store, journal and state, also while the service runs")
    backup.add_argument(
        "target",
        type=Path,
        metavar="FOLDER|FILE.tar",
        help="a folder that does not exist yet, or a file ending in .tar",
    )


def _restore(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    restore = _command(flags, commands, "restore", "bring a backup back; the service must be stopped")
    restore.add_argument("source", type=Path, metavar="FOLDER|FILE.tar")
    flags.add(
        restore,
        "--force",
        "also into a data folder that is in use; what is there is set aside",
        action="store_true",
    )


def _simulate(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    simulate = _command(
        flags,
        commands,
        "simulate",
        "send the webhooks of a simulated company to a connector, answer as its OneLogin API, or as Azure",
    )
    simulate.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="where webhooks go, for example http://127.0.0.1:8080/webhook/default",
    )
    flags.add(simulate, "--token", "the connector's webhook token", metavar="TOKEN")
    flags.add(simulate, "--hours", "hours of history sent at once", type=float, default=0.0, metavar="NUMBER")
    flags.add(
        simulate,
        "--lost",
        "share of the webhook requests never sent",
        type=float,
        default=0.0,
        metavar="SHARE",
    )
    flags.add(
        simulate,
        "--api",
        "answer as the company's API on this port of this machine",
        type=int,
        metavar="PORT",
    )
    flags.add(
        simulate,
        "--azure",
        "answer as Azure on this port of this machine: sign-in, both ingestion APIs, and a workspace to query",
        type=int,
        metavar="PORT",
    )
    flags.add(simulate, "--seed", "another company, another story", type=int, default=1, metavar="NUMBER")


def _bench(flags: Flags, commands: "_SubParsersAction[ArgumentParser]") -> None:
    bench = _command(flags, commands, "bench", "measure this machine (in a checkout)")
    flags.add(bench, "--quick", "a short run", action="store_true")


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= LAST_PORT):
        raise ArgumentTypeError(f"a port is a number from 0 to {LAST_PORT}, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ArgumentTypeError(f"a number of seconds above 0, not {text!r}")
    return seconds
