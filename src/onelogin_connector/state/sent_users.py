"""
What a destination was last told of each user, so that only what has changed is sent again.
"""

from collections.abc import Mapping

from msgspec import Struct

from onelogin_connector.state.database import Database


class Told(Struct, frozen=True):
    """
    What was last sent of one user.
    """

    digest: bytes
    at: float
    """Unix seconds."""


class SentUsers:
    """
    What one destination was told of the users of one connector.
    """

    def __init__(self, database: Database, target: str, connector: str) -> None:
        self._database, self._target, self._connector = database, target, connector

    def told(self, first: int, last: int) -> dict[int, Told]:
        """
        Return what was last sent of the users of a range of ids, both ends included.
        """
        rows = self._database.rows(
            "sent_users", target=self._target, connector=self._connector, first=first, last=last
        )
        return {row["id"]: Told(row["digest"], row["at"]) for row in rows}

    def tell(self, digests: Mapping[int, bytes], at: float) -> None:
        """
        Keep what was sent; all of it or nothing.
        """
        with self._database.transaction():
            for id, digest in digests.items():
                self._database.change(
                    "save_sent_user",
                    target=self._target,
                    connector=self._connector,
                    id=id,
                    digest=digest,
                    at=at,
                )
