"""
Who is connected to a server: what each connection may hold, and who leaves when there is no room.

A connection is *busy* from the end of its request to the end of the answer, and *waiting* at any other time: for
its TLS handshake, for the next request, for the rest of a head, for the rest of a body. When there is no room, the one that has waited
longest leaves, a stranger before anybody who has shown who they are. Only when everybody is busy is the newcomer
turned away. A crowd of slow or silent connections thus takes places from itself alone.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from itertools import chain
from typing import Any, Protocol

from msgspec.json import encode
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onelogin_connector.web.attempts import neighbourhood

LARGEST_HEAD_BYTES = 65_536
"""Request line and headers; browsers and OneLogin stay far below, proxies allow 8 to 64 KiB."""

HEAD_SECONDS = 20.0
"""How long a connection may take over a request's head before it is closed."""

BODY_SECONDS = 60.0
"""How long a sender may be silent within a body, or leave an answer unread; and how long one webhook may take."""

LEAVE_SECONDS = 2.0
"""How long who is turned out has to read why."""

SHARE_OF_ADDRESS = 4
"""One address has at most one in so many of all places."""

CALLER = "caller"
"""Key in a request's state under which whoever answers it puts who is asking, once that is known."""


def _raw(status: str, document: dict[str, Any], *headers: str) -> bytes:
    body = encode({"type": "about:blank", **document})
    lines = [
        f"HTTP/1.1 {status}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


BAD_REQUEST = _raw(
    "400 Bad Request",
    {
        "title": "Bad Request",
        "status": 400,
        "detail": "The bytes sent are not an HTTP request, or its head is larger than "
        f"{LARGEST_HEAD_BYTES} bytes.",
        "action": "Check the client, and that http:// or https:// is what this port speaks.",
    },
)

TOO_SLOW = _raw(
    "408 Request Timeout",
    {
        "title": "Request Timeout",
        "status": 408,
        "detail": "The request was not complete in time.",
        "action": "Send it again, in smaller requests if the line is slow.",
    },
)

NO_ROOM = _raw(
    "503 Service Unavailable",
    {
        "title": "Service Unavailable",
        "status": 503,
        "detail": "There are too many connections.",
        "action": "Send it again after the seconds in Retry-After, over fewer connections.",
    },
    "retry-after: 5",
)


class Guest(Protocol):
    """
    A connection as its server's room sees it.
    """

    peer: str
    address: str
    """The peer's own, or its network: whatever shares places."""
    inside: bool
    """Whether it has a place."""

    def is_known(self) -> bool:
        """Tell whether it has shown who it is."""
        ...

    def turn_out(self, answer: bytes) -> None:
        """End it, with an answer if it can read one."""
        ...


class Room:
    """
    The places of one server.
    """

    def __init__(self, most: int, *, is_exempt: Callable[[str], bool] | None = None) -> None:
        """
        Open an empty room.

        Args:
            most: How many connections there may be.
            is_exempt: Whether an address may have any number of them: this machine, a trusted proxy.
        """
        self._most = most
        self._most_of_address = max(8, most // SHARE_OF_ADDRESS)
        self._is_exempt = is_exempt or is_this_machine
        self._inside = 0
        self._of_address: Counter[str] = Counter()
        # each in the order in which they began to wait
        self._strangers: dict[Guest, None] = {}
        self._known: dict[Guest, None] = {}

    def enter(self, connection: Guest) -> bool:
        """
        Give a connection a place, if need be somebody else's; returns whether there was one.
        """
        address = connection.address
        crowded = self._of_address[address] >= self._most_of_address
        if crowded and not self._is_exempt(connection.peer) and not self._vacate(address):
            return False
        if self._inside >= self._most and not self._vacate(None):
            return False
        self._inside += 1
        self._of_address[address] += 1
        connection.inside = True
        self._strangers[connection] = None
        return True

    def leave(self, connection: Guest) -> None:
        """
        Take a place back.
        """
        if not connection.inside:
            return
        connection.inside = False
        self.busy(connection)
        self._inside -= 1
        self._of_address[connection.address] -= 1
        if not self._of_address[connection.address]:
            del self._of_address[connection.address]

    def busy(self, connection: Guest) -> None:
        """
        Note that a connection waits for us now.
        """
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def waiting(self, connection: Guest) -> None:
        """
        Note that we wait for a connection from now on.
        """
        if connection.inside:
            (self._known if connection.is_known() else self._strangers)[connection] = None

    def _vacate(self, address: str | None) -> bool:
        """
        Make whoever has waited longest leave; returns False if everybody is busy.

        Args:
            address: Only connections of this address; None for all.
        """
        found = None
        for connection in chain(self._strangers, self._known):
            if address is None or connection.address == address:
                # a sender becomes known while its body is awaited, when it is still among the strangers
                if not connection.is_known():
                    found = connection
                    break
                found = found or connection
        if found is not None:
            found.turn_out(NO_ROOM)
        return found is not None


def is_this_machine(address: str) -> bool:
    """
    Tell whether an address is a loopback address, or that of a unix socket.
    """
    try:
        return not address or ip_address(address).is_loopback
    except ValueError:
        return False


class BoundedProtocol(HttpToolsProtocol):
    """
    uvicorn's protocol with limits on what one connection may hold.
    """

    def __init__(self, *args: Any, room: Room, before: Guest | None = None, **named: Any) -> None:
        """
        Prepare for one connection.

        Args:
            before: What it was until now, whose place it takes.
        """
        super().__init__(*args, **named)
        self.room = room
        self.before = before
        self.peer = ""
        self.address = ""
        self.known = False
        self.active: Any = None
        self.inside = False
        self.head_bytes = 0
        self.head_since: float | None = None
        self.body_since: float | None = None
        self.unread_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """
        Take a connection unless there is no room for it.
        """
        super().connection_made(transport)
        self.head_since = self.loop.time()
        self.peer = self.client[0] if self.client else ""
        self.address = neighbourhood(self.peer)
        if self.before is not None:
            self.room.leave(self.before)
            self.before = None
        if not self.room.enter(self):
            self.turn_out(NO_ROOM)

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Give the place back.
        """
        self.room.leave(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """
        Answer a request that is complete although its sender will send no other; drop one that is not.
        """
        cycle = self.cycle
        if self.scheme == "http" and self.is_answering() and not cycle.more_body:
            cycle.keep_alive = False
            return True  # over TLS there is no half-closed connection
        self._forget_request()
        return None

    def is_answering(self) -> bool:
        """
        Tell whether the client waits for us, and not we for the client.
        """
        active = self.active
        return active is not None and not active.response_complete and not active.more_body

    def is_known(self) -> bool:
        """
        Tell whether a request came with credentials that were found good.
        """
        scope: Any = self.scope  # None before the first request
        return self.known or (scope is not None and scope["state"].get(CALLER) is not None)

    def _forget_request(self) -> None:
        """
        Let the app know that nobody waits for its answer.
        """
        self.pipeline.clear()
        for cycle in (self.active, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def turn_out(self, answer: bytes) -> None:
        """
        End the connection, with an answer unless it is between two requests.
        """
        self.room.leave(self)
        if self.transport.is_closing():
            return
        active = self.active
        answered = active is not None and active.response_started and not active.response_complete
        between = active is not None and self.head_since is None and self.body_since is None
        if not answered and not between:
            self.transport.write(answer)
        self._forget_request()
        self.transport.close()
        # a client that does not read, or does not take leave of TLS, would go on without a place
        self.loop.call_later(LEAVE_SECONDS, self.transport.abort)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.active = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """
        Start counting the head of the next request.
        """
        self.head_bytes = 0
        self.head_since = self.loop.time()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """
        Count the request line.
        """
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """
        Count a header.
        """
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """
        Note that the head is complete.
        """
        self.body_since = self.head_since
        self.head_since = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """
        Note that the body goes on.
        """
        self.body_since = self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """
        Note that the request is complete.
        """
        self.body_since = None
        super().on_message_complete()
        if not self.cycle.response_complete:
            self.room.busy(self)

    def on_response_complete(self) -> None:
        """
        Wait for the next request.
        """
        self.known = self.known or self.active.scope["state"].get(CALLER) is not None
        if not self.pipeline:
            self.room.waiting(self)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """
        Note that the client does not read its answer.
        """
        self.unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """
        Note that the client reads again.
        """
        self.unread_since = None
        super().resume_writing()

    def close_if_late(self, now: float) -> None:
        """
        End the connection if its client has kept us waiting for too long; to be called now and then.
        """
        if self.unread_since is not None and now - self.unread_since > BODY_SECONDS:
            self._forget_request()
            self.transport.abort()
        elif not self.is_answering() and (
            (self.head_since is not None and now - self.head_since > HEAD_SECONDS)
            or (self.body_since is not None and now - self.body_since > BODY_SECONDS)
        ):
            self.turn_out(TOO_SLOW)

    def _count(self, size_bytes: int) -> None:
        self.head_bytes += size_bytes
        if self.head_bytes > LARGEST_HEAD_BYTES:
            # inside a parser callback any error becomes a 400 and the end of the connection
            raise ValueError

    def send_400_response(self, msg: str) -> None:
        """
        Answer what is no HTTP with a problem document, like every other refusal.
        """
        if self.transport.is_closing():
            return
        self.transport.write(BAD_REQUEST)
        self._forget_request()
        self.transport.close()
