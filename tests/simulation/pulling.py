"""
A company, both of its channels, and the real parts that collect from it, in time that only the test moves.

Nothing of ours is replaced: client, poller, webhook source, journal and state on disk, store. The account answers
in this process. Deliveries to the store are made at once, so that a figure is never late for another reason than
the one tested.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import httpx2

from onelogin_connector.event import Offset
from onelogin_connector.journal.lmdb import LmdbJournal
from onelogin_connector.marks import SweptHour
from onelogin_connector.onelogin import event_types
from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.client import OneLogin
from onelogin_connector.setting import Secret
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api
from onelogin_connector.simulator.company import HOUR_US, Company
from onelogin_connector.simulator.credential import CLIENT_ID, CLIENT_SECRET
from onelogin_connector.simulator.listing import Delay, Listed
from onelogin_connector.simulator.trouble import Fault
from onelogin_connector.simulator.webhooks import Faults, Request, requests
from onelogin_connector.sources.polling import Poller
from onelogin_connector.sources.webhook import WebhookSource, token_hash
from onelogin_connector.state import State
from onelogin_connector.store import Store
from onelogin_connector.store.completeness import HourFigures, Swept

CONNECTOR = "acme"
TOKEN = "a-token-of-twenty-four-characters"
SECOND_US = 1_000_000


class World:
    """
    One connector's parts, from a moment of a company's story on.
    """

    def __init__(
        self,
        folder: Path,
        company: Company,
        start_us: int,
        *,
        faults: Faults | None = None,
        delays: Sequence[Delay] = (),
        poll_seconds: float = 300.0,
        overlap_minutes: float = 10.0,
    ) -> None:
        self.folder, self.company, self.start_us = folder, company, start_us
        self.now = start_us / SECOND_US
        self.account = Account(company, delays=delays, clock=lambda: self.now, sleep=self._sleep)
        self.api = Api(self.account)
        self.told: set[str] = set()
        """Uuids of the events whose webhook was answered 200."""
        self.statuses: list[tuple[float, str]] = []
        """When the poller turned to which state."""
        self._faults = faults or Faults()
        self._pace = {"poll_seconds": poll_seconds, "overlap_minutes": overlap_minutes}
        self._requests = self._telling()
        self._next = next(self._requests, None)
        self._troubles: list[tuple[float, Fault]] = []
        self.open()

    def open(self) -> None:
        """
        Start the parts on what the folder holds.
        """
        clock = lambda: self.now  # noqa: E731
        self.journal = LmdbJournal(self.folder / "journal", reserve_bytes=0, clock=clock)
        self.store = Store.open(self.folder / "store.duckdb", names=event_types.name, clock=clock)
        self.state = State(self.folder, clock=clock)
        self.source = WebhookSource(CONNECTOR, self.journal, [token_hash(TOKEN)], clock=clock)
        self.client = OneLogin(
            api_url="http://127.0.0.1:9001",
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
            budget=Budget(clock=clock, sleep=self._sleep),
            transport=httpx2.ASGITransport(app=self.api),
            clock=clock,
            sleep=self._sleep,
        )
        self.poller = Poller(
            CONNECTOR,
            self.client,
            self.journal,
            self.state.polls.of(CONNECTOR),
            start_us=self.start_us,
            webhooks_on=True,
            on_swept=self._swept,
            clock=clock,
            sleep=self._sleep,
            **self._pace,
        )

    async def close(self) -> None:
        """
        Stop the parts; what they were in the middle of is forgotten.
        """
        await self.client.close()
        await self.journal.close()
        self.store.close()
        self.state.close()

    async def restart(self) -> None:
        """
        Begin anew with what is on disk.
        """
        await self.close()
        self.open()

    async def run(self, hours: float) -> None:
        """
        Let time go by.
        """
        end = self.now + hours * 3_600
        while self.now < end:
            self._let_fail()
            seconds = await self.poller.step()
            state = str(self.poller.status.state)
            if not self.statuses or self.statuses[-1][1] != state:
                self.statuses.append((self.now, state))
            if seconds > 0:
                due = self._next.at_us / SECOND_US if self._next else end
                self.now = min(end, self.now + max(seconds, 0.001), max(self.now, due))
            while self._next and self._next.at_us <= self.now * SECOND_US:
                await self._tell(self._next)
                self._next = next(self._requests, None)
        self.drain()

    def fail_at(self, hours: float, fault: Fault) -> None:
        """
        Let the API go wrong so long after the start.
        """
        self._troubles.append((self.start_us / SECOND_US + hours * 3_600, fault))

    def drain(self) -> None:
        """
        Bring the store everything the journal has.
        """
        epoch = self.journal.epoch
        while entries := self.journal.read(Offset(self.store.position(epoch) or 0)):
            self.store.insert(entries, epoch)

    def truth(self, hour: int) -> list[Listed]:
        """
        Return everything that really happened in an hour.
        """
        return list(self.account.listing.whole(hour * HOUR_US, (hour + 1) * HOUR_US))

    def listed(self) -> Iterator[Listed]:
        """
        Give everything since the start that the API lists by now.
        """
        now_us = int(self.now * SECOND_US)
        return (
            each for each in self.account.listing.whole(self.start_us, now_us) if each.appears_us <= now_us
        )

    def figures(self, hour: int) -> HourFigures:
        """
        Return what is claimed of an hour.
        """
        (found,) = self.store.completeness(CONNECTOR, hour * HOUR_US, (hour + 1) * HOUR_US)
        return found

    def rows(self, kql: str) -> list[tuple]:
        """
        Ask the store.
        """
        return self.store.query(kql, limit=None).rows

    async def tell(self, body: bytes) -> int:
        """
        Send a webhook request; returns its status.
        """
        answer = await self.source.receive("POST", {"authorization": f"Bearer {TOKEN}"}, body, "127.0.0.1")
        return answer.status

    def _telling(self) -> Iterator[Request]:
        # a sender that loses everything would look for something to send for ever
        return (
            iter(())
            if self._faults.lost == 1.0
            else requests(self.company.story(self.start_us), faults=self._faults)
        )

    async def _tell(self, request: Request) -> None:
        assert await self.tell(request.body) == 200
        self.told.update(happening.uuid for happening in request.batch)

    def _let_fail(self) -> None:
        for at, fault in [each for each in self._troubles if each[0] <= self.now]:
            self.account.faults.add(fault)
            self._troubles.remove((at, fault))

    async def _swept(self, hours: Iterable[SweptHour]) -> None:
        self.drain()
        self.store.set_hours(
            [
                Swept(CONNECTOR, each.hour, each.sweeps, each.settled, each.listed, each.at, webhooks=True)
                for each in hours
            ]
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
