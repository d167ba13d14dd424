"""
The store as the rest of the program sees it.

It is called from several threads at once (``asyncio.to_thread``): writers wait for each other, so do those
who read for the program, and so do analysts; the three do not wait for one another.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import disk_usage
from time import time
from typing import Any, Literal, Self

from msgspec.json import encode

from onelogin_connector.event import Entry
from onelogin_connector.formats.onelogin_users import User
from onelogin_connector.journal.base import Held
from onelogin_connector.store import completeness, ledgers, upkeep, users
from onelogin_connector.store.analyst import ROW_LIMIT, Analyst, Result
from onelogin_connector.store.completeness import HourFigures, Swept
from onelogin_connector.store.database import DEFAULT_MEMORY, Database
from onelogin_connector.store.events import Events
from onelogin_connector.store.figures import Figures
from onelogin_connector.store.ledgers import Line
from onelogin_connector.store.reading import Reader
from onelogin_connector.store.users import UsersMark
from onelogin_connector.store.writing import Writer

HOUR_SECONDS = 3_600

HEALTH_COLUMNS = {
    "TenantId": "tenant_id",
    "OperationName": "operation_name",
    "SentinelResourceId": "resource_id",
    "SentinelResourceName": "resource_name",
    "SentinelResourceType": "resource_type",
    "SentinelResourceKind": "resource_kind",
    "Status": "status",
    "Description": "description",
    "Reason": "reason",
    "WorkspaceId": "workspace_id",
    "RecordId": "record_id",
}


class Store:
    """
    Every event once, in one file.
    """

    def __init__(
        self,
        database: Database,
        *,
        names: Callable[[int], str | None],
        retention_days: float = 90,
        clock: Callable[[], float] = time,
    ) -> None:
        self._database = database
        self._writer = Writer(database, names)
        self._reader = Reader(database)
        self._analyst = Analyst(database)
        self.events = Events(database)
        self.figures = Figures(database)
        self._clock = clock
        self.retention_days = retention_days

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        names: Callable[[int], str | None],
        retention_days: float = 90,
        clock: Callable[[], float] = time,
        memory: str = DEFAULT_MEMORY,
        threads: int | None = None,
    ) -> Self:
        """
        Open a store, making it where there is none.

        Args:
            names: Event type id → its name, None where it is not known.
            memory: What DuckDB may use, such as "1GB".
            threads: Of one query; half of the cores by default.

        Raises:
            Busy: Another process has it open.
            ConfigError: The file is no store, or one of a newer version.
            Unavailable: The file cannot be opened at the moment.
        """
        database = Database(path, memory=memory, threads=threads)
        return cls(database, names=names, retention_days=retention_days, clock=clock)

    def insert(self, entries: Sequence[Entry], epoch: str) -> None:
        """
        Take journal records in, each exactly once; those at or below the epoch's position are ignored.

        A record with offset 0 comes outside the order: it is taken where no row has its key.

        Raises:
            Refused: Some can never be taken; nothing was.
            Unavailable: Nothing was taken; the same call may succeed later.
        """
        self._writer.insert(entries, epoch)

    def position(self, epoch: str) -> int | None:
        """
        Return the offset up to which an epoch's journal is taken in, None where nothing of it is.
        """
        return self._reader.position(epoch)

    def held(self, hour: int) -> list[Held] | None:
        """
        Return the events with a record whose keys belong to an hour, None for an hour beyond retention.

        Args:
            hour: Since 1970, of the time as sent; 0 for records whose time cannot be read.
        """
        if hour and (hour + 1) * HOUR_SECONDS < self._cutoff(self._clock()):
            return None
        return self._reader.held(hour)

    def entries(self, after: int, up_to: int, epoch: str, limit: int) -> list[Entry]:
        """
        Return entries (no twins, no changes) of an epoch after an offset and up to one, in order.
        """
        return self._reader.entries(after, up_to, epoch, limit)

    def query(self, kql: str, *, limit: int | None = ROW_LIMIT, timeout_seconds: float = 60) -> Result:
        """
        Run a KQL query.

        Raises:
            QueryError: It is wrong, or took too long or too much memory.
        """
        return self._analyst.query(kql, limit=limit, timeout_seconds=timeout_seconds)

    @property
    def schema(self) -> Mapping[str, Mapping[str, str]]:
        """
        Tables that a query may name → their columns → KQL type.
        """
        return self._analyst.schema

    def health(self, row: Mapping[str, Any]) -> None:
        """
        Record a change of a connector's state, for the table ``OneLoginConnectorHealth``.

        Args:
            row: Its columns; ``TimeGenerated`` in Unix seconds, now by default; others may be absent.
        """
        columns = ["recorded_time", "extended_properties", *HEALTH_COLUMNS.values()]
        extended = row.get("ExtendedProperties")
        values = [
            round(float(row.get("TimeGenerated") or self._clock()) * 1e6),
            None if extended is None else encode(extended).decode(),
            *(str(row.get(name) or "") for name in HEALTH_COLUMNS),
        ]
        marks = ", ".join(["make_timestamp(?::BIGINT)"] + ["?"] * (len(columns) - 1))
        with self._database.write_lock:
            self._database.writer.execute(
                f"INSERT INTO health ({', '.join(columns)}) VALUES ({marks})", values
            )

    def add_health(self, lines: Sequence[Line]) -> None:
        """
        Copy changes of state that the program keeps elsewhere, each once.

        Raises:
            Unavailable: None was copied.
        """
        ledgers.add_health(self._database, lines)

    def add_audit(self, lines: Sequence[Line]) -> None:
        """
        Copy lines of the audit log, each once, for the table ``OneLoginConnectorAudit``.

        Raises:
            Unavailable: None was copied.
        """
        ledgers.add_audit(self._database, lines)

    def last_copied(self, table: Literal["health", "audit"]) -> tuple[int, float] | None:
        """
        Return id and Unix seconds of the newest row that was copied into a table; None where there is none.

        Raises:
            Unavailable: The store cannot be read.
        """
        return ledgers.last(self._database, table)

    def set_hours(self, rows: Sequence[Swept]) -> None:
        """
        Record sweeps, for ``OneLoginConnectorCompleteness``; each takes the place of its hour's former one.

        Raises:
            Unavailable: Nothing was recorded.
        """
        completeness.set_hours(self._database, rows)

    def completeness(self, connector: str, since_us: int, until_us: int) -> list[HourFigures]:
        """
        Return a connector's hours that begin in a span of time, in order; quiet hours without a sweep are left out.

        Args:
            since_us: Microseconds since 1970, UTC.
            until_us: Not included.

        Raises:
            Unavailable: The store cannot be read.
        """
        return completeness.figures(self._database, connector, since_us, until_us)

    def set_users(self, records: Sequence[bytes], at: float, *, connector: str) -> int:
        """
        Keep users as they were listed; returns how many: records without an id are left out.

        Args:
            records: As the API gave them.
            at: Unix seconds of the listing.

        Raises:
            Unavailable: None was kept.
        """
        return users.keep(self._database, records, at, connector)

    def spread_users(self) -> int:
        """
        Bring events that are held up to date with users that have changed; returns how many events changed.

        Raises:
            Unavailable: It was not finished; the next call goes on.
        """
        return users.spread(self._database)

    def users(self, connector: str, *, after: int, limit: int) -> list[User]:
        """
        Return a connector's users in order of their ids, from after one on.

        Raises:
            Unavailable: The store cannot be read.
        """
        return users.page(self._database, connector, after, limit)

    def users_mark(self, connector: str) -> UsersMark | None:
        """
        Return how far a connector's users have been read, None where they never were.

        Raises:
            Unavailable: The store cannot be read.
        """
        return users.mark(self._database, connector)

    def set_users_mark(self, connector: str, mark: UsersMark) -> None:
        """
        Remember how far a connector's users have been read.

        Raises:
            Unavailable: It was not.
        """
        users.set_mark(self._database, connector, mark)

    def prune(self, now: float) -> int:
        """
        Remove what is older than the retention; returns how many events were removed.

        Args:
            now: Unix seconds.
        """
        return upkeep.prune(self._database, self._cutoff(now))

    def _cutoff(self, now: float) -> float:
        return now - self.retention_days * 86_400

    def backup(self, path: Path) -> None:
        """
        Write a copy as of one moment while the store stays open.

        Raises:
            Unavailable: It could not be written.
        """
        upkeep.backup(self._database, path)

    def stats(self) -> dict[str, Any]:
        """
        Return ``rows, changes, bytes, oldest_us, newest_us, positions, dropped_twins``.
        """
        return self._reader.stats() | {"dropped_twins": self._writer.dropped_twins}

    def pass_over(self, epoch: str, offset: int) -> None:
        """
        Take an epoch's records up to an offset for held: they came in under another epoch.

        Raises:
            Unavailable: It could not be written.
        """
        self._writer.pass_over(epoch, offset)

    def trial(self) -> None:
        """
        Write and take it back.

        Raises:
            Unavailable: Events could not be written.
        """
        self._writer.trial()

    def free_bytes(self) -> int:
        """
        Return what is free on the disk that the store is on.
        """
        return disk_usage(self._database.path.parent).free

    def close(self) -> None:
        """
        Close the file.
        """
        self._database.close()
