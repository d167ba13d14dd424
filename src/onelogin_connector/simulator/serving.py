"""
Serve a simulation on this machine.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onelogin_connector.errors import ConfigError

GRACE_SECONDS = 1
DROP = "simulator.drop"
"""Extension of a scope: a function that ends the connection at once."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """
        Leave signals to the program.
        """
        yield


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        """
        Tell the application how it can cut the connection off.
        """
        super().on_message_begin()
        # ASGI's own dictionary has dictionaries alone in it; ours is between us
        self.scope["extensions"] = {DROP: self._cut_off}  # type: ignore[dict-item]

    def _cut_off(self) -> None:
        self.transport.abort()


def bind(port: int = 0) -> socket.socket:
    """
    Take a port of this machine, which only programs here can reach; callers wait until it is served.

    Args:
        port: 0 for any that is free.

    Raises:
        ConfigError: The port is taken.
    """
    # asyncio sends small answers at once only where it sees that the protocol is TCP
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(
            f"The simulated API cannot listen on port {port}.", action="Choose another one, or 0 for any."
        ) from error
    listener.listen(64)
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """
    Return the address of a bound port.
    """
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def serving(api: ASGIApp, listener: socket.socket) -> AsyncIterator[str]:
    """
    Answer callers until the block ends; gives the address.
    """
    config = uvicorn.Config(
        api,
        loop="none",
        http=_Protocol,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the account has its own clock
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve([listener]), name="simulated API")
    try:
        # uvicorn says by a flag alone that it listens
        while not server.started and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        yield url_of(listener)
    finally:
        server.should_exit = True
        await running
        listener.close()
