"""
Connections to a TLS port before TLS stands.

Left to itself the event loop tells nobody of a connection until its handshake is over, and gives it a minute for
that: whoever connects and says nothing would be in no room and under no limit. Here a connection takes its place as
soon as it is accepted, waits there for its client like any other stranger, and hands the place on to HTTP.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from onelogin_connector.web.attempts import neighbourhood
from onelogin_connector.web.connections import HEAD_SECONDS, NO_ROOM, BoundedProtocol, Guest, Room

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS = HEAD_SECONDS
"""How long a handshake may take; over a slow line it is a few turns of some KB."""

ACCEPTED_AT_ONCE = 100
"""So many before others have their turn."""

PAUSE_SECONDS = 1.0
"""How long nothing is accepted after the system had no file left for it."""

Serve = Callable[[Guest], BoundedProtocol]


class Acceptor:
    """
    Accepts the connections of one TLS port.
    """

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext, room: Room, serve: Serve) -> None:
        """
        Accept nothing yet.

        Args:
            listener: Bound, listening, and not blocking; whoever made it closes it.
            serve: Makes the protocol of a connection whose handshake is over, in the place of the one given.
        """
        self.unfinished: set[Handshake] = set()
        self._listener, self._tls, self._room, self._serve = listener, tls, room, serve
        self._loop = asyncio.get_running_loop()
        self._paused: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """
        Accept from now on.
        """
        self._paused = None
        self._loop.add_reader(self._listener, self._accept)

    def stop(self) -> None:
        """
        Accept nothing more, and end what is not finished.
        """
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._listener)
        for handshake in list(self.unfinished):
            handshake.turn_out(NO_ROOM)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                logger.warning(
                    "A connection could not be accepted: %s", error, extra={"action": "accept_failed"}
                )
                self._loop.remove_reader(self._listener)
                self._paused = self._loop.call_later(PAUSE_SECONDS, self.start)
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin(accepted, str(address[0]))

    def _begin(self, accepted: socket.socket, peer: str) -> None:
        handshake = Handshake(peer, self._room)
        if not self._room.enter(handshake):
            accepted.close()  # who speaks no TLS yet can be told nothing
            return
        handshake.task = self._loop.create_task(self._agree(handshake, accepted))
        self.unfinished.add(handshake)

    async def _agree(self, handshake: "Handshake", accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._serve(handshake),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError as error:  # of TLS, of the connection, or late
            logger.debug("A TLS handshake failed: %s", error, extra={"action": "handshake_failed"})
        finally:
            self.unfinished.discard(handshake)
            self._room.leave(handshake)


class Handshake:
    """
    One connection until its handshake is over.
    """

    def __init__(self, peer: str, room: Room) -> None:
        self.peer = peer
        self.address = neighbourhood(peer)
        self.inside = False
        self.task: asyncio.Task[None] | None = None
        self._room = room

    def is_known(self) -> bool:
        """
        Tell that nobody has shown yet who they are.
        """
        return False

    def turn_out(self, answer: bytes) -> None:
        """
        End the connection; an answer could not be read without TLS.
        """
        self._room.leave(self)
        if self.task is not None:
            self.task.cancel()
