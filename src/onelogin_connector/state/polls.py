"""
How far the pollers have come, and what their sweeps found of each hour.

Every change is one transaction, on disk when the call returns. Times are microseconds since 1970 of
OneLogin's clock, hours are counted from 1970.
"""

from collections.abc import Iterable

from msgspec import convert, json, structs

from onelogin_connector.marks import BackfillMark, Marks, SweptHour
from onelogin_connector.state.database import Database


class Polls:
    """
    The progress of every connector's poller.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, connector: str) -> "PollProgress":
        """
        Return the progress of one connector.
        """
        return PollProgress(self._database, connector)


class PollProgress:
    """
    The progress of one connector's poller.
    """

    def __init__(self, database: Database, connector: str) -> None:
        self._database = database
        self._connector = connector

    def load(self) -> Marks | None:
        """
        Return how far it has come; None before its first page.
        """
        row = self._database.row("load_poll", connector=self._connector)
        return json.decode(row["marks"], type=Marks) if row else None

    def save(self, marks: Marks, swept: SweptHour | None = None) -> None:
        """
        Keep how far it has come, together with the hour that this finished, if any.
        """
        with self._database.transaction():
            text = json.encode(marks).decode()
            self._database.change("save_poll", connector=self._connector, marks=text)
            if swept is not None:
                self._database.change("save_swept_hour", connector=self._connector, **structs.asdict(swept))

    def hour(self, hour: int) -> SweptHour | None:
        """
        Return what is known of an hour.
        """
        row = self._database.row("swept_hour", connector=self._connector, hour=hour)
        return _hour(row) if row else None

    def hours(self, since: int = 0) -> list[SweptHour]:
        """
        Return what is known of all hours from one on, oldest first.
        """
        return [
            _hour(row) for row in self._database.rows("swept_hours", connector=self._connector, since=since)
        ]

    def due_hour(self, now_us: int) -> SweptHour | None:
        """
        Return the hour whose next sweep has been due for longest; None when none is.
        """
        row = self._database.row("due_hour", connector=self._connector, now_us=now_us)
        return _hour(row) if row else None

    def reopen(self, hours: Iterable[int], due_us: int) -> list[SweptHour]:
        """
        Let settled hours be swept again, because an id was new in them; returns those that were settled.
        """
        reopened = []
        with self._database.transaction():
            for hour in hours:
                if self._database.change("reopen_hour", connector=self._connector, hour=hour, due_us=due_us):
                    found = self.hour(hour)
                    reopened += [found] if found else []
        return reopened

    def load_backfill(self) -> BackfillMark | None:
        """
        Return the unfinished backfill, if there is one.
        """
        row = self._database.row("load_backfill", connector=self._connector)
        return json.decode(row["mark"], type=BackfillMark) if row else None

    def save_backfill(self, mark: BackfillMark | None) -> None:
        """
        Keep how far a backfill has come; None when it is finished.
        """
        if mark is None:
            self._database.change("remove_backfill", connector=self._connector)
        else:
            text = json.encode(mark).decode()
            self._database.change("save_backfill", connector=self._connector, mark=text)


def _hour(row: dict[str, object]) -> SweptHour:
    return convert(row | {"settled": bool(row["settled"])}, SweptHour)
