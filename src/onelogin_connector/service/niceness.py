"""
Which threads give way to which: intake and delivery to nobody, pages a little, queries wholly.
"""

import os
import sys
from threading import get_native_id

QUERY_NICENESS = 10
"""A tenth of the processor's time where all of it is wanted, all of it where nobody else wants any."""

PAGE_NICENESS = 4
"""Some two fifths of the processor's time where all of it is wanted."""


def stand_aside() -> None:
    """
    Let this thread's work give way a little to that of the others: somebody waits for the page, senders for intake.
    """
    _be_nice(PAGE_NICENESS)


def stand_back() -> None:
    """
    Let this thread's work wait for that of the others: a heavy query must not hold up intake.
    """
    _be_nice(QUERY_NICENESS)


def _be_nice(niceness: int) -> None:
    if sys.platform == "linux":  # elsewhere niceness is the whole process's
        os.setpriority(os.PRIO_PROCESS, get_native_id(), niceness)
