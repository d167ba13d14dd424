"""
From a sink's settings to what delivers to it: the sink itself, its loop, its stream of users.
"""

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from onelogin_connector.batch import Skips
from onelogin_connector.config import SinkSettings
from onelogin_connector.delivery import Delivery, Options
from onelogin_connector.event import Entry, Offset, Way
from onelogin_connector.reach import Reach
from onelogin_connector.service.users_stream import UsersStream
from onelogin_connector.sinks import registry
from onelogin_connector.sinks.base import Sink
from onelogin_connector.state import SentUsers

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

STORE = "store"
"""The kind of the local store, which the service opens; there is one, and only the settings file sets it up."""

BACKFILL = "include_backfill"
"""A setting of sinks whose destination would take what is old for new; what it holds back is counted under it."""
OLD_WAYS = frozenset({Way.BACKFILL, Way.IMPORT})


def is_makeable(kind: str) -> bool:
    """
    Tell whether sinks of a kind can be made in the console: those whose class keeps to hosts that may be reached.

    Raises:
        ConfigError: There is no such kind, or a library that it needs is not installed.
    """
    return kind != STORE and "reach" in signature(registry.sink_type(kind)).parameters


def sink_of(
    kind: str, settings: Struct, name: str, *, clock: Callable[[], float], reach: Reach | None
) -> Sink:
    """
    Construct a sink; one that is kept elsewhere may take its settings alone.

    Args:
        reach: Which hosts it may connect to; None for any.

    Raises:
        ConfigError: A library that it needs is not installed.
    """
    made: Callable[..., Sink] = registry.sink_type(kind)
    wanted = signature(made).parameters
    offered = {"name": name, "clock": clock, "reach": reach}
    return made(settings, **{key: value for key, value in offered.items() if key in wanted})


def delivery_of(name: str, settings: SinkSettings, service: "Service", *, reach: Reach | None) -> Delivery:
    """
    Return the loop that brings the journal to a sink; it does not run yet.

    Raises:
        ConfigError: A library that the sink needs is not installed.
    """
    journal, store, clock = service.journal, service.store, service.clock

    def refill(after: Offset, up_to: Offset, limit: int) -> list[Entry]:
        return [] if store is None else store.entries(after, up_to, journal.epoch, limit)

    if settings.kind == STORE:
        made: Callable[..., Sink] = registry.sink_type(STORE)
        sink = made(store, lambda: journal.epoch)
    else:
        sink = sink_of(settings.kind, settings.settings, name, clock=clock, reach=reach)
    return Delivery(
        name,
        sink,
        journal,
        options=Options(
            backlog_limit=settings.backlog_limit,
            pause_after_refusals=settings.pause_after_refusals,
            skips=_skips(settings.settings),
        ),
        clock=clock,
        refill=None if store is None or settings.kind == STORE else refill,
    )


def users_stream_of(
    name: str, settings: SinkSettings, service: "Service", *, reach: Reach | None
) -> UsersStream | None:
    """
    Return the stream of users of a sink, for connectors whose users are listed; None where it has none.
    """
    chosen: Any = settings.settings
    stream: str = getattr(chosen, "users_stream", "")
    store, state = service.store, service.state
    if store is None or not stream:
        return None
    # with connections of its own: events do not wait for users, nor end with them
    destination: Any = sink_of(settings.kind, chosen, name, clock=service.clock, reach=reach)
    target = f"{name} {chosen.endpoint} {chosen.rule_id} {stream}"

    def memories() -> dict[str, SentUsers]:
        return {connector: state.sent_users(target, connector) for connector in service.pulls}

    return UsersStream(name, destination, store, memories, alarms=service.alarms, clock=service.clock)


def _skips(settings: Any) -> Skips | None:
    """
    Return which entries a sink's settings keep from it, where they can.
    """
    if getattr(settings, BACKFILL, True):
        return None
    return lambda entry: BACKFILL if entry.way in OLD_WAYS else None
