"""
The settings database: what people made in the console, who they are, and what they did.

Synchronous and safe to use from threads. ``people`` holds users and tokens, ``accounts`` the same as
administrators see them, ``polls`` how far the pollers have come, ``history`` every change of state; here stand the connectors and sinks made in the console with their secrets, check results, saved queries
and the audit log.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any, Literal

from argon2 import PasswordHasher
from msgspec import Struct, convert, json

from onelogin_connector.setting import Secret
from onelogin_connector.state.accounts import Account, Accounts
from onelogin_connector.state.connectors import ConnectorState, Outcome
from onelogin_connector.state.database import Database
from onelogin_connector.state.health import Change, History, note_check
from onelogin_connector.state.people import ApiToken, People, Role, Session, User, hashed
from onelogin_connector.state.polls import Polls
from onelogin_connector.state.sent_users import SentUsers
from onelogin_connector.state.sinks import Flow, Pause, SinkState
from onelogin_connector.state.vault import Vault

__all__ = [
    "Account",
    "Accounts",
    "ApiToken",
    "Change",
    "Check",
    "ConnectorState",
    "Deed",
    "Flow",
    "History",
    "Outcome",
    "Part",
    "Pause",
    "People",
    "Role",
    "SavedQuery",
    "SentUsers",
    "Session",
    "SinkState",
    "State",
    "User",
    "hashed",
]

PartKind = Literal["connector", "sink"]
NEWEST = 2**62
"""Above every id."""


class Part(Struct, frozen=True):
    """
    A connector or sink made in the console, without its secrets.
    """

    id: str
    settings: dict[str, Any]
    created_at: float
    updated_at: float


class Deed(Struct, frozen=True):
    """
    One line of the audit log.
    """

    id: int
    at: float
    actor: str
    """A user, ``token:`` and an API token's name, or ``system``."""
    action: str
    target: str
    detail: dict[str, Any]


class Check(Struct, frozen=True):
    """
    The latest check of a connector or sink.
    """

    target: str
    ok: bool
    at: float
    stages: list[dict[str, Any]]
    """As ``sinks.base.Stage`` is written in JSON."""


class SavedQuery(Struct, frozen=True):
    """
    A query that somebody kept.
    """

    id: int
    name: str
    text: str
    author: str
    updated_at: float


class State:
    """
    The open settings database.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secret_key: Secret | None = None,
        clock: Callable[[], float] = time,
        hasher: PasswordHasher | None = None,
    ) -> None:
        """
        Open ``state.db`` in a folder, and make it if need be.

        Args:
            folder: The data folder; it exists.
            secret_key: Encrypts the secrets; None uses a key file in the folder.
            hasher: How slow password hashes are; argon2id as RFC 9106 recommends by default.

        Raises:
            ConfigError: The file or the key cannot be used, or a newer version wrote the file.
        """
        self._clock = clock
        self._vault = Vault.open(folder, secret_key.reveal() if secret_key else None)
        self._database = Database(folder / "state.db")
        self.people = People(self._database, clock, hasher or PasswordHasher())
        self.accounts = Accounts(self._database, clock)
        self.polls = Polls(self._database)
        self.connectors = ConnectorState(self._database, clock)
        self.sinks = SinkState(self._database, clock)
        self.history = History(self._database)

    def sent_users(self, target: str, connector: str) -> SentUsers:
        """
        Return what a destination was told of a connector's users.
        """
        return SentUsers(self._database, target, connector)

    def backup(self, path: Path) -> None:
        """
        Write a consistent copy to a new file. It holds no key.

        Raises:
            ConfigError: There is such a file already, or it cannot be made.
        """
        self._database.backup(path)

    def close(self) -> None:
        """
        Close the file.
        """
        self._database.close()

    def save_part(
        self,
        kind: PartKind,
        id: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, Secret] | None = None,
        *,
        bound_to: str = "",
    ) -> None:
        """
        Make or change a connector or sink.

        Args:
            settings: Everything but the secrets.
            secrets: Those to set; others stay, unless they were bound to another host.
            bound_to: The host that its secrets may be sent to. A change voids the stored ones.
        """
        with self._database.transaction():
            text = json.encode(dict(settings)).decode()
            self._database.change("save_part", kind=kind, id=id, settings=text, now=self._clock())
            self._database.change("void_secrets", kind=kind, id=id, bound_to=bound_to)
            for name, secret in (secrets or {}).items():
                cipher = self._vault.encrypt(secret.reveal())
                self._database.change(
                    "save_secret", kind=kind, id=id, name=name, bound_to=bound_to, cipher=cipher
                )
            if kind == "sink":  # from here on its checkpoint has an owner
                self._database.change("settle_checkpoint", sink=id)

    def parts(self, kind: PartKind) -> list[Part]:
        """
        Return the connectors or sinks made in the console, by id.
        """
        rows = self._database.rows("parts", kind=kind)
        return convert([row | {"settings": json.decode(row["settings"])} for row in rows], list[Part])

    def remove_part(self, kind: PartKind, id: str) -> bool:
        """
        Remove a connector or sink with its secrets, webhook tokens and figures; returns whether there was one.
        """
        with self._database.transaction():
            if kind == "connector":
                self._database.change("remove_webhook_tokens", connector=id)
            else:
                self.sinks.forget(id)
            return bool(self._database.change("remove_part", kind=kind, id=id))

    def secret(self, kind: PartKind, id: str, name: str, *, bound_to: str = "") -> Secret | None:
        """
        Return a stored secret, if it may be sent to this host.

        Raises:
            ConfigError: It was encrypted with a key that is not here.
        """
        row = self._database.row("secret", kind=kind, id=id, name=name, bound_to=bound_to)
        return Secret(self._vault.decrypt(row["cipher"])) if row else None

    def renew_secrets(self) -> int:
        """
        Encrypt every secret with the newest key, so that older ones can be taken away; returns how many.

        Raises:
            ConfigError: A secret's key is not here; none is changed then.
        """
        with self._database.transaction():
            rows = self._database.rows("all_secrets")
            for row in rows:
                cipher = self._vault.renew(row["cipher"])
                self._database.change("replace_cipher", row=row["row"], cipher=cipher)
        return len(rows)

    def note(self, actor: str, action: str, target: str = "", **detail: Any) -> None:
        """
        Add a line to the audit log. A ``Secret`` in the detail shows its origin only.
        """
        text = json.encode(detail, enc_hook=str).decode()
        self._database.change(
            "add_audit", actor=actor, action=action, target=target, detail=text, now=self._clock()
        )

    def deeds(
        self, *, actor: str = "", action: str = "", text: str = "", before: int = NEWEST, limit: int = 100
    ) -> list[Deed]:
        """
        Return the audit log, newest first.

        Args:
            actor: What this one did alone.
            action: Deeds of this kind alone.
            text: What the line holds somewhere.
            before: The id of the last line of the page before.
        """
        return _deeds(
            self._database.rows(
                "audit_found", actor=actor, action=action, text=text, before=before, limit=limit
            )
        )

    def deeds_after(self, id: int, *, since: float, limit: int) -> list[Deed]:
        """
        Return the audit log after a line, oldest first.

        Args:
            since: Unix seconds; older lines are left out.
        """
        return _deeds(self._database.rows("audit_after", after=id, since=since, limit=limit))

    def deed(self, id: int) -> Deed | None:
        """
        Return one line of the audit log.
        """
        return next(iter(_deeds(self._database.rows("audit_one", id=id))), None)

    def save_check(self, target: str, stages: Sequence[Struct], *, ok: bool) -> None:
        """
        Keep the latest check of a connector or sink.
        """
        text, now = json.encode(list(stages)).decode(), self._clock()
        with self._database.transaction():
            note_check(self._database, target, json.decode(text), ok=ok, at=now)
            self._database.change("save_check", target=target, ok=int(ok), stages=text, now=now)

    def checks(self) -> list[Check]:
        """
        Return the latest check of every target.
        """
        rows = self._database.rows("checks")
        changed = [row | {"ok": bool(row["ok"]), "stages": json.decode(row["stages"])} for row in rows]
        return convert(changed, list[Check])

    def save_query(self, name: str, text: str, author: str) -> int:
        """
        Keep a query under a name, in place of one of that name; returns its id.
        """
        row = self._database.rows("save_query", name=name, text=text, author=author, now=self._clock())[0]
        return int(row["id"])

    def saved_queries(self) -> list[SavedQuery]:
        """
        Return the kept queries by name.
        """
        return convert(self._database.rows("saved_queries"), list[SavedQuery])

    def remove_query(self, id: int) -> bool:
        """
        Remove a kept query; returns whether there was one.
        """
        return bool(self._database.change("remove_query", id=id))

    def ensure_admin(self, password: Secret | None = None) -> str | None:
        """
        See ``People.ensure_admin``.
        """
        return self.people.ensure_admin(password.reveal() if password else None)

    def ensure_webhook_token(self, connector: str) -> str | None:
        """
        See ``People.ensure_webhook_token``.
        """
        return self.people.ensure_webhook_token(connector)


def _deeds(rows: list[dict[str, Any]]) -> list[Deed]:
    return convert([row | {"detail": json.decode(row["detail"])} for row in rows], list[Deed])
