"""
Microsoft Sentinel by the HTTP Data Collector API, the older way, for workspaces that still use it.

Microsoft ended its support in September 2026; it goes on taking data over TLS 1.2 and later. New deployments
belong on ``logs_ingestion``. This kind is for a drop-in exchange of Microsoft's function: the same table with
the same columns, by the workspace's id and key.

At least once: the API has no idempotency key, so an answer that was lost on the way means rows twice. One post holds
up to 1,000 events and far less than the 30 MB that the service takes, uncompressed, since it takes nothing else.
What became of a batch is what ``azure.data_collector`` says of the answer.
"""

from asyncio import to_thread
from collections.abc import Callable, Mapping, Sequence
from re import IGNORECASE, fullmatch
from time import monotonic, time
from typing import Annotated, ClassVar, Self

from httpx2 import AsyncBaseTransport
from msgspec import Struct
from msgspec.json import encode

from onelogin_connector.azure.clouds import CLOUDS, CloudName, quotable
from onelogin_connector.azure.data_collector import API, CREDENTIAL_CODES, TARGET
from onelogin_connector.azure.options import IncludeBackfill
from onelogin_connector.azure.posting import Posting, Reply
from onelogin_connector.azure.settling import settle
from onelogin_connector.azure.signature import PATH, SharedKey, decoded_key
from onelogin_connector.errors import ConfigError, ConnectorError, Refused, TooLarge, Unavailable
from onelogin_connector.event import Entry
from onelogin_connector.formats import collector_record, fields
from onelogin_connector.hiding import Hidden
from onelogin_connector.reach import Reach
from onelogin_connector.setting import HttpUrl, Secret, about
from onelogin_connector.sinks.base import Limits, Stage, StageState, Tell, silent

SUPERSEDED_BY = "logs_ingestion"
"""The kind that new deployments should use."""

MOST_BODY_BYTES = 24 << 20  # 30 MB are taken, by one page of the documentation 32
SURELY_TAKEN_BYTES = 1 << 20  # a 404 for less than this is a wrong address, never a size
LEAST_BODY_BYTES = 65_536
"""What a proxy on the way may lower the limit to, before that is an error of its own."""
SKEW_SECONDS = 60.0  # a clock that differs by more is worth a sentence
SEE_PROXY = "See whether a proxy between this machine and Azure limits or changes requests."
EMPTY = b"[]"


class WorkspaceId(str):
    """
    The id of a Log Analytics workspace, a GUID.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """
        Check an id.

        Raises:
            ValueError: It is no GUID.
        """
        if not fullmatch(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text.strip(), IGNORECASE):
            raise ValueError("expected a workspace id such as 00000000-0000-0000-0000-000000000000")
        return super().__new__(cls, text.strip())


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Settings of a Data Collector sink.
    """

    workspace_id: Annotated[
        WorkspaceId,
        about(
            "Id of the Log Analytics workspace, from its overview in the Azure portal.",
            example="00000000-0000-0000-0000-000000000000",
            binds=True,
        ),
    ]
    workspace_key: Annotated[
        Secret,
        about(
            "Primary or secondary key of that workspace. It allows writing into any custom table of it.",
            example={"env": "WORKSPACE_KEY"},
        ),
    ]
    log_type: Annotated[
        str,
        about(
            "Name of the table without `_CL`, which the service appends. Microsoft's parsers read `OneLogin`.",
            example="OneLogin",
            pattern=r"^[A-Za-z0-9_]{1,100}$",
        ),
    ] = "OneLogin"
    cloud: Annotated[
        CloudName,
        about("The cloud that the workspace is in; it makes the address.", example="government", binds=True),
    ] = "public"
    endpoint: Annotated[
        HttpUrl | None,
        about(
            "Address in place of the one made from workspace_id and cloud, such as a simulator's; plain http on "
            "this machine alone.",
            example="http://127.0.0.1:9002",
        ),
    ] = None
    resource_id: Annotated[
        str,
        about(
            "Azure resource that the rows belong to: it fills `_ResourceId`, so that access can be given by resource.",
            example="/subscriptions/ID/resourceGroups/siem/providers/Microsoft.HybridCompute/machines/collector",
            pattern=r"^(/[!-~]{1,1000})?$",
        ),
    ] = ""
    include_backfill: IncludeBackfill = False
    seed_columns: Annotated[
        bool,
        about(
            "Before the first event of each start send one record that is none, with a value in every column that "
            "Microsoft's parsers need (`event_type_id_d == 0`, and `notes_s` says so). For a new table: its columns "
            "appear only as values come, and until then these parsers fail. Turn it off again once it was sent.",
            example=True,
        ),
    ] = False

    def __post_init__(self) -> None:
        if self.log_type.endswith("_CL"):
            raise ValueError("log_type: leave out _CL, the service appends it")
        try:
            decoded_key(self.workspace_key.reveal())
        except ValueError as error:
            raise ValueError(f"workspace_key: {error}") from None

    @property
    def origin(self) -> HttpUrl:
        """
        The address without the API's path.
        """
        if self.endpoint is not None:
            return HttpUrl(self.endpoint.removesuffix(PATH))
        return HttpUrl(f"https://{self.workspace_id}.{CLOUDS[self.cloud].data_collector_suffix}")


class DataCollector:
    """
    Posts events into one table of one workspace.
    """

    kind: ClassVar[str] = "data_collector"
    wants_twins: ClassVar[bool] = False
    stages: ClassVar[tuple[str, ...]] = ("configuration", "network", "authentication", "table")
    limits = Limits(records=1_000, size_bytes=4 << 20)

    def __init__(
        self,
        settings: Settings,
        *,
        name: str = "legacy",
        clock: Callable[[], float] = time,
        transport: AsyncBaseTransport | None = None,
        trust_env: bool = True,
        reach: Reach | None = None,
    ) -> None:
        """
        Connect nothing yet.

        Args:
            name: The sink's, for messages.
            clock: Unix seconds.
            transport: In place of the network, for tests.
            trust_env, reach: As for ``Posting``.
        """
        self.settings, self.name = settings, name
        self._clock = clock
        self._key = SharedKey(settings.workspace_id, settings.workspace_key)
        self._posting = Posting(
            settings.origin,
            API,
            Hidden(settings.workspace_key.reveal(), quotes=quotable(settings.origin, reach)),
            transport=transport,
            clock=clock,
            trust_env=trust_env,
            reach=reach,
        )
        self._is_seeded = not settings.seed_columns

    async def open(self) -> int | None:
        """
        Do nothing: the journal's checkpoint says how far this sink is.
        """
        return None

    async def send(self, batch: Sequence[Entry]) -> None:
        """
        Post a batch, in one call unless a record of it is refused.

        Raises:
            Partly, Refused: The first records are settled, or all; one of them may have been refused.
            Unavailable, Unauthorized, ConfigError: Nothing was accepted, as far as is known.
        """
        await self._seed()
        records = await to_thread(_encoded, batch)

        async def post(first: int, end: int) -> None:
            body = b"[%b]" % b",".join(records[first:end])
            if len(body) > MOST_BODY_BYTES:
                raise TooLarge(f"The records have {len(body)} bytes, one post at most {MOST_BODY_BYTES}.")
            await self._post(body, end - first)

        if records:
            await settle(len(records), post, prove=self._prove)

    async def check(self, tell: Tell = silent) -> list[Stage]:
        """
        Post an empty array, signed as events are: it stores nothing, and shows every refusal but those of records.
        """
        stages = [self._configuration()]
        tell(stages[0])
        if stages[0].state is StageState.PASSED:
            stages += await self._probed()
        failed = [stage.stage for stage in stages if stage.state is StageState.FAILED]
        for name in self.stages[len(stages) :]:
            stages.append(Stage(name, StageState.SKIPPED, f"Not tried, because {failed[0]} failed."))
        for stage in stages[1:]:  # one answer tells all of them
            tell(stage)
        return stages

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self._posting.close()

    async def _seed(self) -> None:
        if self._is_seeded:
            return
        record = collector_record.seed(time_us=int(self._clock() * 1_000_000))
        try:
            await self._post(encode([record]), 1)
        except Refused as error:
            raise ConfigError(
                f"The record that makes the columns was refused: {next(iter(error.reasons.values()))}",
                action="Turn seed_columns off; if the table is new, report this.",
            ) from None
        self._is_seeded = True

    async def _post(self, body: bytes, records: int) -> Reply:
        try:
            return await self._posting.post(TARGET, body, self._headers(body), records=records)
        except ConfigError as error:
            # "not found" is also how this service says "too large"; half of it will tell
            if self._posting.last_status == 404 and records > 1 and len(body) > SURELY_TAKEN_BYTES:
                raise TooLarge(error.message) from None
            raise
        except TooLarge as error:
            # the service takes this much, so something on the way there does not, and no record is at fault
            if len(body) <= LEAST_BODY_BYTES:
                raise Unavailable(
                    f"Not even {len(body):,} bytes are taken: {error.message}",
                    action=SEE_PROXY,
                ) from None
            raise

    def _headers(self, body: bytes) -> Mapping[str, str]:
        resource = {"x-ms-azureresourceid": self.settings.resource_id} if self.settings.resource_id else {}
        return {
            **self._key.headers(body, at=self._clock()),
            "log-type": self.settings.log_type,
            "time-generated-field": collector_record.TIME_FIELD,
            **resource,
        }

    def _configuration(self) -> Stage:
        host = self._posting.host.lower()
        own = self.settings.workspace_id.lower()
        other = fullmatch(r"([0-9a-f-]{36})\.ods\..*", host)
        if other and other[1] != own:
            return Stage(
                "configuration",
                StageState.FAILED,
                f"The endpoint belongs to the workspace {other[1]}, workspace_id says {own}.",
                "Correct endpoint, or leave it out: it is made from workspace_id and cloud.",
            )
        table = f"Events go to the table {self.settings.log_type}_CL by {host}."
        return Stage("configuration", StageState.PASSED, table)

    async def _prove(self) -> None:
        """
        Make sure that a record is at fault: where an empty array is refused for no reason of its own, it is not.
        """
        _, trouble = await self._probe()
        if trouble is not None:
            raise trouble

    async def _probe(self) -> tuple[Reply, ConnectorError | None]:
        """
        Post an empty array, signed as events are. It stores nothing.

        Raises:
            Unavailable: Nothing that could be read was answered.
        """
        reply = await self._posting.ask(TARGET, EMPTY, self._headers(EMPTY))
        if reply.status == 400 and reply.code == "InvalidDataFormat":
            # whether an array without records is taken is not documented; all else was in order
            return reply, None
        try:
            self._posting.refuse(reply)
        except Refused as error:
            why = f"The service refuses even an array without records: {error.reasons[0]}"
            return reply, ConfigError(why, action=SEE_PROXY)
        except ConnectorError as error:
            return reply, error
        return reply, None

    async def _probed(self) -> list[Stage]:
        """
        Say how far the probe came, in stages from the network on.
        """
        started = monotonic()
        try:
            reply, trouble = await self._probe()
        except ConnectorError as error:
            return [_failed("network", error, None, started)]
        passed = {
            "network": f"The host answers.{_skew(reply)}",
            "authentication": "The workspace accepts the key.",
            "table": f"Records for {self.settings.log_type}_CL are taken.",
        }
        stages = []
        for name, message in passed.items():
            if trouble is not None and name == _stage_of(reply):
                stages.append(_failed(name, trouble, reply, started))
                break
            stages.append(Stage(name, StageState.PASSED, message, "", reply.status, _seconds(started)))
        return stages


def _failed(name: str, error: ConnectorError, reply: Reply | None, started: float) -> Stage:
    message = error.message + (_skew(reply) if reply else "")
    status = reply.status if reply else None
    return Stage(name, StageState.FAILED, message, error.action, status, _seconds(started))


def _seconds(started: float) -> float:
    return round(monotonic() - started, 3)


def _stage_of(reply: Reply) -> str:
    """
    Return the stage at which an answer that is no success stops.
    """
    if reply.status in {401, 403} or reply.code in CREDENTIAL_CODES:
        return "authentication"
    return "table" if reply.status == 400 else "network"


def _skew(reply: Reply) -> str:
    ahead = reply.ahead_seconds
    if ahead is None or abs(ahead) < SKEW_SECONDS:
        return ""
    side = "ahead of" if ahead > 0 else "behind"
    return f" This machine's clock is {abs(ahead):.0f} seconds {side} Azure's, and a signature holds its time: set it by NTP."


def _encoded(batch: Sequence[Entry]) -> list[bytes]:
    return [
        encode(collector_record.record(fields.read(entry.raw), native=entry.native, time_us=entry.time_us))
        for entry in batch
    ]
