"""
What an operator sees of a part.
"""

from onelogin_connector.status import State, Status


class Clock:
    """
    A clock that stands until it is moved.
    """

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_part_starts_now():
    """
    A new status is starting since the moment it was made.
    """
    status = Status(clock=Clock())
    assert (status.state, status.since, status.error) == (State.STARTING, 1_000.0, "")


def test_turning_tells_of_a_change_once():
    """
    The first turn into a state is a change, the second is not, and ``since`` keeps the start of the state.
    """
    clock = Clock()
    status = Status(clock=clock)
    clock.now = 1_010.0
    assert status.turn(State.RETRYING, "no route")
    clock.now = 1_020.0
    assert not status.turn(State.RETRYING, "timed out")
    assert (status.since, status.error) == (1_010.0, "timed out")


def test_getting_well_clears_the_error():
    """
    A part that is ok shows no error of before.
    """
    status = Status(clock=Clock())
    status.turn(State.RETRYING, "no route")
    status.turn(State.OK)
    assert status.error == ""


def test_parts_count_apart():
    """
    Two parts never share their counts.
    """
    one, other = Status(), Status()
    one.counts["sent"] += 1
    assert other.counts["sent"] == 0
