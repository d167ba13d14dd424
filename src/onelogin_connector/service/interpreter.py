"""
What a process that serves asks of its Python interpreter; a single command leaves it as it is.
"""

import gc
import sys

CALM_SECONDS = 0.0005
"""
How long a thread may keep the interpreter while another waits. A request passes from the event loop to the
journal's writer and back, and the writer returns to the interpreter a dozen times within one transaction: beside
a thread that renders a page or reads rows, each return waits that long. Python's default is 5 ms.
"""

PRESSED_SECONDS = 0.003
"""
The same while senders press: then shorter turns cost a tenth of the throughput, and a latency is that of a queue.
"""

YOUNG_OBJECTS = 50_000
"""
New objects between two collections of the youngest; Python's default is 700. A batch of events is thousands
of small objects that die without the collector's help, each of which it would visit several times.
"""


def press(pressed: bool) -> None:  # noqa: FBT001 - the shape of a callback
    """
    Let threads take short turns, or long ones while senders press.
    """
    sys.setswitchinterval(PRESSED_SECONDS if pressed else CALM_SECONDS)


def tune() -> None:
    """
    Let threads take turns quickly and the garbage collector rest; to be called when all parts are built.

    What is there by now stays for the process's life, so the collector need not look at it again.
    """
    press(False)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)
