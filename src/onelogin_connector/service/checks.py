"""
Checks: of connectors when a person asks, when one was saved, and every hour; of sinks while they are entered.

A run does one stage after another and can be watched while it does. How the latest run of a saved connector ended
is kept in the state. What was entered but not saved is tried in the same way and kept nowhere.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import structs

from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.onelogin.client import OneLogin
from onelogin_connector.plural import counted
from onelogin_connector.service import wanted as entered
from onelogin_connector.service.check_run import Run, failing, first_failed, headline
from onelogin_connector.service.delivering import sink_of
from onelogin_connector.service.explaining import (
    ACCOUNT,
    INTAKE,
    INTERNAL,
    OWN_MESSAGES,
    SECRET_ELSEWHERE,
    TIMEOUT,
    WEBHOOK_TOKEN,
)
from onelogin_connector.service.pulling import client
from onelogin_connector.service.report import stages_of
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.service.wanted import FieldErrors, Wanted
from onelogin_connector.sinks.base import Sink
from onelogin_connector.status import Stage, StageState, Tell

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

CHECK_SECONDS = 30.0
"""How long the API may take for one check."""

HOURLY_SECONDS = 3_600.0
ROUND_SECONDS = 60.0

SPREAD_SECONDS = 120.0
"""A check is due this much before its hour is over, so that with the rounds it is never later than that."""

MOST_REMEMBERED = 64
"""Runs that can still be looked at."""

MOST_AT_ONCE = 4
"""Of what was not saved: each makes connections to where somebody says."""

API_STAGES = ("Configuration", "Network", "Authentication", "Permission", "Fetch Logs")
WEBHOOK_STAGES = ("Webhook", "Listener", "Events")


class Checks:
    """
    The checks of one service.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._tasks: dict[asyncio.Task[None], str] = {}
        """Of a run → the connector it asks for; empty for what was not saved."""
        self._of_target: dict[str, Run] = {}
        self._failing: set[str] = set()
        self._entered = asyncio.Semaphore(MOST_AT_ONCE)

    def begin(self, connector: str) -> Run:
        """
        Begin to check a connector as it is saved; returns the run that goes on already, if one does.

        Raises:
            ConfigError: There is no such connector.
        """
        self._service.require_connector(connector)
        running = self._of_target.get(connector)
        if running is not None and not running.done.is_set():
            return running
        pulls = connector in self._service.pulls
        planned = ((*API_STAGES, "Account") if pulls else ("API",)) + WEBHOOK_STAGES
        run = self._of_target[connector] = Run(connector, planned, at=self._service.clock())
        self._start(run, lambda: self._saved(run))
        return run

    def begin_entered(self, connector: str | None, wanted: Wanted) -> Run:
        """
        Begin to try what was entered and is not saved. A stored secret goes only where it was entered for.

        Args:
            connector: Whose stored secret may be used where none was entered.

        Raises:
            FieldErrors: Something that was entered cannot be used.
        """
        wanted = self._service.connectors.normal(wanted)
        run = Run("", API_STAGES, at=self._service.clock())
        self._start(run, lambda: self._tried(run, connector, wanted))
        return run

    def begin_sink(self, sink: str) -> Run:
        """
        Begin to check a sink as it is saved; returns the run that goes on already, if one does.
        """
        running = self.running(sink)
        if running is not None:
            return running
        delivery = self._service.deliveries.get(sink)
        planned = _planned(delivery.sink) if delivery else ("Configuration",)
        run = self._of_target[sink] = Run(sink, planned, at=self._service.clock())
        self._start(run, lambda: self._sink_saved(run, delivery))
        return run

    async def begin_entered_sink(self, sink: str | None, wanted: WantedSink) -> Run:
        """
        Begin to try a sink that was entered and is not saved. Stored secrets go only where they were entered for.

        Args:
            sink: Whose stored secrets may be used where none was entered.

        Raises:
            FieldErrors: Something that was entered cannot be used.
        """
        _, settings = await asyncio.to_thread(self._service.sinks.entered, sink, wanted)
        clock, reach, name = self._service.clock, self._service.sinks.reach, sink or wanted.name or "new"

        def make() -> Sink:
            return sink_of(settings.kind, settings.settings, name, clock=clock, reach=reach)

        try:
            made = make()  # only to learn its stages: a run may wait long, or be ended before it begins
            await made.close()
        except ConfigError as error:
            run, why = Run("", (), at=clock()), error
            self._start(run, lambda: _failed(run, why))
        else:
            run = Run("", _planned(made), at=clock())
            self._start(run, lambda: self._sink_tried(run, make))
        return run

    def run_of(self, id: str) -> Run | None:
        """
        Return a run by its id, if it is still remembered.
        """
        return self._runs.get(id)

    def running(self, connector: str) -> Run | None:
        """
        Return the run of a connector that is going on.
        """
        found = self._of_target.get(connector)
        return found if found is not None and not found.done.is_set() else None

    async def check(self, connector: str) -> Run:
        """
        Check a connector to the end.

        Raises:
            ConfigError: There is no such connector.
        """
        run = self.begin(connector)
        await run.done.wait()
        return run

    async def run(self) -> None:
        """
        Check each connector every hour, for ever.
        """
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await self.round()

    async def round(self) -> None:
        """
        Check the connectors whose hour is over, one after the other.
        """
        service = self._service
        outcomes = await asyncio.to_thread(service.state.connectors.outcomes)
        for connector in [*service.settings.connectors]:
            last = outcomes.get(connector)
            age = HOURLY_SECONDS if last is None else service.clock() - last.at
            due = age < 0 or age >= HOURLY_SECONDS - SPREAD_SECONDS
            if due and not service.connectors.is_stopped(connector):
                with suppress(ConfigError):  # removed meanwhile
                    await self.check(connector)

    async def end(self, connector: str) -> None:
        """
        End the check of a connector whose settings change; nothing is kept of it.
        """
        await self._cancel([task for task, target in self._tasks.items() if target == connector])

    async def close(self) -> None:
        """
        End what runs.
        """
        await self._cancel([*self._tasks])

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, run: Run, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._runs[run.id] = run
        while len(self._runs) > MOST_REMEMBERED:
            self._runs.popitem(last=False)
        task = asyncio.create_task(self._to_the_end(run, work), name=f"check {run.target}")
        self._tasks[task] = run.target
        task.add_done_callback(self._tasks.pop)
        # also of one that is cancelled before its first step: somebody may wait for it
        task.add_done_callback(lambda _: run.finish())

    async def _to_the_end(self, run: Run, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception:
            logger.exception("A check failed in a way nobody foresaw", extra={"action": "check_failed"})
            run.add(failing(_next(run), INTERNAL))
        await self._keep(run)

    async def _keep(self, run: Run) -> None:
        """
        Keep how the check of what is saved ended, unless it was removed meanwhile.
        """
        service = self._service
        is_connector = run.target in service.settings.connectors
        if is_connector or run.target in service.settings.sinks:
            state = service.state.connectors
            await asyncio.to_thread(state.save_outcome, run.target, run.stages, ok=run.ok, at=run.at)
        if is_connector:
            self._tell(run)

    async def _saved(self, run: Run) -> None:
        """
        Do the stages of a connector as it is saved.
        """
        service, name = self._service, run.target
        pull = service.pulls.get(name)
        if pull is None:
            run.add(_without_api(name))
        elif await self._ask(run, pull.client):
            run.add(await self._account(name))
        else:
            run.add(Stage("Account", StageState.SKIPPED, "Not tried, because a stage before it failed."))
        for stage in self._webhook_stages(name):
            run.add(stage)

    async def _tried(self, run: Run, connector: str | None, wanted: Wanted) -> None:
        """
        Do the stages of what was entered.
        """
        try:
            secret = self._service.connectors.secret_for(connector, wanted)
        except FieldErrors as error:
            message = next(iter(error.fields.values()))
            run.add(failing("Configuration", SECRET_ELSEWHERE, message))
            return
        if secret is None:
            run.add(_without_api(""))
            return
        async with self._entered:
            tried = client(
                connector or "new",
                entered.connector(wanted, secret),
                clock=self._service.clock,
                reach=self._service.connectors.reach,
            )
            try:
                await self._ask(run, tried)
            finally:
                await tried.close()

    async def _sink_saved(self, run: Run, delivery: Delivery | None) -> None:
        if delivery is None:
            run.add(Stage("Configuration", StageState.SKIPPED, "This sink is turned off."))
        else:
            await stages_of(delivery.sink, _telling(run))

    async def _sink_tried(self, run: Run, make: Callable[[], Sink]) -> None:
        async with self._entered:
            tried = make()
            try:
                await stages_of(tried, _telling(run))
            finally:
                await tried.close()

    async def _ask(self, run: Run, api: OneLogin) -> bool:
        """
        Do the stages of the API; returns whether all went well.
        """
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await api.check(_telling(run))
        except TimeoutError:
            run.add(failing(_next(run), TIMEOUT))
        return run.ok

    async def _account(self, name: str) -> Stage:
        pull = self._service.pulls.get(name)
        try:
            if pull is not None:
                await pull.admit()
        except ConnectorError as error:
            return Stage(
                "Account", StageState.FAILED, error.message, error.action, code=error.code or ACCOUNT
            )
        return Stage("Account", StageState.PASSED, f"{name} alone collects this account.")

    def _webhook_stages(self, name: str) -> Iterator[Stage]:
        service = self._service
        tokens = len(service.tokens.hashes(name)) if name in service.settings.connectors else 0
        if tokens:
            accepted = counted(tokens, "webhook token is", "webhook tokens are")
            yield Stage("Webhook", StageState.PASSED, f"{accepted} accepted.")
        elif name in service.pulls:
            text = "No webhook token was made, so events come by the API alone."
            yield Stage("Webhook", StageState.SKIPPED, text, OWN_MESSAGES[WEBHOOK_TOKEN][1])
        else:
            yield failing("Webhook", WEBHOOK_TOKEN)
        reasons = service.reasons_not_ready()
        if reasons:
            yield failing("Listener", INTAKE, " ".join(reasons))
        else:
            yield Stage("Listener", StageState.PASSED, f"Requests to /webhook/{name} are taken.")
        counts = service.journal.counts().get(name)
        if counts and counts.last_received_us:
            last = datetime.fromtimestamp(counts.last_received_us / 1_000_000, UTC)
            yield Stage(
                "Events", StageState.PASSED, f"The last record arrived at {last:%Y-%m-%d %H:%M:%S} UTC."
            )
        else:
            yield Stage(
                "Events",
                StageState.SKIPPED,
                "No event has arrived yet.",
                "In OneLogin under Developers > Webhooks, point an Event Webhook at this connector.",
            )

    def _tell(self, run: Run) -> None:
        """
        Say in the log when a connector does not work any more, or does again; alarms look at what is kept.
        """
        failed = first_failed(run.stages)
        if failed is None:
            if run.target in self._failing:
                logger.info(
                    "The connection of %s works again",
                    run.target,
                    extra={"action": "check_passed", "connector": run.target},
                )
            self._failing.discard(run.target)
        elif run.target not in self._failing:
            self._failing.add(run.target)
            logger.error(
                "The connection of %s does not work. %s",
                run.target,
                headline(run.stages),
                extra={"action": "check_failed", "connector": run.target, "cause": failed.code},
            )


def _next(run: Run) -> str:
    done = len(run.stages)
    return run.planned[min(done, len(run.planned) - 1)] if run.planned else "Check"


async def _failed(run: Run, error: ConfigError) -> None:
    run.add(Stage("Configuration", StageState.FAILED, error.message, error.action))


def _planned(sink: Sink) -> tuple[str, ...]:
    return tuple(name.title() for name in sink.stages)


def _telling(run: Run) -> Tell:
    """
    Return what adds each stage to a run, with its name as people read it.
    """
    return lambda stage: run.add(structs.replace(stage, stage=stage.stage.title()))


def _without_api(name: str) -> Stage:
    text = "There is no API credential, so losses of webhooks can be neither seen nor repaired."
    action = f"Set domain, client_id and client_secret under [connectors.{name}], or in the console."
    return Stage("API", StageState.SKIPPED, text, action if name else "Enter client id and client secret.")
