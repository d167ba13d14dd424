"""
The rules of identity against random histories: no event lost, none twice, judged by content.
"""

from random import Random

import pytest

from onelogin_connector.identity import keys_of
from onelogin_connector.journal.intake import Intake
from onelogin_connector.journal.records import Record
from onelogin_connector.testing.journal import MemoryTables
from tests.simulation.world import COMPARED, Manner, Story, misplaced, rows_of, tell, unexplained

MANNERS = {
    "plain": Manner(loss=0, repeats=0, hidden=0, accounts_missing=0),
    "lossy": Manner(hidden=0),
    "forgetful": Manner(),
    "silent": Manner(hidden=0.7),
    "different fields": Manner(hidden=0, webhook_omits=("risk_score",), api_omits=("custom_message",)),
    "one second": Manner(seconds=1, hidden=0.5),
    "api first": Manner(webhook_first=0.1),
    "rounding": Manner(hidden=0, rounds=True, seconds=2),
    "drifting": Manner(drift=0.5, hidden=0.1),
    "webhook only": Manner(api=False),
    "both ids": Manner(hidden=0.8, both=0.5, seconds=1),
    "either loses": Manner(loss=0, either_loses=0.4, seconds=40, hidden=0.8),
}
HISTORIES = 300


def take_in(story: Story, *, rounds: bool = False) -> MemoryTables:
    """Run a story through the rules."""
    tables = MemoryTables()
    intake = Intake(tables)
    for events in story.arrivals:
        placed = [intake.locate(Record(event, keys_of(event, rounds=rounds))) for event in events]
        intake.admit(placed, None)
    return tables


@pytest.mark.parametrize("name", MANNERS)
def test_every_event_is_one_entry(name: str) -> None:
    """As many entries as events, and their contents are those of the events."""
    manner = MANNERS[name]
    for seed in range(HISTORIES):
        random = Random(f"{name} {seed}")
        story = tell(random, manner, random.choice([2, 4, 8, 20, 60]))
        tables = take_in(story, rounds=manner.rounds)
        rows = rows_of(tables.log)
        assert len(rows) == len(story.delivered), f"seed {seed}"
        told = list(rows.values())
        if not manner.both:
            assert misplaced(told, story) == 0, f"seed {seed}"
        if not manner.hidden:
            names = ["event_type_id", *COMPARED]
            names = [name for name in names if name not in manner.webhook_omits + manner.api_omits]
            assert unexplained(told, story.events, names) == 0, f"seed {seed}"
