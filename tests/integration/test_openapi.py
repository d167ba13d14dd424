"""
The API called by its own OpenAPI document, as everybody: what no test thought of is no 500, and answers are as described.

Schemathesis makes requests that fit the document and requests that do not, for addresses that exist and others.
"""

import asyncio
import re
import threading
from collections import Counter
from contextlib import AsyncExitStack
from urllib.parse import quote, urlencode

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from onelogin_connector.config import load
from onelogin_connector.service import build
from onelogin_connector.simulator.serving import bind, serving
from onelogin_connector.web.access import Role
from onelogin_connector.web.app import ENTRIES, access_of, main_app
from onelogin_connector.web.console.routes import Act, Fields
from passwords import QUICK
from patience import PATIENCE_SECONDS

PASSWORD = "a long enough password"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

NOT_CALLED = {
    "DELETE /api/v1/tokens/{id}",  # it would end the tokens by which the others are called
    "POST /api/v1/backup",  # an archive of everything, each time; test_backup looks at it
}
IDS = ("default", "store", "kept", "1", "nobody", "new", "..", "\u202e")
"""Of connectors, sinks, dead letters and nothing."""

EXAMPLES = {Role.ADMIN: 6, Role.OPERATOR: 2, Role.VIEWER: 2, None: 1}
NEEDS = re.compile(r"Needs the role (\w+)\.")


class Served:
    """
    A service that answers on loopback, in a thread with a loop of its own.
    """

    def __init__(self, folder):
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()

    def __enter__(self):
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(self, *_):
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _open(self):
        environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
        service = build(load(None, environ, data_dir=self.folder, folder=self.folder), hasher=QUICK)
        self._stack.push_async_callback(service.stop)
        await service.start()
        self.access = access_of(service)
        self.url = await self._stack.enter_async_context(serving(main_app(service, self.access), bind()))

    def headers(self, role):
        if role is None:
            return {}
        token = self.run(asyncio.to_thread(self.access.new_token, f"a {role}", role, by="test"))
        return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """
    Run a service with something of each kind to be found.
    """
    with Served(tmp_path_factory.mktemp("openapi")) as found:
        headers = found.headers(Role.ADMIN)
        with httpx2.Client(base_url=found.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            made = client.post(
                "/api/v1/sinks",
                json={
                    "name": "kept",
                    "kind": "data_collector",
                    "enabled": False,
                    "settings": {
                        "workspace_id": "00000000-0000-0000-0000-000000000000",
                        "workspace_key": "a2V5IG9mIGEgd29ya3NwYWNl",
                    },
                },
            )
            assert made.status_code == 201, made.text
            token = client.post("/api/v1/connectors/default/token", json={}).json()["token"]
            sent = client.post(
                "/webhook/default",
                content=b'[{"uuid":"0b0c6a54-30ac-4e1c-b5a2-1d8a3a3ee111","account_id":1,"event_type_id":5},[1]]',
                headers={"authorization": f"Bearer {token}"},
            )
            assert sent.json() == {"received": 2, "new": 1, "twins": 0, "duplicates": 0, "dead": 1}
        yield found


@pytest.fixture(scope="module")
def document(served):
    """
    Return what the program says of its API.
    """
    headers = served.headers(Role.VIEWER)
    return httpx2.get(f"{served.url}/api/v1/openapi.json", headers=headers, timeout=PATIENCE_SECONDS).json()


@pytest.mark.parametrize("role", EXAMPLES, ids=str)
def test_requests_by_the_document(served, document, role):
    """
    No request, fit or unfit, is a 5xx; every answer is of a type and shape that the document names; roles hold.
    """
    headers, statuses = served.headers(role), Counter()
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        if operation.label in NOT_CALLED:
            continue
        called = _called(operation, served.url, headers, EXAMPLES[role])
        statuses += called
        needed = Role(NEEDS.search(operation.definition.raw["description"])[1])
        if role is None:
            assert set(called) == {401}, operation.label
        elif not role.includes(needed):
            # some unfit requests lack the credential, and some addresses are none
            assert set(called) <= {401, 403, 404, 405}, (operation.label, called)
        else:
            assert 403 not in called, (operation.label, called)
    assert role is None or statuses[200] >= 10
    assert role is not Role.ADMIN or statuses[422] > 20, "unfit requests were made too"


def _called(operation, url, headers, examples):
    """
    Call an operation with requests that fit and others, and return how often which status came.
    """
    statuses = Counter()
    ids = [None]
    if "{id}" in operation.path:
        ids = IDS if examples > 2 else IDS[:2]
    cases = st.one_of(
        operation.as_strategy(mode, **({} if id is None else {"path_parameters": {"id": id}}))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        for id in ids
    )

    @seed(5)
    @settings(
        max_examples=examples,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def call(case):
        response = case.call(base_url=url, headers=headers, timeout=PATIENCE_SECONDS, allow_redirects=False)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS, headers=headers)

    call()
    return statuses


TEXTS = st.text(max_size=40) | st.sampled_from(["", "true", "1", "-1", "1e999", "\u202e", "../..", "9" * 400])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_forms_take_anything(served, session, data):
    """
    Whatever a signed-in browser sends to a form is answered by a page that says so, and never by a 5xx.
    """
    client, form = session
    act = data.draw(st.sampled_from([entry for entry in ENTRIES if isinstance(entry, Act)]))
    names = list(act.takes.__struct_fields__)
    if act.takes is Fields:
        names = ["kind", "name", "enabled", "backlog_limit", "settings.endpoint", "settings.credential.kind"]
    fields = data.draw(st.dictionaries(st.sampled_from([*names, "back", "odd"]), TEXTS, max_size=6))
    if "kind" in fields and data.draw(st.booleans()):
        fields["kind"] = "logs_ingestion"
    path = act.path.replace("{id}", quote(data.draw(st.sampled_from(IDS)), safe=""))
    body = urlencode({**fields, "form": form}, errors="replace").encode()
    answer = client.post(path, content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code < 500, (act.path, fields, answer.text)
    assert answer.status_code in {200, 303, 403, 404, 405, 409, 422}, (act.path, fields, answer.status_code)


@pytest.fixture(scope="module")
def session(served):
    """
    Sign a browser in, and return it with the token of its forms.
    """
    own = {"accept": "text/html", "sec-fetch-site": "same-origin"}
    with httpx2.Client(base_url=served.url, headers=own, timeout=PATIENCE_SECONDS) as client:
        # by a link: the admin's password may have been changed by what was called before
        client.get(f"/login/{served.run(asyncio.to_thread(served.access.link_token))}")
        yield client, re.search(r'name="form" value="(\w+)"', client.get("/sinks/new").text)[1]
