"""
Dead letters among blobs: each is a document that a person can read, and one line of the journal's own lists.

What was acknowledged is never dropped. Requests that hold no JSON were not: of those the newest are kept.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from itertools import islice
from typing import Any

from msgspec import Struct, json, msgpack, structs

from onelogin_connector.journal.base import DeadLetter, NewDeadLetter
from onelogin_connector.journal.blobs.tree import Tree
from onelogin_connector.journal.letters import letter_key

LETTERS = "dead-letters/"

RING_LETTERS = 500
"""Requests that hold no JSON; each is a blob."""

Write = Callable[[str, bytes], None]
Read = Callable[[str], bytes | None]


class Kept(Struct, frozen=True):
    """
    What the journal's list holds of a letter.
    """

    letter: DeadLetter
    """Without its body."""
    blob: str
    key: bytes
    """By which a repeat is found."""
    size_bytes: int
    """Of its body."""


class Letters:
    """
    The dead letters within one transaction.
    """

    def __init__(self, trees: dict[str, Tree], *, last: int, now: float, write: Write, token: str) -> None:
        """
        Take the trees.

        Args:
            last: The last id that was given.
            write: Stores a document under a name of its own.
            token: Makes names of this transaction different from those of one that was given up.
        """
        self._letters, self._keys = trees["letters"], trees["letter_keys"]
        self.last, self._now, self._write, self._token = last, now, write, token
        self.garbage: list[str] = []

    def bury(self, letter: NewDeadLetter) -> None:
        """
        Keep a dead letter, or count the repeat of one.
        """
        key = letter_key(letter)
        place = self._keys.get(key)
        value = self._letters.get(place) if place else None
        if place and value:
            kept = msgpack.decode(value, type=Kept)
            again = structs.replace(kept.letter, count=kept.letter.count + 1)
            self._letters.put(place, msgpack.encode(structs.replace(kept, letter=again)))
            return
        self.last += 1
        place = self.last.to_bytes(8, "big")
        new = DeadLetter(id=self.last, at=self._now, **structs.asdict(letter))
        name = f"{LETTERS}{self.last:010d}-{self._token}.json"
        self._write(name, _document(new))
        self._letters.put(
            place, msgpack.encode(Kept(structs.replace(new, body=b""), name, key, len(new.body)))
        )
        self._keys.put(key, place)
        if letter.kind == "request":
            self._turn()

    def discard(self, id: int) -> bool:
        """
        Remove a dead letter; returns whether there was one.
        """
        place = id.to_bytes(8, "big")
        value = self._letters.get(place)
        if value is None:
            return False
        self._drop(place, msgpack.decode(value, type=Kept))
        return True

    def _drop(self, place: bytes, kept: Kept) -> None:
        self._letters.remove(place)
        self._keys.remove(kept.key)
        self.garbage.append(kept.blob)

    def _turn(self) -> None:
        """
        Let the oldest request go where there are too many.
        """
        if self.last % 64:
            return
        kept = [(place, msgpack.decode(value, type=Kept)) for place, value in self._letters.pairs()]
        requests = [each for each in kept if each[1].letter.kind == "request"]
        for place, each in requests[: max(0, len(requests) - RING_LETTERS)]:
            self._drop(place, each)


def listed(tree: Tree, *, after: int, limit: int) -> list[Kept]:
    """
    Return letters without their bodies, in the order of ids.
    """
    found = tree.pairs((after + 1).to_bytes(8, "big"))
    return [msgpack.decode(value, type=Kept) for _, value in islice(found, limit)]


def whole(kept: Kept, read: Read) -> DeadLetter:
    """
    Return a letter with its body.
    """
    text = read(kept.blob)
    if text is None:
        return kept.letter
    document: dict[str, Any] = json.decode(text)
    encoded = document.get("body_base64")
    body = (
        str(document.get("body", "")).encode("utf-8", "surrogatepass")
        if encoded is None
        else b64decode(encoded)
    )
    return structs.replace(kept.letter, body=body)


def _document(letter: DeadLetter) -> bytes:
    """
    Return what a person finds in the container.
    """
    shown = structs.asdict(letter)
    body = shown.pop("body")
    try:
        shown["body"] = body.decode()
    except UnicodeDecodeError:
        shown["body_base64"] = b64encode(body).decode()
    return json.format(json.encode(shown))
