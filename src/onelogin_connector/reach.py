"""
Which hosts may be reached: those that a person names in the console have to be public.

An address typed into a form must not turn this machine into a way into its network. So every connection to a host
that was set in the console is made to an address that was looked at first: the name is resolved once, all that it
resolves to has to be public, and the connection goes to one of the very addresses that were looked at. A name that
answers with a public address now and a private one a moment later gains nothing. Hosts that
``allow_private_hosts`` lists may lie anywhere.

Through a proxy the proxy resolves the name. What can be seen from here is refused all the same; for the rest the
proxy's own rules count.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpcore2
import httpx2

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port → its addresses."""

NAT64 = ip_network("64:ff9b::/96")
"""Networks with IPv6 alone show hosts of IPv4 in this range; what counts is the address within."""


class NotPublicError(OSError):
    """
    A host lies in a private network, and is not listed as allowed.
    """


class Reach:
    """
    The rule of one program.
    """

    def __init__(self, allowed: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        """
        Allow public hosts, and some others.

        Args:
            allowed: Host names or addresses, without port, that may be private.
            resolve: In place of the system's name service, for tests.
        """
        self._allowed = frozenset(map(_plain, allowed))
        self._resolve = resolve or _resolved

    def allows(self, host: str) -> bool:
        """
        Tell whether a host is listed as allowed, wherever it lies.
        """
        return _plain(host) in self._allowed

    def refuses(self, host: str) -> bool:
        """
        Tell whether a host can be refused by its text alone: an address that is not public, or this machine's name.
        """
        name = _plain(host)
        if self.allows(name):
            return False
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return not is_public(name)
        except ValueError:
            return False

    async def addresses(self, host: str, port: int) -> list[str]:
        """
        Return the addresses that may be connected to.

        Raises:
            NotPublicError: One of them is not public.
            OSError: The name is not known.
        """
        if self.refuses(host):
            raise NotPublicError(f"{host} is not a public host")
        found = await self._resolve(host, port)
        if not self.allows(host) and not all(map(is_public, found)):
            raise NotPublicError(f"{host} leads to an address that is not public")
        return found

    async def require(self, request: httpx2.Request) -> None:
        """
        Refuse a request by what can be seen before anything is connected; it may go through a proxy.

        Raises:
            NotPublicError: Its host is not public.
        """
        host = request.url.host
        try:
            await self.addresses(host, request.url.port or 443)
        except socket.gaierror:
            return  # a proxy may know the name; without one, connecting fails with the same error

    def guard(self, client: httpx2.AsyncClient, *, trust_env: bool, limits: httpx2.Limits) -> None:
        """
        Let a client connect where it may, and nowhere else; to be called before its first request.

        Args:
            client: Without a transport of its own. One given as an argument would end the use of proxies, which are
                mounted beside it, so it is put in here.
            trust_env: Whether the client reads the variables of proxies and certificates.
        """
        client.event_hooks = {**client.event_hooks, "request": [self.require]}
        verify = httpx2.create_ssl_context(trust_env=trust_env)
        client._transport = self.transport(verify=verify, limits=limits)  # noqa: SLF001

    def transport(self, *, verify: ssl.SSLContext, limits: httpx2.Limits) -> httpx2.AsyncBaseTransport:
        """
        Return a transport whose connections go where they may.
        """
        made = httpx2.AsyncHTTPTransport(verify=verify, limits=limits)
        # the library takes no network backend of ours, so its pool is made anew with one
        made._pool = httpcore2.AsyncConnectionPool(  # noqa: SLF001
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Watched(self),
        )
        return made


class _Watched(httpcore2.AsyncNetworkBackend):
    """
    Connects to addresses that were looked at.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's protocol
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """
        Connect to the first address that answers.

        Raises:
            NotPublicError: The host may not be reached.
            OSError: Its name is not known.
        """
        found = await self._reach.addresses(host, port)
        error: Exception = OSError(f"{host} has no address")
        for address in found:
            try:
                return await self._backend.connect_tcp(
                    address,
                    port,
                    timeout=timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except httpcore2.ConnectError as refused:
                error = refused
        raise error


def is_public(address: str) -> bool:
    """
    Tell whether an address is anybody's to reach.

    Raises:
        ValueError: It is no address.
    """
    found = ip_address(address.strip("[]").partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = _within(found)
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


def _within(address: IPv6Address) -> IPv4Address | None:
    """
    Return the IPv4 address that an IPv6 address stands for, if it stands for one.
    """
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _plain(host: str) -> str:
    return host.strip().strip("[]").lower().rstrip(".")


async def _resolved(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
