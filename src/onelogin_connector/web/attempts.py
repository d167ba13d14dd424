"""
Slow down whoever guesses passwords.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

MOST_REMEMBERED = 10_000
"""Addresses and names remembered; the ones seen longest ago are forgotten first, so memory is bounded."""

LONGEST_LOCK_SECONDS = 900.0
FIRST_LOCK_SECONDS = 30.0


@dataclass(slots=True)
class _Failures:
    count: int = 0
    locked_until: float = 0.0


class Attempts:
    """
    Failed attempts per name; after some in a row the name is locked, twice as long each further time.
    """

    def __init__(self, *, allowed: int, clock: Callable[[], float]) -> None:
        """
        Start with nobody locked.

        Args:
            allowed: Failures in a row before the first lock.
            clock: Unix seconds.
        """
        self._allowed = allowed
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def locked_seconds(self, name: str) -> float:
        """
        Return how long a name has to wait; 0 if it need not.
        """
        failures = self._failures.get(name)
        return max(0.0, failures.locked_until - self._clock()) if failures else 0.0

    def failed(self, name: str) -> None:
        """
        Count a failure.
        """
        failures = self._failures.setdefault(name, _Failures())
        self._failures.move_to_end(name)
        failures.count += 1
        if failures.count >= self._allowed:
            doublings = min(failures.count - self._allowed, 10)
            seconds = min(LONGEST_LOCK_SECONDS, FIRST_LOCK_SECONDS * 2**doublings)
            failures.locked_until = self._clock() + seconds
        while len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """
        Forget a name's failures.
        """
        self._failures.pop(name, None)


def neighbourhood(address: str) -> str:
    """
    Return what one attacker commands: an IPv4 address, or the /64 around an IPv6 address.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))
