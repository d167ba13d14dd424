"""
``/api/v1/connectors``: what the console does with connectors, for programs.
"""

from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.service.connecting import all_shown, run_shown, shown
from onelogin_connector.service.wanted import Wanted
from onelogin_connector.web.access import caller_of
from onelogin_connector.web.answers import HttpError, json
from onelogin_connector.web.api import Api
from onelogin_connector.web.reading import read
from onelogin_connector.web.shapes import DeletedConnector


async def connectors(api: Api, _request: Request) -> Response:
    """
    Return each connector: its settings without secrets, its state, its latest test, its webhook.
    """
    return json((await all_shown(api.service)).connectors)


async def connector(api: Api, request: Request) -> Response:
    """
    Return one connector.
    """
    return json(await shown(api.service, _found(api, request)))


async def make_connector(api: Api, request: Request) -> Response:
    """
    Make a connector; its id is derived from its name. It is tested at once, which its `check` shows.
    """
    wanted = await read(request, Wanted)
    connector, fields = await api.service.connectors.save(None, wanted)
    _note(api, request, "connector_made", connector, fields=fields)
    api.service.checks.begin(connector)
    return json(await shown(api.service, connector), 201)


async def replace_connector(api: Api, request: Request) -> Response:
    """
    Change a connector that was made in the console. Without `client_secret` the stored one stays, if the host does.
    """
    connector = _found(api, request)
    wanted = await read(request, Wanted)
    _, fields = await api.service.connectors.save(connector, wanted)
    _note(api, request, "connector_changed", connector, fields=fields)
    api.service.checks.begin(connector)
    return json(await shown(api.service, connector))


async def remove_connector(api: Api, request: Request) -> Response:
    """
    Delete a stopped connector that was made in the console, with its secret and tokens; its events stay.
    """
    connector = _found(api, request)
    await api.service.connectors.remove(connector, actor=caller_of(request).name)
    _note(api, request, "connector_deleted", connector)
    return json(DeletedConnector(connector))


async def try_connector(api: Api, request: Request) -> Response:
    """
    Test what is sent without saving it; with `?connector=ID` the stored secret serves, if the host is its own.
    """
    connector = request.query_params.get("connector") or None
    if connector is not None:
        api.service.require_connector(connector)
    wanted = await read(request, Wanted)
    run = api.service.checks.begin_entered(connector, wanted)
    _note(api, request, "connector_tried", connector or wanted.name[:80])
    await run.done.wait()
    return json(run_shown(run))


def _found(api: Api, request: Request) -> str:
    connector: str = request.path_params["id"]
    if connector not in api.service.settings.connectors:
        raise HttpError(
            "not-found", f"There is no connector {connector[:40]!r}.", action="See /api/v1/connectors."
        )
    return connector


def _note(api: Api, request: Request, action: str, connector: str, **detail: object) -> None:
    api.access.note(caller_of(request).name, action, connector, **detail)
