"""
What the HTTP library raises, for tests that must not miss a kind.
"""

import httpx2

GROUPS = frozenset(
    {httpx2.TransportError, httpx2.TimeoutException, httpx2.NetworkError, httpx2.ProtocolError}
)


def raised_by_library():
    """
    Return every exception of the library that a call can end with, without those that only group others.
    """
    return {
        found
        for name in httpx2.__all__
        if isinstance(found := getattr(httpx2, name), type)
        and issubclass(found, httpx2.TransportError | httpx2.InvalidURL | httpx2.DecodingError)
    } - GROUPS
