"""
Hours that a person wants to be read again: gaps of completeness, filled by a backfill of that hour.

The hours of a connector are done one after another, those of several at the same time. What was asked for is kept in
memory alone: after a restart the gap is still shown, and can be filled again.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct, structs

from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.sources.polling.backfill import Backfilled, Report

logger = logging.getLogger(__name__)

HOUR_US = 3_600_000_000
MOST_HOURS = 1_000
"""Asked for at once, of all connectors; a longer past is a backfill."""
KEPT_FILLS = 2_000
"""Outcomes that are remembered."""


class Backfills(Protocol):
    """
    What reads a range of the past.
    """

    def __call__(
        self, connector: str, since_us: int, until_us: int, report: Report, *, accept_duplicates: bool
    ) -> Coroutine[Any, Any, Backfilled]:
        """Read a range of the past from a connector's API."""
        ...


class FillState(StrEnum):
    """
    How far an hour is.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Fill(Struct, frozen=True):
    """
    One hour that is to be read again, or was.
    """

    connector: str
    hour: int
    """Since 1970, UTC."""
    state: FillState
    share: float = 0.0
    """Of the hour that is read, 0 to 1."""
    listed: int = 0
    """Events that the API listed."""
    new: int = 0
    """Of these, events that were missing."""
    message: str = ""
    """Why it waits, or failed."""
    at: float = 0.0
    """Unix seconds of the last change."""

    @property
    def is_open(self) -> bool:
        """
        Tell whether it is still to be done.
        """
        return self.state in {FillState.WAITING, FillState.RUNNING}


class Fills:
    """
    The hours of all connectors that are read again.
    """

    def __init__(self, backfill: Backfills, *, clock: Callable[[], float]) -> None:
        self._backfill = backfill
        self._clock = clock
        self._fills: OrderedDict[tuple[str, int], Fill] = OrderedDict()
        self._working: dict[str, asyncio.Task[None]] = {}

    def of(self, connector: str) -> dict[int, Fill]:
        """
        Return what is being done, or was, by hour.
        """
        return {fill.hour: fill for (name, _), fill in self._fills.items() if name == connector}

    def ask(self, connector: str, hours: Sequence[int]) -> int:
        """
        Let hours be read again; returns how many of them were not waiting already.

        Raises:
            ConfigError: These are too many, or some are not over.
        """
        present = int(self._clock()) // 3_600
        if any(not 0 < hour <= present for hour in hours):
            raise ConfigError("An hour lies in the future.", action="Choose hours that have begun.")
        known = {(connector, hour) for hour in hours}
        waiting = {key for key, fill in self._fills.items() if fill.is_open}
        new = sorted(known - waiting)
        if len(waiting) + len(new) > MOST_HOURS:
            raise ConfigError(
                f"More than {MOST_HOURS} hours would wait to be read again.",
                action=f"For a longer past use: onelogin-connector backfill {connector} --since TIME",
            )
        for key in new:
            self._keep(Fill(*key, FillState.WAITING))
        if new and connector not in self._working:
            task = asyncio.create_task(self._work(connector), name=f"fill {connector}")
            self._working[connector] = task
            task.add_done_callback(lambda _: self._working.pop(connector, None))
        return len(new)

    async def close(self) -> None:
        """
        End what is running; the hours stay gaps, and can be filled again.
        """
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _work(self, connector: str) -> None:
        while True:
            waiting = next((each for each in self.of(connector).values() if each.is_open), None)
            if waiting is None:
                return
            await self._fill(waiting)

    async def _fill(self, fill: Fill) -> None:
        self._keep(structs.replace(fill, state=FillState.RUNNING))

        def report(step: Backfilled) -> None:
            share = step.hours_done / step.hours if step.hours else 0.0
            self._keep(_running(fill, step, share))

        since_us = fill.hour * HOUR_US
        until_us = min(since_us + HOUR_US, int(self._clock() * 1_000_000))
        try:
            done = await self._backfill(fill.connector, since_us, until_us, report, accept_duplicates=False)
        except ConnectorError as error:
            text = f"{error.message} {error.action}".strip()
            self._keep(structs.replace(fill, state=FillState.FAILED, message=text))
        except Exception as error:
            logger.exception(
                "An hour of %s could not be read again", fill.connector, extra={"action": "fill_failed"}
            )
            text = f"{type(error).__name__}; the log says more."
            self._keep(structs.replace(fill, state=FillState.FAILED, message=text))
        else:
            self._keep(structs.replace(_running(fill, done, 1.0), state=FillState.DONE, message=""))

    def _keep(self, fill: Fill) -> None:
        key = (fill.connector, fill.hour)
        self._fills[key] = structs.replace(fill, at=self._clock())
        while len(self._fills) > KEPT_FILLS:
            ended = next((key for key, each in self._fills.items() if not each.is_open), None)
            if ended is None:
                return
            del self._fills[ended]


def _running(fill: Fill, step: Backfilled, share: float) -> Fill:
    return structs.replace(
        fill,
        state=FillState.RUNNING,
        share=min(1.0, share),
        listed=step.events,
        new=step.new,
        message=step.waiting,
    )
