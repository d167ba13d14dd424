"""
What is reported of a service: its status, whether it is ready, the outcome of checks, its metrics.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.journal import time_rule
from onelogin_connector.journal.base import ConnectorCounts
from onelogin_connector.moments import text_of
from onelogin_connector.sinks.base import Sink, Stage, StageState, Tell, silent
from onelogin_connector.status import State, Status

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

CHECK_SECONDS = 30.0
"""How long one target's check may take."""

logger = logging.getLogger(__name__)

JOURNAL_KEYS = ("entries", "first_offset", "last_offset", "bytes", "free_bytes")


def status(service: "Service") -> dict[str, Any]:
    """
    Return the state of every part.
    """
    stats = service.journal.stats()
    return {
        "connectors": [connector(service, name) for name in service.settings.connectors],
        "sinks": [_sink(service, name) for name in service.settings.sinks],
        "journal": {key: stats[key] for key in JOURNAL_KEYS},
        "alarms": [
            {"since": text_of(alarm.since), "message": alarm.message, "action": alarm.action}
            for alarm in service.alarms.standing()
        ],
    }


def connector(service: "Service", name: str) -> dict[str, Any]:
    """
    Return the state of one connector.
    """
    counts = service.journal.counts().get(name) or ConnectorCounts()
    settings = service.settings.connectors[name]
    pull = service.pulls.get(name)
    stand = _stand(service, name, counts)
    rule = time_rule.propose(counts, settings.time_rule)
    watermark_us = pull.poller.watermark_us if pull else None
    return {
        "id": name,
        "name": settings.name or name,
        "state": str(stand.state),
        "since": text_of(stand.since),
        "last_poll": text_of(pull.poller.last_poll) if pull else None,
        "last_event": text_of(counts.last_event_us / 1_000_000),
        "watermark": text_of(watermark_us / 1_000_000) if watermark_us else None,
        "events_total": sum(counts.entries.values()),
        "duplicates": counts.duplicates,
        "twins": counts.twins,
        "match_share": None if rule.share is None else round(rule.share, 4),
        "time_rule": to_builtins(rule),
        "users_error": pull.users.status.error if pull and pull.users else "",
        "error": stand.error,
    }


def _stand(service: "Service", name: str, counts: ConnectorCounts) -> Status:
    """
    Return how a connector stands: nothing can be taken in, or as its poller does, or by what has come.
    """
    stand, pull = service.stands[name], service.pulls.get(name)
    if service.connectors.is_stopped(name):
        return stand
    reasons = reasons_not_ready(service)
    if reasons:
        stand.turn(State.RETRYING, " ".join(reasons))
    elif pull is not None:
        return pull.poller.status
    elif counts.events:
        stand.turn(State.OK)
    else:
        stand.turn(State.STARTING, "No event has arrived yet.")
    return stand


def _sink(service: "Service", name: str) -> dict[str, Any]:
    settings = service.settings.sinks[name]
    delivery = service.deliveries.get(name)
    checkpoint = service.journal.checkpoint(name) if delivery is None else delivery.checkpoint
    lag = None if delivery is None else delivery.lag()
    stand = None if delivery is None else delivery.status
    return {
        "name": name,
        "kind": settings.kind,
        "state": str(stand.state if stand else State.STOPPED),
        "since": text_of(stand.since if stand else service.started_at),
        "checkpoint": checkpoint.offset,
        "lag_events": lag.events if lag else 0,
        "lag_seconds": round(lag.seconds, 3) if lag else 0.0,
        "delivered": checkpoint.delivered,
        "skipped": sum(checkpoint.skipped.values()),
        "dead_letters": checkpoint.dead,
        "error": stand.error if stand else "This sink is turned off.",
    }


def reasons_not_ready(service: "Service") -> list[str]:
    """
    Return why nothing can be taken in; empty when it can.
    """
    reason = service.journal.writable()
    if not reason:
        service.alarms.clear("intake")
        return []
    if service.alarms.raise_(
        "intake", f"Nothing is taken in: {reason}", "Senders are told to come again later."
    ):
        logger.error("Nothing is taken in: %s", reason, extra={"action": "intake_stopped"})
    return [reason]


async def check(service: "Service", names: Sequence[str]) -> list[dict[str, Any]]:
    """
    Test what has these names, or everything, at the same time.
    """
    known = [*service.settings.connectors, *service.settings.sinks]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"There is no connector or sink {name!r}.", action=f"There are: {', '.join(known)}."
            )
    wanted = list(dict.fromkeys(names)) or known
    return list(await asyncio.gather(*(_checked(service, name) for name in wanted)))


async def _checked(service: "Service", name: str) -> dict[str, Any]:
    if name in service.settings.connectors:
        done = await service.checks.check(name)
        return {
            "target": name,
            "ok": done.ok,
            "at": text_of(done.at),
            "stages": [to_builtins(stage) for stage in done.stages],
        }
    started = service.clock()
    stages = await _sink_stages(service, name)
    ok = all(stage.state is not StageState.FAILED for stage in stages)
    await asyncio.to_thread(service.state.connectors.save_outcome, name, stages, ok=ok, at=started)
    return {
        "target": name,
        "ok": ok,
        "at": text_of(started),
        "stages": [to_builtins(stage) for stage in stages],
    }


async def _sink_stages(service: "Service", name: str) -> list[Stage]:
    delivery = service.deliveries.get(name)
    if delivery is None:
        return [Stage("Configuration", StageState.SKIPPED, "This sink is turned off.")]
    return await stages_of(delivery.sink)


async def stages_of(sink: Sink, tell: Tell = silent) -> list[Stage]:
    """
    Test a sink within some time; what goes wrong is a stage that failed, behind those that were done.

    Args:
        tell: Called with each stage as soon as it is done.
    """
    done: list[Stage] = []

    def told(stage: Stage) -> None:
        done.append(stage)
        tell(stage)

    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await sink.check(told)
    except TimeoutError:
        text = f"The check was not done within {CHECK_SECONDS:.0f} seconds."
        told(Stage("Connection", StageState.FAILED, text, action="Check the network to this destination."))
    except ConnectorError as error:
        told(Stage("Connection", StageState.FAILED, error.message, action=error.action))
    return done
