"""
What a customer has in Azure: a tenant, a rule with its workspace, and a workspace of the old kind.
"""

import base64
import time
from asyncio import sleep as real_sleep
from collections.abc import Awaitable, Callable, Sequence

from onelogin_connector.simulator.azure.collector import Collector
from onelogin_connector.simulator.azure.definitions import CODELESS, STREAMS
from onelogin_connector.simulator.azure.entra import TOKEN_SECONDS, Application, Entra
from onelogin_connector.simulator.azure.ingestion import Ingestion
from onelogin_connector.simulator.azure.rules import Rule, Stream
from onelogin_connector.simulator.azure.tables import Workspace
from onelogin_connector.simulator.azure.trouble import Fault
from onelogin_connector.simulator.faults import Faults

TENANT_ID = "00000000-0000-4000-8000-00000000000a"
CLIENT_ID = "00000000-0000-4000-8000-00000000000b"
CLIENT_SECRET = "simulated-client-secret"  # noqa: S105 - it opens nothing but a simulation
ASSERTION = "simulated-federated-token"
MANAGED_ID = "00000000-0000-4000-8000-00000000000c"
STRANGER_ID = "00000000-0000-4000-8000-00000000000d"
"""An application that has no role on any rule."""
STATIC_TOKEN = "simulated-static-token"  # noqa: S105 - as above
RULE_ID = f"dcr-{'0' * 31}1"
CODELESS_RULE_ID = f"dcr-{'0' * 31}2"
SENTINEL_ID = "00000000-0000-4000-8000-000000000001"
"""The workspace of the rules."""
LEGACY_ID = "00000000-0000-4000-8000-000000000002"
"""The workspace of the Data Collector API."""
WORKSPACE_KEY = base64.b64encode(bytes(range(64))).decode()


class Subscription:
    """
    All of it, on one clock.
    """

    def __init__(
        self,
        *,
        cloud: str = "public",
        token_seconds: float = TOKEN_SECONDS,
        propagation_seconds: float = 0.0,
        streams: Sequence[Stream] = STREAMS,
        requests_per_minute: int | None = None,
        bytes_per_minute: int | None = None,
        most_rows: int | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = real_sleep,
    ) -> None:
        """
        Set everything up as a customer would have.

        Args:
            cloud: ``public``, ``government`` or ``china``.
            token_seconds: Life of a token.
            propagation_seconds: How long the role on the rule takes to be effective.
            streams: What the rule declares.
            requests_per_minute: Limit of the rule; None for none.
            bytes_per_minute: Limit of the rule; None for none.
            most_rows: Of each table the newest so many are kept; None keeps all.
            clock: Unix seconds.
            sleep: How slow answers wait.
        """
        self.clock = clock
        self.sleep = sleep
        applications = (
            Application(CLIENT_ID, CLIENT_SECRET, ASSERTION),
            Application(MANAGED_ID, is_managed=True),
            Application(STRANGER_ID, CLIENT_SECRET),
        )
        self.entra = Entra(
            TENANT_ID,
            {each.id: each for each in applications},
            cloud=cloud,
            token_seconds=token_seconds,
            clock=clock,
        )
        self.entra.accept(STATIC_TOKEN, CLIENT_ID)
        self.sentinel = Workspace(SENTINEL_ID, most_rows=most_rows)
        self.legacy = Workspace(LEGACY_ID, most_rows=most_rows)
        self.workspaces = {"sentinel": self.sentinel, "legacy": self.legacy}
        self.rule = Rule(
            RULE_ID,
            self.sentinel,
            streams,
            clock=clock,
            requests_per_minute=requests_per_minute,
            bytes_per_minute=bytes_per_minute,
        )
        self.codeless = Rule(CODELESS_RULE_ID, self.sentinel, CODELESS, clock=clock)
        for rule in (self.rule, self.codeless):
            for principal in (CLIENT_ID, MANAGED_ID):
                rule.grant(principal, after_seconds=propagation_seconds)
        self.ingestion = Ingestion(
            {rule.id: rule for rule in (self.rule, self.codeless)}, self.entra, clock=clock
        )
        self.collector = Collector(self.legacy, WORKSPACE_KEY, clock=clock)
        self.faults = Faults[Fault](clock=clock)

    def workspace(self, name: str) -> Workspace | None:
        """
        Return a workspace by its name here, or its id.
        """
        named = self.workspaces.get(name)
        return named or next((each for each in self.workspaces.values() if each.id == name.lower()), None)
