import pytest
from msgspec import structs

from onelogin_connector.marks import BackfillMark, Listing, SweptHour
from onelogin_connector.sources.polling import tail
from onelogin_connector.state import State
from onelogin_connector.testing import MemoryProgress
from passwords import QUICK


def swept(hour, **changes):
    """
    Return an hour as a first sweep leaves it.
    """
    known = {"sweeps": 1, "settled": False, "listed": 3, "digest": "ab", "at": 1.5, "due_us": 10**15}
    return SweptHour(hour=hour, **(known | changes))


@pytest.fixture(params=["memory", "state"])
def progress(request, tmp_path):
    """
    Give each place in which a poller can keep how far it has come.
    """
    if request.param == "memory":
        yield MemoryProgress()
        return
    state = State(tmp_path, hasher=QUICK)
    yield state.polls.of("acme")
    state.close()


def test_marks_and_hours_come_back_as_they_were(progress):
    """
    Everything that is saved is loaded again, and the newest counts.
    """
    assert progress.load() is None
    marks = tail.first_marks(1_800_000_000_000_000)
    progress.save(marks)
    listing = Listing(
        since_us=1, until_us=2, cursor="c\x00ü", date_us=3, pages=4, listed=5, newest_us=6, digest="7"
    )
    later = structs.replace(marks, tail=listing, watermark_us=2**52)
    progress.save(later, swept(7))
    assert progress.load() == later
    assert progress.hour(7) == swept(7)
    assert progress.hour(8) is None
    progress.save(later, swept(7, sweeps=2, settled=True, due_us=None))
    assert progress.hours() == [swept(7, sweeps=2, settled=True, due_us=None)]


def test_the_hour_that_waited_longest_is_due_first(progress):
    """
    Hours are due in the order of their times; finished ones never are.
    """
    marks = tail.first_marks(0)
    for hour, due in ((1, 300), (2, 200), (3, None), (4, 200)):
        progress.save(marks, swept(hour, due_us=due))
    assert progress.due_hour(199) is None
    assert progress.due_hour(200).hour == 2
    progress.save(marks, swept(2, due_us=None))
    assert progress.due_hour(10**18).hour == 4
    assert [each.hour for each in progress.hours(3)] == [3, 4]


def test_only_settled_hours_are_reopened(progress):
    """
    A new id reopens an hour that had settled; the schedule of others stays.
    """
    marks = tail.first_marks(0)
    progress.save(marks, swept(1, settled=True, due_us=None))
    progress.save(marks, swept(2, settled=False, due_us=900))
    assert progress.reopen([1, 2, 3], 50) == [swept(1, settled=False, due_us=50)]
    assert progress.hour(2) == swept(2, settled=False, due_us=900)
    assert progress.due_hour(50).hour == 1


def test_a_backfill_is_kept_until_it_is_finished(progress):
    """
    The unfinished backfill is there until it is taken away.
    """
    assert progress.load_backfill() is None
    mark = BackfillMark(since_us=1, until_us=9, done_us=4, span_us=2, events=7, calls=3)
    progress.save_backfill(mark)
    assert progress.load_backfill() == mark
    progress.save_backfill(None)
    assert progress.load_backfill() is None


def test_connectors_keep_apart_and_survive_a_restart(tmp_path):
    """
    What one connector's poller saves is there after a restart, for it alone.
    """
    state = State(tmp_path, hasher=QUICK)
    marks = tail.first_marks(77)
    state.polls.of("acme").save(marks, swept(1))
    state.close()
    state = State(tmp_path, hasher=QUICK)
    assert state.polls.of("acme").load() == marks
    assert state.polls.of("acme").hour(1) == swept(1)
    assert state.polls.of("other").load() is None
    assert state.polls.of("other").hours() == []
    state.close()
