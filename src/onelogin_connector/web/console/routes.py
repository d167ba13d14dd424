"""
What a page family declares, and how a request reaches it.

A *view* is one value shown twice: as a page for people, as JSON for programs. An *act* changes something, and is
called in the same two ways. Roles, form tokens, the audit log and the answers are seen to here, once, so that no page
can forget them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_origin
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct, ValidationError, convert, structs
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onelogin_connector.errors import ConnectorError
from onelogin_connector.web.access import COOKIE, Role, caller_of
from onelogin_connector.web.answers import HttpError, json
from onelogin_connector.web.console.base import Flash, Given, Place, Tone, console_of
from onelogin_connector.web.console.parts import in_parts
from onelogin_connector.web.reading import body_of, read

LARGEST_FORM_BYTES = 262_144
MOST_FIELDS = 2_000  # a bulk form has one for each row


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """
    What an act takes that needs no more than its address.
    """


class Fields(Struct, frozen=True):
    """
    What an act takes that reads the fields of its form by itself, since which there are depends.
    """

    fields: dict[str, list[str]]
    """Name → values, in the order in which they were sent."""


class Done(Struct, frozen=True):
    """
    What came of an act.
    """

    message: str
    """For people, shown on the next page."""
    location: str = ""
    """The page to go to; the act's ``back`` when empty."""
    target: str = ""
    """What was acted on, for the audit log; the ``id`` of the address when empty."""
    tone: Tone = "ok"
    result: Any = None
    """What a program gets beside the message."""
    fields: list[str] | None = None
    """Names of what was entered anew, for the audit log, which holds no values; None where nothing is entered."""


class Acted(Struct, frozen=True):
    """
    What a program is told of an act.
    """

    message: str
    result: Any = None


@dataclass(frozen=True, slots=True)
class View:
    """
    A page and its JSON twin, both made of the same value.
    """

    path: str
    """Of the page."""
    twin: str
    """Of the JSON, below ``/api/v1``."""
    template: str
    """Gets the value as ``view``."""
    shows: type[Struct]
    """Type of the value, for OpenAPI."""
    data: Callable[[Request], Awaitable[Any]]
    role: Role = Role.VIEWER
    also: Callable[[Request, Any], dict[str, Any]] | None = None
    """Gives the page what programs have no use for: words, the choices of a filter."""
    asks: tuple[tuple[str, str], ...] = ()
    """What its query string may hold: name and meaning, for OpenAPI."""
    title: str = ""
    """In the navigation; a page without a title is reached from another."""
    icon: str = "dot"
    group: str = ""

    @property
    def place(self) -> Place | None:
        """
        Its entry in the navigation.
        """
        return Place(self.title, self.path, self.icon, self.group, self.role) if self.title else None


@dataclass(frozen=True, slots=True)
class Download:
    """
    Something else to get by a browser: an export, a part of a page, a stream.
    """

    path: str
    call: Callable[[Request], Awaitable[Response]]
    role: Role = Role.VIEWER


@dataclass(frozen=True, slots=True)
class Act:
    """
    Something that changes something: ``POST`` of a form for people, of JSON for programs.
    """

    path: str
    """Of the form; the JSON goes to the same path below ``/api/v1``."""
    deed: str
    """The audit log's word, such as ``connector_stopped``."""
    call: Callable[[Request, Any], Awaitable[Done | Response]]
    """Gets the body, read and checked. An answer of its own (a form with its mistakes) changed nothing."""
    role: Role = Role.OPERATOR
    takes: type[Struct] = Nothing
    twin: bool = True
    """Whether programs may do it in this way, too; not where an older endpoint does the same."""
    back: str = "/"
    """Where a form returns to; may name parts of the path as ``{id}``."""


Entry = View | Act | Download


def routes(entries: Sequence[Entry]) -> list[Route]:
    """
    Return the routes of pages, acts and their twins.
    """
    made: list[Route] = []
    for entry in entries:
        if isinstance(entry, View):
            made.append(Route(entry.path, _page(entry), methods=["GET"]))
            if entry.twin:
                made.append(Route(f"/api/v1{entry.twin}", _twin(entry), methods=["GET"]))
        elif isinstance(entry, Act):
            made.append(Route(entry.path, _form(entry), methods=["POST"]))
            if entry.twin:
                made.append(Route(f"/api/v1{entry.path}", _call(entry), methods=["POST"]))
        else:
            made.append(Route(entry.path, _download(entry), methods=["GET"]))
    return made


def require(request: Request, role: Role) -> None:
    """
    Refuse a caller who may not do this.

    Raises:
        HttpError: The role is not enough.
    """
    caller = caller_of(request)
    if not caller.role.includes(role):
        raise HttpError(
            "not-permitted",
            f"{caller.name} is {caller.role}; this needs the role {role}.",
            action="Ask an admin for that role.",
        )


def _page(view: View) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        require(request, view.role)
        console = console_of(request)

        async def text(given: Given) -> str:
            value = await view.data(request)
            more = view.also(request, value) if view.also else {}
            return await console.written_aside(view.template, given, {"view": value, **more})

        return await in_parts(request, view.template, text)

    return call


def _twin(view: View) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        require(request, view.role)
        return json(await view.data(request))

    return call


def _download(download: Download) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        require(request, download.role)
        return await download.call(request)

    return call


def _form(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        require(request, act.role)
        fields = await fields_of(request)
        console = console_of(request)
        cookie = request.cookies.get(COOKIE, "")
        own = console.access.is_own_form(cookie, fields.pop("form", [""])[-1])
        if caller_of(request).by_session and not own:
            raise HttpError(
                "not-permitted", "The form was too old.", action="Go back, load it again, and repeat."
            )
        back = _local(fields.pop("back", [""])[-1]) or act.back.format(**request.path_params)
        try:
            done = await _carried_out(act, request, shaped(fields, act.takes))
        except HttpError as error:
            if error.kind in {"not-found", "not-permitted"}:
                raise
            flash = Flash("error", f"{error.message} {error.action}")
        except ConnectorError as error:
            flash = Flash("error", f"{error.message} {error.action}")
        else:
            if isinstance(done, Response):
                return done
            flash, back = Flash(done.tone, done.message), done.location or back
        answer = RedirectResponse(back, 303)
        console.announce(answer, flash)
        return answer

    return call


def _call(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        require(request, act.role)
        values = act.takes() if act.takes is Nothing else await read(request, act.takes)
        done = await _carried_out(act, request, values)
        if isinstance(done, Response):
            return done
        return json(Acted(done.message, done.result))

    return call


async def _carried_out(act: Act, request: Request, values: Any) -> Done | Response:
    done = await act.call(request, values)
    if isinstance(done, Done):
        target = done.target or str(request.path_params.get("id", ""))
        detail = {} if done.fields is None else {"fields": done.fields}
        console_of(request).access.note(caller_of(request).name, act.deed, target, **detail)
    return done


async def fields_of(request: Request) -> dict[str, list[str]]:
    """
    Return the fields of a form as they were sent; a name may come several times.

    Raises:
        HttpError: It is no form, or too large.
    """
    body = await body_of(request, LARGEST_FORM_BYTES)
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise HttpError("invalid-input", "The form cannot be read.", action="Load the page again.") from error


def shaped(fields: dict[str, list[str]], type: Any) -> Any:
    """
    Return a form's fields as a struct; an empty field is one that was left out.

    Raises:
        HttpError: A value does not fit.
    """
    if type is Fields:
        return Fields(fields)
    lists = {
        field.encode_name for field in structs.fields(type) if (get_origin(field.type) or field.type) is list
    }
    plain = {
        name: values if name in lists else values[-1]
        for name, values in fields.items()
        if name in lists or values[-1] != ""
    }
    try:
        return convert(plain, type, strict=False)
    except ValidationError as error:
        raise HttpError("invalid-input", f"The form does not fit: {error}.", action="Correct it.") from error


def _local(address: str) -> str:
    """
    Return an address if it is a page of this server, else nothing.
    """
    parts = urlsplit(address)
    is_path = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_path and not parts.scheme and not parts.netloc else ""
