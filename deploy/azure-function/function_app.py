"""
OneLogin Connector as an Azure Functions app: what Azure calls, each a line that hands over to the package.

An existing deployment of Microsoft's function keeps its address: the route ``api/OneLoginWebhooksTrigger`` takes requests
with and without ``?code=``, since it is the bearer token that is checked.
"""

import os

import azure.functions as func

from onelogin_connector.serverless.building import start
from onelogin_connector.sources.webhook import Answer

EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""So that a wrong one is refused with a sentence, and not by a page of the platform's."""

app = func.FunctionApp()
front = start(os.environ)


def response(answer: Answer) -> func.HttpResponse:
    """
    Return an answer in the form that Azure Functions wants.
    """
    kind = answer.headers.get("content-type")
    return func.HttpResponse(answer.body, status_code=answer.status, headers=answer.headers, mimetype=kind)


async def received(request: func.HttpRequest, connector: str = "") -> func.HttpResponse:
    """
    Take one webhook request in.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    return response(await front.webhook(request.method or "", headers, request.get_body(), connector))


@app.function_name(name="OneLoginWebhooksTrigger")
@app.route(route="api/OneLoginWebhooksTrigger", methods=EVERY_METHOD, auth_level=func.AuthLevel.ANONYMOUS)
async def webhook(req: func.HttpRequest) -> func.HttpResponse:
    """
    Receive at the address of Microsoft's function.
    """
    return await received(req)


@app.function_name(name="Webhook")
@app.route(route="webhook/{connector}", methods=EVERY_METHOD, auth_level=func.AuthLevel.ANONYMOUS)
async def webhook_of(req: func.HttpRequest) -> func.HttpResponse:
    """
    Receive at the address that the server of this project has.
    """
    return await received(req, req.route_params.get("connector", ""))


@app.function_name(name="Health")
@app.route(route="healthz", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """
    Say whether events are taken in.
    """
    return response(await front.health())


@app.function_name(name="Status")
@app.route(route="api/status", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
async def status(req: func.HttpRequest) -> func.HttpResponse:
    """
    Say how much waits, and why; needs the app's master key.
    """
    return response(await front.status())


@app.function_name(name="DeadLetters")
@app.route(route="api/dead-letters", methods=["GET", "POST"], auth_level=func.AuthLevel.ADMIN)
async def dead_letters(req: func.HttpRequest) -> func.HttpResponse:
    """
    List dead letters, replay or discard them, or resume the sink; needs the app's master key.
    """
    return response(await (front.act(req.get_body()) if req.method == "POST" else front.letters()))


@app.function_name(name="Drain")
@app.timer_trigger(schedule="*/15 * * * * *", arg_name="timer", run_on_startup=False, use_monitor=False)
async def drain(timer: func.TimerRequest) -> None:
    """
    Bring what was received to its destination. It may be called at any time and by several: a lease lets one in.
    """
    await front.drain()
