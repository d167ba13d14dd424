"""
The words for how parts stand, and their last day in short.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.service import standing
from onelogin_connector.service.meter import RECENT_SECONDS, SLOT_SECONDS, SLOTS, Gauge, Meter
from onelogin_connector.service.standing import BEATS, MEANINGS, Stand, Word
from onelogin_connector.state import Change
from onelogin_connector.status import State

NOW = 1_795_300_000.0
MINUTE = 60.0


def poll(state=State.OK, error="", *, since=NOW - 10, last_poll=NOW - 10, last=NOW - 5) -> Stand:
    """Return how a poller stands that asks every minute."""
    return standing.of_poll(
        state, error, since=since, last_poll=last_poll, poll_seconds=MINUTE, last=last, now=NOW
    )


def test_every_word_is_explained():
    """
    The page shows what each word means.
    """
    assert set(MEANINGS) == set(Word)
    assert all(text.endswith(".") for text in MEANINGS.values())


def test_a_poller_that_works_is_active_and_without_events_quiet():
    """
    No event is no failure: it is told apart.
    """
    assert poll().word is Word.ACTIVE
    assert poll(last=NOW - standing.QUIET_SECONDS - 1).word is Word.QUIET
    assert poll(last=None).word is Word.QUIET


def test_a_poller_that_fails_is_late_and_then_an_error():
    """
    One failure is late; more than two intervals without a successful poll is an error, with its cause.
    """
    assert poll(State.RETRYING, "no answer", last_poll=NOW - 70) == Stand(Word.LATE, "no answer")
    assert poll(State.RETRYING, "no answer", last_poll=NOW - 121) == Stand(Word.ERROR, "no answer")
    assert poll(State.RETRYING, "no answer", last_poll=None, since=NOW - 119).word is Word.LATE
    assert poll(State.RETRYING, "no answer", last_poll=None, since=NOW - 121).word is Word.ERROR


def test_a_refused_credential_is_an_error_at_once():
    """
    It does not go away by itself.
    """
    assert poll(State.PAUSED, "refused") == Stand(Word.ERROR, "refused")


def test_a_poller_that_reads_long_is_late():
    """
    It has no failure, but is not where it should be either.
    """
    found = poll(last_poll=NOW - 3 * MINUTE - 1)
    assert found.word is Word.LATE
    assert found.error


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_word(state):
    """
    Nothing that a part can be is left without a word, and trouble has a cause.
    """
    assert poll(state, "why").word in Word
    found = standing.of_sink(state, "why", since=NOW - 1, now=NOW)
    assert found.word in Word
    assert found.error == "why" or state is State.OK


def test_a_sink_that_tries_for_long_is_an_error():
    """
    And one that gave up, or was told to wait, is one at once.
    """
    assert standing.of_sink(State.RETRYING, "busy", since=NOW - 10, now=NOW).word is Word.LATE
    assert standing.of_sink(State.RETRYING, "busy", since=NOW - 301, now=NOW).word is Word.ERROR
    assert standing.of_sink(State.DETACHED, "full", since=NOW, now=NOW).word is Word.ERROR


def test_a_webhook_waits_works_or_cannot():
    """
    That nothing can be taken in counts more than that events came.
    """
    word = {"stopped": False, "refusing": "", "last": NOW - 5, "ever": True, "now": NOW}
    assert standing.of_webhook(**word).word is Word.ACTIVE
    assert standing.of_webhook(**word | {"last": None}).word is Word.QUIET
    assert standing.of_webhook(**word | {"last": None, "ever": False}).word is Word.PENDING
    assert standing.of_webhook(**word | {"refusing": "The disk is full."}) == Stand(
        Word.ERROR, "The disk is full."
    )
    assert standing.of_webhook(**word | {"stopped": True}).word is Word.INACTIVE


@given(st.lists(st.sampled_from(Word), min_size=1))
def test_a_connector_is_its_worst_source(words):
    """
    Trouble in one source is never hidden by the others, and waiting takes nothing from what works.
    """
    found = standing.worst([Stand(word) for word in words]).word
    for bad in (Word.ERROR, Word.LATE):
        if bad in words:
            assert found in {Word.ERROR, Word.LATE}
    if found is Word.PENDING:
        assert not {Word.ACTIVE, Word.QUIET} & set(words)


def change(at: float, state: str, outcome: str) -> Change:
    """Return a change of one sink."""
    return Change(at=at, kind="sink", part="x", name="x", state=state, outcome=outcome, description="")


def beats(slots, changes):
    """Return the last day before now."""
    return standing.beats(slots, changes, now=NOW, slot_seconds=SLOT_SECONDS)


def test_the_day_in_half_hours():
    """
    Trouble of a moment marks its half hour; before the first change nothing ran.
    """
    begin = beats((0,) * SLOTS, [])[0].at
    half_hour = 2 * SLOT_SECONDS
    changes = [
        change(begin + 10 * half_hour, "ok", "Success"),
        change(begin + 20 * half_hour + 5, "retrying", "Failure"),
        change(begin + 20 * half_hour + 9, "ok", "Success"),
        change(begin + 30 * half_hour, "stopped", "Informational"),
    ]
    slots = [0] * SLOTS
    slots[25] = 7
    found = beats(slots, changes)
    assert len(found) == BEATS
    kinds = [beat.kind for beat in found]
    assert kinds[:10] == ["off"] * 10
    assert kinds[10:20] == ["quiet", "quiet", "events", *["quiet"] * 7]
    assert found[12].events == 7
    assert kinds[20] == "trouble"
    assert kinds[21:30] == ["quiet"] * 9
    assert kinds[31:] == ["off"] * 17
    assert {later.at - earlier.at for earlier, later in pairwise(found)} == {half_hour}


@given(st.lists(st.integers(0, 1_000), max_size=200), st.floats(0.1, 3_600))
def test_a_gauge_counts_every_rise_once(rises, pause):
    """
    The slots of a day add up to what rose in it, whatever the rhythm.
    """
    at, value = NOW, 100
    gauge = Gauge(at, value)
    for rise in rises:
        at, value = at + pause, value + rise
        gauge.note(at, value)
    if at - NOW < (SLOTS - 1) * SLOT_SECONDS:
        assert sum(gauge.slots(at)) == sum(rises)
    assert gauge.rate() >= 0


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=50), st.data())
def test_a_gauge_that_is_taken_up_again_misses_nothing(rises, data):
    """
    Given out at any moments and taken up again at any others, it counts each rise once, also those in between.
    """
    at, value = NOW, 100
    gauge = Gauge(at, value)
    kept = (value, {}, None)
    for rise in rises:
        at, value = at + 10, value + rise
        what = data.draw(st.sampled_from(["note", "keep", "restart"]))
        if what == "restart":  # what was noted since it was given out is forgotten, and the counter is not
            gauge = Gauge.resumed(at, value, before=kept[0], slots=kept[1], moved_at=kept[2])
            assert gauge.rate() == 0
        else:
            gauge.note(at, value)
        if what != "note":
            kept = (gauge.value, gauge.kept(0), gauge.moved_at)
    assert sum(gauge.slots(at)) == sum(rises)
    assert (gauge.moved_at is None) == (sum(rises) == 0)


def test_a_rate_is_that_of_the_last_minute():
    """
    A burst an hour ago does not last, and a counter that begins anew is no rise.
    """
    gauge = Gauge(NOW, 0)
    gauge.note(NOW + 10, 6_000)
    assert gauge.rate() == 600
    for second in range(20, 200, 10):
        gauge.note(NOW + second, 6_000)
    assert gauge.rate() == 0
    assert gauge.moved_at == NOW + 10
    gauge.note(NOW + 200, 0)
    assert gauge.rate() == 0
    assert sum(gauge.slots(NOW + 200)) == 6_000
    assert len(gauge._recent) <= RECENT_SECONDS / 10 + 2


def test_a_meter_forgets_what_is_gone():
    """
    Of a connector that was removed nothing stays.
    """
    meter = Meter()
    meter.note(NOW, {"a": 1, "b": 1})
    meter.note(NOW + 1, {"a": 2})
    assert meter.gauge("b") is None
    assert meter.gauge("a").rate() == 1
