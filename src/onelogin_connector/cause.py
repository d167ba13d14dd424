"""
One kind of trouble with a service: what it means, and what a person does about it.

Each service has a table of causes of its own. What can go wrong on the way to one is the same for all, and stands
here. A message is the cause's meaning, followed by what was seen this time in brackets.
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


def error_of(
    cause: Cause, seen: str, *, after_seconds: float | None = None, records: int = 1
) -> ConnectorError:
    """
    Make the error of a cause.

    Args:
        seen: What was seen this time; nothing secret, and no text of the other side that was not cleaned.
        after_seconds: The wait before the next try, where one is known.
        records: How many records ``Refused`` names.
    """
    message = f"{cause.meaning} ({seen})" if seen else cause.meaning
    if issubclass(cause.error, Refused):
        return Refused(dict.fromkeys(range(records), message), action=cause.action)
    if issubclass(cause.error, Unavailable):
        return cause.error(message, action=cause.action, after_seconds=after_seconds)
    return cause.error(message, action=cause.action)


def on_the_way(service: str, *, health: str, name: str, private: Cause) -> Mapping[str, Cause]:
    """
    Return what can go wrong on the way to a service, under the kinds of ``breakage`` and ``proxy-address``.

    Args:
        service: As it stands in sentences: ``OneLogin``.
        health: Where its health is shown, as it stands in sentences.
        name: What to do about a name that is not known.
        private: The cause where the host may not be reached, since it is not public.
    """
    return MappingProxyType(
        {
            "proxy-address": Cause(
                "The address of the proxy cannot be used.",
                "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; it has the form http://host:port.",
                ConfigError,
            ),
            "name": Cause("The host's name is not known.", name),
            "private": private,
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
                f"It is tried again. If it stays so, look at the network, the proxy, and {health}.",
            ),
            "broken": Cause(
                "The connection broke, or what came over it is no HTTP.",
                f"It is tried again. If it stays so, look at the proxy between this machine and {service}.",
            ),
        }
    )
