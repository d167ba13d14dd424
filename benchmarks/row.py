"""
One measured figure, beside what it is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """
    A figure, and its ratio to a baseline measured in the same run where there is one.
    """

    name: str
    value: float
    """The median, where it was measured more than once."""
    unit: str
    baseline: str = ""
    """What it is compared with, in words."""
    ratio: float | None = None
    """Value divided by the baseline's; above 1 is better where more is better."""
    least: float | None = None
    most: float | None = None
    goal: str = ""
    """What it ought to be, in words; empty where nothing is asked."""

    @classmethod
    def of(
        cls,
        name: str,
        values: Sequence[float],
        unit: str,
        *,
        goal: str = "",
        baseline: str = "",
        against: float | None = None,
    ) -> "Row":
        """
        Return the row of a figure that was measured several times.

        Args:
            against: The baseline's value.
        """
        value = median(values)
        ratio = value / against if against else None
        several = len(values) > 1
        return cls(
            name,
            value,
            unit,
            baseline if against else "",
            ratio,
            min(values) if several else None,
            max(values) if several else None,
            goal,
        )


def percentile(values: Sequence[float], share: float) -> float:
    """
    Return the value below which a share of the values lies.
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
