"""
``import`` and ``simulate``: events from files, and from a company that does not exist.
"""

import asyncio
import signal
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from os import fstat
from pathlib import Path
from shutil import copyfileobj
from stat import S_ISDIR, S_ISREG
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO, cast

from msgspec.json import decode

from onelogin_connector.cli import DONE, FAILED, WRONG_USAGE, say, tables
from onelogin_connector.cli.connection import Api, connected, gone, refuse
from onelogin_connector.cli.text import printable
from onelogin_connector.config import Settings
from onelogin_connector.errors import ConfigError, ConnectorError
from onelogin_connector.plural import counted

CHUNK_BYTES = 256 << 10
STANDARD_INPUT = "-"


async def import_(arguments: Namespace, settings: Settings) -> int:
    """
    Import files, one after the other; a file that fails does not stop the next.

    A pipe, a device and ``-``, which is standard input, are read to their end before anything is imported.
    """
    streams = [path for path in arguments.files if not _is_file(path)]
    results, failed = [], 0
    async with AsyncExitStack() as stack:
        spools = {path: stack.enter_context(_spooled(path)) for path in streams}
        api = await stack.enter_async_context(connected(settings, make=True))
        for path in arguments.files:
            try:
                with _content(path, spools) as file:
                    result = await _import_one(api, path.name, file, arguments)
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


def _is_file(path: Path) -> bool:
    """
    Tell whether a path is a file, which can be read again; or else a stream.

    Raises:
        ConfigError: It is neither.
    """
    if str(path) == STANDARD_INPUT:
        return False
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(
            f"There is no file {path}.", action="Nothing was imported; check the names."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"The file {path} cannot be reached: {error.strerror}.",
            action="Nothing was imported; check the permissions of its folders.",
        ) from error
    if S_ISDIR(mode):
        raise ConfigError(f"{path} is a folder.", action="Nothing was imported; name the files in it.")
    return S_ISREG(mode)


def _spooled(path: Path) -> BinaryIO:
    """
    Write a stream to a temporary file of no name, which goes when it is closed, and return that.

    Raises:
        ConfigError: It cannot be read, or there is no room for it.
    """
    # the event loop would note Ctrl+C and wait for the stream to go on
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    spool = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - it is what is returned
    try:
        if str(path) == STANDARD_INPUT:
            copyfileobj(sys.stdin.buffer, spool, CHUNK_BYTES)
        else:
            with path.open("rb") as stream:
                copyfileobj(stream, spool, CHUNK_BYTES)
        spool.flush()
    except BaseException as error:
        spool.close()
        if not isinstance(error, OSError):
            raise
        raise ConfigError(
            f"{path} cannot be read, or not be kept in {gettempdir()} meanwhile: {error.strerror}.",
            action="Nothing was imported; write it to a file and import that, or set TMPDIR to a larger disk.",
        ) from error
    finally:
        signal.signal(signal.SIGINT, handler)
    return spool


def _content(path: Path, spools: Mapping[Path, BinaryIO]) -> AbstractContextManager[BinaryIO]:
    """
    Open what is to be imported, at its beginning.
    """
    if path in spools:
        spools[path].seek(0)
        return nullcontext(spools[path])
    try:
        return path.open("rb")
    except OSError as error:
        raise ConnectorError(
            f"It cannot be opened: {error.strerror}.", action="Check its permissions."
        ) from error


def _tell(results: list[dict[str, Any]]) -> None:
    total: Counter[str] = Counter()
    for result in results:
        total.update({name: count for name, count in result.items() if isinstance(count, int)})
    figures = [counted(count, name.removesuffix("s"), name) for name, count in total.items()]
    print(", ".join(figures) or "nothing was imported")
    for result in results:
        if result.get("first_bad"):
            say(f"{result['file']}: {result['first_bad']}")
    if total["dead"]:
        some = "1 record cannot" if total["dead"] == 1 else "Some records cannot"
        say(f"{some} be read; `onelogin-connector dead-letters list` has what there is of them.")


async def _import_one(api: Api, name: str, file: BinaryIO, arguments: Namespace) -> dict[str, Any]:
    """
    Send a file and follow its progress; the answer is one line of JSON per step, the result last.
    """
    from httpx2 import TransportError

    query = {
        "connector": arguments.connector,
        "accept_duplicates": "true" if arguments.accept_duplicates else "false",
    }
    size = fstat(file.fileno()).st_size
    try:
        with _progress(name, size) as advance:
            sending = api.client.stream(
                "POST",
                "/api/v1/import",
                params=query,
                content=_chunks(file, size),
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


async def _chunks(file: BinaryIO, size: int) -> AsyncIterator[bytes]:
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
    Send a simulated company's webhooks, answer for its API, for Azure, or all of it, until stopped.
    """
    from onelogin_connector.service import azure_demo, demo
    from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET

    if arguments.url is None and arguments.api is None and arguments.azure is None:
        say(
            "onelogin-connector: Give the URL of a connector, --api or --azure with a port, or several of them."
        )
        return WRONG_USAGE
    if arguments.url is not None and arguments.token is None:
        say("onelogin-connector: A connector takes webhooks with its token alone; give it with --token.")
        return WRONG_USAGE
    async with AsyncExitStack() as stack:
        if arguments.api is not None:
            url = await stack.enter_async_context(demo.api_on(arguments.api, seed=arguments.seed))
            print(f"The API of the simulated account answers at {url}")
            print(f"client_id = {CLIENT_ID}\nclient_secret = {CLIENT_SECRET}", flush=True)
        if arguments.azure is not None:
            url = await stack.enter_async_context(azure_demo.azure_on(arguments.azure))
            print(f"Azure is simulated at {url}; sinks for it:\n\n{azure_demo.example(url)}", flush=True)
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
