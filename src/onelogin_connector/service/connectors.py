"""
The connectors of a running service: added, replaced, started, stopped and removed while it runs.

A connector stands in the settings file, which alone can change it, or was made in the console and is kept in the
state. The one of the id ``default``, which is there when nothing else is, may be set up in the console too. Started
and stopped is each of them, and a stopped one stays so over a restart: its webhook answers 503, and nothing is
polled. Every change is on disk before it takes effect, and one happens at a time.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import ValidationError

from onelogin_connector.config import Connector, Secret
from onelogin_connector.errors import ConfigError
from onelogin_connector.reach import Reach
from onelogin_connector.service import wanted as entered
from onelogin_connector.service.origin import Origin, require_editable
from onelogin_connector.service.pulling import Pull
from onelogin_connector.service.receiving import webhook
from onelogin_connector.service.wanted import FieldErrors, Wanted
from onelogin_connector.setting import OF_DEMO
from onelogin_connector.state import State
from onelogin_connector.state.connectors import SECRET
from onelogin_connector.status import State as Stand
from onelogin_connector.status import Status

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

DEFAULT = "default"
"""Id of the connector that is there when none was configured."""

RESERVED = frozenset({"new", "test", "checks"})
"""Words that follow /connectors/ in an address and are no ids."""

STOPPED = "This connector was stopped by a person."


def present(connectors: Mapping[str, Connector], state: State) -> dict[str, Connector]:
    """
    Return the connectors of the settings without the built-in one, if a person removed that.
    """
    found = dict(connectors)
    if found.get(DEFAULT) == Connector(name=DEFAULT) and state.connectors.wishes().get(DEFAULT) == "removed":
        del found[DEFAULT]
    return found


class Connectors:
    """
    What collects, by connector id.
    """

    def __init__(self, service: "Service") -> None:
        """
        Open nothing yet.
        """
        self._service = service
        self._of_file = {
            name
            for name, settings in service.settings.connectors.items()
            if name != DEFAULT or settings != Connector(name=DEFAULT)
        }
        self._made: dict[str, Wanted] = {}
        self._stopped: set[str] = set()
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._running = False
        self._turn = asyncio.Lock()
        self.reach = Reach(service.settings.web.allow_private_hosts)
        """Where connectors made in the console may send anything."""

    def open_all(self) -> None:
        """
        Take over what was made in the console, and prepare every connector.

        Raises:
            ConfigError: The settings of one in the file cannot be used.
        """
        service = self._service
        known = service.settings.connectors
        for part in service.state.parts("connector"):
            if part.id in self._of_file:
                logger.warning(
                    "The connector %s stands in the settings file, so the one made in the console is not used",
                    part.id,
                    extra={"action": "connector_hidden", "connector": part.id},
                )
                continue
            with suppress(ValidationError):
                self._made[part.id] = entered.stored(part.settings)
                known[part.id] = self._settings(part.id)
        wishes = service.state.connectors.wishes()
        self._stopped = {name for name, wish in wishes.items() if wish == "stopped" and name in known}
        for name in known:
            self._open(name)

    def origin(self, connector: str) -> Origin:
        """
        Tell who defines a connector.
        """
        if connector in self._of_file:
            secret = self._service.settings.connectors[connector].client_secret
            return Origin.DEMO if secret is not None and secret.reference == OF_DEMO else Origin.FILE
        return Origin.CONSOLE if connector in self._made else Origin.BUILT_IN

    def made(self, connector: str) -> Wanted | None:
        """
        Return what was entered for a connector in the console, without its secret; None for others.
        """
        return self._made.get(connector)

    def is_stopped(self, connector: str) -> bool:
        """
        Tell whether a person stopped a connector.
        """
        return connector in self._stopped

    def reach_of(self, connector: str) -> Reach | None:
        """
        Return which hosts a connector may reach; None where the settings file names its host.
        """
        return None if connector in self._of_file else self.reach

    async def start_all(self, *, only_store: bool) -> None:
        """
        Begin to collect.

        Args:
            only_store: Poll nothing: this is a single command.
        """
        service = self._service
        self._running = not only_store
        for pull in service.pulls.values():
            await pull.mirror_all()
            if only_store:
                pull.rest()
        if self._running:
            for name in service.settings.connectors:
                self._begin(name)

    async def close_all(self) -> None:
        """
        Finish the pages at hand; nothing is started after this.
        """
        self._running = False
        await asyncio.gather(*(self._end(name) for name in [*self._tasks]))
        for pull in self._service.pulls.values():
            await pull.client.close()

    async def start(self, connector: str, *, actor: str) -> None:
        """
        Let a stopped connector collect again; one that runs goes on.

        Raises:
            ConfigError: There is no such connector.
        """
        async with self._turn:
            self._service.require_connector(connector)
            state = self._service.state.connectors
            await asyncio.to_thread(state.wish, connector, None, actor=actor)
            if connector in self._stopped:
                self._stopped.discard(connector)
                await self._renew(connector)

    async def stop(self, connector: str, *, actor: str) -> None:
        """
        Let a connector rest until it is started again, over restarts too.

        Raises:
            ConfigError: There is no such connector.
        """
        async with self._turn:
            self._service.require_connector(connector)
            state = self._service.state.connectors
            await asyncio.to_thread(state.wish, connector, "stopped", actor=actor)
            self._stopped.add(connector)
            await self._renew(connector)

    async def restart(self, connector: str, *, actor: str) -> None:
        """
        Begin anew with what is configured; where it had come to stays.

        Raises:
            ConfigError: There is no such connector.
        """
        async with self._turn:
            self._service.require_connector(connector)
            state = self._service.state.connectors
            await asyncio.to_thread(state.wish, connector, None, actor=actor)
            self._stopped.discard(connector)
            await self._renew(connector)

    async def remove(self, connector: str, *, actor: str) -> None:
        """
        Remove a connector for ever, with its secret, tokens and marks. Its events stay.

        Raises:
            ConfigError: There is no such connector, it stands in the settings file, or it was not stopped.
        """
        async with self._turn:
            self._require_editable(connector)
            if connector not in self._stopped:
                raise ConfigError(
                    f"The connector {connector} is active.", action="Stop it first, then delete it."
                )
            await self._end(connector)
            await asyncio.to_thread(self._forget, connector, actor)
            service = self._service
            self._stopped.discard(connector)
            self._made.pop(connector, None)
            for held in (service.settings.connectors, service.webhooks, service.stands):
                held.pop(connector, None)
            pull = service.pulls.pop(connector, None)
            if pull is not None:
                await pull.client.close()

    async def save(self, connector: str | None, wanted: Wanted) -> tuple[str, list[str]]:
        """
        Make a connector, or change one that was made in the console.

        Args:
            connector: The one to change; None makes a new one, whose id is derived from its name.

        Returns:
            Its id, and the names of the fields that were entered anew.

        Raises:
            FieldErrors: Something that was entered cannot be used.
            ConfigError: There is no such connector, or it stands in the settings file.
        """
        async with self._turn:
            wanted = self.normal(wanted)
            if connector is not None:
                self._require_editable(connector)
            secret = self.secret_for(connector, wanted)
            name = connector or self.id_for(wanted.name)
            fields = entered.changed_fields(self._made.get(name), wanted)
            await asyncio.to_thread(self._keep, name, wanted, secret)
            self._made[name] = entered.stored(wanted.kept())  # without its secret
            self._service.settings.connectors[name] = entered.connector(wanted, secret)
            await self._renew(name)
            return name, fields

    def normal(self, wanted: Wanted) -> Wanted:
        """
        Check what was entered, and bring it to its normal form.

        Raises:
            FieldErrors: Something cannot be used.
        """
        return entered.normal(wanted, self.reach)

    def id_for(self, name: str) -> str:
        """
        Return the id that a new connector of this name would have.
        """
        service = self._service
        taken = {*service.settings.connectors, *service.settings.sinks, *service.journal.counts(), *RESERVED}
        return entered.id_for(name, taken)

    def secret_for(self, connector: str | None, wanted: Wanted) -> Secret | None:
        """
        Return the secret that was entered, or else the stored one if it may be sent where this leads.

        Args:
            connector: Whose stored secret; None for a new one.

        Raises:
            FieldErrors: There is a client id, but no secret for that host.
        """
        if not wanted.has_credential:
            return None
        if wanted.client_secret:
            return Secret(wanted.client_secret)
        if connector is None or self.origin(connector) is not Origin.CONSOLE:
            raise FieldErrors({"client_secret": "Enter the client secret that belongs to the client id."})
        state = self._service.state
        stored = state.secret("connector", connector, SECRET, bound_to=entered.address(wanted))
        if stored is not None:
            return stored
        host = state.connectors.secret_host(connector)
        text = (
            f"The stored secret was entered for {host} and goes nowhere else. Enter the secret for the new host."
            if host
            else "No secret is stored. Enter the client secret that belongs to the client id."
        )
        raise FieldErrors({"client_secret": text})

    # Changes on disk.

    def _keep(self, name: str, wanted: Wanted, secret: Secret | None) -> None:
        state = self._service.state
        given = {SECRET: secret} if secret is not None and wanted.client_secret else {}
        # without a credential there is nothing to be bound to, which voids what was stored
        bound_to = entered.address(wanted) if wanted.has_credential else ""
        state.save_part("connector", name, wanted.kept(), given, bound_to=bound_to)

    def _forget(self, connector: str, actor: str) -> None:
        state = self._service.state
        state.remove_part("connector", connector)
        state.connectors.forget(connector)
        if connector == DEFAULT:  # it would be there again after a restart
            state.connectors.wish(connector, "removed", actor=actor)

    def _settings(self, name: str) -> Connector:
        wanted = self._made[name]
        try:
            secret = self._service.state.secret("connector", name, SECRET, bound_to=entered.address(wanted))
        except ConfigError as error:
            self._service.alarms.raise_(
                f"secret {name}", f"The API of connector {name} is not asked: {error.message}", error.action
            )
            secret = None
        return entered.connector(wanted, secret)

    def _require_editable(self, connector: str) -> None:
        self._service.require_connector(connector)
        require_editable(self.origin(connector), f"The connector {connector}")

    # What runs.

    def _open(self, name: str) -> None:
        """
        Prepare one connector by its settings.
        """
        service = self._service
        settings = service.settings.connectors[name]
        service.journal.time_rules[name] = settings.time_rule
        service.stands.setdefault(name, Status(service.clock))
        service.webhooks[name] = webhook(name, service)
        service.pulls.pop(name, None)
        if settings.client_id is not None:
            service.pulls[name] = Pull(name, settings, service)
        if name in self._stopped:
            self._rest(name)

    def _rest(self, name: str) -> None:
        service = self._service
        service.webhooks[name].closed = STOPPED
        service.stands[name].turn(Stand.STOPPED, STOPPED)
        if name in service.pulls:
            service.pulls[name].poller.status.turn(Stand.STOPPED, STOPPED)

    async def _renew(self, name: str) -> None:
        """
        Put what the settings and wishes of a connector ask for in place of what is there.
        """
        await self._end(name)
        service = self._service
        before = service.pulls.get(name)
        self._open(name)
        now = service.pulls.get(name)
        if before is not None:
            await before.client.close()
            if now is not None:
                now.poller.last_poll = before.poller.last_poll
        service.alarms.clear(f"secret {name}")
        if self._running:
            self._begin(name)

    def _begin(self, name: str) -> None:
        pull = self._service.pulls.get(name)
        if pull is None or name in self._stopped:
            return
        self._tasks[name] = [
            self._service.tasks.watch(f"poller {name}", pull.poller.run),
            self._service.tasks.watch(f"users {name}", pull.keep_users),
        ]

    async def _end(self, name: str) -> None:
        await self._service.checks.end(name)
        pull = self._service.pulls.get(name)
        tasks = self._tasks.pop(name, [])
        if pull is not None and tasks:
            await pull.poller.stop()
        await self._service.tasks.end(tasks)
        self._service.accounts.release(name)
