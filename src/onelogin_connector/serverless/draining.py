"""
The drain: whoever holds the lease takes bodies in, delivers, polls, and tidies up.

The order that everything rests on, each step durable before the next begins:

1. bodies are read, and their events and keys are committed to the journal in one step (``journal.blobs``);
2. only then are those bodies removed from the spool;
3. events are sent, and the checkpoint passes them, together with the dead letters of those that were refused;
4. only what every checkpoint has passed is removed from the journal.

A kill between any two of them is repaired by doing the same again: a body that is taken in twice brings nothing new, since its keys
are known. What a destination accepted in the moment before a kill is sent again, as after an answer that was lost on the way:
neither of Azure's interfaces can tell a repeat.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from msgspec import Struct

from onelogin_connector.azure.blobs import Container
from onelogin_connector.errors import Busy, ConnectorError
from onelogin_connector.journal.base import DeadLetter, Receipt
from onelogin_connector.journal.blobs.head import HEAD, prepare
from onelogin_connector.journal.blobs.journal import BlobJournal, Request
from onelogin_connector.journal.blobs.lease import Lease, take
from onelogin_connector.journal.blobs.tree import Leaves
from onelogin_connector.serverless.polling import BlobProgress, poll
from onelogin_connector.serverless.sending import Sending
from onelogin_connector.sinks.base import Sink
from onelogin_connector.sources.polling import Events
from onelogin_connector.sources.spool import Spool, Spooled

MOST_BACKLOG_BYTES = 32 << 20
"""Of records that wait for the sink. Beyond that bodies wait in the spool, where they cost nothing to keep."""

BUDGET_SECONDS = 240.0
"""How long one drain may go on; the smallest time limit of a function is five minutes."""

MOST_REPLAYED = 1_000
"""Dead letters by one order: somebody waits for the answer."""

_log = logging.getLogger(__name__)


class Drained(Struct):
    """
    What one drain did.
    """

    bodies: int = 0
    entries: int = 0
    duplicates: int = 0
    twins: int = 0
    dead: int = 0
    delivered: int = 0
    busy: bool = False
    """Somebody else drains at the moment."""

    def count(self, receipts: Sequence[Receipt]) -> None:
        """
        Add what was taken in.
        """
        for each in receipts:
            self.entries += each.entries
            self.duplicates += each.duplicates
            self.twins += each.twins
            self.dead += each.dead


class Replay(Struct, frozen=True):
    """
    What became of dead letters that were tried again.
    """

    accepted: int = 0
    refused: int = 0
    missing: int = 0


class Drain:
    """
    Empties one spool into one sink.
    """

    def __init__(
        self,
        spool: Spool,
        container: Container,
        sink: Sink,
        *,
        name: str,
        client: Events | None = None,
        clock: Callable[[], float],
        tick: Callable[[], float] = monotonic,
    ) -> None:
        """
        Prepare; nothing is asked yet.

        Args:
            name: The sink's; its checkpoint is kept under it.
            client: The Events API, if it is to be listed too.
            clock: Unix seconds.
            tick: Seconds that never jump, for time limits.
        """
        self.spool, self.name = spool, name
        self._container, self._sink, self._client = container, sink, client
        self._clock, self._tick = clock, tick
        self._leaves = Leaves(self._fetched)
        """Shared by all drains of this instance; leaves never change."""

    async def run(self, budget_seconds: float = BUDGET_SECONDS) -> Drained:
        """
        Do what there is to do.

        Raises:
            ConnectorError: The storage account fails, or somebody took over; what is done so far is kept.
        """
        ends = self._tick() + budget_seconds
        done = Drained()
        if await asyncio.to_thread(self._is_idle):
            return done
        try:
            async with self._at_work() as (journal, sending, lease):
                while self._tick() < ends:
                    moved = await self._take_in(journal, sending, done)
                    before = journal.checkpoint(self.name).delivered
                    sent = await sending.one_batch()
                    done.delivered += journal.checkpoint(self.name).delivered - before
                    if not moved and not sent:
                        break
                await self._poll(journal, sending, lease, ends=ends, done=done)
                await journal.prune(sending.offset)
                await journal.prune_keys(sending.offset)
                await journal.tidy()
        except Busy as error:
            _log.debug("%s", error, extra={"action": "drain"})
            done.busy = True
        return done

    async def replay(self, ids: Sequence[int] | None) -> Replay:
        """
        Try dead letters again: what the sink refused is sent to it, what could not be read is read again.

        Args:
            ids: Which; None for the first ``MOST_REPLAYED``.

        Raises:
            Busy: A drain is under way; ask again in a minute.
            ConnectorError: The destination or the storage account fails; what was not tried is kept.
        """
        async with self._at_work() as (journal, sending, _):
            if ids is None:
                ids = [head.id for head in journal.letter_heads(limit=MOST_REPLAYED)]
            tried = accepted = 0
            for id in ids:
                letter = await asyncio.to_thread(journal.dead_letter, id)  # one at a time: it may be 16 MiB
                if letter is None or (letter.kind == "delivery" and letter.sink != self.name):
                    continue
                tried += 1
                if letter.kind == "delivery":
                    accepted += (await sending.replay([letter])).accepted
                else:
                    accepted += await self._read_again(journal, letter)
            return Replay(accepted, tried - accepted, len(ids) - tried)

    async def discard(self, ids: Sequence[int]) -> int:
        """
        Remove dead letters; returns how many there were.

        Raises:
            Busy: A drain is under way.
        """
        async with self._at_work() as (journal, _, _):
            return await journal.discard(ids)

    async def resume(self) -> None:
        """
        Let the sink try again at once, if it waits or was paused.

        Raises:
            Busy: A drain is under way.
        """
        async with self._at_work() as (_, sending, _):
            await sending.resume()

    def exists(self) -> bool:
        """
        Tell whether anything was ever drained.
        """
        return self._container.read(HEAD) is not None

    def view(self) -> BlobJournal:
        """
        Return the journal as it is now, to look at.
        """
        return BlobJournal(self._container, None, leaves=self._leaves, clock=self._clock)

    async def close(self) -> None:
        """
        Close the sink.
        """
        await self._sink.close()

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[tuple[BlobJournal, Sending, Lease]]:
        """
        Hold the lease, with what stands on it.
        """
        lease = await asyncio.to_thread(self._taken)
        lease.keep()
        try:
            journal = await asyncio.to_thread(
                BlobJournal, self._container, lease, leaves=self._leaves, clock=self._clock
            )
            sending = Sending(self.name, self._sink, journal, may_go_on=lease.require, clock=self._clock)
            yield journal, sending, lease
        finally:
            await asyncio.to_thread(lease.end)

    def _is_idle(self) -> bool:
        """
        Tell, without the lease and at the price of a few reads, that there is nothing to do.
        """
        if self.spool.waiting(limit=1):
            return False
        if self.exists():
            journal = self.view()
            if journal.stats()["entries"] or journal.is_untidy:
                return False
        if self._client is None:
            return True
        return not BlobProgress(self.spool.connector, self._container).is_due(self._clock())

    def _taken(self) -> Lease:
        prepare(self._container)
        return take(self._container, HEAD, tick=self._tick)

    async def _take_in(self, journal: BlobJournal, sending: Sending, done: Drained) -> bool:
        """
        Take bodies into the journal, then remove them; returns whether there were any.
        """
        if journal.backlog_bytes > MOST_BACKLOG_BYTES and journal.last_offset > sending.offset:
            return False
        bodies = await asyncio.to_thread(self._bodies)
        if not bodies:
            return False
        requests: list[Request] = [(each.events, each.dead) for each in bodies]
        try:
            done.count(await journal.append_all(requests))
        except ConnectorError:
            raise
        except Exception:  # noqa: BLE001 - as in the journal's writer: each gets its own chance
            _log.exception(
                "Bodies could not be taken in together; each is tried alone.", extra={"action": "take_in"}
            )
            for each in bodies:
                done.count([await self._take_in_alone(journal, each)])
        return await self._let_go(bodies, done)

    async def _let_go(self, bodies: Sequence[Spooled], done: Drained) -> bool:
        """
        Remove bodies that the journal has; returns whether any went, else there is no use in going on with them now.
        """
        gone = [await asyncio.to_thread(self.spool.remove, each.blob) for each in bodies]
        done.bodies += sum(gone)
        if not any(gone):
            _log.warning(
                "None of %d bodies that were taken in could be removed from the spool. If this stays, see that no "
                "immutability policy or legal hold keeps what lies in the container.",
                len(bodies),
                extra={"action": "take_in", "bodies": len(bodies)},
            )
        return any(gone)

    async def _take_in_alone(self, journal: BlobJournal, body: Spooled) -> Receipt:
        """
        Take one body in; whatever is wrong with it harms only itself.
        """
        try:
            return await journal.append(body.events, body.dead)
        except ConnectorError:
            raise
        except Exception as error:  # noqa: BLE001 - an acknowledged body is never dropped, and never in the way
            raw = body.dead.body if body.dead else b"[" + b",".join(event.raw for event in body.events) + b"]"
            reason = f"It could not be taken in: {type(error).__name__}."
            return await journal.append([], self.spool.letter("record", reason, raw))

    def _bodies(self) -> list[Spooled]:
        return [found for blob in self.spool.waiting() if (found := self.spool.read(blob))]

    async def _poll(
        self, journal: BlobJournal, sending: Sending, lease: Lease, *, ends: float, done: Drained
    ) -> None:
        """
        List the Events API where that is due, and deliver what it brought.
        """
        if self._client is None:
            return
        progress = await asyncio.to_thread(BlobProgress, self.spool.connector, self._container)
        if not progress.is_due(self._clock()):
            return

        def goes_on() -> bool:
            lease.require()
            return self._tick() < ends and journal.backlog_bytes <= MOST_BACKLOG_BYTES

        await poll(self.spool.connector, self._client, journal, progress, goes_on=goes_on, clock=self._clock)
        before = journal.checkpoint(self.name).delivered
        while self._tick() < ends and await sending.one_batch():
            pass
        done.delivered += journal.checkpoint(self.name).delivered - before

    async def _read_again(self, journal: BlobJournal, letter: DeadLetter) -> bool:
        """
        Read the body of a dead letter once more; it stays one while anything of it cannot be read.
        """
        events, dead = self.spool.reading(letter.body, received_us=int(letter.at * 1_000_000))
        await journal.append(events)
        return dead is None and bool(await journal.discard([letter.id]))

    def _fetched(self, name: str) -> bytes | None:
        found = self._container.read(name)
        return found[1] if found else None
