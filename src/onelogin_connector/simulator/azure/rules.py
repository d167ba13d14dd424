"""
Data collection rules: which streams there are, what they declare, where they lead, and who may send.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field

from onelogin_connector.simulator.azure.tables import Workspace

PUBLISHER = "Monitoring Metrics Publisher"
"""The role a sender needs on the rule."""


class Stream(Struct, frozen=True):
    """
    A way in: declared fields, and the table they come to.
    """

    name: str
    columns: Mapping[str, str]
    """Field → type. What is not declared is dropped."""
    table: str
    renames: Mapping[str, str] = field(default_factory=dict)
    """Field → column, where the transformation renames it; others keep their names."""
    stamps: bool = False
    """Whether the transformation sets TimeGenerated to the moment of arrival."""


class Rule:
    """
    A rule, with the error table that its diagnostic setting fills.
    """

    def __init__(
        self,
        id: str,
        workspace: Workspace,
        streams: Sequence[Stream],
        *,
        clock: Callable[[], float],
        requests_per_minute: int | None = None,
        bytes_per_minute: int | None = None,
    ) -> None:
        """
        Make a rule, and the tables its streams lead to.

        Args:
            id: The immutable id, ``dcr-`` and 32 digits.
            requests_per_minute: None for no limit; the service's is 12,000.
            bytes_per_minute: None for no limit; the service's is 2 GB.
        """
        self.id = id
        self.workspace = workspace
        self.streams = {stream.name: stream for stream in streams}
        self.errors: list[dict[str, str]] = []
        """``DCRLogErrors``: what was accepted or refused with an error that the sender may not have seen."""
        self._clock = clock
        self._roles: dict[str, float] = {}
        """Principal → from when on it may send."""
        self._limits = (requests_per_minute, bytes_per_minute)
        self._minute, self._requests, self._bytes = -1, 0, 0
        for stream in streams:
            renamed = {stream.renames.get(name, name): kind for name, kind in stream.columns.items()}
            workspace.make(stream.table, renamed)

    def grant(self, principal: str, *, after_seconds: float = 0.0) -> None:
        """
        Assign the role; it takes effect when it has propagated.
        """
        self._roles[principal] = self._clock() + after_seconds

    def revoke(self, principal: str) -> None:
        """
        Take the role away, at once.
        """
        self._roles.pop(principal, None)

    def allows(self, principal: str) -> bool:
        """
        Tell whether somebody may send now.
        """
        return self._roles.get(principal, float("inf")) <= self._clock()

    def take(self, size: int) -> float | None:
        """
        Count a request against the limits of this minute.

        Returns:
            None if it is within them, else the seconds until the next minute.
        """
        now = self._clock()
        if int(now // 60) != self._minute:
            self._minute, self._requests, self._bytes = int(now // 60), 0, 0
        self._requests += 1
        self._bytes += size
        used = (self._requests, self._bytes)
        if any(limit is not None and have > limit for limit, have in zip(self._limits, used, strict=True)):
            return 60 - now % 60
        return None
