"""
The two addresses of single sign-on: where it begins, and where the identity provider sends the browser back to.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from onelogin_connector.config import Oidc
from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.web.access import COOKIE, Access
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.hosts import Hosts
from onelogin_connector.web.id_tokens import claim, role_of
from onelogin_connector.web.oidc import PENDING_SECONDS, SingleSignOn

BEGIN = "/login/oidc"
BACK = "/login/oidc/callback"
SSO_COOKIE = "onelogin_connector_sso"
LONGEST_PARAMETER = 8_192  # characters; codes of some providers are whole tokens


class SignOn:
    """
    Single sign-on as browsers meet it.
    """

    def __init__(
        self,
        sso: SingleSignOn,
        options: Oidc,
        access: Access,
        hosts: Hosts,
        *,
        public_url: str | None,
        form: Callable[[Request, str, int], Response],
    ) -> None:
        """
        Stand beside the sign-in by password.

        Args:
            form: Shows the sign-in page with what went wrong, and a status.
        """
        self._sso, self._options, self._access, self._hosts = sso, options, access, hosts
        self._public_url, self._form = public_url, form

    async def begin(self, request: Request) -> Response:
        """
        Send the browser to the identity provider.
        """
        self._require_set()
        self._access.require_not_locked(request.state.client)
        try:
            address, cookie = await self._sso.begin(self._redirect_uri(request))
        except ConnectorError as error:
            return self._refused(request, error, 503)
        answer = RedirectResponse(address, 303)
        self._set(answer, cookie, PENDING_SECONDS)
        return answer

    async def back(self, request: Request) -> Response:
        """
        Take the browser back from the identity provider.
        """
        self._require_set()
        client = request.state.client
        self._access.require_not_locked(client)
        parameters = {name: value[:LONGEST_PARAMETER] for name, value in request.query_params.items()}
        try:
            identity = await self._sso.finish(request.cookies.get(SSO_COOKIE, ""), parameters)
            role = role_of(identity.claims, self._options)
            if role is None:
                raise HttpError(
                    "not-permitted",
                    "You are known to the identity provider, but none of your groups may use this console.",
                    action="Ask an administrator to add one of them under [oidc].",
                )
            name = claim(identity.claims, self._options.name_claim)
            session = await self._access.vouched(
                identity.issuer,
                identity.subject,
                name if isinstance(name, str) and name.strip() else identity.subject,
                role,
                client,
            )
        except HttpError as error:
            known = error.kind == "not-permitted"  # somebody whom the provider vouches for guesses nothing
            self._access.refuse_vouched(client, error.message, counts=not known)
            return self._refused(request, error, 403 if known else 401)
        except ConfigError as error:  # the name is another account's
            self._access.refuse_vouched(client, error.message, counts=False)
            return self._refused(request, error, 403)
        except ConnectorError as error:
            return self._refused(request, error, 503)
        return self._signed_in(session)

    def _signed_in(self, session: str) -> Response:
        """
        Lead on from a page of our own.

        A redirect would still count as the provider's, and a browser keeps the session's cookie from such requests.
        """
        answer = HTMLResponse(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Signed in</title>'
            '<meta http-equiv="refresh" content="0; url=/"></head>'
            '<body><p>You are signed in. <a href="/">Go on</a>.</p></body></html>'
        )
        answer.set_cookie(
            COOKIE,
            session,
            max_age=round(self._access.session_seconds),
            httponly=True,
            samesite="strict",
            secure=self._hosts.secure,
            path="/",
        )
        self._set(answer, "", 0)
        return answer

    def _refused(self, request: Request, error: ConnectorError, status: int) -> Response:
        answer = self._form(request, f"{error.message} {error.action}", status)
        self._set(answer, "", 0)
        return answer

    def _set(self, answer: Response, value: str, seconds: int) -> None:
        # lax: the provider's redirect back is a request of another site, and needs this cookie
        answer.set_cookie(
            SSO_COOKIE,
            value,
            max_age=seconds,
            httponly=True,
            samesite="lax",
            secure=self._hosts.secure,
            path=BEGIN,
        )

    def _redirect_uri(self, request: Request) -> str:
        if self._public_url:
            return f"{self._public_url}{BACK}"
        # the gate let this host through, so it is one of ours
        scheme = "https" if self._hosts.secure else "http"
        return f"{scheme}://{request.headers.get('host', '')}{BACK}"

    def _require_set(self) -> None:
        if self._options.issuer is None:
            raise HttpError(
                "not-found",
                "Single sign-on is not set up here.",
                action="Set issuer under [oidc] in the settings.",
            )
