"""
What every journal promises, run against each of them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from onelogin_connector.event import Entry, Event, Flag, Kind, Offset, Way, read
from onelogin_connector.journal.base import Checkpoint, Journal, NewDeadLetter
from onelogin_connector.journal.blobs.head import HEAD, prepare
from onelogin_connector.journal.blobs.journal import BlobJournal
from onelogin_connector.journal.blobs.lease import take
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.simulator.azure.blobs import BlobService
from onelogin_connector.testing.journal import MemoryJournal
from tests.blob_account import blob_container
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

NOW_US = 1_790_000_000_000_000


def event(number: int, *, way: Way = Way.WEBHOOK, connector: str = "acme", **fields: object) -> Event:
    """Make a webhook record; give ``uuid=None, id=…`` for one of the API."""
    body = {
        "uuid": f"{number:08x}-0000-4000-8000-000000000000",
        "event_timestamp": "2026-09-21 14:13:20 UTC",
        "account_id": 1,
        "event_type_id": 5,
        "user_id": number,
        **fields,
    }
    raw = json.dumps(body).encode()
    return read(raw, connector=connector, way=way, received_us=NOW_US, body_hash=b"body", position=number)


def api(number: int, **fields: object) -> Event:
    """Make the API's record of the same event."""
    times = {"event_timestamp": None, "created_at": "2026-09-21T14:13:20.123Z"}
    return event(number, **{"uuid": None, "id": number + 1, **times, **fields})


def in_blobs() -> BlobJournal:
    """Make a journal in an account of its own."""
    container = blob_container(BlobService())
    prepare(container)
    return BlobJournal(container, take(container, HEAD))


@pytest.fixture(params=["memory", "lmdb", "blobs"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    """Yield each journal in turn."""
    made: Journal
    match request.param:
        case "memory":
            made = MemoryJournal()
        case "lmdb":
            made = LmdbJournal(tmp_path / "j", reserve_bytes=0)
        case _:
            made = in_blobs()
    yield made
    await made.close()


def kinds(entries: Sequence[Entry]) -> list[Kind]:
    """Return what the records are."""
    return [Kind(entry.kind) for entry in entries]


async def test_what_is_appended_is_read(journal: Journal) -> None:
    """Entries come back in order, with their bytes and what is known of them."""
    events = [event(number) for number in range(5)]
    receipt = await journal.append(events)
    entries = journal.read(Offset(0))
    assert receipt.entries == receipt.kept == 5
    assert [entry.offset for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.raw for entry in entries] == [each.raw for each in events]
    first = entries[0]
    assert (first.connector, first.account, first.channel, first.way) == ("acme", 1, "webhook", "webhook")
    assert (first.native, first.time_us, first.received_us) == (events[0].native, events[0].time_us, NOW_US)


async def test_read_keeps_within_its_limits(journal: Journal) -> None:
    """Reading goes on after any offset, by count and by size, and always gives at least one record."""
    await journal.append([event(number, notes="x" * 1_000) for number in range(10)])
    await journal.append([event(number) for number in range(10, 20)])
    assert [entry.offset for entry in journal.read(Offset(3), records=4)] == [4, 5, 6, 7]
    assert len(journal.read(Offset(0), size_bytes=1)) == 1
    assert len(journal.read(Offset(0), size_bytes=2_500)) == 2
    assert [entry.offset for entry in journal.read(Offset(15))] == [16, 17, 18, 19, 20]
    assert journal.read(Offset(20)) == []


async def test_a_repeat_is_dropped_and_counted(journal: Journal) -> None:
    """The same record again is a duplicate, in one request and in another, however it is written."""
    await journal.append([event(1), event(1)])
    receipt = await journal.append([event(1), event(1, uuid="00000001-0000-4000-8000-000000000000".upper())])
    assert (receipt.entries, receipt.duplicates, receipt.changed) == (0, 2, 0)
    assert len(journal.read(Offset(0))) == 1
    assert journal.counts()["acme"].duplicates == 3


async def test_a_repeat_with_half_a_surrogate_pair_is_dropped(journal: Journal) -> None:
    """Text that was cut within a character is compared like any other."""
    upper = "00000001-0000-4000-8000-000000000000".upper()
    await journal.append([event(1, notes="cut \ud83d")])
    receipt = await journal.append([event(1, notes="cut \ud83d", uuid=upper, app_name=None)])
    assert (receipt.entries, receipt.duplicates, receipt.changed) == (0, 1, 0)


async def test_a_repeat_with_other_content_is_kept(journal: Journal) -> None:
    """A known id that says something else is counted as changed, and its bytes are kept, once."""
    await journal.append([event(1)])
    changed = event(1, notes="edited")
    receipts = [await journal.append([changed]) for _ in range(3)]
    entries = journal.read(Offset(0))
    assert [receipt.changed for receipt in receipts] == [1, 0, 0]
    assert kinds(entries) == [Kind.ENTRY, Kind.CHANGE]
    assert entries[1].of == entries[0].key
    assert entries[1].raw == changed.raw


@pytest.mark.parametrize("first", ["webhook", "api"])
async def test_the_second_channel_brings_a_twin(journal: Journal, first: str) -> None:
    """Whoever comes first is the entry, and the other its twin."""
    records = [event(7), api(7)] if first == "webhook" else [api(7), event(7)]
    receipts = [await journal.append([record]) for record in records]
    entries = journal.read(Offset(0))
    assert [(receipt.entries, receipt.twins) for receipt in receipts] == [(1, 0), (0, 1)]
    assert kinds(entries) == [Kind.ENTRY, Kind.TWIN]
    assert entries[1].of == entries[0].key
    assert entries[0].channel == first


async def test_equal_events_of_one_second_all_survive(journal: Journal) -> None:
    """A bulk job's equal events are as many entries as records, whatever else the API tells of them."""
    webhook = [event(number, user_id=9) for number in range(300)]
    listed = [api(number, user_id=9) for number in range(300)]
    first = await journal.append(webhook)
    second = await journal.append(listed)
    assert (first.entries, second.entries, second.twins) == (300, 0, 300)


async def test_records_without_an_id_are_known_by_their_place(journal: Journal) -> None:
    """A repeated body doubles nothing; the same record at two places of it is two events."""
    bare = {"uuid": None, "event_timestamp": None}
    again = [event(number, user_id=1, **bare) for number in (0, 1)]
    first, second = await journal.append(again), await journal.append(again)
    assert (first.entries, second.entries, second.duplicates) == (2, 0, 2)


async def test_an_account_missing_on_one_side(journal: Journal) -> None:
    """A record without account belongs to the account of its connector, before and after the binding."""
    await journal.append([event(1, account_id=None)])
    receipt = await journal.append([api(1), event(1)])
    assert (receipt.entries, receipt.twins) == (0, 1)
    assert receipt.duplicates == 1
    assert journal.counts()["acme"].account == 1


async def test_a_foreign_account_has_its_own_keys(journal: Journal) -> None:
    """A record that names another account is kept apart and counted, whichever connector brings it."""
    await journal.append([event(1)])
    receipt = await journal.append([event(1, account_id=2)])
    again = await journal.append([event(1, account_id=2, connector="other")])
    entries = journal.read(Offset(0))
    assert (receipt.entries, again.entries) == (1, 0)
    assert entries[1].flags & Flag.FOREIGN
    assert journal.counts()["acme"].foreign == 1
    assert journal.counts()["other"].account is None


async def test_unreadable_times_do_not_double(journal: Journal) -> None:
    """A record whose time cannot be read is flagged, and a repeat of it is recognised later."""
    odd = event(1, event_timestamp="soon")
    receipt = await journal.append([odd])
    later = read(odd.raw, connector="acme", way=Way.IMPORT, received_us=NOW_US + 86_400_000_000)
    assert receipt.entries == 1
    assert (await journal.append([later])).duplicates == 1
    assert journal.read(Offset(0))[0].flags == Flag.TIME_UNREADABLE


async def test_wait_wakes_up(journal: Journal) -> None:
    """A reader that waits is woken by an append, and told when nothing came."""
    assert not await journal.wait(Offset(0), 0.01)
    waiting = asyncio.create_task(journal.wait(Offset(0), PATIENCE_SECONDS))
    await asyncio.sleep(0)
    await journal.append([event(1)])
    assert await waiting
    assert await journal.wait(Offset(0), PATIENCE_SECONDS)


async def test_checkpoints_are_copies(journal: Journal) -> None:
    """What a sink does to its checkpoint counts only once it is handed back."""
    checkpoint = journal.checkpoint("store")
    checkpoint.offset = 5
    assert journal.checkpoint("store").offset == 0
    await journal.advance("store", checkpoint)
    assert journal.checkpoint("store").offset == 5


async def test_dead_letters_come_with_the_records(journal: Journal) -> None:
    """The bad records of a request are one letter, and the same request again raises its counter."""
    letter = NewDeadLetter(
        "acme", "record", "2 records cannot be read", b"[1,2]", positions={0: "x"}, records=2
    )
    receipts = [await journal.append([event(number)], letter) for number in (1, 2)]
    found = journal.dead_letters()
    assert [receipt.dead for receipt in receipts] == [2, 2]
    assert [(each.count, each.records, each.body, each.positions) for each in found] == [
        (2, 2, b"[1,2]", {0: "x"})
    ]


async def test_dead_letters_are_found_and_discarded(journal: Journal) -> None:
    """Letters have ids that rise and are not used again."""
    for number in range(4):
        await journal.bury(NewDeadLetter("acme", "request", "no JSON", b"%d" % number))
    ids = [letter.id for letter in journal.dead_letters()]
    assert ids == sorted(ids)
    assert [letter.id for letter in journal.dead_letters(after=ids[1], limit=1)] == [ids[2]]
    assert await journal.discard([ids[0], ids[3], 99]) == 2
    assert journal.dead_letter(ids[3]) is None
    found = journal.dead_letter(ids[1])
    assert found is not None
    assert found.body == b"1"


async def test_a_refusal_moves_checkpoint_and_letters_together(journal: Journal) -> None:
    """A sink's refusals are dead letters at the moment its checkpoint passes them."""
    await journal.append([event(1), event(2)])
    letter = NewDeadLetter("acme", "delivery", "no", b"{}", sink="store", offset=2)
    await journal.advance("store", Checkpoint(offset=2, delivered=1, dead=1), [letter])
    assert journal.checkpoint("store").offset == 2
    assert [each.offset for each in journal.dead_letters()] == [2]


async def test_stats_say_how_much_there_is(journal: Journal) -> None:
    """The numbers are those of what was appended."""
    await journal.append([event(number) for number in range(3)])
    stats = journal.stats()
    assert (stats["entries"], stats["first_offset"], stats["last_offset"]) == (3, 1, 3)
    assert stats["bytes"] > 0


async def test_heads_say_what_letters_are(journal: Journal) -> None:
    """
    Everything but the bytes, whose number is right at every length that is written in another way.
    """
    sizes = [0, 1, 255, 256, 65_535, 65_536, 1 << 20]
    for size in sizes:
        body = bytes([size % 251]) * size
        await journal.bury(NewDeadLetter("acme", "record", f"size {size}", body, sink="s", offset=size + 1))
    found = journal.dead_letters()
    assert [letter.head for letter in found] == journal.letter_heads()
    assert [head.size_bytes for head in journal.letter_heads(after=found[1].id, limit=3)] == sizes[2:5]
    assert journal.letter_heads(after=found[-1].id) == []
