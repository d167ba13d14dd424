"""
The head: the one blob that changes, and what counts.
"""

from secrets import token_hex

from msgspec import DecodeError, Struct, field, json

from onelogin_connector.azure.blobs import Container
from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.journal.base import Checkpoint, ConnectorCounts
from onelogin_connector.journal.blobs.tree import Leaf
from onelogin_connector.journal.hours import Hour, Keyring

HEAD = "state/head"
LEAVES = "state/leaves/"
VERSION = 1

TREES = ("log", "natives", "groups", "letters", "letter_keys")
"""
===========  ==============================  ==========================================
tree         key                             value
===========  ==============================  ==========================================
log          offset (8)                      ``Entry``
natives      second (4), native key (16)     ``records.Known``
groups       second (4), fingerprint (16),   empty
             ``matching.Slot``
letters      id (8)                          ``letters.Kept``, the bytes are a blob
letter_keys  hash (16)                       id (8)
===========  ==============================  ==========================================
"""


class Hold(Struct, frozen=True):
    """
    Why a sink gets nothing at the moment.
    """

    why: str = ""
    """Empty when all is well."""
    until: float | None = 0.0
    """Unix seconds of the next attempt; None until a person resumes it."""
    failures: int = 0
    """In a row."""
    refused_in_a_row: int = 0


class Head(Struct):
    """
    Everything that counts.
    """

    version: int = VERSION
    epoch: str = ""
    last_offset: int = 0
    last_letter: int = 0
    trees: dict[str, list[Leaf]] = field(default_factory=dict)
    hours: dict[int, Hour] = field(default_factory=dict)
    forgotten_before: int = 0
    """Hours below this one that are not listed had keys once, maybe."""
    scopes: dict[int, str] = field(default_factory=dict)
    counts: dict[str, ConnectorCounts] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    garbage: list[str] = field(default_factory=list)
    """Blobs that no longer count and are still to be removed."""
    swept_at: float = 0.0
    """When blobs that nobody names were last looked for, Unix seconds."""

    def keyring(self, hour: int) -> Keyring:
        """
        Tell how far an hour's keys can be trusted.
        """
        known = self.hours.get(hour)
        if known is None:
            return Keyring.PRUNED if hour < self.forgotten_before else Keyring.WHOLE
        return Keyring(known.keyring)


def read(container: Container) -> tuple[Head, str] | None:
    """
    Return the head and its ETag; None where there is none yet.

    Raises:
        ConfigError: It was written by a later version.
        Unavailable: It cannot be read as one.
    """
    found = container.read(HEAD)
    if found is None:
        return None
    blob, body = found
    try:
        head = json.decode(body, type=Head)
    except DecodeError as error:
        raise Unavailable(
            f"The blob {HEAD} cannot be read: {error}.",
            action="Restore an earlier version of it if the account keeps versions. What is received stays in the spool.",
        ) from error
    if head.version != VERSION:
        raise ConfigError(
            f"The blob {HEAD} has version {head.version}; this program writes version {VERSION}.",
            action="Deploy the later version of the function app again.",
        )
    return head, blob.etag


def encoded(head: Head) -> bytes:
    """
    Return the stored form.
    """
    return json.encode(head)


def prepare(container: Container) -> None:
    """
    Make an empty journal, unless there is one.
    """
    if read(container) is None:
        container.create(HEAD, encoded(Head(epoch=token_hex(16))))
