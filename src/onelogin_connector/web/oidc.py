"""
Single sign-on by OpenID Connect: the authorization code flow with PKCE.

What a sign-in needs to be finished (state, nonce, PKCE's verifier) travels in a cookie of the browser that began it,
encrypted with a key of this process, for ten minutes. A state is taken once. So nobody can finish a sign-in that
another browser began, nothing has to be kept for those who never come back, and a restart ends what is under way.
"""

import asyncio
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from cryptography.fernet import Fernet, InvalidToken
from msgspec import MsgspecError, Struct
from msgspec.json import decode, encode

from onelogin_connector import __version__
from onelogin_connector.config import Oidc
from onelogin_connector.errors import ConnectorError, Unavailable
from onelogin_connector.setting import is_loopback
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.id_tokens import Identity, Key, UnknownKeyError, believed, claim, keys_of

PENDING_SECONDS = 600
"""How long somebody may take to sign in at the provider."""

METADATA_SECONDS = 3_600.0
KEYS_SECONDS = 60.0
"""Keys are asked for again when a token names an unknown one, but no oftener than this."""

CALL_SECONDS = 10.0
LARGEST_ANSWER_BYTES = 1 << 20
MOST_STATES = 10_000
"""States remembered as used; the oldest go first, and whoever makes so many gains nothing: a code works once."""


class Endpoint(str):
    """
    One of the provider's addresses, exactly as it publishes it.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """
        Check an address.

        Raises:
            ValueError: Tokens sent there would cross a network in the clear, or it is no address.
        """
        parts = urlsplit(text)
        plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if not parts.hostname or parts.username or parts.fragment or not (parts.scheme == "https" or plain):
            raise ValueError("expected an address with https")
        return super().__new__(cls, text)


class Metadata(Struct, frozen=True):
    """
    What a provider publishes of itself, as far as it is needed.
    """

    issuer: str
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    jwks_uri: Endpoint
    userinfo_endpoint: Endpoint | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Pending(Struct, frozen=True):
    """
    A sign-in that was begun.
    """

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


class SingleSignOn:
    """
    The way to one identity provider and back.
    """

    def __init__(
        self,
        options: Oidc,
        *,
        clock: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """
        Ask nothing yet.

        Args:
            transport: In place of the network, for tests.
        """
        self._options, self._clock = options, clock
        self._transport = transport
        self._box = Fernet(Fernet.generate_key())
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: list[Key] = []
        self._keys_at = 0.0
        self._used: OrderedDict[str, None] = OrderedDict()
        self._asking = asyncio.Lock()

    async def begin(self, redirect_uri: str) -> tuple[str, str]:
        """
        Begin a sign-in.

        Args:
            redirect_uri: Where the provider sends the browser back to.

        Returns:
            The provider's address to go to, and the cookie's value.

        Raises:
            Unavailable: The provider cannot be asked.
        """
        metadata = await self._known()
        pending = Pending(token_urlsafe(32), token_urlsafe(32), token_urlsafe(48), redirect_uri)
        challenge = urlsafe_b64encode(sha256(pending.verifier.encode()).digest()).decode().rstrip("=")
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._options.client_id,
                "redirect_uri": redirect_uri,
                "scope": " ".join(dict.fromkeys(["openid", *self._options.scopes])),
                "state": pending.state,
                "nonce": pending.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
            quote_via=quote,
        )
        cookie = self._box.encrypt_at_time(encode(pending), int(self._clock())).decode()
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{joint}{query}", cookie

    async def finish(self, cookie: str, answer: dict[str, str]) -> Identity:
        """
        Finish a sign-in.

        Args:
            cookie: What the browser that began it holds.
            answer: The parameters with which the provider sent it back.

        Returns:
            Who it is; the claims are those of the ID token, and of the user's info where the role was not in it.

        Raises:
            HttpError: It is not believed, or the provider refused.
            Unavailable: The provider cannot be asked.
        """
        pending = self._opened(cookie, answer.get("state", ""))
        metadata = await self._known()
        if answer.get("error"):
            raise HttpError(
                "not-signed-in",
                f"The identity provider refused: {_clean(answer['error'])}.",
                action="Sign in again, or ask those who run the provider.",
            )
        told = answer.get("iss")
        if told != metadata.issuer and (told or metadata.authorization_response_iss_parameter_supported):
            raise HttpError("not-signed-in", "The answer comes from another identity provider.")
        tokens = await self._exchange(metadata, answer.get("code", ""), pending)
        identity = await self._believed(metadata, str(tokens.get("id_token") or ""), pending.nonce)
        missing = claim(identity.claims, self._options.role_claim) is None
        access_token = tokens.get("access_token")
        if missing and metadata.userinfo_endpoint and isinstance(access_token, str) and access_token:
            more = await self._ask(
                "GET", metadata.userinfo_endpoint, headers={"authorization": f"Bearer {access_token}"}
            )
            if more.get("sub") != identity.subject:
                raise HttpError("not-signed-in", "The identity provider speaks of two different persons.")
            identity = Identity(identity.issuer, identity.subject, more | identity.claims)
        return identity

    def _opened(self, cookie: str, state: str) -> Pending:
        """
        Return the sign-in that a browser began; its state is used up by this.
        """
        now = self._clock()
        too_old = HttpError(
            "not-signed-in", "This sign-in was not begun here, or is too old.", action="Sign in again."
        )
        try:
            content = self._box.decrypt_at_time(cookie.encode(), PENDING_SECONDS, int(now))
            pending = decode(content, type=Pending)
        except (InvalidToken, MsgspecError, ValueError):
            raise too_old from None
        if not compare_digest(pending.state.encode(), state.encode(errors="replace")):
            raise too_old
        if pending.state in self._used:
            raise too_old
        self._used[pending.state] = None
        if len(self._used) > MOST_STATES:
            self._used.popitem(last=False)
        return pending

    async def _exchange(self, metadata: Metadata, code: str, pending: Pending) -> dict[str, Any]:
        """
        Give the code for tokens.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        }
        headers = {}
        secret, client_id = self._options.client_secret, self._options.client_id
        methods = metadata.token_endpoint_auth_methods_supported
        if secret is None:
            form["client_id"] = client_id
        elif "client_secret_basic" in methods or "client_secret_post" not in methods:
            pair = f"{quote(client_id, safe='')}:{quote(secret.reveal(), safe='')}"
            headers["authorization"] = "Basic " + b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": client_id, "client_secret": secret.reveal()}
        return await self._ask("POST", metadata.token_endpoint, form=form, headers=headers)

    async def _believed(self, metadata: Metadata, token: str, nonce: str) -> Identity:
        """
        Check an ID token; where it names a new key, the keys are asked for again once.
        """
        for fresh in (False, True):
            keys = await self._known_keys(metadata, fresh=fresh)
            try:
                return believed(
                    token,
                    keys,
                    issuer=metadata.issuer,
                    client_id=self._options.client_id,
                    nonce=nonce,
                    clock=self._clock,
                )
            except UnknownKeyError:
                continue
        raise HttpError(
            "not-signed-in", "The identity provider's token is signed by a key that it does not publish."
        )

    async def _known_keys(self, metadata: Metadata, *, fresh: bool) -> list[Key]:
        async with self._asking:
            now = self._clock()
            is_due = now - self._keys_at >= (KEYS_SECONDS if fresh else METADATA_SECONDS)
            if not self._keys or is_due:
                self._keys = keys_of(await self._ask("GET", metadata.jwks_uri))
                self._keys_at = now
            return self._keys

    async def _known(self) -> Metadata:
        """
        Return what the provider says of itself, asked for once an hour.

        Raises:
            Unavailable: It does not, or speaks for another issuer.
        """
        async with self._asking:
            now = self._clock()
            if self._metadata is not None and now - self._metadata[0] < METADATA_SECONDS:
                return self._metadata[1]
            issuer = self._options.issuer or ""
            found = await self._ask("GET", f"{issuer}/.well-known/openid-configuration")
            try:
                metadata = decode(encode(found), type=Metadata, dec_hook=_address)
            except (MsgspecError, ValueError):
                raise Unavailable(
                    "What the identity provider publishes of itself cannot be used.",
                    action="Compare issuer under [oidc] with the provider's documentation; its addresses need https.",
                ) from None
            if metadata.issuer.rstrip("/") != issuer:
                raise Unavailable(
                    "The identity provider speaks for another issuer than the one that is set.",
                    action="Set issuer under [oidc] exactly as the provider shows it.",
                )
            self._metadata = (now, metadata)
            return metadata

    async def _ask(
        self,
        method: str,
        address: str,
        *,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """
        Return the JSON object that the provider answers.

        Raises:
            Unavailable: It does not.
            HttpError: It refused a code.
        """
        agent = {"user-agent": f"onelogin-connector/{__version__}", "accept": "application/json"}
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                httpx2.AsyncClient(transport=self._transport, follow_redirects=False) as client,
                client.stream(method, address, data=form, headers=agent | (headers or {})) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > LARGEST_ANSWER_BYTES:
                        raise _not_now("sent too much")
                status = answer.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
            raise _not_now(f"cannot be reached ({type(error).__name__})") from None
        if status in {400, 401, 403} and form is not None:
            raise HttpError(
                "not-signed-in",
                f"The identity provider did not take the sign-in ({status}).",
                action="Sign in again; if this stays, compare client_id and client_secret under [oidc].",
            )
        try:
            content = decode(body) if status == 200 else None
        except (MsgspecError, ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise _not_now(f"answered {status} without what was asked for")
        return content


def _address(kind: type, value: Any) -> Any:
    if kind is Endpoint and isinstance(value, str):
        return Endpoint(value)
    raise TypeError("expected an address")


def _not_now(what: str) -> ConnectorError:
    return Unavailable(
        f"The identity provider {what}.",
        action="Try again, or sign in by password; accounts with one still can.",
    )


def _clean(text: str) -> str:
    return "".join(each for each in text[:100] if each.isprintable())
