"""
What the state keeps of connectors beyond their settings.

That is whether people stopped or removed them, how their latest check ended, and where their secret may be sent.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, convert, json

from onelogin_connector.errors import ConfigError
from onelogin_connector.state.database import Database, queries
from onelogin_connector.state.health import note_check
from onelogin_connector.status import Stage

Wish = Literal["stopped", "removed"]

SECRET = "client_secret"  # noqa: S105 - the name of a setting
"""Name under which a connector's secret is kept."""

SCHEMA = 3
"""The version of the state from which on people's decisions about connectors are kept."""


class Outcome(Struct, frozen=True):
    """
    How the latest check of a connector or sink ended.
    """

    target: str
    ok: bool
    at: float
    """Unix seconds at which it began."""
    since: float
    """Unix seconds of the first of the checks in a row that ended so."""
    stages: list[Stage]


class Made(Struct, frozen=True):
    """
    A connector made in the console, as an export names it.
    """

    id: str
    settings: dict[str, Any]
    has_secret: bool


class WebhookToken(Struct, frozen=True):
    """
    A webhook token that is accepted, without itself.
    """

    created_at: float
    expires_at: float | None


class ConnectorState:
    """
    The part of the settings database that belongs to connectors.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def wishes(self) -> dict[str, Wish]:
        """
        Return which connectors people stopped or removed.
        """
        return {row["connector"]: row["wish"] for row in self._database.rows("wishes")}

    def wish(self, connector: str, wish: Wish | None, *, actor: str) -> None:
        """
        Keep that a connector is to be stopped or gone; None lets it run.
        """
        if wish is None:
            self._database.change("remove_wish", connector=connector)
        else:
            self._database.change("save_wish", connector=connector, wish=wish, now=self._clock(), actor=actor)

    def save_outcome(self, target: str, stages: Sequence[Stage], *, ok: bool, at: float) -> None:
        """
        Keep how a check ended, in place of the one before.
        """
        text = json.encode(list(stages)).decode()
        with self._database.transaction():
            note_check(self._database, target, json.decode(text), ok=ok, at=at)
            self._database.change("save_outcome", target=target, ok=int(ok), stages=text, at=at)

    def outcomes(self) -> dict[str, Outcome]:
        """
        Return the latest check of every target.
        """
        return {row["target"]: _outcome(row) for row in self._database.rows("outcomes")}

    def secret_host(self, connector: str) -> str:
        """
        Return the address that a connector's stored secret may be sent to; empty where there is none.
        """
        row = self._database.row("secret_of", id=connector, name=SECRET)
        return str(row["bound_to"]) if row else ""

    def webhook_tokens(self, connector: str) -> list[WebhookToken]:
        """
        Return the webhook tokens that are accepted, newest first: two at most.
        """
        rows = self._database.rows("webhook_tokens", connector=connector, now=self._clock())
        return [WebhookToken(row["created_at"], row["expires_at"]) for row in rows[:2]]

    def end_older_tokens(self, connector: str) -> int:
        """
        End every webhook token but the newest; returns how many ended.
        """
        now = self._clock()
        with self._database.transaction():
            older = self._database.rows("webhook_tokens", connector=connector, now=now)[1:]
            for row in older:
                self._database.change("expire_webhook_token", hash=row["hash"], expires_at=now)
            self._database.change("forget_webhook_tokens", connector=connector, now=now)
        return len(older)

    def forget(self, connector: str) -> None:
        """
        Forget everything about a connector's polls and checks; its events stay where they are.
        """
        with self._database.transaction():
            self._database.change("remove_wish", connector=connector)
            self._database.change("remove_outcome", target=connector)
            self._database.change("forget_poll", connector=connector)
            self._database.change("forget_swept_hours", connector=connector)
            self._database.change("forget_backfill", connector=connector)


def _outcome(row: dict[str, Any]) -> Outcome:
    return convert(
        row
        | {"ok": bool(row["ok"]), "stages": json.decode(row["stages"]), "since": row["since"] or row["at"]},
        Outcome,
    )


def read_made(folder: Path) -> tuple[list[Made], set[str]]:
    """
    Read which connectors were made in the console, and which were removed, beside a service that may be running.

    Nothing is written, not even the schema brought up to date.

    Args:
        folder: The data folder; it need not exist.

    Raises:
        ConfigError: The state is there and cannot be read.
    """
    path = folder / "state.db"
    if not path.is_file():
        return [], set()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            rows = connection.execute(queries()["made"]).fetchall()
            removed = connection.execute(queries()["removed"]).fetchall() if version >= SCHEMA else []
    except sqlite3.Error as error:
        raise ConfigError(
            f"The state file {path} cannot be read: {error}.", action="Check its owner and mode."
        ) from error
    return [Made(id, json.decode(text), bool(secret)) for id, text, secret in rows], {id for (id,) in removed}
