"""
Microsoft's storage library over the simulated blob service, without a socket between them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from onelogin_connector.azure.blob_storage import BlobContainer
from onelogin_connector.simulator.azure.blobs import BlobService, Reply

# of the emulator: public, and the same everywhere
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def connection(address: str = "http://127.0.0.1:10000") -> str:
    """
    Return the connection string of the emulator's account.
    """
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
        f"BlobEndpoint={address}/devstoreaccount1;"
    )


Step = Callable[[str, Callable[[], Reply]], Reply]
"""(what is asked, do it) → the answer; it may do something before or after, or not do it at all."""


class Killed(BaseException):
    """
    The process is gone: nothing of it runs any more.
    """


class Wire(BaseAdapter):
    """
    Hands the library's requests to the simulation.
    """

    def __init__(self, service: BlobService, step: Step | None = None) -> None:
        super().__init__()
        self._service, self._step = service, step or (lambda _, do: do())

    def send(self, request: Any, **options: Any) -> requests.Response:
        """
        Answer one request.
        """
        body = request.body
        data = (
            body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else body or b""
        )
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        url = urlsplit(request.url)
        asked = f"{request.method} {url.path}?{url.query}"
        reply = self._step(asked, lambda: self._service.answer(request.method, request.url, headers, data))
        answer = requests.Response()
        answer.status_code = reply.status
        answer.headers.update({**reply.headers, "content-length": str(len(reply.body))})
        answer.request, answer.url = request, request.url
        answer.raw = HTTPResponse(
            body=BytesIO(reply.body), status=reply.status, headers=answer.headers, preload_content=False
        )
        return answer

    def close(self) -> None:
        """
        Do nothing.
        """


def blob_container(
    service: BlobService, step: Step | None = None, *, name: str = "onelogin-connector", **options: Any
) -> BlobContainer:
    """
    Return a container of the simulated account.

    Args:
        step: What happens at each request.
    """
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Wire(service, step))
    transport = RequestsTransport(session=session, session_owner=False)
    options = {"retry_total": 0} | options
    return BlobContainer.from_connection(connection(), name, transport=transport, **options)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def served(service: BlobService) -> Iterator[str]:
    """
    Serve the simulated account on this machine; gives its address.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = service.answer(self.command, f"http://{self.headers['host']}{self.path}", headers, body)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - the names that the library looks for

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
