"""
A simulated Azure: for the demo, and for whoever wants to try sinks and settings without a subscription.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

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
credential = {{ kind = "static_token", token = {{ env = "SIMULATED_TOKEN" }} }} # {token}

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
    from onelogin_connector.simulator.azure.subscription import (
        LEGACY_ID,
        RULE_ID,
        STATIC_TOKEN,
        WORKSPACE_KEY,
    )

    return EXAMPLE.format(url=url, rule=RULE_ID, token=STATIC_TOKEN, workspace=LEGACY_ID, key=WORKSPACE_KEY)
