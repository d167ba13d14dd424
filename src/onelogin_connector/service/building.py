"""
From settings to a service: the only place where parts are constructed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from shutil import rmtree
from typing import Any

from argon2 import PasswordHasher
from msgspec import structs

from onelogin_connector.config import Settings
from onelogin_connector.errors import Unavailable
from onelogin_connector.journal.base import Held
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.onelogin import event_types
from onelogin_connector.service.backup import JOURNAL, STORE
from onelogin_connector.service.connectors import present
from onelogin_connector.service.first_start import first_secrets
from onelogin_connector.service.folder import SCRATCH, SERVICE, Folder
from onelogin_connector.service.interpreter import press
from onelogin_connector.service.service import Service
from onelogin_connector.state import State
from onelogin_connector.store import Store

logger = logging.getLogger(__name__)


def build(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    purpose: str = SERVICE,
    hasher: PasswordHasher | None = None,
) -> Service:
    """
    Claim the data folder and open everything in it; to be called in a running event loop.

    Args:
        hasher: How slow password hashes are; None for as slow as is recommended.

    Raises:
        ConfigError: The folder cannot be used, or a setting does not fit it.
        Busy: Another process uses the folder.
        Unavailable: Something in it cannot be written.
    """
    with ExitStack() as opened:
        folder = Folder(settings.data_dir, purpose=purpose)
        opened.callback(folder.release)
        rmtree(folder.path / SCRATCH, ignore_errors=True)  # what a killed process left half done
        state = State(folder.path, secret_key=settings.secret_key, clock=clock, hasher=hasher)
        opened.callback(state.close)
        # dictionaries of its own: what the console makes is added to them
        settings = structs.replace(
            settings, connectors=present(settings.connectors, state), sinks=dict(settings.sinks)
        )
        store = _store(settings, folder, clock)
        if store is not None:
            opened.callback(store.close)
        gone = state.sinks.ownerless_checkpoints()
        journal = _journal(settings, folder, store, clock, gone)
        opened.callback(_close, journal)
        for sink in gone:
            _settle(state, sink, has_heir=sink in settings.sinks)
        service = Service(settings, folder, state, journal, store, clock=clock)
        service.new_secrets = first_secrets(settings, folder, state)
        service.connectors.open_all()
        service.sinks.open_all()
        opened.pop_all()  # all is well: from here on the service closes them
    return service


def _close(journal: LmdbJournal) -> None:
    """
    Close a journal where nobody can await: in a running event loop, whose start failed.
    """
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, journal.close()).result()


def _settle(state: State, sink: str, *, has_heir: bool) -> None:
    """
    Keep that the checkpoint of a sink that is gone went with the start of the journal.

    Args:
        has_heir: Whether the settings file has a sink of its name: the next start would remove that one's checkpoint.

    Raises:
        Unavailable: The state cannot be written, and there is an heir.
    """
    try:
        state.sinks.settle_checkpoint(sink)
    except Unavailable as error:
        if has_heir:
            raise
        logger.warning(
            "That the checkpoint of the deleted sink %s is gone could not be kept: %s",
            sink,
            error,
            extra={"action": "checkpoint_unsettled", "sink": sink},
        )


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
    settings: Settings, folder: Folder, store: Store | None, clock: Callable[[], float], gone: Sequence[str]
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
        forget=gone,
        press=press,
    )
