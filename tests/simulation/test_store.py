"""
The store against the journal: after any history it holds each event once, with the records that are its own.
"""

import json
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from onelogin_connector.event import Kind
from onelogin_connector.store import Store
from tests.simulation.test_identity import MANNERS, take_in
from tests.simulation.world import Row, rows_of, tell

HISTORIES = 4
NUMBERS = ("group_id", "policy_id", "user_id", "account_id")


def held(store: Store) -> dict[bytes, dict[str, Any]]:
    """Return the store's rows by key."""
    columns = ("entry_key", "raw", "twin_raw", "event_type_id", "custom_message", *NUMBERS)
    found = store._database.reader.execute(f"SELECT {', '.join(columns)} FROM events").fetchall()
    rows = [dict(zip(columns, values, strict=True)) for values in found]
    return {UUID(str(row["entry_key"])).bytes: row for row in rows}


def merged(row: Row) -> dict[str, Any]:
    """Return what the records of an event tell together, the way the store's columns hold it."""
    told: dict[str, Any] = {}
    for raw in (row.webhook, row.api):
        fields = json.loads(raw) if raw else {}
        told.update({name: value for name, value in fields.items() if value not in (None, "")})
    return {name: number(told.get(name)) for name in (*NUMBERS, "event_type_id")}


def number(value: Any) -> int | None:
    """Return a number however loosely it is written; None for what is none."""
    try:
        return None if value is None else int(float(value))
    except ValueError:
        return None


@pytest.mark.parametrize("name", MANNERS)
def test_the_store_follows_every_link_the_journal_makes(name: str, tmp_path: Path) -> None:
    """Rows, the records on them and their merged fields are those of the journal, batch by batch."""
    manner = MANNERS[name]
    for seed in range(HISTORIES):
        random = Random(f"store {name} {seed}")
        log = take_in(tell(random, manner, 60), rounds=manner.rounds).log
        store = Store.open(tmp_path / f"{seed}.duckdb", names=lambda _: None)
        at = 0
        while at < len(log):
            size = random.choice([1, 7, 50])
            store.insert(log[at : at + size], "epoch")
            store.insert(log[max(0, at - 3) : at + size], "epoch")
            at += size
        expected = rows_of(log)
        rows = held(store)
        store.close()
        assert rows.keys() == expected.keys(), f"seed {seed}"
        for key, row in rows.items():
            records = {_text(json.loads(raw)) for raw in (row["raw"], row["twin_raw"]) if raw}
            theirs = (expected[key].webhook, expected[key].api)
            assert records == {_text(json.loads(raw)) for raw in theirs if raw}, f"seed {seed}"
            if not manner.hidden:
                assert {column: row[column] for column in merged(expected[key])} == merged(expected[key])


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)


def test_histories_have_moves() -> None:
    """The histories above exercise what is rare."""
    kinds = {
        Kind(entry.kind)
        for seed in range(HISTORIES)
        for entry in take_in(tell(Random(f"store silent {seed}"), MANNERS["silent"], 60)).log
    }
    assert {Kind.ENTRY, Kind.TWIN, Kind.MOVE} <= kinds
