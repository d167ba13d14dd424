"""
From settings to parts: which sinks are made of them, and what a setting keeps from a sink.
"""

import asyncio
import io
import json

import pytest

from onelogin_connector.config import load
from onelogin_connector.errors import ConfigError
from onelogin_connector.event import Way
from onelogin_connector.service.building import build
from onelogin_connector.testing import entry

AZURE = """
[sinks.sentinel]
kind = "logs_ingestion"
endpoint = "http://127.0.0.1:9"
rule_id = "dcr-00000000000000000000000000000000"
credential = { kind = "static_token", token = { env = "TOKEN" } }
"""
EVERYTHING = "include_backfill = true\n"
USERS = 'users_stream = "Custom-OneLoginUsersV2_CL"\n'
PULLING = """
[connectors.acme]
domain = "acme"
client_id = "id"
client_secret = { env = "TOKEN" }
"""
ENVIRON = {
    "TOKEN": "t0ken-0123456789",
    "WorkspaceID": f"{'0' * 8}-1111-2222-3333-{'4' * 12}",
    "WorkspaceKey": "a2V5" * 16,
}


@pytest.fixture
def built(tmp_path):
    """Give a function that builds a service, tells its story, and closes it."""

    def tell(text, act, environ=ENVIRON):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        settings = load(path, environ, data_dir=tmp_path / "data", folder=tmp_path)

        async def story():
            service = build(settings)
            try:
                return await act(service)
            finally:
                await service.stop()

        return asyncio.run(story())

    return tell


def ways(way):
    """Return an entry that came in some way."""
    one = entry(1)
    return type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | {"way": way})


@pytest.mark.parametrize("way", list(Way))
def test_what_is_old_is_held_back_from_azure(built, way):
    """
    Backfill and import do not go to either Azure sink unless that is switched on, and are counted by the setting's name.
    """

    async def act(service):
        return {name: delivery.options.skips for name, delivery in service.deliveries.items()}

    skips = built(AZURE, act)
    expected = "include_backfill" if way in {Way.BACKFILL, Way.IMPORT} else None
    assert skips["sentinel"](ways(way)) == expected
    assert skips["legacy"](ways(way)) == expected
    assert skips["store"] is None
    assert built(AZURE + EVERYTHING, act)["sentinel"] is None


def test_an_import_is_counted_where_it_is_held_back(built):
    """
    The store gets what is imported; the Azure sinks count it as skipped and are not behind.
    """
    lines = "\n".join(
        json.dumps({"uuid": entry(number).native, "event_type_id": 5}) for number in range(1, 51)
    )

    async def act(service):
        await service.start()
        done = await service.import_file(
            io.BytesIO(lines.encode()), "default", accept_duplicates=False, progress=lambda *_: None
        )
        async with asyncio.timeout(60):
            while any(sink["lag_events"] for sink in service.status()["sinks"]):
                await asyncio.sleep(0.01)
        return done, {sink["name"]: sink for sink in service.status()["sinks"]}

    done, sinks = built(AZURE, act)
    assert done["new"] == 50
    assert (sinks["store"]["delivered"], sinks["store"]["skipped"]) == (50, 0)
    for name in ("sentinel", "legacy"):
        assert (sinks[name]["delivered"], sinks[name]["skipped"], sinks[name]["error"]) == (0, 50, "")


def test_sinks_know_their_names(built):
    """
    Messages and logs name a sink as it is configured.
    """

    async def act(service):
        return {name: getattr(delivery.sink, "name", name) for name, delivery in service.deliveries.items()}

    names = built(AZURE, act)
    assert names == {name: name for name in ("sentinel", "legacy", "store")}


def test_users_are_sent_where_a_stream_is_named(built):
    """
    A stream of users is made for the sink that names one, for the connectors whose users are listed.
    """

    async def act(service):
        return {name: list(stream._memories()) for name, stream in service.user_streams.items()}

    assert built(AZURE + USERS + PULLING, act) == {"sentinel": ["acme"]}
    assert built(AZURE + PULLING, act) == {}
    assert built(AZURE + "enabled = false\n" + USERS + PULLING, act) == {}
    assert built(AZURE + USERS + PULLING + "[sinks.store]\nenabled = false\n", act) == {}


def test_a_missing_library_is_told_at_the_start(built, monkeypatch):
    """
    Without azure-identity a sink that needs it stops the start with the command that installs it.
    """
    monkeypatch.setitem(__import__("sys").modules, "onelogin_connector.azure.identity", None)
    monkeypatch.delattr("onelogin_connector.azure.identity", raising=False)
    text = AZURE.replace(
        '{ kind = "static_token", token = { env = "TOKEN" } }', '{ kind = "managed_identity" }'
    )
    with pytest.raises(ConfigError, match=r"onelogin-connector\[azure\]"):
        built(text, None)
