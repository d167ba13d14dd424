"""
Dead letters: what was refused, why, its bytes, and replay or discard – one, some, or all that fit.
"""

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.errors import ConfigError
from onelogin_connector.journal.base import DeadLetter, LetterHead
from onelogin_connector.moments import text_of
from onelogin_connector.plural import counted
from onelogin_connector.service import Service
from onelogin_connector.web.answers import HttpError
from onelogin_connector.web.console.base import render, service_of
from onelogin_connector.web.console.routes import Act, Done, Download, Entry, View
from onelogin_connector.web.reading import LARGEST_ID, Id, id_of, whole

PAGE_LETTERS = 50
READ_AT_ONCE = 100
MOST_READ = 2_000
"""Letters that one page looks at, without their bytes."""
SHOWN_BYTES = 16_384
HEX_BYTES = 2_048
HEX_ROW = 16
KINDS = {
    "request": "No JSON: the whole request was refused",
    "record": "Records that cannot be read",
    "delivery": "Refused by a sink",
}


class LetterFilter(Struct, frozen=True):
    """
    Which dead letters are meant; empty fields mean all.
    """

    kind: str = ""
    connector: str = ""
    sink: str = ""
    reason: str = ""

    def fits(self, letter: LetterHead) -> bool:
        """
        Tell whether a letter is meant.
        """
        return all(
            not wanted or getattr(letter, name) == wanted for name, wanted in structs.asdict(self).items()
        )

    def pairs(self) -> list[tuple[str, str]]:
        """
        Return the fields that say something.
        """
        return [(name, value) for name, value in structs.asdict(self).items() if value]

    def at(self, **changes: Any) -> str:
        """
        Return the address of the page with other values.
        """
        after = changes.pop("after", 0)
        pairs = structs.replace(self, **changes).pairs() + ([("after", str(after))] if after else [])
        return f"/dead-letters?{urlencode(pairs)}" if pairs else "/dead-letters"


class LetterRow(Struct, frozen=True):
    """
    One dead letter of the list.
    """

    id: int
    at: str | None
    connector: str
    sink: str
    kind: str
    reason: str
    records: int
    count: int
    bytes: int


class Group(Struct, frozen=True):
    """
    Letters that were refused for the same reason by the same part.
    """

    kind: str
    connector: str
    sink: str
    reason: str
    letters: int


class LettersView(Struct, frozen=True):
    """
    A page of dead letters, the oldest first.
    """

    filter: LetterFilter
    letters: list[LetterRow]
    next: int | None
    """The id behind which to go on; None at the end."""
    held: int
    """All dead letters."""
    groups: list[Group]
    """Reasons among the letters that were looked at, the most frequent first."""
    all_seen: bool
    """The groups are of all letters."""


class LetterView(Struct, frozen=True):
    """
    One dead letter with its bytes.
    """

    letter: LetterRow
    positions: dict[str, str]
    """Position in the request → reason."""
    text: str
    """The bytes as text, cut at some length."""
    hex: str
    """Their beginning, sixteen to a line."""
    cut: bool
    hex_cut: bool


class Chosen(Struct, frozen=True, forbid_unknown_fields=True):
    """
    Dead letters that a form names: by id, or all that fit.
    """

    ids: list[Id] = []
    all: bool = False
    kind: str = ""
    connector: str = ""
    sink: str = ""
    reason: str = ""
    confirmed: bool = False

    @property
    def filter(self) -> LetterFilter:
        """
        What all means.
        """
        return LetterFilter(self.kind, self.connector, self.sink, self.reason)


async def letters(request: Request) -> LettersView:
    """
    Return a page of dead letters.
    """
    query = request.query_params
    chosen = LetterFilter(*(query.get(name, "") for name in ("kind", "connector", "sink", "reason")))
    after = whole(request, "after", 0, least=0, most=LARGEST_ID)
    service = service_of(request)
    return await asyncio.to_thread(_page, service, chosen, after)


def _page(service: Service, chosen: LetterFilter, after: int) -> LettersView:
    rows: list[LetterRow] = []
    following: int | None = None
    place, read = after, 0
    groups: Counter[tuple[str, str, str, str]] = Counter()
    ended = False
    while read < MOST_READ and not ended:
        found = service.letters.page(after=place, limit=READ_AT_ONCE)
        ended = len(found) < READ_AT_ONCE
        for letter in found:
            place, read = letter.id, read + 1
            groups[letter.kind, letter.connector, letter.sink, letter.reason] += 1
            if chosen.fits(letter):
                if len(rows) < PAGE_LETTERS:
                    rows.append(_row(letter))
                elif following is None:
                    following = rows[-1].id
    if following is None and not ended:
        following = place  # the rest was not looked at: the next page begins there
    return LettersView(
        chosen,
        rows,
        following,
        service.journal.stats()["dead_letters"],
        [Group(*key, number) for key, number in groups.most_common(20)],
        ended and after == 0,
    )


async def letter(request: Request) -> LetterView:
    """
    Return one dead letter.

    Raises:
        HttpError: There is none of that number.
    """
    found = _found(request)
    body = found.body
    return LetterView(
        _row(found.head),
        {str(position): why for position, why in found.positions.items()},
        body[:SHOWN_BYTES].decode(errors="replace"),
        hexadecimal(body[:HEX_BYTES]),
        len(body) > SHOWN_BYTES,
        len(body) > HEX_BYTES,
    )


async def raw(request: Request) -> Response:
    """
    Answer with a dead letter's bytes as they were received.
    """
    found = _found(request)
    headers = {"content-disposition": f'attachment; filename="dead-letter-{found.id}.bin"'}
    return Response(found.body, media_type="application/octet-stream", headers=headers)


def _found(request: Request) -> DeadLetter:
    id = id_of(request, "dead letter")
    found = service_of(request).letters.one(id)
    if found is None:
        raise HttpError(
            "not-found",
            f"There is no dead letter {id}.",
            action="It was replayed or discarded, or never was: /dead-letters lists what there is.",
        )
    return found


def hexadecimal(body: bytes) -> str:
    """
    Return bytes as lines of offset, hexadecimal and ASCII.
    """
    lines = []
    for place in range(0, len(body), HEX_ROW):
        part = body[place : place + HEX_ROW]
        shown = "".join(chr(each) if 32 <= each < 127 else "." for each in part)
        lines.append(f"{place:08x}  {part.hex(' '):<{HEX_ROW * 3 - 1}}  {shown}")
    return "\n".join(lines)


def _row(letter: LetterHead) -> LetterRow:
    return LetterRow(
        letter.id,
        text_of(letter.at),
        letter.connector,
        letter.sink,
        letter.kind,
        letter.reason,
        letter.records,
        letter.count,
        letter.size_bytes,
    )


async def replay(request: Request, values: Chosen) -> Done | Response:
    """
    Send dead letters again; those that are accepted are removed.
    """
    service, ids = service_of(request), await _ids(request, values)
    if len(ids) > 1 and not values.confirmed:
        return _ask(request, values, ids, "replay")
    accepted, failures = await service.letters.replay(ids)
    target = f"{len(ids)} letters" if len(ids) > 1 else f"letter {ids[0]}"
    if len(ids) == 1:
        text = "It was accepted, and is no dead letter any more." if accepted else "It stays a dead letter."
    elif accepted == 1:
        text = f"1 of {len(ids)} was accepted, and is no dead letter any more."
    else:
        text = f"{accepted or 'None'} of {len(ids)} were accepted{' and are no longer dead letters' if accepted else ''}."
    if failures:
        return Done(f"{text} {' '.join(failures[:3])}", target=target, tone="warning")
    return Done(text, target=target)


async def discard(request: Request, values: Chosen) -> Done | Response:
    """
    Remove dead letters for ever.
    """
    ids = await _ids(request, values)
    if not values.confirmed:
        return _ask(request, values, ids, "discard")
    removed = await service_of(request).letters.discard(ids)
    text = f"{counted(removed, 'dead letter is', 'dead letters are')} discarded."
    return Done(text, target=str(removed))


async def _ids(request: Request, values: Chosen) -> list[int]:
    service = service_of(request)
    if values.ids and not values.all:
        return list(dict.fromkeys(values.ids))
    if not values.all:
        raise ConfigError("No dead letter was chosen.", action="Tick some, or choose all that fit.")
    ids = await asyncio.to_thread(_fitting, service, values.filter)
    if not ids:
        raise ConfigError("No dead letter fits.", action="Load the page again.")
    return ids


def _fitting(service: Service, chosen: LetterFilter) -> list[int]:
    after, ids = 0, []
    while found := service.letters.page(after=after, limit=READ_AT_ONCE):
        ids += [letter.id for letter in found if chosen.fits(letter)]
        after = found[-1].id
    return ids


def _ask(request: Request, values: Chosen, ids: list[int], deed: str) -> Response:
    service = service_of(request)
    some = [found for id in ids[:5] if (found := service.letters.one(id)) is not None]
    return render(
        request,
        "letters_sure.html",
        deed=deed,
        chosen=values,
        number=len(ids),
        ids=[] if values.all else ids,
        some=[_row(letter.head) for letter in some],
    )


def also(_request: Request, _view: LettersView) -> dict[str, Any]:
    """
    Return what the page says beside the letters.
    """
    return {"kinds": KINDS}


ENTRIES: tuple[Entry, ...] = (
    View(
        "/dead-letters",
        "",
        "letters.html",
        LettersView,
        letters,
        also=also,
        title="Dead letters",
        icon="letter",
        group="Deliver",
    ),
    # the JSON twins of these are older: /api/v1/dead-letters, …/{id}, …/replay, …/discard
    View("/dead-letters/{id}", "", "letters_one.html", LetterView, letter),
    Download("/dead-letters/{id}/raw", raw),
    Act(
        "/dead-letters/replay",
        "dead_letters_replayed",
        replay,
        takes=Chosen,
        twin=False,
        back="/dead-letters",
    ),
    Act(
        "/dead-letters/discard",
        "dead_letters_discarded",
        discard,
        takes=Chosen,
        twin=False,
        back="/dead-letters",
    ),
)
