"""
The Data Collector sink against the simulated service: every fault ends with each event accepted, or named.
"""

import asyncio
import json
from collections import Counter

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from onelogin_connector.azure.data_collector import API
from onelogin_connector.config import load
from onelogin_connector.errors import (
    ConfigError,
    ConnectorError,
    Partly,
    Refused,
    Unauthorized,
    Unavailable,
)
from onelogin_connector.event import LARGEST_RECORD_BYTES, Way, read
from onelogin_connector.setting import Secret
from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import LEGACY_ID, WORKSPACE_KEY, Subscription
from onelogin_connector.simulator.azure.trouble import Endpoint, Fault, Trouble
from onelogin_connector.simulator.azure.wire import Wire
from onelogin_connector.sinks.data_collector import MOST_BODY_BYTES, DataCollector, Settings
from onelogin_connector.status import StageState
from onelogin_connector.testing import entry

NOW = 1_795_300_000.0
TABLE = "OneLogin_CL"
POISON = b'{"notes":"poison","uuid":"%08x-0000-4000-8000-000000000000"}'


class Azure:
    """
    The simulated side, on a clock that only waiting moves.
    """

    def __init__(self):
        self.now = NOW
        self.subscription = Subscription(clock=lambda: self.now, sleep=self.sleep)
        self.api = Api(self.subscription)

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)

    def sink(self, transport=None, **settings):
        """Return a sink for its old workspace."""
        return DataCollector(
            settings_of(**settings),
            clock=lambda: self.now,
            transport=transport or Wire(self.api),
        )

    def fail(self, trouble, **more):
        """Let something go wrong at the Data Collector."""
        self.subscription.faults.add(Fault(trouble=trouble, where=Endpoint.COLLECTOR, **more))

    @property
    def rows(self):
        """Return what arrived."""
        return self.subscription.legacy.rows(TABLE)

    @property
    def offsets(self):
        """Return the offsets of the events that arrived, as ``entry`` puts them into their ids."""
        return [int(row["uuid_g"][:8], 16) for row in self.rows if "uuid_g" in row]


def settings_of(**changes):
    """Return settings for the simulated workspace."""
    given = {
        "workspace_id": LEGACY_ID,
        "workspace_key": Secret(WORKSPACE_KEY),
        "endpoint": "http://127.0.0.1:9002",
    }
    return Settings(**given | changes)


@pytest.fixture
def azure():
    """
    Give a simulated side of its own.
    """
    return Azure()


def outcome(sink, *offsets):
    """Send events, and return what was raised, or None."""
    try:
        asyncio.run(sink.send([entry(offset) for offset in offsets or (1, 2, 3)]))
    except ConnectorError as error:
        return error
    return None


def answering(handler):
    """Return a sink whose service is a function."""
    return Azure().sink(httpx2.MockTransport(handler))


def answer(status, body=b"", **headers):
    """Return an answer whose body comes as over a network."""
    return httpx2.Response(status, stream=httpx2.ByteStream(body), headers=headers)


def refusing(status, code=None, message=None, **headers):
    """Return a handler that refuses every post as the service does."""
    body = json.dumps({"Error": code, "Message": message}).encode() if code else b""
    return lambda request: answer(status, body, **headers)


# What goes over the wire.


def test_a_post_is_as_it_was_signed():
    """
    Address, headers and body are what the service documents; the content type has no charset, the body no compression.
    """
    seen = []

    def handler(request):
        seen.append(request)
        return answer(200)

    sink = answering(handler)
    sink.settings = settings_of(resource_id="/subscriptions/1")
    assert outcome(sink, 7) is None
    (request,) = seen
    assert str(request.url) == "http://127.0.0.1:9002/api/logs?api-version=2016-04-01"
    headers = {name.lower(): value for name, value in request.headers.multi_items()}
    assert headers["content-type"] == "application/json"
    assert headers["log-type"] == "OneLogin"
    assert headers["time-generated-field"] == "event_time"
    assert headers["x-ms-azureresourceid"] == "/subscriptions/1"
    assert headers["x-ms-date"] == "Sat, 21 Nov 2026 22:26:40 GMT"
    assert headers["content-length"] == str(len(request.content))
    assert "content-encoding" not in headers
    assert [record["uuid"] for record in json.loads(request.content)] == [
        "00000007-0000-4000-8000-000000000000"
    ]


def test_events_arrive_in_their_columns(azure):
    """
    The signature holds, and letters of several bytes with it; TimeGenerated is the event's time.
    """
    raw = '{"uuid":"d210df80-ede8-42ba-8199-00ce951bc222","user_name":"Ådå Løvelace","event_type_id":6}'.encode()
    event = read(
        raw[:-1] + b',"event_timestamp":"2026-11-21 22:00:00 UTC"}',
        connector="c",
        way=Way.WEBHOOK,
        received_us=int(NOW * 1e6),
    )
    sent = entry(1, event.raw)
    sent = type(sent)(
        **{name: getattr(sent, name) for name in sent.__struct_fields__} | {"time_us": event.time_us}
    )
    asyncio.run(azure.sink().send([sent]))
    (row,) = azure.rows
    assert row == {
        "TimeGenerated": "2026-11-21T22:00:00.000000Z",
        "event_time_t": "2026-11-21T22:00:00.000000Z",
        "event_timestamp_s": "2026-11-21 22:00:00 UTC",
        "uuid_g": "d210df80-ede8-42ba-8199-00ce951bc222",
        "user_name_s": "Ådå Løvelace",
        "event_type_id_d": 6,
    }
    assert not azure.subscription.legacy.lost


def wide_record():
    """Return the rest of a record whose texts have all the bytes that a column holds."""
    names = [
        "notes",
        "user_name",
        "app_name",
        "role_name",
        "policy_name",
        "user_agent",
        "custom_message",
        "param",
    ]
    names += [
        f"{name}_name" for name in ("actor_user", "group", "directory", "privilege", "adc", "task", "login")
    ]
    names += ["proxy_ip", "entity", "resolution", "ipaddr", "risk_reasons", "actor_system", "operation_name"]
    names += ["error_description", "policy_type", "note_title", "browser_fingerprint", "client_id"]
    return json.dumps(dict.fromkeys(names, "x" * 31_990))[1:].encode()


def test_posts_stay_below_the_limit(azure):
    """
    However large the records, each post stays far below the service's limit, and all arrive.
    """
    record = wide_record()
    assert 0.8 * LARGEST_RECORD_BYTES < len(record) < LARGEST_RECORD_BYTES
    batch = [entry(at, b'{"uuid":"%08x-0000-4000-8000-000000000000",' % at + record) for at in range(1, 36)]
    assert sum(len(each.raw) for each in batch) > MOST_BODY_BYTES
    assert brought(azure.sink(), batch) == {}
    assert azure.offsets == list(range(1, 36))
    assert {call.status for call in azure.api.calls} == {200}
    assert max(call.sent_bytes for call in azure.api.calls) <= MOST_BODY_BYTES < 30_000_000


# What the answers mean.


@pytest.mark.parametrize("code", [code for code in API.causes if isinstance(code, str)])
def test_each_code_has_its_sentence(code):
    """
    Every documented code becomes its branch of the error tree, with what happened and what to do.
    """
    known = API.causes[code]
    status = 403 if code == "InvalidAuthorization" else 400
    refuse = refusing(status, code, "Said by the service.")
    sink = answering(lambda request: answer(200) if request.content == b"[]" else refuse(request))
    error = outcome(sink, 1)
    assert isinstance(error, known.error)
    assert known.meaning in str(error)
    assert str(status) in str(error)
    assert code in str(error)
    assert "Said by the service." in str(error)
    assert known.action
    assert error.action == known.action or known.error is Refused


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Unauthorized), (403, Unauthorized), (404, ConfigError), (405, ConfigError), (408, Unavailable),
     (413, Unavailable), (429, Unavailable), (500, Unavailable), (502, Unavailable), (503, Unavailable),
     (504, Unavailable), (204, Unavailable), (307, Unavailable)],
)  # fmt: skip
def test_each_status_has_its_branch(status, kind):
    """
    A status without a code is told by itself; what says that nothing can ever be accepted is not tried blindly.
    """
    error = outcome(answering(refusing(status)), 1)
    assert type(error) is kind
    assert str(status) in str(error)
    assert error.action


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "17"}, 17), ({"retry-after": "Sat, 21 Nov 2026 22:27:10 GMT"}, 30), ({}, None)],
)
def test_the_wait_that_the_service_asks_for_is_handed_on(headers, seconds):
    """
    A Retry-After in seconds or as a date is what the loop waits; without one it backs off by itself.
    """
    error = outcome(answering(refusing(429, "TooManyRequests", **headers)), 1)
    assert isinstance(error, Unavailable)
    assert error.after_seconds == seconds


@pytest.mark.parametrize(
    "trouble", [Trouble.DOWN, Trouble.RESET, Trouble.HANG, Trouble.PAGE, Trouble.REDIRECT]
)
def test_what_breaks_on_the_way_is_tried_again(azure, trouble):
    """
    Whatever breaks, the batch is not taken for accepted, and arrives once when it goes again.
    """
    azure.fail(trouble, times=1)
    sink = azure.sink()
    assert isinstance(outcome(sink), Unavailable)
    assert azure.rows == []
    assert outcome(sink) is None
    assert azure.offsets == [1, 2, 3]


@pytest.mark.parametrize("trouble", [Trouble.LOST_ANSWER, Trouble.LATE_ANSWER])
def test_a_lost_answer_doubles_rows_and_loses_none(azure, trouble):
    """
    Where nobody can know whether a batch was accepted it goes again: at least once.
    """
    azure.fail(trouble, times=1)
    sink = azure.sink()
    assert isinstance(outcome(sink), Unavailable)
    assert outcome(sink) is None
    assert Counter(azure.offsets) == Counter([1, 2, 3] * 2)


def test_not_found_is_first_taken_for_too_large():
    """
    404 also means too large: halves are tried until that cannot be, and then it is the address; nothing is refused.
    """
    sizes = []

    def handler(request):
        sizes.append(len(request.content))
        return answer(404)

    sink = answering(handler)
    batch = [entry(at, b'{"notes":"%b"}' % (b"x" * 30_000)) for at in range(1, 101)]
    with pytest.raises(ConfigError, match="There is no Data Collector at this address"):
        asyncio.run(sink.send(batch))
    assert sizes[0] > 3_000_000
    assert sizes[-1] < 1 << 20
    assert len(sizes) <= 3


def test_not_found_of_one_large_record_is_no_dead_letter():
    """
    A record that cannot be halved is far below the limit, so its 404 is the address again.
    """
    names = (
        "trusted_idp",
        "mapping",
        "user_field",
        "certificate",
        "otp_device",
        "radius_config",
        "imported_user",
    )
    more = "".join(f'"{name}_name":"{"x" * 31_990}",' for name in names)
    large = entry(1, b"{" + more.encode() + wide_record())
    sizes = []

    def handler(request):
        sizes.append(len(request.content))
        return answer(404)

    with pytest.raises(ConfigError, match="no Data Collector"):
        asyncio.run(answering(handler).send([large]))
    assert sizes[0] > 1 << 20


def test_not_found_of_a_large_post_is_cut():
    """
    A service that takes less than it documents gets smaller posts, and everything.
    """
    taken = []

    def handler(request):
        if len(request.content) > 1_200_000:
            return answer(404)
        taken.extend(json.loads(request.content))
        return answer(200)

    sink = answering(handler)
    batch = [entry(at, b'{"id":%d,"notes":"%b"}' % (at, b"x" * 30_000)) for at in range(1, 101)]
    assert brought(sink, batch) == {}
    assert [record["event_id"] for record in taken] == [str(at) for at in range(1, 101)]


def test_the_key_is_in_no_message():
    """
    A service or proxy that repeats the key does not bring it into an error.
    """
    for status in (400, 403, 500):
        error = outcome(answering(refusing(status, "Some", f"The key {WORKSPACE_KEY} is wrong.")), 1)
        assert WORKSPACE_KEY[:12] not in str(error)
    assert WORKSPACE_KEY not in repr(settings_of())


# Poison.


def test_poison_is_found_and_all_else_arrives_once(azure):
    """
    Of a thousand records two are refused by name, after few posts more, and the others are there once.
    """
    azure.fail(Trouble.POISON, containing="poison")
    bad = {137, 900}
    batch = [entry(at, POISON % at if at in bad else None) for at in range(1, 1_001)]
    refused = brought(azure.sink(), batch)
    assert set(refused) == bad
    assert all("cannot read this record" in why for why in refused.values())
    assert azure.offsets == [at for at in range(1, 1_001) if at not in bad]
    assert len(azure.api.calls) < 40


def test_a_400_for_everything_makes_no_dead_letters():
    """
    Where even an empty array is refused no record is at fault: the sink waits for a person instead.
    """
    sink = answering(refusing(400, "SomethingNew"))
    assert isinstance(outcome(sink), ConfigError)
    assert isinstance(outcome(sink, 1), ConfigError)


faults = st.sampled_from(
    [
        Fault(trouble=Trouble.STATUS, status=503, retry_after=3, times=1),
        Fault(trouble=Trouble.STATUS, status=403, code="InvalidAuthorization", times=1),
        Fault(trouble=Trouble.STATUS, status=400, code="InactiveCustomer", times=1),
        Fault(trouble=Trouble.STATUS, status=404, times=1),
        Fault(trouble=Trouble.RESET, times=1),
        Fault(trouble=Trouble.PAGE, times=1),
    ]
)


@given(st.sets(st.integers(1, 60), max_size=4), st.lists(st.tuples(st.integers(0, 12), faults), max_size=6))
def test_each_event_is_accepted_once_or_refused(poison, planted):
    """
    Whatever fails while poison is looked for: each event is there once, or refused, and nothing in between.
    """
    azure = Azure()
    for skip, fault in planted:
        azure.subscription.faults.add(structs.replace(fault, skip=skip))
    azure.fail(Trouble.POISON, containing="poison")
    batch = [entry(at, POISON % at if at in poison else None) for at in range(1, 61)]
    refused = brought(azure.sink(), batch)
    assert Counter(azure.offsets) == Counter(set(range(1, 61)) - poison)
    assert set(refused) == poison


def brought(sink, batch):
    """Send a batch as the loop does, however often; return the refused offsets with their reasons."""
    refused, done, failures = {}, 0, 0

    async def story():
        nonlocal done, failures
        while done < len(batch):
            settled, reasons = len(batch) - done, {}
            try:
                await sink.send(batch[done:])
            except Partly as error:
                settled, reasons = error.settled, error.refused
            except Refused as error:
                reasons = error.reasons
            except (Unavailable, Unauthorized, ConfigError):
                settled, failures = 0, failures + 1
            assert failures < 100
            refused.update({batch[done + at].offset: why for at, why in reasons.items()})
            done += settled

    asyncio.run(story())
    return refused


# The seed.


def test_the_seed_goes_first_and_once(azure):
    """
    With seed_columns one record per start makes all columns before the first event comes.
    """
    azure.fail(Trouble.STATUS, status=503, times=1)
    sink = azure.sink(seed_columns=True)
    assert isinstance(outcome(sink), Unavailable)
    assert outcome(sink) is None
    assert outcome(sink, 4) is None
    seed, *events = azure.rows
    assert seed["event_type_id_d"] == 0
    assert seed["notes_s"].startswith("This is no event.")
    assert len(seed) == 1 + 29 + 3
    assert [row["event_type_id_d"] for row in events] == [5, 5, 5, 5]
    assert azure.sink().settings.seed_columns is False


def test_a_refused_seed_is_no_dead_letter(azure):
    """
    A seed that the service cannot take blames the setting, and no event.
    """
    azure.fail(Trouble.POISON, containing="This is no event")
    error = outcome(azure.sink(seed_columns=True))
    assert isinstance(error, ConfigError)
    assert "seed_columns" in error.action


# A table that was migrated.


def test_a_migrated_table_keeps_the_columns_it_has(azure):
    """
    After the migration of a classic table columns are filled, and none is added: what has none is lost in silence.
    """
    table = azure.subscription.legacy.make(
        TABLE, {"uuid_g": "string", "event_type_id_d": "real"}, is_classic=False
    )
    assert outcome(azure.sink(), 1) is None
    (row,) = azure.rows
    assert set(row) == {"TimeGenerated", "uuid_g", "event_type_id_d"}
    assert set(table.columns) == set(row)


# The check.


def check(sink):
    """Run a check, and return its stages by name."""
    return {stage.stage: stage for stage in asyncio.run(sink.check())}


def states(stages):
    """Return the states of stages, as their first letters."""
    return "".join(stage.state[0] for stage in stages.values())


def test_a_check_that_goes_well_stores_nothing(azure):
    """
    All four stages pass, by one signed post that leaves neither row nor table.
    """
    stages = check(azure.sink())
    assert list(stages) == ["configuration", "network", "authentication", "table"]
    assert states(stages) == "pppp"
    assert azure.subscription.legacy.tables == {}
    assert [(call.status, call.rows) for call in azure.api.calls] == [(200, 0)]


@pytest.mark.parametrize(
    ("fault", "shape", "words"),
    [
        ({"trouble": Trouble.DOWN}, "pfss", "No connection could be made"),
        ({"trouble": Trouble.HANG}, "pfss", "in time"),
        ({"trouble": Trouble.PAGE}, "pfss", "none that this API gives"),
        ({"trouble": Trouble.STATUS, "status": 404}, "pfss", "no Data Collector at this address"),
        ({"trouble": Trouble.STATUS, "status": 503}, "pfss", "cannot answer at the moment"),
        ({"trouble": Trouble.STATUS, "status": 403, "code": "InvalidAuthorization"}, "ppfs", "this key"),
        ({"trouble": Trouble.STATUS, "status": 401}, "ppfs", "this key"),
        ({"trouble": Trouble.STATUS, "status": 403, "code": "Else"}, "ppfs", "this key"),
        ({"trouble": Trouble.STATUS, "status": 400, "code": "InactiveCustomer"}, "ppfs", "has been closed"),
        (
            {"trouble": Trouble.STATUS, "status": 400, "code": "InvalidCustomerId"},
            "ppfs",
            "no workspace of this id",
        ),
        ({"trouble": Trouble.STATUS, "status": 400, "code": "InvalidLogType"}, "pppf", "log_type"),
        ({"trouble": Trouble.STATUS, "status": 400, "code": "MissingLogType"}, "pppf", "header"),
        ({"trouble": Trouble.STATUS, "status": 400, "code": "Else"}, "pppf", "even an array without records"),
        ({"trouble": Trouble.STATUS, "status": 400, "code": "InvalidDataFormat"}, "pppp", ""),
    ],
)
def test_each_refusal_of_a_check_is_a_sentence(azure, fault, shape, words):
    """
    A check says at which stage it failed, why, and what to do; what lies behind is skipped.
    """
    azure.fail(**fault)
    stages = check(azure.sink())
    assert states(stages) == shape
    for stage in stages.values():
        if stage.state is StageState.FAILED:
            assert words in stage.message
            assert stage.action
            assert stage.http_status == fault.get("status", 200 if fault["trouble"] is Trouble.PAGE else None)
        if stage.state is StageState.SKIPPED:
            assert "failed" in stage.message


def test_a_wrong_key_is_found(azure):
    """
    A key of another workspace fails at the authentication.
    """
    stages = check(azure.sink(workspace_key=Secret(WORKSPACE_KEY[::-1].strip("=") + "==")))
    assert states(stages) == "ppfs"
    assert "does not accept this key" in stages["authentication"].message


@pytest.mark.parametrize("ahead", [-3_000, 3_000])
def test_a_wrong_clock_is_named(azure, ahead):
    """
    A clock that is off makes every signature wrong; the check says by how much.
    """
    sink = DataCollector(settings_of(), clock=lambda: azure.now + ahead, transport=Wire(azure.api))
    stage = check(sink)["authentication"]
    assert stage.state is StageState.FAILED
    assert f"{abs(ahead)} seconds {'ahead of' if ahead > 0 else 'behind'} Azure's" in stage.message


def test_an_endpoint_of_another_workspace_is_found(azure):
    """
    Workspace and endpoint that do not belong together are seen before anything is sent.
    """
    other = "https://11111111-2222-3333-4444-555555555555.ods.opinsights.azure.com"
    stages = check(azure.sink(endpoint=other))
    assert states(stages) == "fsss"
    assert "11111111-2222-3333-4444-555555555555" in stages["configuration"].message
    assert not azure.api.calls


# The settings.


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({"endpoint": None}, f"https://{LEGACY_ID}.ods.opinsights.azure.com"),
        ({"endpoint": None, "cloud": "government"}, f"https://{LEGACY_ID}.ods.opinsights.azure.us"),
        ({"endpoint": None, "cloud": "china"}, f"https://{LEGACY_ID}.ods.opinsights.azure.cn"),
        ({"endpoint": "https://w.ods.opinsights.azure.us/api/logs"}, "https://w.ods.opinsights.azure.us"),
        ({}, "http://127.0.0.1:9002"),
    ],
)
def test_the_address_follows_the_cloud(changes, origin):
    """
    Without endpoint the address is made from workspace and cloud; the one of Microsoft's function is understood.
    """
    assert settings_of(**changes).origin == origin


FILE = """
[sinks.legacy]
kind = "data_collector"
workspace_id = "00000000-0000-4000-8000-000000000002"
workspace_key = {{ env = "KEY" }}
{line}
"""


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("", "no key!", "workspace_key: a workspace key is Base64"),
        ('log_type = "One-Login"', WORKSPACE_KEY, "log_type"),
        ('log_type = "OneLogin_CL"', WORKSPACE_KEY, "leave out _CL"),
        ('log_type = ""', WORKSPACE_KEY, "log_type"),
        ('cloud = "germany"', WORKSPACE_KEY, "cloud"),
        ('endpoint = "http://example.com"', WORKSPACE_KEY, "endpoint"),
        ('resource_id = "no path"', WORKSPACE_KEY, "resource_id"),
        ('log_typ = "OneLogin"', WORKSPACE_KEY, "Did you mean 'log_type'"),
    ],
)
def test_wrong_settings_are_said_at_the_start(tmp_path, line, key, words):
    """
    What cannot work is a sentence that names the setting, before anything is sent; it does not repeat the key.
    """
    path = tmp_path / "onelogin-connector.toml"
    path.write_text(FILE.format(line=line))
    with pytest.raises(ConfigError) as caught:
        load(path, {"KEY": key}, folder=tmp_path)
    assert words in str(caught.value)
    assert "[sinks.legacy]" in str(caught.value)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "id", ["", "acme", "00000000-0000-4000-8000-00000000000", "{00000000-0000-4000-8000-000000000002}"]
)
def test_a_workspace_id_is_a_guid(tmp_path, id):
    """
    A workspace's name, or half of its id, is refused with an example of one.
    """
    path = tmp_path / "onelogin-connector.toml"
    path.write_text(FILE.format(line="").replace("00000000-0000-4000-8000-000000000002", id))
    with pytest.raises(ConfigError, match="workspace id such as"):
        load(path, {"KEY": WORKSPACE_KEY}, folder=tmp_path)


def test_a_file_makes_a_sink(tmp_path):
    """
    The settings of a file are those of the sink, the key still a secret.
    """
    path = tmp_path / "onelogin-connector.toml"
    path.write_text(FILE.format(line='log_type = "OneLoginTest"\ninclude_backfill = true'))
    found = load(path, {"KEY": WORKSPACE_KEY}, folder=tmp_path).sinks["legacy"].settings
    assert isinstance(found, Settings)
    assert found.include_backfill
    assert DataCollector(found).settings.log_type == "OneLoginTest"


def test_a_proxy_with_a_small_limit_costs_no_event():
    """
    A 413 for what the service surely takes comes from the way there: smaller posts are tried, then it waits.
    """
    sizes = []

    def handler(request):
        sizes.append(len(request.content))
        return answer(413)

    sink = answering(handler)
    batch = [entry(at, b'{"notes":"%b"}' % (b"x" * 30_000)) for at in range(1, 17)]
    with pytest.raises(Unavailable, match="Not even"):
        asyncio.run(sink.send(batch))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 65_536 < sizes[-2]
    large = entry(1, b'{"notes":"%b","user_name":"%b","app_name":"%b"}' % ((b"x" * 31_000,) * 3))
    with pytest.raises(Refused, match="too large"):
        asyncio.run(sink.send([large]))
