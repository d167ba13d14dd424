"""
Batches: nothing is left out between them, and none is larger than its limits.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.batch import cut
from onelogin_connector.event import Kind
from onelogin_connector.sinks.base import Limits
from onelogin_connector.testing import entry

KINDS = st.sampled_from([Kind.ENTRY, Kind.ENTRY, Kind.TWIN, Kind.CHANGE])
RECORDS = st.lists(st.tuples(KINDS, st.integers(2, 400), st.booleans()), max_size=40)


def no_blue(record):
    """Skip the records that say so."""
    return "no_blue" if record.raw.startswith(b"b") else None


@given(RECORDS, st.integers(1, 9), st.integers(1, 900), st.booleans())
def test_batches_cover_every_record_once(drawn, records, size_bytes, wants_twins):
    """
    Cut again and again, the batches hold each wanted record once, in order, within both limits.
    """
    log = [
        entry(offset, (b"b" if blue else b"x") * size, kind=kind)
        for offset, (kind, size, blue) in enumerate(drawn, start=1)
    ]
    limits = Limits(records, size_bytes)
    sent, skipped, after = [], [], 0
    while batch := cut(log[after:], limits, wants_twins=wants_twins, skips=no_blue):
        size = sum(len(record.raw) for record in batch.entries)
        assert len(batch.entries) <= records
        assert size <= size_bytes or len(batch.entries) == 1
        assert batch.up_to > after
        sent += batch.entries
        skipped += batch.skipped
        after = batch.up_to
    wanted = [record for record in log if wants_twins or record.kind == Kind.ENTRY]
    assert after == len(log)
    assert sent == [record for record in wanted if no_blue(record) is None]
    assert skipped == [(record.offset, "no_blue") for record in wanted if no_blue(record)]


@given(RECORDS.filter(bool), st.integers(1, 12))
def test_head_leaves_the_rest_to_the_next(drawn, count):
    """
    A head and a cut behind it hold together what the whole batch held.
    """
    log = [
        entry(offset, (b"b" if blue else b"x") * size, kind=kind)
        for offset, (kind, size, blue) in enumerate(drawn, start=1)
    ]
    limits = Limits(1_000, 1_000_000)
    whole = cut(log, limits, wants_twins=False, skips=no_blue)
    head = whole.head(count)
    rest = cut(log[head.up_to :], limits, wants_twins=False, skips=no_blue)
    assert len(head.entries) == min(count, len(whole.entries))
    assert head.entries + (rest.entries if rest else ()) == whole.entries
    assert head.skipped + (rest.skipped if rest else ()) == whole.skipped


def test_a_young_batch_waits_for_company_and_an_old_one_goes():
    """
    The wait shrinks with the age of the oldest entry, and a full batch does not wait.
    """
    limits = Limits(3, 1_000, max_batch_seconds=0.5)
    young = cut([entry(1, received_us=10_000_000)], limits, wants_twins=False)
    assert young.wait_seconds(limits, 10.0) == 0.5
    assert young.wait_seconds(limits, 10.25) == 0.25
    assert young.wait_seconds(limits, 11.0) == 0.0
    assert young.wait_seconds(limits, -5_000.0) == 0.5, "a clock set back holds nothing longer"
    full = cut([entry(number, received_us=10_000_000) for number in range(1, 5)], limits, wants_twins=False)
    assert full.full
    assert full.wait_seconds(limits, 10.0) == 0.0


def test_nothing_makes_no_batch_and_only_twins_make_an_empty_one():
    """
    Records that nobody asked for move the checkpoint without being sent.
    """
    limits = Limits(3, 1_000)
    assert cut([], limits, wants_twins=False) is None
    batch = cut([entry(1, kind=Kind.TWIN), entry(2, kind=Kind.CHANGE)], limits, wants_twins=False)
    assert (batch.entries, batch.up_to, batch.skipped) == ((), 2, ())


@pytest.mark.parametrize(
    ("count", "grew", "took", "rest"),
    [
        (5, 4, 0.2, 0.4),  # three were sent while four came
        (5, 3, 0.2, 0.0),  # the sink keeps up
        (5, 0, 0.2, 0.0),  # a backlog alone
        (2, 9, 0.2, 0.0),  # not full: there is no backlog
        (5, 4, -50.0, 0.0),  # the clock was set back
        (5, 4, 86_400.0, 2.0),  # or forward
    ],
)
def test_a_full_batch_gives_way_while_more_comes_than_it_took(count, grew, took, rest):
    """
    The rest is in proportion to what the batch took, and bounded.
    """
    limits = Limits(3, 1_000, gives_way=2.0)
    batch = cut([entry(number) for number in range(1, count + 1)], limits, wants_twins=False)
    assert batch.rest_seconds(limits, took_seconds=took, grew=grew) == pytest.approx(rest)
    assert batch.rest_seconds(Limits(3, 1_000), took_seconds=took, grew=grew) == 0.0
