"""
The right to write, held by one at a time.
"""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from time import monotonic

from onelogin_connector.azure.blobs import Container
from onelogin_connector.errors import Busy, ConnectorError

LEASE_SECONDS = 60
"""As long as Azure allows. Whoever is killed keeps the next one waiting for so long."""
RENEW_SECONDS = 15.0
SURE_SECONDS = 45.0
"""After so long without a renewal nothing new is begun, though the lease should still hold."""


class Lease:
    """
    A lease of one blob, renewed in a thread of its own while work goes on.
    """

    def __init__(
        self, container: Container, name: str, proof: str, *, tick: Callable[[], float] = monotonic
    ) -> None:
        self.proof = proof
        self._container, self._name, self._tick = container, name, tick
        self._renewed_at = tick()
        self._over = Event()
        self._keeper = Thread(target=self._renew_until_over, name="lease", daemon=True)

    def require(self) -> None:
        """
        Make sure before something that cannot be fenced, such as a call to a destination.

        Raises:
            Busy: The lease is lost, or may be.
        """
        if self._tick() - self._renewed_at > SURE_SECONDS:
            self.renew()

    def renew(self) -> None:
        """
        Keep it for another minute.

        Raises:
            Busy: It is lost.
            Unavailable: Nobody knows.
        """
        began = self._tick()
        self._container.renew(self._name, self.proof)
        self._renewed_at = began

    def _renew_until_over(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            # who needs it asks ``require``, and every commit shows it in any case
            with suppress(ConnectorError):
                self.renew()

    def keep(self) -> None:
        """
        Renew it in the background from now on.
        """
        self._keeper.start()

    def end(self) -> None:
        """
        Give it back.
        """
        self._over.set()
        self._keeper.join()
        with suppress(ConnectorError):
            self._container.release(self._name, self.proof)


def take(container: Container, name: str, *, tick: Callable[[], float] = monotonic) -> Lease:
    """
    Take the lease.

    Args:
        tick: Seconds that never jump.

    Raises:
        Busy: Somebody else has it.
    """
    proof = container.lease(name, LEASE_SECONDS)
    if proof is None:
        raise Busy(
            f"Somebody else is working on {name} at the moment.",
            action="Nothing is to be done: it has its turn within a minute.",
        )
    return Lease(container, name, proof, tick=tick)
