"""
The sign-in and the way out.
"""

from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onelogin_connector.web.access import COOKIE, FORM_COOKIE, Access
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.console.base import render
from onelogin_connector.web.console.routes import fields_of
from onelogin_connector.web.hosts import Hosts

HOME = "/status"
"""Where people land who asked for nothing else."""

FORM_SECONDS = 3_600


class Pages:
    """
    The pages around the sign-in of one service.
    """

    def __init__(self, access: Access, hosts: Hosts) -> None:
        self._access = access
        self._hosts = hosts

    async def start(self, request: Request) -> Response:
        """
        Lead to the page that says how things stand.
        """
        return RedirectResponse(HOME, 303)

    async def login(self, request: Request) -> Response:
        """
        Show the sign-in form.
        """
        return self.form(request, "")

    def form(self, request: Request, error: str, status: int = 200) -> Response:
        """
        Show the sign-in form with what went wrong.
        """
        seed = token_urlsafe(24)
        token = self._access.form_token(seed)
        answer = render(
            request, "login.html", status=status, error=error, token=token, sso=self._access.sso_label
        )
        self._set(answer, FORM_COOKIE, seed, FORM_SECONDS)
        return answer

    async def sign_in(self, request: Request) -> Response:
        """
        Take the sign-in form.
        """
        form = {name: values[-1] for name, values in (await fields_of(request)).items()}
        if not self._access.is_own_form(request.cookies.get(FORM_COOKIE, ""), form.get("form", "")):
            return self.form(request, "The form was too old. Please sign in again.", 403)
        try:
            cookie = await self._access.sign_in(
                form.get("user", ""), form.get("password", ""), request.state.client
            )
        except HttpError as error:
            answer = self.form(request, f"{error.message} {error.action}", 429 if error.headers else 401)
            answer.headers.update(error.headers)
            return answer
        return self._signed_in(cookie)

    async def link(self, request: Request) -> Response:
        """
        Take a one-time sign-in link.
        """
        cookie = await self._access.redeem(request.path_params["token"], request.state.client)
        if cookie is None:
            text = "This link was used already, or is too old. Please sign in by password."
            return self.form(request, text, 401)
        return self._signed_in(cookie)

    def _signed_in(self, cookie: str) -> Response:
        answer = RedirectResponse("/", 303)
        self._set(answer, COOKIE, cookie, round(self._access.session_seconds))
        self._set(answer, FORM_COOKIE, "", 0)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """
        End the session.
        """
        cookie = request.cookies.get(COOKIE, "")
        token = (await fields_of(request)).get("form", [""])[-1]
        if not self._access.is_own_form(cookie, token):
            raise HttpError("not-permitted", "The form was too old.", action="Go back and try again.")
        self._access.sign_out(cookie)
        answer = RedirectResponse("/login", 303)
        self._set(answer, COOKIE, "", 0)
        return answer

    def _set(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=seconds,
            httponly=True,
            samesite="strict",
            secure=self._hosts.secure,
            path="/",
        )
