"""
The HTTP client with which a service is called.

What holds for every call: redirects are not followed, so that no token goes anywhere else; the certificate is
verified; cookies are neither kept nor sent.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx2

from onelogin_connector import __version__
from onelogin_connector.reach import Reach
from onelogin_connector.setting import is_loopback

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0  # a service answers within a second or two, or not at all
KEPT_CONNECTIONS = 2


class ProxyAddressError(ValueError):
    """
    The address of a proxy cannot be used; it is not told, for it may hold a password.
    """


def http_client(
    url: str,
    *,
    transport: httpx2.AsyncBaseTransport | None,
    trust_env: bool,
    reach: Reach | None,
    connections: int,
    packing: str,
) -> httpx2.AsyncClient:
    """
    Make the HTTP client of one host.

    Args:
        url: Where the host is; an address of this machine is never reached by a proxy.
        transport: In place of the network, for tests; proxies do not apply then.
        trust_env: Let the HTTP library read the proxies' and the certificates' variables (``HTTPS_PROXY``,
            ``NO_PROXY``, ``SSL_CERT_FILE`` …).
        reach: Which hosts may be connected to; None for any.
        connections: How many there are at the most.
        packing: How an answer may be packed, as ``accept-encoding`` says it.

    Raises:
        ProxyAddressError: The proxy's address cannot be used.
    """
    trust_env = trust_env and not is_loopback(urlsplit(url).hostname or "")
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=KEPT_CONNECTIONS)
    try:
        client = httpx2.AsyncClient(
            transport=transport,
            trust_env=trust_env,
            follow_redirects=False,
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            limits=limits,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            headers={
                "user-agent": f"onelogin-connector/{__version__}",
                "accept": "application/json",
                "accept-encoding": packing,
            },
        )
    except (ValueError, httpx2.InvalidURL, ImportError):
        raise ProxyAddressError from None
    if reach is not None and transport is None:
        reach.guard(client, trust_env=trust_env, limits=limits)
    elif reach is not None:
        client.event_hooks = {"request": [reach.require]}
    return client


def http_date_seconds(text: str) -> float | None:
    """
    Read a date as HTTP writes it, as Unix seconds; None if it is none.
    """
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
    return seconds if 0 < seconds < 2**32 else None
