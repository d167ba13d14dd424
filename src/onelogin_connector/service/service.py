"""
The running program: every part wired together, started, watched and stopped.

``build`` is the only place where parts are constructed. Order matters twice: the store opens before the
journal, which asks it for keys of pruned hours; and on the way down intake ends first, deliveries next, and
the files close last.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from onelogin_connector.config import Settings
from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import ConfigError
from onelogin_connector.event import Offset
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.plural import counted
from onelogin_connector.reach import Reach
from onelogin_connector.service import backup, epoch, report
from onelogin_connector.service.accounts import Accounts
from onelogin_connector.service.alarms import Alarms
from onelogin_connector.service.checks import Checks
from onelogin_connector.service.collecting import Collecting
from onelogin_connector.service.connectors import Connectors
from onelogin_connector.service.events import Events
from onelogin_connector.service.fills import Fills
from onelogin_connector.service.folder import Folder, scratch
from onelogin_connector.service.health import Health
from onelogin_connector.service.letters import Letters
from onelogin_connector.service.niceness import stand_aside
from onelogin_connector.service.notices import Notices
from onelogin_connector.service.pulling import Pull, required
from onelogin_connector.service.queries import SETTLE_SECONDS, Queries, no_store
from onelogin_connector.service.refills import Refills
from onelogin_connector.service.right_of_way import RightOfWay
from onelogin_connector.service.sinks import Sinks
from onelogin_connector.service.tasks import Tasks
from onelogin_connector.service.tokens import WebhookTokens
from onelogin_connector.service.upkeep import Upkeep
from onelogin_connector.service.users_stream import UsersStream
from onelogin_connector.sources.files import Progress, import_file
from onelogin_connector.sources.polling.backfill import Backfilled, Report
from onelogin_connector.sources.webhook import WebhookSource
from onelogin_connector.state import State
from onelogin_connector.status import Status
from onelogin_connector.store import HourFigures, Result, Store

logger = logging.getLogger(__name__)

LOST_US = 86_400_000_000
"""How much time is polled again after the journal was lost: what it held may be nowhere else."""


class Service:
    """
    All parts of one data folder.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Folder,
        state: State,
        journal: LmdbJournal,
        store: Store | None,
        *,
        clock: Callable[[], float],
    ) -> None:
        """
        Take parts that are open; ``build`` makes them.
        """
        self.settings = settings
        self.folder = folder
        self.state = state
        self.journal = journal
        self.store = store
        self.clock = clock
        self.deliveries: dict[str, Delivery] = {}
        """Of the sinks that are not turned off."""
        self.alarms = Alarms(clock)
        self.tasks = Tasks(self.alarms, clock)
        self.tokens = WebhookTokens(settings, state)
        self.webhooks: dict[str, WebhookSource] = {}
        self.right_of_way = RightOfWay()
        """Of what webhooks bring, before pages."""
        self.pulls: dict[str, Pull] = {}
        """Of the connectors that have an API credential."""
        self.user_streams: dict[str, UsersStream] = {}
        """Of the sinks that are sent users."""
        self.accounts = Accounts(journal, settings.connectors)
        self.stands: dict[str, Status] = {}
        """Of connectors by what comes; one that pulls has a status of its own."""
        self.connectors = Connectors(self)
        self.sinks = Sinks(self)
        self.checks = Checks(self)
        self.letters = Letters(journal, self.deliveries, clock=clock)
        self.events = Events(
            store, lambda: journal.epoch, clock=clock, refusal=no_store, initializer=stand_aside
        )
        self.fills = Fills(self.backfill, clock=clock)
        self.refills = Refills(self.deliveries, clock=clock)
        self.upkeep = Upkeep(self)
        self.collecting = Collecting(self)
        self.health = Health(self)
        self.queries = Queries(store, journal, self.deliveries, flush=self.health.flush)
        self.notices = Notices(
            settings.alarms,
            state.history,
            self.alarms,
            reach=Reach(settings.web.allow_private_hosts),
            console_url=settings.web.public_url or "",
            clock=clock,
        )
        self.started_at = clock()
        self.new_secrets: list[tuple[str, str]] = []
        """Name and value of what was made at this start, to be shown once."""

    async def start(self, *, only_store: bool = False) -> None:
        """
        Begin to deliver.

        Args:
            only_store: Leave other destinations alone: a short command is no moment to send events out.
        """
        if not only_store:  # before anything runs, so that no change is missed
            self.health.attend()
        if self.store is not None and await epoch.agree(self.journal, self.store, self.alarms):
            for pull in self.pulls.values():
                await pull.poller.step_back(LOST_US)
        self.sinks.start_all(only_store=only_store)
        await self.connectors.start_all(only_store=only_store)
        self.tasks.watch("upkeep", self.upkeep.run)
        if not only_store:
            self.tasks.watch("checks", self.checks.run)
            self.tasks.watch("meter", self.collecting.run)
            # a single command is no change of state, and tells nobody
            self.tasks.watch("health", self.health.run)
            self.tasks.watch("notices", self.notices.run)
        logger.info(
            "Started with %s and %s",
            counted(len(self.settings.connectors), "connector"),
            counted(len(self.deliveries), "sink"),
            extra={"action": "service_started", "data_dir": str(self.folder.path)},
        )

    def wind_down(self) -> None:
        """
        Say that it will stop soon: what takes long ends now, while its caller can still be told.
        """
        for pull in self.pulls.values():
            pull.poller.cease()

    async def stop(self) -> None:
        """
        Finish deliveries under way, keep their checkpoints, close everything.
        """
        await self.fills.close()
        await self.refills.close()
        await self.checks.close()  # they ask over the connections that end next
        await self.connectors.close_all()
        await self.sinks.close_all()
        await self.tasks.end()
        self.collecting.look()
        await self.collecting.keep()
        await self.health.close()
        self.queries.close()
        self.events.close()
        await self.journal.close()
        if self.store is not None:
            await asyncio.to_thread(self.store.close)
        self.state.close()
        self.folder.release()
        logger.info("Stopped", extra={"action": "service_stopped"})

    def status(self) -> dict[str, Any]:
        """
        Return what an operator sees, as ``status --json`` shows it.
        """
        return report.status(self)

    def reasons_not_ready(self) -> list[str]:
        """
        Return why nothing can be taken in; empty when it can.
        """
        return report.reasons_not_ready(self)

    async def check(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """
        Test connectors and sinks, all by default.

        Raises:
            ConfigError: There is nothing of a name.
        """
        return await report.check(self, names)

    async def query(self, kql: str, *, limit: int | None, timeout_seconds: float) -> Result:
        """
        Ask the store; see ``Queries.run``.
        """
        return await self.queries.run(kql, limit=limit, timeout_seconds=timeout_seconds)

    async def settle(self, timeout_seconds: float) -> None:
        """
        Wait until the store holds what the journal holds now, for a while.
        """
        await self.queries.settle(timeout_seconds)

    async def import_file(
        self, file: BinaryIO, connector: str, *, accept_duplicates: bool, progress: Progress
    ) -> dict[str, Any]:
        """
        Take events from a file, then wait a moment until queries see them.

        Returns:
            What became of its records: ``records, new, twins, duplicates, dead, first_bad``.

        Raises:
            ConfigError: There is no such connector.
            HourPruned: Repeats could not be recognised.
        """
        self.require_connector(connector)
        done = await import_file(
            file,
            connector,
            self.journal,
            accept_duplicates=accept_duplicates,
            progress=progress,
            clock=self.clock,
        )
        await self.settle(SETTLE_SECONDS)
        receipt = done.receipt
        return {
            "records": done.records,
            "new": receipt.entries,
            "twins": receipt.twins,
            "duplicates": receipt.duplicates,
            "dead": receipt.dead,
            "first_bad": done.first_bad,
        }

    async def backfill(
        self, connector: str, since_us: int, until_us: int, report: Report, *, accept_duplicates: bool
    ) -> Backfilled:
        """
        Read a range of the past from a connector's API; see ``Poller.backfill``.

        Raises:
            ConfigError: There is no such connector, or it has no API credential.
        """
        self.require_connector(connector)
        poller = required(self.pulls, connector).poller
        done = await poller.backfill(since_us, until_us, report, accept_duplicates=accept_duplicates)
        await self.settle(SETTLE_SECONDS)
        return done

    async def completeness(self, connector: str, since_us: int, until_us: int) -> list[HourFigures]:
        """
        Return a connector's hours: what the API listed, and what of it is held.

        Raises:
            ConfigError: There is no such connector, or no store.
        """
        self.require_connector(connector)
        if self.store is None:
            raise no_store()
        await self.settle(SETTLE_SECONDS)
        return await asyncio.to_thread(self.store.completeness, connector, since_us, until_us)

    def require_connector(self, connector: str) -> None:
        """
        Raise ``ConfigError`` unless there is a connector of this id.
        """
        if connector not in self.settings.connectors:
            raise ConfigError(
                f"There is no connector {connector!r}.",
                action=f"The connectors are: {', '.join(self.settings.connectors)}.",
            )

    def new_webhook_token(self, connector: str, *, revoke_old: bool) -> str:
        """
        Make a webhook token that is valid at once; the one before stays valid unless it is revoked.
        """
        self.require_connector(connector)
        token = self.tokens.issue(connector, revoke_old=revoke_old)
        self.webhooks[connector].accept(self.tokens.hashes(connector))
        return token

    def end_older_tokens(self, connector: str) -> int:
        """
        Accept a connector's newest webhook token alone; returns how many ended.
        """
        self.require_connector(connector)
        ended = self.tokens.end_older(connector)
        self.webhooks[connector].accept(self.tokens.hashes(connector))
        return ended

    def lend_webhook_token(self, connector: str) -> str:
        """
        Make a webhook token that ends with this process.
        """
        token = self.tokens.lend(connector)
        self.webhooks[connector].accept(self.tokens.hashes(connector))
        return token

    async def back_up(self) -> Path:
        """
        Copy store, state and journal into a new folder, which the caller removes.
        """
        parts: dict[str, Any] = {
            backup.STATE: lambda path: asyncio.to_thread(self.state.backup, path),
            backup.JOURNAL: self.journal.backup,
        }
        store = self.store
        if store is not None:
            parts[backup.STORE] = lambda path: asyncio.to_thread(store.backup, path)
        folder = scratch(self.folder.path)
        await backup.copy(parts, folder, at=self.clock())
        logger.info("A backup was made", extra={"action": "backup_made"})
        return folder

    def least_checkpoint(self) -> Offset:
        """
        Return the offset up to which every sink has come; the journal's end where there is none.
        """
        offsets = [each.checkpoint.offset for each in self.deliveries.values()]
        return Offset(min(offsets, default=self.journal.last_offset))
