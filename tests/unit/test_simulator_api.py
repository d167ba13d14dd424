"""
The simulated API answers as OneLogin is known to, lists the webhook's story, and fails as asked.
"""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from onelogin_connector.errors import ConfigError
from onelogin_connector.loose import parse_time_us
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import HOUR_US, NUMBERS_PER_HOUR, Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.listing import Delay, Listing
from onelogin_connector.simulator.serving import bind, serving, url_of
from onelogin_connector.simulator.trouble import Fault, Trouble

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = 1_795_200_000.25
NOW_US = int(NOW * 1_000_000)
FORM_A = {"authorization": f"client_id:{CLIENT_ID}, client_secret:{CLIENT_SECRET}"}


def iso(moment_us):
    """
    Write a moment as a client does.
    """
    return f"{datetime.fromtimestamp(moment_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{moment_us // 1_000 % 1_000:03d}Z"


class Caller:
    """
    A client of one simulated account whose clock only the test moves.
    """

    def __init__(self, company=None, **options):
        self.now = NOW
        self.naps = []
        self.account = Account(company or Company(1), clock=lambda: self.now, sleep=self._nap, **options)
        self.api = Api(self.account)
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.api), base_url="http://api.example"
        )
        self.headers = {}

    async def _nap(self, seconds):
        self.naps.append(seconds)
        self.now += seconds

    def get(self, path, **query):
        return asyncio.run(self.client.get(path, params=query, headers=self.headers))

    def token(self, headers=FORM_A, **options):
        options = options or {"json": {"grant_type": "client_credentials"}}
        return asyncio.run(self.client.post("/auth/oauth2/v2/token", headers=headers, **options))

    def sign_in(self):
        self.headers = {"authorization": f"Bearer {self.token().json()['access_token']}"}
        return self

    def events(self, **query):
        """
        Return the records of every page, and how many pages there were.
        """
        records, pages = [], 0
        while True:
            page = self.get("/api/1/events", **query).json()
            records += page["data"]
            pages += 1
            if page["pagination"]["next_link"] is None:
                return records, pages
            query["after_cursor"] = page["pagination"]["after_cursor"]

    def fail(self, trouble, **options):
        self.account.faults.add(Fault(trouble=trouble, **options))


@pytest.fixture
def caller():
    """
    Give a client with a token.
    """
    return Caller().sign_in()


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        (FORM_A, {"json": {"grant_type": "client_credentials"}}),
        (
            {"authorization": FORM_A["authorization"].replace(", ", ",")},
            {"params": {"grant_type": "client_credentials"}},
        ),
        (
            {"authorization": "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()},
            {"json": {"grant_type": "client_credentials"}},
        ),
        (
            {},
            {
                "data": {
                    "grant_type": "client_credentials",
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                }
            },
        ),
    ],
)
def test_a_token_is_given_to_every_accepted_form(headers, options):
    """
    The three documented forms, and the one with everything in the query, get the same flat answer.
    """
    caller = Caller()
    answer = caller.token(headers, **options)
    assert answer.status_code == 200, answer.text
    assert "x-ratelimit-limit" not in answer.headers
    token = answer.json()
    assert set(token) == {
        "access_token", "created_at", "expires_in", "refresh_token", "token_type", "account_id"
    }  # fmt: skip
    assert token["account_id"] == Company(1).staff.account_id
    caller.headers = {"authorization": f"bearer:{token['access_token']}"}
    assert caller.get("/auth/rate_limit").status_code == 200


def test_a_token_is_the_same_until_it_ends():
    """
    Asked again, the same token comes with its first date; after its life there is a new one, and the old is refused.
    """
    caller = Caller()
    first = caller.token().json()
    caller.now += 35_999
    assert caller.token().json() == first
    caller.headers = {"authorization": f"Bearer {first['access_token']}"}
    assert caller.get("/api/1/events").status_code == 200
    caller.now += 1
    assert caller.get("/api/1/events").status_code == 401
    second = caller.token().json()
    assert second["access_token"] != first["access_token"]
    assert parse_time_us(second["created_at"]) == pytest.approx(caller.now * 1e6, abs=1_000)


def test_wrong_credentials_are_refused_and_then_throttled():
    """
    401 in the envelope of v1; a caller that goes on meets the edge, which speaks HTML.
    """
    caller = Caller()
    wrong = {"authorization": f"client_id:{CLIENT_ID}, client_secret:other"}
    answers = [caller.token(wrong) for _ in range(170)]
    assert answers[0].status_code == 401
    assert answers[0].json() == {
        "status": {"error": True, "code": 401, "type": "Unauthorized", "message": "Authentication Failure"}
    }
    assert answers[-1].status_code == 429
    assert answers[-1].headers["content-type"].startswith("text/html")
    assert "retry-after" not in answers[-1].headers
    caller.now += 10
    assert caller.token().status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"grant_type": "password"}'])
def test_a_token_request_without_grant_is_a_400(body):
    """
    Whatever the body is, the answer is an envelope.
    """
    answer = Caller().token(content=body)
    assert answer.status_code == 400
    assert answer.json()["status"]["message"] == "grant_type is incorrect/absent"


def test_nothing_is_listed_without_the_token(caller):
    """
    Each version refuses in its own shape, and without figures of the allowance.
    """
    caller.headers = {"authorization": "Bearer made-up"}
    v1, v2 = caller.get("/api/1/events"), caller.get("/api/2/users")
    assert (v1.status_code, v2.status_code) == (401, 401)
    assert v1.json()["status"]["message"] == "Authentication Failure"
    assert v2.json() == {"message": "Unauthorized", "statusCode": 401, "name": "UnauthorizedError"}
    assert "x-ratelimit-remaining" not in v1.headers
    assert caller.get("/api/3/events").json()["status"]["message"] == "No Route Exists"
    assert asyncio.run(caller.client.delete("/api/1/events")).status_code == 404


def test_pages_together_are_the_window(caller):
    """
    Cursors lead through all that lies between the two moments, each event once, by id, 50 at a time.
    """
    since, until = NOW_US - 5 * HOUR_US, NOW_US - 2 * HOUR_US
    records, pages = caller.events(since=iso(since), until=iso(until))
    told = {each.id for each in caller.account.listing.whole(since + 1_000, until)}
    assert [record["id"] for record in records] == sorted(told)
    assert pages == len(records) // 50 + 1
    assert len(records) > 300
    page = json.loads((FIXTURES / "events_api" / "docs_get_events_page.json").read_text())
    assert list(records[0]) == list(page["data"][0])


def test_both_channels_tell_the_same_happenings(caller):
    """
    What the API lists is what the webhook sends, event by event, but for ids and the fields each has alone.
    """
    since, until = NOW_US - 3 * HOUR_US, NOW_US - HOUR_US
    sent = {happening.uuid: happening.to_webhook() for happening in Company(1).story(since, until)}
    listed = {each.happening.uuid: each.happening for each in caller.account.listing.whole(since, until)}
    assert set(listed) == set(sent)
    for uuid, happening in listed.items():
        assert happening.to_webhook() == sent[uuid]
        record = happening.to_api()
        assert record["user_id"] == sent[uuid]["user_id"]
        assert record["notes"] == sent[uuid]["notes"]


def test_since_and_until_exclude_their_own_moment(caller):
    """
    An event at the very moment of a border is not listed; a millisecond beyond it is.
    """
    each = next(caller.account.listing.whole(NOW_US - HOUR_US, NOW_US))
    around = {
        (first, last): each.id
        in {
            record["id"]
            for record in caller.events(since=iso(each.time_us + first), until=iso(each.time_us + last))[0]
        }
        for first, last in ((-1_000, 1_000), (0, 1_000), (-1_000, 0))
    }
    assert around == {(-1_000, 1_000): True, (0, 1_000): False, (-1_000, 0): False}


def test_a_cursor_is_a_position_without_filter(caller):
    """
    It decodes to account and id, has no padding, works in another window, and next_link holds nothing but it.
    """
    since = iso(NOW_US - 3 * HOUR_US)
    page = caller.get("/api/1/events", since=since).json()
    cursor = page["pagination"]["after_cursor"]
    assert "=" not in cursor
    plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    assert plain == f"account_id:::{caller.account.id}--##id:::{page['data'][-1]['id']}"
    assert page["pagination"]["next_link"] == f"http://api.example/api/1/events?after_cursor={cursor}"
    beyond = caller.get("/api/1/events", since=since, until=iso(NOW_US), after_cursor=cursor).json()
    assert beyond["data"][0]["id"] > page["data"][-1]["id"]


def test_a_page_behind_everything_is_empty_and_keeps_its_cursor(caller):
    """
    The last page has no next_link; its cursor is still there, as was seen with the real one.
    """
    caller.events(since=iso(NOW_US - HOUR_US))
    last = max(each.id for each in caller.account.listing.whole(NOW_US - HOUR_US, NOW_US))
    page = caller.get(
        "/api/1/events",
        since=iso(NOW_US - HOUR_US),
        after_cursor=base64.b64encode(f"account_id:::1--##id:::{last}".encode()).decode().rstrip("="),
    ).json()
    assert page["data"] == []
    assert page["pagination"]["next_link"] is None
    assert page["pagination"]["after_cursor"]
    quiet = caller.get("/api/1/events", since=iso(NOW_US - 2_000), until=iso(NOW_US - 1_000)).json()
    assert set(quiet["pagination"].values()) == {None}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"since": "yesterday"}, "since has incorrect data type. It should be -> datetime"),
        ({"limit": "many"}, "limit has incorrect data type. It should be -> integer"),
        ({"limit": "0"}, "limit has incorrect data type. It should be -> integer"),
        ({"limit": str(10**30)}, "Integer value must be <= 2147483647"),
        ({"after_cursor": "%%%"}, "after_cursor is invalid"),
        ({"after_cursor": "YWJj"}, "after_cursor is invalid"),
        ({"last": "1"}, "last is not a valid attribute for event model"),
    ],
)
def test_a_wrong_parameter_is_a_400(caller, query, message):
    """
    It is refused in the envelope and by name.
    """
    answer = caller.get("/api/1/events", **query)
    assert answer.status_code == 400
    assert answer.json()["status"]["message"] == message


def test_filters_and_fields(caller):
    """
    Types and users can be chosen, fields named; the id always comes; more than 50 a page is not given.
    """
    since = iso(NOW_US - 6 * HOUR_US)
    records, _ = caller.events(since=since, event_type_id="5,8", fields="event_type_id")
    assert {record["event_type_id"] for record in records} == {5, 8}
    assert all(set(record) == {"id", "event_type_id"} for record in records)
    assert len(caller.get("/api/1/events", since=since, limit=1000).json()["data"]) == 50
    assert len(caller.get("/api/1/events", since=since, limit=7).json()["data"]) == 7


def test_one_event_can_be_asked_for(caller):
    """
    An id gives its record in a list; one that is not there is a 404.
    """
    each = next(caller.account.listing.whole(NOW_US - HOUR_US, NOW_US))
    assert caller.get(f"/api/1/events/{each.id}").json()["data"][0]["id"] == each.id
    assert caller.get("/api/1/events/7").status_code == 404


def test_what_has_not_happened_is_not_listed(caller):
    """
    With the clock, events appear: never before they happened, and within seconds.
    """
    window = {"since": iso(NOW_US - HOUR_US), "until": iso(NOW_US + HOUR_US)}
    before, _ = caller.events(**window)
    caller.now += 600
    after, _ = caller.events(**window)
    assert {record["id"] for record in before} < {record["id"] for record in after}
    assert max(parse_time_us(record["created_at"]) for record in before) <= NOW_US
    settled = {each.id for each in caller.account.listing.whole(NOW_US - HOUR_US + 1_000, NOW_US)}
    assert settled <= {record["id"] for record in after}


def test_ids_are_near_to_the_order_of_time_and_not_in_it():
    """
    Some neighbours are swapped, none is far away, and no id is given twice.
    """
    rows = list(Listing(Company(1)).whole(NOW_US - 6 * HOUR_US, NOW_US))
    swapped = [(one, two) for one, two in pairwise(rows) if one.time_us > two.time_us]
    assert len(swapped) > 100
    places = {each.id: place for place, each in enumerate(sorted(rows, key=lambda each: each.time_us))}
    assert all(abs(places[each.id] - place) <= 12 for place, each in enumerate(rows))
    assert len(places) == len(rows)


def test_late_events_come_late_and_behind_their_hour():
    """
    The share asked for appears when asked, with ids that a reader of ids has passed.
    """
    company = Company(1)
    listing = Listing(company, delays=[Delay(0.2, 300, 900), Delay(0.05, 7_200, 20_000)])
    rows = list(listing.whole(NOW_US - 12 * HOUR_US, NOW_US))
    minutes = [each for each in rows if 300e6 <= each.appears_us - each.time_us <= 901e6]
    hours = [each for each in rows if each.appears_us - each.time_us >= 7_200e6]
    assert len(minutes) / len(rows) == pytest.approx(0.2, abs=0.03)
    assert len(hours) / len(rows) == pytest.approx(0.05, abs=0.02)
    assert all(each.id % NUMBERS_PER_HOUR >= NUMBERS_PER_HOUR // 2 for each in minutes + hours)
    caller = Caller(delays=[Delay(1.0, 3_600, 3_600)]).sign_in()
    window = {"since": iso(NOW_US - HOUR_US), "until": iso(NOW_US)}
    assert caller.events(**window)[0] == []
    caller.now += 3_700
    assert len(caller.events(**window)[0]) > 50


def test_a_listing_is_the_same_however_it_is_asked_for():
    """
    Which hours were asked for before, and whether they are still in memory, changes nothing.
    """
    delays = [Delay(0.1, 60, 600)]
    whole = list(Listing(Company(3), delays=delays).whole(NOW_US - 8 * HOUR_US, NOW_US))
    listing = Listing(Company(3), delays=delays)
    parts = []
    for back in range(8, 0, -1):
        list(listing.after(0, NOW_US - HOUR_US, NOW_US, now_us=NOW_US))
        parts += listing.whole(NOW_US - back * HOUR_US, NOW_US - (back - 1) * HOUR_US)
    assert sorted(parts, key=lambda each: each.id) == whole


def test_the_allowance_is_one_for_all_and_comes_back():
    """
    Each v1 call takes one and says what is left; without any it is 429, until the hour is over.
    """
    caller = Caller(calls_per_hour=4).sign_in()
    caller.account.allowance.take(2)  # another program of the account
    first = caller.get("/api/1/events", limit=1)
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("4", "1")
    assert int(first.headers["x-ratelimit-reset"]) <= 3_600
    assert [caller.get("/api/1/events", limit=1).status_code for _ in range(3)] == [200, 429, 429]
    assert caller.get("/api/2/users").status_code == 200
    assert caller.get("/auth/rate_limit").json()["data"]["X-RateLimit-Remaining"] == 0
    caller.now += 3_600
    assert caller.get("/api/1/events", limit=1).status_code == 200


def test_types_need_no_token(caller):
    """
    The catalogue is one list, open to all.
    """
    caller.headers = {}
    types = caller.get("/api/1/events/types").json()
    assert {"id", "name", "description"} == set(types["data"][0])
    assert any(each["id"] == 5 and each["name"] for each in types["data"])
    assert "pagination" not in types


def test_users_come_in_counted_pages(caller):
    """
    Headers say where a page lies; together the pages are everybody, with the fields asked for alone.
    """
    seen, query = [], {"fields": "id,department,title"}
    while True:
        answer = caller.get("/api/2/users", **query)
        seen += answer.json()
        if "after-cursor" not in answer.headers:
            break
        query["cursor"] = answer.headers["after-cursor"]
    assert [user["id"] for user in seen] == [person.id for person in Company(1).staff.people]
    assert all(set(user) == {"id", "department", "title"} for user in seen)
    assert answer.headers["total-count"] == "120"
    usual = caller.get("/api/2/users").json()[0]
    assert len(usual) == 22
    assert "department" not in usual
    assert caller.get("/api/2/users", cursor="!").status_code == 422
    assert caller.get("/api/2/users", sort="created_at").status_code == 422


def test_only_changed_users_are_listed(caller):
    """
    With updated_since come those who changed since, and as time goes by others do.
    """
    month = NOW_US - 30 * 24 * HOUR_US
    changed = caller.get("/api/2/users", updated_since=iso(month), fields="updated_at").json()
    assert 0 < len(changed) < 120
    assert all(parse_time_us(user["updated_at"]) >= month for user in changed)
    before = {user["id"]: user["title"] for user in caller.account.users()}
    caller.now += 30 * 86_400
    moved = caller.sign_in().get("/api/2/users", updated_since=iso(NOW_US), fields="title").json()
    assert moved
    assert all(before[user["id"]] != user["title"] for user in moved)


def test_the_date_is_that_of_the_account(caller):
    """
    The Date header follows the account's clock, so that a client can read by it.
    """
    caller.now += 86_400
    answer = caller.get("/api/1/events", limit=1)
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == int(caller.now)
    assert answer.headers["x-request-id"]


STATUSES = {
    Trouble.UNAUTHORIZED: 401, Trouble.DEAD: 401, Trouble.FORBIDDEN: 403, Trouble.TOO_MANY: 429,
    Trouble.TOO_MANY_HTML: 429, Trouble.LIMIT_EXCEEDED: 400, Trouble.SERVER_ERROR: 500, Trouble.BAD_GATEWAY: 502,
    Trouble.SLOW: 200, Trouble.TRUNCATED: 200, Trouble.PAGE: 200, Trouble.REDIRECT: 302,
    Trouble.STANDING_CURSOR: 200, Trouble.ENDLESS: 200,
}  # fmt: skip


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_is_had_as_often_as_asked(caller, trouble):
    """
    After the calls to skip it comes so many times, on its path alone, and then all is well again.
    """
    caller.fail(trouble, skip=1, times=2, wait_seconds=20)
    answers = []
    for _ in range(4):
        caller.sign_in()  # a refused token is gone
        assert caller.get("/api/2/users").status_code == 200
        answers.append(caller.get("/api/1/events", since=iso(NOW_US - HOUR_US)))
    assert [answer.status_code for answer in answers] == [200, STATUSES[trouble], STATUSES[trouble], 200]
    assert answers[3].json()["data"]
    if trouble is Trouble.SLOW:
        assert caller.naps == [20, 20]
    if trouble in {Trouble.TRUNCATED, Trouble.PAGE, Trouble.TOO_MANY_HTML, Trouble.BAD_GATEWAY}:
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            answers[1].json()


def test_a_standing_cursor_leads_to_itself(caller):
    """
    The page that follows is the same page, for ever.
    """
    caller.fail(Trouble.STANDING_CURSOR, skip=1)
    query = {"since": iso(NOW_US - 6 * HOUR_US)}
    cursor = caller.get("/api/1/events", **query).json()["pagination"]["after_cursor"]
    pages = [caller.get("/api/1/events", **query, after_cursor=cursor).json() for _ in range(3)]
    assert pages[0]["data"]
    assert pages[0]["pagination"]["after_cursor"] == cursor
    assert pages[0] == pages[1] == pages[2]


def test_endless_pages_always_have_another(caller):
    """
    Behind the last event the cursor still moves, and nothing comes any more.
    """
    caller.fail(Trouble.ENDLESS)
    query, cursors = {"since": iso(NOW_US - HOUR_US)}, set()
    for _ in range(40):
        page = caller.get("/api/1/events", **query).json()
        assert page["pagination"]["next_link"]
        query["after_cursor"] = page["pagination"]["after_cursor"]
        cursors.add(query["after_cursor"])
    assert len(cursors) == 40
    assert page["data"] == []


def test_a_dead_credential_gets_no_token_for_its_time(caller):
    """
    Calls are 401 and tokens 500, as when its owner was deleted, until a person repairs it.
    """
    caller.fail(Trouble.DEAD, path="/", seconds=3 * 86_400)
    assert caller.get("/api/1/events").status_code == 401
    assert caller.token().status_code == 500
    caller.now += 3 * 86_400
    assert caller.get("/api/1/events").status_code == 401
    assert caller.sign_in().get("/api/1/events").status_code == 200


def test_it_can_be_served_and_told_to_fail_over_http():
    """
    On a real port the same application answers; a person lets it fail, mends it, and counts the calls.
    """

    @asynccontextmanager
    async def served():
        listener = bind()
        assert url_of(listener).startswith("http://127.0.0.1:")
        async with (
            serving(Api(Account(Company(1))), listener) as url,
            httpx2.AsyncClient(base_url=url, trust_env=False) as client,
        ):
            yield client

    async def talk():
        async with served() as client:
            fault = {"trouble": "too_many", "path": "/api/1/events/types"}
            made = await client.post("/simulator/faults", json=fault)
            failed = await client.get("/api/1/events/types")
            wrong = await client.post("/simulator/faults", json={"trouble": "none such"})
            await client.delete("/simulator/faults")
            well = await client.get("/api/1/events/types")
            calls = (await client.get("/simulator/calls")).json()["calls"]
            assert len(well.headers.get_list("date")) == 1
        return [made.status_code, failed.status_code, wrong.status_code, well.status_code], calls

    statuses, calls = asyncio.run(talk())
    assert statuses == [204, 429, 400, 200]
    assert {"path": "/api/1/events/types", "status": 429, "calls": 1} in calls


def test_a_taken_port_is_named():
    """
    A second simulation on the same port is refused with what to do.
    """
    listener = bind()
    with listener, pytest.raises(ConfigError, match=str(listener.getsockname()[1])):
        bind(listener.getsockname()[1])
