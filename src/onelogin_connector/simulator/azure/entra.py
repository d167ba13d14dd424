"""
Entra ID: who may sign in, and which tokens are good.
"""

import base64
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest

from msgspec import Struct
from msgspec.json import encode

from onelogin_connector.simulator.azure.columns import iso
from onelogin_connector.simulator.azure.exchange import Answer, of_json

AUDIENCES = {
    "public": "https://monitor.azure.com",
    "government": "https://monitor.azure.us",
    "china": "https://monitor.azure.cn",
}
"""Cloud → what a token must be for so that data may be sent with it."""

OTHER_RESOURCES = ("https://management.azure.com", "https://api.loganalytics.io", "https://vault.azure.net")
"""Resources of the same tenant: a token for one of them is given, and is good for nothing here."""

TOKEN_SECONDS = 3_599
DEFAULT_SCOPE = "/.default"


class Application(Struct, frozen=True):
    """
    A principal that signs in.
    """

    id: str
    secret: str | None = None
    assertion: str | None = None
    """Of a workload identity: what its federated token says."""
    is_managed: bool = False
    """Whether it is the machine's own identity, which needs no secret there."""


class Token(Struct, frozen=True):
    """
    An access token.
    """

    principal: str
    audience: str
    made_at: float
    ends_at: float


class Refusal(Exception):
    """
    Nobody signs in that way.
    """

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.number = status, error, number


class Entra:
    """
    One tenant.
    """

    def __init__(
        self,
        tenant: str,
        applications: Mapping[str, Application],
        *,
        cloud: str,
        token_seconds: float = TOKEN_SECONDS,
        clock: Callable[[], float],
    ) -> None:
        """
        Open the tenant.

        Args:
            applications: Client id → who that is.
            cloud: A key of ``AUDIENCES``.
            token_seconds: Life of a token.
            clock: Unix seconds.
        """
        self.tenant = tenant
        self.applications = dict(applications)
        self.audience = AUDIENCES[cloud]
        self.token_seconds = token_seconds
        self.given = 0
        """Tokens so far."""
        self._clock = clock
        self._tokens: dict[str, Token] = {}

    def token(self, principal: str, resource: str) -> str:
        """
        Make a token.

        Raises:
            Refusal: There is no such resource.
        """
        audience = resource.rstrip("/")
        if audience not in {self.audience, *OTHER_RESOURCES}:
            text = f"The resource principal named {resource} was not found in the tenant {self.tenant}."
            raise Refusal(400, "invalid_resource", 500011, text)
        now = self._clock()
        self.given += 1
        claims = {
            "aud": audience, "iss": f"https://sts.windows.net/{self.tenant}/", "iat": int(now), "nbf": int(now),
            "exp": int(now + self.token_seconds), "appid": principal, "tid": self.tenant,
        }  # fmt: skip
        head, body = _part(encode({"typ": "JWT", "alg": "RS256"})), _part(encode(claims))
        text = f"{head}.{body}.{_part(sha256(f'{body}/{self.given}'.encode()).digest())}"
        self._tokens[text] = Token(principal, audience, now, now + self.token_seconds)
        return text

    def accept(self, text: str, principal: str) -> None:
        """
        Take a text for a token that is good for ever.
        """
        self._tokens[text] = Token(principal, self.audience, self._clock(), float("inf"))

    def revoke(self) -> None:
        """
        Let no token be good that was given so far.
        """
        self._tokens.clear()

    def read(self, authorization: str) -> Token | None:
        """
        Return the token of an Authorization header; None if it is none of ours, or over.
        """
        scheme, _, text = authorization.partition(" ")
        token = self._tokens.get(text.strip()) if scheme.lower() == "bearer" else None
        return token if token is not None and self._clock() < token.ends_at else None

    def sign_in(self, tenant: str, form: Mapping[str, str]) -> Answer:
        """
        Answer the token endpoint.
        """
        try:
            principal = self._principal(tenant, form)
            scope = form.get("scope", "").strip()
            if not scope:
                raise Refusal(400, "invalid_request", 900144, "The body must contain the parameter 'scope'.")
            if not scope.endswith(DEFAULT_SCOPE) or " " in scope:
                text = f"The scope {scope} is not valid: client credentials take a resource with /.default."
                raise Refusal(400, "invalid_scope", 1002012, text)
            text = self.token(principal, scope.removesuffix(DEFAULT_SCOPE))
        except Refusal as error:
            return self._refused(error)
        seconds = int(self.token_seconds)
        content = {
            "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": text,
        }  # fmt: skip
        return of_json(200, content, {"cache-control": "no-store, no-cache"})

    def of_machine(self, resource: str, client_id: str | None) -> Answer:
        """
        Answer the endpoint of managed identities, which is reached from the machine alone.
        """
        managed = [each for each in self.applications.values() if each.is_managed]
        found = [each for each in managed if client_id in {None, each.id}]
        if not found:
            return of_json(400, {"error": "invalid_request", "error_description": "Identity not found"})
        try:
            text = self.token(found[0].id, resource)
        except Refusal as error:
            return self._refused(error)
        now, seconds = int(self._clock()), int(self.token_seconds)
        content = {
            "access_token": text, "client_id": found[0].id, "expires_in": str(seconds),
            "expires_on": str(now + seconds), "ext_expires_in": str(seconds), "not_before": str(now),
            "resource": resource, "token_type": "Bearer",
        }  # fmt: skip
        return of_json(200, content)

    def discovery(self, base: str, tenant: str) -> Answer:
        """
        Say where the endpoints are.
        """
        if tenant != self.tenant:
            return self._refused(_no_tenant(tenant))
        return of_json(
            200,
            {
                "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode",
                "issuer": f"{base}/{tenant}/v2.0",
                "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
                "response_types_supported": ["code", "id_token", "token"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            },
        )

    def _principal(self, tenant: str, form: Mapping[str, str]) -> str:
        if tenant != self.tenant:
            raise _no_tenant(tenant)
        if form.get("grant_type") != "client_credentials":
            text = f"The grant type {form.get('grant_type', '')!r} is not supported here."
            raise Refusal(400, "unsupported_grant_type", 70003, text)
        application = self.applications.get(form.get("client_id", ""))
        if application is None:
            text = f"Application {form.get('client_id', '')!r} was not found in the directory {tenant}."
            raise Refusal(400, "unauthorized_client", 700016, text)
        if "client_assertion" in form:
            if not _same(form["client_assertion"], application.assertion):
                raise Refusal(
                    401, "invalid_client", 700213, "No matching federated identity record was found."
                )
        elif not _same(form.get("client_secret", ""), application.secret):
            raise Refusal(401, "invalid_client", 7000215, "Invalid client secret provided.")
        return application.id

    def _refused(self, error: Refusal) -> Answer:
        trace = "00000000-0000-4000-8000-000000000000"
        when = f"{iso(self._clock())[:19].replace('T', ' ')}Z"
        content = {
            "error": error.error,
            "error_description": f"AADSTS{error.number}: {error} Trace ID: {trace} Correlation ID: {trace} "
            f"Timestamp: {when}",
            "error_codes": [error.number], "timestamp": when, "trace_id": trace, "correlation_id": trace,
            "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
        }  # fmt: skip
        return of_json(error.status, content)


def _no_tenant(tenant: str) -> Refusal:
    return Refusal(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")


def _same(given: str, known: str | None) -> bool:
    return bool(known) and compare_digest(given.encode(), (known or "").encode())


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
