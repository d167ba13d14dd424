"""
What the demo brings along is called the demo's, and is left alone by the console.
"""

import pytest

from integration.test_connectors import PASSWORD, World
from onelogin_connector.config import load
from onelogin_connector.config.writing import export
from onelogin_connector.service import azure_demo, build
from onelogin_connector.service.demo import Demo

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
