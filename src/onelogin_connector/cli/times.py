"""
Moments as people write them on a command line.
"""

from argparse import ArgumentTypeError
from re import fullmatch
from time import time

from onelogin_connector.loose import parse_time_us

SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment(text: str) -> float:
    """
    Return a moment as Unix seconds: a time, a day, or how long ago (``36h``, ``7d``).

    Raises:
        ArgumentTypeError: It is none.
    """
    ago = fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if ago:
        return time() - int(ago[1]) * SECONDS[ago[2]]
    day = fullmatch(r"\d{4}-\d\d-\d\d", text.strip())
    found = parse_time_us(f"{text.strip()}T00:00:00Z" if day else text)
    if found is None:
        raise ArgumentTypeError(
            f"{text!r} is no time; write 2026-11-01T00:00:00Z, 2026-11-01, or how long ago: 36h, 7d"
        )
    return found / 1_000_000
