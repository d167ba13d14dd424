"""
Sinks: how each destination stands, its check, its backlog and throughput, and what a person can do about it.
"""

from typing import Any

from msgspec import Struct, UnsetType, convert, structs, to_builtins
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.delivery import Delivery
from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.plural import counted
from onelogin_connector.service import Service
from onelogin_connector.service.check_run import headline, is_proven
from onelogin_connector.service.collection import SinkRow
from onelogin_connector.service.connecting import CheckShown, run_shown
from onelogin_connector.service.origin import Origin
from onelogin_connector.service.refills import Refill
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.setting import Secret, settings_of
from onelogin_connector.state import Check
from onelogin_connector.status import Stage
from onelogin_connector.web.access import caller_of
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.console.base import console_of, is_part, render, service_of
from onelogin_connector.web.console.routes import Act, Done, Entry, View
from onelogin_connector.web.console.shown import count


class ShownSetting(Struct, frozen=True):
    """
    One setting of a sink, with its value as people may see it.
    """

    name: str
    value: str
    """A secret shows where it comes from, never itself."""
    unit: str
    description: str
    is_default: bool


class LatestCheck(Struct, frozen=True):
    """
    What the latest check of a sink found.
    """

    ok: bool
    at: float
    """Unix seconds."""
    stages: list[dict[str, Any]]
    headline: str
    proven: bool
    """Whether the destination was seen to answer."""


class SinkView(Struct, frozen=True, kw_only=True):
    """
    One destination with everything that is known of it.
    """

    row: SinkRow
    origin: Origin
    editable: bool
    """Whether the console may change it."""
    enabled: bool
    paused_by: str
    """Who paused it; empty where no person did. Such a pause lasts over restarts."""
    entered: WantedSink | None
    """What was entered in the console, without secrets; None for what the settings file defines."""
    check: LatestCheck | None
    run: CheckShown | None
    """The check that goes on at the moment."""
    refill: Refill | None
    can_refill: bool
    """There is a store to read from, and something is owed."""
    settings: list[ShownSetting]


class SinksView(Struct, frozen=True):
    """
    Every sink.
    """

    sinks: list[SinkView]


class Sure(Struct, frozen=True, forbid_unknown_fields=True):
    """
    That somebody means what cannot be taken back.
    """

    confirmed: bool = False


def deleting(_request: Request, view: SinkView) -> dict[str, str]:
    """
    Return what goes with a sink that is deleted, and what stays: the question before it.
    """
    row, said = view.row, []
    if row.backlog:
        which = (
            "The event that waits for it is"
            if row.backlog == 1
            else f"The {count(row.backlog)} events that wait for it are"
        )
        said.append(f"{which} not sent.")
    if row.owed:
        which = (
            "The event that it is owed is"
            if row.owed == 1
            else f"The {count(row.owed)} events that it is owed are"
        )
        said.append(f"{which} not sent either." if row.backlog else f"{which} not sent.")
    said.append(
        "Its settings, secrets, figures and place in the journal go for ever: one made later under its name begins anew."
    )
    said.append("What it has sent stays where it is.")
    if row.dead_letters:
        said.append("So do its dead letters; they can be sent again once there is a sink of this name.")
    return {"deleting": " ".join(said)}


async def sinks(request: Request) -> SinksView:
    """
    Return every sink.
    """
    service = service_of(request)
    rows = {row.name: row for row in (await service.collecting.stand()).sinks}
    checks = {each.target: _latest(each) for each in service.state.checks() if each.target in rows}
    return SinksView([_sink(service, row, checks.get(name)) for name, row in rows.items()])


def _latest(check: Check) -> LatestCheck:
    stages = [convert(stage | {"stage": stage["stage"].title()}, Stage) for stage in check.stages]
    return LatestCheck(check.ok, check.at, check.stages, headline(stages), is_proven(stages))


async def sink(request: Request) -> SinkView:
    """
    Return one sink.

    Raises:
        HttpError: There is none of that name.
    """
    return await sink_of(request, request.path_params["id"])


async def sink_of(request: Request, name: str) -> SinkView:
    """
    Return one sink.

    Raises:
        HttpError: There is none of that name.
    """
    found = next((each for each in (await sinks(request)).sinks if each.row.name == name), None)
    if found is None:
        raise HttpError("not-found", f"There is no sink {name[:80]!r}.", action="Look at /sinks.")
    return found


def _sink(service: Service, row: SinkRow, check: LatestCheck | None) -> SinkView:
    own = service.settings.sinks[row.name]
    running = service.checks.running(row.name)
    kind, pause, origin = own.kind, service.sinks.pause_of(row.name), service.sinks.origin(row.name)
    return SinkView(
        row=row,
        origin=origin,
        editable=origin is Origin.CONSOLE,
        enabled=own.enabled,
        paused_by=pause.actor if pause else "",
        entered=service.sinks.made(row.name),
        check=check,
        run=None if running is None else run_shown(running),
        refill=service.refills.of(row.name),
        can_refill=bool(row.owed) and service.store is not None and kind != "store",
        settings=_settings(service, row.name),
    )


def _settings(service: Service, name: str) -> list[ShownSetting]:
    own = service.settings.sinks[name]
    common = [
        ShownSetting("enabled", _value(own.enabled), "", "Whether anything is sent to it.", own.enabled),
        ShownSetting(
            "backlog_limit",
            "none" if own.backlog_limit is None else _value(own.backlog_limit),
            "events",
            "With more waiting, the sink is detached, and intake goes on.",
            own.backlog_limit is None,
        ),
        ShownSetting(
            "pause_after_refusals",
            _value(own.pause_after_refusals),
            "events",
            "So many refused in a row, with none accepted between, pause the sink.",
            own.pause_after_refusals == 100,
        ),
    ]
    return common + [
        ShownSetting(
            each.name,
            _value(getattr(own.settings, each.name)),
            each.unit,
            each.description,
            not each.required and getattr(own.settings, each.name) == each.default,
        )
        for each in settings_of(type(own.settings))
    ]


def _value(value: Any) -> str:
    if value in (None, "") or isinstance(value, UnsetType):
        return "none"
    if isinstance(value, Secret):
        return f"secret, from {_place(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Struct):
        return ", ".join(f"{name} = {_value(part)}" for name, part in structs.asdict(value).items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(part) for part in value) or "none"
    return str(value)


def _place(secret: Secret) -> str:
    match secret.reference:
        case None:
            return "the console"
        case ("demo", _):
            return "the demo"
    return " ".join(secret.reference)


def _delivery(request: Request) -> Delivery:
    id, service = request.path_params["id"], service_of(request)
    if id not in service.settings.sinks:
        raise HttpError("not-found", f"There is no sink {id[:80]!r}.", action="Look at /sinks.")
    return service.sinks.running(id)


async def pause(request: Request, _values: Any) -> Done:
    """
    Send nothing more until a person resumes the sink, over restarts too; what comes waits in the journal.
    """
    _delivery(request)
    await service_of(request).sinks.pause(request.path_params["id"], actor=caller_of(request).name)
    return Done(f"{request.path_params['id']} is paused. What comes meanwhile waits in the journal.")


async def resume(request: Request, _values: Any) -> Done:
    """
    Go on at once, also out of a wait between attempts.
    """
    _delivery(request)
    await service_of(request).sinks.resume(request.path_params["id"])
    return Done(f"{request.path_params['id']} goes on.")


async def refill(request: Request, _values: Any) -> Done:
    """
    Send what the sink is owed, from the store; goes on by itself.
    """
    _delivery(request)
    service_of(request).refills.begin(request.path_params["id"])
    return Done(f"{request.path_params['id']} is being refilled from the store.")


async def waive(request: Request, values: Sure) -> Done:
    """
    Give up what the sink is owed, for ever.
    """
    delivery, id = _delivery(request), request.path_params["id"]
    if not values.confirmed:
        raise ConfigError(
            f"What {id} is owed would never be sent, and that was not confirmed.",
            action='Send {"confirmed": true} if it is meant.',
        )
    given_up = await delivery.waive()
    return Done(
        f"{counted(given_up, 'record is', 'records are')} given up for {id}.", result={"waived": given_up}
    )


async def check(request: Request, _values: Any) -> Done | Response:
    """
    Test the way to the destination.
    """
    id = request.path_params["id"]
    if id not in service_of(request).settings.sinks:
        raise HttpError("not-found", f"There is no sink {id[:80]!r}.", action="Look at /sinks.")
    if is_part(request):  # which asks for the stages as they are done
        console_of(request).access.note(caller_of(request).name, "sink_checked", id)
        run = service_of(request).checks.begin_sink(id)
        return render(request, "connectors_check.html", run=run_shown(run), finished=False)
    try:
        found = (await service_of(request).check([id]))[0]
    except ConnectorError as error:
        return Done(str(error), tone="error")
    failed = [stage for stage in found["stages"] if stage["state"] == "failed"]
    if failed:
        text = f"{failed[0]['stage']}: {failed[0]['message']} {failed[0]['action']}"
        return Done(text, tone="error", result=to_builtins(found))
    return Done(f"The check of {id} passed.", result=to_builtins(found))


ENTRIES: tuple[Entry, ...] = (
    View("/sinks", "/sinks", "sinks.html", SinksView, sinks, title="Sinks", icon="out", group="Deliver"),
    View("/sinks/{id}", "/sinks/{id}", "sinks_one.html", SinkView, sink, also=deleting),
    Act("/sinks/{id}/pause", "sink_paused", pause, back="/sinks/{id}"),
    Act("/sinks/{id}/resume", "sink_resumed", resume, back="/sinks/{id}"),
    Act("/sinks/{id}/refill", "sink_refilled", refill, back="/sinks/{id}"),
    Act("/sinks/{id}/waive", "sink_waived", waive, takes=Sure, back="/sinks/{id}"),
    Act("/sinks/{id}/check", "sink_checked", check, back="/sinks/{id}"),
)
