"""
A simulated Azure: for the demo, and for whoever wants to try sinks and settings without a subscription.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import structs

from onelogin_connector.config import Settings, SinkSettings
from onelogin_connector.setting import OF_DEMO, HttpUrl, Secret

if TYPE_CHECKING:
    from onelogin_connector.simulator.azure.api import Api

MOST_ROWS = 100_000
"""Of each table the newest so many are kept: it may run for weeks."""

EXAMPLE = """\
[sinks.sentinel]
kind = "logs_ingestion"
endpoint = "{url}"
rule_id = "{rule}"
table = "OneLogin_CL"

[sinks.sentinel.credential]
kind = "client_secret"
tenant_id = "{tenant}"
client_id = "{client}"
client_secret = {{ env = "SIMULATED_SECRET" }} # {secret}
authority = "{url}"

[sinks.legacy]
kind = "data_collector"
endpoint = "{url}"
workspace_id = "{workspace}"
workspace_key = {{ env = "SIMULATED_KEY" }} # {key}
"""


def azure() -> "Api":
    """
    Return a subscription of Azure with its endpoints.
    """
    from onelogin_connector.simulator.azure.api import Api
    from onelogin_connector.simulator.azure.subscription import Subscription

    return Api(Subscription(most_rows=MOST_ROWS))


@asynccontextmanager
async def azure_on(port: int) -> AsyncIterator[str]:
    """
    Serve a simulated Azure on this machine; gives its address.

    Raises:
        ConfigError: The port is taken.
    """
    from onelogin_connector.simulator.serving import bind, serving

    async with serving(azure(), bind(port)) as url:
        yield url


def example(url: str) -> str:
    """
    Return the settings of sinks for a simulated Azure, as they stand in the settings file.
    """
    from onelogin_connector.simulator.azure import subscription

    return EXAMPLE.format(
        url=url,
        rule=subscription.RULE_ID,
        tenant=subscription.TENANT_ID,
        client=subscription.CLIENT_ID,
        secret=subscription.CLIENT_SECRET,
        workspace=subscription.LEGACY_ID,
        key=subscription.WORKSPACE_KEY,
    )


def delivering(settings: Settings, url: str) -> Settings:
    """
    Return the settings with sinks into a simulated Azure by both of its APIs; those of the same names stay.
    """
    from onelogin_connector.azure.credentials import ClientSecret
    from onelogin_connector.azure.logs_ingestion import RuleId
    from onelogin_connector.simulator.azure import subscription
    from onelogin_connector.sinks import data_collector, logs_ingestion

    address = HttpUrl(url)
    credential = ClientSecret(
        tenant_id=subscription.TENANT_ID,
        client_id=subscription.CLIENT_ID,
        client_secret=Secret(subscription.CLIENT_SECRET, OF_DEMO),
        authority=address,
    )
    sentinel = logs_ingestion.Settings(
        endpoint=address,
        rule_id=RuleId(subscription.RULE_ID),
        credential=credential,
    )
    legacy = data_collector.Settings(
        workspace_id=data_collector.WorkspaceId(subscription.LEGACY_ID),
        workspace_key=Secret(subscription.WORKSPACE_KEY, OF_DEMO),
        endpoint=address,
    )
    added = {
        "sentinel": SinkSettings(kind="logs_ingestion", settings=sentinel),
        "legacy": SinkSettings(kind="data_collector", settings=legacy),
    }
    return structs.replace(settings, sinks=added | settings.sinks)
