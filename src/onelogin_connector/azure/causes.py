"""
What can go wrong between this program and a service of Azure: what it means, and what a person does about it.

Each API has a table of causes of its own, by the code of the error or by the status; what is in no table is told by
the status alone. A message is the cause's meaning, followed by what was seen this time in brackets.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from onelogin_connector.errors import ConfigError, ConnectorError, Refused, Unavailable


class Cause(Struct, frozen=True):
    """
    One kind of trouble: what it means, what a person does about it, and what the program does next.
    """

    meaning: str
    action: str
    error: type[ConnectorError] = Unavailable
    """``Unavailable`` is tried again by itself, ``Unauthorized`` and ``ConfigError`` after a pause, ``TooLarge``
    in smaller parts; ``Refused`` says that at least one of the records is at fault."""


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


TRANSPORT = MappingProxyType(
    {
        "proxy-address": Cause(
            "The address of the proxy cannot be used.",
            "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; it has the form http://host:port.",
            ConfigError,
        ),
        "name": Cause(
            "The host's name is not known.",
            "Compare it with the address shown in the Azure portal, then look at this machine's name server; with "
            "a private link, at its private DNS zone.",
        ),
        "private": Cause(
            "The host is not public, and the console may set public hosts alone.",
            "If it is meant, list it in allow_private_hosts under [web], or set the sink up in the settings file.",
            ConfigError,
        ),
        "connection": Cause(
            "No connection could be made.",
            "Let this machine reach the host by https (port 443): look at firewall, routing and HTTPS_PROXY.",
        ),
        "certificate": Cause(
            "The host could not prove who it is.",
            "If a proxy of yours looks into TLS, name its certificate authority with SSL_CERT_FILE; if none does, "
            "somebody else answers. Look at this machine's date too.",
        ),
        "proxy": Cause(
            "The proxy refused.",
            "Look at HTTPS_PROXY (with user and password, if it wants them), and let the proxy pass the host; "
            "NO_PROXY goes around it.",
        ),
        "timeout": Cause(
            "No complete answer came in time.",
            "It is tried again. If it stays so, look at the network, the proxy, and the health of the service in Azure.",
        ),
        "broken": Cause(
            "The connection broke, or what came over it is no HTTP.",
            "It is tried again. If it stays so, look at the proxy between this machine and Azure.",
        ),
    }
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


def error_of(
    cause: Cause, seen: str, *, wait_seconds: float | None = None, records: int = 1
) -> ConnectorError:
    """
    Make the error of a cause.

    Args:
        seen: What was seen this time; nothing secret, and no text of the other side that was not cleaned.
        wait_seconds: The wait before the next try, where one is known.
        records: How many records ``Refused`` names.
    """
    message = f"{cause.meaning} ({seen})" if seen else cause.meaning
    if issubclass(cause.error, Refused):
        return Refused(dict.fromkeys(range(records), message), action=cause.action)
    if issubclass(cause.error, Unavailable):
        return cause.error(message, action=cause.action, after_seconds=wait_seconds)
    return cause.error(message, action=cause.action)
