"""
Which connector collects which OneLogin account: each account by one, each connector from one.
"""

from collections.abc import Container

from onelogin_connector.errors import ConfigError
from onelogin_connector.journal.base import ConnectorCounts, Journal


class Accounts:
    """
    The accounts that this process collects from.
    """

    def __init__(self, journal: Journal, connectors: Container[str]) -> None:
        """
        Begin with what the journal's connectors are bound to.

        Args:
            connectors: Those of the settings; one that was taken out of them holds no account.
        """
        self._journal = journal
        self._connectors = connectors
        self._claimed: dict[int, str] = {}

    def claim(self, connector: str, account: int) -> None:
        """
        Let a connector collect an account.

        Raises:
            ConfigError: Another connector does, or this one has events of another account.
        """
        counts = self._journal.counts()
        for other, found in counts.items():
            if other != connector and other in self._connectors and found.account == account:
                raise _taken(connector, account, other)
        other = self._claimed.get(account, connector)
        if other != connector:
            raise _taken(connector, account, other)
        bound = counts.get(connector, ConnectorCounts()).account
        if bound is not None and bound != account:
            raise ConfigError(
                f"The API credential of {connector} belongs to the OneLogin account {account}, but the events that "
                f"came by its webhook are of account {bound}.",
                action="Use a credential of that account, or a connector of its own for each account.",
            )
        self._claimed[account] = connector

    def release(self, connector: str) -> None:
        """
        Let another connector collect what this one did.
        """
        self._claimed = {account: other for account, other in self._claimed.items() if other != connector}


def _taken(connector: str, account: int, other: str) -> ConfigError:
    return ConfigError(
        f"The OneLogin account {account} of {connector} is already collected by connector {other}.",
        action=f"Remove one of the two: give {other} the credential and the webhook tokens of both.",
    )
