"""
``/api/v1/sinks``: what the console does with sinks, for programs.
"""

from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.errors import ConfigError
from onelogin_connector.plural import counted
from onelogin_connector.service import sink_checkpoints
from onelogin_connector.service.connecting import run_shown
from onelogin_connector.service.sink_wanted import WantedSink
from onelogin_connector.web.access import caller_of
from onelogin_connector.web.answers import HttpError, json
from onelogin_connector.web.api import Api
from onelogin_connector.web.console.sinks import sink_of
from onelogin_connector.web.reading import read
from onelogin_connector.web.shapes import DeletedSink


async def make_sink(api: Api, request: Request) -> Response:
    """
    Make a sink, which gets events at once. It is tested too, which its `check` shows.
    """
    name, fields = await api.service.sinks.save(None, await read(request, WantedSink))
    _note(api, request, "sink_made", name, fields=fields)
    api.service.checks.begin_sink(name)
    return json(await sink_of(request, name), 201)


async def replace_sink(api: Api, request: Request) -> Response:
    """
    Change a sink that was made in the console. A secret that is left out stays, as long as where it is used does.
    """
    name = _found(api, request)
    _, fields = await api.service.sinks.save(name, await read(request, WantedSink))
    _note(api, request, "sink_changed", name, fields=fields)
    api.service.checks.begin_sink(name)
    return json(await sink_of(request, name))


async def remove_sink(api: Api, request: Request) -> Response:
    """
    Delete a paused sink that was made in the console, with its secrets; `?confirmed=true` if entries wait for it.
    """
    name = _found(api, request)
    unsent = sink_checkpoints.unsent(api.service, name)
    if unsent and request.query_params.get("confirmed") != "true":
        what = counted(unsent, "entry waits", "entries wait")
        raise ConfigError(
            f"{what} for the sink {name}, and would not be sent.",
            action="Add ?confirmed=true if it is meant.",
        )
    unsent = await api.service.sinks.remove(name)
    _note(api, request, "sink_deleted", name)
    return json(DeletedSink(name, unsent))


async def try_sink(api: Api, request: Request) -> Response:
    """
    Test what is sent without saving it; with `?sink=NAME` stored secrets serve, where they were entered for.
    """
    name = request.query_params.get("sink") or None
    if name is not None:
        api.service.sinks.require(name)
    wanted = await read(request, WantedSink)
    _note(api, request, "sink_tried", name or wanted.name[:80])
    run = await api.service.checks.begin_entered_sink(name, wanted)
    await run.done.wait()
    return json(run_shown(run))


def _found(api: Api, request: Request) -> str:
    name: str = request.path_params["id"]
    if name not in api.service.settings.sinks and api.service.sinks.made(name) is None:
        raise HttpError("not-found", f"There is no sink {name[:80]!r}.", action="See /api/v1/sinks.")
    return name


def _note(api: Api, request: Request, action: str, sink: str, **detail: object) -> None:
    api.access.note(caller_of(request).name, action, sink, **detail)
