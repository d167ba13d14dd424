"""
What every page stands on: templates, navigation, the banner of alarms, flash messages, form tokens.

Templates escape what they are given, always, and fail on a name that is not there. A page works without script;
script only makes it livelier. There is no inline script and no inline style, which the content security policy
would refuse.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple

from isal import igzip
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import MsgspecError, json
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from onelogin_connector import __version__
from onelogin_connector.service import Service
from onelogin_connector.web.access import COOKIE, Access, Caller, Role
from onelogin_connector.web.console import shown
from onelogin_connector.web.console.assets import Assets, accepts_gzip
from onelogin_connector.web.console.visible import visible
from onelogin_connector.web.hosts import Hosts

TEMPLATES = Path(__file__).parents[1] / "templates"

FLASH_COOKIE = "onelogin_connector_flash"
FLASH_SECONDS = 60  # between a redirect and the page it leads to
LONGEST_FLASH = 1_000  # characters; a cookie holds 4 kB

WORTH_COMPRESSING_BYTES = 1_400  # less fits one packet

Tone = Literal["ok", "info", "warning", "error"]


class Flash(NamedTuple):
    """
    What the next page says about the act before it.
    """

    tone: Tone
    text: str


class Place(NamedTuple):
    """
    One entry of the navigation.
    """

    title: str
    path: str
    icon: str
    group: str
    role: Role


class Console:
    """
    What the pages of one service share.
    """

    def __init__(self, service: Service, access: Access, hosts: Hosts, places: Sequence[Place] = ()) -> None:
        """
        Load templates and static files.

        Args:
            places: The navigation, in its order: pages that work, and no others.
        """
        self.service = service
        self.access = access
        self.hosts = hosts
        self.assets = Assets()
        self._places = places
        self._templates = _environment(self.assets)

    def page(self, request: Request, template: str, status: int, values: dict[str, Any]) -> Response:
        """
        Return a rendered template.
        """
        caller: Caller | None = getattr(request.state, "caller", None)
        flash = self._flash(request)
        now = self.service.clock()
        text = self._templates.get_template(template).render(
            user=caller,
            may=partial(_may, caller),
            form_token=self.access.form_token(request.cookies.get(COOKIE, "")),
            navigation=_grouped(place for place in self._places if _may(caller, place.role)),
            path=request.url.path,
            query=request.url.query,
            alarms=self.service.alarms.standing() if caller else [],
            has=self.has,
            flash=flash,
            version=__version__,
            now=now,
            age=partial(shown.ago, now=now),
            **values,
        )
        answer = _compressed(request, HTMLResponse(text, status))
        if flash is not None:
            answer.delete_cookie(
                FLASH_COOKIE, path="/", secure=self.hosts.secure, httponly=True, samesite="strict"
            )
        return answer

    def has(self, path: str) -> bool:
        """
        Tell whether there is a page to link to, or one of its family.
        """
        return any(path == place.path or path.startswith(f"{place.path}/") for place in self._places)

    def announce(self, answer: Response, flash: Flash) -> None:
        """
        Let the next page show a message.
        """
        content = urlsafe_b64encode(json.encode([flash.tone, flash.text[:LONGEST_FLASH]])).decode()
        answer.set_cookie(
            FLASH_COOKIE,
            f"{content}.{self.access.form_token('flash ' + content)}",
            max_age=FLASH_SECONDS,
            path="/",
            secure=self.hosts.secure,
            httponly=True,
            samesite="strict",
        )

    def _flash(self, request: Request) -> Flash | None:
        """
        Return the message for this page; a part of a page that refreshes itself leaves it to whole pages.
        """
        if "hx-request" in request.headers and "hx-boosted" not in request.headers:
            return None
        content, _, proof = request.cookies.get(FLASH_COOKIE, "").partition(".")
        if not content or not self.access.is_own_form("flash " + content, proof):
            return None
        try:
            tone, text = json.decode(urlsafe_b64decode(content), type=tuple[Tone, str])
        except (MsgspecError, Base64Error, ValueError):
            return None
        return Flash(tone, text)


def console_of(request: Request) -> Console:
    """
    Return the console that a request came to.
    """
    console: Console = request.state.console
    return console


def service_of(request: Request) -> Service:
    """
    Return the service whose console a request came to.
    """
    return console_of(request).service


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """
    Answer with a page.

    Besides the values, a template knows: ``user`` (the caller) and ``may(role)``, ``form_token``, ``path`` and ``query`` of
    the request, ``now`` (Unix seconds), ``age(moment)``, ``asset(name)``, and the filters of ``shown``.
    """
    return console_of(request).page(request, template, status, values)


def _may(caller: Caller | None, role: Role | str) -> bool:
    return caller is not None and caller.role.includes(Role(role))


def _grouped(places: Iterable[Place]) -> list[tuple[str, list[Place]]]:
    return [(group, list(found)) for group, found in groupby(places, attrgetter("group"))]


def _environment(assets: Assets) -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # whatever a template's name ends with
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["asset"] = assets.address
    for name in ("absolute", "machine", "span", "count", "rate", "size", "share", "coded"):
        made.filters[name] = getattr(shown, name)
    made.filters["visible"] = visible
    return made


def _compressed(request: Request, page: Response) -> Response:
    """
    Compress a page. Session cookies are not sent by other sites' requests, so its length tells a stranger nothing.
    """
    body = bytes(page.body)
    if len(body) < WORTH_COMPRESSING_BYTES or not accepts_gzip(request):
        return page
    page.body = igzip.compress(body, 1, mtime=0)
    page.headers["content-length"] = str(len(page.body))
    page.headers["content-encoding"] = "gzip"
    page.headers["vary"] = "accept-encoding"
    return page
