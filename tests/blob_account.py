"""
Microsoft's storage library over the simulated blob service, without a socket between them.
"""

from collections.abc import Callable
from io import BytesIO
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
