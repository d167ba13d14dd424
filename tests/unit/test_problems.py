"""
Every refusal has one shape and says what to do.
"""

import inspect
import json

import pytest

from onelogin_connector import errors
from onelogin_connector.sources.problems import KINDS, of_error, problem


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_a_whole_document(kind):
    """
    The five members are there, and none is empty.
    """
    document = json.loads(problem(kind, "It happened.").encoded())
    assert list(document) == ["type", "title", "status", "detail", "action"]
    assert document["type"] == f"/problems/{kind}"
    assert all(document.values())
    assert 400 <= document["status"] < 600


def families():
    """
    Return every class of error.
    """
    return [
        thing
        for _, thing in inspect.getmembers(errors, inspect.isclass)
        if issubclass(thing, errors.ConnectorError)
    ]


@pytest.mark.parametrize("family", families(), ids=lambda family: family.__name__)
def test_every_error_of_the_program_has_a_problem(family):
    """
    Each error becomes a document with its own message and a thing to do.
    """
    error = family({0: "too old"}) if family is errors.Refused else family()
    document = of_error(error)
    assert document.status >= 400
    assert document.detail == error.message
    assert document.action


def test_errors_keep_their_own_advice():
    """
    What the error says to do comes before what its kind says.
    """
    assert of_error(errors.Busy("It runs.", action="Stop it.")).action == "Stop it."
    assert of_error(errors.JournalFull()).status == 503


def test_half_characters_do_not_break_a_refusal():
    """
    A path or header may bring a lone surrogate; the document is still JSON.
    """
    document = json.loads(problem("not-found", "There is no \ud800.", "Try \udfff.").encoded())
    assert document["detail"] == "There is no ?."
