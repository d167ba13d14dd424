"""
The sinks of a running service: added, replaced, paused, resumed and removed while it runs.

A sink stands in the settings file, which alone can change it, or was made in the console and is kept in the state.
Paused and resumed is each of them, and a sink that a person paused stays so over a restart: nothing is sent, and what
comes waits in the journal. Every change is on disk before it takes effect, and one happens at a time. A replaced sink
goes on where the one before it was, so that a batch on its way may be sent twice and none is passed over.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import ValidationError, structs, to_builtins

from onelogin_connector.config import Secret, SinkSettings
from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.reach import Reach
from onelogin_connector.service import sink_checkpoints, sink_secrets
from onelogin_connector.service import sink_wanted as entered
from onelogin_connector.service.delivering import delivery_of, is_makeable, sink_of, users_stream_of
from onelogin_connector.service.origin import Origin, require_editable
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.service.wanted import FieldErrors
from onelogin_connector.setting import OF_DEMO
from onelogin_connector.state import Pause
from onelogin_connector.status import State as Stand

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

RESERVED = ("new", "test", "kinds", "checks")
"""Words that follow /sinks/ in an address and are no names."""


class Sinks:
    """
    What events are delivered to, by name.
    """

    def __init__(self, service: "Service") -> None:
        """
        Open nothing yet.
        """
        self._service = service
        self._of_file = tuple(service.settings.sinks)
        self._made: dict[str, WantedSink] = {}
        self._pauses: dict[str, Pause] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._running = False
        self.turn = asyncio.Lock()
        """Held while one changes, and while the journal is pruned: a new one must not begin in what goes."""

    def open_all(self) -> None:
        """
        Take over what was made in the console, and prepare every sink.

        Raises:
            ConfigError: A sink of the settings file cannot be used.
        """
        service = self._service
        self._pauses = service.state.sinks.pauses()
        for name in self._of_file:
            self._open(name, reach=None)
        for part in service.state.parts("sink"):
            if part.id in self._of_file:
                logger.warning(
                    "The sink %s stands in the settings file, so the one made in the console is not used",
                    part.id,
                    extra={"action": "sink_hidden", "sink": part.id},
                )
                continue
            try:
                self._made[part.id] = entered.stored(part.id, part.settings)
                service.settings.sinks[part.id] = sink_secrets.read(
                    service.state, part.id, self._made[part.id], self.reach
                )
                self._open(part.id, reach=self.reach)
            except (ValidationError, ConfigError) as error:
                # one that cannot be used must not keep the others from running
                service.settings.sinks.pop(part.id, None)
                self._tell_unusable(part.id, error)

    @property
    def reach(self) -> Reach:
        """
        Where sinks made in the console may send anything: where connectors may.
        """
        return self._service.connectors.reach

    def origin(self, sink: str) -> Origin:
        """
        Tell who defines a sink; the local store that nobody set up counts as the settings file's.
        """
        if sink not in self._of_file:
            return Origin.CONSOLE
        secrets = entered.secrets_of(self._service.settings.sinks[sink].settings)
        return Origin.DEMO if any(secret.reference == OF_DEMO for _, secret in secrets) else Origin.FILE

    def made(self, sink: str) -> WantedSink | None:
        """
        Return what was entered for a sink in the console, without its secrets; None for others.
        """
        return self._made.get(sink)

    def pause_of(self, sink: str) -> Pause | None:
        """
        Return that a person paused a sink, who and when; None where nobody did.
        """
        return self._pauses.get(sink)

    def bound_to(self, sink: str) -> str:
        """
        Return in words what a sink's stored secrets belong to; empty where none is stored.
        """
        stored = self._service.state.sinks.secrets(sink)
        return entered.bound_words(next(iter(stored.values()), ""))

    # Running.

    def start_all(self, *, only_store: bool) -> None:
        """
        Begin to deliver.

        Args:
            only_store: Leave other destinations alone: this is a single command.
        """
        self._running = not only_store
        for name, delivery in self._service.deliveries.items():
            if only_store and delivery.sink.kind != "store":
                delivery.status.turn(Stand.STOPPED, "The service is not running; this is a single command.")
            else:
                self._begin(name)

    async def close_all(self) -> None:
        """
        Finish deliveries under way and keep their checkpoints; nothing is started after this.
        """
        self._running = False
        await asyncio.gather(*(self._end(name) for name in [*self._service.deliveries]))

    async def pause(self, sink: str, *, actor: str) -> None:
        """
        Send nothing more until a person resumes it, over restarts too; what comes waits in the journal.

        Raises:
            ConfigError: There is no such sink, it is turned off, or this is a single command.
        """
        async with self.turn:
            delivery = self.running(sink)
            if sink not in self._pauses:
                await asyncio.to_thread(self._service.state.sinks.pause, sink, actor=actor)
                self._pauses = await asyncio.to_thread(self._service.state.sinks.pauses)
            delivery.pause(_words(self._pauses[sink]))

    async def resume(self, sink: str) -> None:
        """
        Go on at once, also out of a wait between attempts.

        Raises:
            ConfigError: There is no such sink, it is turned off, or this is a single command.
        """
        async with self.turn:
            delivery = self.running(sink)
            await asyncio.to_thread(self._service.state.sinks.resume, sink)
            self._pauses.pop(sink, None)
            delivery.resume()

    def running(self, sink: str) -> Delivery:
        """
        Return what delivers to a sink.

        Raises:
            ConfigError: There is no such sink, it is turned off, or this is a single command.
        """
        self.require(sink)
        delivery = self._service.deliveries.get(sink)
        if delivery is None:
            action = (
                f"Set enabled = true under [sinks.{sink}] and start again."
                if self.origin(sink).is_fixed
                else "Turn it on in its form."
            )
            raise ConfigError(f"The sink {sink} is turned off.", action=action)
        if delivery.status.state is Stand.STOPPED:
            raise ConfigError(
                f"The sink {sink} does not run: this is a single command.",
                action="Start the service, then give the command again.",
            )
        return delivery

    def require(self, sink: str) -> None:
        """
        Raise ``ConfigError`` unless there is a sink of this name, used or not.
        """
        if sink not in self._service.settings.sinks and sink not in self._made:
            raise ConfigError(f"There is no sink {sink[:80]!r}.", action="Look at the list of sinks.")

    # Changing.

    async def save(self, sink: str | None, wanted: WantedSink) -> tuple[str, list[str]]:
        """
        Make a sink, or change one that was made in the console.

        Args:
            sink: The one to change; None makes a new one.

        Returns:
            Its name, and the names of the fields that were entered anew.

        Raises:
            FieldErrors: Something that was entered cannot be used.
            ConfigError: There is no such sink, or it stands in the settings file.
        """
        async with self.turn:
            kept, read = await asyncio.to_thread(self.entered, sink, wanted)
            given = sink_secrets.entered_in(wanted, read)
            fields = entered.changed_fields(self._made.get(kept.name), kept, given)
            # a library that it needs and that is not there is told before anything is kept
            clock = self._service.clock
            await sink_of(read.kind, read.settings, kept.name, clock=clock, reach=self.reach).close()
            if sink is None:
                await sink_checkpoints.set_out(self._service, kept)
                self._pauses.pop(kept.name, None)
            await asyncio.to_thread(self._keep, kept, read, given)
            await self._end(kept.name)
            if sink is None:
                self._service.collecting.attend(kept.name)
            self._made[kept.name] = kept
            self._service.settings.sinks[kept.name] = read
            self._take_up(kept.name)
            self._service.alarms.clear(f"unusable {kept.name}")
            return kept.name, fields

    def entered(self, sink: str | None, wanted: WantedSink) -> tuple[WantedSink, SinkSettings]:
        """
        Check what was entered: as it is to be kept, and as settings with their secrets.

        Args:
            sink: The one whose stored secrets may serve where none was entered.

        Raises:
            FieldErrors: Something cannot be used, or a stored secret belongs to something else.
            ConfigError: There is no such sink, or it stands in the settings file.
        """
        if sink is not None:
            self._require_editable(sink)
            wanted = structs.replace(wanted, name=sink)
            before = self._made[sink]
            if wanted.kind != before.kind:
                raise FieldErrors({"kind": f"{sink} is of the kind {before.kind}, and stays so."})
        if not is_makeable(wanted.kind):
            raise FieldErrors({"kind": f"Sinks of the kind {wanted.kind} are set up in the settings file."})
        if sink is None:
            wanted = structs.replace(wanted, name=wanted.name.strip().lower())
            entered.require_name(wanted.name, self._taken())
        read = sink_secrets.read(self._service.state, sink, wanted, self.reach)
        return entered.kept(wanted, read), read

    async def remove(self, sink: str) -> int:
        """
        Remove a sink for ever, with everything that is kept of it but its dead letters. What it was sent stays there.

        Returns:
            How many entries waited for it or were owed to it; it will not get them.

        Raises:
            ConfigError: There is no such sink, it stands in the settings file, or it was not paused.
            Unavailable: The state cannot be written; the sink is as it was.
        """
        async with self.turn:
            self._require_editable(sink)
            service = self._service
            delivery = service.deliveries.get(sink)
            if delivery is not None and sink not in self._pauses:
                raise ConfigError(f"The sink {sink} is active.", action="Pause it first, then delete it.")
            unsent = sink_checkpoints.unsent(service, sink)
            await self._end(sink)
            try:
                await asyncio.to_thread(service.state.remove_part, "sink", sink)
            except Unavailable:
                # it is still there: one that stayed ended would hold the journal for ever
                if delivery is not None:
                    self._take_up(sink)
                raise
            self._pauses.pop(sink, None)
            self._made.pop(sink, None)
            for held in (service.settings.sinks, service.deliveries, service.user_streams):
                held.pop(sink, None)
            service.refills.forget(sink)
            service.alarms.clear(f"unusable {sink}")
            await sink_checkpoints.forget(service, sink)
            return unsent

    def _taken(self) -> dict[str, str]:
        service = self._service
        return {
            **dict.fromkeys(service.settings.connectors, "a connector"),
            **dict.fromkeys([*service.settings.sinks, *self._made], "another sink"),
            **dict.fromkeys(RESERVED, "a page of the console"),
        }

    def _require_editable(self, sink: str) -> None:
        self.require(sink)
        require_editable(self.origin(sink), f"The sink {sink}")

    # Changes on disk.

    def _keep(self, kept: WantedSink, read: SinkSettings, given: Mapping[str, Secret]) -> None:
        settings = {name: value for name, value in to_builtins(kept).items() if name not in {"name", "begin"}}
        bound_to = entered.bound_to(read.settings)
        self._service.state.save_part("sink", kept.name, settings, given, bound_to=bound_to)

    # What runs.

    def _open(self, name: str, *, reach: Reach | None) -> None:
        """
        Prepare one sink by its settings.
        """
        service = self._service
        settings = service.settings.sinks[name]
        service.deliveries.pop(name, None)
        service.user_streams.pop(name, None)
        if not settings.enabled:
            return
        delivery = delivery_of(name, settings, service, reach=reach)
        stream = users_stream_of(name, settings, service, reach=reach)
        pause = self._pauses.get(name)
        if pause is not None:
            delivery.pause(_words(pause))
        service.deliveries[name] = delivery
        if stream is not None:
            service.user_streams[name] = stream

    def _take_up(self, name: str) -> None:
        """
        Prepare a sink made in the console that was ended or is new, and let it run where the service does.
        """
        self._open(name, reach=self.reach)
        if self._running and name in self._service.deliveries:
            self._begin(name)

    def _begin(self, name: str) -> None:
        service = self._service
        self._tasks[name] = [service.tasks.watch(f"delivery {name}", service.deliveries[name].run)]
        if self._running and name in service.user_streams:  # a single command sends no users
            run = service.user_streams[name].run
            self._tasks[name].append(service.tasks.watch(f"users stream {name}", run))

    async def _end(self, name: str) -> None:
        """
        Stop what delivers to a sink.
        """
        service = self._service
        await service.checks.end(name)
        await service.refills.end(name)
        delivery, tasks = service.deliveries.get(name), self._tasks.pop(name, [])
        if delivery is not None:
            await delivery.stop()
        await service.tasks.end(tasks)
        if delivery is not None and not tasks:
            await delivery.sink.close()  # a loop does so at its end; this one never began
        service.alarms.clear(f"users of {name}")

    def _tell_unusable(self, name: str, error: Exception) -> None:
        why = error.message if isinstance(error, ConfigError) else "a newer version of the program wrote it"
        self._service.alarms.raise_(
            f"unusable {name}",
            f"The sink {name}, which was made in the console, cannot be used, and gets nothing: {why}",
            "Enter it again, or delete it.",
            link=f"/sinks/{name}/edit",
        )


def _words(pause: Pause) -> str:
    return f"Paused by {pause.actor}."
