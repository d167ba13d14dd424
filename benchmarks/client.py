"""
A sender of webhooks that costs as little as it can, in a process of its own.

It keeps connections open and either sends on each as soon as the answer is there, or at a fixed rate; a latency is
then counted from the moment the request was due, so that a stalled receiver cannot hide behind a sender that waits.

    python -m benchmarks.client < PLAN.json > OUTCOME.json
"""

import asyncio
import subprocess
import sys
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import cast

import uvloop
from msgspec import Struct, field
from msgspec.json import decode, encode

from benchmarks.records import Requests

CHECKOUT = Path(__file__).parents[1]


class Plan(Struct, kw_only=True):
    """
    What is to be sent.
    """

    port: int
    token: str = ""
    path: str = "/webhook/default"
    records: int = 10
    """In each request."""
    connections: int = 64
    seconds: float
    records_per_second: float = 0.0
    """0 sends as fast as answers come."""
    series: int = 1
    """Another series has other ids."""


class Outcome(Struct):
    """
    What was answered.
    """

    records: int = 0
    """In requests answered with 200."""
    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    """Seconds, of requests answered with 200."""
    cpu_seconds: float = 0.0
    """Processor time of the receiver, where whoever sends knows it."""

    @property
    def records_per_second(self) -> float:
        """
        Records answered with 200 in each second.
        """
        return self.records / self.seconds


def send(plan: Plan) -> Outcome:
    """
    Send from a process of its own, and wait for its outcome.
    """
    command = [sys.executable, "-m", "benchmarks.client"]
    done = subprocess.run(command, input=encode(plan), stdout=subprocess.PIPE, check=True, cwd=CHECKOUT)
    outcome = decode(done.stdout, type=Outcome)
    assert set(outcome.statuses) == {200}, f"not everything was taken: {outcome.statuses}"
    return outcome


class Connection(asyncio.Protocol):
    """
    One connection that is kept open; it has one request on its way at most.
    """

    def __init__(self, sender: "Sender") -> None:
        self._sender = sender
        self._answer = b""
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass

    def send(self, request: bytes, since: float) -> None:
        self.since = since
        self._answer = b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        # every answer of either receiver is one JSON object, and no head ends with a brace
        if self._answer.endswith(b"}"):
            self._sender.answered(self, int(self._answer[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._sender.lost(self)


class Sender:
    """
    Sends what a plan says.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = Requests(plan.records, series=plan.series)
        self._head = (
            f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plan.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._busy = 0
        self._until = 0.0
        self._done = asyncio.Event()
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        for _ in range(self._plan.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self._plan.port
            )
            self._idle.append(connection)
        start = perf_counter()
        self._until = start + self._plan.seconds
        if self._plan.records_per_second:
            await self._pace(start)
        else:
            while self._idle:
                self._send(perf_counter())
        await self._done.wait()
        self.outcome.seconds = perf_counter() - start
        return self.outcome

    async def _pace(self, start: float) -> None:
        interval = self._plan.records / self._plan.records_per_second
        for number in range(int(self._plan.seconds / interval)):
            due = start + number * interval
            await asyncio.sleep(max(0.0, due - perf_counter()))
            self._due.append(due)
            if self._idle:
                self._send(self._due.popleft())
        self._until = 0.0
        if not self._busy:
            self._done.set()

    def _send(self, since: float) -> None:
        body = self._requests.body()
        self._busy += 1
        self._idle.popleft().send(self._head + b"%d\r\n\r\n%b" % (len(body), body), since)

    def answered(self, connection: Connection, status: int) -> None:
        now = perf_counter()
        self._busy -= 1
        self._count(status)
        if status == 200:
            self.outcome.records += self._plan.records
            self.outcome.latencies.append(now - connection.since)
        self._idle.append(connection)
        if self._due:
            self._send(self._due.popleft())
        elif not self._plan.records_per_second and now < self._until:
            self._send(now)
        elif not self._busy and now >= self._until:
            self._done.set()

    def _count(self, status: int) -> None:
        self.outcome.statuses[status] = self.outcome.statuses.get(status, 0) + 1

    def lost(self, connection: Connection) -> None:
        if connection not in self._idle:
            self._count(0)
            self._busy -= 1
        self._done.set()


async def main() -> None:
    plan = decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(encode(await Sender(plan).run()))


if __name__ == "__main__":
    uvloop.run(main())
