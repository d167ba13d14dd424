"""
The Logs Ingestion sink on a simulated Azure; ``simulation/test_delivery_azure.py`` holds its delivery under faults.
"""

import asyncio
import json
import logging

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelogin_connector.azure.credentials import ClientSecret, StaticTokenCredential
from onelogin_connector.azure.logs_ingestion import LARGEST_CALL_BYTES, records_of
from onelogin_connector.errors import ConfigError, Partly, Refused, Unauthorized, Unavailable
from onelogin_connector.formats.onelogin_users import User
from onelogin_connector.setting import HttpUrl, Secret
from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import (
    CLIENT_ID,
    CLIENT_SECRET,
    RULE_ID,
    STATIC_TOKEN,
    STRANGER_ID,
    TENANT_ID,
    Subscription,
)
from onelogin_connector.simulator.azure.trouble import Endpoint, Fault, Trouble
from onelogin_connector.simulator.azure.wire import Wire
from onelogin_connector.sinks.logs_ingestion import LEAST_CALL_BYTES, LogsIngestion, RuleId, Settings
from onelogin_connector.status import StageState
from onelogin_connector.testing import entry

NOW = 1_700_000_050.0  # shortly after the records of ``entry``
URL = HttpUrl("http://127.0.0.1:9")
STATIC = StaticTokenCredential(token=Secret(STATIC_TOKEN))
SIGNED_IN = ClientSecret(
    tenant_id=TENANT_ID, client_id=CLIENT_ID, client_secret=Secret(CLIENT_SECRET), authority=URL
)
TABLE = "OneLogin_CL"


class Azure:
    """
    A simulated Azure with a sink on it, on one clock.
    """

    def __init__(self, **named):
        self.now = NOW
        self.subscription = Subscription(clock=self.clock, sleep=self.sleep)
        self.api = Api(self.subscription)
        chosen = {"endpoint": URL, "rule_id": RuleId(RULE_ID), "credential": SIGNED_IN} | named
        self.sink = LogsIngestion(Settings(**chosen), clock=self.clock, transport=Wire(self.api))

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds

    def fail(self, trouble, **named):
        """Let something go wrong."""
        self.subscription.faults.add(Fault(trouble=Trouble(trouble), **named))

    def uuids(self):
        """Return the ids of the rows that arrived, in order."""
        return [row.get("uuid_g") for row in self.subscription.sentinel.rows(TABLE)]

    def calls(self):
        """Return the calls that were made to the rule."""
        return [call for call in self.api.calls if "/streams/" in call.path]

    def run(self, act):
        """Tell a story, and close the sink."""

        async def story():
            try:
                return await act(self.sink)
            finally:
                await self.sink.close()

        return asyncio.run(story())


def natives(*offsets):
    """Return the ids of the records of ``entry``."""
    return [entry(offset).native for offset in offsets]


def large(offset, size):
    """Return a record of about so many bytes."""
    record = {"uuid": f"{offset:08x}-0000-4000-8000-000000000000", "event_type_id": 5}
    return entry(offset, json.dumps(record | {"more": "x" * size}).encode())


def test_a_batch_is_one_call():
    """
    A usual batch goes in one call, packed, with a token for the rule, under a name that tells its records.
    """
    azure = Azure()
    azure.run(lambda sink: sink.send([entry(offset) for offset in (7, 8, 9)]))
    assert azure.uuids() == natives(7, 8, 9)
    (call,) = azure.calls()
    assert call.status == 204
    assert records_of(call.request_id) == (7, 3)
    (trace,) = azure.sink.traces
    assert (trace.request_id, trace.first_offset, trace.last_offset) == (call.request_id, 7, 9)
    assert (trace.rows, trace.outcome, trace.sent_bytes) == (3, "accepted", call.sent_bytes)
    assert trace.sent_bytes < trace.rows_bytes
    assert azure.subscription.sentinel.lost == {}


def test_a_batch_beyond_one_call_is_settled_in_part():
    """
    What one call holds is settled; the rest is left to the loop, which has the checkpoint.
    """
    azure = Azure()
    batch = [large(offset, 60_000) for offset in range(1, 21)]

    async def act(sink):
        with pytest.raises(Partly) as caught:
            await sink.send(batch)
        return caught.value

    partly = azure.run(act)
    assert partly.then is None
    assert azure.uuids() == [each.native for each in batch[: partly.settled]]
    assert 5 <= partly.settled < 20
    assert len(azure.calls()) == 1
    (trace,) = azure.sink.traces
    assert trace.rows_bytes <= LARGEST_CALL_BYTES
    assert trace.rows_bytes > LARGEST_CALL_BYTES - 130_000


@given(st.lists(st.integers(0, 150_000), min_size=1, max_size=40))
@settings(max_examples=25)
def test_whatever_the_sizes_each_row_arrives_once(sizes):
    """
    However large records are, calls stay within the limit and each row is there once, in order.
    """
    azure = Azure()
    batch = [large(offset, size) for offset, size in enumerate(sizes, start=1)]

    async def act(sink):
        rest, refused = batch, {}
        while rest:
            try:
                await sink.send(rest)
            except Partly as partly:
                refused |= partly.refused
                rest = rest[partly.settled :]
            else:
                rest = []
        assert refused == {}

    azure.run(act)
    assert azure.uuids() == [each.native for each in batch]
    assert all(call.status == 204 for call in azure.calls())


def test_batches_are_planned_to_fill_a_call():
    """
    After some calls the limit of a batch is what fits into one, for records of either table.
    """
    for table in ("OneLogin_CL", "OneLoginEventsV2_CL"):
        azure = Azure(table=table)

        async def act(sink):
            for start in range(8):
                with_more = [large(start * 10 + offset, 1_500) for offset in range(1, 10)]
                await sink.send(with_more)
            return sink.limits.size_bytes

        planned = azure.run(act)
        trace = azure.sink.traces[-1]
        records = sum(len(large(offset, 1_500).raw) for offset in range(1, 10))
        rows_per_byte = trace.rows_bytes / records
        assert planned * rows_per_byte == pytest.approx(1.1 * LARGEST_CALL_BYTES, rel=0.1)


def test_poison_is_found_and_named():
    """
    Of a batch that the service refuses, the record at fault is refused with the reason; no other goes twice.
    """
    azure = Azure()
    azure.fail("poison", containing="0000002a", where=Endpoint.INGESTION)
    batch = [entry(offset) for offset in range(1, 101)]

    async def act(sink):
        with pytest.raises(Partly) as caught:
            await sink.send(batch)
        await sink.send(batch[caught.value.settled :])
        return caught.value

    partly = azure.run(act)
    assert set(partly.refused) == {41}
    assert "HTTP 400 Invalid" in partly.refused[41]
    assert "x-ms-client-request-id" in partly.refused[41]
    assert azure.uuids() == [each.native for at, each in enumerate(batch) if at != 41]
    assert len(azure.calls()) < 20


def test_a_service_that_refuses_everything_is_no_fault_of_records():
    """
    Where even an empty call is refused, the setting is wrong: nothing becomes a dead letter.
    """
    azure = Azure()
    azure.fail("status", status=400, code="InvalidStream", where=Endpoint.INGESTION)

    async def act(sink):
        with pytest.raises(ConfigError, match="even an empty call"):
            await sink.send([entry(1), entry(2)])

    azure.run(act)
    assert len(azure.calls()) == 2


def test_a_proxy_with_a_smaller_limit_is_adapted_to():
    """
    Calls become smaller until they pass, and larger again by and by; each row is there once.
    """
    azure = Azure()
    limit = 300_000
    inner = azure.sink._transport

    class Proxy(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            import gzip

            content = await request.aread()
            plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            if len(plain) > limit:
                return httpx2.Response(413, text="<html>Request Entity Too Large</html>")
            return await inner.handle_async_request(request)

    sink = LogsIngestion(azure.sink.settings, clock=azure.clock, transport=Proxy())
    batch = [large(offset, 20_000) for offset in range(1, 61)]

    async def act(_):
        rest, sends, refused = batch, 0, {}
        while rest:
            sends += 1
            try:
                await sink.send(rest)
            except Partly as partly:
                refused |= partly.refused
                rest = rest[partly.settled :]
            else:
                rest = []
        await sink.close()
        assert refused == {}
        return sends

    assert azure.run(act) < 30
    assert azure.uuids() == [each.native for each in batch]
    assert [trace.outcome for trace in sink.traces].count("HTTP 413") < 8


def test_a_smaller_limit_is_forgotten_by_and_by():
    """
    When the proxy is gone, calls grow back to what the service takes.
    """
    azure = Azure()

    async def act(sink):
        sink._most_bytes = 200_000
        for _ in range(120):
            with pytest.raises(Partly):
                await sink.send([large(offset, 50_000) for offset in range(1, 26)])

    azure.run(act)
    assert azure.sink.traces[0].rows_bytes < 200_000
    assert azure.sink.traces[-1].rows_bytes > LARGEST_CALL_BYTES - 110_000


def test_a_proxy_that_takes_nothing_is_no_fault_of_records():
    """
    A limit so small that usual calls cannot pass is told, and nothing becomes a dead letter.
    """
    azure = Azure()
    azure.fail("status", status=413, where=Endpoint.INGESTION)

    async def act(sink):
        with pytest.raises(Unavailable, match="Not even"):
            await sink.send([entry(1), entry(2)])

    azure.run(act)
    assert LEAST_CALL_BYTES == 65_536


def test_a_record_that_fits_into_no_call_is_refused_alone():
    """
    Behind a proxy with a small limit a large record is refused with its size; those around it arrive.
    """
    azure = Azure()
    sink = azure.sink
    sink._most_bytes = 100_000
    columns = ("notes", "custom_message", "error_description", "user_agent", "actor_system")
    giant = entry(2, json.dumps(dict.fromkeys(columns, "x" * 60_000)).encode())

    async def act(_):
        reasons = []
        for batch in ([entry(1), giant, entry(3)], [giant, entry(3)], [entry(3)], [giant]):
            try:
                await sink.send(batch)
            except Partly as partly:
                reasons.append((partly.settled, partly.refused))
            except Refused as refused:
                reasons.append((1, refused.reasons))
        return reasons

    first, second, third = azure.run(act)
    assert first == (1, {})
    assert second[0] == 1
    assert "100,000 bytes" in second[1][0] or "101,562 bytes" in second[1][0]
    assert third[1].keys() == {0}
    assert azure.uuids() == natives(1, 3)


def test_a_token_that_was_refused_is_replaced_once():
    """
    A revoked token costs one call; a sign-in whose tokens are never good ends as a refused credential.
    """
    azure = Azure()

    async def act(sink):
        await sink.send([entry(1)])
        azure.subscription.entra.revoke()
        await sink.send([entry(2)])
        azure.fail("revoked", where=Endpoint.INGESTION)
        with pytest.raises(Unauthorized, match="does not accept the token"):
            await sink.send([entry(3)])

    azure.run(act)
    assert azure.uuids() == natives(1, 2)
    assert [call.status for call in azure.calls()] == [204, 401, 204, 401, 401]
    names = [call.request_id for call in azure.calls()]
    assert len(set(names)) == len(names), "every call has a name of its own"


def test_a_static_token_that_was_refused_is_said():
    """
    Somebody else renews a static token, so its end is told.
    """
    azure = Azure(credential=StaticTokenCredential(token=Secret("an-old-token-0123")))

    async def act(sink):
        with pytest.raises(Unauthorized) as caught:
            await sink.send([entry(1)])
        return caught.value

    error = azure.run(act)
    assert "static token" in error.action
    assert "an-old-token" not in str(error)


def test_failed_calls_are_noted(caplog):
    """
    What went well is a line for debugging, what failed one for the operator, with the name of the call and its offsets.
    """
    caplog.set_level(logging.DEBUG, "onelogin_connector.azure.calls")
    azure = Azure()
    azure.fail("status", status=503, times=1, where=Endpoint.INGESTION)
    azure.fail("down", times=1, where=Endpoint.INGESTION)

    async def act(sink):
        for _ in range(2):
            with pytest.raises(Unavailable):
                await sink.send([entry(5), entry(6)])
        await sink.send([entry(5), entry(6)])

    azure.run(act)
    lines = [record for record in caplog.records if getattr(record, "action", "") == "ingestion_call"]
    assert {(line.levelno, line.first_offset, line.last_offset, line.rows) for line in lines} == {
        (logging.INFO, 5, 6, 2),
        (logging.DEBUG, 5, 6, 2),
    }
    assert [line.levelno for line in lines] == [logging.INFO, logging.INFO, logging.DEBUG]
    assert [trace.outcome for trace in azure.sink.traces] == ["Unavailable", "HTTP 503", "accepted"] or [
        trace.outcome for trace in azure.sink.traces
    ] == ["HTTP 503", "Unavailable", "accepted"]
    assert CLIENT_SECRET not in caplog.text
    assert "Bearer" not in caplog.text


def test_lost_rows_can_be_found_by_the_name_of_their_call():
    """
    The rule's error log names the call; the name alone says which records it held.
    """
    azure = Azure()
    azure.fail("lost_rows", containing="00000009", where=Endpoint.INGESTION)
    azure.run(lambda sink: sink.send([entry(offset) for offset in range(8, 12)]))
    assert azure.uuids() == natives(8, 10, 11)
    (error,) = azure.subscription.rule.errors
    assert records_of(error["ClientRequestId"]) == (8, 4)


def test_the_whole_record_can_be_left_out():
    """
    Without ``Raw`` the columns are the same, and the calls smaller.
    """
    rows, sizes = [], []
    for include in (True, False):
        azure = Azure(include_raw=include)
        azure.run(lambda sink: sink.send([entry(1)]))
        rows += azure.subscription.sentinel.rows(TABLE)
        sizes.append(azure.calls()[0].sent_bytes)
    assert sizes[1] < sizes[0]
    assert rows[0].pop("Raw")
    assert not rows[1].pop("Raw", None)
    assert rows[0] == rows[1]


def test_users_go_to_a_stream_of_their_own():
    """
    Users are sent as rows of the users' table, as many as fit into a call.
    """
    azure = Azure(users_stream="Custom-OneLoginUsersV2_CL")
    users = [User(id=number, username=f"u{number}", email="e" * 900) for number in range(2_000)]
    assert azure.run(lambda sink: sink.send_users(users, at_us=int(NOW * 1e6))) < 2_000
    rows = list(azure.subscription.sentinel.rows("OneLoginUsersV2_CL"))
    assert len(rows) > 500
    assert rows[1]["UserAttributesUsername"] == "u1"
    assert azure.subscription.sentinel.lost == {}


def checked(azure):
    """Return the stages of a check: name → (state, message with action)."""
    stages = azure.run(lambda sink: sink.check())
    return {
        stage.stage: (stage.state, f"{stage.message} {stage.action}", stage.http_status) for stage in stages
    }


def test_a_check_of_a_good_sink_passes_and_stores_nothing():
    """
    Configuration, token and post pass, for users too, and no row is there.
    """
    azure = Azure(users_stream="Custom-OneLoginUsersV2_CL")
    stages = checked(azure)
    assert list(stages) == ["configuration", "token", "post", "users"]
    assert {state for state, _, _ in stages.values()} == {StageState.PASSED}
    assert stages["post"][2] == 204
    assert azure.api.accepted == 0


@pytest.mark.parametrize(
    ("named", "faults", "failed", "said"),
    [
        (
            {"credential": msgspec.structs.replace(SIGNED_IN, client_secret=Secret("wrong"))},
            [],
            "token",
            "secret's value",
        ),
        ({"credential": msgspec.structs.replace(SIGNED_IN, tenant_id="other")}, [], "token", "tenant_id"),
        ({"credential": msgspec.structs.replace(SIGNED_IN, client_id="other")}, [], "token", "client_id"),
        (
            {"credential": msgspec.structs.replace(SIGNED_IN, client_id=STRANGER_ID)},
            [],
            "post",
            "Monitoring Metrics Publisher",
        ),
        ({"credential": StaticTokenCredential(token=Secret("old"))}, [], "post", "static token"),
        ({"cloud": "china"}, [], "token", "Set cloud"),
        ({"rule_id": RuleId(f"dcr-{'9' * 32}")}, [], "post", "immutableId"),
        ({"stream": "Custom-Other_CL"}, [], "post", "streamDeclarations"),
        ({"users_stream": "Custom-Other_CL"}, [], "users", "streamDeclarations"),
        ({}, [{"trouble": "down", "where": Endpoint.TOKEN}], "token", "port 443"),
        ({}, [{"trouble": "down", "where": Endpoint.INGESTION}], "post", "port 443"),
        ({}, [{"trouble": "page", "where": Endpoint.INGESTION}], "post", "sign-in page"),
        ({}, [{"trouble": "redirect", "where": Endpoint.INGESTION}], "post", "proxy"),
        ({}, [{"trouble": "status", "status": 400, "where": Endpoint.INGESTION}], "post", "rule_id"),
        ({}, [{"trouble": "status", "status": 413, "where": Endpoint.INGESTION}], "post", "too large"),
        ({}, [{"trouble": "status", "status": 429, "where": Endpoint.INGESTION}], "post", "too fast"),
        ({}, [{"trouble": "status", "status": 503, "where": Endpoint.INGESTION}], "post", "cannot answer"),
        ({}, [{"trouble": "no_role", "where": Endpoint.INGESTION}], "post", "30 minutes"),
    ],
)
def test_a_check_says_what_is_missing(named, faults, failed, said):
    """
    The first stage that fails names the role, the scope or the setting; those behind it are skipped.
    """
    azure = Azure(**named)
    for fault in faults:
        azure.fail(**fault)
    stages = checked(azure)
    state, text, _ = stages[failed]
    assert state is StageState.FAILED
    assert said in text
    names = list(stages)
    assert all(stages[name][0] is StageState.PASSED for name in names[: names.index(failed)])
    assert all(stages[name][0] is StageState.SKIPPED for name in names[names.index(failed) + 1 :])
    assert CLIENT_SECRET not in str(stages)


def test_a_check_is_not_fooled_by_what_is_remembered():
    """
    A token from before does not hide that the secret was taken away.
    """
    azure = Azure()

    async def act(sink):
        await sink.send([entry(1)])
        azure.subscription.entra.applications.clear()
        stages = await sink.check()
        await sink.send([entry(2)])  # with the token at hand, which is good still
        return stages

    stages = {stage.stage: stage.state for stage in azure.run(act)}
    assert stages["token"] is StageState.FAILED
    assert azure.uuids() == natives(1, 2)


GOOD = {"endpoint": URL, "rule_id": RuleId(RULE_ID), "credential": STATIC}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"endpoint": HttpUrl("https://x.ingest.monitor.azure.com/dataCollectionRules/y")},
            "ends with the host",
        ),
        ({"endpoint": HttpUrl("https://example.com")}, "set cloud too"),
    ],
)
def test_settings_that_cannot_be_right(wrong, said):
    """
    What can be seen to be wrong is told at the start.
    """
    with pytest.raises(ValueError, match=said):
        Settings(**(GOOD | wrong))


@pytest.mark.parametrize(
    "text",
    [
        "my-rule",
        "dcr-123",
        "/subscriptions/0/dataCollectionRules/x",
        f"dcr-{'é' * 32}",
        f"dcr-{'../' * 10}xx",
    ],
)
def test_a_rules_name_is_not_its_id(text):
    """
    The id that calls name is the immutable one; another would lead to a 404 that nobody understands.
    """
    with pytest.raises(ValueError, match="immutableId"):
        RuleId(text)


def test_the_cloud_follows_the_endpoint():
    """
    Tokens are for the cloud that the endpoint names, unless a setting says otherwise.
    """
    government = HttpUrl("https://x.usgovvirginia-1.ingest.monitor.azure.us")
    assert Settings(**GOOD | {"endpoint": government}).found_cloud.name == "government"
    assert Settings(**GOOD | {"endpoint": government, "cloud": "china"}).found_cloud.name == "china"
    assert (
        Settings(**GOOD | {"endpoint": HttpUrl("https://example.com"), "cloud": "public"}).found_cloud.name
        == "public"
    )


def test_the_stream_follows_the_table():
    """
    Without a setting the stream has the table's name.
    """
    assert Settings(**GOOD).events_stream == "Custom-OneLogin_CL"
    assert Settings(**GOOD | {"table": "OneLoginEventsV2_CL"}).events_stream == "Custom-OneLoginEventsV2_CL"
    assert Settings(**GOOD | {"stream": "Custom-X"}).events_stream == "Custom-X"


def test_no_secret_shows_in_the_settings():
    """
    Settings are shown in pages and logs.
    """
    shown = repr(Settings(**GOOD | {"credential": SIGNED_IN}))
    assert CLIENT_SECRET not in shown
