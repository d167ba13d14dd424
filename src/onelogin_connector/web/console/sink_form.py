"""
The form of a sink: which kinds there are, what one asks for, and its test before it is saved.

The fields come from the settings that the kind declares. Everything comes as text and is read at one place, so that
every mistake stands beside its field. A secret goes in and never comes out.
"""

import asyncio
from typing import Any

from msgspec import Struct, ValidationError, convert, structs
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.errors import ConfigError
from onelogin_connector.plural import counted
from onelogin_connector.service import Service
from onelogin_connector.service.check_run import Run
from onelogin_connector.service.connecting import CheckShown, run_shown
from onelogin_connector.service.delivering import STORE
from onelogin_connector.service.origin import require_editable
from onelogin_connector.service.sink_fields import (
    KindShown,
    all_kinds,
    entered_of,
    errors_of,
    kind_of,
    values_of,
    words_of,
)
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.service.wanted import FieldErrors
from onelogin_connector.sinks import registry
from onelogin_connector.web.access import Role, caller_of
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.console.base import console_of, is_part, render, service_of
from onelogin_connector.web.console.collection import Sure
from onelogin_connector.web.console.routes import Act, Done, Entry, Fields, View

COMMON = ("backlog_limit", "pause_after_refusals")
"""Fields of every sink that hold a number."""


class KindsView(Struct, frozen=True):
    """
    The kinds of sinks.
    """

    kinds: list[KindShown]


class SinkForm(Struct, frozen=True, kw_only=True):
    """
    The form as it is shown.
    """

    kind: KindShown
    sink: str
    """The one that is changed; empty for a new one."""
    values: dict[str, str]
    """Name of a field → text. Secrets show nothing."""
    errors: dict[str, str]
    secrets: list[str]
    """Paths of the secrets that are stored."""
    bound: str
    """What these belong to."""
    elsewhere: list[str] = []
    """What is wrong and belongs to no field of the form."""
    unusable: bool = False
    """It is kept, and gets nothing, because it cannot be used as it was entered."""
    again: bool = False
    """The form was sent before; secrets that were entered with it are not sent back."""


async def kinds(_request: Request) -> KindsView:
    """
    Return the kinds of sinks, with the fields of their forms.
    """
    return KindsView(all_kinds())


async def new_form(request: Request) -> SinkForm:
    """
    Return the empty form of a kind.

    Raises:
        HttpError: There is no such kind, or none can be made of it here.
    """
    kind = request.path_params["kind"]
    if kind not in registry.kinds() or kind == STORE or kind_of(kind).unusable:
        raise HttpError(
            "not-found", f"No sink of a kind {kind[:40]!r} can be made here.", action="See /sinks/new."
        )
    service = service_of(request)
    name = "" if kind in service.settings.sinks else kind
    return await asyncio.to_thread(_form, service, WantedSink(name=name, kind=kind), "")


async def edit_form(request: Request) -> SinkForm:
    """
    Return the form of a sink.

    Raises:
        HttpError: There is none of that name, or it stands in the settings file.
    """
    service, sink = service_of(request), request.path_params["id"]
    made = service.sinks.made(sink)
    if made is None and sink in service.settings.sinks:
        try:
            require_editable(service.sinks.origin(sink), f"The sink {sink}")
        except ConfigError as error:
            raise HttpError("conflict", error.message, action=error.action) from error
    if made is None:
        raise HttpError("not-found", f"There is no sink {sink[:80]!r}.", action="Look at /sinks.")
    return await asyncio.to_thread(_form, service, made, sink)


def _form(
    service: Service,
    wanted: WantedSink,
    sink: str,
    *,
    texts: dict[str, str] | None = None,
    wrong: dict[str, str] | None = None,
) -> SinkForm:
    """
    Return a form to be filled in, or filled in again.

    Args:
        texts: Of fields that were entered, and could not be read.
        wrong: What is wrong, by path.
    """
    kind, wrong = kind_of(wanted.kind), wrong or {}
    values = {
        "name": wanted.name,
        "enabled": "true" if wanted.enabled else "",
        "begin": wanted.begin,
        "backlog_limit": "" if wanted.backlog_limit is None else str(wanted.backlog_limit),
        "pause_after_refusals": str(wanted.pause_after_refusals),
    }
    own = {path: text for path, text in wrong.items() if path in values}
    placed = errors_of(kind.fields, wrong, wanted.settings)
    stored = service.state.sinks.secrets(sink) if sink else {}
    return SinkForm(
        kind=kind,
        sink=sink,
        values={**values, **values_of(kind.fields, wanted.settings), **(texts or {})},
        errors={**own, **placed},
        elsewhere=[text for path, text in wrong.items() if path not in own and text not in placed.values()],
        secrets=[*stored],
        bound=service.sinks.bound_to(sink) if stored else "",
        unusable=bool(sink) and sink not in service.settings.sinks,
        again=bool(wrong),
    )


def wanted_of(
    fields: dict[str, list[str]], kind: KindShown
) -> tuple[WantedSink, dict[str, str], dict[str, str]]:
    """
    Read what a form holds.

    Returns:
        The sink as far as it can be read, the numbers that cannot as they were entered, and what is wrong with them.
    """
    plain = {name: values[-1].strip() for name, values in fields.items()}
    texts: dict[str, str] = {}
    wrong: dict[str, str] = {}
    wanted = WantedSink(
        name=plain.get("name", ""),
        kind=kind.kind,
        enabled="enabled" in fields,
        begin="now" if plain.get("begin") == "now" else "held",
        settings=entered_of(kind.fields, fields),
    )
    for name in COMMON:
        if not plain.get(name):
            continue
        try:
            values: Any = {**structs.asdict(wanted), name: int(plain[name].replace(" ", ""))}
            wanted = convert(values, WantedSink)
        except (ValueError, ValidationError):
            texts[name] = plain[name]
            least = "1000" if name == "backlog_limit" else "1"
            wrong[name] = f"A whole number from {least} on."
    return wanted, texts, wrong


def _entered(
    request: Request, values: Fields
) -> tuple[str | None, WantedSink, dict[str, str], dict[str, str]]:
    """
    Return which sink a form is of, what it holds, and what of that cannot be read.
    """
    service, fields = service_of(request), values.fields
    sink = request.path_params.get("id") or fields.get("sink", [""])[-1] or None
    made = None if sink is None else service.sinks.made(sink)
    kind = made.kind if made else fields.get("kind", [""])[-1]
    if sink is not None and made is None and sink not in service.settings.sinks:
        raise HttpError("not-found", "This sink was deleted.", action="See /sinks.")
    if kind not in registry.kinds():
        raise HttpError(
            "invalid-input", "The form names no kind of sink.", action="Begin anew at /sinks/new."
        )
    wanted, texts, wrong = wanted_of(fields, kind_of(kind))
    if sink is not None:
        wanted = structs.replace(wanted, name=sink)
    return sink, wanted, texts, wrong


async def save(request: Request, values: Fields) -> Done | Response:
    """
    Make or change a sink, and begin to test it.
    """
    service = service_of(request)
    sink, wanted, texts, wrong = await asyncio.to_thread(_entered, request, values)
    try:
        if wrong:
            raise FieldErrors(wrong)
        name, fields = await service.sinks.save(sink, wanted)
    except FieldErrors as error:
        form = await asyncio.to_thread(
            _form, service, wanted, sink or "", texts=texts, wrong={**error.fields, **wrong}
        )
        return render(request, "sinks_form.html", status=422, view=form)
    service.checks.begin_sink(name)
    words = "is saved" if sink else "is made, and gets events from now on"
    return Done(f"The sink {name} {words}. It is tested now.", f"/sinks/{name}", name, fields=fields)


async def test(request: Request, values: Fields) -> Response:
    """
    Try what is entered, without saving it.
    """
    service = service_of(request)
    sink, wanted, _, wrong = await asyncio.to_thread(_entered, request, values)
    console_of(request).access.note(caller_of(request).name, "sink_tried", sink or wanted.name[:80])
    part = is_part(request)
    template = "connectors_check.html" if part else "connectors_test.html"
    try:
        if wrong:
            raise FieldErrors(wrong)
        run = await service.checks.begin_entered_sink(sink, wanted)
    except FieldErrors as error:
        return render(request, template, run=refused(error), finished=True)
    if part:
        return render(request, template, run=run_shown(run), finished=False)
    await run.done.wait()
    return render(request, template, run=run_shown(run), finished=True)


def refused(error: FieldErrors) -> CheckShown:
    """
    Return the check of what cannot even be tried.
    """
    text = " ".join(f"{words_of(name.rpartition('.')[2])}: {what}" for name, what in error.fields.items())
    check = run_shown(Run("", (), at=0.0))
    return structs.replace(check, ok=False, running=False, headline=f"Configuration Stage: {text}")


async def delete(request: Request, values: Sure) -> Done:
    """
    Delete a paused sink that was made in the console, with its secrets. What waits for it is not sent.

    Raises:
        ConfigError: Nobody confirmed it, or the sink is active.
    """
    sink = request.path_params["id"]
    if not values.confirmed:
        raise ConfigError(
            f"Deleting {sink} cannot be taken back, and was not confirmed.",
            action='Send {"confirmed": true} if it is meant.',
        )
    backlog = await service_of(request).sinks.remove(sink)
    unsent = counted(backlog, "event", "events")
    waiting = f" {unsent} waited for it, and {'is' if backlog == 1 else 'are'} not sent." if backlog else ""
    return Done(f"The sink {sink} is deleted.{waiting}", result={"backlog": backlog})


ENTRIES: tuple[Entry, ...] = (
    View("/sinks/new", "/sinks/kinds", "sinks_new.html", KindsView, kinds, role=Role.ADMIN),
    View("/sinks/new/{kind}", "", "sinks_form.html", SinkForm, new_form, role=Role.ADMIN),
    View("/sinks/{id}/edit", "", "sinks_form.html", SinkForm, edit_form, role=Role.ADMIN),
    Act("/sinks", "sink_made", save, role=Role.ADMIN, takes=Fields, twin=False, back="/sinks"),
    Act("/sinks/test", "sink_tried", test, role=Role.ADMIN, takes=Fields, twin=False, back="/sinks"),
    Act("/sinks/{id}", "sink_changed", save, role=Role.ADMIN, takes=Fields, twin=False, back="/sinks"),
    Act("/sinks/{id}/delete", "sink_deleted", delete, role=Role.ADMIN, takes=Sure, back="/sinks/{id}"),
)
"""Before those of ``sinks``: the words ``new`` and ``kinds`` are no names."""
