import time
from argparse import ArgumentTypeError

import pytest

from onelogin_connector.cli.times import moment


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-01T00:00:00Z", 1_793_491_200),
        ("2026-11-01", 1_793_491_200),
        ("2026-11-01T02:30:00+02:30", 1_793_491_200),
        ("2026-11-01 00:00:00.5", 1_793_491_200.5),
    ],
)
def test_a_time_is_read(text, seconds):
    """
    A time is UTC unless it says otherwise, and a day begins at midnight.
    """
    assert moment(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5_400), ("36h", 129_600), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_how_long_ago_is_read(text, seconds):
    """
    A number with a unit counts back from now.
    """
    before = time.time()
    found = moment(text)
    assert before - seconds <= found <= time.time() - seconds


@pytest.mark.parametrize("text", ["", "yesterday", "7", "2026-13-01", "-7d", "٧d x"])
def test_anything_else_is_refused_with_what_to_write(text):
    """
    What is no time is wrong usage, with examples of what is.
    """
    with pytest.raises(ArgumentTypeError, match="36h, 7d"):
        moment(text)
