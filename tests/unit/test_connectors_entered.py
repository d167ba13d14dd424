"""
What people enter for a connector, and what they are told about a failing check.
"""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.onelogin.causes import CAUSES
from onelogin_connector.reach import Reach
from onelogin_connector.service import wanted as entered
from onelogin_connector.service.check_run import headline, is_proven
from onelogin_connector.service.explaining import EXPLANATIONS, OWN_MESSAGES, STAGES, said
from onelogin_connector.service.wanted import FieldErrors, Wanted, id_for, normal
from onelogin_connector.setting import Secret
from onelogin_connector.status import Stage, StageState


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("ACME production", "acme-production"),
        ("  Zürich & Genève  ", "zurich-geneve"),
        ("日本", "onelogin"),
        ("../../etc", "etc"),
        ("---", "onelogin"),
        ("x" * 60, "x" * 40),
    ],
)
def test_an_id_is_derived(name, id):
    """
    Small letters, digits and hyphens of what was entered; a name without any has a name all the same.
    """
    assert id_for(name, set()) == id


@given(st.text(), st.sets(st.sampled_from(["a", "a-2", "onelogin", "x" * 40, "x" * 38 + "-2"])))
def test_an_id_is_always_new_and_always_fit(name, taken):
    """
    Whatever the name, the id fits an address, is at most 40 long, and is nobody else's.
    """
    import re

    found = id_for(name, taken)
    assert found not in taken
    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", found)


def test_what_was_entered_gets_its_normal_form():
    """
    Blanks go, the domain becomes a host, and the address loses what it does not need.
    """
    wanted = Wanted(
        name=" A \n B ", domain=" HTTPS://Acme.OneLogin.com/admin ", client_id=" i ", client_secret=" s "
    )
    found = normal(wanted, Reach())
    assert (found.name, found.domain, found.client_id, found.client_secret) == (
        "A B",
        "acme.onelogin.com",
        "i",
        "s",
    )
    assert entered.address(found) == "https://acme.onelogin.com"
    assert "s" not in repr(found).replace("Wanted", "")


def test_every_mistake_is_told_at_once():
    """
    Each field has its own sentence, so that nobody corrects a form five times.
    """
    wanted = Wanted(
        name="", domain="x.example.com", client_id="a b", poll_seconds=float("nan"), overlap_minutes=0
    )
    with pytest.raises(FieldErrors) as error:
        normal(wanted, Reach())
    assert set(error.value.fields) == {"name", "domain", "client_id", "poll_seconds", "overlap_minutes"}


def test_what_is_kept_holds_no_secret_and_reads_back():
    """
    The state's JSON is the form without the secret.
    """
    wanted = Wanted(name="A", client_id="i", client_secret="s", start=datetime(2026, 11, 1, tzinfo=UTC))
    kept = wanted.kept()
    assert "client_secret" not in kept
    assert entered.stored(kept).start == wanted.start
    assert entered.connector(entered.stored(kept), Secret("s")).client_secret == Secret("s")
    assert entered.connector(entered.stored(kept), None).client_id is None


def test_every_cause_is_explained_once():
    """
    Each cause has its message, its explanation and its place in the documentation.
    """
    placed = [code for codes in STAGES.values() for code in codes]
    assert sorted(placed) == sorted(set(placed))
    assert set(placed) == set(EXPLANATIONS) == {*CAUSES, *OWN_MESSAGES}
    for code in placed:
        assert all(said(code))


def test_a_headline_names_the_first_stage_that_failed():
    """
    Without what was seen this time; that stands with the stage.
    """
    message = f"{CAUSES['credential'].meaning} (HTTP 401 from POST /x)"
    failed = Stage("Authentication", StageState.FAILED, message, code="credential", http_status=401)
    passed = Stage("Network", StageState.PASSED, "Fine.")
    assert headline([passed]) == "Connection successful"
    assert headline([passed, failed, failed]) == f"Authentication Stage: {CAUSES['credential'].meaning}"


def test_what_was_not_tested_is_not_called_a_success():
    """
    A token and a listener on this side show nothing of the other; a webhook that came, or an answer of the API, does.
    """

    def stage(name, state, message="It is so."):
        return Stage(name, state, message)

    api = stage("API", StageState.SKIPPED, "There is no API credential.")
    ready = [stage("Webhook", StageState.PASSED), stage("Listener", StageState.PASSED)]
    silence = stage("Events", StageState.SKIPPED, "No event has arrived yet.")
    assert headline([api, *ready, silence]).startswith("Ready for the first event")
    assert not is_proven([api, *ready, silence])
    assert headline([api, *ready, stage("Events", StageState.PASSED)]) == "Connection successful"
    assert is_proven([api, *ready, stage("Events", StageState.PASSED)])
    assert headline([api]) == "Nothing was tested. There is no API credential."
    assert headline([stage("Configuration", StageState.SKIPPED, "This sink is turned off.")]) == (
        "Nothing was tested. This sink is turned off."
    )
    assert headline([]) == "Nothing was tested"
    assert not is_proven([stage("Events", StageState.PASSED), stage("Webhook", StageState.FAILED)])
