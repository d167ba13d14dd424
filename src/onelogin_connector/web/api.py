"""
``/api/v1``: what the command line, scripts and the console ask of a service.

``endpoints`` says at which address and of whom; what is asked of connectors and sinks alone has modules of its own.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from shutil import rmtree
from typing import Any

from msgspec import structs, to_builtins
from msgspec.json import encode
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from onelogin_connector.errors import JournalFull
from onelogin_connector.service import Service
from onelogin_connector.service.backup import archive
from onelogin_connector.service.folder import scratch
from onelogin_connector.web import csv, shapes
from onelogin_connector.web.access import Access, caller_of
from onelogin_connector.web.answers import HttpError, json, plain, rfc3339
from onelogin_connector.web.reading import (
    LARGEST_ID,
    Names,
    NewPassword,
    NewToken,
    Question,
    Range,
    Rotation,
    Which,
    id_of,
    moment_us,
    pieces,
    read,
    whole,
    within,
)
from onelogin_connector.web.steps import Tell, told

MOST_LETTERS = 1_000
SHORTEST_QUERY_SECONDS, LONGEST_QUERY_SECONDS = 0.1, 600.0
HOUR_US = 3_600_000_000


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
        return json(shapes.LetterPage([shapes.LetterSummary.of(letter) for letter in page], more))

    async def dead_letter(self, request: Request) -> Response:
        """
        Return one dead letter with its bytes.
        """
        id = id_of(request, "dead letter")
        letter = self.service.letters.one(id)
        if letter is None:
            raise HttpError(
                "not-found",
                f"There is no dead letter {id}.",
                action="It was replayed or discarded, or never was: /api/v1/dead-letters lists what there is.",
            )
        found = shapes.WholeLetter(
            **structs.asdict(shapes.LetterSummary.of(letter.head)),
            records=letter.records,
            offset=letter.offset,
            positions={str(position): why for position, why in letter.positions.items()},
            body=letter.body.decode(errors="replace"),
            body_base64=b64encode(letter.body).decode(),
        )
        return json(found)

    async def replay(self, request: Request) -> Response:
        """
        Send dead letters again; those that are accepted are removed.
        """
        accepted, failures = await self.service.letters.replay(await self._which(request))
        return json(shapes.Replayed(accepted, len(failures), failures))

    async def discard(self, request: Request) -> Response:
        """
        Remove dead letters for ever.
        """
        ids = await self._which(request)
        self._note(request, "dead_letters_discarded", str(len(ids)))
        return json(shapes.Discarded(await self.service.letters.discard(ids)))

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

        async def work(tell: Tell) -> dict[str, Any]:
            def progress(records: int, read_bytes: int, of_bytes: int) -> None:
                tell({"records": records, "read_bytes": read_bytes, "of_bytes": of_bytes})

            try:
                with (folder / "body").open("rb") as file:
                    return await self.service.import_file(
                        file, connector, accept_duplicates=accept, progress=progress
                    )
            finally:
                rmtree(folder, ignore_errors=True)

        return told("import", work, goes_on=True)  # it can be repeated in any case

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

    async def completeness(self, request: Request) -> Response:
        """
        Return what the API listed of each hour and what of it is held; of the last 48 hours by default.
        """
        now_us = int(self.service.clock() * 1_000_000)
        until_us = moment_us(request, "until", now_us)
        since_us = moment_us(request, "since", until_us - 48 * HOUR_US)
        wanted = request.query_params.get("connector")
        hours = [
            figures
            for connector in ([wanted] if wanted else self.service.settings.connectors)
            for figures in await self.service.completeness(connector, since_us, until_us)
        ]
        return json(shapes.Hours([shapes.HourShown.of(figures) for figures in hours]))

    async def backfill(self, request: Request) -> Response:
        """
        Read a range of the past from the API; answers one line of JSON per step, the result last.
        """
        connector = request.path_params["id"]
        self.service.require_connector(connector)
        wanted = await read(request, Range)
        since_us = int(wanted.since.timestamp() * 1_000_000)
        until = self.service.clock() if wanted.until is None else wanted.until.timestamp()
        self._note(request, "backfill", connector)

        async def work(tell: Tell) -> dict[str, Any]:
            done = await self.service.backfill(
                connector,
                since_us,
                int(until * 1_000_000),
                lambda step: tell(to_builtins(step)),
                accept_duplicates=wanted.accept_duplicates,
            )
            content: dict[str, Any] = to_builtins(done)
            return content

        # who asked has gone: asked again, it goes on where it was
        return told(f"backfill {connector}", work, goes_on=False)

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
        return json(shapes.PasswordSet(new.user))

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
        note = f"The token {new.name} may do what a {new.role} may. It cannot be shown again."
        return json(shapes.NewSecret(token, note), 201)

    async def revoke_token(self, request: Request) -> Response:
        """
        End an API token.
        """
        id = id_of(request, "API token")
        if not await asyncio.to_thread(self.access.revoke_token, id):
            raise HttpError("not-found", f"There is no API token {id}.")
        self._note(request, "api_token_revoked", str(id))
        return json(shapes.Revoked(id))

    async def webhook_token(self, request: Request) -> Response:
        """
        Make a webhook token for a connector; it is shown this once.
        """
        connector = request.path_params["id"]
        rotation = await read(request, Rotation)
        token = self.service.new_webhook_token(connector, revoke_old=rotation.revoke_old)
        self._note(request, "webhook_token_made", connector)
        older = "Older tokens are invalid." if rotation.revoke_old else "The token before it stays valid."
        return json(shapes.NewSecret(token, f"Set it in OneLogin as `Authorization: Bearer …`. {older}"), 201)

    def _note(self, request: Request, action: str, what: str = "") -> None:
        self.access.note(caller_of(request).name, action, what)
