"""
One call to OneLogin: send a request, and bring back whatever came, as a reply or as an error of ours.

What holds for every call beside what ``http_client`` says: it goes to the configured host and nowhere else; the
whole call has a time limit, and the reply's body a size limit, after unpacking too. A library's exception never
passes: its text may repeat what the other side sent, so it is replaced, not chained.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from re import fullmatch
from time import monotonic
from urllib.parse import quote as quoted
from urllib.parse import urlencode, urlsplit

import httpx2
from msgspec import Struct

from onelogin_connector.breakage import breakage
from onelogin_connector.errors import ConnectorError
from onelogin_connector.hiding import Hidden
from onelogin_connector.http_client import http_date_seconds
from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.causes import trouble
from onelogin_connector.setting import HttpUrl

logger = logging.getLogger(__name__)

MOST_BODY_BYTES = 32 << 20  # 50 events have some 100 KB; a record beyond 1 MB is refused later in any case
MOST_ERROR_BYTES = 64 << 10  # enough for any error's text
TOTAL_SECONDS = 60.0
NO_ANSWER = 0
"""Stands for the status in ``calls`` where no whole answer came."""


class Reply(Struct, frozen=True):
    """
    What came back.
    """

    call: str
    """The method and path that were asked for, for messages."""
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    request_id: str
    """OneLogin's name for the call, clean; empty if it gave none."""

    @property
    def date_us(self) -> int | None:
        """
        The server's time, in microseconds since 1970; None if it did not say.
        """
        seconds = http_date_seconds(self.headers.get("date", ""))
        return None if seconds is None else int(seconds) * 1_000_000


class Wire:
    """
    Calls to one host, within the account's budget.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        api_url: HttpUrl,
        budget: Budget,
        calls: Counter[tuple[str, int]],
        hidden: Hidden,
        *,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        """
        Connect nothing yet.

        Args:
            calls: Path and status → how often, counted here.
            total_seconds: For one call, from connecting to the body's last byte.
        """
        self.api_url = api_url
        self.hidden = hidden
        self.budget = budget
        self.last_status: int | None = None
        """Of the latest call, for who has this wire for himself; None if it brought no answer."""
        self._http = http
        self._calls = calls
        self._total_seconds = total_seconds

    def beside(self) -> "Wire":
        """
        Return another wire over the same connections and the same budget.
        """
        return Wire(
            self._http, self.api_url, self.budget, self._calls, self.hidden, total_seconds=self._total_seconds
        )

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        """
        Make one call.

        Returns:
            Whatever was answered, errors too.

        Raises:
            Unavailable: Nothing that could be read was answered, or the budget is used up.
        """
        self.last_status = None
        await self.budget.acquire()
        url = f"{self.api_url}{path}" + (f"?{urlencode(query, quote_via=quoted, safe='')}" if query else "")
        started = monotonic()
        status = NO_ANSWER
        try:
            request = self._http.build_request(method, url, headers=dict(headers or {}), content=content)
            async with asyncio.timeout(self._total_seconds):
                answer = await self._http.send(request, stream=True, follow_redirects=False)
                try:
                    self.last_status = answer.status_code
                    reply = await self._read(answer, f"{method} {path}")
                    status = reply.status
                finally:
                    await answer.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
            raise self._failure(error, f"{method} {self._host}{path}", monotonic() - started) from None
        finally:
            self._calls[path, status] += 1
            logger.debug(
                "%s %s: %d", method, path, status, extra={"action": "onelogin_call", "http_status": status}
            )
        self.budget.learn(reply.headers)
        return reply

    @property
    def _host(self) -> str:
        return urlsplit(self.api_url).netloc

    async def _read(self, answer: httpx2.Response, call: str) -> Reply:
        """
        Read an answer to its end, or to as much as any true answer has.
        """
        most = MOST_BODY_BYTES if answer.status_code < 300 else MOST_ERROR_BYTES
        if answer.headers.get("content-encoding", "identity").strip().lower() not in (
            "identity",
            "gzip",
            "deflate",
        ):
            raise trouble("unreadable", f"{call}: it is packed in a way that was not asked for")
        parts, size = [], 0
        async for part in answer.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > most:
                break
        if size > most and answer.status_code < 300:
            raise trouble("too-large", f"{call}: more than {most >> 20} MiB")
        request_id = answer.headers.get("x-request-id", "")
        return Reply(
            call=call,
            status=answer.status_code,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=b"".join(parts),
            request_id=self.hidden.clean(request_id) if fullmatch(r"[\w.:-]{1,80}", request_id) else "",
        )

    def _failure(self, error: Exception, call: str, seconds: float) -> ConnectorError:
        """
        Say in our words why there is no reply.
        """
        found = breakage(error, seconds)
        return trouble(found.kind, found.at(call))
