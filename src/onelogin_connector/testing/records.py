"""
Records of a journal as tests make them, hostile ones among them.
"""

from onelogin_connector.event import LARGEST_RECORD_BYTES, Channel, Entry, Kind, Way

A_MOMENT_US = 1_700_000_000_000_000

HOSTILE = (
    b"{}",
    b'{"event_type_id":null}',
    b'{"unknown":{"deep":' + b"[" * 400 + b"]" * 400 + b"}}",
    b'{"notes":"\\u0000 \\ud800 \\udfff \\u2028"}',
    b'{"notes":"' + b"x" * (LARGEST_RECORD_BYTES - 20) + b'"}',
    b'{"id":99999999999999999999999999999999999999,"user_id":1e999,"app_id":-0.0}',
    b'{"id":1,"id":2,"ID":3,"Id":4}',
    b'{"event_type_id":"5","user_id":[1,{"a":null}],"actor_user_id":true,"ipaddr":{"v":6}}',
    b'{"event_timestamp":"0000-99-99 99:99:99 UTC","created_at":-1e308}',
    '{"notes":"\u202e \u0085 \u00a0 e\u0301 \u00e9 \U0001f4a5","":"","\\"":"\\\\"}'.encode(),
    b'{"unknown":"\xff\xfe","other":1}',
    b"{" + b",".join(b'"k%d":null' % number for number in range(300)) + b"}",
)
"""JSON objects, or what passes for one: raw bytes after which a sink must still stand."""


def entry(
    offset: int,
    raw: bytes | None = None,
    *,
    kind: Kind = Kind.ENTRY,
    of: bytes = b"",
    received_us: int = A_MOMENT_US,
) -> Entry:
    """
    Make a journal record; its key, id and bytes follow from its offset.
    """
    native = f"{offset:08x}-0000-4000-8000-000000000000"
    body = raw if raw is not None else b'{"uuid":"%s","account_id":1,"event_type_id":5}' % native.encode()
    return Entry(
        offset=offset,
        kind=kind,
        key=offset.to_bytes(16, "big"),
        of=of,
        connector="default",
        account=1,
        channel=Channel.WEBHOOK,
        way=Way.WEBHOOK,
        native=native,
        also=None,
        time_us=A_MOMENT_US,
        received_us=received_us,
        flags=0,
        raw=body,
    )
