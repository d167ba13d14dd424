"""
Which webhook tokens are valid: those of the settings, or those made here and kept as hashes in the state.
"""

from secrets import token_urlsafe

from onelogin_connector.config import Settings
from onelogin_connector.errors import ConfigError
from onelogin_connector.sources.webhook import token_hash
from onelogin_connector.state import State
from onelogin_connector.state.connectors import WebhookToken

TEN_YEARS_SECONDS = 10 * 365 * 86_400.0
"""How long the token before the newest stays valid if nobody makes another: OneLogin's setting is changed by
hand, and a token that ends by itself would end intake some night."""


class WebhookTokens:
    """
    The webhook tokens of all connectors.
    """

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state
        self._lent: dict[str, bytes] = {}

    def hashes(self, connector: str) -> list[bytes]:
        """
        Return the hashes of a connector's valid tokens: two at most, and one that is lent.
        """
        configured = self._settings.connectors[connector].webhook_tokens
        lent = [self._lent[connector]] if connector in self._lent else []
        if configured:
            return [token_hash(token.reveal()) for token in configured] + lent
        return self._state.people.webhook_hashes(connector) + lent

    def lend(self, connector: str) -> str:
        """
        Make a token that ends with this process, for a sender within it; the others stay as they are.
        """
        token = token_urlsafe(32)
        self._lent[connector] = token_hash(token)
        return token

    def are_configured(self, connector: str) -> bool:
        """
        Tell whether a connector's tokens stand in the settings, where alone they can be changed.
        """
        return bool(self._settings.connectors[connector].webhook_tokens)

    def made(self, connector: str) -> list[WebhookToken]:
        """
        Return when the tokens that were made here were made, newest first.
        """
        return [] if self.are_configured(connector) else self._state.connectors.webhook_tokens(connector)

    def end_older(self, connector: str) -> int:
        """
        Accept the newest token alone, now that the sender has it; returns how many ended.

        Raises:
            ConfigError: The connector's tokens stand in the settings.
        """
        self._require_own(connector)
        return self._state.connectors.end_older_tokens(connector)

    def issue(self, connector: str, *, revoke_old: bool = False) -> str:
        """
        Make a token; it is valid at once and cannot be shown again.

        Raises:
            ConfigError: The connector's tokens stand in the settings.
        """
        self._require_own(connector)
        kept_seconds = 0.0 if revoke_old else TEN_YEARS_SECONDS
        return self._state.people.rotate_webhook_token(connector, keep_seconds=kept_seconds)

    def _require_own(self, connector: str) -> None:
        if self.are_configured(connector):
            raise ConfigError(
                f"The webhook tokens of {connector} stand in the settings file or the environment.",
                action="Change webhook_tokens there; two may be valid at once.",
            )
