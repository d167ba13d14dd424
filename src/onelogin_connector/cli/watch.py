"""
``status``, ``ready`` and ``check``: what works, what does not, and why.
"""

from argparse import Namespace
from typing import Any

from onelogin_connector.cli import DONE, FAILED, say, tables
from onelogin_connector.cli.connection import connected, reasons_not_ready
from onelogin_connector.config import Settings

CONNECTOR_COLUMNS = ("id", "state", "last_poll", "last_event", "events_total", "duplicates", "twins", "error")
SINK_COLUMNS = ("name", "kind", "state", "lag_events", "lag_seconds", "delivered", "dead_letters", "error")
STAGE_COLUMNS = ("target", "stage", "state", "message", "action")

GIB = 1 << 30


async def status(arguments: Namespace, settings: Settings) -> int:
    """
    Show the state of every part.
    """
    async with connected(settings) as api:
        found = await api.get("status")
    if arguments.json:
        tables.show_json(found)
        return DONE
    tables.show(CONNECTOR_COLUMNS, found["connectors"])
    print()
    tables.show(SINK_COLUMNS, found["sinks"])
    print()
    journal = found["journal"]
    print(
        f"journal: {journal['entries']} entries, {journal['bytes'] / GIB:.2f} GiB, "
        f"{journal['free_bytes'] / GIB:.1f} GiB free on the disk"
    )
    for connector in found["connectors"]:
        if connector["time_rule"]["proposal"]:
            say(f"{connector['id']}: {connector['time_rule']['reason']}")
    for alarm in found["alarms"]:
        say(f"alarm: {alarm['message']} {alarm['action']}")
    return DONE


async def ready(arguments: Namespace, settings: Settings) -> int:  # noqa: ARG001 - every command is called alike
    """
    Say whether the running service takes events; fails when it does not, or when none runs.
    """
    reasons = await reasons_not_ready(settings)
    for reason in reasons:
        say(f"onelogin-connector: {reason}")
    return FAILED if reasons else DONE


async def check(arguments: Namespace, settings: Settings) -> int:
    """
    Test connectors and sinks; fails if any stage fails.
    """
    async with connected(settings) as api:
        found = await api.post("check", {"names": arguments.names})
    if arguments.json:
        tables.show_json(found)
    else:
        tables.show(STAGE_COLUMNS, _stages(found))
    return DONE if all(target["ok"] for target in found) else FAILED


def _stages(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"target": target["target"], **stage} for target in found for stage in target["stages"]]
