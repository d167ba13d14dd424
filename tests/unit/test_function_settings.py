"""
The settings of the function app: those of Microsoft's function as they are, ours by their fixed names.
"""

import re
from pathlib import Path

import pytest

from onelogin_connector.config.function import NAMES, ByConnection, ByIdentity, load
from onelogin_connector.errors import ConfigError
from onelogin_connector.serverless.building import start
from onelogin_connector.serverless.front import Closed
from onelogin_connector.sinks import data_collector, logs_ingestion

PAGE = Path(__file__).parents[2] / "docs" / "azure" / "function-settings.md"
SECRET_WORDS = ("s3cret-token-0123456789-abcdef", "bm90IGEga2V5LCBqdXN0IHRoZSBzaGFwZSBvZiBvbmU=")
OLD = {
    "OneLoginBearerToken": SECRET_WORDS[0],
    "WorkspaceID": "00000000-0000-0000-0000-000000000000",
    "WorkspaceKey": SECRET_WORDS[1],
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
}
NEW = {
    "OneLoginBearerToken": SECRET_WORDS[0],
    "AzureWebJobsStorage__blobServiceUri": "https://account.blob.core.windows.net",
    "AzureWebJobsStorage__credential": "managedidentity",
    "AzureWebJobsStorage__clientId": "22222222-2222-2222-2222-222222222222",
    "ONELOGIN_CONNECTOR_LOGS_ENDPOINT": "https://onelogin-ab12.westeurope-1.ingest.monitor.azure.com",
    "ONELOGIN_CONNECTOR_LOGS_RULE_ID": f"dcr-{'0' * 32}",
}
API = {
    "ONELOGIN_CONNECTOR_POLL": "on",
    "ONELOGIN_CONNECTOR_DOMAIN": "acme",
    "ONELOGIN_CONNECTOR_CLIENT_ID": "id",
    "ONELOGIN_CONNECTOR_CLIENT_SECRET": "another-secret-of-the-api",
}


def test_the_settings_of_microsofts_function_are_understood():
    """An existing deployment needs no setting changed, also in another cloud."""
    settings = load(OLD | {"logAnalyticsUri": "https://00000000.ods.opinsights.azure.us", "Unknown": "x"})
    assert isinstance(settings.sink, data_collector.Settings)
    assert settings.sink.endpoint == "https://00000000.ods.opinsights.azure.us"
    assert [token.reveal() for token in settings.tokens] == [SECRET_WORDS[0]]
    assert isinstance(settings.storage, ByConnection)
    assert (settings.container, settings.api, settings.connector) == ("onelogin-connector", None, "default")


def test_a_rule_wins_over_a_workspace():
    """While both are set, during a migration, events go to the rule, with a managed identity."""
    settings = load(OLD | NEW | API)
    assert isinstance(settings.sink, logs_ingestion.Settings)
    assert settings.sink.events_stream == "Custom-OneLogin_CL"
    assert settings.api is not None
    assert settings.api.url == "https://acme.onelogin.com"
    by_identity = load(NEW).storage
    assert isinstance(by_identity, ByIdentity)
    assert by_identity.client_id.startswith("2222")


def test_two_tokens_during_a_rotation():
    """Both names hold a valid token."""
    settings = load(OLD | {"ONELOGIN_CONNECTOR_WEBHOOK_TOKEN": "the-next-token-of-this-webhook"})
    assert len(settings.tokens) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_key_vault_reference_that_was_not_resolved_is_refused(name):
    """Azure leaves its text in place of the secret; the setting is named, whichever it is."""
    environ = (
        OLD | NEW | API | {name: "@Microsoft.KeyVault(SecretUri=https://vault.vault.azure.net/secrets/x)"}
    )
    with pytest.raises(ConfigError, match=f"{name} holds a Key Vault reference") as error:
        load(environ)
    assert "Key Vault Secrets User" in error.value.action
    assert "vault.vault.azure.net" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({**OLD, "OneLoginBearerToken": " "}, "OneLoginBearerToken"),
        ({**OLD, "WorkspaceKey": ""}, "WorkspaceKey"),
        ({**OLD, "WorkspaceKey": "no base64 at all!"}, "WorkspaceKey"),
        ({**OLD, "WorkspaceID": "none"}, "WorkspaceID"),
        ({**OLD, "logAnalyticsUri": "ftp://x"}, "logAnalyticsUri"),
        ({**OLD, "AzureWebJobsStorage": ""}, "AzureWebJobsStorage"),
        ({**OLD, "ONELOGIN_CONNECTOR_SPOOL_CONTAINER": "No_Container"}, "SPOOL_CONTAINER"),
        ({**OLD, "ONELOGIN_CONNECTOR_POLL": "maybe"}, "POLL"),
        ({**OLD, "ONELOGIN_CONNECTOR_POLL": "on"}, "DOMAIN"),
        ({**OLD, **API, "ONELOGIN_CONNECTOR_DOMAIN": "evil.example"}, "DOMAIN"),
        ({**NEW, "ONELOGIN_CONNECTOR_LOGS_RULE_ID": ""}, "LOGS_RULE_ID"),
        ({**NEW, "ONELOGIN_CONNECTOR_LOGS_RULE_ID": "onelogin-rule"}, "LOGS_RULE_ID"),
        ({**NEW, "ONELOGIN_CONNECTOR_LOGS_ENDPOINT": "https://example.com"}, "LOGS_ENDPOINT"),
        ({**NEW, "ONELOGIN_CONNECTOR_LOGS_STREAM": "OneLogin"}, "LOGS_STREAM"),
        ({**NEW, "AzureWebJobsStorage__credential": "key"}, "AzureWebJobsStorage__credential"),
        ({"OneLoginBearerToken": "x", "AzureWebJobsStorage": "x"}, "No destination"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is(given, named):
    """The message names the setting and what to do, and repeats no secret."""
    with pytest.raises(ConfigError) as error:
        load(given)
    assert named in str(error.value)
    assert error.value.action or str(error.value).endswith(".")
    assert not any(word in str(error.value) for word in SECRET_WORDS)


@pytest.mark.anyio
async def test_an_app_that_is_not_set_up_says_so(caplog):
    """Every request gets a 503 with a document, the cause stands in the log and under /healthz, and nothing crashes."""
    front = start({**OLD, "WorkspaceKey": "@Microsoft.KeyVault(SecretUri=https://v/secrets/k)"})
    assert isinstance(front, Closed)
    answer = await front.webhook("POST", {}, b"[]")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert b"WorkspaceKey" not in answer.body
    health = await front.health()
    assert health.status == 503
    assert b"WorkspaceKey" in health.body
    assert "WorkspaceKey" in caplog.text
    with pytest.raises(ConfigError):
        await front.drain()


def test_a_connection_string_that_cannot_be_read_is_no_crash():
    """The storage account's own setting may be wrong too."""
    front = start({**OLD, "AzureWebJobsStorage": "nonsense"})
    assert isinstance(front, Closed)


def test_every_setting_stands_in_the_documentation():
    """The page lists what is read, and nothing else."""
    listed = set(re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert listed == set(NAMES)
