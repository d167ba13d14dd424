"""
Dead letters that are sent again.
"""

from dataclasses import dataclass

from onelogin_connector.errors import BadRecord, ConnectorError
from onelogin_connector.event import Entry, Kind, Offset, Way, read
from onelogin_connector.identity import keys_of, scope_hash, scoped
from onelogin_connector.journal.base import DeadLetter, Journal


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    What became of dead letters that were sent again.
    """

    accepted: int = 0
    refused: int = 0
    missing: int = 0
    """Ids that are no dead letter of this sink."""


def entry_of(letter: DeadLetter, journal: Journal, *, wants_twins: bool) -> Entry:
    """
    Return the journal record that a dead letter stands for, with offset 0.

    Offset 0 says to a sink which keeps its own position that this record comes outside the order.

    Args:
        letter: A dead letter of the kind ``delivery``.
        journal: Where the record may still be; later it is read again from the letter's bytes.
        wants_twins: Whether the sink gets twins, so that the bytes alone do not say what the record was.

    Raises:
        ConnectorError: The record cannot be told from its bytes.
    """
    for entry in journal.read(Offset(letter.offset - 1), records=1):
        if entry.offset == letter.offset and entry.raw == letter.body:
            return _outside_the_order(entry)
    action = "Show it, save its bytes to a file, and import that file."
    if wants_twins:
        raise ConnectorError(
            f"The record of dead letter {letter.id} is no longer in the journal, so it is not known whether "
            "it was an entry or a twin.",
            action=action,
        )
    try:
        event = read(
            letter.body, connector=letter.connector, way=Way.WEBHOOK, received_us=int(letter.at * 1_000_000)
        )
    except BadRecord as error:
        raise ConnectorError(f"Dead letter {letter.id}: {error.message}", action=action) from error
    counts = journal.counts().get(letter.connector)
    own = counts is None or event.account in (None, counts.account)
    scope = f"connector:{letter.connector}" if own else f"account:{event.account}"
    return Entry(
        offset=0,
        kind=Kind.ENTRY,
        key=scoped(keys_of(event).native, scope_hash(scope)),
        of=b"",
        connector=event.connector,
        account=event.account if event.account is not None or counts is None else counts.account,
        channel=event.channel,
        way=event.way,
        native=event.native,
        also=event.also,
        time_us=event.time_us,
        received_us=event.received_us,
        flags=event.flags,
        raw=event.raw,
    )


def _outside_the_order(entry: Entry) -> Entry:
    values = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return Entry(**(values | {"offset": 0}))
