"""
From settings to the functions: where the parts of the function app are constructed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic, time
from typing import Any

from httpx2 import AsyncBaseTransport

from onelogin_connector.azure.blobs import Container
from onelogin_connector.config.function import ByConnection, FunctionSettings, load
from onelogin_connector.errors import ConfigError
from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.client import OneLogin
from onelogin_connector.serverless.draining import Drain
from onelogin_connector.serverless.front import Closed, Front, Open
from onelogin_connector.sinks import data_collector, logs_ingestion
from onelogin_connector.sources.spool import Spool
from onelogin_connector.sources.webhook import WebhookSource, token_hash

SINK = "sentinel"
"""Name of the one sink, of whichever kind: when the kind changes, what was delivered stays delivered."""

BUDGET_SHARE = 0.5
"""Of an account's hourly calls, as the server's default."""


def start(environ: Mapping[str, str], *, clock: Callable[[], float] = time) -> Front:
    """
    Return the functions for these settings; where they cannot be used, functions that say so.

    Args:
        environ: The application settings.
        clock: Unix seconds.
    """
    try:
        settings = load(environ)
        return build(settings, container(settings), clock=clock)
    except ConfigError as error:
        return Closed(error)


def build(
    settings: FunctionSettings,
    spooled: Container,
    *,
    clock: Callable[[], float] = time,
    transport: AsyncBaseTransport | None = None,
    tick: Callable[[], float] = monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Open:
    """
    Construct the app over a container.

    Args:
        transport: In place of the network towards Azure Monitor and OneLogin, for tests.
        tick: Seconds that never jump.
        sleep: How the pace towards OneLogin's API is kept.
    """
    spool = Spool(settings.connector, spooled, clock=clock)
    hashes = [token_hash(token.reveal()) for token in settings.tokens]
    source = WebhookSource(settings.connector, spool, hashes, clock=clock)
    sink: Any
    if isinstance(settings.sink, logs_ingestion.Settings):
        sink = logs_ingestion.LogsIngestion(settings.sink, name=SINK, clock=clock, transport=transport)
    else:
        sink = data_collector.DataCollector(settings.sink, name=SINK, clock=clock, transport=transport)
    client = None
    if settings.api is not None:
        client = OneLogin(
            api_url=settings.api.url,
            client_id=settings.api.client_id,
            client_secret=settings.api.client_secret,
            budget=Budget(BUDGET_SHARE, clock=tick, sleep=sleep),
            clock=clock,
            sleep=sleep,
            transport=transport,
        )
    drain = Drain(spool, spooled, sink, name=SINK, client=client, clock=clock, tick=tick)
    return Open(source, drain, connector=settings.connector, clock=clock)


def container(settings: FunctionSettings) -> Container:
    """
    Return the container that the settings name.

    Raises:
        ConfigError: The library is missing, or the account cannot be read from the settings.
    """
    try:
        from onelogin_connector.azure.blob_storage import BlobContainer
    except ImportError as error:
        raise ConfigError(
            f"The library azure-storage-blob cannot be used: {error}.",
            action="Deploy the package as it was built (make function-zip), for Linux and Python 3.11.",
        ) from error
    storage = settings.storage
    if isinstance(storage, ByConnection):
        return BlobContainer.from_connection(storage.connection.reveal(), settings.container)
    return BlobContainer.by_identity(str(storage.address), settings.container, storage.client_id)
