"""
The failures in a row of a part that is tried again and again: its status, the log, and how long to wait.
"""

from collections.abc import Mapping
from logging import ERROR, WARNING, Logger

from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized, Unavailable
from onelogin_connector.retry import backoff_seconds
from onelogin_connector.status import State, Status


class Failures:
    """
    What goes wrong with one part. Only the first failure of a row is logged; the status shows the newest.
    """

    def __init__(
        self,
        status: Status,
        log: Logger,
        *,
        pause_seconds: float,
        shown: str,
        logged: str,
        fields: Mapping[str, str],
    ) -> None:
        """
        Count from none.

        Args:
            pause_seconds: After a refused credential or setting, which only a person can mend.
            shown: What stands in the status before the cause, without the colon.
            logged: What stands in the log before the cause, without the colon.
            fields: The log's, with ``action``.
        """
        self._status, self._log, self._pause_seconds = status, log, pause_seconds
        self._shown, self._logged, self._fields = shown, logged, dict(fields)
        self._count = 0

    def failed(self, error: Exception) -> float:
        """
        Note a failure; returns after how many seconds the same may be tried again.
        """
        self._count += 1
        if isinstance(error, Unauthorized | ConfigError):
            state, wait = State.PAUSED, self._pause_seconds
        else:
            asked = error.after_seconds if isinstance(error, Unavailable) else None
            state, wait = State.RETRYING, backoff_seconds(self._count, asked_seconds=asked)
        known = isinstance(error, ConnectorError)
        said = str(error) if known else f"Something unforeseen went wrong ({type(error).__name__})."
        if self._status.turn(state, f"{self._shown}: {said}"):
            self._log.log(
                WARNING if known else ERROR,
                "%s: %s",
                self._logged,
                said,
                exc_info=None if known else error,
                extra=self._fields,
            )
        return wait

    def succeeded(self) -> None:
        """
        Note that all is well.
        """
        self._count = 0
        self._status.turn(State.OK)
