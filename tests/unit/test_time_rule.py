"""
Which time rule is proposed, and on what evidence.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.journal.base import ConnectorCounts
from onelogin_connector.journal.time_rule import LEAST_MATCHES, propose


@pytest.mark.parametrize(
    ("rule", "floor", "rounded", "proposal", "says"),
    [
        ("floor", 95, 2, None, "floor is right"),
        ("round", 2, 95, None, "round is right"),
        ("floor", 2, 95, "round", 'Set time_rule = "round"'),
        ("round", 95, 2, "floor", 'Set time_rule = "floor"'),
        ("floor", 0, LEAST_MATCHES - 1, None, "Too little"),
        ("floor", 0, LEAST_MATCHES, "round", "would have matched 20"),
        ("floor", 40, 60, None, "Neither"),
        ("floor", 0, 0, None, "Too little"),
    ],
)
def test_a_change_needs_clear_evidence(rule, floor, rounded, proposal, says):
    """
    The better rule is proposed where it is far ahead; few or mixed matches propose nothing, and say so.
    """
    counts = ConnectorCounts(api_records=100, match_floor=floor, match_round=rounded)
    figures = propose(counts, rule)
    assert figures.proposal == proposal
    assert says in figures.reason
    assert (figures.floor_share, figures.round_share) == (floor / 100, rounded / 100)
    assert figures.share == (floor if rule == "floor" else rounded) / 100


def test_without_records_there_is_no_share():
    """
    A share of nothing is not zero: it is not known.
    """
    figures = propose(ConnectorCounts(), "floor")
    assert (figures.records, figures.floor_share, figures.round_share, figures.share) == (0, None, None, None)


@given(floor=st.integers(0, 1_000), rounded=st.integers(0, 1_000))
def test_proposals_never_go_in_circles(floor, rounded):
    """
    Whoever follows a proposal is not told to go back by the same figures, and never to the rule with fewer matches.
    """
    counts = ConnectorCounts(api_records=2_000, match_floor=floor, match_round=rounded)
    for rule in ("floor", "round"):
        proposal = propose(counts, rule).proposal
        if proposal is not None:
            assert propose(counts, proposal).proposal is None
            better = {"floor": floor, "round": rounded}
            assert better[proposal] > better[rule]
