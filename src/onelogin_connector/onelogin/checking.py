"""
The check of an account: five stages, in the order in which things can go wrong.

``configuration`` looks at what was entered, ``network`` for any answer at all, ``authentication`` for a token,
``permission`` whether events may be read, ``fetch logs`` at a page of them. The first that fails says why and what
to do; those behind it are skipped. It takes three calls of the account's allowance.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import monotonic

from msgspec import DecodeError
from msgspec.json import decode

from onelogin_connector.errors import BadRecord, ConnectorError, Unavailable
from onelogin_connector.event import Way, parse_time_us, read
from onelogin_connector.onelogin.causes import trouble
from onelogin_connector.onelogin.pages import Page, events_page
from onelogin_connector.onelogin.session import Session
from onelogin_connector.onelogin.wire import Reply
from onelogin_connector.status import Stage, StageState

EVENTS = "/api/1/events"
RATE_LIMIT = "/auth/rate_limit"
LOOK_BACK_SECONDS = 86_400
SKEW_SECONDS = 60.0  # a clock that differs by more is worth a sentence
PAGE = 50


class Checking:
    """
    One run of the check.
    """

    def __init__(self, session: Session, *, clock: Callable[[], float]) -> None:
        """
        Get ready.

        Args:
            session: Used by this run alone, so that nothing remembered hides what is wrong now.
        """
        self._session = session
        self._clock = clock
        self._reply: Reply | None = None

    async def stages(self) -> list[Stage]:
        """
        Run the stages until one fails.
        """
        steps: tuple[tuple[str, Callable[[], Awaitable[str]]], ...] = (
            ("configuration", self._configuration),
            ("network", self._network),
            ("authentication", self._authentication),
            ("permission", self._permission),
            ("fetch logs", self._fetch_logs),
        )
        done: list[Stage] = []
        failed = ""
        for name, step in steps:
            if failed:
                done.append(Stage(name, StageState.SKIPPED, f"Not tried, because {failed} failed."))
                continue
            stage = await self._stage(name, step)
            failed = name if stage.state is StageState.FAILED else ""
            done.append(stage)
        return done

    async def _stage(self, name: str, step: Callable[[], Awaitable[str]]) -> Stage:
        started = monotonic()
        wire = self._session.wire
        wire.last_status = (
            None if name != "fetch logs" else wire.last_status
        )  # it reads what the one before got
        state, action = StageState.PASSED, ""
        try:
            message = await step()
        except ConnectorError as error:
            state, message, action = StageState.FAILED, error.message, error.action
        # any status at all shows that the way is open, and a 401 that went well would only puzzle
        status = None if name == "network" and state is StageState.PASSED else wire.last_status
        return Stage(name, state, message, action, status, round(monotonic() - started, 3))

    async def _configuration(self) -> str:
        self._session.token.check_form()
        return f"The API is {self._session.wire.api_url}; client id and secret are there."

    async def _network(self) -> str:
        """
        Ask without a credential: whatever is answered, the way there is open.
        """
        reply = await self._session.wire.ask("GET", RATE_LIMIT)
        if reply.status == 407:
            raise trouble("proxy", f"HTTP 407 from {reply.call}")
        return "The host answers." + self._skew(reply.date_us)

    async def _authentication(self) -> str:
        token = self._session.token
        await token.get()
        account = (
            f"account {token.account_id}" if token.account_id is not None else "an account without a number"
        )
        minutes = max(0, int(token.ends - self._clock())) // 60
        return f"Signed in to {account}; the token can be used for {minutes // 60} h {minutes % 60} min."

    async def _permission(self) -> str:
        since = datetime.fromtimestamp(int(self._clock()) - LOOK_BACK_SECONDS, UTC)
        query = {"since": f"{since:%Y-%m-%dT%H:%M:%S}.000Z", "limit": str(PAGE), "sort": "-created_at"}
        self._reply = await self._session.get(EVENTS, query)
        left = self._session.wire.budget.remaining
        return "Events may be read." + (
            f" The account has {left} API calls left." if left is not None else ""
        )

    async def _fetch_logs(self) -> str:
        if self._reply is None:
            raise Unavailable
        page = events_page(self._reply, self._session.wire.hidden, None)
        if not page.records:
            return "No events in the last 24 hours; everything works, and new ones will be fetched."
        _read_all(page)
        times = [time for raw in page.records if (time := _created_us(raw)) is not None]
        newest = f", the newest of {_shown(max(times))}" if times else ""
        more = " or more" if page.cursor else ""
        plural = "" if len(page.records) == 1 and not more else "s"
        return f"{len(page.records)}{more} event{plural} in the last 24 hours{newest}."

    def _skew(self, date_us: int | None) -> str:
        ahead = 0.0 if date_us is None else self._clock() - date_us / 1_000_000
        if abs(ahead) < SKEW_SECONDS:
            return ""
        side = "ahead of" if ahead > 0 else "behind"
        return f" This machine's clock is {abs(ahead):.0f} seconds {side} OneLogin's; set it by NTP."


def _read_all(page: Page) -> None:
    """
    Read every record as the intake will.

    Raises:
        ConnectorError: Some cannot be read; says how many, and why the first.
    """
    reasons = []
    for raw in page.records:
        try:
            read(raw, connector="check", way=Way.POLL, received_us=2**50)
        except BadRecord as error:
            reasons.append(error.message)
    if reasons:
        raise trouble("records", f"{len(reasons)} of {len(page.records)}: {reasons[0]}")


def _created_us(raw: bytes) -> int | None:
    try:
        return parse_time_us(decode(raw).get("created_at"))
    except (DecodeError, RecursionError, AttributeError):
        return None


def _shown(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
