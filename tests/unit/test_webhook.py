"""
The webhook refuses early and with reason, and acknowledges only what is kept.
"""

import asyncio
import gzip
import hmac
import inspect
import json
import tracemalloc
import zlib
from pathlib import Path

import pytest

from onelogin_connector.errors import ConfigError, JournalFull, Unavailable
from onelogin_connector.event import Channel, Way
from onelogin_connector.journal.base import Journal
from onelogin_connector.sources import webhook as webhook_module
from onelogin_connector.sources.problems import KINDS
from onelogin_connector.sources.webhook import Options, WebhookSource, token_hash, unknown_connector
from unit.keeping import KeepingJournal

FIXTURES = Path(__file__).parent.parent / "fixtures"
TOKEN = "a-token-of-twenty-four-characters"
OTHER = "another-token-of-more-than-24-characters"
NOW = 1_790_000_000.0
GOOD = {"authorization": f"Bearer {TOKEN}"}


class Sender:
    """
    A webhook source with its journal and a clock set by hand.
    """

    def __init__(self, **options):
        self.journal = KeepingJournal()
        self.now = NOW
        self.source = WebhookSource(
            "acme",
            self.journal,
            [token_hash(TOKEN), token_hash(OTHER)],
            clock=lambda: self.now,
            options=Options(**options),
        )

    def __call__(self, body=b"[]", headers=GOOD, *, method="POST", peer="192.0.2.1"):
        return asyncio.run(self.source.receive(method, headers, body, peer))


def event(number, **more):
    """
    Return a small webhook event.
    """
    return {"uuid": f"u{number}", "event_timestamp": "2026-09-20 10:00:00 UTC", "account_id": 7, **more}


def body_of(count=10):
    """
    Return a batch as an array.
    """
    return json.dumps([event(number) for number in range(count)]).encode()


def assert_problem(answer, kind):
    """
    Check that an answer is the problem document of a kind, whole and helpful.
    """
    document = json.loads(answer.body)
    assert set(document) == {"type", "title", "status", "detail", "action"}
    assert document["type"] == f"/problems/{kind}"
    assert document["status"] == answer.status == KINDS[kind].status
    assert all(document[name] for name in ("title", "detail", "action"))
    assert answer.headers["content-type"] == "application/problem+json"
    return document


def test_an_array_is_kept_and_counted():
    """
    The answer counts what the journal said, after it has said it.
    """
    send = Sender()
    answer = send(body_of(10))
    assert answer.status == 200
    assert json.loads(answer.body) == {"received": 10, "new": 10, "twins": 0, "duplicates": 0, "dead": 0}
    assert json.loads(send(body_of(12)).body) == {
        "received": 12,
        "new": 2,
        "twins": 0,
        "duplicates": 10,
        "dead": 0,
    }
    kept = send.journal.natives["u3"]
    assert (kept.connector, kept.way, kept.channel) == ("acme", Way.WEBHOOK, Channel.WEBHOOK)
    assert kept.received_us == NOW * 1_000_000
    assert send.source.results == {"new": 12, "duplicate": 10, "twin": 0}
    assert send.source.answers == {200: 2}


def test_what_the_tests_stand_on_is_a_journal():
    """
    The keeping journal takes what the program's journals take.
    """
    for name in ("append", "bury"):
        promised = inspect.signature(getattr(Journal, name)).parameters
        assert list(promised) == list(inspect.signature(getattr(KeepingJournal, name)).parameters)


@pytest.mark.parametrize("path", sorted((FIXTURES / "webhook").iterdir()), ids=lambda path: path.name)
def test_every_sample_is_taken_whole(path):
    """
    Each published webhook body is acknowledged without a dead letter.
    """
    send = Sender()
    counts = json.loads(send(path.read_bytes()).body)
    assert counts["received"] == counts["new"] >= 1
    assert counts["dead"] == 0


def test_an_empty_array_is_fine():
    """
    Nothing sent is nothing kept.
    """
    assert json.loads(Sender()(b"[]").body)["received"] == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", "X" * 5_000])
def test_other_methods_are_refused_with_the_right_one(method):
    """
    405 names the method that is taken.
    """
    answer = Sender()(method=method, headers={})
    assert_problem(answer, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN} x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer:{TOKEN}",
        "Bearer \ud800",
        "Bearer ü",
        "Bearer " + "x" * 100_000,
    ],
)
def test_a_wrong_token_is_refused(authorization):
    """
    401 comes with a challenge and never repeats what was sent.
    """
    send = Sender()
    answer = send(body_of(), {"authorization": authorization} if authorization else {})
    assert_problem(answer, "webhook-token")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN[:-1].encode() not in answer.body
    assert not send.journal.calls


@pytest.mark.parametrize(
    "authorization",
    [f"bearer {TOKEN}", f"BEARER   {TOKEN}", f"Bearer\t{TOKEN}", f"Bearer {OTHER}", f"Bearer {TOKEN} "],
)
def test_both_tokens_are_taken_however_bearer_is_written(authorization):
    """
    During a rotation two tokens are valid, and the scheme has no case.
    """
    assert Sender()(headers={"authorization": authorization}).status == 200


def test_a_token_that_is_withdrawn_is_refused():
    """
    Tokens can be replaced while running.
    """
    send = Sender()
    send.source.accept([token_hash(OTHER)])
    assert send().status == 401
    assert send(headers={"authorization": f"Bearer {OTHER}"}).status == 200
    send.source.accept([])
    assert send(headers={"authorization": f"Bearer {OTHER}"}).status == 401


def test_tokens_are_compared_in_constant_time():
    """
    The comparison is the standard library's, against every stored hash.
    """
    assert webhook_module.compare_digest is hmac.compare_digest
    assert "compare_digest" in WebhookSource._bucket_of.__code__.co_names


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        ("203.0.113.9", 200),
        ("::ffff:203.0.113.9", 200),
        ("2001:db8::5", 200),
        ("203.0.114.1", 403),
        ("::1", 403),
        ("", 403),
        ("unix:", 403),
        ("not an address", 403),
    ],
)
def test_an_allow_list_lets_only_its_networks_in(peer, status):
    """
    With networks set, an address in none of them, or none at all, is refused.
    """
    send = Sender(allowed_networks=("203.0.113.0/24", "2001:db8::/32"))
    answer = send(peer=peer)
    assert answer.status == status
    if status == 403:
        assert_problem(answer, "source-network")


def test_a_network_that_cannot_be_read_stops_the_start():
    """
    A typing error in an allow-list must not open or close the door silently.
    """
    with pytest.raises(ConfigError, match="203"):
        Sender(allowed_networks=("203.0.113.0/99",))


def test_refusals_come_in_their_order_and_before_the_body_is_touched():
    """
    Of several things wrong the first of the order is told, and the body is not even read.
    """

    async def untouchable():
        raise AssertionError("the body was read")
        yield b""

    send = Sender(
        allowed_networks=("203.0.113.0/24",), most_body_bytes=100, requests_per_second=1, requests_burst=1
    )
    send(b"[]", peer="203.0.113.1")  # uses the rate up
    headers = {"authorization": "Bearer wrong", "content-length": "101", "content-encoding": "br"}
    peer = "192.0.2.1"
    assert send(untouchable(), headers, method="GET", peer=peer).status == 405
    assert send(untouchable(), headers, peer=peer).status == 401
    headers["authorization"] = GOOD["authorization"]
    assert send(untouchable(), headers, peer=peer).status == 403
    peer = "203.0.113.1"
    assert send(untouchable(), headers, peer=peer).status == 413
    headers["content-length"] = "100"
    assert send(untouchable(), headers, peer=peer).status == 415
    headers["content-encoding"] = "gzip"
    assert send(untouchable(), headers, peer=peer).status == 429
    assert send.journal.calls == 1


@pytest.mark.parametrize("length", ["17", "9" * 5_000, "18446744073709551616"])
def test_a_declared_length_above_the_limit_is_refused(length):
    """
    413 comes from the declared length alone, however long the number.
    """
    answer = Sender(most_body_bytes=16)(b"[]", {**GOOD, "content-length": length})
    assert_problem(answer, "too-large")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("length", ["-1", "x", "", "²", "16"])
def test_a_declared_length_that_says_nothing_is_ignored(length):
    """
    What cannot be read as a length leaves the decision to the real one.
    """
    assert Sender(most_body_bytes=16)(b"[]", {**GOOD, "content-length": length}).status == 200


def test_a_body_that_lies_about_its_length_is_cut_off():
    """
    The real length counts while the body arrives; no more than the limit is read.
    """
    parts = []

    async def endless():
        while True:
            parts.append(1)
            yield b" " * 1_000

    send = Sender(most_body_bytes=10_000)
    assert_problem(send(endless(), {**GOOD, "content-length": "10"}), "too-large")
    assert len(parts) <= 11
    assert_problem(send(b" " * 10_001), "too-large")


def test_a_body_in_parts_is_put_together():
    """
    Where the network cuts a body has no meaning.
    """

    async def parts():
        body = body_of(3)
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    assert json.loads(Sender()(parts()).body)["new"] == 3


def squeezed(body, form):
    """
    Compress a body.
    """
    if form in {"gzip", "x-gzip"}:
        return gzip.compress(body)
    stream = zlib.compressobj(wbits=zlib.MAX_WBITS if form == "deflate" else -zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize("form", ["gzip", "x-gzip", "deflate", "bare deflate", "identity", "GZIP"])
def test_known_encodings_are_undone(form):
    """
    Each encoding gives the same events.
    """
    body = body_of(3) if form == "identity" else squeezed(body_of(3), form.lower())
    headers = {**GOOD, "content-encoding": "deflate" if form == "bare deflate" else form}
    assert json.loads(Sender()(body, headers).body)["new"] == 3


def test_gzip_members_one_after_another_are_one_body():
    """
    A gzip body may have several members, but not so many that undoing them takes forever.
    """
    body = body_of(3)
    send = Sender()
    headers = {**GOOD, "content-encoding": "gzip"}
    assert json.loads(send(gzip.compress(body[:9]) + gzip.compress(body[9:]), headers).body)["new"] == 3
    assert send(gzip.compress(b"") * 500_000, headers).status == 400


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "chunked", "x" * 9_000, "\ud800"])
def test_unknown_encodings_are_refused(encoding):
    """
    415 says what is taken instead.
    """
    answer = Sender()(b"x", {**GOOD, "content-encoding": encoding})
    assert_problem(answer, "content-encoding")
    assert "gzip" in answer.headers["accept-encoding"]


def test_a_bomb_is_stopped_at_the_limit():
    """
    A gigabyte of zeros in a megabyte of gzip costs no more memory than is allowed.
    """
    stream = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(stream.compress(b"\0" * (1 << 20)) for _ in range(300)) + stream.flush()
    send = Sender(most_body_bytes=4 << 20)
    tracemalloc.start()
    answer = send(bomb, {**GOOD, "content-encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_problem(answer, "too-large")
    assert peak < 16 << 20


@pytest.mark.parametrize(
    "body",
    [
        b"plain",
        gzip.compress(b"[]", mtime=0)[:-1],
        gzip.compress(b"[]", mtime=0)[:-5] + b"12345",
        b"\x1f\x8b",
    ],
)
def test_a_damaged_encoding_is_told_and_kept(body):
    """
    A body that cannot be decompressed is the sender's mistake, and can be looked at.
    """
    send = Sender()
    assert_problem(send(body, {**GOOD, "content-encoding": "gzip"}), "no-json")
    assert send.journal.buried[0].body == body


def test_the_rate_is_per_token_and_comes_back():
    """
    A token that is used up is told when to come back; the other one is not affected.
    """
    send = Sender(requests_per_second=0.5, requests_burst=2)
    assert [send().status for _ in range(3)] == [200, 200, 429]
    answer = send()
    assert_problem(answer, "too-many-requests")
    assert answer.headers["retry-after"] == "2"
    assert send(headers={"authorization": f"Bearer {OTHER}"}).status == 200
    send.now += 2
    assert [send().status for _ in range(2)] == [200, 429]
    send.now -= 3_600  # a clock set back neither gives nor takes
    assert send().status == 429
    send.now += 2
    assert send().status == 200


def test_a_content_type_decides_nothing():
    """
    The body alone tells its format.
    """
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", ""):
        assert json.loads(Sender()(body_of(2), {**GOOD, "content-type": kind}).body)["new"] == 2


def test_bad_records_are_one_dead_letter_beside_the_good():
    """
    Good and bad records of one request go to the journal in one call, the bad ones with reasons.
    """
    send = Sender()
    body = json.dumps([event(1), 42, event(2), {"nothing": "known"}, None, event(3)]).encode()
    answer = send(body)
    assert answer.status == 200
    assert json.loads(answer.body) == {"received": 6, "new": 3, "twins": 0, "duplicates": 0, "dead": 3}
    assert send.journal.calls == 1
    (letter,) = send.journal.letters
    assert (letter.kind, letter.connector, letter.body, letter.records) == ("record", "acme", body, 3)
    assert set(letter.positions) == {1, 3, 4}
    assert letter.reason == letter.positions[1]
    assert send.source.results["dead"] == 3


def test_of_very_many_bad_records_a_hundred_reasons_are_kept():
    """
    A dead letter stays small whatever comes.
    """
    send = Sender()
    assert json.loads(send(b"1\n" * 5_000 + b'{"uuid":"a"}').body)["dead"] == 5_000
    (letter,) = send.journal.letters
    assert letter.records == 5_000
    assert list(letter.positions) == list(range(100))


def test_a_request_of_bad_records_alone_is_acknowledged():
    """
    What is durably a dead letter need not be sent again.
    """
    send = Sender()
    assert json.loads(send(b'[{"a":1}]').body) == {
        "received": 1,
        "new": 0,
        "twins": 0,
        "duplicates": 0,
        "dead": 1,
    }
    assert len(send.journal.letters) == 1


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\xfe{", b"[", b'{"uuid":"a"'])
def test_no_json_is_refused_and_kept_best_effort(body):
    """
    400 says what to send; the body lies in the ring, unless there is none.
    """
    send = Sender()
    assert_problem(send(body), "no-json")
    assert [letter.body for letter in send.journal.buried] == ([body] if body else [])
    assert not send.journal.calls
    send.journal.failure = Unavailable()
    assert_problem(send(body), "no-json")


@pytest.mark.parametrize(
    ("failure", "kind", "wait"),
    [
        (Unavailable("The disk does not answer.", after_seconds=7.2), "unavailable", "8"),
        (Unavailable(), "unavailable", "5"),
        (JournalFull(), "journal-full", "60"),
    ],
)
def test_what_cannot_be_kept_is_not_acknowledged(failure, kind, wait):
    """
    G1: when the journal cannot keep it the answer is 503 with Retry-After, never 200.
    """
    send = Sender()
    send.journal.failure = failure
    answer = send(body_of())
    assert_problem(answer, kind)
    assert answer.headers["retry-after"] == wait
    assert send.source.results["new"] == 0
    assert send.source.answers == {503: 1}


def test_an_error_nobody_expected_is_no_acknowledgement():
    """
    G1: a mistake in the journal surfaces as an error, never as a 200.
    """
    send = Sender()
    send.journal.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        send(body_of())


def test_the_answer_waits_for_the_journal():
    """
    G1: while the journal has not returned there is no answer.
    """

    async def story():
        send = Sender()
        synced = asyncio.Event()
        append = send.journal.append

        async def slow(*arguments, **options):
            await synced.wait()
            return await append(*arguments, **options)

        send.journal.append = slow
        answer = asyncio.ensure_future(send.source.receive("POST", GOOD, body_of(), ""))
        await asyncio.sleep(0.01)
        assert not answer.done()
        synced.set()
        assert (await answer).status == 200

    asyncio.run(story())


def test_records_without_id_are_named_by_body_and_place():
    """
    The same body again, compressed or not, doubles nothing; another body with the same record is another event.
    """
    send = Sender()
    nameless = {"event_timestamp": "2026-09-20 10:00:00 UTC", "event_type_id": 5}
    body = json.dumps([nameless, nameless]).encode()
    assert json.loads(send(body).body)["new"] == 2
    assert json.loads(send(body).body)["duplicates"] == 2
    assert json.loads(send(gzip.compress(body), {**GOOD, "content-encoding": "gzip"}).body)["duplicates"] == 2
    assert json.loads(send(json.dumps([nameless]).encode()).body)["new"] == 1


def test_a_large_body_is_read_beside_the_loop():
    """
    While a large request is read, others are answered.
    """

    async def story():
        send = Sender(requests_per_second=0)
        big = (
            b"["
            + b",".join(json.dumps(event(number, notes="x" * 400)).encode() for number in range(20_000))
            + b"]"
        )
        large = asyncio.ensure_future(send.source.receive("POST", GOOD, big, ""))
        await asyncio.sleep(0)
        small = 0
        while not large.done():
            assert (await send.source.receive("POST", GOOD, b"[]", "")).status == 200
            await asyncio.sleep(0)
            small += 1
        assert small > 5
        assert json.loads((await large).body)["new"] == 20_000

    asyncio.run(story())


def test_an_unknown_connector_is_a_problem_too():
    """
    A URL that names no connector gets the same shape of refusal.
    """
    assert_problem(unknown_connector("nope\ud800" * 1_000), "unknown-connector")


def test_nothing_of_token_or_event_is_logged(caplog):
    """
    G7: logs hold counts and reasons, never the token or what an event says.
    """
    send = Sender()
    with caplog.at_level("DEBUG"):
        send(b'[{"uuid":"a"}, {"password":"hunter2hunter2"}, "hunter2hunter2", {"hunter2hunter2"]')
        send(b"hunter2hunter2")
        send(b"[]", {"authorization": "Bearer hunter2hunter2"})
    said = caplog.text + repr(send.source.__dict__.keys())
    assert "dead letter" in said
    assert "hunter2" not in said
    assert TOKEN not in said
