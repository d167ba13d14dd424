"""
A place in memory for how far a poller has come: the twin of the one in the state.
"""

from collections.abc import Iterable

from msgspec import structs

from onelogin_connector.marks import BackfillMark, Marks, SweptHour


class MemoryProgress:
    """
    A ``Progress`` that forgets everything with the process.
    """

    def __init__(self) -> None:
        self.marks: Marks | None = None
        self.swept: dict[int, SweptHour] = {}
        self.backfill: BackfillMark | None = None

    def load(self) -> Marks | None:
        """
        See ``Progress``.
        """
        return self.marks

    def save(self, marks: Marks, swept: SweptHour | None = None) -> None:
        """
        See ``Progress``.
        """
        self.marks = marks
        if swept is not None:
            self.swept[swept.hour] = swept

    def hour(self, hour: int) -> SweptHour | None:
        """
        See ``Progress``.
        """
        return self.swept.get(hour)

    def hours(self, since: int = 0) -> list[SweptHour]:
        """
        See ``Progress``.
        """
        return [found for hour, found in sorted(self.swept.items()) if hour >= since]

    def due_hour(self, now_us: int) -> SweptHour | None:
        """
        See ``Progress``.
        """
        due = [(each.due_us, hour) for hour, each in self.swept.items() if each.due_us is not None]
        first = min(due, default=(now_us + 1, 0))
        return self.swept[first[1]] if first[0] <= now_us else None

    def reopen(self, hours: Iterable[int], due_us: int) -> list[SweptHour]:
        """
        See ``Progress``.
        """
        settled = [hour for hour in hours if hour in self.swept and self.swept[hour].settled]
        for hour in settled:
            self.swept[hour] = structs.replace(self.swept[hour], settled=False, due_us=due_us)
        return [self.swept[hour] for hour in settled]

    def load_backfill(self) -> BackfillMark | None:
        """
        See ``Progress``.
        """
        return self.backfill

    def save_backfill(self, mark: BackfillMark | None) -> None:
        """
        See ``Progress``.
        """
        self.backfill = mark
