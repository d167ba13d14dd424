"""
Counts with their nouns.
"""

import re
from pathlib import Path

import pytest

import onelogin_connector
from onelogin_connector.plural import counted

SOURCE = Path(onelogin_connector.__file__).parent

NOUNS = "connector|sink|record|event|session|token|letter|file|call|row|batch|request|duplicate|key"

IN_CODE = re.compile(rf"(?:%d|\{{[a-z_.]+\}}) (?:{NOUNS})e?s\b")
"""A count that was written before a noun for several, whatever the count is."""

IN_TEMPLATE = re.compile(rf"\| count \}}\}} (?:{NOUNS})e?s\b")

FIXED = ("pages in a row", "MOST_", "most}", "limit}", "requests_per_second", "{which}")
"""Counts that are bounds, which are never one, and words that were chosen before."""


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1_000, "1000 entries")]
)
def test_one_is_no_plural(number, words):
    """
    One is one; none and several are many.
    """
    assert counted(number, "entry", "entries") == words


def test_an_s_makes_most_plurals():
    """
    The plural need not be given where it is the usual one.
    """
    assert [counted(number, "sink") for number in (0, 1, 2)] == ["0 sinks", "1 sink", "2 sinks"]


def test_no_message_says_one_records():
    """
    What counts things for people asks for the right noun.
    """
    found = [
        f"{path.name}: {line.strip()}"
        for path in (*SOURCE.rglob("*.py"), *SOURCE.rglob("*.html"))
        for line in path.read_text().splitlines()
        if (IN_CODE if path.suffix == ".py" else IN_TEMPLATE).search(line)
    ]
    assert [line for line in found if not any(word in line for word in FIXED)] == []
