"""
What commands print of text that came from outside.
"""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.cli.logs import JsonFormatter, TextFormatter
from onelogin_connector.cli.text import printable


@given(st.text())
def test_no_control_character_reaches_a_terminal(text):
    """
    Whatever an event holds, a terminal gets one line of printable characters.
    """
    harmful = {
        *map(chr, range(32)),
        *map(chr, range(0x7F, 0xA0)),
        *"\u200e\u200f\u2066\u2067\u2068\u2069\u202a\u202e",
    }
    found = printable(text)
    assert not harmful & set(found)
    found.encode()  # a terminal could not take half a character


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\r\nb", "a b"),
        ("a\tb", "a b"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\ud800half", "half"),
        ("Zoë 🙂", "Zoë 🙂"),
        ("\x9b2J", "2J"),
    ],
)
def test_printable_keeps_text_and_drops_commands(text, expected):
    """
    Letters of any script stay; what commands a terminal or reorders text goes.
    """
    assert printable(text) == expected


def record(message: str, **fields: object) -> logging.LogRecord:
    """
    Make a log record with fields.
    """
    made = logging.LogRecord("onelogin_connector.x", logging.WARNING, __file__, 1, message, (), None)
    vars(made).update(fields)
    return made


def test_json_log_line_holds_message_and_fields():
    """
    A record is one JSON object with its stable action, whatever its fields are.
    """
    line = JsonFormatter().format(record("The sink waits.\nBadly", action="turn", sink="a", odd=object()))
    found = json.loads(line)
    assert "\n" not in line
    assert found["message"] == "The sink waits.\nBadly"
    assert (found["level"], found["action"], found["sink"]) == ("WARNING", "turn", "a")
    assert found["time"].endswith("Z")


def test_text_log_line_takes_control_characters_out():
    """
    A name in a log line cannot clear the screen of whoever reads it.
    """
    line = TextFormatter().format(record("Signed in", action="x", who="\x1b[2Jmallory"))
    assert "\x1b" not in line
    assert "who=[2Jmallory" in line
