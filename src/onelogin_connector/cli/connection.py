"""
How commands reach the service: over the control socket of the data folder.

When a service runs, it answers there. When none does, the command opens the folder itself, serves the same
socket for as long as it lasts, and talks to itself: there is one way in, and one code path behind it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError
from msgspec.json import decode

from onelogin_connector.config import Settings
from onelogin_connector.errors import Busy, ConfigError, ConnectorError, QueryError
from onelogin_connector.service.folder import control_socket, holder, is_held_by_command

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

STARTING_SECONDS = 10.0
"""How long a service that has claimed the folder may take until it answers."""

READY_SECONDS = 4.0
"""A health check has a limit of its own, five seconds as we set it; within that this command says what is wrong."""


class Api:
    """
    The HTTP API of a service, as commands use it.
    """

    def __init__(self, client: "AsyncClient") -> None:
        self.client = client

    async def get(self, path: str, **query: Any) -> Any:
        """
        Fetch JSON.

        Raises:
            ConnectorError: With the problem's own words.
        """
        return decode((await self._call("GET", path, params=query)).content)

    async def post(self, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """
        Send JSON and return what comes back.

        Raises:
            ConnectorError: With the problem's own words.
        """
        return decode((await self._call("POST", path, json=content or {})).content)

    async def text(self, path: str, content: Mapping[str, Any], *, accept: str) -> "Response":
        """
        Send JSON and return an answer of another kind.
        """
        return await self._call("POST", path, json=content, headers={"accept": accept})

    async def _call(self, method: str, path: str, **options: Any) -> "Response":
        from httpx2 import TransportError

        try:
            answer = await self.client.request(method, f"/api/v1/{path}", **options)
        except TransportError as error:
            raise gone(error) from error
        refuse(answer.status_code, answer.content)
        return answer


def refuse(status: int, content: bytes) -> None:
    """
    Raise what a problem document says; return when the status is none.
    """
    if status < 400:
        return
    try:
        problem = decode(content)
        if problem.get("line"):
            raise QueryError(
                problem["detail"], action=problem["action"], line=problem["line"], column=problem["column"]
            )
        raise ConnectorError(problem["detail"], action=problem["action"])
    except (DecodeError, KeyError, TypeError) as error:
        raise ConnectorError(f"The service answered with status {status}.", action="See its log.") from error


def gone(error: Exception) -> ConnectorError:
    """
    Say that the service ended in the middle.
    """
    return ConnectorError(
        f"The service went away before it had answered ({type(error).__name__}).",
        action="Look at its log, then try again.",
    )


@asynccontextmanager
async def connected(settings: Settings, *, make: bool = False) -> AsyncIterator[Api]:
    """
    Connect to the service of a data folder, or be it for a while.

    Args:
        make: Whether a data folder may be made where there is none.

    Raises:
        ConfigError: There is no data folder, or others can read it.
        Busy: Another process has claimed the folder and does not answer.
    """
    folder = settings.data_dir
    if not make and not (folder / "lock").exists():
        raise ConfigError(
            f"There is no data folder {folder}.",
            action="Start with `onelogin-connector run`, or name the folder with --data-dir.",
        )
    if await _answers(folder):
        async with _client(control_socket(folder)) as client:
            yield Api(client)
        return
    from onelogin_connector.web.app import serve_control

    async with serve_control(settings) as path, _client(path) as client:
        yield Api(client)


async def reasons_not_ready(settings: Settings) -> list[str]:
    """
    Ask the running service why it would not take events; empty when it does.

    Never becomes the service itself: whoever asks wants to know of the one that should run. A service that does not
    answer within seconds is one that takes no events.

    Raises:
        ConnectorError: No service runs on the data folder, or it does not answer.
    """
    from httpx2 import TransportError

    folder = settings.data_dir
    if holder(folder) is None or is_held_by_command(folder):
        raise ConnectorError(
            f"No service runs on the data folder {folder}.",
            action="Start it with `onelogin-connector run`, or name its folder with --data-dir.",
        )
    try:
        async with _client(control_socket(folder)) as client:
            answer = await client.get("/readyz", timeout=READY_SECONDS)
        return [str(reason) for reason in decode(answer.content)["reasons"]]
    except (TransportError, DecodeError) as error:
        raise gone(error) from error


async def _answers(folder: Path) -> bool:
    """
    Tell whether a service answers on a folder; waits for one that is just starting.
    """
    deadline = asyncio.get_running_loop().time() + STARTING_SECONDS
    while pid := holder(folder):
        try:
            _, writer = await asyncio.open_unix_connection(control_socket(folder))
        except OSError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise Busy(
                    f"The process {pid} has claimed the data folder {folder}, but does not answer.",
                    action=f"Wait if it is just starting; otherwise stop it: kill {pid}",
                ) from error
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return True
    return False


def _client(path: Path) -> "AsyncClient":
    from httpx2 import AsyncClient, AsyncHTTPTransport, Timeout

    return AsyncClient(
        transport=AsyncHTTPTransport(uds=str(path)),
        base_url="http://localhost",
        # a long query or import is no failure; only connecting is bounded
        timeout=Timeout(None, connect=5.0),
    )
