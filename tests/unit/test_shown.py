"""
Values as people read them on pages.
"""

import pytest

from onelogin_connector.web.console.shown import lasting

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (42, "for 42 s"),
        (180, "for 3 min"),
        (5_400, "for 1 h 30 min"),
        (200_000, "for 2 d 7 h"),
        (0, "just now"),
        (-5, "just now"),
    ],
)
def test_how_long_something_has_been_so(seconds: float, text: str):
    """
    A state that lasts is told by its length; one that has only begun, also by a clock ahead of ours, is new.
    """
    assert lasting(NOW - seconds, NOW) == text


def test_what_never_began_has_no_length():
    """
    No moment is no length.
    """
    assert lasting(None, NOW) == "never"
