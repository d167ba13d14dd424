"""
The three clouds of Azure: where each signs in, and by what its endpoints are recognised.

A token of one cloud is worth nothing in another, so the audience follows the endpoint unless a setting says
otherwise.
"""

from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from onelogin_connector.reach import Reach
from onelogin_connector.setting import is_loopback

CloudName = Literal["public", "government", "china"]


class Cloud(Struct, frozen=True):
    """
    One cloud.
    """

    name: CloudName
    authority: str
    """Where tokens come from, without a closing slash."""
    audience: str
    """What a token for Azure Monitor is made out to."""
    domain: str
    """What the names of its endpoints end with."""

    @property
    def scope(self) -> str:
        """
        What is asked for when a token for Azure Monitor is wanted.
        """
        return f"{self.audience}/.default"

    @property
    def data_collector_suffix(self) -> str:
        """
        What follows a workspace's id in the name of its Data Collector endpoint.
        """
        return f"ods.opinsights.{self.domain}"

    @property
    def ingestion_suffix(self) -> str:
        """
        What the name of a Logs Ingestion endpoint ends with.
        """
        return f"ingest.monitor.{self.domain}"


CLOUDS = MappingProxyType(
    {
        cloud.name: cloud
        for cloud in (
            Cloud("public", "https://login.microsoftonline.com", "https://monitor.azure.com", "azure.com"),
            Cloud("government", "https://login.microsoftonline.us", "https://monitor.azure.us", "azure.us"),
            Cloud("china", "https://login.chinacloudapi.cn", "https://monitor.azure.cn", "azure.cn"),
        )
    }
)
"""Name → cloud."""


def cloud_of(endpoint: str) -> Cloud | None:
    """
    Recognise the cloud of a Data Collector or Logs Ingestion endpoint; None where the host is none of Azure's.

    An address of this machine, where a simulator listens, counts as public.
    """
    host = (urlsplit(endpoint).hostname or "").rstrip(".").lower()
    return CLOUDS["public"] if is_loopback(host) else _owner(host)


def is_azures(endpoint: str) -> bool:
    """
    Tell whether an endpoint is one of Azure's own, by its name.
    """
    return _owner((urlsplit(endpoint).hostname or "").rstrip(".").lower()) is not None


def quotable(endpoint: str, reach: Reach | None) -> bool:
    """
    Tell whether what an endpoint answers may be repeated: where a person named it in the console, Azure's words alone.
    """
    return reach is None or is_azures(endpoint)


def _owner(host: str) -> Cloud | None:
    for cloud in CLOUDS.values():
        if host.endswith((f".{cloud.ingestion_suffix}", f".{cloud.data_collector_suffix}")):
            return cloud
    return None
