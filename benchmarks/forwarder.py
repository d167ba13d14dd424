"""
A plain forwarder, as a baseline: it receives a webhook, signs it, posts it on, and then answers 200.

It does what Microsoft's function for OneLogin's webhooks does: it keeps nothing, every request waits for one request
to the destination over a connection of its own, and a failure on the way is an event lost. It has the same HTTP
server under it as the program, so that only the work differs.

As ``function`` it handles one request after the other, as one worker of the function does; as ``threads`` as many at
once as there are threads, which is what a careful author would make of it. As ``stub`` it is the destination, which
takes everything and answers at once.

    python -m benchmarks.forwarder function|threads|stub PORT [DESTINATION_PORT]
"""

import asyncio
import hmac
import json
import sys
from base64 import b64decode, b64encode
from email.utils import formatdate
from hashlib import sha256
from http.client import HTTPConnection
from typing import Any

import uvicorn

KEY = b64encode(b"a key that opens nothing, as long as a real one has to be: 64 B").decode()


def post(destination_port: int, body: bytes) -> int:
    """
    Send records to the destination as a signed request; returns its status.
    """
    date = formatdate(usegmt=True)
    signed = f"POST\n{len(body)}\napplication/json\nx-ms-date:{date}\n/api/logs"
    signature = b64encode(hmac.new(b64decode(KEY), signed.encode(), sha256).digest()).decode()
    connection = HTTPConnection("127.0.0.1", destination_port)
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"SharedKey workspace:{signature}",
        "Log-Type": "OneLogin",
        "x-ms-date": date,
    }
    connection.request("POST", "/api/logs?api-version=2016-04-01", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def forward(destination_port: int, body: bytes) -> None:
    """
    Read the events and send them on.
    """
    events = json.loads(body)
    post(destination_port, json.dumps(events).encode())


def app(shape: str, destination_port: int) -> Any:
    """
    Return the ASGI app of the forwarder, or of the stub.
    """

    async def answer(_: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if shape == "function":
            forward(destination_port, body)
        elif shape == "threads":
            await asyncio.to_thread(forward, destination_port, body)
        headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return answer


if __name__ == "__main__":
    shape, port, destination_port = sys.argv[1], int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0])
    uvicorn.run(app(shape, destination_port), port=port, log_level="error", lifespan="off", access_log=False)
