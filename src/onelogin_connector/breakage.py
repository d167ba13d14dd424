"""
Why an HTTP exchange brought no answer, in one word and in a text that is our own machine's.

A library's exception never passes on: its text may repeat what was sent. What it was is told by its type, and by
those of the exceptions that led to it.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpx2

from onelogin_connector.reach import NotPublicError


class Breakage(NamedTuple):
    """
    How an exchange ended without an answer.
    """

    kind: str
    """``certificate``, ``private``, ``name``, ``proxy``, ``timeout``, ``connection`` or ``broken``."""
    detail: str
    """What was seen this time; may be empty."""

    def at(self, place: str) -> str:
        """
        Return the detail behind where it happened.
        """
        return f"{place}: {self.detail}" if self.detail else place


def breakage(error: BaseException, seconds: float) -> Breakage:
    """
    Tell why an exchange failed.

    Args:
        error: What the HTTP library raised.
        seconds: How long the exchange took.
    """
    chain = list(_chain(error))
    for each in chain:  # the causes that say most lie deepest
        match each:
            case ssl.SSLCertVerificationError():
                return Breakage("certificate", getattr(each, "verify_message", "") or "it is not trusted")
            case NotPublicError():
                return Breakage("private", "")
            case socket.gaierror():
                return Breakage("name", each.strerror or "it has no address")
    for each in chain:
        match each:
            case httpx2.ProxyError():
                return Breakage("proxy", "")
            case httpx2.TimeoutException() | TimeoutError():
                return Breakage("timeout", f"after {seconds:.0f} seconds")
            case httpx2.ConnectError():
                return Breakage("connection", _reason(chain))
    return Breakage("broken", type(error).__name__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """
    Give an exception and those that led to it, within groups too.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _reason(chain: list[BaseException]) -> str:
    told = [each.strerror for each in chain if isinstance(each, OSError) and each.errno and each.strerror]
    return told[0] if told else "no route, or nobody listens"
