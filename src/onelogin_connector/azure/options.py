"""
Settings that both sinks for Microsoft Sentinel have.
"""

from typing import Annotated

from onelogin_connector.setting import about

IncludeBackfill = Annotated[
    bool,
    about(
        "Send entries that came by backfill or import too. Azure stamps what is older than two days with the "
        "time of arrival, and rules see it as new. Without this they are counted as skipped.",
        example=True,
    ),
]
