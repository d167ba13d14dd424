"""
The function app as a sender, an operator and Azure's timer meet it.
"""

import asyncio
import gzip
import json
import logging
from itertools import takewhile

import azure.functions as func
import httpx2
import pytest
from msgspec.json import decode, encode

from onelogin_connector.event import Way, read
from onelogin_connector.simulator.account import Account
from onelogin_connector.simulator.api import Api as OneLoginApi
from onelogin_connector.simulator.azure.blobs import Reply
from onelogin_connector.simulator.company import Company
from tests.function_world import NOW, FunctionWorld

pytestmark = pytest.mark.anyio

UUID = "11111111-1111-4111-8111-1111111111{:02d}"


def body(*numbers: int, **fields: object) -> bytes:
    """Return a webhook body."""
    return encode(
        [
            {
                "uuid": UUID.format(number),
                "event_timestamp": "2026-11-20 18:00:00 UTC",
                "account_id": 1,
                "event_type_id": 5,
                "user_id": number,
                **fields,
            }
            for number in numbers
        ]
    )


@pytest.fixture
def world() -> FunctionWorld:
    """Give an empty world with one destination."""
    return FunctionWorld()


async def test_the_app_has_the_functions_that_the_documentation_lists(world):
    """Routes, methods and levels are those that an existing webhook and an operator rely on."""
    found = {}
    for each in world.start().functions.values():
        trigger = each.get_trigger()
        found[each.get_function_name()] = (
            getattr(trigger, "route", None),
            str(getattr(trigger, "auth_level", "")).rpartition(".")[2].upper(),
        )
    assert found == {
        "OneLoginWebhooksTrigger": ("api/OneLoginWebhooksTrigger", "ANONYMOUS"),
        "Webhook": ("webhook/{connector}", "ANONYMOUS"),
        "Health": ("healthz", "ANONYMOUS"),
        "Status": ("api/status", "ADMIN"),
        "DeadLetters": ("api/dead-letters", "ADMIN"),
        "Drain": (None, ""),
    }


async def test_an_event_arrives(world):
    """A webhook is acknowledged when it is in the spool, and the next tick brings it to its destination."""
    app = world.start()
    answer = await app.post(body(1, 2))
    assert answer.status_code == 200
    assert decode(answer.get_body()) == {"received": 2, "new": 2, "twins": 0, "duplicates": 0, "dead": 0}
    assert len(world.left("spool/default/")) == 1
    assert world.row_count() == 0
    await app.tick()
    assert set(world.accepted()) == {UUID.format(1), UUID.format(2)}
    assert not world.left("spool/")
    assert await app.ask("Health") == (200, {"status": "ok"})


async def test_both_addresses_and_both_tokens_are_taken(world):
    """The address of Microsoft's function, that of the server, and either token of a rotation."""
    app = world.start()
    assert (await app.post(body(1), route="default")).status_code == 200
    assert (await app.post(body(2), Authorization="bearer another-token-during-rotation")).status_code == 200
    assert (await app.post(body(3), route="nobody")).status_code == 404


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (body(1), {"Authorization": ""}, 401),
        (body(1), {"Authorization": "Bearer wrong"}, 401),
        (body(1), {"Authorization": "Basic eDp5"}, 401),
        (body(1), {"Content_Encoding": "br"}, 415),
        (b"no JSON at all", {}, 400),
        (b"\xff\xfe\x00", {}, 400),
        (b"[" + b" " * (17 << 20) + b"]", {}, 413),
        (gzip.compress(b"[" + b" " * (17 << 20) + b"]", mtime=0), {"Content_Encoding": "gzip"}, 413),
    ],
)
async def test_refusals_are_documents(world, content, headers, status):
    """Each refusal is the server's own: a problem document with what to do; nothing of it is delivered."""
    app = world.start()
    answer = await app.post(content, **headers)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert set(decode(answer.get_body())) == {"type", "title", "status", "detail", "action"}
    await app.tick()
    assert world.row_count() == 0


async def test_another_method_is_refused(world):
    """A browser that looks at the address is told what it is for."""
    request = func.HttpRequest(method="GET", url="https://app/api/OneLoginWebhooksTrigger", body=b"")
    answer = await world.start().call("OneLoginWebhooksTrigger", request)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "sent",
    [
        body(1, 2),
        b"\n".join(encode(each) for each in decode(body(1, 2))),
        b"\xef\xbb\xbf" + b"\r\n\r\n".join(encode({"event": each}) for each in decode(body(1, 2))),
    ],
)
async def test_every_format_of_the_server_is_taken(world, sent):
    """Arrays, lines and wrapped lines, also compressed, arrive with their bytes."""
    app = world.start()
    assert (await app.post(gzip.compress(sent), Content_Encoding="gzip")).status_code == 200
    await app.tick()
    assert sorted(world.accepted()) == [UUID.format(1), UUID.format(2)]


async def test_a_body_that_comes_again_is_held_once(world):
    """Before the drain it is the same blob, after it its records are known."""
    app = world.start()
    for expected in ({"new": 1, "duplicates": 0}, {"new": 0, "duplicates": 1}):
        answer = decode((await app.post(body(1))).get_body())
        assert {name: answer[name] for name in expected} == expected
    assert len(world.left("spool/")) == 1
    await app.tick()
    await app.post(body(1))
    await app.post(body(1, 2))
    await app.tick()
    assert dict(world.accepted()) == {UUID.format(1): 1, UUID.format(2): 1}
    _, status = await app.ask("Status")
    assert (status["sink"]["delivered"], status["duplicates"]) == (2, 2)


async def test_storage_that_fails_is_never_a_200(world):
    """The sender is told to come again; nothing crashes, and the health page says so."""
    app = world.start()

    def fail(asked, do):
        return Reply(503, {"x-ms-error-code": "ServerBusy"})

    app.front._drain.spool._container = failing = _container(world, fail)
    answer = await app.post(body(1))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    app.front._drain._container = failing
    assert (await app.ask("Health"))[0] == 503


async def test_storage_that_refuses_the_credential_is_a_503(world):
    """A role that is missing is an operator's matter; the sender keeps its events."""
    app = world.start()
    refusing = _container(world, lambda *_: Reply(403, {"x-ms-error-code": "AuthorizationFailure"}))
    app.front._drain.spool._container = refusing
    answer = await app.post(body(1))
    assert answer.status_code == 503
    assert "Storage Blob Data Owner" in decode(answer.get_body())["action"]


def _container(world, step):
    from tests.blob_account import blob_container

    return blob_container(world.blobs, step)


async def test_an_outage_of_azure_loses_nothing(world):
    """While Azure is down events are taken in, attempts are spaced, and all arrives afterwards, once."""
    app = world.start()
    world.fail("status", status=503)
    for number in range(10):
        await app.post(body(number))
        await app.tick()
        world.now += 5
    calls = len(world.api.calls)
    assert 2 <= calls <= 8
    status = (await app.ask("Status"))[1]
    assert status["status"] == "waiting"
    assert "503" in status["sink"]["error"]
    world.subscription.faults.clear()
    world.now += 120
    await world.start().tick()
    assert len(world.accepted()) == world.row_count() == 10
    assert (await app.ask("Health"))[1] == {"status": "ok"}


async def test_a_wrong_key_waits_for_a_person_and_tries_again(world):
    """A refused credential is tried every five minutes, and the journal keeps everything meanwhile."""
    app = world.start()
    world.fail("status", status=403, code="InvalidAuthorization")
    await app.post(body(1))
    for _ in range(5):
        await app.tick()
        world.now += 30
    assert len(world.api.calls) == 1
    world.subscription.faults.clear()
    assert (await app.ask("DeadLetters", b'{"resume": true}')) == (200, {"resumed": True})
    await app.tick()
    assert len(world.accepted()) == 1


async def test_bad_records_are_one_letter_and_are_read_again(world):
    """The good ones arrive, the bad ones are shown with their bytes, and can be discarded."""
    app = world.start()
    good = decode(body(1))[0]
    answer = await app.post(encode([good, 7, {"nothing": "of an event"}]))
    assert decode(answer.get_body())["dead"] == 2
    await app.tick()
    assert list(world.accepted()) == [UUID.format(1)]
    status, shown = await app.ask("DeadLetters")
    (letter,) = shown["dead_letters"]
    assert (status, letter["kind"], letter["records"]) == (200, "record", 2)
    assert "nothing" in letter["body"]
    stored = world.blobs.containers["onelogin-connector"][world.left("dead-letters/")[0]]
    assert json.loads(stored.body)["reason"] == letter["reason"]
    assert await app.ask("DeadLetters", b'{"replay": "all"}') == (
        200,
        {"accepted": 0, "refused": 1, "missing": 0},
    )
    assert await app.ask("DeadLetters", encode({"discard": [letter["id"], 99]})) == (200, {"discarded": 1})
    assert (await app.ask("DeadLetters"))[1] == {"dead_letters": []}
    assert not world.left("dead-letters/")


async def test_refused_events_are_replayed(world):
    """What the destination refused is sent again when a person says so, and is a dead letter no more."""
    app = world.start()
    world.fail("poison", containing="poison")
    await app.post(body(1))
    await app.post(body(2, notes="poison"))
    await app.tick()
    assert list(world.accepted()) == [UUID.format(1)]
    world.subscription.faults.clear()
    answer = await app.ask("DeadLetters", b'{"replay": [1, 42]}')
    assert answer == (200, {"accepted": 1, "refused": 0, "missing": 1})
    assert len(world.accepted()) == 2
    assert (await app.ask("DeadLetters"))[1] == {"dead_letters": []}


@pytest.mark.parametrize(
    "order", [b"{}", b"no", b'{"replay": "some"}', b'{"discard": [1], "resume": true}', b'{"x": 1}']
)
async def test_an_order_that_makes_no_sense_is_refused(world, order):
    """Nothing is done, and the four orders are named."""
    status, answer = await world.start().ask("DeadLetters", order)
    assert status == 422
    assert '{"resume": true}' in answer["action"]


async def test_no_json_is_kept_for_a_person_to_see(world):
    """What was refused with a 400 is a dead letter of its own kind."""
    app = world.start()
    assert (await app.post(b"hello")).status_code == 400
    await app.tick()
    (letter,) = (await app.ask("DeadLetters"))[1]["dead_letters"]
    assert (letter["kind"], letter["body"]) == ("request", "hello")


async def test_logs_show_no_event_and_no_secret(world, caplog):
    """Not even a failure puts an event or a token into the log, as Microsoft's function did."""
    caplog.set_level(logging.DEBUG)
    app = world.start()
    world.fail("status", status=400, code="InvalidDataFormat")
    await app.post(body(1, notes="somebody's private life"))
    await app.tick()
    assert caplog.text
    assert "private life" not in caplog.text
    assert "a-webhook-token" not in caplog.text
    assert "Eby8vdM02xNOcqFl" not in caplog.text


async def test_the_api_is_listed_too_and_brings_what_the_webhook_missed():
    """With polling on, every event of the last day arrives once, whichever way it came."""
    world = FunctionWorld()
    company = Company(3)
    account = Account(company, usual_seconds=0.0, clock=world.clock)
    world.poll(httpx2.ASGITransport(app=OneLoginApi(account)))
    app = world.start()
    story = takewhile(lambda each: each.time_us < NOW * 1e6, company.story(int((NOW - 86_400) * 1e6)))
    day = list(story)
    told = [each.to_webhook() for number, each in enumerate(day[-60:]) if number % 2]
    assert (await app.post(encode(told))).status_code == 200
    for _ in range(3):
        await world.start().tick()
        world.now += 61
    assert {record["uuid"] for record in told} <= set(world.accepted())
    rows = [row for each in world.subscription.workspaces.values() for row in each.rows("OneLogin_CL")]
    until = (world.now - 61 - 30) * 1e6
    later = takewhile(lambda each: each.time_us < until, company.story(int(NOW * 1e6)))
    assert len(rows) == len(day) + len(list(later))
    assert (await app.ask("Status"))[1]["sink"]["lag_events"] == 0


async def test_a_refused_api_credential_holds_nothing_up():
    """The webhook's events arrive, and the API is asked again after minutes, not at every tick."""
    world = FunctionWorld()
    account = Account(Company(3), client_secret="another", clock=world.clock)
    world.poll(httpx2.ASGITransport(app=OneLoginApi(account)))
    app = world.start()
    await app.post(body(1))
    for _ in range(4):
        await world.start().tick()
        world.now += 15
    assert len(world.accepted()) == 1
    assert world.api_calls == 1


async def test_a_repeated_body_without_ids_doubles_nothing(world):
    """Records without ids are known by the body they came in."""
    app = world.start()
    bare = b'[{"event_timestamp": "2026-11-20 18:00:00 UTC", "notes": "x"}, {"event_timestamp": "2026-11-20 18:00:00 UTC"}]'
    for _ in range(2):
        await app.post(bare)
        await app.tick()
    assert world.row_count() == 2


async def test_what_is_spooled_is_what_was_read(world):
    """A body is written in its simplest form; reading it again gives the same records, whatever they hold."""
    app = world.start()
    odd = [
        '{"uuid":"%s","event_timestamp":"2026-11-20 18:00:00 UTC","notes":"half \\ud83d"}'.replace(
            "%s", UUID.format(1)
        ),
        '{"id": 12345678901234567890, "created_at": "2026-11-20T18:00:00.123Z", "event": {"event": {}}}',
        '{"event": {"uuid": "%s", "notes": "é \\u0000"}}'.replace("%s", UUID.format(2)),
    ]
    sent = "\n".join(odd).encode()
    assert decode((await app.post(sent)).get_body())["new"] == 3
    (name,) = world.left("spool/")
    stored = world.blobs.containers["onelogin-connector"][name].body
    events, dead = app.front._drain.spool.reading(stored, received_us=int(NOW * 1e6))
    assert dead is None
    assert [event.raw for event in events] == [
        odd[0].encode(),
        odd[1].encode(),
        odd[2].removeprefix('{"event": ').removesuffix("}").encode(),
    ]
    assert read(events[0].raw, connector="default", way=Way.WEBHOOK, received_us=0).native == UUID.format(1)


async def test_many_requests_at_once(world):
    """Requests that arrive together are each in the spool when they are answered."""
    app = world.start()
    answers = await asyncio.gather(*(app.post(body(number)) for number in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(world.left("spool/")) == 40
    await app.tick()
    assert len(world.accepted()) == world.row_count() == 40
