"""
Azure Blob Storage by Microsoft's library ``azure-storage-blob``: the one module that imports it.

Its own repeats are few and short. A repeat after a lost answer is harmless: what was made is found to be there, and what was
replaced is found changed, which the caller takes for a lost race and looks again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from itertools import islice
from typing import Any, Concatenate, ParamSpec, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobClient, BlobLeaseClient, ContainerClient

from onelogin_connector.azure.blobs import Blob
from onelogin_connector.errors import Busy, ConfigError, ConnectorError, Unauthorized, Unavailable

LIMITS = {
    "retry_total": 2,
    "retry_connect": 1,
    "retry_read": 1,
    "retry_status": 2,
    "initial_backoff": 1,
    "increment_base": 2,
    "connection_timeout": 5,
    "read_timeout": 15,
    "logging_enable": False,
}
"""Seconds and numbers: a sender waits for the answer meanwhile."""

ONE_CALL_BYTES = 64 << 20
"""Up to here a blob is written by one call, and so as a whole or not at all."""

NO_CONTAINER = "ContainerNotFound"
REFUSED = frozenset({401, 403})
CONTENDED = frozenset({409, 412})
"""Somebody else was first, or holds the lease. The library has classes for some of these codes only."""
THERE = frozenset({"BlobAlreadyExists", "ConditionNotMet", "LeaseIdMissing"})
"""A blob of this name is there. Other conflicts, such as a container that is being deleted, say nothing of the kind."""
LEASED = frozenset({"LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"})

P = ParamSpec("P")
T = TypeVar("T")


def _translated(
    method: Callable[Concatenate["BlobContainer", P], T],
) -> Callable[Concatenate["BlobContainer", P], T]:
    """
    Let a method raise errors of ours in place of the library's.
    """

    @wraps(method)
    def call(self: "BlobContainer", /, *arguments: P.args, **options: P.kwargs) -> T:
        with translation(self.place):
            return method(self, *arguments, **options)

    return call


@contextmanager
def translation(place: str) -> Iterator[None]:
    """
    Turn the library's errors into ours.

    Args:
        place: Account and container, for the message.
    """
    try:
        yield
    except (AzureError, OSError, ValueError) as error:
        raise _ours(error, place) from error


def _ours(error: Exception, place: str) -> ConnectorError:
    """
    Return what a failure means; the library's own words may hold signatures, so only its code is repeated.
    """
    status = getattr(error, "status_code", None)
    code = _code(error) or type(error).__name__
    if isinstance(error, ClientAuthenticationError) or status in REFUSED:
        return Unauthorized(
            f"The storage {place} refuses this app's credential ({status or 'no token'}, {code}).",
            action="Give the app's identity the role Storage Blob Data Owner on the account, or correct AzureWebJobsStorage; "
            "see that the account's firewall lets the app in.",
        )
    if isinstance(error, HttpResponseError) and status in {400, 404, 405}:
        return ConfigError(
            f"The storage {place} cannot be used ({status}, {code}).",
            action="Compare AzureWebJobsStorage, or its blobServiceUri, with the storage account.",
        )
    if isinstance(error, ValueError):
        return ConfigError(
            "The storage account's address or connection string cannot be read.",
            action="Copy AzureWebJobsStorage anew from the storage account's access keys.",
        )
    return Unavailable(
        f"The storage {place} does not answer as it should ({status or 'no answer'}, {code}).",
        action="It is tried again by itself; look at the account's health if this stays.",
    )


class BlobContainer:
    """
    A container of a storage account.
    """

    def __init__(self, client: ContainerClient) -> None:
        """
        Take a client; nothing is asked yet. ``from_connection`` and ``by_identity`` make one.
        """
        self._client = client
        self.place = f"{client.account_name}/{client.container_name}"

    @classmethod
    def from_connection(cls, connection: str, container: str, **options: Any) -> "BlobContainer":
        """
        Use a connection string.

        Raises:
            ConfigError: It cannot be read.
        """
        with translation("account"):
            return cls(
                ContainerClient.from_connection_string(
                    connection, container, **(LIMITS | {"max_single_put_size": ONE_CALL_BYTES} | options)
                )
            )

    @classmethod
    def by_identity(cls, address: str, container: str, client_id: str, **options: Any) -> "BlobContainer":
        """
        Use a managed identity.

        Args:
            address: Of the account's blob service.
            client_id: Of a user-assigned identity; empty for the system-assigned one.
        """
        credential = ManagedIdentityCredential(client_id=client_id or None)
        with translation("account"):
            settings = LIMITS | {"max_single_put_size": ONE_CALL_BYTES} | options
            return cls(ContainerClient(address, container, credential=credential, **settings))

    @_translated
    def create(self, name: str, body: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        """
        See ``Container``. Makes the container, where it is missing.
        """
        for attempt in (1, 2):
            try:
                self._blob(name).upload_blob(
                    body,
                    length=len(body),
                    overwrite=False,  # one call with If-None-Match: *
                    metadata=dict(metadata or {}),
                )
            except HttpResponseError as error:
                if _code(error) in THERE:
                    return False
                if attempt == 2 or _code(error) != NO_CONTAINER:
                    raise
                with suppress(ResourceExistsError):
                    self._client.create_container()
            else:
                return True
        return False

    @_translated
    def replace(self, name: str, body: bytes, *, etag: str, lease: str = "") -> str:
        """
        See ``Container``.
        """
        options: dict[str, Any] = {"lease": lease} if lease else {}
        try:
            answer = self._blob(name).upload_blob(
                body,
                length=len(body),
                overwrite=True,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
                **options,
            )
        except HttpResponseError as error:
            if error.status_code not in CONTENDED | {404}:
                raise
            raise _lost(name, error) from error
        return _bare(answer["etag"])

    @_translated
    def read(self, name: str) -> tuple[Blob, bytes] | None:
        """
        See ``Container``.
        """
        try:
            download = self._blob(name).download_blob(max_concurrency=1)
            body = download.readall()
        except ResourceNotFoundError:
            return None
        return _shown(download.properties), body

    @_translated
    def remove(self, name: str, *, etag: str = "") -> bool:
        """
        See ``Container``.
        """
        only: dict[str, Any] = {"delete_snapshots": "include"}  # of a backup tool's; else the blob would stay
        if etag:
            only |= {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        try:
            self._blob(name).delete_blob(**only)
        except HttpResponseError as error:
            if error.status_code not in CONTENDED | {404}:
                raise
            return False
        return True

    @_translated
    def blobs(self, prefix: str, *, limit: int = 1_000) -> list[Blob]:
        """
        See ``Container``.
        """
        found = self._client.list_blobs(name_starts_with=prefix, include=["metadata"])
        try:
            return [_shown(each) for each in islice(found, limit)]
        except ResourceNotFoundError as error:
            if _code(error) != NO_CONTAINER:
                raise
            return []

    @_translated
    def lease(self, name: str, seconds: int) -> str | None:
        """
        See ``Container``.
        """
        lease = BlobLeaseClient(self._blob(name))
        try:
            lease.acquire(lease_duration=seconds)
        except HttpResponseError as error:
            if _code(error) not in LEASED:
                raise
            return None
        return str(lease.id)

    @_translated
    def renew(self, name: str, lease: str) -> None:
        """
        See ``Container``.
        """
        try:
            BlobLeaseClient(self._blob(name), lease_id=lease).renew()
        except HttpResponseError as error:
            if error.status_code not in CONTENDED | {404}:
                raise
            raise _lost(name, error) from error

    @_translated
    def release(self, name: str, lease: str) -> None:
        """
        See ``Container``.
        """
        try:
            BlobLeaseClient(self._blob(name), lease_id=lease).release()
        except HttpResponseError as error:
            if error.status_code not in CONTENDED | {404}:
                raise

    def close(self) -> None:
        """
        Close the connections.
        """
        self._client.close()

    def _blob(self, name: str) -> BlobClient:
        return self._client.get_blob_client(name)


def _code(error: Exception) -> str:
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code) or "")


def _lost(name: str, error: HttpResponseError) -> Busy:
    return Busy(
        f"The blob {name} was changed by somebody else, or its lease is lost ({_code(error)}).",
        action="Nothing is to be done: whoever has the lease now goes on.",
    )


def _shown(properties: Any) -> Blob:
    return Blob(
        name=properties.name,
        etag=_bare(properties.etag),
        size_bytes=int(properties.size or 0),
        changed_at=properties.last_modified.timestamp(),
        metadata={key.lower(): value for key, value in (properties.metadata or {}).items()},
    )


def _bare(etag: str) -> str:
    # a listing gives it without quotes, every other answer with them
    return etag if etag.startswith('"') else f'"{etag}"'
