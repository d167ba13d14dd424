"""
From settings to a service: the only place where parts are constructed.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from inspect import signature
from shutil import rmtree
from typing import Any

from msgspec import structs

from onelogin_connector.batch import Skips
from onelogin_connector.config import Settings, SinkSettings
from onelogin_connector.delivery import Delivery, Options
from onelogin_connector.event import Entry, Offset, Way
from onelogin_connector.journal.base import Held
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.onelogin import event_types
from onelogin_connector.service.backup import JOURNAL, STORE
from onelogin_connector.service.connectors import present
from onelogin_connector.service.first_start import first_secrets
from onelogin_connector.service.folder import SCRATCH, SERVICE, Folder
from onelogin_connector.service.service import Service
from onelogin_connector.service.users_stream import UsersStream
from onelogin_connector.sinks import registry
from onelogin_connector.state import SentUsers, State
from onelogin_connector.store import Store

BACKFILL = "include_backfill"
"""A setting of sinks whose destination would take what is old for new; what it holds back is counted under it."""
OLD_WAYS = frozenset({Way.BACKFILL, Way.IMPORT})


def build(settings: Settings, *, clock: Callable[[], float] = time.time, purpose: str = SERVICE) -> Service:
    """
    Claim the data folder and open everything in it; to be called in a running event loop.

    Raises:
        ConfigError: The folder cannot be used, or a setting does not fit it.
        Busy: Another process uses the folder.
    """
    with ExitStack() as opened:
        folder = Folder(settings.data_dir, purpose=purpose)
        opened.callback(folder.release)
        rmtree(folder.path / SCRATCH, ignore_errors=True)  # what a killed process left half done
        state = State(folder.path, secret_key=settings.secret_key, clock=clock)
        opened.callback(state.close)
        # a dictionary of its own: what the console makes is added to it
        settings = structs.replace(settings, connectors=present(settings.connectors, state))
        store = _store(settings, folder, clock)
        if store is not None:
            opened.callback(store.close)
        journal = _journal(settings, folder, store, clock)
        deliveries = {
            name: _delivery(name, sink, journal, store, clock)
            for name, sink in settings.sinks.items()
            if sink.enabled
        }
        service = Service(settings, folder, state, journal, store, deliveries, clock=clock)
        service.new_secrets = first_secrets(settings, folder, state)
        service.connectors.open_all()
        if store is not None:
            service.user_streams.update(_user_streams(settings, service, state, store))
        opened.pop_all()  # all is well: from here on the service closes them
    return service


def _store(settings: Settings, folder: Folder, clock: Callable[[], float]) -> Store | None:
    for sink in settings.sinks.values():
        if sink.kind == "store" and sink.enabled:
            chosen: Any = sink.settings
            return Store.open(
                folder.path / STORE,
                names=event_types.name,
                retention_days=chosen.retention_days,
                memory=chosen.memory,
                threads=chosen.threads or None,
                clock=clock,
            )
    return None


def _journal(
    settings: Settings, folder: Folder, store: Store | None, clock: Callable[[], float]
) -> LmdbJournal:
    async def recall(hour: int) -> list[Held] | None:
        return None if store is None else await asyncio.to_thread(store.held, hour)

    options = settings.journal
    return LmdbJournal(
        folder.path / JOURNAL,
        time_rules={name: connector.time_rule for name, connector in settings.connectors.items()},
        recall=None if store is None else recall,
        reserve_bytes=options.reserve,
        key_retention_days=options.key_retention_days,
        keep_delivered_hours=options.keep_delivered_hours,
        clock=clock,
    )


def _delivery(
    name: str, settings: SinkSettings, journal: LmdbJournal, store: Store | None, clock: Callable[[], float]
) -> Delivery:
    kind: Any = registry.sink_type(settings.kind)

    def refill(after: Offset, up_to: Offset, limit: int) -> list[Entry]:
        return [] if store is None else store.entries(after, up_to, journal.epoch, limit)

    is_store = settings.kind == "store"
    sink = kind(store, lambda: journal.epoch) if is_store else _sink(kind, settings.settings, name, clock)
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
        refill=None if store is None or is_store else refill,
    )


def _sink(kind: Any, settings: Any, name: str, clock: Callable[[], float]) -> Any:
    """
    Construct a sink; one that is kept elsewhere may take its settings alone.
    """
    wanted = signature(kind).parameters
    offered = {"name": name, "clock": clock}
    return kind(settings, **{key: value for key, value in offered.items() if key in wanted})


def _user_streams(
    settings: Settings, service: Service, state: State, store: Store
) -> Iterator[tuple[str, UsersStream]]:
    """
    Make the streams of users: of sinks that have one, for connectors whose users are listed.
    """
    for name, sink in settings.sinks.items():
        chosen: Any = sink.settings
        stream: str = getattr(chosen, "users_stream", "")
        if sink.enabled and stream:
            # with connections of its own: events do not wait for users, nor end with them
            destination = _sink(registry.sink_type(sink.kind), chosen, name, service.clock)
            target = f"{name} {chosen.endpoint} {chosen.rule_id} {stream}"

            def memories(target: str = target) -> dict[str, SentUsers]:
                return {connector: state.sent_users(target, connector) for connector in service.pulls}

            yield (
                name,
                UsersStream(name, destination, store, memories, alarms=service.alarms, clock=service.clock),
            )


def _skips(settings: Any) -> Skips | None:
    """
    Return which entries a sink's settings keep from it, where they can.
    """
    if getattr(settings, BACKFILL, True):
        return None
    return lambda entry: BACKFILL if entry.way in OLD_WAYS else None
