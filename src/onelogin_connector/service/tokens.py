"""
Which webhook tokens are valid: those of the settings, or those made here and kept as hashes in the state.
"""

from secrets import token_urlsafe

from onelogin_connector.config import Settings
from onelogin_connector.errors import ConfigError
from onelogin_connector.sources.webhook import token_hash
from onelogin_connector.state import State

TOKEN_BYTES = 32
KEPT = 2
"""A new token and the one before, so that OneLogin's setting can be changed without a gap."""


class WebhookTokens:
    """
    The webhook tokens of all connectors.
    """

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state

    def hashes(self, connector: str) -> list[bytes]:
        """
        Return the hashes of a connector's valid tokens.
        """
        configured = self._settings.connectors[connector].webhook_tokens
        if configured:
            return [token_hash(token.reveal()) for token in configured]
        return self._state.webhook_tokens(connector)[:KEPT]

    def issue(self, connector: str, *, revoke_old: bool = False) -> str:
        """
        Make a token; it is valid at once and cannot be shown again.

        Raises:
            ConfigError: The connector's tokens stand in the settings.
        """
        if self._settings.connectors[connector].webhook_tokens:
            raise ConfigError(
                f"The webhook tokens of {connector} stand in the settings file or the environment.",
                action="Change webhook_tokens there; two may be valid at once.",
            )
        token = self.make()
        self.keep(connector, token, kept=1 if revoke_old else KEPT)
        return token

    def make(self) -> str:
        """
        Return a new token that is not valid yet.
        """
        return token_urlsafe(TOKEN_BYTES)

    def keep(self, connector: str, token: str, *, kept: int = KEPT) -> None:
        """
        Make a token valid, beside the newest of those before it.

        Args:
            kept: How many tokens are valid then.
        """
        self._state.add_webhook_token(connector, token_hash(token), keep=kept)
