"""
What a container of blobs is to those who keep things in it.

Every call blocks, is durable when it returns, and either happened as a whole or not at all; when it raises
``Unavailable`` nobody knows which. Nothing here overwrites unseen: a blob is made only if it is new, replaced only in the
state that was read, and whoever changes a leased one shows the lease.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct, field


class Blob(Struct, frozen=True):
    """
    A blob as a listing or a read shows it.
    """

    name: str
    etag: str
    """Changes with every change of the blob."""
    size_bytes: int
    changed_at: float
    """Unix seconds of its last change, by the service's clock."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""


class Container(Protocol):
    """
    One container.

    Every method raises, beside what it names: ``Unavailable`` where the same may succeed later, ``Unauthorized`` where
    the credential is refused, ``ConfigError`` where the account or its address is wrong.
    """

    def create(self, name: str, body: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        """Make a blob; returns False, and changes nothing, where one of this name is there."""
        ...

    def replace(self, name: str, body: bytes, *, etag: str, lease: str = "") -> str:
        """
        Replace a blob that is still as it was read; returns its new ETag.

        Raises:
            Busy: It was changed meanwhile, or the lease is lost.
        """
        ...

    def read(self, name: str) -> tuple[Blob, bytes] | None:
        """Return a blob with its bytes; None where there is none."""
        ...

    def remove(self, name: str, *, etag: str = "") -> bool:
        """Remove a blob; returns False where it is gone, or not as it was read any more."""
        ...

    def blobs(self, prefix: str, *, limit: int = 1_000) -> list[Blob]:
        """Return blobs whose names begin so, in the order of names."""
        ...

    def lease(self, name: str, seconds: int) -> str | None:
        """Take a blob for 15 to 60 seconds; returns what proves it, or None while somebody else has it."""
        ...

    def renew(self, name: str, lease: str) -> None:
        """
        Keep a lease for its seconds once more.

        Raises:
            Busy: It is lost.
        """
        ...

    def release(self, name: str, lease: str) -> None:
        """Give a lease back; one that is lost already is no error."""
        ...
