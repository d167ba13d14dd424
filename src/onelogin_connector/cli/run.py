"""
``run``: start the service, serve until a signal, stop within seconds.
"""

import asyncio
import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from onelogin_connector import __version__
from onelogin_connector.cli import DONE, FAILED, INTERRUPTED, WRONG_USAGE, say
from onelogin_connector.config import Settings
from onelogin_connector.service import Service, azure_demo, build, interpreter
from onelogin_connector.service.demo import Demo
from onelogin_connector.service.folder import holder, is_held_by_command
from onelogin_connector.web.access import Access
from onelogin_connector.web.app import access_of, hosts_of, main_app, open_control, webhook_app
from onelogin_connector.web.server import HttpServer, listen, raise_file_limit, tls_context

logger = logging.getLogger(__name__)

SIGN_IN_LINK = "sign-in-link"
"""File of the data folder that holds the link where there is no terminal."""


async def run(arguments: Namespace, settings: Settings) -> int:
    """
    Run the service until SIGINT or SIGTERM; a second signal ends it at once.
    """
    if arguments.azure and not arguments.demo:
        say("onelogin-connector: --azure belongs to --demo. For sinks of your own, see `simulate --azure`.")
        return WRONG_USAGE
    stopping = asyncio.Event()
    _obey_signals(stopping)
    async with AsyncExitStack() as stack:
        await _wait_for_command(settings.data_dir)
        demo, azure = Demo() if arguments.demo else None, ""
        if demo is not None:
            stack.push_async_callback(demo.stop)
            settings = demo.connected(settings)
            if arguments.azure:
                azure = await stack.enter_async_context(azure_demo.azure_on(0))
                settings = azure_demo.delivering(settings, azure)
        service = build(settings)
        stack.push_async_callback(service.stop)
        access = access_of(service)
        servers, local = _listening(service, access, flag="--demo --port" if arguments.demo else "--port")
        url = settings.web.public_url or local
        if demo is not None:
            demo.look(service)
        await service.start()
        control = await stack.enter_async_context(_control(service, access))
        for server in servers:
            await server.start()
        stack.push_async_callback(_stop_all, servers)
        interpreter.tune()
        _greet(service, access, url)
        if azure:
            print(f"The simulated Azure shows what it was sent at {azure}/simulator/tables", flush=True)
        if demo is not None:
            _start_demo(demo, service, local)
            stack.push_async_callback(demo.stop)  # before the servers end, to which it sends
        failed = await _until_stopped(stopping, [*servers, control])
        service.wind_down()
        logger.info("Stopping", extra={"action": "service_stopping"})
    return FAILED if failed else DONE


async def _wait_for_command(folder: Path) -> None:
    """
    Let a single command that has the folder finish: it is no reason to stay down.
    """
    if is_held_by_command(folder):
        say(f"Waiting for the command that uses the data folder {folder} (process {holder(folder)}).")
    while is_held_by_command(folder):  # noqa: ASYNC110 - another process's lock tells nobody when it is free
        await asyncio.sleep(0.1)


def _obey_signals(stopping: asyncio.Event) -> None:
    def obey() -> None:
        if stopping.is_set():
            os._exit(INTERRUPTED)  # asked twice: whatever is under way is safe to be cut off
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, obey)


def _listening(service: Service, access: Access, *, flag: str) -> tuple[list[HttpServer], str]:
    """
    Bind the ports; returns the servers, not yet started, and the address on this machine.

    Args:
        flag: What chooses another port on the command line, for the hint where this one is taken.
    """
    web = service.settings.web
    home = service.settings.path.parent if service.settings.path else Path.cwd()
    tls = tls_context(home / web.tls.cert, home / web.tls.key) if web.tls else None
    most, is_exempt = raise_file_limit(), hosts_of(service.settings).may_crowd
    main = listen(web.host, web.port, flag=flag)
    app = main_app(service, access, warm=True)
    servers = [HttpServer(app, main, tls=tls, most_connections=most, is_exempt=is_exempt)]
    if web.webhook_port is not None:
        try:
            second = listen(web.host, web.webhook_port, flag="")
        except BaseException:
            main.close()
            raise
        servers.append(
            HttpServer(webhook_app(service), second, tls=tls, most_connections=most, is_exempt=is_exempt)
        )
    port = main.getsockname()[1]
    host = f"[{web.host}]" if ":" in web.host else web.host
    if host in {"0.0.0.0", "[::]"}:  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    return servers, f"{'https' if tls else 'http'}://{host}:{port}"


@asynccontextmanager
async def _control(service: Service, access: Access) -> AsyncIterator[HttpServer]:
    server, path = await open_control(service, access)
    try:
        yield server
    finally:
        await server.stop()
        path.unlink(missing_ok=True)


def _greet(service: Service, access: Access, url: str) -> None:
    """
    Print where it runs and how to sign in; secrets only where no file or log gets them.
    """
    print(f"OneLogin Connector {__version__} runs at {url}")
    link = f"{url}/login/{access.link_token()}"
    # what a service prints ends in a log, and a log is read by many
    print(f"Sign in, once: {link if sys.stdout.isatty() else _kept(service, link)}")
    print(f"Data folder: {service.folder.path}", flush=True)
    if service.new_secrets:
        print(f"First password and webhook tokens: {service.folder.path / 'initial-secrets'}", flush=True)
    if sys.stdout.isatty():
        for name, value in service.new_secrets:
            print(f"  {name}: {value}")
        for connector in service.settings.connectors:
            print(f"Webhook URL: {url}/webhook/{connector}")
        print("Ctrl+C stops it.", flush=True)
    service.new_secrets = []


def _kept(service: Service, link: str) -> Path:
    return service.folder.write_private(SIGN_IN_LINK, link + "\n")


def _start_demo(demo: Demo, service: Service, url: str) -> None:
    connector = next(iter(service.settings.connectors))
    print(f"The simulated company sends to {url}/webhook/{connector}", flush=True)
    demo.start(service, url)


async def _until_stopped(stopping: asyncio.Event, servers: list[HttpServer]) -> bool:
    """
    Wait for a signal; returns True when a server ended by itself instead.
    """
    waiting = asyncio.create_task(stopping.wait())
    running = [server.running for server in servers]
    done, _ = await asyncio.wait([waiting, *running], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in running:
        if task in done:
            logger.critical(
                "A server ended by itself", exc_info=task.exception(), extra={"action": "server_ended"}
            )
    return waiting not in done


async def _stop_all(servers: list[HttpServer]) -> None:
    await asyncio.gather(*(server.stop() for server in servers))
