"""
The client asks as OneLogin wants to be asked, and hands on what came, unchanged.
"""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.loose import parse_time_us
from onelogin_connector.onelogin.client import EVENT_TYPES, EVENTS, USER_FIELDS, USERS
from unit.answering import ACCESS_TOKEN, SUCCESS, TOKEN_PATH, Answering, enveloped, granted, listed, raw

FIXTURES = Path(__file__).parents[1] / "fixtures"
EXCHANGES = [json.loads(line) for line in (FIXTURES / "http" / "exchanges.jsonl").read_text().splitlines()]
CASES = {each["case"]: each for each in EXCHANGES}

AS_EVENTS = {
    "token_v2_success": Unavailable,
    "token_v1_success": Unavailable,
    "token_v1_bad_grant": ConfigError,
    "bad_credentials_or_expired_token": Unauthorized,
    "rate_limit_probe": Unavailable,
    "rate_limit_probe_bad_auth_header": ConfigError,
    "wrong_method_or_path": ConfigError,
    "v1_rate_limited_400": Unavailable,
    "rate_limited_429_json": Unavailable,
    "edge_throttle_429_html": Unavailable,
    "bad_int_filter": ConfigError,
    "bad_attribute": ConfigError,
    "bad_param_type": ConfigError,
    "v2_unauthorized": Unauthorized,
    "v2_unprocessable": ConfigError,
    "v1_list_success_headers": None,
    "v2_list_headers": Unavailable,
}
"""Recorded reply → what it is when events were asked for; None for a page."""

AS_TOKEN = {
    "token_v2_success": None,
    "token_v1_success": Unavailable,
    "token_v1_bad_grant": Unauthorized,
    "bad_credentials_or_expired_token": Unauthorized,
    "rate_limit_probe": Unavailable,
    "rate_limit_probe_bad_auth_header": Unauthorized,
    "wrong_method_or_path": ConfigError,
    "v1_rate_limited_400": Unavailable,
    "rate_limited_429_json": Unavailable,
    "edge_throttle_429_html": Unavailable,
    "bad_int_filter": Unauthorized,
    "bad_attribute": Unauthorized,
    "bad_param_type": Unauthorized,
    "v2_unauthorized": Unauthorized,
    "v2_unprocessable": Unauthorized,
    "v1_list_success_headers": Unavailable,
    "v2_list_headers": Unavailable,
}
"""The same, when a token was asked for."""


def recorded(case):
    """
    Return a recorded reply as the transport gives it.
    """
    found = CASES[case]
    headers = {
        name: value
        for name, value in found.get("headers", {}).items()
        if name not in {"note", "content-length"}
    }
    body = found["body"]
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return {"status_code": found["status"], "content": content, "headers": headers}


def test_every_recorded_reply_is_judged():
    """
    The tables above leave out no recorded reply.
    """
    assert set(AS_EVENTS) == set(AS_TOKEN) == set(CASES)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("path", "table"), [(EVENTS, AS_EVENTS), (TOKEN_PATH, AS_TOKEN)])
def test_recorded_replies(case, path, table):
    """
    Each recorded reply is what the table says, and a refusal names its status and call.
    """
    account = Answering({EVENTS: listed(), path: recorded(case)})
    if table[case] is None:
        assert account.events().records == []
        return
    with pytest.raises(table[case]) as caught:
        account.events()
    assert type(caught.value) is table[case]
    assert f"HTTP {CASES[case]['status']} from {'GET' if path == EVENTS else 'POST'} {path}" in str(
        caught.value
    )
    assert caught.value.action


def test_a_recorded_request_id_is_told():
    """
    OneLogin's name for a refused call stands in the error, since its support asks for it.
    """
    with pytest.raises(Unauthorized, match="621D46F6-62A407D4-CDC9-0A0B056B-01BB-3A462E-4CB2"):
        Answering({EVENTS: recorded("bad_credentials_or_expired_token")}).events()


def test_records_come_as_they_are():
    """
    Bytes of records are those of the reply: blanks, escapes, unknown keys, large numbers, order.
    """
    records = [
        b'{ "id" :36114558381 ,"notes":"\\u00e9\\/\\n", "new_key":[{ }],"x":1.0e2 }',
        b'{"id":1,"id":2}',
        b'{"user_name":"\xc3\xa9\xf0\x9f\x98\x80"}',
        b'{"broken":"\xff"}',
        b"42",
    ]
    envelope = b'{"data" : [ %s ], "pagination":{"next_link":null},"status":{"error":false}}' % b" ,\n".join(
        records
    )
    assert Answering({EVENTS: {"content": envelope}}).events().records == records


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.dictionaries(st.text(), v)
        ),
        max_size=5,
    )
)
def test_any_records_come_as_they_are(values):
    """
    Whatever the records hold, each arrives as it was written.
    """
    records = [raw(value) for value in values]
    content = b'{"status":{"error":false},"pagination":{"next_link":null},"data":[%s]}' % b",".join(records)
    assert Answering({EVENTS: {"content": content}}).events().records == records


@pytest.mark.parametrize(
    "bad",
    [
        b'{"id":3,"x":"\\q"}',
        b'{"id":3,"x":"\x01]}"}',
        b'{"id":03,"y":{"z":[1]}}',
        b'{"id":"\\ud800"}',
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_one_record_that_is_no_json_spoils_itself(bad):
    """
    A record that no reader takes is handed on beside its neighbours, for the intake to bury.
    """
    records = [b'{"id":1,"n":"a ] , [ \\" }"}', bad, b'{"id":2}']
    content = b'{"status":{"error":false},"pagination":{"next_link":"x","after_cursor":"c2"},"data":[%s]}'
    page = Answering({EVENTS: {"content": content % b", ".join(records)}}).events()
    assert page.records == records
    assert page.cursor == "c2"


@pytest.mark.parametrize("name", sorted(path.name for path in (FIXTURES / "events_api").glob("*page*.json")))
def test_published_pages_are_read(name):
    """
    Each page of events that was ever published is read, with as many records as it has.
    """
    content = (FIXTURES / "events_api" / name).read_bytes()
    page = Answering({EVENTS: {"content": content}}).events()
    assert [json.loads(record) for record in page.records] == json.loads(content)["data"]


def test_an_empty_page_with_a_cursor_is_the_last():
    """
    OneLogin gives a cursor on an empty last page; without a link to a next page it leads nowhere.
    """
    content = (FIXTURES / "events_api" / "streamalert_pr355_empty_page_with_cursor.json").read_bytes()
    page = Answering({EVENTS: {"content": content}}).events()
    assert (page.records, page.cursor) == ([], None)


def test_the_servers_time_is_handed_on():
    """
    A page carries the Date header, by which the poller moves its watermark; without one it carries none.
    """
    assert Answering({EVENTS: listed()}).events().date_us == 1_795_200_000_000_000
    assert Answering({EVENTS: listed()}, dated=False).events().date_us is None
    nowhere = listed() | {"headers": {"date": "Fri, 20 Nov 2026 18:40:00 -0000"}}
    assert Answering({EVENTS: nowhere}).events().date_us == 1_795_200_000_000_000
    assert Answering({EVENTS: listed() | {"headers": {"date": "yesterday"}}}).events().date_us is None


def test_filters_go_with_every_cursor():
    """
    A cursor is sent with the same window and limit, to the configured host, whatever its link names.
    """
    account = Answering({EVENTS: [listed({"id": 1}, following="c1"), listed({"id": 2})]})
    window = {"since_us": 1_795_100_000_000_000, "until_us": 1_795_103_600_000_000}
    first = account.events(**window)
    assert account.events(**window, cursor=first.cursor).cursor is None
    one, other = (dict(request.url.params) for request in account.asked(EVENTS))
    assert other == one | {"after_cursor": "c1"}
    assert one == {"since": "2026-11-19T14:53:20.000Z", "until": "2026-11-19T15:53:20.000Z", "limit": "50"}
    assert {request.url.host for request in account.requests} == {"acme.onelogin.com"}


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.encode(errors="ignore").decode() == text))
def test_any_cursor_arrives(cursor):
    """
    A cursor is opaque: whatever characters it has, the server sees just those.
    """
    account = Answering({EVENTS: listed()})
    account.events(cursor=cursor)
    assert account.asked(EVENTS)[0].url.params["after_cursor"] == cursor


@given(st.integers(0, 2**32 * 1_000_000), st.integers(0, 10**12))
def test_a_window_is_never_narrowed(since_us, length_us):
    """
    Milliseconds are rounded outward, and the text is UTC with a Z.
    """
    account = Answering({EVENTS: listed()})
    account.events(since_us=since_us, until_us=since_us + length_us)
    sent = account.asked(EVENTS)[0].url.params
    read_since, read_until = parse_time_us(sent["since"]), parse_time_us(sent["until"])
    if read_until is not None:
        assert since_us - 1_000 < read_since <= since_us
        assert since_us + length_us <= read_until < since_us + length_us + 1_000
    assert sent["since"].endswith("Z")
    assert sent["since"][-5] == "."


@pytest.mark.parametrize(
    "pagination",
    [
        {"next_link": "https://x", "after_cursor": "same"},
        {"next_link": "https://x", "after_cursor": None},
        {"next_link": "https://x", "after_cursor": ""},
        {"next_link": "https://x", "after_cursor": 7},
        {"next_link": "https://x", "after_cursor": "x" * 5_000},
        {"next_link": "https://x"},
    ],
)
def test_a_page_that_names_no_way_on_is_an_error(pagination):
    """
    Taking it for the last page would lose events, following it would never end: it is said, and tried again.
    """
    content = {"status": SUCCESS, "pagination": pagination, "data": [{"id": 1}]}
    with pytest.raises(Unavailable, match="does not move on"):
        Answering({EVENTS: {"json": content}}).events(cursor="same")


@pytest.mark.parametrize(
    "content",
    [
        {"status": SUCCESS, "data": []},
        {"status": SUCCESS, "pagination": None, "data": []},
        {"status": SUCCESS, "pagination": {"next_link": None}},
        {"status": SUCCESS, "pagination": {"next_link": None}, "data": None},
        {"status": SUCCESS, "pagination": {"next_link": None}, "data": {"id": 1}},
        [],
        None,
        "text",
    ],
)
def test_half_a_page_is_no_page(content):
    """
    A success without a list or without its pagination could hide events, so it is not taken for an empty page.
    """
    with pytest.raises(Unavailable, match="shape"):
        Answering({EVENTS: {"json": content}}).events()


def test_calls_are_counted_by_path_and_status():
    """
    Every call is counted, those without an answer as 0.
    """
    account = Answering({EVENTS: [OSError("gone"), enveloped(500, "x"), listed()]})
    for _ in range(3):
        try:
            account.events()
        except ConnectorError:
            account.now += 60
    assert account.client.calls == {(TOKEN_PATH, 200): 1, (EVENTS, 0): 1, (EVENTS, 500): 1, (EVENTS, 200): 1}


def test_the_account_is_that_of_the_token():
    """
    The account's number comes with the token, as a number or as text; none is None.
    """
    for told, read in (
        (999_999, 999_999),
        ("53413", 53_413),
        (None, None),
        (True, None),
        ("x", None),
        (-1, None),
    ):
        account = Answering({TOKEN_PATH: granted(account_id=told)})
        assert asyncio.run(account.client.account_id()) == read


def test_event_types_are_asked_for_once_a_day():
    """
    OneLogin wants the list to be kept for a day; a list that cannot be renewed stays.
    """
    kinds = [
        {"id": 5, "name": "USER_LOGGED_INTO_ONELOGIN"},
        {"id": "6", "name": "X"},
        {"id": None, "name": "Y"},
        {"id": 7},
    ]
    account = Answering({EVENT_TYPES: [{"json": {"status": SUCCESS, "data": kinds}}, enveloped(502, "down")]})

    async def story():
        first = await account.client.event_types()
        first[99] = "changed by a caller"
        account.now += 86_000
        again = await account.client.event_types()
        asked = len(account.asked(EVENT_TYPES))
        account.now += 1_000
        return again, asked, await account.client.event_types()

    again, asked, stale = asyncio.run(story())
    assert again == stale == {5: "USER_LOGGED_INTO_ONELOGIN", 6: "X"}
    assert asked == 1
    assert len(account.asked(EVENT_TYPES)) == 2


def test_event_types_that_were_never_read_are_an_error():
    """
    Without any list there is nothing to fall back on.
    """
    with pytest.raises(Unavailable):
        asyncio.run(Answering({EVENT_TYPES: enveloped(502, "down")}).client.event_types())


def users(account, **options):
    """
    Collect all pages of users.
    """

    async def story():
        return [page async for page in account.client.users(**options)]

    return asyncio.run(story())


def user_page(*records, following=None, page=None, total=None):
    """
    Return a page of users as v2 gives it.
    """
    headers = {"after-cursor": following, "current-page": page, "total-pages": total}
    content = b"[" + b",".join(records) + b"]"
    return {"content": content, "headers": {name: str(value) for name, value in headers.items() if value}}


def test_users_are_paged_by_headers():
    """
    The next page is named in a header; fields and filter go with each, and records come as they are.
    """
    account = Answering(
        {USERS: [user_page(b'{"id" :1}', following="a+b=="), user_page(b'{"id":2 }', b'{"id":3}')]}
    )
    assert users(account, updated_since_us=1_795_100_000_123_456) == [
        [b'{"id" :1}'],
        [b'{"id":2 }', b'{"id":3}'],
    ]
    one, other = (dict(request.url.params) for request in account.asked(USERS))
    assert one == {
        "limit": "50",
        "fields": ",".join(USER_FIELDS),
        "updated_since": "2026-11-19T14:53:20.123Z",
    }
    assert other == one | {"cursor": "a+b=="}


@pytest.mark.parametrize(
    "last",
    [
        user_page(following="c2"),
        user_page(b'{"id":2}', following="c2", page=2, total=2),
        user_page(b'{"id":2}'),
        user_page(b'{"id":2}', following=" "),
    ],
)
def test_the_last_page_of_users_is_seen(last):
    """
    An empty page, the last number, or no cursor: each is the end.
    """
    account = Answering({USERS: [user_page(b'{"id":1}', following="c1", page=1, total=2), last]})
    users(account)
    assert len(account.asked(USERS)) == 2


def test_a_standing_list_of_users_is_an_error():
    """
    A page that names itself as the next one would never end.
    """
    account = Answering({USERS: user_page(b'{"id":1}', following="c1")})
    with pytest.raises(Unavailable, match="stands still"):
        users(account)
    assert len(account.asked(USERS)) == 2


def test_published_users_are_read():
    """
    The published page of users comes through as it is.
    """
    content = (FIXTURES / "users_api" / "v2_users_page.json").read_bytes()
    (page,) = users(Answering({USERS: {"content": content}}))
    assert [json.loads(record) for record in page] == json.loads(content)


def test_the_token_is_a_bearer_and_the_program_names_itself():
    """
    Resource calls carry the token, and the user agent says who asks.
    """
    account = Answering({EVENTS: listed()})
    account.events()
    (request,) = account.asked(EVENTS)
    assert request.headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert request.headers["user-agent"].startswith("onelogin-connector/")


@pytest.mark.parametrize(
    "url", ["http://acme.onelogin.com", "ftp://x", "acme.onelogin.com", "https://u:p@x", "https://"]
)
def test_only_safe_addresses(url):
    """
    Without TLS a token goes nowhere but to this machine, and an address with a password is none.
    """
    with pytest.raises(ConfigError):
        Answering(api_url=url)
    assert Answering(api_url="http://127.0.0.1:9001")
