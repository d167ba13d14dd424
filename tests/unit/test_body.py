"""
The body decides its format, and one bad record harms only itself.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.errors import BadRequest, TooLarge
from onelogin_connector.sources import body as body_module
from onelogin_connector.sources.body import Unreadable, records

FIXTURES = Path(__file__).parent.parent / "fixtures"
A, B, C = b'{"uuid":"a"}', b'{"uuid":"b"}', b'{"uuid":"c"}'

KEYS = st.text(max_size=8).filter(lambda key: key not in {"event", "data", "status", "pagination"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(KEYS, VALUES, max_size=5), min_size=1, max_size=8)


def written(value, draw_ascii):
    """
    Write a value as JSON, with or without escapes beyond ASCII.
    """
    return json.dumps(value, ensure_ascii=draw_ascii)


CONTAINERS = {
    "array": lambda texts, _: "[" + ",".join(texts) + "]",
    "spaced array": lambda texts, end: f"[{end}  " + f" ,{end}  ".join(texts) + f"{end}]",
    "lines": lambda texts, end: end.join(texts),
    "wrapped lines": lambda texts, end: end.join(f'{{"event": {text}}}' for text in texts),
    "wrapped elements": lambda texts, _: "[" + ",".join(f'{{ "event":{text} }}' for text in texts) + "]",
    "a page": lambda texts, _: '{"status":{"code":200},"pagination":null,"data":[' + ",".join(texts) + "]}",
    "an array per line": lambda texts, end: end.join(f"[{text}]" for text in texts),
    "pages per line": lambda texts, end: end.join(f'{{"data":[{text}]}}' for text in texts),
    "one after another": lambda texts, _: " ".join(texts),
}


@given(
    objects=OBJECTS,
    container=st.sampled_from(sorted(CONTAINERS)),
    end=st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]),
    mark=st.booleans(),
    ascii_only=st.booleans(),
    trailing=st.sampled_from(["", "\n", "\r\n\r\n", "  "]),
)
def test_any_container_gives_the_same_objects(objects, container, end, mark, ascii_only, trailing):
    """
    A list of objects comes out as the same list, whatever it was packed in.
    """
    # the text of a lone surrogate is no UTF-8, so it can only be sent escaped
    texts = [written(value, ascii_only) for value in objects]
    try:
        body = (CONTAINERS[container](texts, end) + trailing).encode()
    except UnicodeEncodeError:
        body = (CONTAINERS[container]([written(value, draw_ascii=True) for value in objects], end)).encode()
    found = records(b"\xef\xbb\xbf" + body if mark else body)
    assert [json.loads(record) for record in found] == objects


@given(
    objects=OBJECTS,
    at=st.integers(0, 10),
    bad=st.sampled_from(
        [
            "42",
            "null",
            '"x"',
            "[1]",
            "{,}",
            '{"a":1,}',
            '{"a" 1}',
            "{a:1}",
            '{"a":tru}',
            "nope",
            '{"a":"\\x"}',
            "-",
            '{"a":01}',
        ]
    ),
    lined=st.booleans(),
)
def test_one_bad_record_harms_only_itself(objects, at, bad, lined):
    """
    A bad element or line becomes unreadable at its position; the others come through.
    """
    texts = [json.dumps(value) for value in objects]
    texts.insert(min(at, len(texts)), bad)
    if lined and bad == "[1]" and at > 0:  # in front it would be the beginning of an array of all
        texts[texts.index(bad)] = "[1, 2"
    body = "\n".join(texts) if lined else "[" + ",".join(texts) + "]"
    found = records(body.encode())
    position = next(place for place, record in enumerate(found) if isinstance(record, Unreadable))
    assert position == min(at, len(objects))
    assert found.pop(position).reason
    assert [json.loads(record) for record in found] == objects


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        (b'[{"uuid":"a","b":[1,},{"uuid":"b"},{"uuid":"c"}]', [B, C], 1),
        (b'[{"uuid":"a"}},{"uuid":"b"}]', [A, B], 1),
        (b'[{"x":1,{"uuid":"a"},{"uuid":"b"},{"uuid":"c"}]', [B, C], 1),
        (b'[{"x":"y},{"uuid":"a"},{"uuid":"b"}]', [A, B], 1),
        (b'[{"uuid":"a"} {"uuid":"b"}]', [A, B], 0),
        (b'[{"uuid":"a"},,{"uuid":"b"},]', [A, B], 0),
        (b'[{"uuid":"a"},{"uuid":"b"}] trailing', [A, B], 1),
        (b'[{"uuid":"a"},{"uuid":"b"}', [A, B], 1),
        (b'[{"uuid":"a"},{"uuid":"b"},{"uu', [A, B], 1),
        (b'[{"uuid":"a"},{"x":' + b"[" * 5_000 + b"]" * 5_000 + b'},{"uuid":"b"}]', [A, B], 1),
        (b'[{"uuid":"a"},{"x":"' + b"y" * 1_100_000 + b'"},{"uuid":"b"}]', [A, B], None),
    ],
    ids=lambda value: value[:40].decode() if isinstance(value, bytes) else "",
)
def test_a_damaged_array_gives_its_whole_elements(body, good, bad):
    """
    What is whole in a damaged or truncated array is not lost with what is broken.
    """
    found = records(body)
    whole = [record for record in found if not isinstance(record, Unreadable)]
    if bad is not None:
        assert len(found) - len(whole) == bad
    assert [record for record in whole if len(record) < 100] == good


UNUSUAL = {
    "too deep": b'{"uuid":"a","x":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    "deeper": b'{"x":' * 40_000 + b"1" + b"}" * 40_000,
    "too large": b'{"uuid":"' + b"x" * 1_100_000 + b'"}',
    "much too large": b'{"uuid":"' + b"x" * 6_000_000 + b'"}',
    "malformed": b'{"uuid":"a",}',
    "wrong escape": b'{"uuid":"\\x"}',
    "no UTF-8": b'{"uuid":"\xff"}',
}


@pytest.mark.parametrize("record", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize("frame", [b"[%b]", b"[\n %b\n]\n", b"%b", b"[%b]\n[%b]", b"%b\n%b", b"%b %b"])
def test_a_record_alone_is_treated_as_among_others(record, frame):
    """
    A batch of one unusual record is no worse than a batch of many with one: nothing is refused as no JSON.
    """
    found = records(frame.replace(b"%b", record))
    assert [one.raw if isinstance(one, Unreadable) else one for one in found] == [record] * frame.count(b"%b")


HALF = b'{"uuid":"a","user_name":"\\ud83d x","z":"\\\\ud83d \\udE00 \\uD83D\\ude00"}'


@pytest.mark.parametrize(
    "frame",
    [
        b"%b",
        b"[%b]",
        b'{"uuid":"b"}\n%b',
        b"[%b,%b]\n[%b]",
        b'[{"uuid":"b"},%b]',
        b'{"event":%b}',
        b'[{"event": %b }]',
        b'{"status":{"message":"\\ud83d"},"data":[{"uuid":"b"}, %b,%b]}',
        b'[{"data":[%b]}]',
    ],
)
def test_half_a_surrogate_pair_spoils_nothing(frame):
    """
    Text that was cut in the middle of an emoji comes through as it was sent, in any container.
    """
    found = records(frame.replace(b"%b", HALF))
    assert found == [b'{"uuid":"b"}'] * frame.count(b'"b"') + [HALF] * frame.count(b"%b")


def test_the_half_record_of_a_truncated_array_keeps_its_bytes():
    """
    Where a body ends within a record, the one bad record has the bytes of that half.
    """
    found = records(b'[{"uuid":"a"},{"uuid":"b","x":"hal')
    assert found[0] == A
    assert [one.raw for one in found[1:]] == [b'{"uuid":"b","x":"hal']
    assert "ends before" in found[1].reason


def test_one_bad_array_among_lines_loses_no_other_element():
    """
    A bad element in a line's array harms only itself.
    """
    found = records(b'[{"uuid":"a"},{"x":1,}]\n[{"uuid":"b"}]')
    assert [one for one in found if isinstance(one, bytes)] == [A, B]
    assert found[1].raw == b'{"x":1,}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"hello",
        b",,,",
        b"]",
        b"<html>{}</html>",
        b"[",
        b"[[",
        b"{",
        b'{"uuid":"a"',
        b"nul",
        b"\x00\x01\xff",
        b"42\n43",
        b"[2026-01-01] error",
        b'[{"uuid":"a"'[:-1],
        '[{"a":1}]'.encode("utf-16"),
        b"uuid=a&b=c",
        b"[" * 3_000_000,
        b"{" * 200_000,
        b'["' + b'\\"' * 500_000,
        b"[{" + b'"\\"\n' * 300_000,
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_json_is_refused_whole(body):
    """
    A body in which nothing can be read is refused, with what to do.
    """
    with pytest.raises(BadRequest) as caught:
        records(body)
    assert caught.value.action


def test_another_encoding_is_named():
    """
    UTF-16 is told from noise, since the remedy differs.
    """
    with pytest.raises(BadRequest, match="UTF-16"):
        records('[{"a":1}]'.encode("utf-16"))


@pytest.mark.parametrize("body", [b"42", b'"text"', b"null", b"true", b"[1,[2],null]"])
def test_json_without_objects_is_read_and_nothing_in_it_is(body):
    """
    JSON that holds no event is not refused as no JSON; each value is a bad record.
    """
    found = records(body)
    assert found
    assert all(isinstance(record, Unreadable) for record in found)


def test_only_a_lone_event_key_is_a_wrapper():
    """
    An object that merely has a key ``event`` stays whole, also with that key twice.
    """
    for body in (
        b'{"event":{"a":1},"b":2}',
        b'{"event":5}',
        b'{"event":{"a":1},"event":{"b":2}}',
        b'{"event":[{}]}',
    ):
        assert records(body) == [body]
        assert records(b"[" + body + b"]") == [body]
    assert records(b'{"event" : {"event":{"a":1}}\n}') == [b'{"event":{"a":1}}']


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":1,"uuid":"a"}',
        b'{"data":{"a":1}}',
        b'{"status":{"error":true}}',
        b'{"data":[],"more":1}',
        b'{"data":[{"a":1}],"data":[{"b":1}]}',
        b'{"status":5,"data":[{"a":1}],"status":6}',
    ],
)
def test_what_is_not_only_a_page_stays_whole(body):
    """
    An object with another key, or with a key twice, is not opened: nothing in it may get lost.
    """
    assert records(body) == [body]


def test_a_page_gives_its_data():
    """
    Pages of the Events API are opened, alone, by line, and in an array.
    """
    assert records(b'{"status":{},"pagination":{},"data":[]}') == []
    assert records(b'{"status":null , "data" : [{"a":null}],"pagination":null}') == [b'{"a":null}']
    assert records(b'[{"data":[{"a":1}]},{"data":[{"b":1},7]}]')[:2] == [b'{"a":1}', b'{"b":1}']


def test_bytes_come_through_untouched():
    """
    Numbers, escapes, key order, repeated keys and bytes that are no UTF-8 are those that were sent.
    """
    odd = b'{"n":1.50e+02,"big":12345678901234567890123,"s":"\\u00e9\xff","a":1,"a":2 , "e":[ ]}'
    assert records(b"[" + odd + b" , " + odd + b"]") == [odd, odd]
    assert records(odd + b"\r\n" + odd) == [odd, odd]


@pytest.mark.parametrize("form", ["array", "lines"])
def test_more_records_than_are_taken(form):
    """
    A body of very many records is refused before it costs memory.
    """
    join = {"array": b"[" + b",".join([b"{}"] * 2_000_000) + b"]", "lines": b"{}\n" * 2_000_000}[form]
    with pytest.raises(TooLarge, match="50000"):
        records(join)


def test_a_large_array_is_split_like_a_small_one():
    """
    Beyond the size of the fast decoder the result is the same.
    """
    element = json.dumps(
        {"uuid": "x" * 36, "notes": 'brackets ]}[{ and "quotes" \\', "n": [1, {"a": []}]}
    ).encode()
    count = body_module.DECODED_AT_ONCE_BYTES // len(element) + 10
    assert records(b"[" + b",\n".join([element] * count) + b"]") == [element] * count


@pytest.mark.parametrize("path", sorted((FIXTURES / "webhook").iterdir()), ids=lambda path: path.name)
def test_every_webhook_sample_is_read_whole(path):
    """
    Each published shape gives objects with an id.
    """
    found = records(path.read_bytes())
    assert found
    assert all(json.loads(record)["uuid"] for record in found)


def test_the_three_containers_of_one_batch_agree():
    """
    Array, lines and wrapped lines of the same three events are the same three events.
    """
    names = ["derived_batch_array.json", "derived_batch.ndjson", "derived_batch_event_wrapped.ndjson"]
    first, *others = (
        [json.loads(record) for record in records((FIXTURES / "webhook" / name).read_bytes())]
        for name in names
    )
    assert len(first) == 3
    assert all(other == first for other in others)
