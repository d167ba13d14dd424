"""
Which record pairs with which, by example; ``tests/simulation`` attacks the same rules with histories.
"""

import json
from typing import Any

from onelogin_connector.event import Event, Kind, Way, read
from onelogin_connector.identity import keys_of
from onelogin_connector.journal.intake import Intake
from onelogin_connector.journal.records import Record
from onelogin_connector.matching import WIDEST_SEARCH
from onelogin_connector.testing.journal import MemoryTables
from tests.simulation.world import rows_of


def webhook(name: str, second: int = 20, **fields: Any) -> Event:
    """Make a webhook record."""
    return _read(uuid=name, event_timestamp=f"2026-09-21 14:13:{second:02d} UTC", **fields)


def api(number: int, second: int = 20, **fields: Any) -> Event:
    """Make an API record."""
    return _read(id=number, created_at=f"2026-09-21T14:13:{second:02d}.123Z", **fields)


def _read(**fields: Any) -> Event:
    raw = json.dumps({"account_id": 1, "event_type_id": 5, **fields}).encode()
    return read(raw, connector="acme", way=Way.WEBHOOK, received_us=0)


def take_in(*events: Event) -> MemoryTables:
    """Run records through the rules, one request each."""
    tables = MemoryTables()
    intake = Intake(tables)
    for event in events:
        intake.admit([intake.locate(Record(event, keys_of(event)))], None)
    return tables


def pairs(tables: MemoryTables) -> set[tuple[str | None, str | None]]:
    """Return each event as (uuid, number)."""
    found = set()
    for row in rows_of(tables.log).values():
        told = json.loads(row.webhook or b"{}"), json.loads(row.api or b"{}")
        number = told[1].get("id")
        found.add((told[0].get("uuid"), None if number is None else str(number)))
    return found


def test_a_better_match_displaces_a_worse_one() -> None:
    """The displaced record becomes an event of its own, and is published with its bytes."""
    tables = take_in(webhook("u", policy_id=1), api(7), api(8, policy_id=1))
    assert pairs(tables) == {("u", "8"), (None, "7")}
    assert [Kind(entry.kind) for entry in tables.log] == [Kind.ENTRY, Kind.TWIN, Kind.TWIN, Kind.ENTRY]
    assert tables.log[3].raw == tables.log[1].raw


def test_a_displaced_entry_keeps_its_event() -> None:
    """When the displaced record was published, the better pair is the new event."""
    tables = take_in(api(7), webhook("u", policy_id=1), api(8, policy_id=1))
    assert pairs(tables) == {("u", "8"), (None, "7")}
    assert [Kind(entry.kind) for entry in tables.log] == [Kind.ENTRY, Kind.TWIN, Kind.ENTRY, Kind.MOVE]


def test_a_displaced_record_is_placed_again() -> None:
    """It takes another place when there is one, and nothing is published."""
    tables = take_in(
        webhook("u", policy_id=1), webhook("v", policy_id=2), api(7), api(8, policy_id=1), api(9, policy_id=2)
    )
    assert len(pairs(tables)) == 3
    tables = take_in(webhook("u", policy_id=1), webhook("v", policy_id=2), api(7), api(8, policy_id=2))
    assert pairs(tables) == {("u", "7"), ("v", "8")}


def test_others_move_so_that_nobody_is_left() -> None:
    """A record that fits one place alone gets it when the one there fits another."""
    tables = take_in(
        webhook("u"), webhook("v", policy_id=1), api(7, group_id=3), api(8, policy_id=2), api(9, policy_id=1)
    )
    assert ("v", "9") in pairs(tables)
    assert len(pairs(tables)) == 3


def test_a_contradiction_keeps_two_events_apart() -> None:
    """One field that both know and tell differently is enough; it is counted by name."""
    tables = take_in(webhook("u", group_id=1, policy_id=5), api(7, group_id=2, policy_id=5))
    assert len(pairs(tables)) == 2
    assert tables.counts["acme"].contradictions == {"group_id": 1}


def test_a_second_is_tolerated_with_a_correlation_id_only() -> None:
    """Without it, events a second apart are two."""
    notes = "Authentication method\nCorrelation_id: 9"
    assert len(pairs(take_in(webhook("u", 20, notes=notes), api(7, 21, notes=notes)))) == 1
    assert len(pairs(take_in(webhook("u", 20, notes=notes), api(7, 22, notes=notes)))) == 2
    assert len(pairs(take_in(webhook("u", 20, notes="other"), api(7, 21, notes="other")))) == 2


def test_the_own_second_is_better_than_a_tolerated_one() -> None:
    """A record that waits in the wrong second gives way to one of the right second."""
    notes = "Correlation_id: 9"
    tables = take_in(webhook("u", 20, notes=notes), api(7, 21, notes=notes), api(8, 20, notes=notes))
    assert ("u", "8") in pairs(tables)
    assert len(pairs(tables)) == 2


def test_a_record_with_both_ids_takes_its_place() -> None:
    """It links its ids, so that another number cannot take the uuid's place, in any order."""
    both = _read(uuid="u", id=7, event_timestamp="2026-09-21 14:13:20 UTC")
    for order in (
        (webhook("u"), both, api(7), api(8)),
        (both, api(8), api(7), webhook("u")),
        (api(7), both, webhook("u"), api(8)),
        (webhook("u"), api(8), both, api(7)),
        (api(8), webhook("u"), both, api(7)),
    ):
        tables = take_in(*order)
        assert len(rows_of(tables.log)) == 2, [json.loads(event.raw) for event in order]


def test_notes_are_compared_in_their_normal_form() -> None:
    """Entities, composition and white space do not make two events of one."""
    tables = take_in(
        webhook("u", notes="Jo\u0301 &amp;  <Co>\r\n", user_id="9", app_id=3.0),
        api(7, notes=" J\u00f3 & &lt;Co&gt;", user_id=9, app_id=" 3 "),
    )
    assert pairs(tables) == {("u", "7")}


def test_null_empty_and_absent_are_one_value() -> None:
    """They neither contradict nor make a difference."""
    tables = take_in(webhook("u", notes="", ipaddr=None, group_id=""), api(7, group_id=None))
    assert pairs(tables) == {("u", "7")}


def test_a_hostile_group_is_searched_within_bounds() -> None:
    """Thousands of records that are alike but for one field cost a bounded search, and none is dropped."""
    crowd = [webhook(f"u{number}", risk_score=number) for number in range(2 * WIDEST_SEARCH)]
    tables = take_in(*crowd, api(1, risk_score=-1), api(2, risk_score=2 * WIDEST_SEARCH - 1))
    assert sum(entry.kind == Kind.ENTRY for entry in tables.log) in (
        2 * WIDEST_SEARCH + 1,
        2 * WIDEST_SEARCH + 2,
    )
