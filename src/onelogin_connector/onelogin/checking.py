"""
The check of an account: five stages, in the order in which things can go wrong.

``configuration`` looks at what was entered, ``network`` for any answer at all, ``authentication`` for a token,
``permission`` whether events may be read, ``fetch logs`` at a page of them. The first that fails says why and what
to do; those behind it are skipped. It takes three to five calls of the account's allowance.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import monotonic

from msgspec import DecodeError
from msgspec.json import decode

from onelogin_connector.errors import BadRecord, ConnectorError
from onelogin_connector.event import Way, read
from onelogin_connector.loose import parse_time_us
from onelogin_connector.onelogin.causes import trouble
from onelogin_connector.onelogin.pages import EVENTS, Page, events_page, events_query
from onelogin_connector.onelogin.session import Session
from onelogin_connector.onelogin.wire import Reply
from onelogin_connector.status import Stage, StageState, Tell, silent

RATE_LIMIT = "/auth/rate_limit"
LOOK_BACK = (("10 minutes", 600), ("hour", 3_600), ("24 hours", 86_400))
"""How far back events are looked for, in seconds: a page has the oldest first, so a short look shows newer ones."""
AHEAD_SECONDS = 60  # the clocks may differ a little
SKEW_SECONDS = 60.0  # a clock that differs by more is worth a sentence


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
        self._ahead_seconds = 0.0
        self._replies: list[Reply] = []

    async def stages(self, tell: Tell = silent) -> list[Stage]:
        """
        Run the stages until one fails.

        Args:
            tell: Called with each stage as soon as it is done.
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
                stage = Stage(name, StageState.SKIPPED, f"Not tried, because {failed} failed.")
            else:
                stage = await self._stage(name, step)
            if stage.state is StageState.FAILED:
                failed = name
            tell(stage)
            done.append(stage)
        return done

    async def _stage(self, name: str, step: Callable[[], Awaitable[str]]) -> Stage:
        started = monotonic()
        wire = self._session.wire
        wire.last_status = (
            None if name != "fetch logs" else wire.last_status
        )  # it reads what the one before got
        state, action, code = StageState.PASSED, "", ""
        try:
            message = await step()
        except ConnectorError as error:
            state, message, action, code = StageState.FAILED, error.message, error.action, error.code
        # any status at all shows that the way is open, and a 401 that went well would only puzzle
        status = None if name == "network" and state is StageState.PASSED else wire.last_status
        return Stage(name, state, message, action, status, round(monotonic() - started, 3), code)

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
        if reply.date_us is not None:
            self._ahead_seconds = self._clock() - reply.date_us / 1_000_000
        return "The host answers." + self._skew()

    async def _authentication(self) -> str:
        token = self._session.token
        await token.get()
        account = (
            f"account {token.account_id}" if token.account_id is not None else "an account without a number"
        )
        minutes = max(0, int(token.ends - self._clock())) // 60
        return f"Signed in to {account}; the token can be used for {minutes // 60} h {minutes % 60} min."

    async def _permission(self) -> str:
        self._replies = [await self._ask(LOOK_BACK[0][1])]
        left = self._session.wire.budget.remaining
        return "Events may be read." + (
            f" The account has {left} API calls left." if left is not None else ""
        )

    async def _ask(self, seconds: int) -> Reply:
        """
        Ask for a page of the latest events, as the poller does.
        """
        now_us = int((self._clock() - self._ahead_seconds) * 1_000_000)
        query = events_query(now_us - seconds * 1_000_000, now_us + AHEAD_SECONDS * 1_000_000)
        return await self._session.get(EVENTS, query)

    async def _fetch_logs(self) -> str:
        """
        Read the latest events; the first page of them is there already.
        """
        for back, seconds in LOOK_BACK:
            page = events_page(
                self._replies.pop() if self._replies else await self._ask(seconds),
                self._session.wire.hidden,
                None,
            )
            if page.records:
                _read_all(page, quotes=self._session.wire.hidden.quotes)
                return _seen(page, back)
        return f"No events in the last {back}; everything works, and new ones will be fetched."

    def _skew(self) -> str:
        if abs(self._ahead_seconds) < SKEW_SECONDS:
            return ""
        side = "ahead of" if self._ahead_seconds > 0 else "behind"
        seconds = abs(self._ahead_seconds)
        return f" This machine's clock is {seconds:.0f} seconds {side} OneLogin's; set it by NTP."


def _seen(page: Page, back: str) -> str:
    """
    Say how many events there are, and the time of the newest.
    """
    more = " or more" if page.cursor else ""
    what = "event" if len(page.records) == 1 and not more else "events"
    times = [time for raw in page.records if (time := _created_us(raw)) is not None]
    newest = f", the newest seen of {_shown(max(times))}" if times else ""
    return f"{len(page.records)}{more} {what} in the last {back}{newest}."


def _read_all(page: Page, *, quotes: bool) -> None:
    """
    Read every record as the intake will.

    Args:
        quotes: Say why the first cannot be read, which may repeat a piece of it.

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
        why = f": {reasons[0]}" if quotes else ""
        raise trouble("records", f"{len(reasons)} of {len(page.records)}{why}")


def _created_us(raw: bytes) -> int | None:
    try:
        return parse_time_us(decode(raw).get("created_at"))
    except (DecodeError, RecursionError, AttributeError):
        return None


def _shown(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
