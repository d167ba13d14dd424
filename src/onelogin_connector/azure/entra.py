"""
What Entra ID says when it gives no token, and a way to ask it that needs no library.

Entra numbers its refusals (``AADSTS7000215``); the ones that a person can mend have a sentence here.
"""

from collections.abc import Callable
from re import compile as pattern
from time import time
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from httpx2 import AsyncBaseTransport
from msgspec import DecodeError, Struct
from msgspec.json import decode

from onelogin_connector.azure.causes import OUTAGE, STRANGE, Api, cause_of
from onelogin_connector.azure.posting import Posting
from onelogin_connector.azure.tokens import Granted
from onelogin_connector.cause import Cause, error_of
from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized
from onelogin_connector.hiding import Hidden
from onelogin_connector.reach import Reach
from onelogin_connector.setting import HttpUrl, Secret

_CODE = pattern(r"AADSTS(\d{4,8})")

_TENANT = Cause(
    "Entra ID knows no such tenant.",
    "Copy tenant_id (Directory ID) anew from the overview of Entra ID, and see that cloud is the tenant's.",
    ConfigError,
)
_SECRET = Cause(
    "Entra ID does not accept the client secret.",
    "Copy the secret's value, not its id; the portal shows it only when it is made, so make a new one if in doubt "
    "(App registrations > the application > Certificates & secrets).",
    Unauthorized,
)
_FEDERATION = Cause(
    "Entra ID does not trust this workload's identity.",
    "Give the application or managed identity a federated credential whose issuer, subject and audience are those of "
    "the service account's token.",
    Unauthorized,
)

REFUSALS = MappingProxyType(
    {
        "7000215": _SECRET,
        "7000222": Cause(
            "The client secret has expired.",
            "Make a new one (App registrations > the application > Certificates & secrets), and give the sink its value.",
            Unauthorized,
        ),
        "7000216": Cause(
            "Entra ID was given no client secret.",
            "Set client_secret of the sink's credential.",
            Unauthorized,
        ),
        "700016": Cause(
            "There is no such application in this tenant.",
            "Compare client_id (Application ID) and tenant_id with the application's overview in Entra ID.",
            Unauthorized,
        ),
        "7000112": Cause(
            "The application is disabled.",
            "Enable it in Entra ID under Enterprise applications > Properties.",
            Unauthorized,
        ),
        "90002": _TENANT,
        "900021": _TENANT,
        "900023": _TENANT,
        "500011": Cause(
            "Azure Monitor is not known to this tenant by the name of this cloud.",
            "Set cloud to the cloud that the endpoint and the tenant are in.",
            ConfigError,
        ),
        "53003": Cause(
            "A Conditional Access policy keeps the application from signing in.",
            "Look at the sign-in logs of Entra ID, and let the policy pass this machine's addresses.",
            Unauthorized,
        ),
        "70021": _FEDERATION,
        "700211": _FEDERATION,
        "700212": _FEDERATION,
        "700213": _FEDERATION,
        "700024": Cause(
            "The workload's token has expired.",
            "See that the service account's token is renewed in its file, and that this machine's clock is right.",
            Unauthorized,
        ),
        "90033": OUTAGE,
        "90024": OUTAGE,
    }
)
"""Number of a refusal → cause."""

NOT_ACCEPTED = Cause(
    "Entra ID gives no token.",
    "Compare tenant_id, client_id and the secret with the application's registration in Entra ID; its sign-in logs say "
    "more.",
    Unauthorized,
)


def refusal_of(text: str) -> tuple[Cause, str]:
    """
    Return the cause that a refusal's text tells, and its number as it is to be shown.
    """
    found = _CODE.search(text)
    if found is None:
        return NOT_ACCEPTED, ""
    return REFUSALS.get(found[1], NOT_ACCEPTED), found[0]


class _Granted(Struct):
    access_token: str
    expires_in: int


class _Refusal(Struct):
    error: Any = None
    error_description: Any = None


class DirectIssuer:
    """
    Tokens for a client secret from a sign-in on this machine: a simulator's, since libraries refuse plain http.
    """

    def __init__(
        self,
        authority: HttpUrl,
        tenant_id: str,
        client_id: str,
        client_secret: Secret,
        *,
        scope: str,
        hidden: Hidden,
        transport: AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time,
        reach: Reach | None = None,
    ) -> None:
        entra = Api("Entra ID", frozenset({200}), {})
        self._posting = Posting(authority, entra, hidden, transport=transport, clock=clock, reach=reach)
        self._path = f"/{quote(tenant_id, safe='')}/oauth2/v2.0/token"
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "scope": scope}
        self._secret, self._hidden, self._clock = client_secret, hidden, clock

    async def grant(self, *, anew: bool) -> Granted:
        """
        Ask for a token.

        Raises:
            Unauthorized, ConfigError, Unavailable: By what Entra says.
        """
        form = urlencode({**self._form, "client_secret": self._secret.reveal()}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        asked_at = self._clock()
        reply = await self._posting.ask(self._path, form, headers)
        seen = f"HTTP {reply.status} from {self._posting.host}"
        if reply.status in {400, 401}:
            raise self._refused(reply.body, seen)
        cause = cause_of(self._posting.api, reply.status, "")
        if cause is not None:
            raise error_of(cause, seen, after_seconds=reply.wait_seconds)
        try:
            granted = decode(reply.body, type=_Granted)
        except (DecodeError, UnicodeDecodeError):
            raise error_of(STRANGE, f"{seen}; it holds no token") from None
        return Granted(Secret(granted.access_token), asked_at + granted.expires_in)

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self._posting.close()

    def _refused(self, body: bytes, seen: str) -> ConnectorError:
        try:
            text = str(decode(body, type=_Refusal).error_description or "")
        except (DecodeError, UnicodeDecodeError, RecursionError):
            text = ""
        cause, number = refusal_of(text)
        said = f"; “{self._hidden.clean(text)}”" if text and self._hidden.quotes else ""
        return error_of(cause, f"{number or seen}{said}")
