"""
The history of every part: each change of state becomes a row, kept at once and shown to queries.

Parts only say that they changed (``Status.listener``), which costs them nothing: what they say is put into a line,
and a loop of its own writes it, first into the state, then into the store for ``OneLoginConnectorHealth``. A store
that is absent, full or busy holds up nothing; it gets the rows when it can take them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from onelogin_connector.errors import ConnectorError
from onelogin_connector.moments import text_of
from onelogin_connector.service import report
from onelogin_connector.service.alarms import Alarm
from onelogin_connector.service.ledgers import Ledgers
from onelogin_connector.service.watch import Watch
from onelogin_connector.state.health import Change, Outcome, PartKind
from onelogin_connector.status import State, Status

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

logger = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
ROUNDS_BETWEEN_LOOKS = 5
"""What tells nobody of its changes, such as silence, is looked at this seldom."""

MOST_WAITING = 10_000
"""Changes that wait to be kept; a state that cannot be written for so long loses the oldest."""

RETENTION_SECONDS = 400 * 86_400.0
"""A year and a month: last year's quarter can be compared with this one's."""

ROUNDS_BETWEEN_PRUNING = 3_600

SUMMARY_SECONDS = 3_600.0
"""How often a part that stays in trouble is noted again, as SentinelHealth's failure summaries are."""

WELL = frozenset({"ok", "active", "passed", "cleared"})
WITHOUT_VERDICT = frozenset({"starting", "stopped", "pending", "inactive", "quiet", "removed"})

Key = tuple[PartKind, str]


class Health:
    """
    What becomes of the parts of one service.
    """

    def __init__(
        self, service: "Service", *, sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    ) -> None:
        """
        Begin with what is known of former runs.
        """
        self._service = service
        self._history = service.state.history
        self._sleep = sleep
        self._waiting: deque[Change] = deque(maxlen=MOST_WAITING)
        self._known: dict[Key, Change] = {(each.kind, each.part): each for each in self._history.latest()}
        self._followed: dict[Key, Status] = {}
        self._keeping = asyncio.Lock()
        self._rounds = 0
        self.ledgers = Ledgers(service.state, service.journal, service.store, clock=service.clock)
        self.watch = Watch(service)
        service.alarms.listen(self._alarm)

    async def run(self) -> None:
        """
        Look and keep until cancelled.
        """
        while True:
            await self.round()
            await self._sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """
        Follow parts that are new, look where nobody tells, and keep what was told.
        """
        self.attend()
        if self._rounds % ROUNDS_BETWEEN_LOOKS == 0:
            await self.look()
        if self._rounds % ROUNDS_BETWEEN_PRUNING == 0:
            await asyncio.to_thread(self._history.prune, self._service.clock() - RETENTION_SECONDS)
        self._rounds += 1
        await self.flush()

    def attend(self) -> None:
        """
        Follow every part that there is now, and note those that are gone.
        """
        service = self._service
        found: dict[Key, tuple[Status, str]] = {}
        for name, delivery in service.deliveries.items():
            found["sink", name] = (delivery.status, "")
        for name, pull in service.pulls.items():
            found["source", f"{name}/poller"] = (pull.poller.status, name)
            if pull.users is not None:
                found["source", f"{name}/users"] = (pull.users.status, name)
        for key, (status, connector) in found.items():
            if self._followed.get(key) is not status:
                self._followed[key] = status
                status.listener = partial(self._turned, key, connector)
                self.note(key, str(status.state), status.error, connector=connector)
        for key in [key for key in self._followed if key not in found]:
            self._followed.pop(key).listener = None
            self.note(key, "removed", "It was removed.")

    def _turned(self, key: Key, connector: str, status: Status, before: State) -> None:
        self.note(key, str(status.state), status.error, connector=connector)

    async def look(self) -> None:
        """
        Note what tells nobody: connectors as a whole and the journal; then raise and clear alarms.
        """
        shown = report.status(self._service)
        for each in shown["connectors"]:
            self.note(("connector", each["id"]), each["state"], each["error"], connector=each["id"])
        reasons = self._service.reasons_not_ready()
        self.note(("journal", "journal"), "retrying" if reasons else "ok", " ".join(reasons))
        self._summarise()
        await self.watch.look(shown)

    def _summarise(self) -> None:
        """
        Note again what has been in trouble for an hour.
        """
        now = self._service.clock()
        current: set[Key] = {*self._followed, ("journal", "journal")}
        current |= {("connector", name) for name in self._service.settings.connectors}
        for key in current:
            known = self._known.get(key)
            if known is not None and known.outcome == "Failure" and now - known.at >= SUMMARY_SECONDS:
                self.note(key, known.state, known.reason, connector=known.connector, again=True)

    def note(
        self, key: Key, state: str, error: str = "", *, connector: str = "", again: bool = False
    ) -> None:
        """
        Take a state down, if it differs from the one before.

        Args:
            error: Why the part is not well; empty when it is.
            again: Also where it does not differ.
        """
        known = self._known.get(key)
        if known is not None and known.state == state and not again:
            return
        kind, part = key
        before = known.state if known else ""
        change = Change(
            at=self._service.clock(),
            kind=kind,
            part=part,
            connector=connector,
            name=self._name(part, connector),
            state=state,
            before=before,
            outcome=outcome_of(state),
            description=_sentence(kind, part, state, error),
            reason=error,
            detail={},
        )
        self._known[key] = change
        self._waiting.append(change)

    def _name(self, part: str, connector: str) -> str:
        settings = self._service.settings.connectors.get(connector)
        return (settings.name or connector) if settings and part == connector else part

    def _alarm(self, alarm: Alarm, stands: bool) -> None:  # noqa: FBT001 - the listener's protocol
        state = "raised" if stands else "cleared"
        self._waiting.append(
            Change(
                at=self._service.clock(),
                kind="alarm",
                part=alarm.name,
                name=alarm.name,
                state=state,
                before="cleared" if stands else "raised",
                outcome="Failure" if stands else "Success",
                description=alarm.message if stands else f"Over: {alarm.message}",
                reason=alarm.severity,
                detail={"Action": alarm.action, "Since": text_of(alarm.since)},
            )
        )

    async def flush(self) -> None:
        """
        Keep what was told, and let the store show it; what cannot be kept now is tried again.
        """
        async with self._keeping:
            try:
                await self._keep()
                await self.ledgers.copy()
            except ConnectorError as error:
                logger.debug("The history was not kept: %s", error, extra={"action": "history_not_kept"})

    async def _keep(self) -> None:
        taken = list(self._waiting)
        if not taken:
            return
        self._waiting.clear()
        try:
            await asyncio.to_thread(self._history.add, taken)
        except ConnectorError:
            self._waiting.extendleft(reversed(taken))
            raise

    async def close(self) -> None:
        """
        Keep the last changes: those of stopping.
        """
        await self.flush()


def outcome_of(state: str) -> Outcome:
    """
    Return SentinelHealth's word for a state.
    """
    if state in WELL:
        return "Success"
    return "Informational" if state in WITHOUT_VERDICT else "Failure"


def _sentence(kind: str, part: str, state: str, error: str) -> str:
    text = f"The {kind} {part} is {state}" if kind != "journal" else f"The journal is {state}"
    return f"{text}: {error}" if error else f"{text}."
