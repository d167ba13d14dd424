"""
The API of one OneLogin account, as far as this program needs it: events, event types, users, and a check.

Every method raises nothing but the program's own errors, whatever is answered: ``Unavailable`` (wait, then the
same again), ``Unauthorized`` and ``ConfigError`` (a person is needed; asking again, seldom, does no harm). Filters
are sent again with each page's cursor, since nobody documents that a cursor keeps them. The links that a page
names are never followed, so the token goes to the configured host alone.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from time import time
from types import MappingProxyType

import httpx2

from onelogin_connector.errors import Unavailable
from onelogin_connector.hiding import Hidden
from onelogin_connector.http_client import ProxyAddressError, http_client
from onelogin_connector.onelogin import pages
from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.causes import trouble
from onelogin_connector.onelogin.checking import Checking
from onelogin_connector.onelogin.pages import EVENTS, MOST_A_PAGE, Page
from onelogin_connector.onelogin.session import Session
from onelogin_connector.onelogin.wire import TOTAL_SECONDS, Wire
from onelogin_connector.reach import Reach
from onelogin_connector.setting import HttpUrl, Secret
from onelogin_connector.status import Stage, Tell, silent

__all__ = ["EVENTS", "EVENT_TYPES", "USERS", "OneLogin", "Page"]

EVENT_TYPES = "/api/1/events/types"
USERS = "/api/2/users"
TYPES_SECONDS = 86_400.0  # OneLogin asks for this list to be kept a day
MOST_USER_PAGES = 100_000  # five million users: a list beyond has no end

USER_FIELDS = (
    "id", "username", "email", "firstname", "lastname", "openid_name", "userprincipalname", "samaccountname",
    "department", "title", "company", "comment", "phone", "status", "state", "group_id", "role_ids", "directory_id",
    "distinguished_name", "member_of", "external_id", "manager_user_id", "manager_ad_id", "trusted_idp_id",
    "locale_code", "preferred_locale_code", "invalid_login_attempts", "locked_until", "last_login", "activated_at",
    "invitation_sent_at", "password_changed_at", "created_at", "updated_at", "custom_attributes",
)  # fmt: skip
"""Asked for by name: the list as it comes by default lacks department, title, company and the like."""

NOTHING: MappingProxyType[str, str] = MappingProxyType({})


class OneLogin:
    """
    A OneLogin account, asked with one API credential.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        *,
        api_url: str,
        client_id: Secret | str,
        client_secret: Secret,
        budget: Budget,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        trust_env: bool = True,
        total_seconds: float = TOTAL_SECONDS,
        reach: Reach | None = None,
        quotes: bool = True,
    ) -> None:
        """
        Connect nothing yet.

        Args:
            api_url: ``https://acme.onelogin.com``; plain http on this machine alone.
            budget: Shared by everything that asks this account.
            transport: In place of the network, for tests.
            clock: Unix seconds; the budget has a clock of its own.
            trust_env: Honour the variables ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY`` and
                ``SSL_CERT_FILE``. They are read by the HTTP library and not by ``config``, because every program
                of a machine reads them in the same way; who starts this one decides whether they count.
            total_seconds: Limit of one call.
            reach: Which hosts may be connected to; None for any.
            quotes: Whether errors may repeat words of an answer. Where a person named the host in the console they
                may not, since then the words could be anybody's.

        Raises:
            ConfigError: The address, or that of the proxy, cannot be used.
        """
        try:
            url = HttpUrl(api_url)
        except ValueError as error:
            raise trouble("address", str(error)) from error
        identity = client_id if isinstance(client_id, Secret) else Secret(client_id)
        self.calls: Counter[tuple[str, int]] = Counter()
        """Path and status → calls so far; the status is 0 where no whole answer came."""
        self.budget = budget
        try:
            self._http = http_client(
                url, transport=transport, trust_env=trust_env, reach=reach, connections=8, packing="gzip"
            )
        except ProxyAddressError:
            raise trouble("proxy-address") from None
        self._hidden = Hidden(identity.reveal(), client_secret.reveal(), quotes=quotes)
        self._wire = Wire(self._http, url, budget, self.calls, self._hidden, total_seconds=total_seconds)
        self._credential = (identity, client_secret)
        self._session = Session(self._wire, *self._credential, clock=clock)
        self._clock = clock
        self._sleep = sleep
        self._types: dict[int, str] | None = None
        self._types_at = 0.0

    def __repr__(self) -> str:
        return f"OneLogin({self._wire.api_url})"

    async def account_id(self) -> int | None:
        """
        Return the account's number, as the token's answer names it; None if it names none.
        """
        await self._session.token.get()
        return self._session.token.account_id

    async def events(
        self, *, since_us: int, until_us: int, cursor: str | None = None, limit: int = MOST_A_PAGE
    ) -> Page:
        """
        Fetch a page of the events between two moments, in the order of their ids.

        Args:
            since_us, until_us: Microseconds since 1970. OneLogin's limits have milliseconds: the window is
                widened to whole ones, never narrowed. Whether the limits themselves are included is not
                documented, so a caller widens by what it cannot miss.
            cursor: That of the page before; None for the first.

        Raises:
            Unavailable: Not now, or the page names no way on; nothing is passed over by asking again.
            Unauthorized, ConfigError: A person is needed.
        """
        query = pages.events_query(since_us, until_us, cursor, limit)
        return pages.events_page(await self._session.get(EVENTS, query), self._hidden, cursor)

    async def event_types(self) -> dict[int, str]:
        """
        Return the account's own names of event types, by id; asked for at most once a day.

        Raises:
            Unavailable, Unauthorized, ConfigError: They were never read and cannot be read now.
        """
        age = self._clock() - self._types_at
        if self._types is not None and 0 <= age < TYPES_SECONDS:
            return dict(self._types)
        try:
            self._types = pages.event_types(await self._session.get(EVENT_TYPES), self._hidden)
        except Unavailable:
            if self._types is None:
                raise
        self._types_at = self._clock()
        return dict(self._types)

    async def users(self, *, updated_since_us: int | None = None) -> AsyncIterator[list[bytes]]:
        """
        Give the account's users page by page, each as the bytes that came.

        The list is paged by number, so a change meanwhile may show a user twice, or push one past: ask again
        from a little earlier.

        Args:
            updated_since_us: Only those changed after this; None for all.

        Raises:
            Unavailable, Unauthorized, ConfigError: As ``events``; the pages before were complete.
        """
        query = {"limit": str(MOST_A_PAGE), "fields": ",".join(USER_FIELDS)}
        if updated_since_us is not None:
            query["updated_since"] = pages.moment(updated_since_us)
        cursor: str | None = None
        for _ in range(MOST_USER_PAGES):
            reply = await self._session.get(USERS, query | ({"cursor": cursor} if cursor else NOTHING))
            page = pages.users_page(reply, self._hidden, cursor)
            if page.records:
                yield page.records
            cursor = page.cursor
            if cursor is None:
                return
        raise trouble("cursor", f"after {MOST_USER_PAGES} pages the list of users still goes on")

    async def check(self, tell: Tell = silent) -> list[Stage]:
        """
        Try everything anew, stage by stage, with a token of its own; raises nothing.

        Args:
            tell: Called with each stage as soon as it is done.
        """
        wire = self._wire.beside()
        session = Session(wire, *self._credential, clock=self._clock)
        return await Checking(session, clock=self._clock).stages(tell)

    async def close(self) -> None:
        """
        End the connections.
        """
        await self._http.aclose()
