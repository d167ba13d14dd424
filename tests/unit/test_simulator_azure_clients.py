"""
Microsoft's own libraries take the simulation for Azure: they sign in, send, and read its refusals.
"""

import asyncio

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.monitor.ingestion import LogsIngestionClient

from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import (
    ASSERTION,
    CLIENT_ID,
    CLIENT_SECRET,
    MANAGED_ID,
    RULE_ID,
    STRANGER_ID,
    TENANT_ID,
    Subscription,
)
from onelogin_connector.simulator.serving import bind, serving

SCOPE = "https://monitor.azure.com/.default"
STREAM = "Custom-OneLogin_CL"


class Plain(RequestsTransport):
    """
    Goes to this machine without TLS, which the libraries insist on.
    """

    def send(self, request, **options):
        request.url = request.url.replace("https://", "http://")
        return super().send(request, **options)


def within(act):
    """
    Call a function with the address of a simulation; returns what it returned, and the subscription.
    """

    async def story():
        api = Api(Subscription())
        async with serving(api, bind()) as url:
            return await asyncio.to_thread(act, url), api.subscription

    return asyncio.run(story())


def signed_in(url, secret=CLIENT_SECRET, client=CLIENT_ID, **options):
    """
    Return the credential of an application.
    """
    authority = url.replace("http://", "https://")
    return ClientSecretCredential(
        TENANT_ID,
        client,
        secret,
        authority=authority,
        disable_instance_discovery=True,
        transport=Plain(),
        **options,
    )


def test_an_application_signs_in():
    """
    The library finds the endpoint by discovery, and gets a token that the simulation accepts.
    """

    def act(url):
        with signed_in(url) as credential:
            return credential.get_token(SCOPE).token

    token, subscription = within(act)
    assert subscription.entra.read(f"Bearer {token}").principal == CLIENT_ID


@pytest.mark.parametrize(
    ("changes", "scope", "code"),
    [
        ({"secret": "wrong"}, SCOPE, "AADSTS7000215"),
        ({"client": "nobody"}, SCOPE, "AADSTS700016"),
        ({}, "https://monitor.azure.us/.default", "AADSTS500011"),
    ],
)
def test_a_refusal_is_read(changes, scope, code):
    """
    Each wrong sign-in is the library's own error, with Entra's number.
    """

    def act(url):
        with signed_in(url, **changes) as credential, pytest.raises(ClientAuthenticationError) as caught:
            credential.get_token(scope)
        return str(caught.value)

    text, _ = within(act)
    assert code in text


@pytest.mark.parametrize("place", ["machine", "app service"])
def test_a_machine_has_an_identity(monkeypatch, place):
    """
    Both endpoints of managed identities answer as the library expects.
    """

    def act(url):
        if place == "machine":
            monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)
        else:
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
            monkeypatch.setenv("IDENTITY_HEADER", "x")
        with ManagedIdentityCredential() as credential:
            return credential.get_token(SCOPE)

    token, subscription = within(act)
    assert subscription.entra.read(f"Bearer {token.token}").principal == MANAGED_ID
    assert 3_500 < token.expires_on - subscription.clock() < 3_700


def test_a_workload_signs_in_by_its_file(tmp_path):
    """
    The federated token of a file is taken in place of a secret.
    """
    path = tmp_path / "token"
    path.write_text(ASSERTION)

    def act(url):
        credential = WorkloadIdentityCredential(
            tenant_id=TENANT_ID,
            client_id=CLIENT_ID,
            token_file_path=str(path),
            authority=url.replace("http://", "https://"),
            disable_instance_discovery=True,
            transport=Plain(),
        )
        with credential:
            return credential.get_token(SCOPE).token

    token, subscription = within(act)
    assert subscription.entra.read(f"Bearer {token}").principal == CLIENT_ID


def upload(url, rows, **changes):
    """
    Send rows by Microsoft's client; returns what it said of those that were refused.
    """
    refused = []
    with signed_in(url, **changes) as credential, LogsIngestionClient(url, credential) as client:
        client.upload(RULE_ID, STREAM, rows, on_error=refused.append, enforce_https=False)
    return refused


def test_rows_are_sent_by_the_official_client():
    """
    Rows arrive, and no call is refused.
    """
    refused, subscription = within(
        lambda url: upload(url, [{"user_name_s": f"user {n}"} for n in range(100)])
    )
    assert refused == []
    assert [row["user_name_s"] for row in subscription.sentinel.rows("OneLogin_CL")] == [
        f"user {n}" for n in range(100)
    ]


def test_the_official_client_meets_the_limit():
    """
    It forgets the commas between small records, so that the first of its calls is too large; the refusal names both sizes.
    """
    rows = [{"user_name_s": "x" * 8}] * 60_000
    refused, subscription = within(lambda url: upload(url, rows))
    assert refused
    for each in refused:
        assert isinstance(each.error, HttpResponseError)
        assert each.error.status_code == 413
        assert "1048576" in str(each.error)
    kept = len(subscription.sentinel.rows("OneLogin_CL"))
    assert kept + sum(len(each.failed_logs) for each in refused) == len(rows)


def test_the_official_client_is_told_of_a_missing_role():
    """
    A stranger's call is a 403 with the code that the client's own troubleshooting page names.
    """
    (refused,), subscription = within(lambda url: upload(url, [{}], client=STRANGER_ID))
    assert refused.error.status_code == 403
    assert refused.error.error.code == "OperationFailed"
    assert subscription.sentinel.rows("OneLogin_CL") == []
