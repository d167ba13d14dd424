"""
Keys of long and odd values: what is kept of them in memory, and that keeping changes no key.
"""

import tracemalloc

from msgspec.json import encode

from onelogin_connector.event import Way, read
from onelogin_connector.identity import LONGEST_KEPT, Keys, keys_of


def keys(**fields: object) -> Keys:
    """Keys of a webhook record with some fields."""
    record = {"uuid": "00000000-0000-4000-8000-000000000001", "event_timestamp": "2026-11-01 10:00:00 UTC"}
    event = read(
        encode(record | fields), connector="acme", way=Way.WEBHOOK, received_us=1_800_000_000_000_000
    )
    return keys_of(event)


def test_long_texts_are_not_kept() -> None:
    """A sender who tells long texts, no two alike, does not fill the memory with them."""
    keys(notes="warm", custom_message="warm")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(60):
            keys(notes=f"{number:0100000}", custom_message=f"{number:0100000}", user_name=f"{number:0100000}")
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_same_keys_whether_kept_or_not() -> None:
    """A value has one key in all of its forms, on both sides of the length from which it is not kept."""
    for length in (LONGEST_KEPT - 1, LONGEST_KEPT, LONGEST_KEPT + 1):
        text = ("word " * LONGEST_KEPT)[:length].strip()
        plain = keys(notes=text, custom_message=text)
        for _ in range(2):
            spaced = keys(notes=f"  {text}\t", custom_message=text.replace(" ", "\n "))
            assert (spaced.print, spaced.details) == (plain.print, plain.details)
        assert keys(notes=text + "!", custom_message=text).print != plain.print
        assert keys(notes=text, custom_message=text + "!").details != plain.details


def test_values_that_python_calls_equal_are_told_apart() -> None:
    """True is not 1, although a dictionary takes one for the other."""
    for one, other in ((True, 1), (False, 0)):
        assert keys(policy_id=one).details != keys(policy_id=other).details
        assert keys(role_id=one).print != keys(role_id=other).print
    assert keys(policy_id="1").details == keys(policy_id=1.0).details == keys(policy_id=1).details
