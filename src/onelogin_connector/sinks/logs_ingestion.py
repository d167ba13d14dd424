"""
Microsoft Sentinel by the Logs Ingestion API: into a table of Log Analytics, through a data collection rule.

One call holds at most 1,048,576 bytes of rows, counted exactly, and is sent compressed. A batch of the delivery loop is
one call, whose size follows that of the rows so far. At least once: the API has no idempotency key, so
an answer that was lost on the way means rows twice; every other failure leaves each row there once.

What a column cannot hold is cut with a mark (``formats.ingestion``). A record that the service refuses is found by
halving and becomes a dead letter; the rest goes on (``azure.settling``). A missing role, a wrong rule or stream, and a
refused credential pause the sink with a sentence, and are tried again every five minutes.

The service stamps rows with the event's own time, unless that is more than two days past, or one ahead: then with
the time of arrival. In ``OneLogin_CL`` the event's time is also in ``event_time_t``, the whole record in ``Raw`` and
the API's id in ``event_id_s``, beside the 29 columns that Microsoft's parsers read. A stream must declare
the columns by the table's names: what it does not declare is dropped by the service without a word.
"""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic, time
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from httpx2 import AsyncBaseTransport
from msgspec import Struct

from onelogin_connector.azure.calls import Calls, Trace
from onelogin_connector.azure.clouds import CLOUDS, Cloud, CloudName, cloud_of, is_azures, quotable
from onelogin_connector.azure.credentials import OF_THIS_MACHINE, Credential, hidden_of, tokens_of
from onelogin_connector.azure.logs_ingestion import (
    API,
    EMPTY,
    LARGEST_CALL_BYTES,
    Body,
    Parcel,
    RuleId,
    body_of,
)
from onelogin_connector.azure.options import IncludeBackfill
from onelogin_connector.azure.posting import Posting
from onelogin_connector.azure.settling import settle
from onelogin_connector.errors import ConfigError, ConnectorError, Partly, Refused, TooLarge, Unavailable
from onelogin_connector.event import Entry
from onelogin_connector.formats.ingestion import event_row, user_row
from onelogin_connector.formats.onelogin_users import User
from onelogin_connector.reach import Reach
from onelogin_connector.setting import HttpUrl, about
from onelogin_connector.sinks.base import Limits, Stage, StageState, Tell, silent

MOST_RECORDS = 4_000  # a call holds some 400 usual rows of OneLogin_CL, and 2,600 of OneLoginEventsV2_CL
LEAST_BATCH_BYTES = 10_000
FIRST_GROWTH = 1.5
"""Bytes of a row per byte of a record before any was seen: the columns, and the record in ``Raw``."""
LEAST_GROWTH = 0.1
SPARE = 1.1
"""Batches are planned a little too large: a row too many costs nothing, one too few is a call that is not full."""
LEAST_CALL_BYTES = 65_536
"""What a proxy on the way may lower the limit to, before that is an error of its own."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Settings of a Logs Ingestion sink.
    """

    endpoint: Annotated[
        HttpUrl,
        about(
            "The logs ingestion address of the rule (kind Direct), or of its data collection endpoint.",
            example="https://onelogin-ab12.westeurope-1.ingest.monitor.azure.com",
        ),
    ]
    rule_id: Annotated[
        RuleId,
        about(
            "The rule's `immutableId`, as its JSON view shows it.",
            example="dcr-00000000000000000000000000000000",
        ),
    ]
    credential: Annotated[
        Credential,
        about(
            "Who sends; it needs the role Monitoring Metrics Publisher on the rule.",
            example={"kind": "managed_identity"},
        ),
    ]
    table: Annotated[
        Literal["OneLogin_CL", "OneLoginEventsV2_CL"],
        about(
            "Which columns the rows have: those of Microsoft's webhook connector, or those of its codeless one.",
            example="OneLogin_CL",
            chosen=True,
        ),
    ] = "OneLogin_CL"
    stream: Annotated[
        str,
        about(
            "Stream of the rule that takes the rows; it declares the table's own column names. `Custom-` and the "
            "table's name by default.",
            example="Custom-OneLogin_CL",
            pattern=r"^((Custom|Microsoft)-[A-Za-z0-9_-]{1,100})?$",
        ),
    ] = ""
    include_raw: Annotated[
        bool,
        about(
            "Send the whole record in `Raw` of `OneLogin_CL` too: fields that have no column of their own, at three "
            "quarters of what is stored and paid for. Without this they stay in the local store.",
            example=False,
        ),
    ] = True
    users_stream: Annotated[
        str,
        about(
            "Stream of the rule for the users, with the columns of `OneLoginUsersV2_CL`; empty sends none. A user is sent "
            "when it is new or has changed, and every 30 days. Needs API credentials and the store.",
            example="Custom-OneLoginUsersV2_CL",
            pattern=r"^((Custom|Microsoft)-[A-Za-z0-9_-]{1,100})?$",
        ),
    ] = ""
    cloud: Annotated[
        CloudName | None,
        about(
            "Cloud that tokens are for; told by the endpoint's name where it is one of Azure's.",
            example="government",
            binds=True,
        ),
    ] = None
    include_backfill: IncludeBackfill = False

    def __post_init__(self) -> None:
        if urlsplit(self.endpoint).path:
            raise ValueError("endpoint: the address ends with the host's name; rule and stream have settings")
        if self.cloud is None and cloud_of(self.endpoint) is None:
            raise ValueError(
                "endpoint: this is not the name of an Azure endpoint (it ends with ingest.monitor.azure.com, .us or .cn); if "
                "it is right all the same, set cloud too"
            )

    def check_entered(self, reach: Reach) -> None:
        """
        See ``sinks.base``: who may set where tokens go must not get those of the machine.
        """
        trusted = is_azures(self.endpoint) or reach.allows(urlsplit(self.endpoint).hostname or "")
        if isinstance(self.credential, OF_THIS_MACHINE) and not trusted:
            raise ValueError(
                "endpoint: with this machine's own identity the console sends to Azure's endpoints alone (their names end "
                "with ingest.monitor.azure.com, .us or .cn)"
            )

    @property
    def events_stream(self) -> str:
        """
        The stream that takes events.
        """
        return self.stream or f"Custom-{self.table}"

    @property
    def found_cloud(self) -> Cloud:
        """
        The cloud that tokens are for.
        """
        return CLOUDS[self.cloud] if self.cloud else cloud_of(self.endpoint) or CLOUDS["public"]


class LogsIngestion:
    """
    Posts rows through one rule.
    """

    kind: ClassVar[str] = "logs_ingestion"
    wants_twins: ClassVar[bool] = False

    def __init__(
        self,
        settings: Settings,
        *,
        name: str = "sentinel",
        clock: Callable[[], float] = time,
        transport: AsyncBaseTransport | None = None,
        reach: Reach | None = None,
    ) -> None:
        """
        Connect nothing yet.

        Args:
            name: The sink's, for messages and logs.
            clock: Unix seconds.
            transport: In place of the network, for tests.
            reach: Which hosts may be connected to; None for any.

        Raises:
            ConfigError: The credential needs a library that is not installed.
        """
        self.settings, self.name = settings, name
        self._clock, self._transport, self._reach = clock, transport, reach
        self._hidden = hidden_of(settings.credential, quotes=quotable(settings.endpoint, reach))
        self._calls = self._new_calls()
        self._most_bytes = LARGEST_CALL_BYTES
        self._growth = FIRST_GROWTH

    @property
    def limits(self) -> Limits:
        """
        Bounds of a batch, so that it fills one call.
        """
        size = int(self._most_bytes / self._growth * SPARE)
        return Limits(records=MOST_RECORDS, size_bytes=max(size, LEAST_BATCH_BYTES))

    @property
    def traces(self) -> Sequence[Trace]:
        """
        The latest calls, oldest first.
        """
        return self._calls.traces

    async def open(self) -> int | None:
        """
        Do nothing: the journal's checkpoint says how far this sink is.
        """
        return None

    async def send(self, batch: Sequence[Entry]) -> None:
        """
        Post as many of the first records as one call holds.

        Raises:
            Partly: The first records are settled; the others go with the next batch, or are held up by what it names.
            Refused: The last record is never accepted; all others were.
            Unavailable, Unauthorized, ConfigError: Nothing was accepted, as far as is known.
        """
        parcel = await to_thread(self._packed, batch)
        count = len(parcel.rows)
        if not count:
            why = f"Its row has more than {self._most_bytes:,} bytes, and nothing of it can be cut."
            raise Refused({0: why}) if len(batch) == 1 else Partly(settled=1, refused={0: why})
        self._learn(batch[:count], parcel)

        async def post(first: int, end: int) -> None:
            body = await to_thread(parcel.body, first, end)
            offsets = [entry.offset for entry in batch[first:end]]
            await self._post(self.settings.events_stream, body, offsets, end - first)

        await settle(count, post, of=len(batch), prove=self._prove)

    async def send_users(self, users: Sequence[User], *, at_us: int) -> int:
        """
        Post as many of the first users as one call holds; returns how many that were.

        Args:
            at_us: Becomes their TimeGenerated, microseconds since 1970, UTC.

        Raises:
            ConnectorError: None was accepted, as far as is known.
        """
        parcel = Parcel.of((user_row(user, at_us=at_us) for user in users), self._most_bytes)
        count = len(parcel.rows)
        await self._post(self.settings.users_stream, parcel.body(0, count), (), count)
        return count

    @property
    def stages(self) -> tuple[str, ...]:
        """
        See ``Sink``.
        """
        return ("configuration", "token", "post", *(("users",) if self.settings.users_stream else ()))

    async def check(self, tell: Tell = silent) -> list[Stage]:
        """
        Get a new token and post an empty array: it stores nothing, and shows every refusal but those of records.
        """
        calls = self._new_calls()  # what is remembered must not hide what is wrong now
        steps: dict[str, Callable[[], Awaitable[str]]] = {
            "configuration": self._configuration,
            "token": partial(self._token, calls),
            "post": partial(self._probe, calls, self.settings.events_stream),
            "users": partial(self._probe, calls, self.settings.users_stream),
        }
        stages: list[Stage] = []
        failed = ""
        try:
            for name in self.stages:
                if failed:
                    stages.append(Stage(name, StageState.SKIPPED, f"Not tried, because {failed} failed."))
                else:
                    stages.append(await _stage(name, steps[name], calls.posting))
                    failed = name if stages[-1].state is StageState.FAILED else ""
                tell(stages[-1])
        finally:
            await calls.close()
        return stages

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self._calls.close()

    def _new_calls(self) -> Calls:
        settings = self.settings
        tokens = tokens_of(
            settings.credential,
            settings.found_cloud,
            self._hidden,
            transport=self._transport,
            clock=self._clock,
            reach=self._reach,
        )
        posting = Posting(
            settings.endpoint,
            API,
            self._hidden,
            transport=self._transport,
            clock=self._clock,
            reach=self._reach,
        )
        return Calls(posting, tokens, settings.rule_id, sink=self.name, clock=self._clock)

    def _packed(self, batch: Sequence[Entry]) -> Parcel:
        most = self._most_bytes - 2  # the brackets
        table, raw = self.settings.table, self.settings.include_raw
        rows = (event_row(table, entry, most_bytes=most, include_raw=raw) for entry in batch)
        return Parcel.of(rows, self._most_bytes)

    def _learn(self, batch: Sequence[Entry], parcel: Parcel) -> None:
        """
        Plan the next batch by how much larger rows are than records.
        """
        records = sum(len(entry.raw) for entry in batch)
        rows = sum(map(len, parcel.rows)) + len(parcel.rows)
        self._growth += (max(rows / max(records, 1), LEAST_GROWTH) - self._growth) / 2

    async def _post(self, stream: str, body: Body, offsets: Sequence[int], rows: int) -> None:
        try:
            await self._calls.post(stream, body, offsets=offsets, rows=rows)
        except TooLarge as error:
            if body.rows_bytes <= LEAST_CALL_BYTES:
                raise _too_small(body, error) from None
            self._most_bytes = max(LEAST_CALL_BYTES, body.rows_bytes // 2)
            raise
        # whatever it was, it may be gone
        self._most_bytes = min(LARGEST_CALL_BYTES, self._most_bytes + (self._most_bytes >> 6))

    async def _prove(self) -> None:
        """
        See whether the service takes anything, before a record is held to be at fault.
        """
        await self._probe(self._calls, self.settings.events_stream)

    async def _configuration(self) -> str:
        settings = self.settings
        return (
            f"Events go as {settings.table} to the stream {settings.events_stream} of the rule {settings.rule_id}, with "
            f"tokens of the {settings.found_cloud.name} cloud."
        )

    async def _token(self, calls: Calls) -> str:
        await calls.tokens.get()
        return "A token was given."

    async def _probe(self, calls: Calls, stream: str) -> str:
        try:
            await calls.post(stream, body_of(EMPTY))
        except Refused as error:
            raise ConfigError(
                f"The service refuses even an empty call: {next(iter(error.reasons.values()))}",
                action="Compare endpoint, rule_id and stream with the rule in the Azure portal.",
            ) from None
        except TooLarge as error:
            raise _too_small(body_of(EMPTY), error) from None
        return f"The rule takes rows for the stream {stream}."


def _too_small(body: Body, error: TooLarge) -> Unavailable:
    """
    Say that something on the way takes less than the service does.
    """
    return Unavailable(
        f"Not even {body.rows_bytes:,} bytes are taken: {error.message}",
        action="See whether a proxy between this machine and Azure limits the size of requests.",
    )


async def _stage(name: str, step: Callable[[], Awaitable[str]], posting: Posting) -> Stage:
    started = monotonic()
    state, action = StageState.PASSED, ""
    try:
        message = await step()
    except ConnectorError as error:
        state, message, action = StageState.FAILED, error.message, error.action
    return Stage(name, state, message, action, posting.last_status, round(monotonic() - started, 3))
