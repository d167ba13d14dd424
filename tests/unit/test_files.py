"""
Files are imported whole, once, in constant memory, and say what is wrong with them.
"""

import asyncio
import gzip
import io
import json
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

from onelogin_connector.errors import BadRequest, ConnectorError, HourPruned, JournalFull
from onelogin_connector.event import Way
from onelogin_connector.sources import files
from onelogin_connector.sources.files import import_file
from unit.keeping import KeepingJournal

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = 1_790_000_000.0


def take(source, journal=None, **options):
    """
    Import a source; returns what became of it, and the journal.
    """
    journal = journal or KeepingJournal()
    return asyncio.run(import_file(source, "acme", journal, clock=lambda: NOW, **options)), journal


def event(number, **more):
    """
    Return a small webhook event.
    """
    return {"uuid": f"u{number}", "event_timestamp": "2026-09-20 10:00:00 UTC", "account_id": 7, **more}


@pytest.fixture(params=["whole", "streamed"])
def way_of_reading(request, monkeypatch):
    """
    Read files as small ones, and as ones too large to be read whole.
    """
    if request.param == "streamed":
        monkeypatch.setattr(files, "WHOLE_FILE_BYTES", 10)
        monkeypatch.setattr(files, "CHUNK_BYTES", 1_000)
        monkeypatch.setattr(files._Content.read, "__defaults__", (1_000,))
    return request.param


WRITTEN = {
    "array": lambda texts: "[" + ",".join(texts) + "]",
    "spaced array": lambda texts: "\ufeff[\n  " + ",\n  ".join(texts) + "\n]\n",
    "lines": "\n".join,
    "lines of Windows": lambda texts: "\ufeff" + "\r\n".join(texts) + "\r\n\r\n",
    "wrapped lines": lambda texts: "\n".join(f'{{"event": {text}}}' for text in texts),
    "arrays by line": lambda texts: "\n".join(f"[{text}]" for text in texts),
    "pages by line": lambda texts: "\n".join(f'{{"status":{{}},"data":[{text}]}}' for text in texts),
    "one after another": lambda texts: "\n".join(json.dumps(json.loads(text), indent=1) for text in texts),
}


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_is_imported(tmp_path, way_of_reading, form, packed):
    """
    Each form gives the same events, compressed or not, small or streamed.
    """
    path = tmp_path / "events"
    body = WRITTEN[form]([json.dumps(event(n, notes="x" * (n % 90))) for n in range(2_500)]).encode()
    path.write_bytes(gzip.compress(body) if packed else body)
    seen = []
    done, journal = take(path, progress=lambda *numbers: seen.append(numbers))
    assert (done.records, done.receipt.entries, done.receipt.dead, done.first_bad) == (2_500, 2_500, 0, "")
    assert list(journal.natives) == [f"u{n}" for n in range(2_500)]
    assert journal.natives["u7"].way is Way.IMPORT
    assert [records for records, _, _ in seen] == [1_000, 2_000, 2_500]
    assert seen[-1][1] == seen[-1][2] == done.size_bytes == len(body)
    assert [size for _, size, _ in seen] == sorted(size for _, size, _ in seen)


@pytest.mark.parametrize(
    "path", sorted([*FIXTURES.glob("webhook/*"), *FIXTURES.glob("events_api/*")]), ids=lambda path: path.name
)
def test_every_sample_is_imported(path):
    """
    Each published webhook body and API page comes in without a dead letter.
    """
    done, journal = take(path)
    assert done.receipt.dead == 0
    assert done.records == len(journal.natives)
    assert done.records > 0 or "empty" in path.name


def test_importing_again_doubles_nothing(tmp_path, way_of_reading):
    """
    Records without id are named by the whole file and their place, also when it was compressed since.
    """
    nameless = [{"event_timestamp": "2026-09-20 10:00:00 UTC", "event_type_id": 5}] * 30
    body = "\n".join(json.dumps(record) for record in nameless).encode()
    plain, packed, other = tmp_path / "a.ndjson", tmp_path / "b.gz", tmp_path / "c.ndjson"
    plain.write_bytes(body)
    packed.write_bytes(gzip.compress(body))
    other.write_bytes(body + b"\n")
    journal = KeepingJournal()
    assert take(plain, journal)[0].receipt.entries == 30
    assert take(plain, journal)[0].receipt.duplicates == 30
    assert take(packed, journal)[0].receipt.duplicates == 30
    assert take(other, journal)[0].receipt.entries == 30


@pytest.mark.parametrize("form", ["lines", "array"])
def test_bad_records_are_dead_letters_of_their_own_bytes(tmp_path, way_of_reading, form):
    """
    Of a file only the bad records' bytes are kept as dead letter, and the first is named.
    """
    texts = [json.dumps(event(n)) for n in range(1_500)]
    texts[10] = '{"uuid": nope}'
    texts[1_200] = '"text"'
    texts[1_300] = '{"nothing":"known"}'
    path = tmp_path / "events"
    path.write_text(WRITTEN[form](texts))
    done, journal = take(path)
    assert (done.records, done.receipt.entries, done.receipt.dead) == (1_500, 1_497, 3)
    assert done.first_bad.startswith("Record 11: ")
    first, second = journal.letters
    assert (first.body, list(first.positions), first.kind) == (b'{"uuid": nope}', [10], "record")
    assert second.body == b'"text"\n{"nothing":"known"}'
    assert list(second.positions) == [1_200, 1_300]
    assert take(path, journal)[0].receipt.entries == 0


@pytest.mark.parametrize("missing", [20, 1])
@pytest.mark.parametrize("before", [1, 999, 1_000, 1_001])
def test_half_a_record_keeps_its_bytes(tmp_path, way_of_reading, missing, before):
    """
    The dead letter of a truncated array is what there is of its last record; no letter is empty.
    """
    texts = [json.dumps(event(n)) for n in range(before + 1)]
    path = tmp_path / "events"
    path.write_text(WRITTEN["array"](texts)[:-missing])
    done, journal = take(path)
    assert done.receipt.dead == 1
    assert "ends before" in done.first_bad
    half = texts[-1][: 1 - missing].encode() if missing > 1 else b""
    assert [letter.body for letter in journal.letters] == ([half] if half else [])
    assert len(journal.natives) == before + (missing == 1)


@pytest.mark.parametrize("form", ["lines", "array"])
def test_a_file_cut_off_gives_what_is_whole(tmp_path, way_of_reading, form):
    """
    A file that ends inside a record keeps the others and reports the end.
    """
    path = tmp_path / "events"
    text = WRITTEN[form]([json.dumps(event(n)) for n in range(100)])
    path.write_text(text[:-20])
    done, journal = take(path)
    assert len(journal.natives) == 99
    assert done.receipt.dead >= 1


def test_a_line_without_end_costs_no_memory(tmp_path):
    """
    A line of many megabytes is bad records, not an ever larger piece of memory; the lines around it are fine.
    """
    path = tmp_path / "events"
    with path.open("wb") as file:
        file.write(json.dumps(event(1)).encode() + b"\n")
        for _ in range(60):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + json.dumps(event(2)).encode())
    done, journal = take(path)
    assert set(journal.natives) == {"u1", "u2"}
    assert done.receipt.dead


def test_a_large_file_is_streamed(tmp_path):
    """
    A file of any size takes the memory of a few chunks.
    """
    path = tmp_path / "events.ndjson.gz"
    line = json.dumps(event(1, notes="x" * 5_000)).encode() + b"\n"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(16):
            file.write(line * 1_000)
    tracemalloc.start()
    done, _ = take(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.records == 16_000
    assert done.size_bytes > 80e6
    assert peak < 30e6


def test_standard_input_is_read(monkeypatch):
    """
    A dash is standard input, also a pipe that cannot be read twice.
    """
    reading, writing = os.pipe()
    body = "\n".join(json.dumps(event(n)) for n in range(5_000)).encode()

    def write():
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(body)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        done, _ = take("-")
        writer.join()
        sys.stdin.detach()
    assert done.receipt.entries == 5_000


@pytest.mark.parametrize("body", [b"", b"\n \n", b"\xef\xbb\xbf", b"[]", b"[ ]\n"])
def test_an_empty_file_is_nothing(tmp_path, body):
    """
    The export of a day without events is no mistake.
    """
    path = tmp_path / "events"
    path.write_bytes(body)
    done, journal = take(path)
    assert (done.records, journal.calls) == (0, 0)


@pytest.mark.parametrize(
    "body", [b"id,name\n1,x\n", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"hello " * 4_000]
)
def test_what_is_no_json_is_said_with_its_name(tmp_path, way_of_reading, body):
    """
    A file of another kind is refused with its path and what to do.
    """
    path = tmp_path / "table.csv"
    path.write_bytes(body)
    with pytest.raises(BadRequest, match=r"table\.csv") as caught:
        take(path)
    assert caught.value.action


def test_a_file_that_cannot_be_opened(tmp_path):
    """
    Missing, a folder, cut off, damaged: each has its own sentence.
    """
    cut_off, damaged, fake = tmp_path / "cut.gz", tmp_path / "damaged.gz", tmp_path / "fake.gz"
    packed = gzip.compress(json.dumps([event(n) for n in range(100)]).encode())
    cut_off.write_bytes(packed[:-30])
    damaged.write_bytes(packed[:100] + b"\xff\xff" + packed[102:])
    fake.write_bytes(b"\x1f\x8b but no gzip")
    for path, words in [
        (tmp_path / "missing", "does not exist"),
        (tmp_path, "is a folder"),
        (cut_off, "cut off"),
        (damaged, "damaged"),
        (fake, "damaged"),
    ]:
        journal = KeepingJournal()
        with pytest.raises(ConnectorError, match=words) as caught:
            take(path, journal)
        assert str(path) in str(caught.value)
        assert caught.value.action
        assert not journal.calls


@pytest.mark.parametrize("failure", [JournalFull(), HourPruned()])
def test_what_the_journal_refuses_reaches_the_caller(tmp_path, failure):
    """
    A full disk or a pruned hour stops the import with its own error.
    """
    path = tmp_path / "events"
    path.write_text(json.dumps([event(1)]))
    journal = KeepingJournal()
    journal.failure = failure
    with pytest.raises(type(failure)):
        take(path, journal)


def test_consent_reaches_the_journal(tmp_path):
    """
    ``accept_duplicates`` is handed on.
    """
    path = tmp_path / "events"
    path.write_text(json.dumps([event(1)]))
    heard = []

    class Listening(KeepingJournal):
        async def append(self, events, dead=None, *, accept_duplicates=False):
            heard.append(accept_duplicates)
            return await super().append(events, dead)

    take(path, Listening(), accept_duplicates=True)
    assert heard == [True]
