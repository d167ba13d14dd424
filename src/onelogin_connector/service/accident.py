"""
An accident for the demo: the local store loses its oldest hours, as if an older copy of it had been put back.

Nothing is pretended. The rows are gone from the store, and the journal trusts its keys no longer, as after a start that
finds such a store (``epoch``). Completeness shows the gap because the sweeps had counted what OneLogin lists, and filling
it reads those hours again from the API.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from onelogin_connector.plural import counted

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

HOUR_SECONDS = 3_600
LOOK_SECONDS = 1.0
SETTLE_SECONDS = 10.0


async def lose_oldest(
    service: "Service",
    connector: str,
    *,
    hours: int,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> int:
    """
    Wait until the oldest hours of a connector are settled, then lose them.

    Args:
        hours: How many of them.

    Returns:
        How many events the store held of them.
    """
    pull, store = service.pulls[connector], service.store
    if store is None:
        return 0
    while True:
        oldest = (await asyncio.to_thread(pull.progress.hours))[:hours]
        if len(oldest) == hours and all(each.settled for each in oldest):
            break
        await sleep(LOOK_SECONDS)
    await service.settle(SETTLE_SECONDS)
    first_kept = (oldest[-1].hour + 1) * HOUR_SECONDS
    # first, because a stop may come between: with keys that are trusted, what is lost would be a repeat for ever
    await service.journal.renew()
    lost = await asyncio.to_thread(store.prune, first_kept + store.retention_days * 86_400)
    await pull.mirror_all()
    logger.warning(
        "The demo has had an accident: its store lost %s of %s. Completeness shows the gap, and fills it",
        counted(lost, "event"),
        counted(hours, "hour"),
        extra={"action": "demo_accident", "events": lost},
    )
    return lost
