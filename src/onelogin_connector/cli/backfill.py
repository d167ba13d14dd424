"""
``backfill``: events of the past, from OneLogin's API.
"""

import sys
from argparse import Namespace
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

from msgspec.json import decode

from onelogin_connector.cli import DONE, say, tables
from onelogin_connector.cli.connection import Api, connected, gone, refuse
from onelogin_connector.config import Settings
from onelogin_connector.errors import ConnectorError
from onelogin_connector.plural import counted

LONGEST_WAITING = 60  # characters of why it waits, beside the bar


async def backfill(arguments: Namespace, settings: Settings) -> int:
    """
    Read a range of the past; interrupted, the same command goes on where it was.
    """
    wanted = {
        "since": _text(arguments.since),
        "accept_duplicates": arguments.accept_duplicates,
    }
    if arguments.until is not None:
        wanted["until"] = _text(arguments.until)
    async with connected(settings, make=True) as api:
        result = await _follow(api, arguments.id, wanted)
    if arguments.json:
        tables.show_json(result)
    else:
        print(
            f"{result['hours']:.1f} hours, {counted(result['events'], 'event')}, {result['new']} new, "
            f"{counted(result['calls'], 'call')}"
        )
    return DONE


async def _follow(api: Api, connector: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """
    Ask for it and follow its progress; the answer is one line of JSON per step, the result last.
    """
    from httpx2 import TransportError

    last: dict[str, Any] = {}
    try:
        with _Bar(connector) as bar:
            asking = api.client.stream(
                "POST", f"/api/v1/connectors/{quote(connector, safe='')}/backfill", json=wanted
            )
            async with asking as answer:
                if answer.status_code >= 400:
                    refuse(answer.status_code, await answer.aread())
                async for line in answer.aiter_lines():
                    last = decode(line)
                    if "hours_done" in last:
                        bar.show(last)
    except TransportError as error:
        raise gone(error) from error
    if "result" not in last:
        problem = last.get("problem") or {"detail": "The backfill ended without a result.", "action": ""}
        raise ConnectorError(problem["detail"], action=problem["action"])
    result: dict[str, Any] = last["result"]
    return result


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


class _Bar(AbstractContextManager["_Bar"]):
    """
    A progress bar on stderr; off a terminal, a line for every reason to wait.
    """

    def __init__(self, connector: str) -> None:
        self._connector = connector
        self._waiting = ""
        self._progress: Any = None
        self._task: Any = None
        if sys.stderr.isatty():
            self._make()

    def _make(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(self._connector, total=None, told="")

    def show(self, step: dict[str, Any]) -> None:
        """
        Show how far it is.
        """
        waiting = step["waiting"]
        if self._progress is not None:
            told = (
                f"{step['hours_done']:.0f}/{step['hours']:.0f} hours, {counted(step['events'], 'event')}, "
                f"{counted(step['calls'], 'call')}"
            )
            if waiting:
                told += f", waiting: {waiting[:LONGEST_WAITING]}"
            elif step["seconds_left"] is not None:
                told += f", {_duration(step['seconds_left'])} left"
            self._progress.update(self._task, completed=step["hours_done"], total=step["hours"], told=told)
        elif waiting and waiting != self._waiting:
            say(f"waiting: {waiting}")
        self._waiting = waiting

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    )
