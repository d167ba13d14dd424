"""
An identity provider on loopback that can be told to lie.
"""

import hmac
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from onelogin_connector.web.server import HttpServer, listen

CLIENT_ID = "the-console"
CLIENT_SECRET = "a secret: with + signs/"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
"""One for all tests: making one takes half a second."""


class Provider:
    """
    What a provider does, and what a test changes of it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.key = KEY
        self.published = [self.key]
        self.person: dict[str, Any] = {"sub": "7", "email": "anna@acme.example", "groups": ["Security"]}
        self.userinfo: dict[str, Any] | None = None
        self.metadata: dict[str, Any] = {}
        """In place of what is true."""
        self.claims: dict[str, Any] = {}
        """In place of what is true; None leaves a claim out."""
        self.sign: Callable[[dict[str, Any]], str] = self._signed
        self.answer: dict[str, str] = {}
        """Parameters of the way back, in place of what is true."""
        self.token_status = 200
        self.codes: dict[str, dict[str, str]] = {}
        self.calls: list[str] = []
        self.basic = True
        routes = [
            Route("/.well-known/openid-configuration", self._about),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/me", self._me),
        ]
        listener = listen("127.0.0.1", 0)
        self.issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.server = HttpServer(self._app(Router(routes)), listener)

    def _app(self, router: Router) -> Any:
        async def app(scope, receive, send):
            if scope["type"] == "http":
                self.calls.append(scope["path"])
                await router(scope, receive, send)

        return app

    async def start(self) -> None:
        """
        Answer.
        """
        await self.server.start()

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    async def _about(self, request: Request) -> Response:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/me",
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic" if self.basic else "client_secret_post"
            ],
            "something_new": {"a": 1},
        }
        return JSONResponse(found | self.metadata)

    async def _keys(self, request: Request) -> Response:
        return JSONResponse(KeySet(self.published).as_dict(private=False))

    async def _authorize(self, request: Request) -> Response:
        """
        Sign the person in without asking, and send the browser back.
        """
        query = dict(request.query_params)
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = f"code {len(self.codes)}"
        self.codes[code] = query
        back = {"code": code, "state": query["state"]} | self.answer
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 303)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if self.token_status != 200:
            return JSONResponse({"error": "invalid_grant"}, self.token_status)
        if self.basic:
            pair = b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
            assert [unquote(part) for part in pair.split(":")] == [CLIENT_ID, CLIENT_SECRET]
        else:
            assert (form["client_id"], form["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
        begun = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if (
            begun is None
            or begun["redirect_uri"] != form["redirect_uri"]
            or begun["code_challenge"] != challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": begun["nonce"],
        }
        claims |= self.person | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return JSONResponse(
            {"id_token": self.sign(claims), "access_token": "an access token", "token_type": "Bearer"}
        )

    async def _me(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer an access token"
        return JSONResponse(self.userinfo or self.person)


def unsigned(claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """
    Return a token that nobody signed.
    """
    parts = (msgspec.json.encode(part) for part in (header or {"alg": "none"}, claims))
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def signed_with_public_key(key: RSAKey) -> Callable[[dict[str, Any]], str]:
    """
    Return what signs with the published key, as if it were a shared secret.
    """

    def sign(claims: dict[str, Any]) -> str:
        text = unsigned(claims, {"alg": "HS256", "kid": key.kid}).rstrip(".")
        digest = hmac.new(key.as_pem(private=False), text.encode(), sha256).digest()
        return f"{text}.{urlsafe_b64encode(digest).decode().rstrip('=')}"

    return sign
