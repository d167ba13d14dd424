"""
What the demo brings along is called the demo's, and is left alone by the console.
"""

import asyncio
import io
import json
import shutil

import pytest

from integration.test_connectors import PASSWORD, World
from onelogin_connector.config import load
from onelogin_connector.config.writing import export
from onelogin_connector.service import azure_demo, build
from onelogin_connector.service.demo import Demo
from onelogin_connector.testing import entry
from patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio


async def test_parts_of_the_demo_say_so(tmp_path):
    """
    Connector and sinks name the demo as where their secrets are from, cannot be edited, and are exported by a variable's name.
    """
    demo = Demo()
    environ = {"ONELOGIN_CONNECTOR_ADMIN_PASSWORD": PASSWORD}
    settings = demo.connected(load(None, environ, data_dir=tmp_path / "data", folder=tmp_path))
    service = build(azure_demo.delivering(settings, "http://127.0.0.1:9"))
    try:
        it = World(service, None, "", service.clock)
        async with it.client(accept="text/html") as browser:
            for name in ("sentinel", "legacy"):
                page = (await browser.get(f"/sinks/{name}")).text
                assert "secret, from the demo" in page
                assert "Of the demo, which makes them anew at each start" in page
                refused = await browser.get(f"/sinks/{name}/edit")
                assert (refused.status_code, "belongs to the demo" in refused.text) == (409, True)
            page = (await browser.get("/connectors/default")).text
            assert "This connector belongs to the demo" in page
            assert (await browser.get("/connectors/default/edit")).status_code == 409
            assert '<span class="tag">demo</span>' in (await browser.get("/connectors")).text
        assert "demo = " not in export(service.settings)
        assert 'client_secret = { env = "' in export(service.settings)
    finally:
        await service.stop()
        await demo.stop()


def demo_in(folder, demo, text=""):
    """
    Build a service of the demo in a folder that may hold something.
    """
    path = folder / "settings.toml"
    path.write_text(text)
    return build(demo.connected(load(path, {}, data_dir=folder / "data", folder=folder)))


async def accidents_of(demo, service):
    """
    Start the demo as the program does; returns the names of its accidents that are under way.
    """
    demo.look(service)
    await service.start()
    demo.start(service, "http://127.0.0.1:9")
    await asyncio.sleep(0)  # each begins
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "demo accident"]


@pytest.mark.parametrize(
    ("text", "expected"), [("", ["demo accident"]), ("[connectors.acme]\n[connectors.other]\n", [])]
)
async def test_only_the_demos_own_events_can_get_lost(tmp_path, text, expected):
    """
    In a new folder the demo has its accident, but not beside a second connector: the store is of both.
    """
    demo = Demo()
    service = demo_in(tmp_path, demo, text)
    try:
        assert await accidents_of(demo, service) == expected
    finally:
        await demo.stop()
        await service.stop()


async def test_a_store_that_holds_events_loses_none(tmp_path):
    """
    A demo in a folder whose journal was moved away finds a store that is full, and leaves it alone.
    """
    demo = Demo()
    service = demo_in(tmp_path, demo)
    line = json.dumps({"uuid": entry(1).native, "event_type_id": 5}).encode()
    try:
        await service.start()
        await service.import_file(
            io.BytesIO(line), "default", accept_duplicates=False, progress=lambda *_: None
        )
        await service.settle(PATIENCE_SECONDS)
    finally:
        await service.stop()
    shutil.rmtree(tmp_path / "data" / "journal")
    service = demo_in(tmp_path, demo)
    try:
        assert service.journal.last_offset == 0
        assert service.store.stats()["rows"] == 1
        assert await accidents_of(demo, service) == []
    finally:
        await demo.stop()
        await service.stop()
