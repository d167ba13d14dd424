"""
Turn the records of one request or file part into events, and collect what cannot become one.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct, field

from onelogin_connector.errors import BadRecord
from onelogin_connector.event import Event, Way, read
from onelogin_connector.journal.base import NewDeadLetter
from onelogin_connector.sources.body import Record

MOST_REASONS = 100  # positions kept in a dead letter: enough to see a pattern, small whatever comes


class Reading(Struct):
    """
    The events of one request or file part, and its bad records.
    """

    events: list[Event] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    """Position → reason, the first hundred."""

    @property
    def records(self) -> int:
        """
        How many records there were, good and bad.
        """
        return len(self.events) + len(self.bad)

    @property
    def first_reason(self) -> str:
        """
        Why the first bad record is bad; empty when none is.
        """
        return next(iter(self.reasons.values()), "")

    def dead_letter(self, connector: str, body: bytes) -> NewDeadLetter | None:
        """
        Return the one dead letter of all bad records; None when all are good, or there is nothing to keep.

        Args:
            body: The bytes to keep: the whole request body, or the bad lines of a file.
        """
        if not self.bad or not body:
            return None  # a text that ends too early between two records leaves no bytes
        return NewDeadLetter(
            connector=connector,
            kind="record",
            reason=self.first_reason,
            body=body,
            positions=self.reasons,
            records=len(self.bad),
        )


def read_all(
    found: Iterable[Record],
    *,
    connector: str,
    way: Way,
    received_us: int,
    body_hash: Callable[[], bytes],
    first_position: int = 0,
) -> Reading:
    """
    Read every record, each on its own.

    Args:
        body_hash: Gives the hash of the request body or file; asked for only if a record has no id,
            since hashing costs as much as a fifth of reading.
        first_position: Position of the first record in that body or file.
    """
    reading = Reading()
    for position, record in enumerate(found, first_position):
        if isinstance(record, bytes):
            try:
                event = read(record, connector=connector, way=way, received_us=received_us, position=position)
                if ":" in event.native:  # named by its own hash, or by an odd id: read again, harmless
                    event = read(
                        record,
                        connector=connector,
                        way=way,
                        received_us=received_us,
                        body_hash=body_hash(),
                        position=position,
                    )
            except BadRecord as error:
                raw, reason = record, error.message
            else:
                reading.events.append(event)
                continue
        else:
            raw, reason = record.raw, record.reason
        reading.bad.append(raw)
        if len(reading.reasons) < MOST_REASONS:
            reading.reasons[position] = reason
    return reading
