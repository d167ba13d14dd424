"""
The tree of exceptions: drawn as it is, and each branch means one next step.
"""

import inspect
import re

import pytest

from onelogin_connector import errors
from onelogin_connector.errors import ConnectorError, JournalFull, QueryError, Refused, Unavailable

TREE = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, Exception) and found.__module__ == errors.__name__
]


def build(kind: type[ConnectorError]) -> ConnectorError:
    """
    Make an exception of a kind with as little as it takes.
    """
    return kind({0: "no such table"}) if kind is Refused else kind()


def test_there_is_one_root():
    """
    Whoever catches the root catches everything of ours.
    """
    assert all(issubclass(kind, ConnectorError) for kind in TREE)


def test_the_tree_is_drawn_as_it_is():
    """
    The drawing at the top of the module names every exception under its true parent.
    """
    drawn: dict[str, str] = {}
    above = {-1: ""}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)", line)
        if found:
            depth = len(found[1]) // 4
            drawn[found[2]] = above[depth - 1]
            above[depth] = found[2]
    true = {kind.__name__: kind.__base__.__name__ if kind is not ConnectorError else "" for kind in TREE}
    assert drawn == true


@pytest.mark.parametrize("kind", TREE)
def test_each_says_something_by_itself(kind):
    """
    Without a message the docstring's first line speaks, as a whole sentence.
    """
    assert re.fullmatch(r"[A-Z0-9].*[^ ]", str(build(kind)))


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind is not Refused])
def test_message_and_action_are_apart(kind):
    """
    What happened and what to do are separate fields, and one text for logs.
    """
    error = kind("The disk is full.", action="Make room.")
    assert (error.message, error.action, str(error)) == (
        "The disk is full.",
        "Make room.",
        "The disk is full. Make room.",
    )


def test_transient_and_terminal_share_no_class():
    """
    Nothing that is to be sent again is also to be given up.
    """
    again = {kind for kind in TREE if issubclass(kind, Unavailable)}
    never = {kind for kind in TREE if issubclass(kind, Refused | errors.Unauthorized | errors.BadRecord)}
    assert JournalFull in again
    assert not again & never


def test_a_wait_that_was_asked_is_kept():
    """
    ``Unavailable`` carries the other side's wait, or None.
    """
    assert Unavailable("Busy.", after_seconds=7.5).after_seconds == 7.5
    assert JournalFull().after_seconds is None


def test_refused_names_its_records():
    """
    ``Refused`` says how many and why the first, and keeps every reason by position.
    """
    reasons = {3: "too wide", 9: "no time"}
    error = Refused(reasons)
    reasons.clear()
    assert error.reasons == {3: "too wide", 9: "no time"}
    assert "2 records" in str(error)
    assert "too wide" in str(error)


def test_a_query_error_points():
    """
    ``QueryError`` carries line and column for the arrow under the query.
    """
    error = QueryError("There is no column Nmae.", action="Did you mean Name?", line=2, column=9)
    assert (error.line, error.column) == (2, 9)


@pytest.mark.parametrize("kind", TREE)
def test_causes_survive(kind):
    """
    An exception raised from a library's keeps it as its cause, for the log.
    """
    cause = OSError(28, "No space left on device")
    with pytest.raises(kind) as caught:
        raise build(kind) from cause
    assert caught.value.__cause__ is cause
