"""
Who is asking, and under which name: client addresses behind proxies, and the Host header.

A page in an administrator's browser can be made to send requests to this server under a name that its
attacker chose (DNS rebinding). Requests that a browser could send are therefore answered only under the
names that this server is known by.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

FORWARDING = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via", "x-real-ip")
"""Headers by which a request shows that it came through a proxy."""


class Hosts:
    """
    What this server is called, and whose word about clients is believed.
    """

    def __init__(
        self, *, public_url: str | None, host: str, trusted_proxies: Sequence[Network], tls: bool
    ) -> None:
        """
        Take the names from the settings.

        Args:
            host: The address that is listened on; a wildcard adds no name.
            tls: Whether this server itself speaks TLS.
        """
        public = urlsplit(public_url) if public_url else None
        self.names = set(LOOPBACK_NAMES)
        if host not in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not listened on
            self.names.add(_bracketed(host))
        if public and public.hostname:
            self.names.add(_bracketed(public.hostname))
        self.secure = tls or (public is not None and public.scheme == "https")
        self._trusted = tuple(trusted_proxies)

    def known(self, host: str) -> bool:
        """
        Tell whether a Host header names this server; its port does not matter.
        """
        return _name(host) in self.names

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """
        Return the client's address: the peer, or the last address that a trusted proxy did not add itself.
        """
        if not self._trusted or not self._is_trusted(peer):
            return peer
        address = peer
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            address = hop.strip() or address
            if not self._is_trusted(address):
                break
        return address

    def is_local(self, peer: str, headers: Mapping[str, str]) -> bool:
        """
        Tell whether a request came from this machine itself, through no proxy.
        """
        return (
            _is_loopback(peer)
            and _name(headers.get("host", "")) in LOOPBACK_NAMES
            and not any(name in headers for name in FORWARDING)
        )

    def may_crowd(self, peer: str) -> bool:
        """
        Tell whether connections from an address may be many people's: this machine, a trusted proxy.
        """
        return not peer or _is_loopback(peer) or self._is_trusted(peer)

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)


def _name(host: str) -> str:
    """
    Return a Host header's name without its port.
    """
    name = host.strip().lower()
    name = name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
    return name.rstrip(".")


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    host = host.lower().rstrip(".")
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
