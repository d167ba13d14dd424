"""
``import`` and ``simulate``: events from files, and from a company that does not exist.
"""

import asyncio
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any

from msgspec.json import decode

from onelogin_connector.cli import DONE, FAILED, WRONG_USAGE, say, tables
from onelogin_connector.cli.connection import Api, connected, gone, refuse
from onelogin_connector.cli.text import printable
from onelogin_connector.config import Settings
from onelogin_connector.errors import ConfigError, ConnectorError

CHUNK_BYTES = 256 << 10


async def import_(arguments: Namespace, settings: Settings) -> int:
    """
    Import files, one after the other; a file that fails does not stop the next.
    """
    for path in arguments.files:
        if not path.is_file():
            raise ConfigError(f"There is no file {path}.", action="Nothing was imported; check the names.")
    results, failed = [], 0
    async with connected(settings, make=True) as api:
        for path in arguments.files:
            try:
                result = await _import_one(api, path, arguments)
            except ConnectorError as error:
                failed += 1
                say(f"{path}: {error.message} {error.action}")
                results.append({"file": printable(str(path)), "error": error.message})
            else:
                results.append({"file": printable(str(path)), **result})
                failed += bool(result.get("dead"))
    if arguments.json:
        tables.show_json(results)
    else:
        _tell(results)
    return FAILED if failed else DONE


def _tell(results: list[dict[str, Any]]) -> None:
    total: Counter[str] = Counter()
    for result in results:
        total.update({name: count for name, count in result.items() if isinstance(count, int)})
    print(", ".join(f"{count} {name}" for name, count in total.items()) or "nothing was imported")
    if total["dead"]:
        say("Some records cannot be read: see `onelogin-connector dead-letters list`.")


async def _import_one(api: Api, path: Path, arguments: Namespace) -> dict[str, Any]:
    """
    Send a file and follow its progress; the answer is one line of JSON per step, the result last.
    """
    from httpx2 import TransportError

    query = {
        "connector": arguments.connector,
        "accept_duplicates": "true" if arguments.accept_duplicates else "false",
    }
    size = path.stat().st_size
    try:
        with _progress(path.name, size) as advance:
            sending = api.client.stream(
                "POST",
                "/api/v1/import",
                params=query,
                content=_chunks(path, size),
                headers={"content-type": "application/octet-stream", "content-length": str(size)},
            )
            async with sending as answer:
                if answer.status_code >= 400:
                    refuse(answer.status_code, await answer.aread())
                last: dict[str, Any] = {}
                async for line in answer.aiter_lines():
                    last = decode(line)
                    if "read_bytes" in last:
                        advance(last["read_bytes"], last["of_bytes"])
    except TransportError as error:
        raise gone(error) from error
    if "problem" in last:
        raise ConnectorError(last["problem"]["detail"], action=last["problem"]["action"])
    result: dict[str, Any] = last["result"]
    return result


async def _chunks(path: Path, size: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        # what is written to the file meanwhile waits for the next import
        while size > 0 and (chunk := file.read(min(CHUNK_BYTES, size))):
            size -= len(chunk)
            yield chunk


def _progress(name: str, size: int) -> AbstractContextManager[Any]:
    if not sys.stderr.isatty():
        return nullcontext(lambda *_: None)
    return _Bar(name, size)


class _Bar(AbstractContextManager[Any]):
    """
    A progress bar on stderr.
    """

    def __init__(self, name: str, size: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(name, total=size)

    def __enter__(self) -> Any:
        self._progress.start()
        # the total is that of the content: a compressed file is shorter than what is read of it
        return lambda done, total: self._progress.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


async def simulate(arguments: Namespace) -> int:
    """
    Send a simulated company's webhooks, answer for its API, or both, until stopped.
    """
    from onelogin_connector.service import demo
    from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET

    if arguments.url is None and arguments.api is None:
        say("onelogin-connector: Give the URL of a connector, --api with a port, or both.")
        return WRONG_USAGE
    if arguments.url is not None and arguments.token is None:
        say("onelogin-connector: A connector takes webhooks with its token alone; give it with --token.")
        return WRONG_USAGE
    async with AsyncExitStack() as stack:
        if arguments.api is not None:
            url = await stack.enter_async_context(demo.api_on(arguments.api, seed=arguments.seed))
            print(f"The API of the simulated account answers at {url}")
            print(f"client_id = {CLIENT_ID}\nclient_secret = {CLIENT_SECRET}", flush=True)
        if arguments.url is None:
            await asyncio.Event().wait()
        await demo.feed(
            arguments.url,
            arguments.token,
            hours=arguments.hours,
            seed=arguments.seed,
            lost=arguments.lost,
        )
    return DONE
