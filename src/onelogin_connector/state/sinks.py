"""
What the state keeps of sinks beyond their settings.

That is whether a person paused them, what their secrets are bound to, and how much they took over the last day.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct, convert, json

from onelogin_connector.errors import ConfigError
from onelogin_connector.state.database import Database, queries


class Pause(Struct, frozen=True):
    """
    That a person paused a sink.
    """

    sink: str
    at: float
    """Unix seconds."""
    actor: str


class Flow(Struct, frozen=True):
    """
    How much a sink took over the last day.
    """

    delivered: int
    """Where its counter was when this was written."""
    moved_at: float | None
    """Unix seconds at which the counter rose last."""
    slots: dict[int, int]
    """Quarter of an hour since 1970 → how much it took in it."""


class MadeSink(Struct, frozen=True):
    """
    A sink made in the console, as an export names it.
    """

    id: str
    settings: dict[str, Any]
    secrets: list[str]
    """Names of the secrets that are stored."""


class SinkState:
    """
    The part of the settings database that belongs to sinks.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def pauses(self) -> dict[str, Pause]:
        """
        Return which sinks people paused.
        """
        rows = self._database.rows("paused_sinks")
        return {each.sink: each for each in convert(rows, list[Pause])}

    def pause(self, sink: str, *, actor: str) -> None:
        """
        Keep that a person paused a sink.
        """
        self._database.change("pause_sink", sink=sink, now=self._clock(), actor=actor)

    def resume(self, sink: str) -> None:
        """
        Keep that a sink may go on.
        """
        self._database.change("resume_sink", sink=sink)

    def secrets(self, sink: str) -> dict[str, str]:
        """
        Return the names of a sink's stored secrets, and what each is bound to.
        """
        return {row["name"]: row["bound_to"] for row in self._database.rows("sink_secrets", sink=sink)}

    def flows(self, *, after_slot: int) -> dict[str, Flow]:
        """
        Return how much each sink took in the quarters of an hour after one.
        """
        slots: dict[str, dict[int, int]] = {}
        for row in self._database.rows("sink_slots", after=after_slot):
            slots.setdefault(row["sink"], {})[row["slot"]] = row["delivered"]
        return {
            row["sink"]: Flow(row["delivered"], row["moved_at"], slots.get(row["sink"], {}))
            for row in self._database.rows("sink_counters")
        }

    def save_flows(self, flows: Mapping[str, Flow], *, before_slot: int) -> None:
        """
        Keep how much some sinks took, all or none of it.

        Args:
            flows: Slots that are not among them stay as they are.
            before_slot: Slots up to this one are removed.
        """
        with self._database.transaction():
            for sink, flow in flows.items():
                for slot, delivered in flow.slots.items():
                    self._database.change("save_sink_slot", sink=sink, slot=slot, delivered=delivered)
                self._database.change(
                    "save_sink_counter", sink=sink, delivered=flow.delivered, moved_at=flow.moved_at
                )
            self._database.change("prune_sink_slots", before=before_slot)

    def forget(self, sink: str) -> None:
        """
        Forget everything about a sink that is gone, and note that its checkpoint in the journal has to go too.
        """
        with self._database.transaction():
            self._database.change("resume_sink", sink=sink)
            self._forget_figures(sink)
            self._database.change("forget_told_users", sink=sink)
            self._database.change("disown_checkpoint", sink=sink)

    def ownerless_checkpoints(self) -> list[str]:
        """
        Return of which sinks no checkpoint may be left in the journal.
        """
        return [row["sink"] for row in self._database.rows("ownerless_checkpoints")]

    def settle_checkpoint(self, sink: str) -> None:
        """
        Keep that the checkpoint of a sink that is gone went too.

        Figures and check go once more: what was under way when the sink went may have written them since.
        """
        with self._database.transaction():
            self._forget_figures(sink)
            self._database.change("settle_checkpoint", sink=sink)

    def _forget_figures(self, sink: str) -> None:
        self._database.change("remove_outcome", target=sink)
        self._database.change("forget_sink_slots", sink=sink)
        self._database.change("forget_sink_counter", sink=sink)


def read_made_sinks(folder: Path) -> list[MadeSink]:
    """
    Read which sinks were made in the console, beside a service that may be running; nothing is written.

    Args:
        folder: The data folder; it need not exist.

    Raises:
        ConfigError: The state is there and cannot be read.
    """
    path = folder / "state.db"
    if not path.is_file():
        return []
    known = queries()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            parts = connection.execute(known["made_sinks"]).fetchall()
            secrets = {
                id: connection.execute(known["sink_secrets"], {"sink": id}).fetchall() for id, _ in parts
            }
    except sqlite3.Error as error:
        raise ConfigError(
            f"The state file {path} cannot be read: {error}.", action="Check its owner and mode."
        ) from error
    return [MadeSink(id, json.decode(text), [name for name, _ in secrets[id]]) for id, text in parts]
