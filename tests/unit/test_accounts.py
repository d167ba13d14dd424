import pytest

from onelogin_connector.errors import ConfigError
from onelogin_connector.journal.base import ConnectorCounts
from onelogin_connector.service.accounts import Accounts


class Counting:
    """
    A journal that has only counts.
    """

    def __init__(self, **accounts):
        self.accounts = accounts

    def counts(self):
        return {name: ConnectorCounts(account=account) for name, account in self.accounts.items()}


def test_an_account_belongs_to_one_connector():
    """
    The second connector of an account is refused with the name of the first, before it reads anything.
    """
    accounts = Accounts(Counting(), {"acme", "other"})
    accounts.claim("acme", 7)
    accounts.claim("acme", 7)
    accounts.claim("other", 8)
    with pytest.raises(ConfigError, match="account 7 of other is already collected by connector acme"):
        accounts.claim("other", 7)


def test_what_the_journal_is_bound_to_counts():
    """
    An account whose webhooks another connector takes is that connector's.
    """
    accounts = Accounts(Counting(acme=7, gone=9), {"acme", "other"})
    with pytest.raises(ConfigError, match="already collected by connector acme"):
        accounts.claim("other", 7)
    accounts.claim("other", 9)  # the connector that had it was taken out of the settings


def test_credential_and_webhook_must_be_of_one_account():
    """
    A credential of another account than the events that came is refused, with both numbers.
    """
    accounts = Accounts(Counting(acme=7), {"acme"})
    with pytest.raises(ConfigError, match=r"account 8, but the events .* of account 7"):
        accounts.claim("acme", 8)
