"""
One simulated OneLogin account: what there is to ask for, who may ask, and how much.
"""

import time
from asyncio import sleep as real_sleep
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from onelogin_connector.onelogin import event_types
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.credential import (
    CALLS_PER_HOUR,
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN_SECONDS,
    Allowance,
    Credential,
)
from onelogin_connector.simulator.faults import Faults
from onelogin_connector.simulator.listing import Delay, Listing
from onelogin_connector.simulator.people import users
from onelogin_connector.simulator.trouble import Fault

KEPT_US = 90 * 86_400_000_000
"""How long events are listed."""


class Account:
    """
    A company's account with OneLogin.
    """

    def __init__(
        self,
        company: Company,
        *,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        token_seconds: float = TOKEN_SECONDS,
        calls_per_hour: int = CALLS_PER_HOUR,
        usual_seconds: float = 4.0,
        delays: Sequence[Delay] = (),
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = real_sleep,
    ) -> None:
        """
        Open the account.

        Args:
            token_seconds: Life of a token.
            usual_seconds: Events appear in the API within so many seconds,
            delays: except for these shares of them.
            clock: Unix seconds, of the story: what happens later is not listed yet.
            sleep: How slow answers wait.
        """
        self.company = company
        self.listing = Listing(company, usual_seconds=usual_seconds, delays=delays)
        self.credential = Credential(client_id, client_secret, clock=clock)
        self.allowance = Allowance(calls_per_hour, clock=clock)
        self.faults = Faults[Fault](clock=clock)
        self.token_seconds = token_seconds
        self.clock = clock
        self.sleep = sleep

    @property
    def id(self) -> int:
        """
        The account's number.
        """
        return self.company.staff.account_id

    def now_us(self) -> int:
        """
        Return the moment of the story, microseconds since 1970.
        """
        return int(self.clock() * 1_000_000)

    def users(self) -> list[dict[str, Any]]:
        """
        Return everybody as they are now.
        """
        return users(self.company.staff, self.now_us())

    @staticmethod
    def event_types() -> list[dict[str, Any]]:
        """
        Return the catalogue as the account gives it.
        """
        return [
            {"id": each.id, "name": each.name, "description": each.description}
            for each in event_types.known().values()
        ]
