"""
The HTTP Data Collector API: its address, its headers, and what its answers mean.

Success is 200, which says that the records were accepted, not that they can be queried yet. The causes are those
that Microsoft documents; a 400 without one of the known codes is taken for a record's fault, so that a single
record can never hold up all others for ever.
"""

from types import MappingProxyType

from onelogin_connector.azure.causes import Api
from onelogin_connector.azure.signature import PATH
from onelogin_connector.cause import Cause
from onelogin_connector.errors import ConfigError, Refused, TooLarge, Unauthorized

TARGET = f"{PATH}?api-version=2016-04-01"

_KEY = Cause(
    "The workspace does not accept this key.",
    "Copy workspace id and primary key anew (Log Analytics workspace > Settings > Agents), see that both are of the "
    "same workspace, that the key was not regenerated, and that this machine's clock is right; a workspace that "
    "takes data by a private link alone cannot be reached by this API.",
    Unauthorized,
)
_HEADERS = Cause(
    "The service misses or does not accept a header that was sent.",
    "A proxy between this machine and Azure changes requests: let it pass this host untouched.",
    ConfigError,
)
_WORKSPACE = Cause(
    "There is no workspace of this id.",
    "Copy workspace_id anew from the workspace's overview in the Azure portal, and set cloud to the cloud it is in.",
    ConfigError,
)

API = Api(
    "the Data Collector API",
    frozenset({200}),
    MappingProxyType(
        {
            "InvalidAuthorization": _KEY,
            401: _KEY,
            403: _KEY,
            "InactiveCustomer": Cause(
                "The workspace has been closed.",
                "Open it again in Azure within the days that it can be recovered, or set workspace_id and workspace_key "
                "of another.",
                ConfigError,
            ),
            "InvalidCustomerId": _WORKSPACE,
            "InvalidLogType": Cause(
                "The service does not accept this log_type.",
                "Set log_type to letters alone, such as OneLogin.",
                ConfigError,
            ),
            "InvalidApiVersion": _HEADERS,
            "MissingApiVersion": _HEADERS,
            "MissingContentType": _HEADERS,
            "UnsupportedContentType": _HEADERS,
            "MissingLogType": _HEADERS,
            "InvalidDataFormat": Cause(
                "The service cannot read this record.",
                "Look at the dead letter; if it is an event like any other, report it.",
                Refused,
            ),
            400: Cause(
                "The service refuses this record, without saying why in a way that is known.",
                "Look at the dead letter; if it is an event like any other, report it.",
                Refused,
            ),
            404: Cause(
                "There is no Data Collector at this address.",
                "Compare endpoint, workspace_id and cloud; without endpoint the address is made from the other two.",
                ConfigError,
            ),
            413: Cause("The post is too large.", "It is cut smaller by itself.", TooLarge),
        }
    ),
)
"""What the answers of this API mean."""

CREDENTIAL_CODES = frozenset({"InvalidAuthorization", "InactiveCustomer", "InvalidCustomerId"})
"""What is wrong then is the workspace or its key; any other 400 found both in order."""
