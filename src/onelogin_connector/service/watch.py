"""
Raising and clearing alarms: what a person has to know, judged from how the parts stand.

One cause is one alarm: what a failing check says of a connector's API or of a sink is not said again because polls or
deliveries stand still for it. Of the two the one that stood first stays, so that nobody is told twice.

Disk, intake and the journal's epoch raise their own alarms where they are noticed.
"""

import asyncio
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from onelogin_connector.plural import counted
from onelogin_connector.service.alarms import Severity
from onelogin_connector.state import Check

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

STUCK_SECONDS = 900.0
"""How long a sink or a poller may try again before a person is told: most troubles of a network end before that."""

OWN = ("silence ", "check ", "sink ", "source ")
"""Beginnings of the names of the alarms that are raised here."""

OF_API = frozenset({"Configuration", "Network", "Authentication", "Permission", "Fetch Logs", "Account"})
"""Stages of a connector's check that fail for what keeps its API from being read; the others are the webhook's."""

AFTER_CHECK_SECONDS = 600.0
"""After a check that passed, a part that stands still is given so long: it tries again within five minutes."""

IDLE = frozenset({"stopped", "inactive"})


class Wanted(NamedTuple):
    """
    An alarm that has to stand.
    """

    name: str
    message: str
    action: str
    link: str
    since: float
    severity: Severity = "error"


class Watch:
    """
    Looks at a service for what should worry somebody.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._first: dict[str, float] = {}
        """Connector → since when it is known."""

    async def look(self, shown: dict[str, Any]) -> None:
        """
        Raise what has to stand, and clear what has not.

        Args:
            shown: As ``report.status`` returns it.
        """
        checks = await asyncio.to_thread(self._service.state.checks)
        for each in shown["connectors"]:
            if each["id"] not in self._first:
                first = await asyncio.to_thread(self._service.state.history.first_at, "connector", each["id"])
                self._first[each["id"]] = self._service.clock() if first is None else first
        alarms = self._service.alarms
        wanted = {each.name: each for each in self._wanted(shown, checks)}
        standing = {alarm.name for alarm in alarms.standing()}
        for part, check in _same_cause(wanted, checks, self._held_up(shown)):
            del wanted[check if part in standing and check not in standing else part]
        for name in (
            self._soon_over(shown, checks) - standing
        ):  # and what stands is not taken back before it is over
            wanted.pop(name, None)
        for each in wanted.values():
            alarms.raise_(
                each.name, each.message, each.action, severity=each.severity, link=each.link, since=each.since
            )
        for alarm in alarms.standing():
            if alarm.name.startswith(OWN) and alarm.name not in wanted:
                alarms.clear(alarm.name)

    def _wanted(self, shown: dict[str, Any], checks: list[Check]) -> Iterator[Wanted]:
        now = self._service.clock()
        for each in shown["connectors"]:
            if each["state"] not in IDLE:
                yield from self._silence(each, now)
        for each in shown["sinks"]:
            yield from self._sink(each, now)
        for name in self._service.pulls:
            yield from self._source(name, now)
        pages = {each["name"]: "/sinks" for each in shown["sinks"] if each["state"] not in IDLE}
        pages |= {each["id"]: f"/connectors/{each['id']}" for each in shown["connectors"]}
        yield from (
            _failed(check, pages[check.target]) for check in checks if not check.ok and check.target in pages
        )

    def _held_up(self, shown: dict[str, Any]) -> set[str]:
        """
        Return the sinks that stand still for what their check would find, and not because a person wants it.
        """
        pause_of = self._service.sinks.pause_of
        return {
            each["name"]
            for each in shown["sinks"]
            if each["state"] in {"paused", "retrying"} and pause_of(each["name"]) is None
        }

    def _soon_over(self, shown: dict[str, Any], checks: list[Check]) -> set[str]:
        """
        Return the alarms of parts that stand still, and whose check has passed since: they soon go on by themselves.
        """
        now, held_up = self._service.clock(), self._held_up(shown)
        since = {
            f"sink {each['name']}": _seconds(each["since"]) or now
            for each in shown["sinks"]
            if each["name"] in held_up
        }
        since |= {f"source {name}": pull.poller.status.since for name, pull in self._service.pulls.items()}
        passed = {check.target: check.at for check in checks if check.ok}
        return {
            name
            for name, began in since.items()
            if began < passed.get(name.partition(" ")[2], 0.0) > now - AFTER_CHECK_SECONDS
        }

    def silence_seconds(self, connector: str) -> float:
        """
        Return after how long without events a connector is silent; 0 where nobody wants to know.
        """
        settings = self._service.settings
        own = settings.connectors[connector].silence_hours
        return (settings.alarms.silence_hours if own is None else own) * 3_600

    def _silence(self, connector: dict[str, Any], now: float) -> Iterator[Wanted]:
        id = connector["id"]
        if id not in self._service.settings.connectors:
            return
        allowed = self.silence_seconds(id)
        counts = self._service.journal.counts().get(id)
        last_event = min(counts.last_event_us / 1e6, now) if counts else 0.0
        last = max(last_event, self._first[id])
        if not allowed or now - last < allowed:
            return
        told = f"The last event is of {_told(last_event)}." if last_event else "None ever arrived."
        yield Wanted(
            f"silence {id}",
            f"{connector['name']} has sent no event for {counted(round((now - last) / 3_600), 'hour')}. {told}",
            "Test the connection, and look in OneLogin whether the webhook is on; or set silence_hours of this "
            "connector higher if so little happens there.",
            f"/connectors/{id}",
            last + allowed,
        )

    def _sink(self, sink: dict[str, Any], now: float) -> Iterator[Wanted]:
        since = _seconds(sink["since"]) or now
        state, name = sink["state"], sink["name"]
        pause = self._service.sinks.pause_of(name)
        stuck = state == "retrying" and now - since >= STUCK_SECONDS
        if state == "detached":
            message = f"The sink {name} is detached, and owed what came meanwhile: {sink['error']}"
            action = "Repair it, then refill it from the store, or waive what it is owed."
        elif state == "paused" and pause is not None:
            message = f"The sink {name} was paused by {pause.actor}; what comes for it waits in the journal."
            action = "Resume it when it may go on."
        elif state == "paused":
            message = f"The sink {name} is paused: {sink['error']}"
            action = "Correct the cause, then resume it."
        elif stuck:
            message = f"The sink {name} has not delivered for {counted(round((now - since) / 60), 'minute')}: {sink['error']}"
            action = "Test it for the cause. Its events wait in the journal."
        else:
            return
        meant = state == "paused" and pause is not None
        severity: Severity = "warning" if stuck or meant else "error"
        yield Wanted(f"sink {name}", message, action, f"/sinks/{name}", since, severity)

    def _source(self, connector: str, now: float) -> Iterator[Wanted]:
        status = self._service.pulls[connector].poller.status
        stuck = status.state == "retrying" and now - status.since >= STUCK_SECONDS
        if status.state == "paused" or stuck:
            minutes = counted(round((now - status.since) / 60), "minute")
            message = f"The API of {connector} has not been read for {minutes}: {status.error}"
            action = "Test the connection for the cause. What happens meanwhile is read afterwards."
            yield Wanted(f"source {connector}", message, action, f"/connectors/{connector}", status.since)


def _same_cause(
    wanted: Mapping[str, Wanted], checks: Sequence[Check], held_up: Container[str]
) -> Iterator[tuple[str, str]]:
    """
    Give the alarms that say the same: that of a part which stands still, and that of its check.

    Args:
        held_up: The sinks that stand still for what their check would find.
    """
    for check in checks:
        name, source, sink = f"check {check.target}", f"source {check.target}", f"sink {check.target}"
        if name in wanted and source in wanted and _failed_stage(check).get("stage") in OF_API:
            yield source, name
        elif name in wanted and sink in wanted and check.target in held_up:
            yield sink, name


def _failed_stage(check: Check) -> dict[str, Any]:
    return next((each for each in check.stages if each.get("state") == "failed"), {})


def _failed(check: Check, page: str) -> Wanted:
    stage = _failed_stage(check)
    where = f"{stage['stage']} Stage: {stage['message']}" if stage else "It did not pass."
    action = stage.get("action") or "Look at its stages."
    message = f"The check of {check.target} failed. {where}"
    return Wanted(f"check {check.target}", message, action, page, check.at)


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _told(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M %Z")
