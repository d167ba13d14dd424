"""
What can go wrong between this program and a service of Azure: what it means, and what a person does about it.

Each API has a table of causes of its own, by the code of the error or by the status; what is in no table is told by
the status alone.
"""

from collections.abc import Mapping

from msgspec import Struct

from onelogin_connector.cause import Cause, on_the_way
from onelogin_connector.errors import ConfigError


class Api(Struct, frozen=True):
    """
    What the answers of one API mean.
    """

    name: str
    """As it stands in sentences: ``the Logs Ingestion API``."""
    accepted: frozenset[int]
    """The statuses of success."""
    causes: Mapping[str | int, Cause]
    """By the error's code (``InvalidAuthorization``) or by the status; the code comes first. What is in
    neither is an outage for 408, 429 and 5xx, and else a request that the service refuses as it is."""


TRANSPORT = on_the_way(
    "Azure",
    health="the health of the service in Azure",
    name="Compare it with the address shown in the Azure portal, then look at this machine's name server; with "
    "a private link, at its private DNS zone.",
    private=Cause(
        "The host is not public, and the console may set public hosts alone.",
        "If it is meant, list it in allow_private_hosts under [web], or set the sink up in the settings file.",
        ConfigError,
    ),
)
"""What can go wrong on the way, for any API."""

RATE_LIMIT = Cause(
    "The service takes no more at the moment, since too much came too fast.",
    "It is tried again by itself, as late as the service asks.",
)
OUTAGE = Cause("The service cannot answer at the moment.", "It is tried again by itself.")
STRANGE = Cause(
    "The answer is none that this API gives.",
    "Nothing is passed over, and it is tried again. See what answers in the service's place: a proxy, a sign-in "
    "page of the network, or a wrong address.",
)
REFUSED = Cause(
    "The service refuses the request as it is.",
    "Compare the sink's settings with the Azure portal. It is tried again from time to time.",
    ConfigError,
)


def cause_of(api: Api, status: int, code: str) -> Cause | None:
    """
    Say what an answer amounts to; None for a success.
    """
    if status in api.accepted:
        return None
    known = api.causes.get(code) or api.causes.get(status)
    if known is not None:
        return known
    if status == 429:
        return RATE_LIMIT
    if status in {408, 425} or status >= 500:
        return OUTAGE
    if status == 407:
        return TRANSPORT["proxy"]
    return REFUSED if status >= 400 else STRANGE
