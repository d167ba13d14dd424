"""
Telling others of alarms: each raise once and each clearing once, by a webhook.

Who raises an alarm only puts a notice into a line; a loop of its own sends, in order, and tries again with growing
waits until the receiver takes it. What the receiver was told is kept, so that a restart repeats nothing, and an alarm
that ended while the program was down is taken back. That it may have been told is kept before it is sent: one whose answer
was cut off is told again if it stands, and taken back if not.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpx2
from msgspec.json import encode

from onelogin_connector import __version__
from onelogin_connector.config import AlarmOptions
from onelogin_connector.errors import ConfigError, ConnectorError, Unavailable
from onelogin_connector.moments import text_of
from onelogin_connector.reach import NotPublicError, Reach
from onelogin_connector.retry import backoff_seconds
from onelogin_connector.service.alarms import Alarm, Alarms
from onelogin_connector.setting import is_loopback
from onelogin_connector.state import History

logger = logging.getLogger(__name__)

OWN = "notices"
"""The alarm about notices themselves; nobody is told of it this way."""

SEND_SECONDS = 15.0
IDLE_SECONDS = 1.0
LONGEST_REST_SECONDS = 900.0
ATTEMPTS_BEFORE_ALARM = 5
GRACE_SECONDS = 120.0
"""After a start: an alarm that has not come again by then is over."""

MOST_WAITING = 1_000
LONGEST_TEXT = 1_000  # characters of one field; causes may hold whole pages
ACTIONS = {"raised": "notice_raised", "cleared": "notice_cleared", "test": "notice_tested"}


class Notice(NamedTuple):
    """
    What is told of one alarm.
    """

    event: str
    """``raised``, ``cleared`` or ``test``."""
    alarm: Alarm
    at: float
    """Unix seconds."""


class Notices:
    """
    The one who tells the receiver.
    """

    def __init__(
        self,
        options: AlarmOptions,
        history: History,
        alarms: Alarms,
        *,
        reach: Reach,
        console_url: str,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        """
        Begin to listen, if there is a receiver.

        Args:
            reach: Which hosts may be told.
            console_url: Where people find the console; empty where nobody said.
            send_seconds: How long the receiver may take for its answer.
        """
        self._options, self._history, self._alarms, self._reach = options, history, alarms, reach
        self._console_url, self._clock, self._sleep = console_url, clock, sleep
        self._send_seconds = send_seconds
        self._waiting: deque[Notice] = deque(maxlen=MOST_WAITING)
        self._told: dict[str, dict[str, Any]] = {}
        self._perhaps_told: dict[str, dict[str, Any]] = {}
        self._client: httpx2.AsyncClient | None = None
        self._began = clock()
        self._reconciled = False
        self.last_error = ""
        """Why the latest notice was not taken; empty when it was."""
        self.last_sent: float | None = None
        """Unix seconds of the latest notice that was taken."""
        if options.webhook is not None:
            for name, told in history.told_alarms().items():
                (self._told if told.get("taken", True) else self._perhaps_told)[name] = told
            alarms.listen(self.heard)

    @property
    def is_on(self) -> bool:
        """
        Whether there is somebody to tell.
        """
        return self._options.webhook is not None

    @property
    def host(self) -> str:
        """
        The receiver's host; the rest of its address is a secret.
        """
        secret = self._options.webhook
        return (urlsplit(secret.reveal()).hostname or "") if secret else ""

    def heard(self, alarm: Alarm, stands: bool) -> None:  # noqa: FBT001 - the listener's protocol
        """
        Take down that an alarm was raised or cleared.
        """
        if alarm.name == OWN:
            return
        known = self._believed(alarm.name)
        if known != stands:
            self._waiting.append(Notice("raised" if stands else "cleared", alarm, self._clock()))

    def _believed(self, name: str) -> bool:
        """
        Tell whether the receiver, once it has taken what waits, believes that an alarm stands.
        """
        for notice in reversed(self._waiting.copy()):
            if notice.alarm.name == name:
                return notice.event == "raised"
        return name in self._told

    async def run(self) -> None:
        """
        Send what waits, until cancelled.
        """
        if not self.is_on:
            return
        failures = 0
        try:
            while True:
                self._reconcile()
                if not self._waiting:
                    await self._sleep(IDLE_SECONDS)
                    continue
                try:
                    await self._tell(self._waiting[0])
                except ConnectorError as error:
                    failures += 1
                    await self._failed(error, failures)
                else:
                    failures = 0
                    self.last_error = ""
                    self._alarms.clear(OWN)
        finally:
            await self.close()

    def _reconcile(self) -> None:
        """
        Take back what was told by a former run and is not so any more.
        """
        if self._reconciled or self._clock() - self._began < GRACE_SECONDS:
            return
        self._reconciled = True
        standing = {alarm.name for alarm in self._alarms.standing()}
        for name, told in (self._perhaps_told | self._told).items():
            if name not in standing and (self._believed(name) or name in self._perhaps_told):
                alarm = Alarm(told["since"], told["message"], told["action"], name, told["severity"])
                self._waiting.append(Notice("cleared", alarm, self._clock()))

    async def _tell(self, notice: Notice) -> None:
        name, alarm = notice.alarm.name, notice.alarm
        told = None
        if notice.event == "raised":
            told = {
                "since": alarm.since,
                "message": alarm.message,
                "action": alarm.action,
                "severity": alarm.severity,
            }
            if name not in self._perhaps_told:
                self._perhaps_told[name] = told
                await self._note(name, told | {"taken": False})
        await self._send(notice)
        self._perhaps_told.pop(name, None)
        if told is None:
            self._told.pop(name, None)
        else:
            self._told[name] = told
        if self._waiting and self._waiting[0] is notice:
            self._waiting.popleft()
        await self._note(name, told)

    async def _note(self, name: str, told: dict[str, Any] | None) -> None:
        try:
            await asyncio.to_thread(self._history.tell_alarm, name, told)
        except ConnectorError as error:  # only a restart might tell it again
            logger.warning("A notice was not noted: %s", error, extra={"action": "notice_not_noted"})

    async def _failed(self, error: ConnectorError, failures: int) -> None:
        self.last_error = str(error)
        logger.warning("A notice was not taken: %s", error, extra={"action": "notice_failed"})
        if failures >= ATTEMPTS_BEFORE_ALARM:
            self._alarms.raise_(
                OWN,
                f"Alarms cannot be sent to {self.host}: {error.message}",
                error.action,
                severity="warning",
            )
        asked = error.after_seconds if isinstance(error, Unavailable) else None
        most = min(asked, LONGEST_REST_SECONDS) if asked is not None else None
        await self._sleep(backoff_seconds(failures, asked_seconds=most))

    async def try_out(self) -> None:
        """
        Send a notice that is none, to see whether it is taken.

        Raises:
            ConfigError: There is no receiver, or its address cannot be used.
            Unavailable: It did not take it.
        """
        now = self._clock()
        alarm = Alarm(now, "This is a test: nothing is wrong.", "Nothing has to be done.", "test", "warning")
        await self._send(Notice("test", alarm, now))
        self.last_error = ""

    async def _send(self, notice: Notice) -> None:
        address = self._address()
        headers = {"content-type": "application/json"}
        if self._options.token is not None:
            headers["authorization"] = f"Bearer {self._options.token.reveal()}"
        content = encode(
            slack(notice, self._console_url)
            if self._options.format == "slack"
            else generic(notice, self._console_url)
        )
        if self._client is None:
            self._client = self._connected()
        try:
            async with asyncio.timeout(self._send_seconds):
                answer = await self._client.post(address.geturl(), content=content, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
            raise _trouble(error, self.host) from None  # the library's text may hold the address
        if not answer.is_success:
            raise Unavailable(
                f"{self.host} answered {answer.status_code}.",
                action="Compare the address with what the receiver shows; redirects are not followed.",
                after_seconds=_retry_after(answer),
            )
        self.last_sent = self._clock()
        logger.info("A notice was sent: %s", notice.alarm.name, extra={"action": ACTIONS[notice.event]})

    def _address(self) -> SplitResult:
        """
        Return the receiver's address.

        Raises:
            ConfigError: There is none, or it is none that may be used.
        """
        secret = self._options.webhook
        if secret is None:
            raise ConfigError("No receiver of alarms is set.", action="Set webhook under [alarms].")
        try:
            parts = urlsplit(secret.reveal().strip())
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            parts, host = urlsplit(""), ""
        plain = parts.scheme == "http" and is_loopback(host)
        if not host or parts.username or not (parts.scheme == "https" or plain):
            raise ConfigError(
                "The receiver of alarms has no address that can be used.",
                action="It starts with https:// and names a host; plain http is for this machine alone.",
            )
        return parts

    def _connected(self) -> httpx2.AsyncClient:
        # proxies are for the parts that the file names; this one answers to the rule about private hosts
        verify: SSLContext = httpx2.create_ssl_context()
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=0)
        return httpx2.AsyncClient(
            transport=self._reach.transport(verify=verify, limits=limits),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # each call as a whole has a limit; the library's own five seconds would come before it
            headers={"user-agent": f"onelogin-connector/{__version__}"},
        )

    async def close(self) -> None:
        """
        Close the connection.
        """
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def generic(notice: Notice, console_url: str) -> dict[str, Any]:
    """
    Return a notice with every field.
    """
    alarm = notice.alarm
    return {
        "product": "OneLogin Connector",
        "event": notice.event,
        "alarm": alarm.name,
        "severity": alarm.severity,
        "message": alarm.message[:LONGEST_TEXT],
        "action": alarm.action[:LONGEST_TEXT],
        "since": text_of(alarm.since),
        "at": text_of(notice.at),
        "url": f"{console_url}{alarm.link}" if console_url else None,
    }


def slack(notice: Notice, console_url: str) -> dict[str, Any]:
    """
    Return a notice as Slack shows it: texts escaped, so that they mention nobody and link nowhere.
    """
    alarm = notice.alarm
    head = {"raised": ":rotating_light: *Alarm*", "cleared": ":white_check_mark: *Over*", "test": "*Test*"}
    lines = [f"{head[notice.event]}: {_escaped(alarm.message)}"]
    if notice.event == "raised":
        lines.append(_escaped(alarm.action))
    lines.append(f"OneLogin Connector · since {text_of(alarm.since)}")
    if console_url:
        lines[-1] += f" · <{console_url}{alarm.link}|Open the console>"
    return {"text": "\n".join(lines)}


def _escaped(text: str) -> str:
    shown = "".join(each for each in text[:LONGEST_TEXT] if each.isprintable())
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _retry_after(answer: httpx2.Response) -> float | None:
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 7 else None


def _trouble(error: BaseException, host: str) -> ConnectorError:
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, NotPublicError):
            return ConfigError(
                f"{host} lies in a private network, so no alarm is sent there.",
                action="List it under [web] allow_private_hosts if it is meant.",
            )
        found = found.__cause__ or found.__context__
    what = (
        "did not answer in time"
        if isinstance(error, httpx2.TimeoutException | TimeoutError)
        else "cannot be reached"
    )
    return Unavailable(
        f"{host} {what} ({type(error).__name__}).", action="Check the network from this machine to it."
    )
