"""
The history of every part: each change of state once, in order, and which alarms a receiver was told of.

Kept here first, because the store may be turned off; the store gets a copy that KQL can query.
"""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import uuid4

from msgspec import Struct, convert, field, json

from onelogin_connector.state.database import Database

Outcome = Literal["Success", "Failure", "Informational"]
PartKind = Literal["connector", "source", "sink", "journal", "check", "alarm"]

NEWEST = 2**62
"""Above every id."""


class Change(Struct, frozen=True, kw_only=True):
    """
    One change of state of one part.
    """

    at: float
    """Unix seconds."""
    kind: PartKind
    part: str
    """Its id: a connector's, a sink's, an alarm's."""
    connector: str = ""
    """The connector that it belongs to, if any."""
    name: str
    """What people call it."""
    state: str
    before: str = ""
    """The state that it left; empty where this is the first that is known of the part."""
    outcome: Outcome
    description: str
    """What happened, in a sentence."""
    reason: str = ""
    """The cause as a short code."""
    detail: dict[str, Any] = {}
    record: str = field(default_factory=lambda: str(uuid4()))
    id: int = 0
    """Its place in the order; 0 until it is kept."""


class History:
    """
    The kept changes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, changes: Sequence[Change]) -> None:
        """
        Keep changes; they are on disk when this returns.

        Raises:
            Unavailable: None was kept.
        """
        with self._database.transaction():
            for change in changes:
                row = {name: getattr(change, name) for name in change.__struct_fields__ if name != "id"}
                row["detail"] = json.encode(change.detail, enc_hook=str).decode()
                self._database.change("add_health", **row)

    def page(self, *, kind: str = "", part: str = "", before: int = NEWEST, limit: int = 100) -> list[Change]:
        """
        Return changes, newest first.

        Args:
            kind: Of parts of this kind alone.
            part: Of this part, or of the parts of this connector.
            before: The id of the last change of the page before.
        """
        return _changes(self._database.rows("health", kind=kind, part=part, before=before, limit=limit))

    def after(self, id: int, *, since: float, limit: int) -> list[Change]:
        """
        Return changes that came after one, oldest first.

        Args:
            since: Unix seconds; older ones are left out.
        """
        return _changes(self._database.rows("health_after", after=id, since=since, limit=limit))

    def one(self, id: int) -> Change | None:
        """
        Return the change of an id, if it is still kept.
        """
        return next(iter(_changes(self._database.rows("health_one", id=id))), None)

    def latest(self) -> list[Change]:
        """
        Return the last change of every part, by kind and part.
        """
        return _changes(self._database.rows("health_latest"))

    def first_at(self, kind: PartKind, part: str) -> float | None:
        """
        Return since when a part is known, in Unix seconds; None where it is not.
        """
        row = self._database.row("health_first", kind=kind, part=part)
        return row["at"] if row else None

    def prune(self, before: float) -> int:
        """
        Remove changes older than a time, except the last of each part; returns how many.
        """
        return self._database.change("prune_health", before=before)

    def told_alarms(self) -> dict[str, dict[str, Any]]:
        """
        Return the alarms that a receiver of notices was told of: name → the notice.
        """
        return {row["name"]: json.decode(row["notice"]) for row in self._database.rows("told_alarms")}

    def tell_alarm(self, name: str, notice: dict[str, Any] | None) -> None:
        """
        Note what a receiver was told.

        Args:
            notice: That the alarm stands; None that it ended.
        """
        if notice is None:
            self._database.change("untell_alarm", name=name)
        else:
            self._database.change("tell_alarm", name=name, notice=json.encode(notice).decode())


def note_check(database: Database, target: str, stages: list[dict[str, Any]], *, ok: bool, at: float) -> None:
    """
    Keep that a check ended otherwise than the one before; to be called before its outcome is kept.

    Args:
        stages: As they are written in JSON.
        at: Unix seconds.
    """
    row = database.row("check_of", target=target)
    before = None if row is None else bool(row["ok"])
    if before is not ok:
        with database.transaction():
            History(database).add([_check_change(target, stages, ok=ok, before=before, at=at)])


def _check_change(
    target: str, stages: list[dict[str, Any]], *, ok: bool, before: bool | None, at: float
) -> Change:
    failed = next((stage for stage in stages if stage.get("state") == "failed"), None)
    description = f"The check of {target} passed."
    reason = ""
    if failed is not None:
        description = f"The check of {target} failed: {failed['stage']} Stage: {failed['message']}"
        status = failed.get("http_status")
        reason = failed["stage"] if status is None else f"{failed['stage']} {status}"
    return Change(
        at=at,
        kind="check",
        part=target,
        connector=target,
        name=target,
        state="passed" if ok else "failed",
        before="" if before is None else "passed" if before else "failed",
        outcome="Success" if ok else "Failure",
        description=description,
        reason=reason,
        detail={"Stages": stages},
    )


def _changes(rows: list[dict[str, Any]]) -> list[Change]:
    return convert([row | {"detail": json.decode(row["detail"])} for row in rows], list[Change])
