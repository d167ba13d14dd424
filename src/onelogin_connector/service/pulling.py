"""
One connector's way to OneLogin's API: its client, its poller, its inventory of users.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from onelogin_connector.config import Connector
from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.marks import SweptHour
from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.client import OneLogin
from onelogin_connector.reach import Reach
from onelogin_connector.sources.polling import Poller
from onelogin_connector.sources.users import UsersSource
from onelogin_connector.status import State as Stand
from onelogin_connector.store import Swept

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

SPARE_CALLS = 500
"""Sweeps wait while the account has fewer calls than this left in its hour: the tail needs sixty."""

SETTLE_SECONDS = 1.0
"""How long a sweep's figures wait for its events to reach the store."""

IDLE_SECONDS = 1.0

HOURS_AT_ONCE = 1_000


class Pull:
    """
    What asks the API on behalf of one connector.
    """

    def __init__(self, connector: str, settings: Connector, service: "Service") -> None:
        """
        Connect nothing yet.

        Raises:
            ConfigError: The connector's settings do not say where its API is.
        """
        self.connector = connector
        self._service = service
        self._settings = settings
        self.client = client(
            connector, settings, clock=service.clock, reach=service.connectors.reach_of(connector)
        )
        self.progress = service.state.polls.of(connector)
        start = settings.start
        self.poller = Poller(
            connector,
            self.client,
            service.journal,
            self.progress,
            poll_seconds=settings.poll_seconds,
            overlap_minutes=settings.overlap_minutes,
            delay_seconds=settings.poll_delay_seconds,
            start_us=None if start is None else int(start.timestamp() * 1_000_000),
            webhooks_on=self.webhooks_on,
            admit=self.admit,
            on_swept=self.mirror,
            spare=self.spare,
            clock=service.clock,
        )
        store = service.store
        self.users = (
            None if store is None else UsersSource(connector, self.client, store, clock=service.clock)
        )

    def webhooks_on(self) -> bool:
        """
        Tell whether webhooks are meant to come, or do.
        """
        counts = self._service.journal.counts().get(self.connector)
        return bool(self._settings.webhook_tokens) or bool(counts and counts.entries.get("webhook"))

    def spare(self) -> bool:
        """
        Tell whether the account has calls left for what is not urgent.
        """
        remaining = self.client.budget.remaining
        return remaining is None or remaining >= SPARE_CALLS

    async def admit(self) -> None:
        """
        See to it that this connector alone collects its account.

        Raises:
            ConfigError: It would not.
            Unavailable, Unauthorized: The account's number cannot be asked for.
        """
        account = await self.client.account_id()
        if account is not None:
            self._service.accounts.claim(self.connector, account)

    async def mirror(self, hours: Sequence[SweptHour]) -> None:
        """
        Tell the store what the sweeps found; the state keeps it in any case.
        """
        store = self._service.store
        if store is None or not hours:
            return
        await self._service.settle(SETTLE_SECONDS)
        on = self.webhooks_on()
        rows = [
            Swept(self.connector, each.hour, each.sweeps, each.settled, each.listed, each.at, on)
            for each in hours
        ]
        try:
            await asyncio.to_thread(store.set_hours, rows)
        except ConnectorError as error:
            logger.warning(
                "The store did not take what a sweep found: %s",
                error,
                extra={"action": "sweep_not_shown", "connector": self.connector},
            )

    async def mirror_all(self) -> None:
        """
        Tell the store everything that the sweeps found, for what it missed when the process was killed.
        """
        store = self._service.store
        if store is not None:
            first = int(self._service.clock() - store.retention_days * 86_400) // 3_600
            hours = await asyncio.to_thread(self.progress.hours, first)
            for begin in range(0, len(hours), HOURS_AT_ONCE):
                await self.mirror(hours[begin : begin + HOURS_AT_ONCE])

    async def keep_users(self) -> None:
        """
        Keep the users up to date, if there is a store for them.
        """
        # events come first: nothing else is asked for before the credential and the account have proved right
        while self.poller.last_poll is None:  # noqa: ASYNC110 - a second more or less is all the same here
            await asyncio.sleep(IDLE_SECONDS)
        if self.users is not None:
            await self.users.run()

    def rest(self) -> None:
        """
        Say that nothing is polled during a single command.
        """
        self.poller.status.turn(Stand.STOPPED, "The service is not running; this is a single command.")


def client(
    connector: str, settings: Connector, *, clock: Callable[[], float], reach: Reach | None = None
) -> OneLogin:
    """
    Return the client of a connector that has an API credential.

    Args:
        reach: Which hosts it may reach, where a person named its host in the console; its errors repeat no words
            of an answer then.

    Raises:
        ConfigError: There is no address to ask.
    """
    if settings.client_id is None or settings.client_secret is None:
        raise ConfigError(f"The connector {connector} has no API credential.", action=_credential(connector))
    if settings.api_url is None and settings.domain is None:
        raise ConfigError(
            f"The connector {connector} has an API credential, but no domain.",
            action=f'Set domain under [connectors.{connector}], for example domain = "acme.onelogin.com".',
        )
    return OneLogin(
        api_url=settings.api_url or f"https://{settings.domain}",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        budget=Budget(settings.api_budget_share),
        clock=clock,
        reach=reach,
        quotes=reach is None,
    )


def _credential(connector: str) -> str:
    return (
        "In OneLogin under Developers > API Credentials make one with the scope Read All, and set client_id and "
        f"client_secret under [connectors.{connector}]."
    )


def required(pulls: "dict[str, Pull]", connector: str) -> Pull:
    """
    Return what pulls for a connector.

    Raises:
        ConfigError: It has no API credential.
    """
    if connector not in pulls:
        raise ConfigError(
            f"The connector {connector} has no API credential, so nothing can be asked for.",
            action=_credential(connector),
        )
    return pulls[connector]
