"""
What a container of blobs promises, run against our simulation and, where it is installed, Microsoft's emulator.

Azurite is found by the variable ``AZURITE`` (the path of ``azurite-blob``), or on PATH.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onelogin_connector.azure.blob_storage import BlobContainer
from onelogin_connector.errors import Busy, ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.event import Offset, Way, read
from onelogin_connector.journal.blobs.head import HEAD, prepare
from onelogin_connector.journal.blobs.journal import BlobJournal
from onelogin_connector.journal.blobs.lease import take
from onelogin_connector.simulator.azure.blobs import BlobService, Reply
from patience import PATIENCE_SECONDS, wait_until
from ports import free_port
from tests.blob_account import KEY, blob_container, connection

AZURITE = os.environ.get("AZURITE") or shutil.which("azurite-blob")
LEASE_SECONDS = 60
"""The longest there is: on a busy machine a shorter one may be over before the next line."""


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Microsoft's emulator; its address."""
    if not AZURITE:
        if os.environ.get("CI") and not os.environ.get("WITHOUT_AZURITE"):
            pytest.fail("azurite-blob is not installed here, and on CI nothing may be skipped for that")
        pytest.skip("needs azurite-blob (npm install azurite)")
    port = free_port()
    folder = tmp_path_factory.mktemp("azurite")
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(folder)]
    running = subprocess.Popen(
        [AZURITE, *options, "--blobPort", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:

        def answers() -> bool:
            assert running.poll() is None, "Azurite has ended"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        wait_until(answers)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(PATIENCE_SECONDS)


@pytest.fixture(params=["simulation", "azurite"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> BlobContainer:
    """Give a container that is not there yet, of each service in turn."""
    if request.param == "simulation":
        return blob_container(BlobService())
    address = request.getfixturevalue("azurite")
    return BlobContainer.from_connection(
        connection(address), f"c-{tmp_path.name[-20:].strip('_-0').lower()}x".replace("_", "-")
    )


def test_a_blob_is_made_once(container: BlobContainer) -> None:
    """The container appears with its first blob; a second blob of the name changes nothing."""
    assert container.blobs("") == []
    assert container.create("a/one", b"1", {"received_us": "5"})
    assert not container.create("a/one", b"2")
    found = container.read("a/one")
    assert found is not None
    assert (found[0].name, found[1], found[0].metadata) == ("a/one", b"1", {"received_us": "5"})
    assert container.read("a/none") is None
    assert abs(found[0].changed_at - time.time()) < 60


@pytest.mark.parametrize("size", [0, 1, 5 << 20])
def test_bytes_come_back_as_they_were(container: BlobContainer, size: int) -> None:
    """Whatever the size, and with every byte there is."""
    body = bytes(range(256)) * (size // 256) + b"\x00\xff"[: size % 256]
    assert container.create("bytes", body)
    found = container.read("bytes")
    assert found is not None
    assert found[1] == body


def test_a_blob_is_replaced_only_as_it_was_read(container: BlobContainer) -> None:
    """Whoever read an older state is refused."""
    container.create("one", b"1")
    first = container.read("one")
    assert first is not None
    second = container.replace("one", b"2", etag=first[0].etag)
    with pytest.raises(Busy):
        container.replace("one", b"3", etag=first[0].etag)
    container.replace("one", b"4", etag=second)
    now = container.read("one")
    assert now is not None
    assert now[1] == b"4"
    with pytest.raises(Busy):
        container.replace("gone", b"5", etag=second)


def test_a_blob_is_removed_only_as_it_was_read(container: BlobContainer) -> None:
    """And one that is gone is no error."""
    container.create("one", b"1")
    (listed,) = container.blobs("one")
    container.replace("one", b"2", etag=listed.etag)
    assert not container.remove("one", etag=listed.etag)
    assert container.remove("one")
    assert not container.remove("one")


def test_a_blob_with_snapshots_is_removed_too(container: BlobContainer) -> None:
    """A backup tool may make some; a body that could not go would be taken in for ever."""
    container.create("one", b"1")
    container._client.get_blob_client("one").create_snapshot()
    assert container.remove("one")
    assert container.read("one") is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "ContainerBeingDeleted"),
        (409, "AccountBeingCreated"),
        (409, "BlobImmutableDueToPolicy"),
        (409, ""),
        (412, "LeaseNotPresentWithBlobOperation"),
        (412, ""),
    ],
)
def test_not_every_conflict_means_that_a_blob_is_there(status: int, code: str) -> None:
    """A body that was not kept would be acknowledged, and a drain would wait for nobody, without a word."""
    broken = blob_container(
        BlobService(), lambda *_: Reply(status, {"x-ms-error-code": code} if code else {})
    )
    with pytest.raises(Unavailable):
        broken.create("x", b"")
    with pytest.raises(Unavailable):
        broken.lease("x", 15)


def test_blobs_are_listed_in_order(container: BlobContainer) -> None:
    """By prefix, with what is known of them, up to a limit."""
    for name in ("b/3", "a/1", "b/2", "b/1 & <odd>"):
        container.create(name, name.encode(), {"k": "v"})
    assert [blob.name for blob in container.blobs("b/")] == ["b/1 & <odd>", "b/2", "b/3"]
    assert [blob.name for blob in container.blobs("", limit=2)] == ["a/1", "b/1 & <odd>"]
    assert [(blob.size_bytes, dict(blob.metadata)) for blob in container.blobs("a")] == [(3, {"k": "v"})]


def test_a_lease_lets_one_in(container: BlobContainer) -> None:
    """Whoever shows no lease, or another, is refused; what is given back can be taken."""
    container.create("one", b"1")
    lease = container.lease("one", LEASE_SECONDS)
    assert lease
    assert container.lease("one", LEASE_SECONDS) is None
    found = container.read("one")
    assert found is not None
    with pytest.raises(Busy):
        container.replace("one", b"2", etag=found[0].etag)
    with pytest.raises(Busy):
        container.replace("one", b"2", etag=found[0].etag, lease="00000000-0000-4000-8000-000000000000")
    assert not container.remove("one")
    container.renew("one", lease)
    etag = container.replace("one", b"2", etag=found[0].etag, lease=lease)
    container.release("one", lease)
    container.release("one", lease)
    with pytest.raises(Busy):
        container.renew("one", lease)
    other = container.lease("one", LEASE_SECONDS)
    assert other
    assert other != lease
    with pytest.raises(Busy):
        container.replace("one", b"3", etag=etag, lease=lease)
    container.release("one", other)


@pytest.mark.anyio
async def test_a_journal_lives_in_it(container: BlobContainer) -> None:
    """Events, a second opening and a view: the whole way, through the library and the service."""
    prepare(container)
    journal = BlobJournal(container, take(container, HEAD))
    raw = b'{"uuid":"%d1111111-1111-4111-8111-111111111111","event_timestamp":"2026-11-20 18:00:00 UTC"}'
    events = [read(raw % number, connector="x", way=Way.WEBHOOK, received_us=1) for number in range(3)]
    assert (await journal.append(events)).entries == 3
    with pytest.raises(Busy):
        take(container, HEAD)
    view = BlobJournal(container, None)
    assert [entry.raw for entry in view.read(Offset(0))] == [raw % number for number in range(3)]
    assert (await journal.append(events)).duplicates == 3
    with pytest.raises(Busy):
        await view.append(events)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(500, {"x-ms-error-code": "InternalError"}), Unavailable),
        (Reply(503, {"x-ms-error-code": "ServerBusy"}), Unavailable),
        (Reply(403, {"x-ms-error-code": "AuthorizationPermissionMismatch"}), Unauthorized),
        (Reply(401, {"x-ms-error-code": "NoAuthenticationInformation"}), Unauthorized),
        (Reply(400, {"x-ms-error-code": "InvalidUri"}), ConfigError),
        (OSError("cut"), Unavailable),
    ],
)
def test_every_failure_is_one_of_ours(reply: Reply | Exception, error: type[ConnectorError]) -> None:
    """Callers meet errors that say what to do, and no secret of the connection."""

    def fail(*_: object) -> Reply:
        if isinstance(reply, Exception):
            raise reply
        return reply

    broken = blob_container(BlobService(), fail)
    for call in (
        lambda: broken.create("x", b""),
        lambda: broken.read("x"),
        lambda: broken.blobs("x"),
        lambda: broken.remove("x"),
        lambda: broken.replace("x", b"", etag='"1"'),
        lambda: broken.lease("x", 15),
        lambda: broken.renew("x", "00000000-0000-4000-8000-000000000000"),
    ):
        with pytest.raises(error) as raised:
            call()
        assert raised.value.action
        assert KEY not in str(raised.value)
        assert "devstoreaccount1/onelogin-connector" in str(raised.value)


@pytest.mark.parametrize("text", ["nonsense", ""])
def test_a_connection_string_that_is_none(text: str) -> None:
    """It is named, and not repeated."""
    with pytest.raises(ConfigError):
        BlobContainer.from_connection(text, "c").read("x")
