"""
Cutting loses nothing, finds whole values, and stays linear.
"""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.sources.cutting import MOST_TANGLES, cut, delimited

SYNTAX = st.text(alphabet='{}[]",: \\\nab1', max_size=80).map(str.encode)


@given(text=SYNTAX)
def test_nothing_is_dropped(text):
    """
    Pieces and rest, separators aside, are the text.
    """
    done = cut(text)

    def bare(data):
        return bytes(char for char in data if char not in b" \n,")

    closing = b"]" if done.closed else b""
    assert bare(b"".join(done.values) + closing + text[done.rest :]) == bare(text)


@given(text=SYNTAX, size=st.integers(1, 20))
def test_cutting_in_parts_gives_the_same(text, size):
    """
    A stream cut part by part gives the values of the whole, where the text is not tangled.
    """
    whole = cut(text).values
    if not all(_is_json(value) for value in whole):
        return
    found, rest = [], b""
    for start in range(0, len(text), size):
        rest += text[start : start + size]
        done = cut(rest, final=start + size >= len(text))
        found += done.values
        rest = rest[done.rest :]
        if done.closed:
            break
    assert found == whole


def _is_json(value):
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "part",
    [b"[", b"{", b"}", b'"', b'\\"', b'"\\"\n', b"[],", b"{},{", b'{"a":[},{', b'"\\', b'a"', b"{},", b"\n,"],
)
def test_work_grows_with_the_length_and_no_faster(part):
    """
    A megabyte of anything is cut within a second or two, four not sixteen times slower than a quarter.
    """

    def seconds(size):
        text = b'[{"a":[' + part * (size // len(part))
        start = time.process_time()
        cut(text, 1, most=50_000)
        return time.process_time() - start

    # one measurement may fall together with other work of the machine; what grows faster is over it every time
    assert any(seconds(1 << 20) < max(12 * seconds(1 << 18), 1.0) for _ in range(5))


def test_only_what_is_bracketed_from_end_to_end_is_delimited():
    """
    Depth, size and mistakes inside do not matter; text before or behind does.
    """
    deep = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    for text in (b"{}", b"[]", b'{"a":"}"}', b"{a,[]}", deep, b'{"a":"' + b"x" * 2_000_000 + b'"}'):
        assert delimited(text)
        assert cut(text).values == [text]
    for text in (b"", b"{", b"}", b"{]", b"{}{}", b" {}", b"{} ", b'"{}"', b'{"}', b"{[}", b"1"):
        assert not delimited(text)


def test_after_very_many_tangles_the_rest_is_one():
    """
    Text of nothing but brackets ends as one value instead of taking minutes.
    """
    done = cut(b'{"a":[},' * (MOST_TANGLES * 3))
    assert len(done.values) <= MOST_TANGLES + 2
