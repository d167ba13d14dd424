"""
The local store: a DuckDB file beside the journal, queryable by KQL.

Exactly once: rows and position commit together, so a batch that is sent again changes nothing. It takes
batches of up to 2,000 records, some 20,000 records/s on one core; of 1,000 a quarter less, since a statement
costs as much to plan as 300 rows to insert, while commits of 50,000 rows stall for seconds. While senders
press it gives way to them: they wait for an answer, and nobody waits for a row.
An event's record from the other channel is merged into the event's row. What is older than
``retention_days`` is removed.
"""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Annotated, ClassVar

from msgspec import Struct

from onelogin_connector.errors import ConnectorError
from onelogin_connector.event import Entry
from onelogin_connector.setting import about
from onelogin_connector.sinks.base import Limits, Stage, StageState, Tell, silent
from onelogin_connector.store import Store

LEAST_FREE_BYTES = 1 << 30


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Settings of the local store.
    """

    retention_days: Annotated[
        float,
        about("Events older than this are removed, by their own time.", example=90, unit="days", gt=0),
    ] = 90
    memory: Annotated[
        str,
        about(
            "What the database may use, shared by intake and queries; a query that needs more is stopped.",
            example="1GB",
            pattern=r"^[1-9][0-9]*(\.[0-9]+)? ?[KMGT]i?B$",
        ),
    ] = "1GB"
    threads: Annotated[
        int,
        about("Threads of one query; 0 takes half of the cores, so that intake keeps the others.", ge=0),
    ] = 0


class StoreSink:
    """
    Delivers into the store that the service has opened, and closes.
    """

    kind: ClassVar[str] = "store"
    wants_twins: ClassVar[bool] = True
    stages: ClassVar[tuple[str, ...]] = ("write", "query", "space")
    limits = Limits(records=2_000, size_bytes=8 << 20, gives_way=2.0)

    def __init__(self, store: Store, epoch: Callable[[], str]) -> None:
        """
        Make the sink of an open store.

        Args:
            epoch: Names the journal's epoch at the moment it is called.
        """
        self._store = store
        self._epoch = epoch

    async def open(self) -> int | None:
        """
        Return the store's own position, which is the truth for this sink; 0 in a new epoch.
        """
        return await to_thread(self._store.position, self._epoch()) or 0

    async def send(self, batch: Sequence[Entry]) -> None:
        """
        Take a batch in.

        Raises:
            Refused: Some records can never be taken; nothing was.
            Unavailable: Nothing was taken.
        """
        await to_thread(self._store.insert, batch, self._epoch())

    async def check(self, tell: Tell = silent) -> list[Stage]:
        """
        Try to write (and take it back), to read, and look at the free space.
        """
        broken = "Look at the service's log; restore the store from a backup."
        full = "Free space on that disk, or shorten retention_days."
        steps = ((self._write, broken), (self._query, broken), (self._space, full))
        stages = []
        for name, (attempt, action) in zip(self.stages, steps, strict=True):
            stages.append(await _stage(name, attempt, action))
            tell(stages[-1])
        return stages

    async def _write(self) -> str:
        await to_thread(self._store.trial)
        return "Events can be written."

    async def _query(self) -> str:
        result = await to_thread(self._store.query, "OneLogin | take 1", timeout_seconds=10)
        return f"A query answers within {result.seconds:.2f} seconds."

    async def _space(self) -> str:
        free = await to_thread(self._store.free_bytes)
        if free < LEAST_FREE_BYTES:
            raise ConnectorError(f"Only {free >> 20} MiB are free where the store is.")
        return f"{free >> 30} GiB are free where the store is."

    async def close(self) -> None:
        """
        Leave the store open: queries use it too.
        """


async def _stage(name: str, attempt: Callable[[], Awaitable[str]], action: str) -> Stage:
    started = monotonic()
    try:
        message = await attempt()
    except ConnectorError as error:
        return Stage(
            name, StageState.FAILED, error.message, error.action or action, None, monotonic() - started
        )
    return Stage(name, StageState.PASSED, message, seconds=monotonic() - started)
