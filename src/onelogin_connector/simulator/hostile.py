"""
Request bodies that no account would send, endlessly and repeatably.

Whoever can reach a webhook, or sits before it, can send anything: damaged batches, noise, nesting without end,
numbers without end, text that is no text, compressed bombs. A source must answer each, and lose nothing that it
acknowledges.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from msgspec import Struct

_SYNTAX = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\",
    b"\n",
    b"\0",
    b"\xff",
    b"},{",
    b'","',
    b"null",
    b"1e999",
]
_ODD_VALUES: list[Any] = [
    None, True, "", " ", 0, -1, 1.0, 1e308, 10**400, "9" * 5_000, [], {}, [[]], {"_id": None}, {"_id": [1]},
    "\ud800", "\0", "٣", "2026-13-45 99:99:99 UTC", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.9999999Z",
    "x" * 70_000, "<script>", "=1+1", "𝕏" * 100, -(2**63) - 1, 2**64, 1e-400, "NaN",
]  # fmt: skip
_FIELDS = [
    "uuid",
    "create",
    "id",
    "event_timestamp",
    "created_at",
    "account_id",
    "event_type_id",
    "notes",
    "ipaddr",
]


class HostileBody(Struct, frozen=True):
    """
    One request body.
    """

    kind: str
    """Which sort of hostility it is."""
    body: bytes
    encoding: str = ""
    """Its content encoding."""


def hostile_bodies(seed: int, samples: Sequence[bytes]) -> Iterator[HostileBody]:
    """
    Give bodies without end; the same for the same seed.

    Args:
        samples: Good bodies to start from.
    """
    chance = Random(seed)
    kinds = [*_KINDS.items()]
    weights = [weight for weight, _ in _KINDS.values()]
    while True:
        name, (_, make) = chance.choices(kinds, weights)[0]
        body = make(chance, samples)
        yield HostileBody(name, body)
        if chance.random() < 0.1:
            yield _compressed(chance, name, body)


def _mutated(chance: Random, samples: Sequence[bytes]) -> bytes:
    """
    Damage a good body in a few places.
    """
    body = bytearray(chance.choice(samples))
    for _ in range(chance.choice([1, 1, 1, 2, 5, 30])):
        at = chance.randrange(len(body) + 1)
        to = min(len(body), at + chance.choice([1, 1, 2, 10, 200]))
        damage = chance.randrange(5)
        if damage == 0:
            body[at:to] = chance.randbytes(to - at)
        elif damage == 1:
            del body[at:to]
        elif damage == 2:
            body[at:at] = chance.choice(_SYNTAX)
        elif damage == 3:
            body[at:at] = body[at:to] * chance.choice([1, 3])
        else:
            del body[at:]
    return bytes(body)


def _spliced(chance: Random, samples: Sequence[bytes]) -> bytes:
    """
    Join pieces of several bodies.
    """
    parts = []
    for _ in range(chance.randint(2, 4)):
        sample = chance.choice(samples)
        start, end = sorted(chance.randrange(len(sample) + 1) for _ in range(2))
        parts.append(sample if chance.random() < 0.4 else sample[start:end])
    return chance.choice([b"", b"\n", b",", b"\r\n\r\n"]).join(parts)


def _noise(chance: Random, _: Sequence[bytes]) -> bytes:
    return chance.randbytes(chance.choice([1, 3, 30, 3_000]))


def _syntax(chance: Random, _: Sequence[bytes]) -> bytes:
    return b"".join(chance.choices(_SYNTAX, k=chance.choice([1, 5, 40, 400])))


def _nested(chance: Random, _: Sequence[bytes]) -> bytes:
    depth = chance.choice([10, 400, 900, 1_100, 20_000])
    opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"event":', b"}]")])
    core = opening * depth + b"1" + closing * chance.choice([depth, depth, depth - 1, 0])
    return b'[{"uuid":"deep","x":' + core + b'},{"uuid":"next","event_type_id":5}]'


def _odd_fields(chance: Random, _: Sequence[bytes]) -> bytes:
    """
    Write well-formed events whose fields hold anything.
    """
    events = [
        {name: chance.choice(_ODD_VALUES) for name in chance.sample(_FIELDS, chance.randint(0, 6))}
        for _ in range(chance.randint(1, 5))
    ]
    return json.dumps(events).encode()


def _numbers(chance: Random, _: Sequence[bytes]) -> bytes:
    digits = chance.choice([20, 400, 5_000, 60_000])
    number = chance.choice(
        [b"9" * digits, b"1e" + b"9" * digits, b"0." + b"0" * digits + b"1", b"-" + b"1" * digits]
    )
    return b'[{"id":%b,"account_id":%b,"created_at":%b}]' % (number, number, number)


def _wrong_text(chance: Random, _: Sequence[bytes]) -> bytes:
    text = chance.choice(
        [
            b"\xff\xfe",
            b"\xc3",
            b"\xed\xa0\x80",
            b"\\ud800",
            b"\\u12",
            b"\\x",
            b"\0",
            b"\n",
            b"\xf4\x90\x80\x80",
        ]
    )
    field = chance.choice(_FIELDS).encode()
    return b'{"%b":"a%bb","event_type_id":5}' % (field, text)


def _listed(chance: Random, _: Sequence[bytes]) -> bytes:
    """
    List very many tiny values.
    """
    part = chance.choice([b"1,", b"{},", b"[],", b"null\n", b'{"id":1}\n', b",", b"\n", b'"",'])
    count = chance.choice([10, 500, 3_000])
    return chance.choice([b"", b"["]) + part * count + chance.choice([b"", b"1]", b"]"])


def _wrapped(chance: Random, samples: Sequence[bytes]) -> bytes:
    inner = chance.choice([chance.choice(samples), _odd_fields(chance, samples)[1:-1], b"{}", b"[]", b"5"])
    frame = chance.choice(
        [
            b'{"event":%b}',
            b'{"event":%b,"event":{}}',
            b'{"data":%b}',
            b'{"status":{},"data":[%b]}',
            b'[{"data":[%b]}]',
        ]
    )
    return frame % inner


_Make = Callable[[Random, Sequence[bytes]], bytes]
_KINDS: dict[str, tuple[int, _Make]] = {
    "mutated": (30, _mutated),
    "spliced": (10, _spliced),
    "noise": (10, _noise),
    "syntax": (10, _syntax),
    "nested": (5, _nested),
    "odd fields": (15, _odd_fields),
    "numbers": (5, _numbers),
    "wrong text": (5, _wrong_text),
    "listed": (5, _listed),
    "wrapped": (5, _wrapped),
}
"""Name → (how often, maker)."""


def _compressed(chance: Random, name: str, body: bytes) -> HostileBody:
    """
    Compress a body, and then perhaps damage it, cut it, or let it explode.
    """
    fate = chance.randrange(6)
    if fate == 0:
        body = b"[" + b" " * chance.choice([1_000, 3_000_000])
    packed = gzip.compress(body, 1)
    encoding = "gzip"
    if fate == 1:
        packed = packed[: chance.randrange(len(packed))]
    elif fate == 2:
        damaged = bytearray(packed)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        packed = bytes(damaged)
    elif fate == 3:
        packed = body
    elif fate == 4:
        packed, encoding = zlib.compress(body), "deflate"
    return HostileBody(f"compressed {name}", packed, encoding)
