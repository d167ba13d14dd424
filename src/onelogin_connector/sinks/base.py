"""
What a destination is to the delivery loop.

A sink never sleeps, retries, logs per event or reads the environment: the loop does that for all of them.
``send`` returns when every record was accepted, or raises what the loop shall do next: ``Unavailable``,
``TooLarge``, ``Refused``, ``Unauthorized``. ``testing.SinkContract`` holds every sink to it.

A kind can be made in the console if its class takes ``reach`` and connects to no host that this refuses. Its ``Settings``
may then have a method ``check_entered(reach)`` for what only the settings file may ask for; it raises ``ValueError`` with
the name of a setting, a colon, and why.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from msgspec import Struct

from onelogin_connector.event import Entry
from onelogin_connector.status import Stage, StageState, Tell, silent

__all__ = ["Limits", "Sink", "Stage", "StageState", "Tell", "silent"]


class Limits(Struct, frozen=True):
    """
    How large a batch may be, and how long it may wait to become larger.
    """

    records: int
    size_bytes: int
    """Sum of the raw records' bytes."""
    max_batch_seconds: float = 0.5
    gives_way: float = 0.0
    """
    How long the loop rests after a full batch, in times of what the batch took, while the journal grows
    faster than the sink takes. For a sink that uses the processors which intake needs; one that waits for
    a network does not.
    """


class Sink(Protocol):
    """
    One destination.
    """

    kind: ClassVar[str]
    wants_twins: ClassVar[bool]
    """Whether twins and changes are sent too, or entries alone."""

    @property
    def stages(self) -> Sequence[str]:
        """Names of the stages of ``check``, in their order."""
        ...

    @property
    def limits(self) -> Limits:
        """Bounds of a batch."""
        ...

    async def open(self) -> int | None:
        """
        Get ready.

        Returns:
            The offset after which this sink wants to read when it keeps its own position; None leaves it
            to the journal's checkpoint.
        """
        ...

    async def check(self, tell: Tell = silent) -> list[Stage]:
        """Walk the path of ``send`` as closely as possible without sending events; tell each stage when it is done."""
        ...

    async def send(self, batch: Sequence[Entry]) -> None:
        """Deliver a batch, in order of offsets."""
        ...

    async def close(self) -> None:
        """Release what ``open`` took."""
        ...
