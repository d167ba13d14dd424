"""
The simulated Azure fails as it is asked to, over a real connection and in this process alike.
"""

import asyncio
from email.utils import parsedate_to_datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import RULE_ID, STATIC_TOKEN, Subscription
from onelogin_connector.simulator.azure.trouble import Endpoint, Fault, Trouble
from onelogin_connector.simulator.faults import Faults
from onelogin_connector.simulator.serving import bind, serving
from tests.loops import undisturbed
from unit.azure_caller import NOW, Caller

URL = f"/dataCollectionRules/{RULE_ID}/streams/Custom-OneLogin_CL?api-version=2023-01-01"
HEADERS = {"authorization": f"Bearer {STATIC_TOKEN}", "content-type": "application/json"}
ROWS = [{"notes_s": "x" * 900}] * 1_000
ACCEPTED = {
    Trouble.SLOW, Trouble.LOST_ANSWER, Trouble.LATE_ANSWER, Trouble.CUT_ANSWER, Trouble.LOST_ROWS,
}  # fmt: skip
"""What is accepted although it goes wrong."""
ANSWERED = {
    Trouble.STATUS: 503, Trouble.SLOW: 204, Trouble.PAGE: 200, Trouble.REDIRECT: 307, Trouble.NO_ROLE: 403,
    Trouble.REVOKED: 401, Trouble.POISON: 400, Trouble.LOST_ROWS: 204,
}  # fmt: skip
"""What ends with an answer that can be read; all else is an error of the connection."""


@pytest.fixture
def azure():
    """
    Give a fresh subscription.
    """
    return Caller()


def outcome(azure, **options):
    """
    Return the status of a call, or the kind of its failure.
    """
    try:
        return azure.ingest(ROWS, zipped=False, **options).status_code
    except httpx2.TransportError as error:
        return type(error)


@pytest.mark.parametrize("trouble", Trouble)
def test_each_trouble_is_told_and_accepts_what_it_says(azure, trouble):
    """
    In this process: an answer or an error of the HTTP library, and rows only where it promises them.
    """
    azure.fail(
        trouble, times=1, status=503, wait_seconds=7, containing="xxx" if trouble is Trouble.POISON else ""
    )
    found = outcome(azure)
    if trouble in ANSWERED:
        assert found == ANSWERED[trouble]
    else:
        assert isinstance(found, type)
        assert issubclass(found, httpx2.TransportError)
    assert len(azure.rows()) == (len(ROWS) if trouble in ACCEPTED else 0)
    call = azure.api.calls[-1]
    assert (call.trouble, call.rows) == (trouble, len(ROWS) if trouble in ACCEPTED else 0)
    if trouble is not Trouble.REVOKED:
        assert outcome(azure) == 204
    if trouble in {Trouble.HANG, Trouble.LATE_ANSWER}:
        assert found is httpx2.ReadTimeout
        assert azure.now == NOW + 30
    elif trouble is Trouble.SLOW:
        assert azure.naps == [7]


@pytest.mark.parametrize("trouble", Trouble)
def test_each_trouble_over_a_real_connection(trouble):
    """
    On loopback the same happens to a connection of its own, and the next call is answered again.
    """

    async def story():
        started = asyncio.get_running_loop().time()
        api = Api(Subscription())
        fault = Fault(trouble=trouble, times=1, status=503, wait_seconds=0.02)
        api.subscription.faults.add(fault)
        async with serving(api, bind()) as url, httpx2.AsyncClient(base_url=url, timeout=0.3) as client:
            try:
                found = (await client.post(URL, headers=HEADERS, json=ROWS)).status_code
            except httpx2.TransportError as error:
                found = type(error)
            rows = len(api.subscription.sentinel.rows("OneLogin_CL"))
            again = await client.post(URL, headers=HEADERS, json=[])
        return found, rows, again.status_code, asyncio.get_running_loop().time() - started

    found, rows, again, seconds = undisturbed(story())
    assert found == ANSWERED[trouble] if trouble in ANSWERED else issubclass(found, httpx2.TransportError)
    assert rows == (len(ROWS) if trouble in ACCEPTED else 0)
    assert again == (401 if trouble is Trouble.REVOKED else 204)
    assert seconds < 5


@pytest.mark.parametrize(
    ("asked", "header"),
    [
        ({}, None),
        ({"retry_after": 17}, "17"),
        ({"retry_after": 0.5}, "0.5"),
        ({"retry_after": "soon"}, "soon"),
        ({"retry_after": 10**9}, "1000000000"),
        ({"retry_after": 90, "retry_as_date": True}, "Fri, 20 Nov 2026 18:41:30 GMT"),
    ],
)
@pytest.mark.parametrize("endpoint", Endpoint)
def test_every_form_of_retry_after(azure, asked, header, endpoint):
    """
    In seconds, as a date seen from the answer's own date, as nonsense, and not at all; on every endpoint.
    """
    azure.fail("status", status=429, code="TooMany", times=1, where=endpoint, **asked)
    call = {Endpoint.TOKEN: azure.sign_in, Endpoint.COLLECTOR: lambda: azure.collect([{}])}
    answer = call.get(endpoint, lambda: azure.ingest([{}]))()
    assert answer.status_code == 429
    assert answer.headers.get("retry-after") == header
    if asked.get("retry_as_date"):
        wait = parsedate_to_datetime(header) - parsedate_to_datetime(answer.headers["date"])
        assert wait.total_seconds() == 90
    told = answer.json()
    shapes = {Endpoint.COLLECTOR: lambda: told["Error"], Endpoint.TOKEN: lambda: told["error"]}
    assert shapes.get(endpoint, lambda: told["error"]["code"])() == "TooMany"


def test_poison_is_a_text_in_the_body(azure):
    """
    Calls that hold it are refused, compressed or not; others go through.
    """
    azure.fail("poison", containing='"notes_s": "bad"')
    for zipped in (True, False):
        assert azure.ingest([{"notes_s": "good"}, {"notes_s": "bad"}], zipped=zipped).status_code == 400
        assert azure.ingest([{"notes_s": "good"}], zipped=zipped).status_code == 204
    assert len(azure.rows()) == 2


def test_a_new_token_is_good_after_the_old_were_revoked(azure):
    """
    401 for the old ones alone.
    """
    token = azure.token()
    azure.fail("revoked", times=1)
    assert azure.ingest([{}], token=token).status_code == 401
    assert azure.ingest([{}], token=token).status_code == 401
    assert azure.ingest([{}], token=azure.token()).status_code == 204


def test_a_fault_ends_at_its_time(azure):
    """
    A role that is missing for hours comes back by Azure's clock, and a person can end everything at once.
    """
    azure.fail("no_role", seconds=7_200)
    azure.now += 7_199
    assert outcome(azure) == 403
    azure.now += 1
    assert outcome(azure) == 204
    azure.fail("down")
    assert outcome(azure) is httpx2.ConnectError
    assert azure.ask("DELETE", "/simulator/faults").status_code == 204
    assert outcome(azure) == 204


def test_a_fault_meets_only_what_it_is_for(azure):
    """
    One endpoint's trouble is not another's; what a person asks of the simulation always works.
    """
    azure.fail("status", where=Endpoint.COLLECTOR)
    azure.fail("down", where=Endpoint.TOKEN)
    assert outcome(azure) == 204
    assert azure.collect([{}]).status_code == 500
    with pytest.raises(httpx2.ConnectError):
        azure.sign_in()
    assert azure.ask("GET", "/simulator/tables").status_code == 200


def test_nonsense_is_no_fault(azure):
    """
    A person who misspells is told.
    """
    answer = azure.ask("POST", "/simulator/faults", json={"trouble": "gremlins"})
    assert answer.status_code == 400
    assert "gremlins" in answer.text
    assert azure.ask("POST", "/simulator/faults", json={"trouble": "down", "time": 1}).status_code == 400


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=4), st.integers(0, 25))
def test_faults_queue_up(plan, calls):
    """
    Each skips and lasts its number of calls, oldest first, and none is met twice.
    """
    faults = Faults[Fault](clock=lambda: NOW)
    for number, (skip, times) in enumerate(plan):
        faults.add(Fault(trouble=Trouble.STATUS, skip=skip, times=times, status=500 + number))
    met = [faults.next(lambda each: each.fits(Endpoint.INGESTION, b"")) for _ in range(calls)]
    for number, (_, times) in enumerate(plan):
        places = [at for at, fault in enumerate(met) if fault and fault.status == 500 + number]
        assert len(places) <= times
        if calls == 25:
            assert len(places) == times
