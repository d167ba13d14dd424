"""
Which time rule fits a connector: does OneLogin cut or round the API's fraction of a second in webhooks?

No source says it, so the journal counts, for every API record whose fraction makes the two rules differ, under
which of them a webhook record was waiting. A few meet by chance (equal events in neighbouring seconds), so a change is
proposed only on clear evidence.
"""

from msgspec import Struct

from onelogin_connector.journal.base import ConnectorCounts

FLOOR, ROUND = "floor", "round"

LEAST_MATCHES = 20
"""Under the better rule. Fewer may be chance."""

CLEAR_LEAD = 3
"""How many times as many matches the better rule must have. Chance meetings are a small part."""


class TimeRuleFigures(Struct, frozen=True):
    """
    How both time rules do.
    """

    rule: str
    """The connector's present rule."""
    records: int
    """API records that tell the rules apart."""
    floor_share: float | None
    """Of these, the part that met a webhook record under ``floor``; None where there are none."""
    round_share: float | None
    """The same under ``round``."""
    proposal: str | None
    """The rule to change to; None where the present one is right, or too little is known."""
    reason: str
    """The proposal, or why there is none, as a sentence."""

    @property
    def share(self) -> float | None:
        """
        The match share under the present rule.
        """
        return self.round_share if self.rule == ROUND else self.floor_share


def propose(counts: ConnectorCounts, rule: str) -> TimeRuleFigures:
    """
    Compare the rules by what was counted of a connector.

    Args:
        rule: The connector's present rule.
    """
    matches = {FLOOR: counts.match_floor, ROUND: counts.match_round}
    other = FLOOR if rule == ROUND else ROUND
    best = max(matches.values())
    proposal = None
    if best < LEAST_MATCHES:
        reason = f"Too little is known yet: {best} matches, {LEAST_MATCHES} are needed."
    elif matches[rule] >= CLEAR_LEAD * matches[other]:
        reason = f"{rule} is right: {matches[rule]} matches, {matches[other]} under {other}."
    elif matches[other] >= CLEAR_LEAD * matches[rule]:
        proposal = other
        reason = f'Set time_rule = "{other}": it would have matched {matches[other]} events, {rule} matches {matches[rule]}.'
    else:
        reason = f"Neither rule is clearly better: {matches[FLOOR]} matches under floor, {matches[ROUND]} under round."
    records = counts.api_records
    return TimeRuleFigures(
        rule=rule,
        records=records,
        floor_share=matches[FLOOR] / records if records else None,
        round_share=matches[ROUND] / records if records else None,
        proposal=proposal,
        reason=reason,
    )
