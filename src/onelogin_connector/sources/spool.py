"""
The spool: what a webhook has brought, kept as it came until somebody takes it into a journal.

One blob per request body, named by its hash and made only if it is new, so that a body which is sent again is held once. A
source writes to it as to a journal; whether a record is known already is found out later, when the bodies are taken in. So
its receipts count every record of a body that was not there as new.

Taking in is safe to repeat: a body goes only after the journal has it, and one that is taken in twice brings nothing new.
"""

from asyncio import to_thread
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b, sha256
from time import time

from msgspec import Struct

from onelogin_connector.azure.blobs import Blob, Container
from onelogin_connector.errors import BadRequest, ConnectorError, TooLarge, Unavailable
from onelogin_connector.event import Event, Way
from onelogin_connector.journal.base import NewDeadLetter, Receipt
from onelogin_connector.sources.body import records
from onelogin_connector.sources.reading import read_all

SPOOL = "spool/"
BODIES_AT_ONCE = 500
BYTES_AT_ONCE = 8 << 20
"""Of bodies that are taken in together: memory and the length of one transaction."""
MOST_COUNTED = 10_000
"""Two calls of the storage account; whoever has more waiting need not know how many."""


class Spooled(Struct, frozen=True):
    """
    One body, read again.
    """

    blob: Blob
    events: list[Event]
    dead: NewDeadLetter | None


class Standing(Struct, frozen=True):
    """
    What waits in a spool.
    """

    bodies: int
    oldest_at: float | None
    """Unix seconds, by the service's clock; None where nothing waits."""


class Spool:
    """
    Where the bodies of one connector lie.
    """

    def __init__(self, connector: str, container: Container, *, clock: Callable[[], float] = time) -> None:
        """
        Write nothing yet.

        Args:
            clock: Unix seconds.
        """
        self.connector, self._container, self._clock = connector, container, clock
        self._prefix = f"{SPOOL}{connector}/"

    async def turn(self) -> None:
        """
        See ``Keeper``: a moment is as good as any other.
        """

    async def append(
        self, events: Sequence[Event], dead: NewDeadLetter | None = None, *, accept_duplicates: bool = False
    ) -> Receipt:
        """
        Keep one request durably.

        Raises:
            Unavailable: The storage account does not take it, for whatever reason; nobody knows whether it is there.
        """
        count, bad = len(events), dead.records if dead else 0
        # the whole body, where any record of it could not be read; else what it amounts to, in the simplest form
        body = dead.body if dead else b"[" + b",".join(event.raw for event in events) + b"]"
        if not count and not dead:
            return Receipt()
        if await self._put(body, received_us=events[0].received_us if events else None):
            return Receipt(entries=count, dead=bad)
        return Receipt(duplicates=count, dead=bad)

    async def bury(self, letter: NewDeadLetter) -> None:
        """
        Keep a body that nobody can read; taking it in makes a dead letter of it.
        """
        await self._put(letter.body)

    async def _put(self, body: bytes, *, received_us: int | None = None) -> bool:
        at = int(self._clock() * 1_000_000) if received_us is None else received_us
        name = self._prefix + sha256(body).hexdigest()
        try:
            return await to_thread(self._container.create, name, body, {"received_us": str(at)})
        except Unavailable:
            raise
        except ConnectorError as error:
            raise Unavailable(error.message, action=error.action) from error

    def waiting(self, *, limit: int = BODIES_AT_ONCE) -> list[Blob]:
        """
        Return bodies that wait, in no order that means anything: as many as are taken in together, at most.
        """
        found: list[Blob] = []
        size = 0
        for blob in self._container.blobs(self._prefix, limit=limit):
            size += blob.size_bytes
            if found and size > BYTES_AT_ONCE:
                break
            found.append(blob)
        return found

    def standing(self, *, most: int = MOST_COUNTED) -> Standing:
        """
        Tell how much waits, and how long; of so many bodies at most, whose order has nothing to do with their age.
        """
        found = self._container.blobs(self._prefix, limit=most)
        return Standing(len(found), min((blob.changed_at for blob in found), default=None))

    def read(self, blob: Blob) -> Spooled | None:
        """
        Read a body again; None where it is gone.
        """
        found = self._container.read(blob.name)
        if found is None:
            return None
        current, body = found
        events, dead = self.reading(body, received_us=_received_us(current.metadata, current.changed_at))
        return Spooled(current, events, dead)

    def reading(self, body: bytes, *, received_us: int) -> tuple[list[Event], NewDeadLetter | None]:
        """
        Return the events of a body, and the dead letter of what cannot become one.
        """
        try:
            reading = read_all(
                records(body),
                connector=self.connector,
                way=Way.WEBHOOK,
                received_us=received_us,
                body_hash=lambda: blake2b(body, digest_size=16).digest(),
            )
        except BadRequest as error:
            return [], self.letter("request", str(error), body)
        except (TooLarge, RecursionError) as error:
            return [], self.letter("record", str(error), body)
        return reading.events, reading.dead_letter(self.connector, body)

    def letter(self, kind: str, reason: str, body: bytes) -> NewDeadLetter:
        """
        Make a dead letter of a whole body.
        """
        return NewDeadLetter(connector=self.connector, kind=kind, reason=reason, body=body)

    def remove(self, blob: Blob) -> bool:
        """
        Let a body go that a journal holds now; returns False where it stays, or was gone already.
        """
        return self._container.remove(blob.name, etag=blob.etag)


def _received_us(metadata: Mapping[str, str], changed_at: float) -> int:
    text = metadata.get("received_us", "")
    return (
        int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else int(changed_at * 1_000_000)
    )
