"""
``/api/v1``: what the command line, scripts and the console ask of a service.

Each endpoint stands in one table with the role it needs; a test walks the table.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from shutil import rmtree
from typing import Any, NamedTuple

from msgspec import to_builtins
from msgspec.json import decode, encode
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from onelogin_connector.errors import JournalFull
from onelogin_connector.journal.base import DeadLetter
from onelogin_connector.service import Service
from onelogin_connector.service.backup import archive
from onelogin_connector.service.folder import scratch
from onelogin_connector.service.report import text_of
from onelogin_connector.web import csv
from onelogin_connector.web.access import Access, Role, caller_of
from onelogin_connector.web.answers import HttpError, json, plain, problem_of, rfc3339
from onelogin_connector.web.reading import (
    LARGEST_ID,
    Names,
    NewPassword,
    NewToken,
    Question,
    Rotation,
    Which,
    id_of,
    pieces,
    read,
    whole,
    within,
)

MOST_LETTERS = 1_000
SHORTEST_QUERY_SECONDS, LONGEST_QUERY_SECONDS = 0.1, 600.0

Call = Callable[["Api", Request], Awaitable[Response]]


class Endpoint(NamedTuple):
    """
    One address, and who may use it.
    """

    method: str
    path: str
    role: Role
    call: Call


class Api:
    """
    The endpoints of one service.
    """

    def __init__(self, service: Service, access: Access) -> None:
        self.service = service
        self.access = access

    async def status(self, request: Request) -> Response:
        """
        Return the state of connectors, sinks and journal.
        """
        return json(self.service.status())

    async def connectors(self, request: Request) -> Response:
        """
        Return the state of each connector.
        """
        return json(self.service.status()["connectors"])

    async def query(self, request: Request) -> Response:
        """
        Run a KQL query; answers JSON, or CSV if the client prefers that.
        """
        question = await read(request, Question)
        within("limit", question.limit, 1, LARGEST_ID)
        within("timeout_seconds", question.timeout_seconds, SHORTEST_QUERY_SECONDS, LONGEST_QUERY_SECONDS)
        limit = None if question.all else question.limit
        seconds = question.timeout_seconds
        result = await self.service.query(question.kql, limit=limit, timeout_seconds=seconds)
        names = [column.name for column in result.columns]
        if "text/csv" in request.headers.get("accept", ""):
            headers = {"x-truncated": str(result.truncated).lower(), "x-limit": str(limit)}
            text = await asyncio.to_thread(csv.table, names, result.rows)
            return Response(text, media_type="text/csv", headers=headers)
        content = {
            "columns": [{"name": column.name, "type": str(column.type)} for column in result.columns],
            "rows": [dict(zip(names, row, strict=True)) for row in result.rows],
            "truncated": result.truncated,
            "limit": limit,
            "seconds": round(result.seconds, 4),
        }
        body = await asyncio.to_thread(encode, content, enc_hook=plain)
        return Response(body, media_type="application/json")

    async def dead_letters(self, request: Request) -> Response:
        """
        Return a page of dead letters, oldest first, without their bytes.
        """
        after = whole(request, "after", 0, least=0, most=LARGEST_ID)
        limit = whole(request, "limit", 100, least=1, most=MOST_LETTERS)
        found = self.service.letters.page(after=after, limit=limit + 1)
        page = found[:limit]
        more = page[-1].id if len(found) > limit else None
        return json({"dead_letters": [summary(letter) for letter in page], "next": more})

    async def dead_letter(self, request: Request) -> Response:
        """
        Return one dead letter with its bytes.
        """
        id = id_of(request, "dead letter")
        letter = self.service.letters.one(id)
        if letter is None:
            raise HttpError("not-found", f"There is no dead letter {id}.")
        return json(
            summary(letter)
            | {
                "records": letter.records,
                "offset": letter.offset,
                "positions": {str(position): why for position, why in letter.positions.items()},
                "body": letter.body.decode(errors="replace"),
                "body_base64": b64encode(letter.body).decode(),
            }
        )

    async def replay(self, request: Request) -> Response:
        """
        Send dead letters again; those that are accepted are removed.
        """
        accepted, failures = await self.service.letters.replay(await self._which(request))
        return json({"replayed": accepted, "failed": len(failures), "errors": failures})

    async def discard(self, request: Request) -> Response:
        """
        Remove dead letters for ever.
        """
        ids = await self._which(request)
        self._note(request, "dead_letters_discarded", str(len(ids)))
        return json({"discarded": await self.service.letters.discard(ids)})

    async def _which(self, request: Request) -> list[int]:
        which = await read(request, Which)
        if bool(which.ids) == which.all:
            raise HttpError(
                "invalid-input", "Name either ids or all.", action='Send {"ids": [1, 2]} or {"all": true}.'
            )
        return list(self.service.letters.all_ids()) if which.all else which.ids

    async def imports(self, request: Request) -> Response:
        """
        Take events from the file that is the body; answers one line of JSON per step, the result last.
        """
        connector = request.query_params.get("connector", "")
        self.service.require_connector(connector)
        accept = request.query_params.get("accept_duplicates", "false") == "true"
        folder = scratch(self.service.folder.path)
        try:
            await self._spool(request, folder / "body")
        except BaseException:
            rmtree(folder, ignore_errors=True)
            raise
        steps: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        def progress(records: int, read_bytes: int, of_bytes: int) -> None:
            steps.put_nowait({"records": records, "read_bytes": read_bytes, "of_bytes": of_bytes})

        async def work() -> None:
            try:
                with (folder / "body").open("rb") as file:
                    done = await self.service.import_file(
                        file, connector, accept_duplicates=accept, progress=progress
                    )
                steps.put_nowait({"result": done})
            except Exception as error:  # noqa: BLE001 - the status line is sent already: the error is the last line
                steps.put_nowait({"problem": decode(bytes(problem_of(error).body))})
            finally:
                rmtree(folder, ignore_errors=True)

        # a task of its own: an import goes on when its client goes away, and can be repeated in any case
        working = asyncio.create_task(work(), name="import")
        return StreamingResponse(_lines(steps, working), media_type="application/x-ndjson")

    async def _spool(self, request: Request, path: Any) -> None:
        """
        Write the body to disk: it is read twice, and may be larger than memory.

        Raises:
            JournalFull: It would take the room that the journal needs.
        """
        stats = self.service.journal.stats()
        left = stats["free_bytes"] - stats["reserve_bytes"]
        left -= int(request.headers.get("content-length", "0"))  # the server has checked that it is a number
        with path.open("wb") as file:
            async for chunk in pieces(request):
                if left < 0:
                    raise JournalFull("There is no room on the disk for this file.")
                file.write(chunk)
                left -= 0 if "content-length" in request.headers else len(chunk)

    async def check(self, request: Request) -> Response:
        """
        Test connectors and sinks, stage by stage.
        """
        return json(await self.service.check((await read(request, Names)).names))

    async def check_one(self, request: Request) -> Response:
        """
        Test one connector.
        """
        connector = request.path_params["id"]
        self.service.require_connector(connector)
        return json((await self.service.check([connector]))[0])

    async def backup(self, request: Request) -> Response:
        """
        Return an archive of store, state and journal.
        """
        self._note(request, "backup_made")
        folder = await self.service.back_up()

        async def chunks() -> AsyncIterator[bytes]:
            try:
                async for chunk in archive(folder):
                    yield chunk
            finally:
                rmtree(folder, ignore_errors=True)

        return StreamingResponse(chunks(), media_type="application/x-tar")

    async def password(self, request: Request) -> Response:
        """
        Set a user's password; the user's sessions end.
        """
        new = await read(request, NewPassword)
        await self.access.set_password(new.user, new.password)
        self._note(request, "password_set", new.user)
        return json({"user": new.user})

    async def tokens(self, request: Request) -> Response:
        """
        Return the API tokens, without their values.
        """
        found = await asyncio.to_thread(self.access.tokens)
        times = ("created_at", "expires_at", "used_at")
        return json(
            [to_builtins(token) | {name: rfc3339(getattr(token, name)) for name in times} for token in found]
        )

    async def new_token(self, request: Request) -> Response:
        """
        Make an API token; it is shown this once.
        """
        new = await read(request, NewToken)
        by = caller_of(request).name
        token = await asyncio.to_thread(self.access.new_token, new.name, new.role, by=by)
        self._note(request, "api_token_made", f"{new.name} ({new.role})")
        return json(
            {
                "token": token,
                "note": f"The token {new.name} may do what a {new.role} may. It cannot be shown again.",
            },
            201,
        )

    async def revoke_token(self, request: Request) -> Response:
        """
        End an API token.
        """
        id = id_of(request, "API token")
        if not await asyncio.to_thread(self.access.revoke_token, id):
            raise HttpError("not-found", f"There is no API token {id}.")
        self._note(request, "api_token_revoked", str(id))
        return json({"revoked": id})

    async def webhook_token(self, request: Request) -> Response:
        """
        Make a webhook token for a connector; it is shown this once.
        """
        connector = request.path_params["id"]
        rotation = await read(request, Rotation)
        token = self.service.new_webhook_token(connector, revoke_old=rotation.revoke_old)
        self._note(request, "webhook_token_made", connector)
        older = "Older tokens are invalid." if rotation.revoke_old else "The token before it stays valid."
        return json(
            {"token": token, "note": f"Set it in OneLogin as `Authorization: Bearer …`. {older}"}, 201
        )

    def _note(self, request: Request, action: str, what: str = "") -> None:
        self.access.note(caller_of(request).name, action, what)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/v1/status", Role.VIEWER, Api.status),
    Endpoint("GET", "/api/v1/connectors", Role.VIEWER, Api.connectors),
    Endpoint("POST", "/api/v1/connectors/{id}/check", Role.OPERATOR, Api.check_one),
    Endpoint("POST", "/api/v1/connectors/{id}/token", Role.ADMIN, Api.webhook_token),
    Endpoint("POST", "/api/v1/query", Role.VIEWER, Api.query),
    Endpoint("GET", "/api/v1/dead-letters", Role.VIEWER, Api.dead_letters),
    Endpoint("POST", "/api/v1/dead-letters/replay", Role.OPERATOR, Api.replay),
    Endpoint("POST", "/api/v1/dead-letters/discard", Role.OPERATOR, Api.discard),
    Endpoint("GET", "/api/v1/dead-letters/{id}", Role.VIEWER, Api.dead_letter),
    Endpoint("POST", "/api/v1/import", Role.OPERATOR, Api.imports),
    Endpoint("POST", "/api/v1/check", Role.OPERATOR, Api.check),
    Endpoint("POST", "/api/v1/backup", Role.ADMIN, Api.backup),
    Endpoint("POST", "/api/v1/password", Role.ADMIN, Api.password),
    Endpoint("GET", "/api/v1/tokens", Role.ADMIN, Api.tokens),
    Endpoint("POST", "/api/v1/tokens", Role.ADMIN, Api.new_token),
    Endpoint("DELETE", "/api/v1/tokens/{id}", Role.ADMIN, Api.revoke_token),
)


def summary(letter: DeadLetter) -> dict[str, Any]:
    """
    Return what a list shows of a dead letter.
    """
    return {
        "id": letter.id,
        "at": text_of(letter.at),
        "connector": letter.connector,
        "sink": letter.sink,
        "kind": letter.kind,
        "reason": letter.reason,
        "count": letter.count,
        "bytes": len(letter.body),
    }


async def _lines(
    steps: "asyncio.Queue[dict[str, Any]]", working: "asyncio.Task[None]"
) -> AsyncIterator[bytes]:
    while True:
        step = await steps.get()
        yield encode(step) + b"\n"
        if "result" in step or "problem" in step:
            await working
            return
