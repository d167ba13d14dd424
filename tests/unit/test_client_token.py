"""
A token is used for as long as it really lives, and renewed once where it is refused.
"""

import asyncio
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.onelogin.client import EVENTS
from onelogin_connector.onelogin.token import REFUSED_SECONDS
from unit.answering import NOW, TOKEN_PATH, Answering, enveloped, granted, listed

UNAUTHORIZED = enveloped(401, "Authentication Failure", "Unauthorized")


def at(seconds):
    """
    Write a moment as the token endpoint does.
    """
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Endpoint:
    """
    The v2 token endpoint: the same token until that ends, by a clock that need not be ours.
    """

    def __init__(self, account, *, life=36_000, ahead=0.0):
        self.account, self.life, self.ahead = account, life, ahead
        self.made = 0
        self.ends = 0.0
        self.revoked = False
        account.answers[TOKEN_PATH] = self.give
        account.answers[EVENTS] = self.events

    @property
    def now(self):
        return self.account.server_now + self.ahead

    @property
    def headers(self):
        return {"date": formatdate(self.now, usegmt=True)} if self.account.dated else {}

    def give(self, request):
        if self.now >= self.ends or self.revoked:
            self.made += 1
            self.ends, self.revoked = self.now + self.life, False
        content = granted(
            access_token=f"token-{self.made}", created_at=at(self.ends - self.life), expires_in=self.life
        )
        return content | {"headers": self.headers}

    def events(self, request):
        valid = request.headers["authorization"] == f"Bearer token-{self.made}" and not self.revoked
        return (listed() if valid and self.now < self.ends else UNAUTHORIZED) | {"headers": self.headers}


@pytest.mark.parametrize("ahead", [0, 400, -400, 86_400 * 3, -86_400 * 3])
def test_a_token_is_used_for_its_real_life(ahead):
    """
    A token that others have used for hours ends when it ends, by the server's clock, however wrong ours is.
    """
    account = Answering()
    endpoint = Endpoint(account, ahead=ahead)
    endpoint.give(None)
    asyncio.run(account.sleep(30_000))  # another program asked for it long ago
    for _ in range(100):
        account.events()
        asyncio.run(account.sleep(120))
    assert endpoint.made == 2
    assert len(account.asked(TOKEN_PATH)) <= 3
    assert account.client.calls[EVENTS, 401] == 0


def test_without_a_date_the_refusal_tells():
    """
    Where the server does not name its time and our clock is wrong, a 401 renews the token; no event is lost.
    """
    account = Answering(dated=False)
    endpoint = Endpoint(account, life=600, ahead=5_000)
    for _ in range(40):
        assert account.events().records == []
        asyncio.run(account.sleep(60))
    assert endpoint.made == 4
    assert len(account.asked(TOKEN_PATH)) <= 12


def test_a_revoked_token_is_renewed_once():
    """
    One 401 leads to one new token and the same call again, unseen by the caller.
    """
    account = Answering()
    endpoint = Endpoint(account)
    account.events()
    endpoint.revoked = True
    account.events()
    assert [len(account.asked(path)) for path in (TOKEN_PATH, EVENTS)] == [2, 3]


def test_a_401_within_a_success_renews_too():
    """
    The status may be 200 while the body says 401.
    """
    hidden = UNAUTHORIZED | {"status_code": 200}
    account = Answering({EVENTS: [hidden, listed()]})
    account.events()
    assert [len(account.asked(path)) for path in (TOKEN_PATH, EVENTS)] == [2, 2]


def test_a_second_401_ends_it():
    """
    A new token that is refused too means that a person is needed; nothing goes round in circles.
    """
    account = Answering({EVENTS: UNAUTHORIZED})
    with pytest.raises(Unauthorized, match="does not let it read this"):
        account.events()
    assert [len(account.asked(path)) for path in (TOKEN_PATH, EVENTS)] == [2, 2]


def test_many_callers_ask_for_one_token():
    """
    Calls at the same moment share one request for a token, at the start and after it was revoked.
    """
    account = Answering()
    endpoint = Endpoint(account)

    async def all_at_once():
        await asyncio.gather(*(account.client.events(since_us=1, until_us=2) for _ in range(20)))

    async def story():
        await all_at_once()
        assert len(account.asked(TOKEN_PATH)) == 1
        endpoint.revoked = True
        await all_at_once()

    asyncio.run(story())
    assert endpoint.made == 2
    assert len(account.asked(TOKEN_PATH)) == 2


def test_a_token_at_its_end_is_not_asked_for_in_a_storm():
    """
    In its last seconds the same token comes again and again, so it is asked for at most once a second.
    """
    account = Answering()
    endpoint = Endpoint(account, life=100)
    for _ in range(1_200):
        account.events()
        asyncio.run(account.sleep(0.1))
    assert endpoint.made == 2
    assert len(account.asked(TOKEN_PATH)) <= 10


@pytest.mark.parametrize("answer", [UNAUTHORIZED, enveloped(403, "no"), enveloped(404, "No Route Exists")])
def test_a_refused_credential_is_not_hammered(answer):
    """
    The edge shuts out whoever tries a wrong credential too often, so the refusal is remembered for seconds.
    """
    account = Answering({TOKEN_PATH: answer, EVENTS: listed()})
    told = set()
    for _ in range(50):
        with pytest.raises((Unauthorized, ConfigError)) as caught:
            account.events()
        told.add(str(caught.value))
    assert len(account.asked(TOKEN_PATH)) == 1
    assert len(told) == 1
    account.now += REFUSED_SECONDS
    account.answers[TOKEN_PATH] = granted()
    account.events()


def test_only_the_second_version_is_asked():
    """
    The v1 endpoint would end the tokens of every other program with this credential.
    """
    account = Answering({EVENTS: [UNAUTHORIZED, listed()]})
    account.events()
    asyncio.run(account.client.check())
    assert {request.url.path for request in account.requests if request.method == "POST"} == {
        "/auth/oauth2/v2/token"
    }
    assert account.asked(TOKEN_PATH)[0].content == b'{"grant_type":"client_credentials"}'
    assert account.asked(TOKEN_PATH)[0].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "line\r\nx-injected: 1"},
        {"access_token": "x" * 10_000},
        {"access_token": "é" * 40},
    ],
)
def test_what_is_no_token_is_not_sent(changes):
    """
    Only what can stand in a header is a token.
    """
    account = Answering({TOKEN_PATH: granted(**changes), EVENTS: listed()})
    with pytest.raises(Unavailable, match="holds no token"):
        account.events()
    assert not account.asked(EVENTS)


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just([])),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just({})),
    st.booleans(),
)
def test_odd_lives_do_no_harm(created_at, expires_in, dated):
    """
    Whatever stands for the token's life, the token works, and is neither kept for ever nor asked for at once again.
    """
    from json import dumps

    content = granted(created_at=created_at, expires_in=expires_in)["json"]
    account = Answering({TOKEN_PATH: {"content": dumps(content).encode()}, EVENTS: listed()}, dated=dated)
    try:
        account.events()
    except ConnectorError:  # NaN and Infinity are no JSON
        assert any(isinstance(value, float) for value in (created_at, expires_in))
        return
    account.events()
    assert len(account.asked(TOKEN_PATH)) == 1
    account.now += 100_000
    account.events()
    assert len(account.asked(TOKEN_PATH)) == 2


def test_a_host_that_gave_tokens_is_not_wrong_later():
    """
    A strange answer of the token endpoint means a wrong domain at first, and an outage once it had worked.
    """
    page = {"content": b"<html>Maintenance</html>", "headers": {"content-type": "text/html"}}
    strange = [
        enveloped(404, "No Route Exists"),
        page,
        {"status_code": 302, "headers": {"location": "/login"}},
    ]
    for answer in strange:
        with pytest.raises(ConfigError, match="no OneLogin account"):
            Answering({TOKEN_PATH: answer}).events()
        account = Answering({TOKEN_PATH: [granted(), answer], EVENTS: listed()})
        account.events()
        account.now += 40_000
        with pytest.raises(Unavailable):
            account.events()


def test_the_clock_may_jump():
    """
    A clock that is set far back or ahead costs a token request, not the connection.
    """
    account = Answering()
    endpoint = Endpoint(account)
    for jump in (0, -1e6, 2e6, -NOW / 2, NOW):
        account.now += jump
        for _ in range(10):
            account.events()
            asyncio.run(account.sleep(60))
    assert endpoint.made == 1
    assert len(account.asked(TOKEN_PATH)) <= 5
