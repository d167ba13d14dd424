"""
One POST to a service of Azure, and what its answer means.

What holds for every post beside what ``http_client`` says: it goes to the given address and nowhere else; the whole
call has a time limit, and of the answer a few KiB are read. Whatever comes back ends as a success or as one error of
the program's tree, by the table of the API's causes. A library's exception never passes: its text may repeat what
was sent, so it is replaced, not chained.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from math import ceil
from re import compile as pattern
from time import monotonic, time
from typing import Any
from urllib.parse import urlsplit

import httpx2
from msgspec import DecodeError, Struct
from msgspec.json import decode

from onelogin_connector.azure.causes import STRANGE, TRANSPORT, Api, cause_of
from onelogin_connector.breakage import breakage
from onelogin_connector.cause import error_of
from onelogin_connector.errors import ConnectorError
from onelogin_connector.hiding import Hidden
from onelogin_connector.http_client import ProxyAddressError, http_client, http_date_seconds
from onelogin_connector.reach import Reach
from onelogin_connector.setting import HttpUrl

logger = logging.getLogger(__name__)

MOST_ANSWER_BYTES = 64 << 10  # a success is empty, and enough for any error's text
TOTAL_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3_600.0  # a longer wish is looked at again after an hour
_CODE = pattern(r"[A-Za-z0-9_.-]{1,80}")
_NUMBER = pattern(r"[0-9]{1,30}(\.[0-9]{1,30})?")


class Reply(Struct, frozen=True):
    """
    A success, or what came instead of one.
    """

    status: int
    code: str = ""
    """The error's code; empty where there is none."""
    text: str = ""
    """The error's own words, not cleaned."""
    wait_seconds: float | None = None
    """How long the service wants us to wait; None where it does not say."""
    ahead_seconds: float | None = None
    """By how much our clock is ahead of the service's; None where it does not tell its time."""
    body: bytes = b""
    """As far as it was read."""
    is_page: bool = False
    """Whether it is a web page, as a proxy or a network's sign-in sends with 200, and no API of Azure ever does."""

    def __repr__(self) -> str:
        return f"Reply(status={self.status}, code={self.code!r})"  # the body may hold a token


class Posting:
    """
    Posts to one host over connections that are kept.
    """

    def __init__(
        self,
        origin: HttpUrl,
        api: Api,
        hidden: Hidden,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time,
        total_seconds: float = TOTAL_SECONDS,
        trust_env: bool = True,
        reach: Reach | None = None,
    ) -> None:
        """
        Connect nothing yet.

        Args:
            origin: What every path is put behind.
            hidden: The secrets that no message may show.
            transport: In place of the network, for tests; proxies do not apply then.
            clock: Unix seconds.
            total_seconds: For one post, from connecting to the answer's last byte.
            trust_env: Let the HTTP library read the variables of proxies and certificates; an address of this
                machine is never reached by a proxy.
            reach: Which hosts may be connected to; None for any.
        """
        self.origin, self.api = origin, api
        self.last_status: int | None = None
        """Of the latest post; None if it brought no answer."""
        self._hidden = hidden
        self._transport, self._trust_env, self._reach = transport, trust_env, reach
        self._clock, self._total_seconds = clock, total_seconds
        self._http: httpx2.AsyncClient | None = None

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], *, records: int = 1, about: str = ""
    ) -> Reply:
        """
        Post once, and return the success.

        Args:
            path: With its query, from the slash on.
            records: How many the body holds: so many are named by ``Refused``, since the service does not say which.
            about: What else a message should name, such as the id of the request.

        Raises:
            Unavailable: Nothing that could be read was answered, or the service wants to be asked later. Whether
                the records were accepted is not known where the connection broke.
            Unauthorized: The credential is not accepted, or may not do this.
            ConfigError: A setting is wrong, so that no records would be accepted.
            TooLarge: Nothing was accepted; the body is too long.
            Refused: Nothing was accepted; something in the body is at fault.
        """
        reply = await self.ask(path, body, headers)
        self.refuse(reply, records=records, about=about)
        return reply

    def refuse(self, reply: Reply, *, records: int = 1, about: str = "") -> None:
        """
        Raise the error that an answer amounts to, as ``post`` does; return if it is a success.
        """
        cause = cause_of(self.api, reply.status, reply.code)
        if cause is None and reply.is_page:
            cause = STRANGE
        if cause is None:
            return
        seen = [f"HTTP {reply.status} {self._hidden.clean(reply.code)}".rstrip() + f" from {self.host}"]
        seen += [f"“{self._hidden.clean(reply.text)}”"] if reply.text and self._hidden.quotes else []
        raise error_of(
            cause,
            "; ".join([*seen, about] if about else seen),
            after_seconds=reply.wait_seconds,
            records=records,
        )

    async def ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """
        Post once, and return whatever was answered.

        Raises:
            Unavailable: Nothing that could be read was answered.
        """
        self.last_status = None
        started = monotonic()
        try:
            request = self._client().build_request(
                "POST", f"{self.origin}{path}", headers=dict(headers), content=body
            )
            async with asyncio.timeout(self._total_seconds):
                answer = await self._client().send(request, stream=True, follow_redirects=False)
                try:
                    self.last_status = answer.status_code
                    return await self._read(answer)
                finally:
                    await answer.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
            raise self._failure(error, monotonic() - started) from None

    async def close(self) -> None:
        """
        Close the connections; the next post opens new ones.
        """
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    @property
    def host(self) -> str:
        """
        Name of the host, for messages.
        """
        return urlsplit(self.origin).netloc

    def _client(self) -> httpx2.AsyncClient:
        """
        Make the client at the first post: it belongs to the event loop in which it is used.
        """
        if self._http is None:
            try:
                self._http = http_client(
                    self.origin,
                    transport=self._transport,
                    trust_env=self._trust_env,
                    reach=self._reach,
                    connections=4,
                    packing="identity",
                )
            except ProxyAddressError:
                raise error_of(TRANSPORT["proxy-address"], "") from None
        return self._http

    async def _body(self, answer: httpx2.Response) -> bytes:
        """
        Read as much of an answer's body as says what it is about.
        """
        parts: list[bytes] = []
        # what is packed although that was not asked for is not unpacked: it could become any size
        if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
            return b""
        try:
            async for part in answer.aiter_bytes():
                parts.append(part)
                if sum(map(len, parts)) > MOST_ANSWER_BYTES:
                    break
        except httpx2.HTTPError:
            # a status of success has said that all was accepted; to send it again would double it
            if answer.status_code not in self.api.accepted:
                raise
        return b"".join(parts)

    async def _read(self, answer: httpx2.Response) -> Reply:
        body = await self._body(answer)
        code, text = said(body)
        now = self._clock()
        date = http_date_seconds(answer.headers.get("date", ""))
        return Reply(
            status=answer.status_code,
            code=code,
            text=text,
            body=body,
            wait_seconds=wait_seconds(answer.headers.get("retry-after", ""), now if date is None else date),
            ahead_seconds=None if date is None else now - date,
            is_page=body.lstrip()[:1] == b"<" or "html" in answer.headers.get("content-type", "").lower(),
        )

    def _failure(self, error: Exception, seconds: float) -> ConnectorError:
        """
        Say in our words why there is no answer.
        """
        found = breakage(error, seconds)
        return error_of(TRANSPORT[found.kind], found.at(self.host))


class _Said(Struct):
    error: Any = None
    code: Any = None
    message: Any = None
    Error: Any = None
    Message: Any = None


def said(body: bytes) -> tuple[str, str]:
    """
    Read an error's code and words: ``{"error": {"code", "message"}}``, or ``{"Error", "Message"}``.
    """
    try:
        outer = decode(body, type=_Said)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    inner = outer.error if isinstance(outer.error, dict) else {}
    codes = (inner.get("code"), outer.Error, outer.code, outer.error)
    texts = (inner.get("message"), outer.Message, outer.message)
    code = next((each for each in codes if isinstance(each, str) and _CODE.fullmatch(each)), "")
    return code, next((each for each in texts if isinstance(each, str) and each), "")


def wait_seconds(text: str, now: float) -> float | None:
    """
    Read ``Retry-After``, in seconds or as a date; at most an hour, None if it says nothing.

    Args:
        now: Unix seconds; the service's own where it told its time.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return min(float(text), LONGEST_WAIT_SECONDS)
    moment = http_date_seconds(text)
    return None if moment is None else min(max(0.0, float(ceil(moment - now))), LONGEST_WAIT_SECONDS)
