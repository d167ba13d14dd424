"""
Connectors: the list, the form, the page of each with its set-ups, and their tests.
"""

import asyncio
from datetime import UTC
from html import escape
from typing import Any

from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from onelogin_connector.errors import ConfigError
from onelogin_connector.service.check_run import Run
from onelogin_connector.service.connecting import (
    CheckShown,
    ConnectorShown,
    ConnectorsShown,
    all_shown,
    run_shown,
    shown,
    webhook_shown,
)
from onelogin_connector.service.origin import require_editable
from onelogin_connector.service.wanted import LONGEST_NAME, FieldErrors
from onelogin_connector.web.access import Role, caller_of
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.console.base import Tone, console_of, is_part, render, service_of
from onelogin_connector.web.console.entered import LABELS, Entered, Form, form_of, mebibytes, wanted_of
from onelogin_connector.web.console.routes import Act, Done, Download, Entry, View
from onelogin_connector.web.reading import Rotation


class OneConnector(Struct, frozen=True, kw_only=True):
    """
    One connector, and where its webhook is reached.
    """

    connector: ConnectorShown
    listener_url: str
    is_public: bool
    """Whether OneLogin could reach that address."""
    new_token: str = ""
    """Shown once, right after it was made."""


def listener_url(request: Request, connector: str) -> str:
    """
    Return the address that OneLogin sends webhooks to, as far as it is known here.
    """
    public = service_of(request).settings.web.public_url
    base = str(public) if public else f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
    return f"{base}/webhook/{connector}"


def found(request: Request) -> str:
    """
    Return the connector that the address names.

    Raises:
        HttpError: There is none of that id.
    """
    connector: str = request.path_params["id"]
    if connector not in service_of(request).settings.connectors:
        raise HttpError("not-found", f"There is no connector {connector[:40]!r}.", action="See /connectors.")
    return connector


async def connectors(request: Request) -> ConnectorsShown:
    """
    Return every connector.
    """
    return await all_shown(service_of(request))


async def one(request: Request, new_token: str = "") -> OneConnector:
    """
    Return a connector with the address of its webhook.
    """
    connector = found(request)
    url = listener_url(request, connector)
    return OneConnector(
        connector=await shown(service_of(request), connector),
        listener_url=url,
        is_public=url.startswith("https://") and "//localhost" not in url and "//127." not in url,
        new_token=new_token,
    )


async def new_form(request: Request) -> Form:
    """
    Return an empty form.
    """
    usual = Entered(poll_seconds="60", overlap_minutes="10", api_budget_share="0.5", max_body="32")
    return form_of(service_of(request), usual)


async def derived_id(request: Request) -> Response:
    """
    Return the id that a connector of this name would have.
    """
    name = request.query_params.get("name", "").strip()[:LONGEST_NAME]
    text = f"/webhook/{service_of(request).connectors.id_for(name or 'onelogin')}"
    return HTMLResponse(f"<code>{escape(text)}</code>")


async def edit_form(request: Request) -> Form:
    """
    Return the form of a connector.

    Raises:
        HttpError: It stands in the settings file.
    """
    service, connector = service_of(request), found(request)
    try:
        require_editable(service.connectors.origin(connector), f"The connector {connector}")
    except ConfigError as error:
        raise HttpError("conflict", error.message, action=error.action) from error
    settings = service.settings.connectors[connector]
    made = service.connectors.made(connector)
    entered = Entered(
        connector=connector,
        name=settings.name if made else "",
        description=settings.description,
        domain=settings.domain or "",
        client_id=made.client_id if made else "",
        api_url=settings.api_url or "",
        poll_seconds=f"{settings.poll_seconds:g}",
        overlap_minutes=f"{settings.overlap_minutes:g}",
        start=f"{settings.start.astimezone(UTC):%Y-%m-%dT%H:%M}" if settings.start else "",
        time_rule=settings.time_rule,
        poll_delay_seconds="" if settings.poll_delay_seconds is None else f"{settings.poll_delay_seconds:g}",
        api_budget_share=f"{settings.api_budget_share:g}",
        allowed_networks="\n".join(settings.allowed_networks),
        max_body=mebibytes(settings.max_body),
    )
    return await asyncio.to_thread(form_of, service, entered)


async def save(request: Request, entered: Entered) -> Done | Response:
    """
    Make or change a connector, and begin to test it.
    """
    service = service_of(request)
    connector = found(request) if "id" in request.path_params else None
    entered = structs.replace(entered, connector=connector or "")
    try:
        name, fields = await service.connectors.save(connector, wanted_of(entered))
    except FieldErrors as error:
        form = await asyncio.to_thread(form_of, service, entered, error.fields)
        return render(request, "connectors_form.html", status=422, view=form)
    service.checks.begin(name)
    words = "is saved" if connector else "is made"
    text = f"The connector {entered.name.strip()} {words}. It is tested now."
    return Done(text, f"/connectors/{name}", name, fields=fields)


async def test(request: Request, entered: Entered) -> Response:
    """
    Try what is entered, without saving it.
    """
    service = service_of(request)
    caller, connector = caller_of(request), entered.connector or None
    if connector is not None and connector not in service.settings.connectors:
        raise HttpError("not-found", "This connector was deleted.", action="See /connectors.")
    console_of(request).access.note(caller.name, "connector_tried", connector or entered.name[:80])
    try:
        run = service.checks.begin_entered(connector, wanted_of(entered))
    except FieldErrors as error:
        return render(request, _part(request), run=refused(error), finished=True)
    return await _watched(request, run)


def refused(error: FieldErrors) -> CheckShown:
    """
    Return the check of what cannot even be tried.
    """
    text = " ".join(f"{LABELS.get(name, name)}: {what}" for name, what in error.fields.items())
    run = Run("", ("Configuration",), at=0.0)
    check = run_shown(run)
    return structs.replace(
        check, ok=False, running=False, headline=f"Configuration Stage: {text}", planned=[]
    )


async def check(request: Request, _nothing: Any) -> Done | Response:
    """
    Test a connector as it is saved.
    """
    service, connector = service_of(request), found(request)
    run = service.checks.begin(connector)
    if is_part(request):
        console_of(request).access.note(caller_of(request).name, "connector_tested", connector)
        return render(request, "connectors_check.html", run=run_shown(run), finished=False)
    await run.done.wait()
    result = run_shown(run)
    tone: Tone = "error" if not result.ok else "ok" if result.proven else "info"
    return Done(result.headline, f"/connectors/{connector}", connector, tone=tone)


async def progress(request: Request) -> Response:
    """
    Return the stages of a running check that are done so far.
    """
    run = service_of(request).checks.run_of(request.path_params["run"])
    if run is None:
        raise HttpError("not-found", "This test is not remembered any more.", action="Test again.")
    return render(request, "connectors_check.html", run=run_shown(run), finished=run.done.is_set())


async def arrival(request: Request) -> Response:
    """
    Return whether the first webhook has come.
    """
    connector = found(request)
    webhook = webhook_shown(service_of(request), connector)
    return render(request, "connectors_arrival.html", webhook=webhook, connector=connector)


async def new_token(request: Request, rotation: Rotation) -> Response:
    """
    Make a webhook token, and show it this once.
    """
    service, connector = service_of(request), found(request)
    token = service.new_webhook_token(connector, revoke_old=rotation.revoke_old)
    console_of(request).access.note(caller_of(request).name, "webhook_token_made", connector)
    return render(request, "connectors_one.html", view=await one(request, token))


async def end_older_tokens(request: Request, _nothing: Any) -> Done:
    """
    Accept the newest webhook token alone.
    """
    service, connector = service_of(request), found(request)
    ended = service.end_older_tokens(connector)
    return Done("The newest token alone is accepted now." if ended else "There was one token only.")


async def _watched(request: Request, run: Run) -> Response:
    if is_part(request):
        return render(request, "connectors_check.html", run=run_shown(run), finished=False)
    await run.done.wait()
    return render(request, "connectors_test.html", run=run_shown(run), finished=True)


def _part(request: Request) -> str:
    return "connectors_check.html" if is_part(request) else "connectors_test.html"


ENTRIES: tuple[Entry, ...] = (
    View(
        "/connectors",
        "",
        "connectors.html",
        ConnectorsShown,
        connectors,
        title="Connectors",
        icon="plug",
        group="Collect",
    ),
    View("/connectors/new", "", "connectors_form.html", Form, new_form, role=Role.ADMIN),
    View("/connectors/{id}", "", "connectors_one.html", OneConnector, one),
    View("/connectors/{id}/edit", "", "connectors_form.html", Form, edit_form, role=Role.ADMIN),
    Download("/connectors/new/id", derived_id, role=Role.ADMIN),
    Download("/connectors/checks/{run}", progress),
    Download("/connectors/{id}/arrival", arrival),
    Act("/connectors", "connector_made", save, role=Role.ADMIN, takes=Entered, twin=False),
    Act("/connectors/test", "connector_tried", test, role=Role.ADMIN, takes=Entered, twin=False),
    Act("/connectors/{id}", "connector_changed", save, role=Role.ADMIN, takes=Entered, twin=False),
    Act("/connectors/{id}/check", "connector_tested", check, twin=False, back="/connectors/{id}"),
    Act(
        "/connectors/{id}/token",
        "webhook_token_made",
        new_token,
        role=Role.ADMIN,
        takes=Rotation,
        twin=False,
        back="/connectors/{id}",
    ),
    Act(
        "/connectors/{id}/end-older-tokens",
        "webhook_tokens_ended",
        end_older_tokens,
        role=Role.ADMIN,
        back="/connectors/{id}",
    ),
)
