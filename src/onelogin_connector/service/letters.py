"""
Dead letters: look at them, send them again, discard them.

Two kinds of replay. A ``delivery`` goes to the sink that refused it. A ``record`` or ``request`` goes through
the reading of bodies once more, which helps after an update that reads what an older version could not.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b

from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import ConnectorError
from onelogin_connector.event import Way
from onelogin_connector.journal.base import DeadLetter, Journal, LetterHead
from onelogin_connector.plural import counted
from onelogin_connector.sources.body import records
from onelogin_connector.sources.reading import read_all

logger = logging.getLogger(__name__)

PAGE = 500


class Letters:
    """
    The dead letters of a journal.
    """

    def __init__(
        self, journal: Journal, deliveries: Mapping[str, Delivery], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._journal = journal
        self._deliveries = deliveries
        self._clock = clock

    def page(self, *, after: int, limit: int) -> list[LetterHead]:
        """
        Return dead letters in the order of their ids, without their bytes.
        """
        return self._journal.letter_heads(after=after, limit=limit)

    def one(self, id: int) -> DeadLetter | None:
        """
        Return one dead letter.
        """
        return self._journal.dead_letter(id)

    def all_ids(self) -> Iterator[int]:
        """
        Give the ids of all dead letters.
        """
        after = 0
        while page := self._journal.letter_heads(after=after, limit=PAGE):
            yield from (letter.id for letter in page)
            after = page[-1].id

    async def discard(self, ids: Sequence[int]) -> int:
        """
        Remove dead letters; returns how many there were.
        """
        removed = await self._journal.discard(ids)
        logger.warning(
            "%s discarded",
            counted(removed, "dead letter was", "dead letters were"),
            extra={"action": "dead_letters_discarded", "ids": list(ids[:100])},
        )
        return removed

    async def replay(self, ids: Sequence[int]) -> tuple[int, list[str]]:
        """
        Send dead letters again; those that are accepted are removed.

        Returns:
            How many were accepted, and a sentence for each that was not.
        """
        accepted, failures = 0, []
        of_sink: dict[str, list[int]] = defaultdict(list)
        for id in ids:
            letter = self._journal.dead_letter(id)
            if letter is None:
                failures.append(f"There is no dead letter {id}.")
            elif letter.kind == "delivery":
                of_sink[letter.sink].append(id)
            else:
                failure = await self._read_again(letter)
                failures += [failure] if failure else []
                accepted += not failure
        for sink, theirs in of_sink.items():
            failure = await self._deliver_again(sink, theirs)
            left = [id for id in theirs if self._journal.dead_letter(id) is not None]
            accepted += len(theirs) - len(left)
            if left:
                which = "it" if len(theirs) == 1 else f"{len(left)} of them"
                failures.append(failure or f"The sink {sink} refused {which} again.")
        return accepted, failures

    async def _deliver_again(self, sink: str, ids: Sequence[int]) -> str:
        delivery = self._deliveries.get(sink)
        if delivery is None:
            return f"There is no sink {sink!r} any more; discard its dead letters, or configure it again."
        try:
            await delivery.replay(ids)
        except ConnectorError as error:
            return str(error)
        return ""

    async def _read_again(self, letter: DeadLetter) -> str:
        """
        Take a body in once more; returns why that failed, or nothing.
        """
        try:
            reading = read_all(
                records(letter.body),
                connector=letter.connector,
                way=Way.IMPORT,
                received_us=int(letter.at * 1_000_000),
                body_hash=lambda: blake2b(letter.body, digest_size=16).digest(),
            )
            # its good records are known already, or become entries; the letter itself stays if any is bad
            await self._journal.append(reading.events)
        except ConnectorError as error:
            return f"Dead letter {letter.id}: {error}"
        if reading.bad:
            return f"Dead letter {letter.id} still holds {counted(len(reading.bad), 'bad record')}: {reading.first_reason}"
        await self._journal.discard([letter.id])
        return ""
