"""
Which hosts may be connected to, attacked with every way of writing an address of this machine.
"""

import asyncio
import socket

import httpx2
import pytest

from onelogin_connector.reach import NotPublicError, Reach, is_public
from tests.loops import undisturbed

INSIDE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
    "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "192.0.2.1",
]  # fmt: skip
OUTSIDE = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


def test_addresses():
    """
    Private, local, shared, reserved and multicast addresses are not public, however they are wrapped.
    """
    assert [address for address in INSIDE if is_public(address)] == []
    assert [address for address in OUTSIDE if not is_public(address)] == []


def of(*addresses):
    """
    Return a resolver that always answers these addresses.
    """

    async def resolve(host, port):
        return [*addresses]

    return resolve


def found(reach, host):
    """
    Ask for the addresses of a host.
    """
    return asyncio.run(reach.addresses(host, 443))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "[::1]", "0.0.0.0"])
def test_this_machine_is_refused_by_its_text(host):
    """
    Nobody is asked for what is known.
    """
    with pytest.raises(NotPublicError):
        found(Reach(resolve=of("8.8.8.8")), host)


def test_one_private_address_among_public_ones_is_enough():
    """
    A name is as private as the most private of its addresses.
    """
    assert found(Reach(resolve=of("8.8.8.8")), "example.com") == ["8.8.8.8"]
    with pytest.raises(NotPublicError):
        found(Reach(resolve=of("8.8.8.8", "10.0.0.1")), "example.com")
    with pytest.raises(NotPublicError):
        found(Reach(resolve=of("127.0.0.1")), "2130706433")


def test_what_is_allowed_is_allowed_by_name():
    """
    A listed host may lie anywhere; another name of the same address may not.
    """
    reach = Reach(["Siem.Corp.", "10.0.0.1"], resolve=of("10.0.0.1"))
    assert found(reach, "siem.corp") == ["10.0.0.1"]
    assert found(reach, "10.0.0.1") == ["10.0.0.1"]
    for host in ("other.corp", "siem.corp.evil.example", "10.0.0.2"):
        with pytest.raises(NotPublicError):
            found(reach, host)


def test_the_connection_goes_to_the_address_that_was_looked_at():
    """
    The name is not resolved a second time on the way: what was checked is what is connected to.
    """
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    async def served(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    async def story():
        server = await asyncio.start_server(served, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            for allowed, works in ((["pretend.example.com"], True), ([], False)):
                transport = Reach(allowed, resolve=resolve).transport(
                    verify=httpx2.create_ssl_context(), limits=httpx2.Limits()
                )
                async with httpx2.AsyncClient(transport=transport) as client:
                    asking = client.get(f"http://pretend.example.com:{port}/")
                    if works:
                        assert (await asking).text == "hi"
                    else:
                        with pytest.raises(NotPublicError):
                            await asking
        finally:
            server.close()
            await server.wait_closed()

    undisturbed(story())
    assert asked == ["pretend.example.com"] * 2


def test_an_unknown_name_is_left_to_the_connection():
    """
    Before a request a name that only a proxy knows is no reason to refuse.
    """

    async def unknown(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    asyncio.run(Reach(resolve=unknown).require(httpx2.Request("GET", "https://only-the-proxy.example.com")))
    with pytest.raises(NotPublicError):
        asyncio.run(Reach(resolve=unknown).require(httpx2.Request("GET", "https://192.168.0.1")))
