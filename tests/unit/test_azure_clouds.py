"""
Endpoints are told apart by their names, to the dot.
"""

import pytest

from onelogin_connector.azure.clouds import CLOUDS, cloud_of


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://x-ab12.westeurope-1.ingest.monitor.azure.com", "public"),
        ("https://X-AB12.WestEurope-1.Ingest.Monitor.Azure.COM.", "public"),
        ("https://x.usgovvirginia-1.ingest.monitor.azure.us", "government"),
        ("https://x.chinanorth3-1.ingest.monitor.azure.cn", "china"),
        ("https://0.ods.opinsights.azure.us/api/logs", "government"),
        ("http://127.0.0.1:9001", "public"),
        ("http://[::1]:9001", "public"),
        ("https://ingest.monitor.azure.com", None),
        ("https://xingest.monitor.azure.com", None),
        ("https://x.ingest.monitor.azure.com.evil.example", None),
        ("https://monitor.azure.com", None),
        ("https://example.com/x.ingest.monitor.azure.com", None),
        ("", None),
    ],
)
def test_a_cloud_is_told_by_the_end_of_the_name(endpoint, name):
    """
    The whole ending decides; what only looks like it belongs to no cloud.
    """
    found = cloud_of(endpoint)
    assert (found and found.name) == name


def test_no_token_is_good_in_two_clouds():
    """
    Every cloud has a sign-in and an audience of its own, and asks for the whole of it.
    """
    assert len({cloud.authority for cloud in CLOUDS.values()}) == 3
    assert [cloud.scope for cloud in CLOUDS.values()] == [
        "https://monitor.azure.com/.default",
        "https://monitor.azure.us/.default",
        "https://monitor.azure.cn/.default",
    ]
