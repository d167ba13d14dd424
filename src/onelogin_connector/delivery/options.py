"""
What one delivery may be told, and what it tells.
"""

from dataclasses import dataclass

from onelogin_connector.batch import Skips


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    What one delivery may be told.
    """

    backlog_limit: int | None = None
    """Records that may wait before the sink is detached; None leaves it to the disk."""
    pause_after_refusals: int = 100
    """Refused records in a row, with none accepted between, that pause the sink."""
    skips: Skips | None = None
    """Which entries the sink is not to get, and by which setting; each is counted."""
    credential_seconds: float = 300.0
    """How long to wait before a refused credential is tried again."""
    grace_seconds: float = 3.0
    """How long ``stop`` lets a running ``send`` finish."""


@dataclass(frozen=True, slots=True)
class Lag:
    """
    How far a sink is behind.
    """

    events: int
    seconds: float
    """Age of the oldest record that is not delivered, by its arrival."""
