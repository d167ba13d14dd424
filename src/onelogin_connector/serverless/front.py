"""
What the function app answers, without knowing Azure Functions: each method is one function.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import DecodeError, Struct, ValidationError, json, structs

from onelogin_connector.errors import ConnectorError, Unavailable
from onelogin_connector.journal.base import DeadLetter
from onelogin_connector.plural import counted
from onelogin_connector.serverless.draining import Drain, Drained
from onelogin_connector.sources import problems
from onelogin_connector.sources.problems import Problem, problem
from onelogin_connector.sources.spool import MOST_COUNTED
from onelogin_connector.sources.webhook import Answer, WebhookSource, unknown_connector

RETRY_SECONDS = 30
LATE_SECONDS = 600
"""A drain goes on for four minutes, and one that was killed keeps the next waiting for one."""
LATE = (
    "Bodies have waited for more than ten minutes. See that the timer Drain runs (Always On, on a Dedicated plan), and why "
    "its calls fail."
)
SAMPLED_BODIES = 5_000
"""One call of the storage account, for a page that anybody may call."""
LETTERS_SHOWN = 100
SHOWN_BODY_BYTES = 4_096
ORDERS = 'Send {"replay": [1, 2]}, {"replay": "all"}, {"discard": [1]} or {"resume": true}.'

_log = logging.getLogger(__name__)


class Front(Protocol):
    """
    The functions of the app.
    """

    async def webhook(
        self, method: str, headers: Mapping[str, str], body: bytes, connector: str = ""
    ) -> Answer:
        """Answer a webhook; header names in lower case, ``connector`` empty where the address names none."""
        ...

    async def drain(self) -> Drained:
        """Do what a timer is for."""
        ...

    async def health(self) -> Answer:
        """Say whether events are taken in."""
        ...

    async def status(self) -> Answer:
        """Say how things stand, for who may know."""
        ...

    async def letters(self) -> Answer:
        """List dead letters."""
        ...

    async def act(self, body: bytes) -> Answer:
        """Replay or discard dead letters, or resume the sink."""
        ...


class Order(Struct, forbid_unknown_fields=True):
    """
    What a person asks for, one of these.
    """

    replay: list[int] | Literal["all"] | None = None
    """Ids of dead letters, or ``all``."""
    discard: list[int] | None = None
    resume: bool = False


class Open:
    """
    The app, with settings that can be used.
    """

    def __init__(
        self, source: WebhookSource, drain: Drain, *, connector: str, clock: Callable[[], float]
    ) -> None:
        self._source, self._drain, self._connector, self._clock = source, drain, connector, clock

    async def webhook(
        self, method: str, headers: Mapping[str, str], body: bytes, connector: str = ""
    ) -> Answer:
        """
        See ``Front``. The answer to a 200 counts as new what was not in the spool.
        """
        if connector not in ("", self._connector):
            return unknown_connector(connector)
        return await self._source.receive(method, headers, body, "")

    async def drain(self) -> Drained:
        """
        See ``Front``.

        Raises:
            ConnectorError: The storage account fails; the next call goes on.
        """
        done = await self._drain.run()
        if done.bodies or done.delivered:
            bodies, new = counted(done.bodies, "body", "bodies"), counted(done.entries, "new event")
            figures = (bodies, new, counted(done.duplicates, "duplicate"), done.delivered)
            _log.info(
                "Drained: %s, %s, %s, %d delivered.",
                *figures,
                extra={"action": "drain", **structs.asdict(done)},
            )
        return done

    async def health(self) -> Answer:
        """
        See ``Front``: 200 while they are, though a destination may wait.
        """
        answer = await self._answered(SAMPLED_BODIES)
        if answer.status != 200:
            told = problem("unavailable", "The storage account of this function app cannot be used.")
            return _problem(told, {"retry-after": str(RETRY_SECONDS)})
        standing = json.decode(answer.body, type=dict[str, Any])
        return _json(200, {"status": standing["status"]})

    async def status(self) -> Answer:
        """
        See ``Front``.
        """
        return await self._answered(MOST_COUNTED)

    async def letters(self) -> Answer:
        """
        See ``Front``.
        """
        try:
            return _json(200, {"dead_letters": await asyncio.to_thread(self._first_letters)})
        except ConnectorError as error:
            return _refusal(error)

    async def act(self, body: bytes) -> Answer:
        """
        See ``Front``.
        """
        try:
            order = json.decode(body, type=Order)
        except (DecodeError, ValidationError) as error:
            return _problem(problem("invalid-input", f"The order cannot be read: {error}.", ORDERS))
        if (order.replay is None) + (order.discard is None) + (not order.resume) != 2:
            return _problem(problem("invalid-input", "One order at a time is taken.", ORDERS))
        try:
            return _json(200, await self._done(order))
        except ConnectorError as error:
            return _refusal(error)

    async def _done(self, order: Order) -> dict[str, Any]:
        if order.resume:
            await self._drain.resume()
            return {"resumed": True}
        if order.discard is not None:
            return {"discarded": await self._drain.discard(order.discard)}
        ids = order.replay if isinstance(order.replay, list) else None
        return structs.asdict(await self._drain.replay(ids))

    async def _answered(self, most_bodies: int) -> Answer:
        """
        Tell how things stand, counting so many bodies at most.
        """
        try:
            try:
                return _json(200, await asyncio.to_thread(self._standing, most_bodies))
            except Unavailable:  # a drain that commits meanwhile takes away what was about to be read
                return _json(200, await asyncio.to_thread(self._standing, most_bodies))
        except ConnectorError as error:
            return _refusal(error)

    def _first_letters(self) -> list[dict[str, Any]]:
        """
        Return what is shown of letters, read one at a time: each may be 16 MiB.
        """
        journal = self._drain.view()
        heads = journal.letter_heads(limit=LETTERS_SHOWN)
        return [_shown(found) for head in heads if (found := journal.dead_letter(head.id))]

    def _standing(self, most_bodies: int) -> dict[str, Any]:
        waiting = self._drain.spool.standing(most=most_bodies)
        age = 0 if waiting.oldest_at is None else max(0, round(self._clock() - waiting.oldest_at))
        late = LATE if age > LATE_SECONDS else ""
        spool = {"bodies": waiting.bodies, "oldest_seconds": age, "error": late}
        if not self._drain.exists():
            return {"status": "late" if late else "ok", "spool": spool}
        journal = self._drain.view()
        stats = journal.stats()
        checkpoint, hold = journal.checkpoint(self._drain.name), journal.hold(self._drain.name)
        counts = journal.counts().get(self._connector)
        return {
            "status": "waiting" if hold.why else "late" if late else "ok",
            "spool": spool,
            "sink": {
                "name": self._drain.name,
                "delivered": checkpoint.delivered,
                "dead_letters": checkpoint.dead,
                "lag_events": stats["last_offset"] - checkpoint.offset,
                "error": hold.why,
            },
            "dead_letters": stats["dead_letters"],
            "events": counts.events if counts else 0,
            "duplicates": counts.duplicates if counts else 0,
        }


class Closed:
    """
    The app, with settings that cannot be used: it takes nothing in, and says why.
    """

    def __init__(self, error: ConnectorError) -> None:
        self._error = error
        _log.critical("This function app takes nothing in: %s", error, extra={"action": "start"})

    async def webhook(
        self, method: str, headers: Mapping[str, str], body: bytes, connector: str = ""
    ) -> Answer:
        """
        See ``Front``. What is wrong is not told to senders, of whom nothing is known.
        """
        told = problem(
            "unavailable",
            "This function app is not set up.",
            "Look at /healthz or the app's log for the cause.",
        )
        return _problem(told, {"retry-after": str(RETRY_SECONDS)})

    async def drain(self) -> Drained:
        """
        See ``Front``.

        Raises:
            ConnectorError: Always, so that the call is seen to fail.
        """
        raise self._error

    async def health(self) -> Answer:
        """
        See ``Front``; names the setting, never its value.
        """
        return _problem(problem("unavailable", self._error.message, self._error.action))

    async def status(self) -> Answer:
        """
        See ``Front``.
        """
        return await self.health()

    async def letters(self) -> Answer:
        """
        See ``Front``.
        """
        return await self.health()

    async def act(self, body: bytes) -> Answer:
        """
        See ``Front``.
        """
        return await self.health()


def _shown(letter: DeadLetter) -> dict[str, Any]:
    shown = structs.asdict(letter)
    shown["body"] = letter.body[:SHOWN_BODY_BYTES].decode(errors="replace")
    shown["body_bytes"] = len(letter.body)
    return shown


def _json(status: int, value: object) -> Answer:
    return Answer(status, json.encode(value), {"content-type": "application/json"})


def _problem(known: Problem, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(known.status, known.encoded(), {"content-type": problems.CONTENT_TYPE, **(headers or {})})


def _refusal(error: ConnectorError) -> Answer:
    return _problem(problems.of_error(error))
