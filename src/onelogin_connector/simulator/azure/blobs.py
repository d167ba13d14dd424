"""
A storage account's blob service: containers, blobs with ETags and conditions, leases, listings.

It knows what the connector asks for, and answers as the service documents it: which condition is looked at first, which code
a lost lease has. It checks no signature; Microsoft's own emulator Azurite does, and the tests use that too where it is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from html import escape
from itertools import count
from time import time
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

MOST_LISTED = 5_000


class Reply(NamedTuple):
    """
    One answer.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class StoredBlob:
    """
    One blob.
    """

    body: bytes
    etag: str
    changed_at: float
    metadata: dict[str, str] = field(default_factory=dict)
    lease: str = ""
    lease_seconds: int = 0
    lease_ends: float = 0.0
    snapshots: int = 0


class BlobService:
    """
    The blobs of one account, in memory.
    """

    def __init__(self, *, clock: Callable[[], float] = time) -> None:
        """
        Start empty.

        Args:
            clock: Unix seconds; leases end by it.
        """
        self._clock = clock
        self._numbers = count(1)
        self.containers: dict[str, dict[str, StoredBlob]] = {}

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """
        Answer one request.

        Args:
            headers: Names in lower case.
        """
        parts = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        # on 127.0.0.1 the account is the first part of the path, as with the emulator
        _, _, place = unquote(parts.path).lstrip("/").partition("/")
        container, _, name = place.partition("/")
        if query.get("restype") == "container":
            return self._of_container(method, container, query)
        blobs = self.containers.get(container)
        if blobs is None:
            return _error(404, "ContainerNotFound")
        if query.get("comp") == "lease":
            return self._lease(blobs.get(name), headers)
        if query.get("comp") == "snapshot":
            return self._snapshot(blobs.get(name))
        match method:
            case "PUT":
                return self._put(blobs, name, headers, body)
            case "GET" | "HEAD":
                return self._get(blobs.get(name), headers)
            case "DELETE":
                return self._delete(blobs, name, headers)
        return _error(405, "UnsupportedHttpVerb")

    def _of_container(self, method: str, container: str, query: Mapping[str, str]) -> Reply:
        blobs = self.containers.get(container)
        if method == "PUT":
            if blobs is not None:
                return _error(409, "ContainerAlreadyExists")
            self.containers[container] = {}
            return Reply(201, {})
        if blobs is None:
            return _error(404, "ContainerNotFound")
        if query.get("comp") != "list":
            return _error(400, "InvalidQueryParameterValue")
        return self._listed(blobs, query)

    def _listed(self, blobs: Mapping[str, StoredBlob], query: Mapping[str, str]) -> Reply:
        most = min(int(query.get("maxresults", MOST_LISTED)), MOST_LISTED)
        names = [
            name
            for name in sorted(blobs)
            if name.startswith(query.get("prefix", "")) and name >= query.get("marker", "")
        ]
        rows = "".join(_row(name, blobs[name]) for name in names[:most])
        after = escape(names[most]) if len(names) > most else ""
        text = (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>'
            f"{rows}</Blobs><NextMarker>{after}</NextMarker></EnumerationResults>"
        )
        return Reply(200, {"content-type": "application/xml"}, text.encode())

    def _put(self, blobs: dict[str, StoredBlob], name: str, headers: Mapping[str, str], body: bytes) -> Reply:
        known = blobs.get(name)
        refusal = self._refused(known, headers)
        if refusal:
            return refusal
        metadata = {
            key.removeprefix("x-ms-meta-"): value
            for key, value in headers.items()
            if key.startswith("x-ms-meta-")
        }
        made = StoredBlob(body, self._new_etag(), self._clock(), metadata)
        if known:
            made.lease, made.lease_seconds, made.lease_ends = (
                known.lease,
                known.lease_seconds,
                known.lease_ends,
            )
        blobs[name] = made
        return Reply(201, _head(made))

    def _get(self, known: StoredBlob | None, headers: Mapping[str, str]) -> Reply:
        if known is None:
            return _error(404, "BlobNotFound")
        asked = headers.get("x-ms-range") or headers.get("range", "")
        shown = _head(known) | {f"x-ms-meta-{key}": value for key, value in known.metadata.items()}
        shown |= {"x-ms-blob-type": "BlockBlob", "content-type": "application/octet-stream"}
        if not asked:
            return Reply(200, shown, known.body)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        if int(first) >= len(known.body):
            return _error(416, "InvalidRange")
        part = known.body[int(first) : int(last or len(known.body)) + 1]
        end = int(first) + len(part) - 1
        return Reply(206, shown | {"content-range": f"bytes {first}-{end}/{len(known.body)}"}, part)

    def _delete(self, blobs: dict[str, StoredBlob], name: str, headers: Mapping[str, str]) -> Reply:
        known = blobs.get(name)
        if known is None:
            return _error(404, "BlobNotFound")
        refusal = self._refused(known, headers)
        if refusal is None and known.snapshots and headers.get("x-ms-delete-snapshots") != "include":
            refusal = _error(409, "SnapshotsPresent")
        if refusal is None:
            del blobs[name]
        return refusal or Reply(202, {})

    def _snapshot(self, known: StoredBlob | None) -> Reply:
        if known is None:
            return _error(404, "BlobNotFound")
        known.snapshots += 1
        return Reply(201, _head(known) | {"x-ms-snapshot": f"2026-11-20T18:00:00.{known.snapshots:07d}Z"})

    def _refused(self, known: StoredBlob | None, headers: Mapping[str, str]) -> Reply | None:
        """
        Return why a change is refused, by its conditions and by the lease.
        """
        if known is None:
            return _error(412, "ConditionNotMet") if headers.get("if-match") else None
        if headers.get("if-none-match") == "*":
            return _error(409, "BlobAlreadyExists")
        if headers.get("if-match") not in (None, "*", known.etag):
            return _error(412, "ConditionNotMet")
        shown, is_held = headers.get("x-ms-lease-id", ""), self._is_held(known)
        if shown and not known.lease:
            return _error(412, "LeaseNotPresentWithBlobOperation")
        if shown and shown != known.lease:
            return _error(412, "LeaseIdMismatchWithBlobOperation")
        if shown and not is_held:
            return _error(412, "LeaseLost")
        if not shown and is_held:
            return _error(412, "LeaseIdMissing")
        return None

    def _is_held(self, known: StoredBlob) -> bool:
        return bool(known.lease) and self._clock() < known.lease_ends

    def _lease(self, known: StoredBlob | None, headers: Mapping[str, str]) -> Reply:
        if known is None:
            return _error(404, "BlobNotFound")
        shown = headers.get("x-ms-lease-id", "")
        match headers.get("x-ms-lease-action"):
            case "acquire":
                proposed = headers.get("x-ms-proposed-lease-id") or str(uuid4())
                if self._is_held(known) and proposed != known.lease:
                    return _error(409, "LeaseAlreadyPresent")
                known.lease, known.lease_seconds = proposed, int(headers["x-ms-lease-duration"])
                status = 201
            case "renew" if shown == known.lease:
                status = 200  # also one that has ended, while nobody else took it
            case "release" if shown == known.lease:
                known.lease, known.lease_ends = "", 0.0
                return Reply(200, _head(known))
            case _:
                return _error(409, "LeaseIdMismatchWithLeaseOperation")
        known.lease_ends = self._clock() + known.lease_seconds
        return Reply(status, _head(known) | {"x-ms-lease-id": known.lease})

    def _new_etag(self) -> str:
        return f'"0x8D{next(self._numbers):012X}"'


def _head(blob: StoredBlob) -> dict[str, str]:
    return {"etag": blob.etag, "last-modified": formatdate(blob.changed_at, usegmt=True)}


def _row(name: str, blob: StoredBlob) -> str:
    metadata = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in blob.metadata.items())
    return (
        f"<Blob><Name>{escape(name)}</Name><Properties>"
        f"<Last-Modified>{formatdate(blob.changed_at, usegmt=True)}</Last-Modified><Etag>{blob.etag.strip(chr(34))}</Etag>"
        f"<Content-Length>{len(blob.body)}</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
        f"<Metadata>{metadata}</Metadata></Blob>"
    )


def _error(status: int, code: str) -> Reply:
    text = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    )
    return Reply(status, {"x-ms-error-code": code, "content-type": "application/xml"}, text.encode())
