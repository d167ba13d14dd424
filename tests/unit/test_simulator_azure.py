"""
The simulated Azure signs in, takes rows and refuses as the real one is known to.
"""

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.simulator.azure.definitions import CODELESS, LEGACY, STREAMS
from onelogin_connector.simulator.azure.entra import AUDIENCES
from onelogin_connector.simulator.azure.subscription import (
    ASSERTION,
    CLIENT_SECRET,
    CODELESS_RULE_ID,
    LEGACY_ID,
    MANAGED_ID,
    RULE_ID,
    STATIC_TOKEN,
    STRANGER_ID,
    TENANT_ID,
    WORKSPACE_KEY,
)
from unit.azure_caller import NOW, NOW_TEXT, STREAM, Caller, signature

FIXTURES = Path(__file__).parent.parent / "fixtures" / "sentinel"
LIMIT = 1_048_576


@pytest.fixture
def azure():
    """
    Give a fresh subscription.
    """
    return Caller()


def iso(seconds):
    """
    Write Unix seconds as a sender does.
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


# Signing in.


def test_a_secret_gives_a_token_that_ends(azure):
    """
    A token is good for its time and no longer.
    """
    answer = azure.sign_in()
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 3_599
    token = answer.json()["access_token"]
    assert azure.ingest([], token=token).status_code == 204
    azure.now += 3_598
    assert azure.ingest([], token=token).status_code == 204
    azure.now += 2
    assert azure.ingest([], token=token).status_code == 401


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": None}, 401, "invalid_client", 7000215),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"tenant": "elsewhere"}, 400, "invalid_request", 90002),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"scope": None}, 400, "invalid_request", 900144),
        ({"scope": "https://monitor.azure.com"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://monitor.azure.us/.default"}, 400, "invalid_resource", 500011),
        ({"client_secret": None, "client_assertion": "wrong"}, 401, "invalid_client", 700213),
    ],
)
def test_a_wrong_sign_in_is_told_as_entra_tells_it(azure, changes, status, error, number):
    """
    Each mistake has the status, the word and the number of the real service, and shows no secret.
    """
    answer = azure.sign_in(**changes)
    told = answer.json()
    assert (answer.status_code, told["error"], told["error_codes"]) == (status, error, [number])
    assert told["error_description"].startswith(f"AADSTS{number}: ")
    assert CLIENT_SECRET not in answer.text


def test_a_federated_token_signs_in_too(azure):
    """
    A workload identity proves itself by an assertion in place of a secret.
    """
    token = azure.token(client_secret=None, client_assertion=ASSERTION)
    assert azure.ingest([], token=token).status_code == 204


@pytest.mark.parametrize("cloud", AUDIENCES)
def test_only_the_clouds_own_audience_is_accepted(cloud):
    """
    A token for another cloud is not given, one for another resource is good for nothing.
    """
    azure = Caller(cloud=cloud)
    own = f"{AUDIENCES[cloud]}/.default"
    assert azure.ingest([], token=azure.token(scope=own)).status_code == 204
    for other in set(AUDIENCES.values()) - {AUDIENCES[cloud]}:
        assert azure.sign_in(scope=f"{other}/.default").status_code == 400
    wrong = azure.ingest([], token=azure.token(scope="https://management.azure.com/.default"))
    assert wrong.status_code == 401
    assert "management.azure.com" in wrong.text


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer nonsense", "Basic eA==", f"SharedKey x:{STATIC_TOKEN}"]
)
def test_without_a_token_nothing_is_taken(azure, authorization):
    """
    The scheme matters, and so does the token.
    """
    assert azure.ingest([{}], authorization=authorization).status_code == 401
    assert azure.rows() == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/metadata/identity/oauth2/token", {"metadata": "true"}), ("/msi/token", {"x-identity-header": "x"})],
)
def test_a_machine_gets_a_token_of_its_own(azure, path, headers):
    """
    Both endpoints of managed identities answer, and only to who asks in their way.
    """
    query = {"api-version": "2018-02-01", "resource": "https://monitor.azure.com"}
    answer = azure.ask("GET", path, params=query, headers=headers)
    assert answer.json()["expires_on"] == str(int(NOW) + 3_599)
    assert azure.ingest([], token=answer.json()["access_token"]).status_code == 204
    assert azure.ask("GET", path, params=query).status_code == 400
    assert azure.ask("GET", path, params=query | {"client_id": "x"}, headers=headers).status_code == 400
    assert (
        azure.ask("GET", path, params=query | {"client_id": MANAGED_ID}, headers=headers).status_code == 200
    )


def test_discovery_leads_to_the_token_endpoint(azure):
    """
    A library that asks first where to ask is told.
    """
    path = f"/{TENANT_ID}/v2.0/.well-known/openid-configuration"
    assert azure.ask("GET", path).json()["token_endpoint"].endswith(f"/{TENANT_ID}/oauth2/v2.0/token")
    assert azure.ask("GET", "/elsewhere/v2.0/.well-known/openid-configuration").status_code == 400


# The Logs Ingestion API.


@pytest.mark.parametrize("zipped", [True, False])
def test_rows_are_taken_and_kept_by_their_columns(azure, zipped):
    """
    204 without a body; what is declared is there with its type, what is not is gone, and only counted.
    """
    sent = {
        "TimeGenerated": iso(NOW - 60),
        "user_name_s": "Ådå",
        "app_id_d": 5,
        "Raw": {"a": [1, {"b": None}]},
        "notes_s": None,
        "surprise": 1,
    }
    answer = azure.ingest([sent, {"surprise": 2}], zipped=zipped)
    assert (answer.status_code, answer.content) == (204, b"")
    first, second = azure.rows()
    assert first == {
        "TimeGenerated": iso(NOW - 60), "user_name_s": "Ådå", "app_id_d": 5, "Raw": {"a": [1, {"b": None}]},
    }  # fmt: skip
    assert second == {"TimeGenerated": NOW_TEXT}
    assert azure.lost() == {("surprise", "undeclared"): 2}


@pytest.mark.parametrize(
    ("column", "sent", "kept"),
    [
        ("app_id_d", "17", 17.0),
        ("app_id_d", 1.5, 1.5),
        ("app_id_d", "seventeen", None),
        ("app_id_d", True, None),
        ("app_id_d", [1], None),
        ("app_id_d", 2**60 + 1, float(2**60 + 1)),
        ("user_name_s", 5, "5"),
        ("user_name_s", True, "true"),
        ("user_name_s", {"a": 1}, '{"a":1}'),
        ("user_name_s", "", ""),
        ("uuid_g", "not a guid", "not a guid"),
        ("event_time_t", "2026-11-20 18:40:00Z", "2026-11-20T18:40:00.000000Z"),
        ("event_time_t", "2026-11-20T20:40:00+02:00", "2026-11-20T18:40:00.000000Z"),
        ("event_time_t", "2026-11-20 18:40:00 UTC", None),
        ("event_time_t", 1_795_200_000, None),
        ("Raw", "text", "text"),
    ],
)
def test_a_value_is_converted_to_its_column_or_becomes_nothing(azure, column, sent, kept):
    """
    A value that does not fit is null afterwards; the row is there, and the loss is counted.
    """
    assert azure.ingest([{column: sent}]).status_code == 204
    assert azure.row().get(column) == kept
    assert type(azure.row().get(column)) is type(kept)
    assert azure.lost() == ({} if kept is not None else {(column, "wrong type"): 1})


@pytest.mark.parametrize(
    ("given_seconds", "stays"),
    [(0, True), (-2 * 86_400 + 1, True), (-2 * 86_400 - 1, False), (86_399, True), (86_401, False)],
)
def test_times_out_of_bounds_become_the_arrival(azure, given_seconds, stays):
    """
    Two days back and one day ahead are as far as a time may lie.
    """
    azure.ingest([{"TimeGenerated": iso(NOW + given_seconds)}])
    assert azure.row()["TimeGenerated"] == (iso(NOW + given_seconds) if stays else NOW_TEXT)
    assert azure.lost() == ({} if stays else {("TimeGenerated", "replaced by arrival"): 1})


@given(size=st.integers(65_530, 65_540), character=st.sampled_from(["x", "å", "€", "𝕏"]))
def test_long_fields_are_cut_at_a_character(size, character):
    """
    64 KB of a value are kept, counted in bytes; no character is broken.
    """
    azure = Caller()
    text = character * (size // len(character.encode()))
    azure.ingest([{"notes_s": text}])
    kept = azure.row()["notes_s"]
    assert len(kept.encode()) <= 65_536
    assert text.startswith(kept)
    assert (kept == text) == (len(text.encode()) <= 65_536)
    assert azure.lost() == ({} if kept == text else {("notes_s", "cut"): 1})


def test_a_long_dynamic_value_is_no_json_any_more(azure):
    """
    What is cut in the middle is a text.
    """
    azure.ingest([{"Raw": {"a": "x" * 70_000}}])
    assert azure.row()["Raw"].startswith('{"a":"xx')
    with pytest.raises(json.JSONDecodeError):
        json.loads(azure.row()["Raw"])


def filled(size):
    """
    Return a body of exactly so many bytes, which does not compress.
    """
    noise = base64.b64encode(bytes((i * i * 7919 >> 7) % 256 for i in range(30_000))).decode()
    rows = [{"notes_s": noise} for _ in range(size // (len(noise) + 15) - 1)]
    rest = size - len(json.dumps([*rows, {"notes_s": ""}], separators=(",", ":")))
    rows.append({"notes_s": "y" * rest})
    body = json.dumps(rows, separators=(",", ":")).encode()
    assert len(body) == size
    return body


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_is_exact_before_and_after_inflating(azure, zipped, over):
    """
    1,048,576 bytes are taken, one more is not, and the answer names both numbers.
    """
    answer = azure.ingest(filled(LIMIT + over), zipped=zipped)
    assert answer.status_code == (413 if over else 204)
    if over:
        error = answer.json()["error"]
        assert error["code"] == "ContentLengthLimitExceeded"
        assert "1048576" in error["message"]
        assert "1048577" in error["message"]
        assert azure.rows() == []


def test_the_limit_holds_for_the_compressed_size_too(azure):
    """
    A gzip may be larger than what it holds; then its own size counts.
    """
    body = gzip.compress(b"[]", 0)
    padded = body + gzip.compress(b" ", 0) * (LIMIT // len(gzip.compress(b" ", 0)) + 1)
    answer = azure.ingest(padded, zipped=False, content_encoding="gzip")
    assert answer.status_code == 413
    assert str(len(padded)) in answer.text


def test_a_compressed_bomb_is_refused(azure):
    """
    What inflates without end is too large, and does not fill the memory.
    """
    assert azure.ingest(b"[" + b" " * (200 << 20) + b"]").status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"null", b"[1]", b"[[]]", b'[{"a":1},]', b'[{"a":NaN}]', b'[{"a":1}', b"\xff", b'[{"a":"\xff"}]',
        b'[{"a":"\\ud800"}]', b"[" * 5_000, b'{"a":1}\n{"a":2}',
    ],
)  # fmt: skip
def test_what_is_no_array_of_objects_is_refused_whole(azure, body):
    """
    400, and nothing is kept.
    """
    assert azure.ingest(body, zipped=False).status_code == 400
    assert azure.rows() == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"rule": "dcr-elsewhere"}, 404),
        ({"stream": "Custom-Other_CL"}, 404),
        ({"stream": "OneLogin_CL"}, 404),
        ({"version": "2099-01-01"}, 400),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": None}, 415),
        ({"zipped": False, "content_encoding": "deflate"}, 415),
        ({"zipped": False, "content_encoding": "gzip"}, 400),
    ],
)
def test_a_wrong_address_or_header_is_refused(azure, changes, status):
    """
    Each mistake has its status and the documented shape.
    """
    answer = azure.ingest([{}], **changes)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message"}
    assert azure.rows() == []


def test_an_empty_array_is_taken(azure):
    """
    It is how senders test their way.
    """
    assert azure.ingest([]).status_code == 204
    assert azure.rows() == []


def test_the_role_takes_time_to_work(azure):
    """
    403 until it has propagated, and again when it was taken away; a stranger never gets in.
    """
    azure = Caller(propagation_seconds=1_800)
    token = azure.token()
    answer = azure.ingest([{}], token=token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "OperationFailed")
    assert RULE_ID in answer.text
    azure.now += 1_800
    assert azure.ingest([{}], token=token).status_code == 204
    assert azure.ingest([{}], token=azure.token(client_id=STRANGER_ID)).status_code == 403
    azure.subscription.rule.revoke(azure.subscription.entra.read(f"Bearer {token}").principal)
    assert azure.ingest([{}], token=token).status_code == 403
    assert len(azure.rows()) == 1


@pytest.mark.parametrize("limit", [{"requests_per_minute": 3}, {"bytes_per_minute": 100}])
def test_the_rules_limits_ask_to_wait(limit):
    """
    What is too much in a minute is a 429 that says how long to wait.
    """
    azure = Caller(**limit)
    answers = [azure.ingest([{}]) for _ in range(6)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert answers[0].status_code == 204
    azure.now += int(answers[-1].headers["retry-after"])
    assert azure.ingest([{}]).status_code == 204


def test_request_ids_lead_to_the_lost_rows(azure):
    """
    A row that the transformation loses was accepted; the rule's error table names the call.
    """
    azure.fail("lost_rows", containing="lose me")
    answer = azure.ingest([{"notes_s": "lose me"}, {"notes_s": "keep me"}], x_ms_client_request_id="id-1")
    assert answer.status_code == 204
    assert [row["notes_s"] for row in azure.rows()] == ["keep me"]
    (error,) = azure.ask("GET", "/simulator/errors").json()
    assert (error["ClientRequestId"], error["OperationName"]) == ("id-1", "Transformation")
    assert azure.ask("GET", "/simulator/calls").json()["calls"][-1]["request_id"] == "id-1"


def test_the_official_rule_loses_column_names(azure):
    """
    Microsoft's own streams declare OneLogin's field names: who sends columns' names gets rows of nothing.
    """
    by_field = {"id": 7, "user_name": "Ada", "event_type_id": 5, "TimeGenerated": iso(NOW - 60)}
    stream = {"rule": CODELESS_RULE_ID, "stream": "Custom-OneLoginEventsV2_CL"}
    azure.ingest([by_field], **stream)
    assert azure.row(table="OneLoginEventsV2_CL") == {
        "EventId": 7, "UserName": "Ada", "EventTypeId": 5, "TimeGenerated": NOW_TEXT,
    }  # fmt: skip
    azure.ingest([{"EventId": 8, "UserName": "Bob"}], **stream)
    assert azure.row(table="OneLoginEventsV2_CL") == {"TimeGenerated": NOW_TEXT}


@pytest.mark.parametrize("table", ["OneLogin_CL", "OneLoginEventsV2_CL", "OneLoginUsersV2_CL"])
def test_the_tables_are_those_of_the_public_lists(azure, table):
    """
    Every public column is there with its type; what we add is added.
    """
    listed = json.loads((FIXTURES / f"table_{table}.json").read_text())["columns"]
    have = azure.subscription.sentinel.tables[table].columns
    assert {column["name"]: column["type"] for column in listed}.items() <= have.items()
    assert len(LEGACY) == 30
    assert {stream.table for stream in (*STREAMS, *CODELESS)} >= {table} or table == "OneLogin_CL"


# The Data Collector API.


def test_signed_records_are_taken(azure):
    """
    An array or a single object, in any script: 200 without a body.
    """
    answer = azure.collect([{"user_name": "Ådå Løvelace"}])
    assert (answer.status_code, answer.content) == (200, b"")
    assert azure.collect({"user_name": "one"}).status_code == 200
    names = [row["user_name_s"] for row in azure.rows(workspace="legacy")]
    assert names == ["Ådå Løvelace", "one"]


def test_the_known_vectors_hold():
    """
    The signature is that of the published description, over bytes and not characters.
    """
    vectors = json.loads((FIXTURES / "datacollector_signature_vectors.json").read_text())
    for vector in vectors["vectors"]:
        body = vector.get("body", "x" * vector["content_length"]).encode()
        assert signature(body, date=vector["x_ms_date"], key=vectors["key_base64"]) == vector["signature"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"version": None}, 400, "MissingApiVersion"),
        ({"version": "2015-01-01"}, 400, "InvalidApiVersion"),
        ({"content_type": None}, 400, "MissingContentType"),
        ({"log_type": None}, 400, "MissingLogType"),
        ({"log_type": "One-Login"}, 400, "InvalidLogType"),
        ({"log_type": "x" * 101}, 400, "InvalidLogType"),
        ({"workspace": "nonsense"}, 400, "InvalidCustomerId"),
        ({"workspace": LEGACY_ID.replace("2", "3")}, 403, "InvalidAuthorization"),
        ({"authorization": None}, 403, "InvalidAuthorization"),
        ({"authorization": f"Bearer {STATIC_TOKEN}"}, 403, "InvalidAuthorization"),
        ({"date": "Mon, 04 Apr 2016 08:00:00 GMT"}, 403, "InvalidAuthorization"),
        ({"date": "now"}, 403, "InvalidAuthorization"),
        ({"date": iso(NOW)}, 403, "InvalidAuthorization"),
        ({"content_type": "application/json; charset=utf-8"}, 403, "InvalidAuthorization"),
        ({"signed": lambda body, date: signature(body, date=date, length=len(body.decode()))}, 403, "InvalidAuthorization"),
        ({"signed": lambda body, date: signature(body + b" ", date=date)}, 403, "InvalidAuthorization"),
        ({"signed": lambda body, date: signature(body, date=date, key=base64.b64encode(b"x").decode())}, 403, "InvalidAuthorization"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_told_by_its_code(azure, changes, status, code):
    """
    Every documented code has the mistake that leads to it, in a body of two members.
    """
    answer = azure.collect([{"user_name": "Ådå"}], **changes)
    assert answer.status_code == status
    assert answer.json()["Error"] == code
    assert set(answer.json()) == {"Error", "Message"}
    assert "legacy" in azure.subscription.workspaces
    assert azure.rows(workspace="legacy") == []


def test_another_content_type_is_refused_also_when_it_is_signed(azure):
    """
    The signature fits, and the type is still not the one that is taken.
    """
    type_ = "application/json; charset=utf-8"
    answer = azure.collect(
        [{}], content_type=type_, signed=lambda body, date: signature(body, date=date, content_type=type_)
    )
    assert answer.json()["Error"] == "UnsupportedContentType"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[1]", b"{", b'[{"a":"\xff"}]', b'{"a":1}\n{"a":2}', b'[{"tenant":1}]',
        b'[{"TimeGenerated":"2026-11-20T00:00:00Z"}]', b'[{"RawData":"x"}]', b'[{"a b":1}]', b'[{"a.b":1}]',
        b'[{"a":{"b-c":1}}]', b'[{"":1}]',
    ],
)  # fmt: skip
def test_bad_records_are_refused_whole(azure, body):
    """
    One bad record, a reserved name or a name with other characters: nothing of the call is kept.
    """
    answer = azure.collect(body)
    assert (answer.status_code, answer.json()["Error"]) == (400, "InvalidDataFormat")
    assert azure.rows(workspace="legacy") == []


def test_a_large_post_is_answered_as_if_it_were_nowhere(azure):
    """
    30 MB are the limit, and 404 is what the documentation says of more.
    """
    room = 30_000_000 - len(b'[{"a":""}]')
    assert azure.collect(b'[{"a":"' + b"x" * room + b'"}]').status_code == 200
    assert azure.collect(b'[{"a":"' + b"x" * (room + 1) + b'"}]').status_code == 404
    assert len(azure.rows(workspace="legacy")) == 1


def test_a_closed_workspace_takes_nothing(azure):
    """
    InactiveCustomer.
    """
    azure.subscription.collector.is_active = False
    assert azure.collect([{}]).json()["Error"] == "InactiveCustomer"


def test_the_time_field_makes_the_time(azure):
    """
    It is read from the field named, if that is near enough; the field itself stays.
    """
    for seconds, kept in ((-60, iso(NOW - 60)), (-3 * 86_400, NOW_TEXT)):
        azure.collect([{"event_time": iso(NOW + seconds)}], time_generated_field="event_time")
        assert azure.row(workspace="legacy")["TimeGenerated"] == kept
        assert azure.row(workspace="legacy")["event_time_t"] == iso(NOW + seconds)
    azure.collect([{"event_time": "2026-11-20 18:40:00 UTC"}], time_generated_field="event_time")
    assert azure.row(workspace="legacy")["TimeGenerated"] == NOW_TEXT
    assert azure.lost("legacy") == {("TimeGenerated", "replaced by arrival"): 2}


def test_the_key_is_never_shown(azure):
    """
    No answer repeats it.
    """
    assert (
        WORKSPACE_KEY not in azure.collect([{}], authorization=f"SharedKey {LEGACY_ID}:{WORKSPACE_KEY}").text
    )


# Reading what arrived.


def test_rows_can_be_read_over_http(azure):
    """
    As JSON, as lines, with a summary of columns and losses.
    """
    azure.ingest([{"user_name_s": "Ada", "x": 1}, {"user_name_s": "Bob"}])
    path = "/simulator/tables/OneLogin_CL"
    assert [row["user_name_s"] for row in azure.ask("GET", path).json()] == ["Ada", "Bob"]
    lines = azure.ask("GET", path, headers={"accept": "application/x-ndjson"}).text.splitlines()
    assert [json.loads(line)["user_name_s"] for line in lines] == ["Ada", "Bob"]
    azure.collect([{"user_name": "Eve"}])
    assert azure.ask("GET", "/simulator/legacy/tables/OneLogin_CL").json()[0]["user_name_s"] == "Eve"
    assert azure.ask("GET", "/simulator/tables/Nothing_CL").status_code == 404
    assert azure.ask("GET", "/simulator/elsewhere/tables/OneLogin_CL").status_code == 404
    summary = {
        (each["workspace"], each["table"]): each for each in azure.ask("GET", "/simulator/tables").json()
    }
    assert summary["sentinel", "OneLogin_CL"]["rows"] == 2
    assert summary["sentinel", "OneLogin_CL"]["lost"] == [{"column": "x", "why": "undeclared", "count": 1}]
    assert summary["legacy", "OneLogin_CL"]["columns"] == {
        "TimeGenerated": "datetime",
        "user_name_s": "string",
    }


def test_rows_can_be_asked_for_in_kql(azure):
    """
    Both workspaces answer as Log Analytics does, by id or name, with types; a wrong query is a 400.
    """
    azure.ingest([{"user_name_s": "Ada", "app_id_d": 5, "Raw": {"a": 1}, "TimeGenerated": iso(NOW - 60)}, {}])
    azure.collect([{"user_name": "Eve", "Case": 1, "case": 2}])
    kql = "OneLogin_CL | where app_id_d == 5 | project TimeGenerated, user_name_s, n = app_id_d + 1, Raw"
    table = azure.ask("POST", "/v1/workspaces/sentinel/query", json={"query": kql}).json()["tables"][0]
    assert [column["type"] for column in table["columns"]] == ["datetime", "string", "real", "dynamic"]
    assert table["rows"] == [["2026-11-20T18:39:00.250000", "Ada", 6.0, {"a": 1}]]
    kql = "OneLogin_CL | project user_name_s"
    found = azure.ask("POST", f"/v1/workspaces/{LEGACY_ID}/query", json={"query": kql})
    assert found.json()["tables"][0]["rows"] == [["Eve"]]
    for wrong in (
        {"query": "Nothing | take 1"},
        {"query": "OneLogin_CL | where nope == 1"},
        {},
        {"query": ""},
    ):
        assert azure.ask("POST", "/v1/workspaces/sentinel/query", json=wrong).status_code == 400
    assert azure.ask("POST", "/v1/workspaces/elsewhere/query", json={"query": kql}).status_code == 404


def test_a_workspace_keeps_the_newest_rows():
    """
    It may run for weeks: the number of rows is bounded, the count goes on.
    """
    azure = Caller(most_rows=3)
    for number in range(5):
        azure.ingest([{"app_id_d": number}])
    assert [row["app_id_d"] for row in azure.rows()] == [2, 3, 4]
    assert azure.subscription.sentinel.tables["OneLogin_CL"].accepted == 5


def test_other_addresses_and_methods_are_not_answered(azure):
    """
    404 and 405, with the headers that every answer has.
    """
    answer = azure.ask("GET", "/nothing")
    assert answer.status_code == 404
    assert answer.headers["date"] == "Fri, 20 Nov 2026 18:40:00 GMT"
    assert azure.ask("GET", f"/dataCollectionRules/{RULE_ID}/streams/{STREAM}").status_code == 405
    assert azure.ask("DELETE", "/api/logs").status_code == 405
