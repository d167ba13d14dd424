"""
An ordered map whose pages are leaves: blobs that are written once and never changed.

A tree of two levels. The head lists the leaves with the first key of each; a change copies the leaf it touches, and one that
has grown too large is split. Leaves have names of their own for ever, so that what was read once may be kept in memory.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock

from msgspec import Struct, msgpack

from onelogin_connector.errors import Unavailable

LARGEST_LEAF_BYTES = 256 << 10
"""Small enough to be copied for a handful of keys, large enough that a week of them is named in one head."""

CACHE_BYTES = 128 << 20
"""Of an instance's 512 MiB at least."""

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(list[tuple[bytes, bytes]]).decode


class Leaf(Struct, frozen=True, array_like=True):
    """
    A leaf as the head names it.
    """

    first: bytes
    """No key of it is smaller."""
    name: str
    keys: int
    size_bytes: int


class Leaves:
    """
    Reads leaves, and keeps the latest in memory. Threads may share it.
    """

    def __init__(self, fetch: Callable[[str], bytes | None], *, most_bytes: int = CACHE_BYTES) -> None:
        """
        Hold nothing yet.

        Args:
            fetch: Name → bytes, None where there is no such blob.
        """
        self._fetch, self._most_bytes = fetch, most_bytes
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def read(self, name: str) -> bytes:
        """
        Return a leaf's bytes.

        Raises:
            Unavailable: There is none.
        """
        with self._lock:
            body = self._held.get(name)
            if body is not None:
                self._held.move_to_end(name)
                return body
        fetched = self._fetch(name)
        if fetched is None:
            raise Unavailable(
                f"The blob {name} is gone.",
                action="While somebody else writes, it was replaced: look again. If it stays, restore it, where the account "
                "keeps deleted blobs.",
            )
        self.keep(name, fetched)
        return fetched

    def keep(self, name: str, body: bytes) -> None:
        """
        Remember what was just written or read.
        """
        with self._lock:
            self._bytes += len(body) - len(self._held.pop(name, b""))
            self._held[name] = body
            while self._bytes > self._most_bytes and len(self._held) > 1:
                _, dropped = self._held.popitem(last=False)
                self._bytes -= len(dropped)

    def forget(self, name: str) -> None:
        """
        Let go of a leaf that was removed.
        """
        with self._lock:
            self._bytes -= len(self._held.pop(name, b""))


@dataclass(slots=True)
class _Page:
    """
    A leaf while it is worked with.
    """

    first: bytes
    leaf: Leaf | None
    """What is stored of it; None for what is new."""
    keys: list[bytes] = field(default_factory=list)
    values: dict[bytes, bytes] = field(default_factory=dict)
    loaded: bool = False
    changed: bool = False


class Tree:
    """
    One ordered map, from what the head lists to what it is to list next.
    """

    def __init__(self, listed: list[Leaf], leaves: Leaves) -> None:
        """
        Read nothing yet.
        """
        self._leaves = leaves
        self._pages = [_Page(leaf.first, leaf) for leaf in listed]
        self._firsts = [page.first for page in self._pages]

    def get(self, key: bytes) -> bytes | None:
        """
        Return the value of a key.
        """
        page = self._page(key)
        return page.values.get(key) if page else None

    def seek(self, key: bytes) -> tuple[bytes, bytes] | None:
        """
        Return the first pair whose key is not smaller.
        """
        return next(self.pairs(key), None)

    def pairs(self, first: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """
        Give the pairs from a key on, before another, in order; nothing may change meanwhile.
        """
        for at in range(self._place(first), len(self._pages)):
            page = self._pages[at]
            if end is not None and page.first >= end:
                return
            self._load(page)
            for key in page.keys[bisect_left(page.keys, first) :]:
                if end is not None and key >= end:
                    return
                yield key, page.values[key]

    def put(self, key: bytes, value: bytes) -> None:
        """
        Store a value.
        """
        page = self._page(key)
        if page is None:
            page = _Page(b"", None, loaded=True)
            self._pages, self._firsts = [page], [b""]
        if key not in page.values:
            page.keys.insert(bisect_left(page.keys, key), key)
        elif page.values[key] == value:
            return
        page.values[key] = value
        page.changed = True

    def remove(self, key: bytes) -> bool:
        """
        Remove a key; returns whether it was there.
        """
        page = self._page(key)
        if page is None or page.values.pop(key, None) is None:
            return False
        page.keys.remove(key)
        page.changed = True
        return True

    def clear(self, first: bytes, end: bytes) -> int:
        """
        Remove the keys from one on, before another; returns how many. Whole leaves go unread.
        """
        removed = 0
        for at in range(self._place(first), len(self._pages)):
            page = self._pages[at]
            if page.first >= end:
                break
            follows = self._firsts[at + 1] if at + 1 < len(self._pages) else None
            if page.leaf and not page.loaded and page.first >= first and follows and follows <= end:
                removed += page.leaf.keys
                page.loaded = page.changed = True
                continue
            self._load(page)
            low, high = bisect_left(page.keys, first), bisect_left(page.keys, end)
            for key in page.keys[low:high]:
                del page.values[key]
            page.changed = page.changed or high > low
            removed += high - low
            del page.keys[low:high]
        return removed

    def count(self) -> int:
        """
        Return how many keys there are.
        """
        return sum(
            len(page.keys) if page.loaded else page.leaf.keys if page.leaf else 0 for page in self._pages
        )

    def flush(self, write: Callable[[bytes], str]) -> tuple[list[Leaf], list[str]]:
        """
        Write what changed.

        Args:
            write: Stores bytes as a new blob and returns its name.

        Returns:
            The leaves to list, and the names of those that are not to be listed any more.
        """
        listed: list[Leaf] = []
        replaced: list[str] = []
        for page in self._pages:
            if not page.changed:
                if page.leaf:
                    listed.append(page.leaf)
                continue
            if page.leaf:
                replaced.append(page.leaf.name)
            for pairs in _parts([(key, page.values[key]) for key in page.keys]):
                body = _encode(pairs)
                listed.append(Leaf(pairs[0][0], write(body), len(pairs), len(body)))
        return listed, replaced

    def _place(self, key: bytes) -> int:
        return max(0, bisect_right(self._firsts, key) - 1)

    def _page(self, key: bytes) -> _Page | None:
        if not self._pages:
            return None
        page = self._pages[self._place(key)]
        self._load(page)
        return page

    def _load(self, page: _Page) -> None:
        if not page.loaded and page.leaf:
            pairs = _decode(self._leaves.read(page.leaf.name))
            page.keys, page.values, page.loaded = [key for key, _ in pairs], dict(pairs), True


def _parts(pairs: list[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """
    Cut pairs into leaves of about the largest size; one pair that is larger is a leaf of its own.
    """
    part: list[tuple[bytes, bytes]] = []
    size = 0
    for pair in pairs:
        own = len(pair[0]) + len(pair[1])
        if part and size + own > LARGEST_LEAF_BYTES:
            yield part
            part, size = [], 0
        part.append(pair)
        size += own
    if part:
        yield part
