"""
The HTTP servers inside our own event loop: main port, webhook port and control socket.

uvicorn is used as a library: signals, logging and life are ours. What a stranger may hold is bounded in
``web.connections``.
"""

import asyncio
import contextlib
import errno
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from onelogin_connector.errors import ConfigError
from onelogin_connector.web.connections import BoundedProtocol, Guest, Room, is_this_machine
from onelogin_connector.web.handshakes import Acceptor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEEP_ALIVE_SECONDS = 65  # OneLogin sends a batch every ten seconds; proxies keep connections for a minute

MOST_CONNECTIONS = 4_096
PORTS = 2  # the main one, and one for webhooks alone
FILES_FOR_OURSELVES = 256  # store, journal, logs and outgoing connections

LAST_PORT = 65_535

GRACE_SECONDS = 5  # a request that is not answered by then is cut off, and its sender sends it again


class HttpServer(uvicorn.Server):
    """
    One listening server; ``start`` and ``stop`` it from the running event loop.
    """

    def __init__(
        self,
        app: App,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        most_connections: int = MOST_CONNECTIONS,
        is_exempt: Callable[[str], bool] = is_this_machine,
    ) -> None:
        """
        Prepare to serve an app on a socket that is bound already.

        Args:
            is_exempt: Whether an address may take more than its share of the connections.
        """
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                loop="none",
                ws="none",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.config.load()
        self._room = Room(most_connections, is_exempt=is_exempt)
        self._protocol = partial(BoundedProtocol, room=self._room)
        self.config.http_protocol_class = self._protocol  # type: ignore[assignment]
        self._tls = tls
        self._acceptor: Acceptor | None = None
        self._listener = listener
        self._running: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """
        Leave signals to the program.
        """
        yield

    async def start(self) -> None:
        """
        Accept connections from now on.
        """
        # uvicorn would know of a TLS connection only once its handshake is over
        ours = [self._listener] if self._tls is None else []
        self._running = asyncio.create_task(self.serve(ours), name="http")
        # uvicorn says by a flag alone that it listens
        while not self.started and not self._running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if self._running.done():
            self._running.result()
        if self._tls is not None:
            self._acceptor = Acceptor(self._listener, self._tls, self._room, self._serve_secure)
            self._acceptor.start()

    def _serve_secure(self, handshake: Guest) -> BoundedProtocol:
        return self._protocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            before=handshake,
        )

    @property
    def running(self) -> "asyncio.Task[None]":
        """
        The task that ends when the server does.

        Raises:
            RuntimeError: It was not started.
        """
        if self._running is None:
            raise RuntimeError("The server was not started.")
        return self._running

    async def stop(self) -> None:
        """
        Accept nothing more, finish what is being answered, then close.
        """
        self.should_exit = True
        if self._acceptor is not None:
            self._acceptor.stop()
            self._listener.close()
            self._acceptor = None
        if self._running is not None:
            await self._running

    async def on_tick(self, counter: int) -> bool:
        """
        Close connections whose clients never go on; called ten times a second.
        """
        if counter % 50 == 49:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.close_if_late(now)
        return await super().on_tick(counter)


def raise_file_limit() -> int:
    """
    Let this process open as many files as the system permits; returns how many connections each port may have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = PORTS * MOST_CONNECTIONS + FILES_FOR_OURSELVES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(64, min(MOST_CONNECTIONS, (soft - FILES_FOR_OURSELVES) // PORTS))
    return MOST_CONNECTIONS


def listen(host: str, port: int, *, flag: str = "--port") -> socket.socket:
    """
    Bind a port.

    Args:
        flag: The command line flag that chooses another port, for the message; empty if only a setting does.

    Raises:
        ConfigError: The port is taken or not allowed, or the address is not one of this machine.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigError(
            f"The address {host} cannot be listened on: {error.strerror}.",
            action="Name an address of this machine with --host; 127.0.0.1 is always one.",
        ) from error
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(2_048)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _listen_error(error, host, port, flag) from error
    listener.setblocking(False)
    return listener


def _listen_error(error: Exception, host: str, port: int, flag: str) -> ConfigError:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return ConfigError(
            f"Port {port} is taken by another program.",
            action=_other_port(port + 1 if port < LAST_PORT else 8080, flag),
        )
    if code == errno.EACCES:
        return ConfigError(
            f"This user may not listen on port {port}.",
            action=_other_port(8080, flag),
        )
    if code == errno.EADDRNOTAVAIL:
        return ConfigError(
            f"{host} is not an address of this machine.", action="Choose another one with --host."
        )
    return ConfigError(
        f"Port {port} on {host} cannot be listened on: {error}.", action=_other_port(8080, flag)
    )


def _other_port(port: int, flag: str) -> str:
    if flag:
        return f"Choose another one: onelogin-connector run {flag} {port}"
    return f"Choose another one: webhook_port = {port} under [web] in the settings."


def listen_private(path: Path) -> socket.socket:
    """
    Bind a unix socket that only this user can connect to.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # the umask of the process is 077, so that there is no moment at which others could connect
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(64)
    listener.setblocking(False)
    return listener


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """
    Read a certificate chain and its key; TLS 1.2 is the oldest version spoken.

    Raises:
        ConfigError: The files cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"The TLS certificate {certificate} with key {key} cannot be used: {error.strerror or error}.",
            action="Both must be PEM files that this user can read, the chain's own certificate first.",
        ) from error
    return context
