"""
The Logs Ingestion API: its calls, to the byte, and what its answers mean.

One call is a JSON array of at most 1,048,576 bytes, as it is and as it is sent. What gzip makes larger, as it does
with chance, is sent as it is. A success is 204, which says that the call was taken, not that its rows can be
queried: fields that the stream does not declare are dropped, rows that the transformation fails on are missing. Where
that happens the rule's error logs name the call by ``x-ms-client-request-id``, so that id says which records of
the journal it was: see ``request_id``.
"""

from collections.abc import Callable, Iterable, Sequence
from secrets import token_bytes
from types import MappingProxyType
from typing import Self
from uuid import UUID

from isal import igzip
from msgspec import Struct

from onelogin_connector.azure.causes import Api
from onelogin_connector.cause import Cause
from onelogin_connector.errors import ConfigError, Refused, TooLarge, Unauthorized

LARGEST_CALL_BYTES = 1_048_576
"""As the service's own refusal states it; the documentation says 1 MB."""
MOST_ROWS = 4_095
"""As many as a request id can count; a row has 700 bytes at least, so that a call holds fewer."""
API_VERSION = "2023-01-01"
EMPTY = b"[]"
ROLE = "Monitoring Metrics Publisher"

API = Api(
    "the Logs Ingestion API",
    frozenset({200, 204}),  # 204 is documented; an answer of 200 that is no web page means the same
    MappingProxyType(
        {
            400: Cause(
                "The service cannot read this record.",
                "Look at the dead letter; if it is an event like any other, report it.",
                Refused,
            ),
            401: Cause(
                "The service does not accept the token.",
                "Tokens are made out to one cloud: set cloud to that of the endpoint. With a static token, renew it.",
                Unauthorized,
            ),
            403: Cause(
                f"The credential may not send to this rule: its role {ROLE} is missing there, or is not yet in effect.",
                f"In the Azure portal, at the data collection rule under Access control (IAM), give {ROLE} to the "
                "application or managed identity. That takes up to 30 minutes to work; until then it is tried again "
                "every few minutes by itself, and nothing is lost.",
                Unauthorized,
            ),
            404: Cause(
                "There is no such rule at this endpoint, or the rule has no such stream.",
                "Compare rule_id with the rule's immutableId (JSON view in the portal; it is not the rule's name), stream "
                "with its streamDeclarations, and endpoint with the rule's or its endpoint's logs ingestion address.",
                ConfigError,
            ),
            413: Cause("The call is too large.", "It is cut smaller by itself.", TooLarge),
        }
    ),
)
"""What the answers of this API mean."""


def target(rule_id: str, stream: str) -> str:
    """
    Return where rows for a stream are posted.
    """
    return f"/dataCollectionRules/{rule_id}/streams/{stream}?api-version={API_VERSION}"


def request_id(first_offset: int, records: int) -> str:
    """
    Name a call, so that its records can be found by the name alone: a UUID of version 8.

    The first twelve hex digits are the journal offset of its first record, the three behind the 8 the number of its
    records, in the order of offsets; the rest is chance, so that no two calls have one name. Without records both
    numbers are 0.
    """
    chance = int.from_bytes(token_bytes(8)) >> 2
    number = (first_offset & (1 << 48) - 1) << 80 | 8 << 76 | min(records, MOST_ROWS) << 64 | 2 << 62 | chance
    return str(UUID(int=number))


def records_of(request_id: str) -> tuple[int, int] | None:
    """
    Return the first offset and the number of records that a call's name tells; None if it is none of ours.
    """
    try:
        number = UUID(request_id).int
    except ValueError:
        return None
    if number >> 76 & 15 != 8 or number >> 62 & 3 != 2:
        return None
    return number >> 80, number >> 64 & MOST_ROWS


class RuleId(str):
    """
    The immutable id of a data collection rule.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """
        Check an id.

        Raises:
            ValueError: It is none.
        """
        text = text.strip()
        if not (text.startswith("dcr-") and len(text) == 36 and text.isascii() and text[4:].isalnum()):
            raise ValueError(
                "expected the rule's immutableId, dcr- and 32 letters or digits, as its JSON view in the portal shows it; "
                "not its name or its resource id"
            )
        return super().__new__(cls, text)


class Body(Struct, frozen=True):
    """
    What goes over the wire.
    """

    content: bytes
    is_packed: bool
    rows_bytes: int
    """Of the JSON array, before it was packed."""


class Parcel:
    """
    The rows of one call.
    """

    def __init__(self, rows: Sequence[bytes]) -> None:
        self.rows = rows

    @classmethod
    def of(cls, rows: Iterable[bytes], most_bytes: int = LARGEST_CALL_BYTES) -> "Parcel":
        """
        Take as many rows as fit into one call, from the first on; none if that alone is too large.
        """
        taken: list[bytes] = []
        size = 2  # the brackets
        for row in rows:
            size += len(row) + bool(taken)  # and a comma before each but the first
            if size > most_bytes or len(taken) == MOST_ROWS:
                break
            taken.append(row)
        return cls(taken)

    def body(self, first: int, end: int) -> Body:
        """
        Return the call of some of the rows.
        """
        return body_of(b"[%b]" % b",".join(self.rows[first:end]))


def body_of(content: bytes, pack: Callable[[bytes, int], bytes] = igzip.compress) -> Body:
    """
    Pack a call's JSON, unless that makes it larger.
    """
    packed = pack(content, 1)  # the lowest level is ten times as fast as zlib, at seven per cent more bytes
    if len(packed) < len(content):
        return Body(packed, is_packed=True, rows_bytes=len(content))
    return Body(content, is_packed=False, rows_bytes=len(content))
