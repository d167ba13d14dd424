"""
One measured figure, beside what it is compared with.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """
    A figure, and its ratio to a baseline measured in the same run where there is one.
    """

    name: str
    value: float
    unit: str
    baseline: str = ""
    """What it is compared with, in words."""
    ratio: float | None = None
    """Value divided by the baseline's; above 1 is better where more is better."""
