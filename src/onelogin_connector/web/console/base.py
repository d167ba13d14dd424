"""
What every page stands on: templates, navigation, the banner of alarms, flash messages, form tokens.

Templates escape what they are given, always, and fail on a name that is not there. A page works without script;
script only makes it livelier. There is no inline script, and no style but the sheets of ``assets``: the content
security policy would refuse them.
"""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from isal import igzip
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup
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

T = TypeVar("T")

TEMPLATES = Path(__file__).parents[1] / "templates"

FLASH_COOKIE = "onelogin_connector_flash"
FLASH_SECONDS = 60  # between a redirect and the page it leads to
LONGEST_FLASH = 1_000  # characters; a cookie holds 4 kB

WORTH_COMPRESSING_BYTES = 1_400  # less fits one packet

LONGEST_GIVING_WAY_SECONDS = 0.1
"""How long a page gives way to intake in all, however much there is to take in."""

CONTENT = '<main id="main" tabindex="-1">'
"""Where a page's own content begins, in ``layout.html``; no text of others stands before it."""

POLICY = (
    "default-src 'none'; style-src {styles}; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""What a page may load and do."""

Given = Mapping[str, Any]
"""What every template knows."""

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
        self._policy = POLICY.format(styles=self.assets.style_sources)
        self._places = places
        self._templates = _environment(self.assets)
        self._rendering = ThreadPoolExecutor(1, "rendering")

    def page(self, request: Request, template: str, status: int, values: dict[str, Any]) -> Response:
        """
        Return a rendered template.
        """
        given = self.given(request)
        return self.answer(request, given, self.written(template, given, values), status)

    def given(self, request: Request) -> Given:
        """
        Return what every template knows, as it is now.
        """
        caller: Caller | None = getattr(request.state, "caller", None)
        now = self.service.clock()
        return {
            "user": caller,
            "may": partial(_may, caller),
            "form_token": self.access.form_token(request.cookies.get(COOKIE, "")),
            "navigation": _grouped(place for place in self._places if _may(caller, place.role)),
            "part": is_part(request),
            "path": request.url.path,
            "query": request.url.query,
            "alarms": self.service.alarms.standing() if caller else [],
            "has": self.has,
            "flash": self._flash(request),
            "version": __version__,
            "now": now,
            "age": partial(shown.ago, now=now),
            "lasting": partial(shown.lasting, now=now),
        }

    async def written_aside(self, template: str, given: Given, values: dict[str, Any]) -> str:
        """
        Render in a thread of its own, piece by piece, so that whoever sends events waits for a piece and not for all.
        """
        return await self.aside(self._written_giving_way, template, given, values)

    async def aside(self, make: Callable[..., T], *args: Any) -> T:
        """
        Make something of a page in the thread that renders.
        """
        return await asyncio.get_running_loop().run_in_executor(self._rendering, make, *args)

    def frame(self, template: str, given: Given) -> str | None:
        """
        Return a page up to and with the tag that its content begins with; None where its head tells of the content.

        Args:
            template: Of the page; its frame has its title, style and script.
        """
        page = self._templates.get_template(template)
        blocks: dict[str, Markup] = {}
        try:
            for name in ("title", "head"):
                block = page.blocks.get(name)
                pieces = block(page.new_context(dict(given))) if block else ()
                blocks[name] = Markup("").join(map(Markup, pieces))
        except UndefinedError:
            return None
        text = self.written("frame.html", given, blocks)
        return text[: text.index(CONTENT) + len(CONTENT)]

    def answer(self, request: Request, given: Given, text: str, status: int = 200) -> Response:
        """
        Return an answer of a page that is whole.
        """
        return self.finished(given, _compressed(request, HTMLResponse(text, status)))

    def finished(self, given: Given, answer: Response) -> Response:
        """
        Give an answer the headers of a page; the message that it shows is shown once.
        """
        answer.headers["content-security-policy"] = self._policy
        if given["flash"] is not None:
            answer.delete_cookie(
                FLASH_COOKIE, path="/", secure=self.hosts.secure, httponly=True, samesite="strict"
            )
        return answer

    async def compile(self) -> None:
        """
        Compile all templates, one after another, so that nobody who asks for a page waits for it.
        """
        for name in self._templates.list_templates():
            await asyncio.to_thread(self._templates.get_template, name)

    def written(self, template: str, given: Given, values: dict[str, Any]) -> str:
        """
        Return a template's text.
        """
        return self._templates.get_template(template).render(**given, **values)

    def _written_giving_way(self, template: str, given: Given, values: dict[str, Any]) -> str:
        right_of_way = self.service.right_of_way
        patience = LONGEST_GIVING_WAY_SECONDS
        pieces: list[str] = []
        for piece in self._templates.get_template(template).generate(**given, **values):
            pieces.append(piece)
            if right_of_way.is_taken and patience > 0:
                patience -= right_of_way.let_pass(patience)
        return "".join(pieces)

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
        if is_part(request):
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
    the request, whether script asks for a ``part`` of the page, ``now`` (Unix seconds), ``age(moment)``, ``asset(name)``,
    ``style(name)``, ``picture(name)``, and the filters of ``shown``.
    """
    return console_of(request).page(request, template, status, values)


def is_part(request: Request) -> bool:
    """
    Tell whether script asks for a piece of the page.
    """
    return "hx-request" in request.headers and "hx-boosted" not in request.headers


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
    made.globals.update(asset=assets.address, style=assets.style, picture=assets.picture)
    for name in (
        "absolute",
        "machine",
        "span",
        "count",
        "counted",
        "rate",
        "size",
        "share",
        "points",
        "coded",
    ):
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
