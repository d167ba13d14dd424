"""
Single sign-on against a provider of our own, which first tells the truth and then every kind of lie.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from integration.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, signed_with_public_key, unsigned
from onelogin_connector.config import load
from onelogin_connector.service import Service, build
from onelogin_connector.web.app import access_of, main_app
from onelogin_connector.web.oidc import KEYS_SECONDS, METADATA_SECONDS, PENDING_SECONDS
from onelogin_connector.web.sign_on import BACK, BEGIN, SSO_COOKIE
from passwords import QUICK
from patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

ABROAD = ("203.0.113.5", 4711)
CONFIG = """
[oidc]
issuer = "{issuer}"
client_id = "{client_id}"
client_secret = {{ env = "SECRET" }}
label = "Sign in with ACME"
admins = ["Security"]
operators = ["SOC", "Night shift"]
viewers = ["Audit"]
{more}

[sinks.store]
enabled = false
"""
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "ec"})


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    def __init__(self, service: Service, provider: Provider, clock: Clock) -> None:
        self.service, self.provider, self.clock = service, provider, clock
        self.addresses = 0
        self.access = access_of(service)
        self.app = main_app(service, self.access)

    def browser(self, peer=ABROAD) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(self.app, client=peer)
        return httpx2.AsyncClient(
            transport=transport, base_url="http://localhost:8080", headers={"accept": "text/html"}
        )

    def somebody(self) -> httpx2.AsyncClient:
        """
        Return a browser at an address of its own: whoever fails often waits.
        """
        self.addresses += 1
        return self.browser(peer=(f"198.51.100.{self.addresses}", 1))

    async def begun(self, browser: httpx2.AsyncClient) -> str:
        """
        Begin, sign in at the provider, and return the address that it sends the browser back to.
        """
        start = await browser.get(BEGIN)
        assert start.status_code == 303, start.text
        async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS) as direct:
            answer = await direct.get(start.headers["location"])
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def signed_in(self, browser: httpx2.AsyncClient) -> httpx2.Response:
        return await browser.get(await self.begun(browser))


@pytest.fixture
def more() -> str:
    """
    Give further settings; a test may say others.
    """
    return ""


@pytest.fixture
async def world(tmp_path: Path, more: str) -> AsyncIterator[World]:
    """
    Give a service whose provider runs.
    """
    clock = Clock()
    provider = Provider(clock)
    await provider.start()
    path = tmp_path / "onelogin-connector.toml"
    path.write_text(CONFIG.format(issuer=provider.issuer, client_id=CLIENT_ID, more=more))
    environ = {"SECRET": CLIENT_SECRET, "ONELOGIN_CONNECTOR_ADMIN_PASSWORD": "a long enough password"}
    service = build(
        load(path, environ, data_dir=tmp_path / "data", folder=tmp_path), clock=clock, hasher=QUICK
    )
    yield World(service, provider, clock)
    await service.stop()
    await provider.server.stop()


def role_of(world: World, name: str) -> str | None:
    """
    Return the role of an account, None where there is none.
    """
    return next((each.role for each in world.access.accounts() if each.name == name), None)


async def assert_nobody(
    world: World, browser: httpx2.AsyncClient, answer: httpx2.Response, words: str
) -> None:
    """
    Check that a sign-in was refused, said why, made no account and opened nothing.
    """
    assert answer.status_code in {401, 403, 503}, answer.text
    assert 'role="alert"' in answer.text
    assert re.search(words, answer.text), answer.text
    assert [each.name for each in world.access.accounts()] == ["admin"]
    assert "onelogin_connector_session" not in browser.cookies
    assert (await browser.get("/api/v1/status")).status_code != 200


async def test_the_whole_way(world):
    """
    The sign-in page offers it; the way leads over the provider to a session with the role of the groups.
    """
    async with world.browser() as browser:
        page = await browser.get("/login")
        assert f'href="{BEGIN}"' in page.text
        assert "Sign in with ACME" in page.text
        done = await world.signed_in(browser)
        assert done.status_code == 200
        assert "url=/" in done.text
        cookies = done.headers.get_list("set-cookie")
        session = next(each for each in cookies if "session=" in each)
        assert all(word in session for word in ("HttpOnly", "SameSite=strict"))
        assert (await browser.get("/api/v1/status")).status_code == 200
    account = world.access.account("anna@acme.example")
    assert (account.role, account.issuer, account.has_password) == ("admin", world.provider.issuer, False)
    deeds = world.service.state.deeds(actor="anna@acme.example")
    assert [deed.action for deed in deeds] == ["signed_in"]


async def test_the_browser_takes_only_what_it_needs(world):
    """
    The cookie of a sign-in under way is for this path alone, and nothing of it can be read.
    """
    async with world.browser() as browser:
        start = await browser.get(BEGIN)
    query = {name: values[0] for name, values in parse_qs(urlsplit(start.headers["location"]).query).items()}
    cookie = next(each for each in start.headers.get_list("set-cookie") if SSO_COOKIE in each)
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", f"Path={BEGIN}", "Max-Age=600"))
    assert query["state"] not in cookie
    assert query["redirect_uri"] == f"http://localhost:8080{BACK}"
    assert CLIENT_SECRET not in str(start.headers)
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3


async def test_groups_become_roles(world):
    """
    The most of what fits; a claim may be text or a list.
    """
    for groups, role in (
        (["Security", "Audit"], "admin"),
        (["Night shift"], "operator"),
        ("SOC", "operator"),
        (["Audit", 7, None], "viewer"),
    ):
        world.provider.person["groups"] = groups
        async with world.somebody() as browser:
            assert (await world.signed_in(browser)).status_code == 200
        assert role_of(world, "anna@acme.example") == role


async def test_who_is_in_no_group_stays_outside(world):
    """
    Known at the provider is not yet known here.
    """
    world.provider.userinfo = {"sub": "7"}
    for groups in (["security"], [], "", None, {"Security": 1}, [["Security"]], "Security "):
        world.provider.person["groups"] = groups
        async with world.somebody() as browser:
            await assert_nobody(world, browser, await world.signed_in(browser), "none of your groups")


@pytest.mark.parametrize("more", ['role_claim = "realm.roles"\nname_claim = "nick"'])
async def test_claims_may_lie_deeper(world):
    """
    A path with dots leads into what a provider nests.
    """
    world.provider.person |= {"realm": {"roles": ["SOC"]}, "nick": "Anna"}
    async with world.browser() as browser:
        assert (await world.signed_in(browser)).status_code == 200
    assert role_of(world, "anna") == "operator"


async def test_a_role_follows_the_provider_at_each_sign_in(world):
    """
    Also for sessions that are open; and who lost every group does not come in again.
    """
    async with world.browser() as first, world.browser() as second:
        await world.signed_in(first)
        assert (await first.get("/api/v1/tokens")).status_code == 200
        world.provider.person["groups"] = ["Audit"]
        assert (await world.signed_in(second)).status_code == 200
        assert (await first.get("/api/v1/tokens")).status_code == 403
        world.provider.person["groups"] = []
        async with world.browser() as third:
            assert (await world.signed_in(third)).status_code == 403
    assert len(world.access.accounts()) == 2


async def test_an_account_is_its_subject_and_not_its_name(world):
    """
    A new address at the provider keeps the account; somebody else with the old address does not get it.
    """
    async with world.browser() as browser:
        await world.signed_in(browser)
        world.provider.person["email"] = "anna.new@acme.example"
        await world.signed_in(browser)
    assert [each.name for each in world.access.accounts()] == ["admin", "anna@acme.example"]
    world.provider.person = {"sub": "8", "email": "ANNA@acme.example", "groups": ["Audit"]}
    async with world.browser() as thief:
        answer = await world.signed_in(thief)
        assert "another account of the name anna@acme.example" in answer.text
        assert "onelogin_connector_session" not in thief.cookies


async def test_nobody_becomes_the_local_administrator(world):
    """
    Whatever a provider calls somebody.
    """
    for name in ("admin", "Admin ", "ADMIN"):
        world.provider.person["email"] = name
        async with world.somebody() as browser:
            await assert_nobody(world, browser, await world.signed_in(browser), "another account")
    await world.access.sign_in("admin", "a long enough password", "203.0.113.5")


async def test_groups_may_stand_in_the_users_info(world):
    """
    Asked for where the token lacks them; of the same person, or not believed.
    """
    world.provider.claims["groups"] = None
    async with world.browser() as browser:
        assert (await world.signed_in(browser)).status_code == 200
    assert "/me" in world.provider.calls
    world.provider.userinfo = {"sub": "somebody else", "groups": ["Security"]}
    world.provider.person["sub"] = "9"
    async with world.browser() as browser:
        answer = await world.signed_in(browser)
        assert answer.status_code == 401
        assert "two different persons" in answer.text


LIES = {
    "another nonce": ({"nonce": "x"}, "another sign-in"),
    "no nonce": ({"nonce": None}, "another sign-in"),
    "a nonce that is no text": ({"nonce": ["x"]}, "another sign-in"),
    "another audience": ({"aud": "another"}, "claims do not hold.*aud"),
    "another audience beside": ({"aud": [CLIENT_ID, "another"]}, "another program"),
    "for another party": ({"aud": [CLIENT_ID, "b"], "azp": "b"}, "another program"),
    "another party alone": ({"azp": "b"}, "another program"),
    "no audience": ({"aud": None}, "claims do not hold"),
    "an empty audience": ({"aud": []}, "claims do not hold"),
    "another issuer": ({"iss": "https://evil.example"}, "claims do not hold.*iss"),
    "the issuer with a slash": ({"iss": "SLASH"}, "claims do not hold.*iss"),
    "no issuer": ({"iss": None}, "claims do not hold"),
    "expired": ({"exp": 1_790_000_000 - 61}, "claims do not hold"),
    "expired as text": ({"exp": "1890000000"}, "claims do not hold"),
    "never expires": ({"exp": None}, "claims do not hold"),
    "from the future": ({"iat": 1_790_000_000 + 3_600}, "claims do not hold"),
    "not valid yet": ({"nbf": 1_790_000_000 + 3_600}, "claims do not hold"),
    "of nobody": ({"sub": None}, "claims do not hold"),
    "of an empty subject": ({"sub": ""}, "not believed"),
    "of a subject that is no text": ({"sub": 7}, "claims do not hold"),
    "of an endless subject": ({"sub": "x" * 256}, "names nobody"),
}


async def test_claims_that_do_not_hold_are_refused(world):
    """
    Every one of them rightly signed.
    """
    for claims, words in LIES.values():
        slashed = claims.get("iss") == "SLASH"
        world.provider.claims = {"iss": f"{world.provider.issuer}/"} if slashed else claims
        async with world.somebody() as browser:
            await assert_nobody(world, browser, await world.signed_in(browser), words)


async def test_a_claim_of_just_now_is_believed_although_clocks_differ(world):
    """
    A minute, and not more.
    """
    world.provider.claims = {"iat": 1_790_000_050, "exp": 1_789_999_950}
    async with world.browser() as browser:
        assert (await world.signed_in(browser)).status_code == 200


SIGNATURES = {
    "none": unsigned,
    "None": lambda claims: unsigned(claims, {"alg": "None", "kid": "one"}),
    "no algorithm": lambda claims: unsigned(claims, {"kid": "one"}),
    "another key of that name": lambda claims: jwt.encode({"alg": "RS256", "kid": "one"}, claims, OTHER_KEY),
    "a key of its own header": lambda claims: jwt.encode(
        {"alg": "RS256", "jwk": OTHER_KEY.as_dict(private=False)}, claims, OTHER_KEY
    ),
    "a key that nobody published": lambda claims: jwt.encode({"alg": "ES256", "kid": "ec"}, claims, EC_KEY),
    "no token": lambda claims: "",
    "half a token": lambda claims: "e30.e30",
    "no JSON": lambda claims: "x.y.z",
    "not even text": lambda claims: "\u20ac.\u20ac.\u20ac",
    "five parts": lambda claims: "e30.e30.e30.e30.e30",
}


async def test_tokens_that_prove_nothing_are_refused(world):
    """
    None, another key, a key that the token brings along, and no token at all.
    """
    for sign in SIGNATURES.values():
        world.provider.sign = sign
        async with world.somebody() as browser:
            await assert_nobody(
                world, browser, await world.signed_in(browser), "not believed|does not publish"
            )


async def test_the_public_key_is_no_shared_secret(world):
    """
    The old trick: sign with what everybody can download.
    """
    world.provider.sign = signed_with_public_key(world.provider.key)
    async with world.browser() as browser:
        await assert_nobody(world, browser, await world.signed_in(browser), "proves anything")


async def test_a_changed_token_is_refused(world):
    """
    One claim exchanged, the signature kept.
    """

    def tampered(claims):
        head, _, signature = world.provider._signed(claims | {"groups": []}).split(".")
        body = world.provider._signed(claims | {"groups": ["Security"]}).split(".")[1]
        return f"{head}.{body}.{signature}"

    world.provider.sign = tampered
    async with world.browser() as browser:
        await assert_nobody(world, browser, await world.signed_in(browser), "signature is wrong")


async def test_a_state_is_taken_once(world):
    """
    The address of the way back, with its cookie, works once: a copy of both opens nothing.
    """
    async with world.browser() as browser, world.browser() as thief:
        back = await world.begun(browser)
        thief.cookies.update(dict(browser.cookies))
        assert (await browser.get(back)).status_code == 200
        world.provider.codes[parse_qs(urlsplit(back).query)["code"][0]] = {}
        calls = len(world.provider.calls)
        answer = await thief.get(back)
        assert answer.status_code == 401
        assert "not begun here" in answer.text
        assert len(world.provider.calls) == calls


async def test_only_the_browser_that_began_may_finish(world):
    """
    Neither without its cookie, nor with that of another sign-in: nobody is signed in as an attacker.
    """
    async with world.browser() as attacker, world.browser() as victim:
        back = await world.begun(attacker)
        await assert_nobody(world, victim, await victim.get(back), "not begun here")
        await world.begun(victim)
        await assert_nobody(world, victim, await victim.get(back), "not begun here")
    for place, query in enumerate(("", "?state=x", "?code=x", "?state=&code=")):
        async with world.browser(peer=(f"203.0.113.{100 + place}", 1)) as stranger:
            stranger.cookies.set(SSO_COOKIE, "forged")
            await assert_nobody(world, stranger, await stranger.get(BACK + query), "not begun here")


async def test_a_sign_in_ends_after_ten_minutes(world):
    """
    A forgotten tab is no way in.
    """
    async with world.browser() as browser:
        back = await world.begun(browser)
        world.clock.now += PENDING_SECONDS + 1
        await assert_nobody(world, browser, await browser.get(back), "too old")


async def test_another_providers_answer_is_refused(world):
    """
    Mixing providers up: the answer names its issuer, and it is not this one.
    """
    world.provider.answer = {"iss": "https://evil.example"}
    async with world.browser() as browser:
        await assert_nobody(world, browser, await world.signed_in(browser), "another identity provider")
    assert "/token" not in world.provider.calls


async def test_what_the_provider_refuses_is_told_as_text(world):
    """
    Its error may hold anything.
    """
    world.provider.answer = {"error": "<script>alert(1)</script>", "code": ""}
    async with world.browser() as browser:
        answer = await world.signed_in(browser)
        await assert_nobody(world, browser, answer, "refused: &lt;script&gt;")
        assert "<script>alert" not in answer.text


async def test_a_code_that_is_not_taken(world):
    """
    A wrong client secret, say.
    """
    world.provider.token_status = 401
    async with world.browser() as browser:
        await assert_nobody(world, browser, await world.signed_in(browser), "compare client_id")


async def test_keys_may_change(world):
    """
    A token of a new key makes its keys be asked for again, but a forger cannot make us ask all the time.
    """
    async with world.browser() as browser:
        assert (await world.signed_in(browser)).status_code == 200
        world.provider.key = RSAKey.generate_key(2048, {"kid": "two"})
        world.provider.published = [world.provider.key]
        assert (await world.signed_in(browser)).status_code == 401
        world.clock.now += KEYS_SECONDS
        assert (await world.signed_in(browser)).status_code == 200
        asked = world.provider.calls.count("/keys")
        world.provider.sign = SIGNATURES["a key that nobody published"]
        for _ in range(3):
            assert (await world.signed_in(browser)).status_code == 401
        assert world.provider.calls.count("/keys") == asked


async def test_other_keys_of_the_set_do_no_harm(world):
    """
    A set may hold keys of other kinds, for other uses, and without a name.
    """
    world.provider.published = [EC_KEY, OTHER_KEY, world.provider.key]
    world.provider.sign = lambda claims: jwt.encode({"alg": "RS256"}, claims, world.provider.key)
    async with world.browser() as browser:
        assert (await world.signed_in(browser)).status_code == 200
    world.provider.person |= {"sub": "8", "email": "ben"}
    world.provider.sign = lambda claims: jwt.encode({"alg": "ES256", "kid": "ec"}, claims, EC_KEY)
    async with world.browser() as browser:
        assert (await world.signed_in(browser)).status_code == 200


async def test_a_document_that_cannot_be_used(world):
    """
    Another issuer, or addresses to which nothing may be sent in the clear.
    """
    for lie in (
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"jwks_uri": 7},
    ):
        world.provider.metadata = lie
        async with world.somebody() as browser:
            answer = await browser.get(BEGIN)
            await assert_nobody(world, browser, answer, "identity provider")
            assert 'name="password"' in answer.text


async def test_a_provider_that_is_down_leaves_the_password(world):
    """
    The page says so, and the other way in is there and works.
    """
    await world.provider.server.stop()
    async with world.browser() as browser:
        answer = await browser.get(BEGIN)
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text
        form = re.search(r'name="form" value="(\w+)"', answer.text)[1]
        data = {"form": form, "user": "admin", "password": "a long enough password"}
        assert (await browser.post("/login", data=data)).status_code == 303


async def test_what_is_published_is_asked_for_once_an_hour(world):
    """
    Not at every sign-in.
    """
    async with world.browser() as browser:
        for _ in range(3):
            await world.signed_in(browser)
        assert world.provider.calls.count("/.well-known/openid-configuration") == 1
        assert world.provider.calls.count("/keys") == 1
        world.clock.now += METADATA_SECONDS
        await world.signed_in(browser)
        assert world.provider.calls.count("/.well-known/openid-configuration") == 2


async def test_failures_lock_out(world):
    """
    Whoever fails again and again waits, and no call goes out for it meanwhile.
    """
    world.provider.claims = {"nonce": "x"}
    async with world.browser() as browser:
        for _ in range(5):
            assert (await world.signed_in(browser)).status_code == 401
        calls = len(world.provider.calls)
        assert (await browser.get(BEGIN)).status_code == 429
        assert (await browser.get(f"{BACK}?code=x&state=y")).status_code == 429
        assert len(world.provider.calls) == calls
    async with world.browser(peer=("203.0.113.77", 1)) as other:
        world.provider.claims = {}
        assert (await world.signed_in(other)).status_code == 200


async def test_who_may_not_come_in_locks_nobody_out(world):
    """
    An office behind one address: colleagues without a group are refused, and the one with it comes in.
    """
    world.provider.person["groups"] = []
    async with world.browser() as browser:
        for _ in range(7):
            assert (await world.signed_in(browser)).status_code == 403
        world.provider.person["groups"] = ["Audit"]
        assert (await world.signed_in(browser)).status_code == 200


async def test_a_client_secret_may_go_in_the_form(world):
    """
    Where the provider takes it no other way.
    """
    world.provider.basic = False
    async with world.browser() as browser:
        assert (await world.signed_in(browser)).status_code == 200


async def test_an_account_of_the_provider_has_no_password_and_no_role_of_ours(world):
    """
    Both are decided there.
    """
    async with world.browser() as browser:
        await world.signed_in(browser)
        headers = {"origin": "http://localhost:8080", "accept": "*/*"}
        answer = await browser.post(
            "/api/v1/password", json={"user": "anna@acme.example", "password": "x" * 20}, headers=headers
        )
        assert answer.status_code == 422
        assert "signs in at the identity provider" in answer.text
    async with world.browser() as browser:
        page = await browser.get("/login")
        form = re.search(r'name="form" value="(\w+)"', page.text)[1]
        data = {"form": form, "user": "anna@acme.example", "password": ""}
        assert (await browser.post("/login", data=data)).status_code == 401


async def test_without_settings_there_is_no_single_sign_on(tmp_path):
    """
    No button, and nothing at its addresses.
    """
    environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": "a long enough password"}
    service = build(load(None, environ, data_dir=tmp_path / "data", folder=tmp_path), hasher=QUICK)
    world = World(service, None, Clock())
    async with world.browser() as browser:
        assert BEGIN not in (await browser.get("/login")).text
        for path in (BEGIN, BACK):
            assert (await browser.get(path)).status_code == 404
    await service.stop()
