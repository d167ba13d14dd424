"""
Copies of the history and the audit log in the store, where queries see them.

The store is asked once how far its copy reaches; after that only what is new is read. A copy that is missing,
of a store that was made anew say, is made again from the state.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from onelogin_connector.journal.base import Journal
from onelogin_connector.state import Change, Deed, State
from onelogin_connector.store import Line, Store

AT_ONCE = 500
"""Rows of one transaction of the store: intake waits for no more than that."""

OPERATIONS = {
    "connector": "Data fetch status change",
    "source": "Data fetch status change",
    "sink": "Data delivery status change",
    "journal": "Intake status change",
    "check": "Connection check result change",
}
SUMMARIES = {
    "connector": "Data fetch failure summary",
    "source": "Data fetch failure summary",
    "sink": "Data delivery failure summary",
    "journal": "Intake failure summary",
}
RESOURCES = {
    "connector": "Data connector",
    "source": "Data connector",
    "sink": "Destination",
    "journal": "Journal",
    "check": "Connection check",
    "alarm": "Alarm",
}
"""Kind of a part → its type in the words of SentinelHealth, as far as it has one."""


class Ledgers:
    """
    What the store shows of the state.
    """

    def __init__(
        self, state: State, journal: Journal, store: Store | None, *, clock: Callable[[], float]
    ) -> None:
        """
        Copy nothing yet.

        Args:
            journal: Knows the number of each connector's account.
        """
        self._state, self._journal, self._store, self._clock = state, journal, store, clock
        self._health = 0
        self._audit = 0
        self._begun = False

    async def copy(self) -> None:
        """
        Copy what is new.

        Raises:
            Unavailable: Not all of it; the next call goes on.
        """
        if self._store is not None:
            await asyncio.to_thread(self._copy, self._store)

    def _copy(self, store: Store) -> None:
        state = self._state
        since = self._clock() - store.retention_days * 86_400
        if not self._begun:
            self._health, self._audit = self._reached(store, "health"), self._reached(store, "audit")
            self._begun = True
        while changes := state.history.after(self._health, since=since, limit=AT_ONCE):
            store.add_health([self._line(change) for change in changes])
            self._health = changes[-1].id
        while deeds := state.deeds_after(self._audit, since=0, limit=AT_ONCE):
            store.add_audit([_audit_line(deed) for deed in deeds])
            self._audit = deeds[-1].id

    def _reached(self, store: Store, table: Literal["health", "audit"]) -> int:
        """
        Return up to which id a copy is that of this state: a state that was restored gives ids out again.
        """
        last = store.last_copied(table)
        if last is None:
            return 0
        id, at = last
        found: Struct | None = self._state.history.one(id) if table == "health" else self._state.deed(id)
        same = isinstance(found, Change | Deed) and round(found.at * 1e6) == round(at * 1e6)
        return id if same else 0

    def _line(self, change: Change) -> Line:
        counts = self._journal.counts().get(change.connector)
        account = counts.account if counts else None
        again = change.state == change.before
        operation = SUMMARIES if again else OPERATIONS
        return Line(
            change.id,
            change.at,
            {
                "tenant_id": "" if account is None else str(account),
                "operation_name": operation.get(change.kind, f"Alarm {change.state}"),
                "resource_id": f"{change.kind}/{change.part}",
                "resource_name": change.name,
                "resource_type": RESOURCES[change.kind],
                "resource_kind": "OneLogin" if change.kind in {"connector", "source"} else change.kind,
                "status": change.outcome,
                "description": change.description,
                "reason": change.reason,
                "workspace_id": "",
                "record_id": change.record,
                "extended_properties": {
                    "State": change.state,
                    "PreviousState": change.before,
                    "ConnectorId": change.connector,
                }
                | change.detail,
            },
        )


def _audit_line(deed: Deed) -> Line:
    values = {"actor": deed.actor, "action": deed.action, "target": deed.target, "detail": deed.detail}
    return Line(deed.id, deed.at, values)
