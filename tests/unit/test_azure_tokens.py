"""
Tokens: kept while they are good, new when they were refused, and every refusal of the sign-in in a sentence.
"""

import asyncio
import io
import logging
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from onelogin_connector.azure import identity
from onelogin_connector.azure.clouds import CLOUDS
from onelogin_connector.azure.credentials import (
    ClientSecret,
    ManagedIdentity,
    StaticTokenCredential,
    WorkloadIdentity,
    hidden_of,
    tokens_of,
)
from onelogin_connector.azure.entra import REFUSALS, DirectIssuer, refusal_of
from onelogin_connector.azure.tokens import REFUSED_SECONDS, Granted, KeptTokens
from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.hiding import Hidden
from onelogin_connector.setting import HttpUrl, Secret
from onelogin_connector.simulator.azure.entra import Application, Entra

NOW = 1_795_200_000.0
TENANT, CLIENT, VALUE = "11111111-1111-4111-8111-111111111111", "22222222", "5ec2e7aa-value"
PUBLIC = CLOUDS["public"]
URL = HttpUrl("http://127.0.0.1:9")


class Clock:
    """
    Time that stands until it is moved.
    """

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class Counting:
    """
    An issuer that counts, and fails as its script says.
    """

    def __init__(self, clock, life=3_600.0, script=()):
        self.clock, self.life, self.script = clock, life, list(script)
        self.asked = []
        self.closed = 0

    async def grant(self, *, anew):
        self.asked.append(anew)
        await asyncio.sleep(0)
        if self.script:
            raise self.script.pop(0)
        return Granted(Secret(f"token-{len(self.asked)}-0123456789"), self.clock() + self.life)

    async def close(self):
        self.closed += 1


def kept(act, **named):
    """
    Run a story with tokens of a counting issuer.
    """
    clock = Clock()
    issuer = Counting(clock, **named)
    hidden = Hidden()
    tokens = KeptTokens(issuer, hidden, clock=clock)
    return asyncio.run(act(tokens, issuer, clock, hidden))


def test_a_token_is_kept_until_shortly_before_it_ends():
    """
    One call brings it, for everybody who asks at once; two minutes before its end another comes.
    """

    async def act(tokens, issuer, clock, hidden):
        first = set(await asyncio.gather(*(tokens.get() for _ in range(20))))
        assert first == {"token-1-0123456789"}
        clock.now += 3_479
        assert await tokens.get() in first
        clock.now += 2
        assert await tokens.get() == "token-2-0123456789"
        assert issuer.asked == [False, False]
        assert "token-2" not in hidden.clean("it is token-2-0123456789")

    kept(act)


def test_a_short_life_is_used_too():
    """
    A token for a minute is used for half of it, and not fetched anew for every post.
    """

    async def act(tokens, issuer, clock, hidden):
        for _ in range(3):
            await tokens.get()
        assert len(issuer.asked) == 1
        clock.now += 31
        await tokens.get()
        assert len(issuer.asked) == 2

    kept(act, life=60.0)


def test_after_a_refusal_no_cache_answers():
    """
    A token that was refused is asked for anew, once.
    """

    async def act(tokens, issuer, clock, hidden):
        await tokens.get()
        tokens.void()
        assert await tokens.get() == "token-2-0123456789"
        tokens.void()
        tokens.void()
        await tokens.get()
        clock.now += 4_000
        await tokens.get()
        assert issuer.asked == [False, True, True, False]

    kept(act)


@pytest.mark.parametrize("error", [Unauthorized("No.", action="Do."), ConfigError("Wrong.", action="Do.")])
def test_a_refused_credential_is_left_in_peace(error):
    """
    For some seconds the same refusal is given without asking; then it is tried again.
    """

    async def act(tokens, issuer, clock, hidden):
        for _ in range(3):
            with pytest.raises(type(error)) as caught:
                await tokens.get()
            assert (caught.value.message, caught.value.action) == (error.message, "Do.")
        assert len(issuer.asked) == 1
        clock.now += REFUSED_SECONDS
        assert await tokens.get() == "token-2-0123456789"

    kept(act, script=[error])


def test_an_outage_is_tried_again_at_once():
    """
    What passes by itself is left to the loop's back-off, and a token that is wanted anew stays wanted.
    """

    async def act(tokens, issuer, clock, hidden):
        tokens.void()
        with pytest.raises(Unavailable):
            await tokens.get()
        await tokens.get()
        assert issuer.asked == [True, True]
        await tokens.close()
        assert issuer.closed == 1

    kept(act, script=[Unavailable("later")])


def entra(**named):
    """
    Return a simulated tenant with an application, a workload and a machine.
    """
    applications = {
        CLIENT: Application(CLIENT, VALUE, "assertion"),
        "machine": Application("machine", is_managed=True),
    }
    return Entra(TENANT, applications, **{"cloud": "public", "clock": lambda: NOW} | named)


class Tenant(HTTPAdapter):
    """
    The simulated sign-in as the library reaches it.
    """

    def __init__(self, entra):
        super().__init__()
        self.entra = entra
        self.urls = []
        self.fails = None

    def send(self, request, **named):
        self.urls.append(request.url)
        if isinstance(self.fails, Exception):
            raise self.fails
        parts = urlsplit(request.url)
        query, base = dict(parse_qsl(parts.query)), f"https://{parts.netloc}"
        if self.fails:
            status, body = self.fails
        elif parts.hostname == "169.254.169.254":
            answer = self.entra.of_machine(query["resource"], query.get("client_id"))
            status, body = answer.status, answer.body
        elif parts.path.endswith("openid-configuration"):
            answer = self.entra.discovery(base, parts.path.split("/")[1])
            status, body = answer.status, answer.body
        else:
            body = request.body.decode() if isinstance(request.body, bytes) else request.body
            answer = self.entra.sign_in(parts.path.split("/")[1], dict(parse_qsl(body)))
            status, body = answer.status, answer.body
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        return self.build_response(
            request,
            HTTPResponse(io.BytesIO(body), status=status, headers=headers, preload_content=False),
        )


class Library:
    """
    The library's credentials on a simulated tenant.
    """

    def __init__(self, **named):
        self.tenant = Tenant(entra(**named))
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("https://", self.tenant)
        self.session.mount("http://", self.tenant)
        self.hidden = Hidden(VALUE)
        self.options = {
            "hidden": self.hidden,
            "transport": RequestsTransport(session=self.session, session_owner=False),
        }

    def secret(self, tenant=TENANT, client=CLIENT, value=VALUE, cloud=PUBLIC):
        """Return the issuer of an application with a secret."""
        return identity.client_secret(cloud, tenant, client, Secret(value), **self.options)

    def refusal(self, issuer):
        """Return what the issuer says instead of giving a token."""

        async def act():
            with pytest.raises(ConnectorError) as caught:
                await issuer.grant(anew=False)
            await issuer.close()
            return caught.value

        return asyncio.run(act())


def test_the_library_signs_in_with_a_secret():
    """
    The token is for Azure Monitor of the cloud, cached by the library, and a really new one when it was refused.
    """
    library = Library()
    issuer = library.secret()

    async def act():
        first = await issuer.grant(anew=False)
        again = await issuer.grant(anew=False)
        new = await issuer.grant(anew=True)
        await issuer.close()
        return first, again, new

    first, again, new = asyncio.run(act())
    assert first.token == again.token != new.token
    assert library.tenant.entra.given == 2
    assert library.tenant.entra.read(f"Bearer {new.token.reveal()}").audience == "https://monitor.azure.com"
    assert first.ends > NOW - 1e9
    assert {urlsplit(url).hostname for url in library.tenant.urls} == {"login.microsoftonline.com"}


@pytest.mark.parametrize("name", ["government", "china"])
def test_other_clouds_have_their_own_sign_in(name):
    """
    Host and audience are those of the cloud.
    """
    library = Library(cloud=name)
    issuer = library.secret(cloud=CLOUDS[name])

    async def act():
        granted = await issuer.grant(anew=False)
        await issuer.close()
        return granted

    granted = asyncio.run(act())
    found = library.tenant.entra.read(f"Bearer {granted.token.reveal()}")
    assert found.audience == CLOUDS[name].audience
    assert {f"https://{urlsplit(url).hostname}" for url in library.tenant.urls} == {CLOUDS[name].authority}


def test_the_library_signs_in_as_the_machine():
    """
    A managed identity comes from the machine's own address, and one that was not assigned is named as missing.
    """
    library = Library()

    async def act():
        issuer = identity.managed(PUBLIC, "", **library.options)
        granted = await issuer.grant(anew=False)
        await issuer.close()
        return granted

    granted = asyncio.run(act())
    assert library.tenant.entra.read(f"Bearer {granted.token.reveal()}").principal == "machine"
    assert {urlsplit(url).hostname for url in library.tenant.urls} == {"169.254.169.254"}
    error = library.refusal(identity.managed(PUBLIC, "nobody", **library.options))
    assert isinstance(error, Unauthorized)
    assert "managed identity" in error.message


def test_the_library_signs_in_as_a_workload(tmp_path, monkeypatch):
    """
    A workload signs in by the token in its file; without one it is said what is missing.
    """
    file = tmp_path / "token"
    file.write_text("assertion")
    library = Library()

    async def act():
        issuer = identity.workload(PUBLIC, TENANT, CLIENT, str(file), **library.options)
        granted = await issuer.grant(anew=False)
        await issuer.close()
        return granted

    granted = asyncio.run(act())
    assert library.tenant.entra.read(f"Bearer {granted.token.reveal()}").principal == CLIENT
    file.write_text("forged")
    error = library.refusal(identity.workload(PUBLIC, TENANT, CLIENT, str(file), **library.options))
    assert isinstance(error, Unauthorized)
    assert "federated credential" in error.action
    error = library.refusal(
        identity.workload(PUBLIC, TENANT, CLIENT, str(tmp_path / "no"), **library.options)
    )
    assert isinstance(error, ConnectorError)
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    error = library.refusal(identity.workload(PUBLIC, "", "", "", **library.options))
    assert isinstance(error, ConfigError)
    assert "token_file" in error.action


@pytest.mark.parametrize(
    ("named", "kind", "said"),
    [
        ({"value": "wrong"}, Unauthorized, "client secret"),
        ({"client": "stranger"}, Unauthorized, "no such application"),
        ({"tenant": "99999999-1111-4111-8111-111111111111"}, ConfigError, "no such tenant"),
        ({"tenant": "under_score"}, Unauthorized, "no token"),
        ({"cloud": CLOUDS["china"]}, ConfigError, "this cloud"),
    ],
)
def test_each_refusal_of_the_library_is_a_sentence(named, kind, said, caplog):
    """
    What Entra refuses is told in our words with its number, and never with the secret.
    """
    error = Library().refusal(Library().secret(**named))
    assert type(error) is kind, error
    assert said in error.message
    assert error.action
    assert VALUE not in str(error)
    assert error.__suppress_context__
    assert "Trace ID" not in str(error)


@pytest.mark.parametrize(
    "failure",
    [
        requests.exceptions.ConnectTimeout("slow"),
        requests.exceptions.ReadTimeout("slow"),
        requests.exceptions.ConnectionError("refused"),
        requests.exceptions.SSLError("certificate"),
        requests.exceptions.ProxyError("proxy"),
        requests.exceptions.ChunkedEncodingError("cut"),
        (503, b"{}"),
        (429, b'{"error":"slow down"}'),
        (500, b"<html>"),
        (503, b""),
    ],
    ids=repr,
)
def test_an_outage_of_the_sign_in_passes(failure):
    """
    Whatever keeps the sign-in from answering is tried again by itself.
    """
    library = Library()
    library.tenant.fails = failure
    error = library.refusal(library.secret())
    assert type(error) is Unavailable, repr(error)


def test_a_machine_without_identity_says_so():
    """
    Where nothing answers at the machine's own address, there is no managed identity, and that is no outage.
    """
    library = Library()
    library.tenant.fails = requests.exceptions.ConnectTimeout("nobody")
    error = library.refusal(identity.managed(PUBLIC, "", **library.options))
    assert type(error) is Unauthorized
    assert "no such managed identity" in error.message


def test_a_failed_sign_in_is_not_remembered():
    """
    After an outage the next attempt begins anew, and succeeds.
    """
    library = Library()
    issuer = library.secret()

    async def act():
        library.tenant.fails = (503, b"")
        with pytest.raises(Unavailable):
            await issuer.grant(anew=False)
        library.tenant.fails = None
        assert (await issuer.grant(anew=False)).token.reveal()
        await issuer.close()
        await issuer.close()

    asyncio.run(act())


def direct(answer=None, **named):
    """
    Ask a sign-in on this machine, which answers by the simulated tenant or as told.
    """
    tenant = entra()

    def handle(request):
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return httpx2.Response(**answer)
        found = tenant.sign_in(request.url.path.split("/")[1], dict(parse_qsl(request.content.decode())))
        return httpx2.Response(found.status, content=found.body)

    async def act():
        chosen = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": Secret(VALUE)} | named
        issuer = DirectIssuer(
            URL,
            **chosen,
            scope=PUBLIC.scope,
            hidden=Hidden(VALUE),
            transport=httpx2.MockTransport(handle),
            clock=lambda: NOW,
        )
        try:
            return await issuer.grant(anew=False)
        finally:
            await issuer.close()

    return asyncio.run(act()), tenant


def test_a_sign_in_on_this_machine_is_asked_directly():
    """
    A simulator speaks plain http, which the library refuses; its token ends when it says.
    """
    granted, tenant = direct()
    assert granted.ends == NOW + 3_599
    assert tenant.read(f"Bearer {granted.token.reveal()}").principal == CLIENT


@pytest.mark.parametrize(
    ("answer", "named", "kind"),
    [
        (None, {"client_secret": Secret("wrong")}, Unauthorized),
        (None, {"tenant_id": "other/../x"}, ConfigError),
        (None, {"client_id": "stranger"}, Unauthorized),
        ({"status_code": 400, "content": b"nonsense"}, {}, Unauthorized),
        ({"status_code": 401, "content": b'{"error_description":[5]}'}, {}, Unauthorized),
        ({"status_code": 200, "content": b"<html>"}, {}, Unavailable),
        ({"status_code": 200, "content": b'{"access_token":5}'}, {}, Unavailable),
        ({"status_code": 503}, {}, Unavailable),
        ({"status_code": 429, "headers": {"retry-after": "7"}}, {}, Unavailable),
        ({"status_code": 404}, {}, ConfigError),
        (httpx2.ConnectError("refused"), {}, Unavailable),
    ],
)
def test_a_direct_refusal_is_a_sentence_too(answer, named, kind):
    """
    The same words as for the library, and none of the secret.
    """
    with pytest.raises(ConnectorError) as caught:
        direct(answer, **named)
    assert type(caught.value) is kind
    assert caught.value.action
    assert VALUE not in str(caught.value)
    if isinstance(answer, dict) and "headers" in answer:
        assert caught.value.after_seconds == 7


@given(st.text() | st.sampled_from(sorted(REFUSALS)).map(lambda code: f"x AADSTS{code}: because"))
def test_a_refusal_always_has_a_cause(text):
    """
    A number that is known has its sentence; anything else has the general one.
    """
    cause, number = refusal_of(text)
    assert cause.meaning
    assert cause.action
    assert number in text


def test_each_credential_brings_its_tokens(monkeypatch):
    """
    A static token is given as it is; the others come from where their kind says, and no secret shows.
    """
    static = StaticTokenCredential(token=Secret("static-0123456789"))
    secret = ClientSecret(tenant_id=TENANT, client_id=CLIENT, client_secret=Secret(VALUE))
    tokens = tokens_of(static, PUBLIC, hidden_of(static))

    async def act():
        first = await tokens.get()
        tokens.void()
        assert await tokens.get() == first == "static-0123456789"
        await tokens.close()

    asyncio.run(act())
    assert "static-01" not in hidden_of(static).clean("a static-0123456789 b")
    assert VALUE not in hidden_of(secret).clean(f"a {VALUE} b")
    for each in (secret, ManagedIdentity(), WorkloadIdentity()):
        assert isinstance(tokens_of(each, PUBLIC, Hidden()), KeptTokens)
        assert VALUE not in repr(each)


def test_a_library_that_is_missing_is_named(monkeypatch):
    """
    Without the extra it is said at the start how to install it; a static token needs nothing.
    """
    monkeypatch.setitem(__import__("sys").modules, "onelogin_connector.azure.identity", None)
    monkeypatch.delattr("onelogin_connector.azure.identity", raising=False)
    with pytest.raises(ConfigError, match=r"onelogin-connector\[azure\]"):
        tokens_of(ManagedIdentity(), PUBLIC, Hidden())
    assert tokens_of(StaticTokenCredential(token=Secret("x")), PUBLIC, Hidden())


def test_the_libraries_do_not_log_what_is_told_anyway(capsys):
    """
    A refused sign-in is told once, by us; what the libraries say of it is kept out of the log.
    """
    from onelogin_connector.cli import logs

    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.set_up(level="DEBUG", form="json")
        Library().refusal(Library().secret(value="wrong"))
        assert "azure" not in capsys.readouterr().err
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
