"""
Every exception of the program, as one tree.

The branches say what the caller does next, not where it broke::

    ConnectorError
    ├── ConfigError            stop, and tell the person who wrote the configuration
    ├── Busy                   another process holds what is needed; stop it or use it
    ├── Unavailable            wait, then do the same again
    │   └── JournalFull        wait until a person has made room
    ├── TooLarge               cut the batch and send the parts
    ├── Partly                 settle the first records of the batch, then send the others
    ├── Refused                these records will never be accepted: dead letters
    ├── Unauthorized           pause, and ask a person for another credential
    ├── BadRecord              one record cannot be read; the others go on
    ├── BadRequest             the whole request cannot be read; say so to its sender
    ├── HourPruned             an import would double events; ask for consent
    └── QueryError             the query is wrong, at a position

The first line of a class's docstring is its message when none is given. Messages name the thing, say
what happened and what to do, and never hold a secret.
"""

from collections.abc import Mapping

from onelogin_connector.plural import counted


class ConnectorError(Exception):
    """
    OneLogin Connector could not do what was asked.
    """

    code = ""
    """Name of the cause where it is one of a list, the same in API, console, log and documentation."""

    def __init__(self, message: str | None = None, *, action: str = "") -> None:
        """
        Say what happened and what to do.

        Args:
            message: What happened, to which thing. The class's first docstring line if absent.
            action: What the reader should do next, as a sentence.
        """
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.action = action
        super().__init__(f"{self.message} {action}".strip())


class ConfigError(ConnectorError):
    """
    The configuration cannot be used.
    """


class Busy(ConnectorError):
    """
    Another process is using this data folder.
    """


class Unavailable(ConnectorError):
    """
    The other side cannot take events at the moment.
    """

    def __init__(
        self, message: str | None = None, *, action: str = "", after_seconds: float | None = None
    ) -> None:
        """
        Say how long to wait, where the other side told.

        Args:
            after_seconds: The wait the other side asked for; None leaves it to the back-off.
        """
        super().__init__(message, action=action)
        self.after_seconds = after_seconds


class JournalFull(Unavailable):
    """
    The disk has reached its reserve, so nothing more is taken in.
    """


class TooLarge(ConnectorError):
    """
    The batch is larger than the destination accepts.
    """


class Refused(ConnectorError):
    """
    The destination will never accept these records.
    """

    def __init__(self, reasons: Mapping[int, str], *, action: str = "") -> None:
        """
        Name the refused records.

        Args:
            reasons: Position in the batch that was sent → why. Records at other positions were accepted.
        """
        self.reasons = dict(reasons)
        first = next(iter(self.reasons.values()), "")
        super().__init__(
            f"{counted(len(self.reasons), 'record was', 'records were')} refused: {first}", action=action
        )


class Partly(ConnectorError):
    """
    The destination has settled the first records of the batch alone.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        action: str = "",
        settled: int = 0,
        refused: Mapping[int, str] | None = None,
        then: ConnectorError | None = None,
    ) -> None:
        """
        Say how far it came. The records behind were not accepted, as far as is known.

        Args:
            settled: How many of the first records were accepted, or refused for good; at least one.
            refused: Position of a settled record that was refused → why.
            then: Why it came no further; None where the rest just goes with the next batch.
        """
        super().__init__(message, action=action)
        self.settled = settled
        self.refused = dict(refused or {})
        self.then = then


class Unauthorized(ConnectorError):
    """
    The credential was not accepted.
    """


class BadRecord(ConnectorError):
    """
    The record cannot be read as a OneLogin event.
    """


class BadRequest(ConnectorError):
    """
    The request body holds no JSON.
    """


class HourPruned(ConnectorError):
    """
    The keys of this time are no longer held, so repeats could not be recognised.
    """


class QueryError(ConnectorError):
    """
    The query cannot be run.
    """

    def __init__(
        self, message: str | None = None, *, action: str = "", line: int = 0, column: int = 0
    ) -> None:
        """
        Point at the place in the query.

        Args:
            line: From 1; 0 when the place is not known.
            column: In characters, from 1; 0 when the place is not known.
        """
        super().__init__(message, action=action)
        self.line = line
        self.column = column
