"""
The simulated webhooks batch as OneLogin does, fail as asked, and say what became of what they sent.
"""

import asyncio
import json
from collections import Counter

import httpx2
import pytest

from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.simulator.company import HOUR_US, Company
from onelogin_connector.simulator.webhooks import Faults, Format, Tally, Webhooks, batches, body_of, requests
from onelogin_connector.sources.body import records
from onelogin_connector.sources.webhook import WebhookSource, token_hash
from unit.keeping import KeepingJournal

NOW_US = 1_795_200_000_000_000
SINCE_US = NOW_US - 3 * HOUR_US
TOKEN = "a-token-of-twenty-four-characters"


class Listener:
    """
    A webhook source behind a transport, with a clock that only ``sleep`` moves.
    """

    def __init__(self, **options):
        self.now = NOW_US / 1e6
        self.journal = KeepingJournal()
        self.source = WebhookSource("acme", self.journal, [token_hash(TOKEN)], clock=lambda: self.now)
        self.naps = []
        self.arrivals = []
        self.webhooks = Webhooks(
            "http://listener/webhook/acme",
            TOKEN,
            transport=httpx2.MockTransport(self._answer),
            clock=lambda: self.now,
            sleep=self._sleep,
            **options,
        )

    async def _answer(self, request):
        answer = await self.source.receive(request.method, request.headers, request.content, "127.0.0.1")
        self.arrivals.append((self.now, answer.status))
        return httpx2.Response(answer.status, content=answer.body, headers=answer.headers)

    async def _sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def history(self, company=None, **options):
        company = company or Company(1)
        return asyncio.run(self.webhooks.send_history(company, SINCE_US, NOW_US, **options))


def story():
    """
    Return three hours of a company.
    """
    return list(Company(1).story(SINCE_US, NOW_US))


def test_a_batch_is_ten_events_or_ten_seconds():
    """
    No batch is larger or lasts longer, none is sent early, and together they are the story.
    """
    cut = list(batches(story()))
    assert [happening for _, batch in cut for happening in batch] == story()
    for at_us, batch in cut:
        assert 1 <= len(batch) <= 10
        assert batch[-1].time_us < batch[0].time_us + 10_000_000
        assert at_us == (batch[-1].time_us if len(batch) == 10 else batch[0].time_us + 10_000_000)
    assert [at_us for at_us, _ in cut] == sorted(at_us for at_us, _ in cut)
    assert {len(batch) for _, batch in cut} >= {1, 10}


@pytest.mark.parametrize("form", Format)
def test_every_form_holds_the_batch(form):
    """
    A body read back gives the records of its batch.
    """
    batch = story()[:10]
    assert [json.loads(record) for record in records(body_of(batch, form))] == [h.to_webhook() for h in batch]


@pytest.mark.parametrize("form", Format)
def test_a_history_arrives_whole(form):
    """
    Without faults each event arrives once, in whichever form.
    """
    listener = Listener(form=form)
    tally = listener.history()
    assert set(listener.journal.natives) == {happening.uuid for happening in story()}
    assert tally.events == len(story())
    assert set(tally.answers) == {200}
    assert listener.source.results["duplicate"] == 0


def told(faults, tally=None):
    """
    Return how often each event is sent whole, under some faults.
    """
    return Counter(
        happening.uuid
        for request in requests(story(), faults=faults, tally=tally)
        for happening in request.batch
    )


def test_loss_and_repeats_have_their_shares():
    """
    What is asked to be lost is never sent, what is to be repeated is sent twice, and both are counted.
    """
    everything, tally = len(story()), Tally()
    sent = told(Faults(lost=0.3), tally)
    assert tally.lost == everything - len(sent)
    assert 0.1 * everything < tally.lost < 0.5 * everything
    again = told(Faults(repeated=0.3))
    assert len(again) == everything
    assert set(again.values()) == {1, 2}
    assert told(Faults(lost=1.0)) == Counter()


def test_swapping_changes_the_order_alone():
    """
    With requests swapped everything is sent once, in another order.
    """
    straight = [request.batch for request in requests(story())]
    swapped = [request.batch for request in requests(story(), faults=Faults(swapped=0.3))]
    assert swapped != straight
    assert sorted(swapped, key=lambda batch: batch[0].number) == straight


def test_faults_are_repeatable():
    """
    The same seed fails the same way, another seed another.
    """
    faults = {"lost": 0.1, "repeated": 0.1, "swapped": 0.1, "cut_off": 0.1, "wrong_token": 0.1}
    first, again, other = (list(requests(story(), faults=Faults(seed=seed, **faults))) for seed in (1, 1, 2))
    assert first == again != other


def test_cut_off_and_unauthorised_requests_are_refused_or_partly_kept():
    """
    A listener that meets every fault keeps what was sent whole, and nothing else.
    """
    listener = Listener(
        faults=Faults(cut_off=0.2, wrong_token=0.2, repeated=0.2, swapped=0.2, slow_seconds=0.1)
    )
    tally = listener.history(connections=1)
    assert tally.answers[401] > 5
    assert tally.answers[200] > 5
    assert set(listener.journal.natives) < {happening.uuid for happening in story()}
    assert listener.journal.letters
    assert 0 < max(listener.naps) <= 0.2


def test_a_busy_listener_is_asked_again():
    """
    With attempts allowed, 503 is waited out for at least what it asks, and nothing is lost.
    """
    listener = Listener(attempts=3)
    left = [Unavailable(after_seconds=7)] * 4
    append = listener.journal.append

    async def at_first_busy(*arguments, **options):
        if left:
            raise left.pop()
        return await append(*arguments, **options)

    listener.journal.append = at_first_busy
    tally = listener.history(connections=2)
    assert set(listener.journal.natives) == {happening.uuid for happening in story()}
    assert tally.answers[503] == 4
    assert listener.naps
    assert all(nap >= 7 for nap in listener.naps)


def test_no_answer_is_counted_and_not_fatal():
    """
    A listener that is not there is counted as no answer.
    """

    def refuse(request):
        raise httpx2.ConnectError("nobody is there")

    webhooks = Webhooks(
        "http://listener/webhook/acme", TOKEN, transport=httpx2.MockTransport(refuse), clock=lambda: 0.0
    )
    tally = asyncio.run(webhooks.send_history(Company(1), NOW_US - HOUR_US, NOW_US))
    assert set(tally.answers) == {0}
    assert tally.events == 0


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_live_events_come_when_they_happen(speed):
    """
    Each request leaves when its batch is due, as time goes by, until it is stopped.
    """

    async def watch():
        listener = Listener()
        live = asyncio.ensure_future(listener.webhooks.send_live(Company(1), NOW_US, speed=speed))
        while len(listener.arrivals) < 30:
            await asyncio.sleep(0)
            assert not live.done()
        live.cancel()
        return listener

    listener = asyncio.run(watch())
    due = [at_us for at_us, _ in batches(Company(1).story(NOW_US, NOW_US + HOUR_US))]
    expected = [NOW_US / 1e6 + (at_us - NOW_US) / 1e6 / speed for at_us in due]
    for (at, status), wanted in zip(listener.arrivals, expected, strict=False):
        assert status == 200
        assert at == pytest.approx(wanted, abs=0.001)


def test_what_is_no_url_is_refused_before_anything_is_sent():
    """
    A typing error in the URL is told at once.
    """
    with pytest.raises(ConfigError, match="127"):
        Webhooks("127.0.0.1:8080/webhook/default", TOKEN, clock=lambda: 0.0)
