"""
The few pages that there are: what this is and how it stands, and the sign-in.

They work without script, and everything that comes from outside is escaped.
"""

from html import escape
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from onelogin_connector import __version__
from onelogin_connector.service import Service
from onelogin_connector.web.access import COOKIE, FORM_COOKIE, Access, caller_of
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.hosts import Hosts
from onelogin_connector.web.reading import body_of

LARGEST_FORM_BYTES = 16_384

STYLE = """\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
code { font-family: ui-monospace, monospace; }
label { display: block; margin: .8rem 0 .2rem; }
input { font: inherit; padding: .4rem; width: min(24rem, 100%); box-sizing: border-box; }
button { font: inherit; padding: .4rem 1.2rem; margin-top: 1rem; }
[role=alert] { border-left: .3rem solid #c00; padding-left: .8rem; }
"""


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    """
    Return a whole page around some HTML.
    """
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} – OneLogin Connector</title>
<link rel="stylesheet" href="/static/plain.css">
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
""",
        status,
    )


def failure(status: int, detail: str, action: str) -> HTMLResponse:
    """
    Return a page that says what went wrong.
    """
    text = (
        f'<p role="alert">{escape(detail)}</p><p>{escape(action)}</p><p><a href="/">To the start page</a></p>'
    )
    return page("This did not work", text, status)


def table(columns: tuple[str, ...], rows: list[dict[str, Any]], caption: str) -> str:
    """
    Return rows as an HTML table.
    """
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in columns)
    lines = "".join(
        "<tr>"
        + "".join(f"<td>{escape('' if row[name] is None else str(row[name]))}</td>" for name in columns)
        + "</tr>"
        for row in rows
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


class Pages:
    """
    The pages of one service.
    """

    def __init__(self, service: Service, access: Access, hosts: Hosts) -> None:
        self._service = service
        self._access = access
        self._hosts = hosts

    async def start(self, request: Request) -> Response:
        """
        Say what this is, how it stands, and where to go.
        """
        status = self._service.status()
        alarms = "".join(
            f'<p role="alert">{escape(alarm["message"])} {escape(alarm["action"])}</p>'
            for alarm in status["alarms"]
        )
        connectors = table(
            ("id", "state", "last_event", "events_total", "error"), status["connectors"], "Connectors"
        )
        sinks = table(("name", "kind", "state", "lag_events", "delivered", "error"), status["sinks"], "Sinks")
        token = self._access.form_token(request.cookies.get(COOKIE, ""))
        body = f"""<p>OneLogin Connector {escape(__version__)} takes OneLogin's audit events in, keeps each once, and
makes them searchable.</p>
{alarms}
{connectors}
{sinks}
<h2>Where to go</h2>
<ul>
<li>Webhooks of OneLogin go to <code>/webhook/CONNECTOR</code> with the header <code>Authorization: Bearer TOKEN</code>.</li>
<li>Queries: <code>onelogin-connector query 'OneLogin | sort by TimeGenerated desc | take 20'</code></li>
<li><a href="/api/v1/status">The state as JSON</a> · <a href="/readyz">Readiness</a></li>
</ul>
<form method="post" action="/logout"><input type="hidden" name="form" value="{token}">
<p>Signed in as {escape(caller_of(request).name)}.</p><button>Sign out</button></form>"""
        return page("OneLogin Connector", body)

    async def login(self, request: Request) -> Response:
        """
        Show the sign-in form.
        """
        return self._form("")

    def _form(self, error: str, status: int = 200) -> Response:
        seed = token_urlsafe(24)
        alarm = f'<p role="alert">{escape(error)}</p>' if error else ""
        body = f"""{alarm}<form method="post" action="/login">
<input type="hidden" name="form" value="{self._access.form_token(seed)}">
<label for="user">User</label>
<input id="user" name="user" value="admin" autocomplete="username" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button>
</form>
<p>The first password is in the file <code>initial-secrets</code> of the data folder;
<code>onelogin-connector password</code> sets a new one.</p>"""
        answer = page("Sign in", body, status)
        self._set(answer, FORM_COOKIE, seed, 3_600)
        return answer

    async def sign_in(self, request: Request) -> Response:
        """
        Take the sign-in form.
        """
        form = await _fields(request)
        if not self._access.is_own_form(request.cookies.get(FORM_COOKIE, ""), form.get("form", "")):
            return self._form("The form was too old. Please sign in again.", 403)
        try:
            cookie = await self._access.sign_in(
                form.get("user", ""), form.get("password", ""), request.state.client
            )
        except HttpError as error:
            answer = self._form(f"{error.message} {error.action}", 429 if error.headers else 401)
            answer.headers.update(error.headers)
            return answer
        return self._signed_in(cookie)

    async def link(self, request: Request) -> Response:
        """
        Take a one-time sign-in link.
        """
        cookie = await self._access.redeem(request.path_params["token"], request.state.client)
        if cookie is None:
            return self._form("This link was used already, or is too old. Please sign in by password.", 401)
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
        if not self._access.is_own_form(cookie, (await _fields(request)).get("form", "")):
            raise HttpError("not-permitted", "The form was too old.", action="Go back and try again.")
        self._access.sign_out(cookie)
        answer = RedirectResponse("/login", 303)
        self._set(answer, COOKIE, "", 0)
        return answer

    async def style(self, request: Request) -> Response:
        """
        Return the style of all pages.
        """
        return PlainTextResponse(STYLE, media_type="text/css", headers={"cache-control": "max-age=3600"})

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


async def _fields(request: Request) -> dict[str, str]:
    body = await body_of(request, LARGEST_FORM_BYTES)
    found = parse_qs(body.decode(errors="replace"), max_num_fields=20)
    return {name: values[-1] for name, values in found.items()}
