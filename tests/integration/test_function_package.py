"""
The built package in an empty environment: unpacked, imported as Azure's worker does, and called.

``make function-zip`` builds it; building asks the package registry, so that no test does it by itself.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from zipfile import ZipFile

import pytest
from msgspec.json import encode

from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.blobs import BlobService
from onelogin_connector.simulator.azure.subscription import LEGACY_ID, WORKSPACE_KEY, Subscription
from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.serving import bind, serving
from tests.blob_account import connection, served

pytestmark = pytest.mark.anyio

PACKAGE = Path(__file__).parents[2] / "dist" / "onelogin-connector-function.zip"
LIBRARIES = ".python_packages/lib/site-packages/"
TOKEN = "a-webhook-token-of-the-package"

CALLER = """
import asyncio, json, sys
sys.path[:0] = [".", ".python_packages/lib/site-packages"]
import azure.functions as func
from azure.functions.timer import TimerRequest
import function_app

functions = {each.get_function_name(): each for each in function_app.app.get_functions()}

async def story():
    request = func.HttpRequest(
        method="POST", url="https://x/api/OneLoginWebhooksTrigger", body=sys.stdin.buffer.read(),
        headers={"Authorization": "Bearer " + sys.argv[1]},
    )
    answer = await functions["OneLoginWebhooksTrigger"].get_user_function()(request)
    await functions["Drain"].get_user_function()(TimerRequest())
    heavy = {"lmdb", "duckdb", "uvloop"} & {name.split(".")[0] for name in sys.modules}
    print(json.dumps([answer.status_code, json.loads(answer.get_body()), sorted(heavy)]))

asyncio.run(story())
"""


@pytest.fixture(scope="module")
def package() -> Path:
    """Give the built package, or say how to build it."""
    if not PACKAGE.exists():
        if os.environ.get("CI"):
            pytest.fail("dist/onelogin-connector-function.zip is not built: make function-zip")
        pytest.skip("needs dist/onelogin-connector-function.zip: make function-zip")
    return PACKAGE


@pytest.fixture(scope="module")
def python() -> str:
    """Give a Python 3.11, for which the package is built."""
    found = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if found is None:
        if os.environ.get("CI") and not os.environ.get("WITHOUT_PYTHON_311"):
            pytest.fail("Python 3.11 is not installed here, and on CI nothing may be skipped for that")
        pytest.skip("needs python3.11")
    return found


async def test_the_layout_is_the_one_that_azure_expects(package):
    """The app stands at the top, libraries where the worker looks, all of them for Linux and Python 3.11."""
    with ZipFile(package) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        dates = {entry.date_time for entry in archive.infolist()}
        wheels = [archive.read(name).decode() for name in names if name.endswith(".dist-info/WHEEL")]
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"function_app.py", "host.json", ".python_packages"}
    parts = {name.removeprefix(LIBRARIES).partition("/")[0] for name in names if name.startswith(LIBRARIES)}
    assert {"azure", "onelogin_connector", "httpx2", "isal", "msgspec"} <= parts
    assert not parts & {"lmdb", "duckdb", "uvloop", "starlette", "argon2"}
    tags = {
        line.removeprefix("Tag: ")
        for text in wheels
        for line in text.splitlines()
        if line.startswith("Tag: ")
    }
    assert tags
    assert all("any" in tag or ("manylinux" in tag and "x86_64" in tag) for tag in tags)
    assert dates == {(1980, 1, 1, 0, 0, 0)}
    assert names == sorted(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", "/RECORD"))]


async def test_the_package_is_of_this_checkout(package):
    """What is tested is what is here: every module of ours in it is equal to the one in the checkout."""
    source = Path(__file__).parents[2] / "src"
    with ZipFile(package) as archive:
        ours = [name for name in archive.namelist() if name.startswith(f"{LIBRARIES}onelogin_connector/")]
        changed = [
            name
            for name in ours
            if archive.read(name) != (source / name.removeprefix(LIBRARIES)).read_bytes()
        ]
    assert len(ours) > 80
    assert not changed, "build it again: make function-zip"


async def test_it_runs_where_nothing_else_is_installed(package, python, tmp_path):
    """Without any library but its own it takes a webhook in and delivers it, over real HTTP."""
    with ZipFile(package) as archive:
        archive.extractall(tmp_path)
    subscription = Subscription()
    content = encode([each.to_webhook() for each in islice(Company(1).story(1_795_000_000_000_000), 25)])
    with served(BlobService()) as storage:
        async with serving(Api(subscription), bind()) as azure:
            environment = {
                "AzureWebJobsStorage": connection(storage),
                "OneLoginBearerToken": TOKEN,
                "WorkspaceID": LEGACY_ID,
                "WorkspaceKey": WORKSPACE_KEY,
                "logAnalyticsUri": azure,
            }
            done = await asyncio.to_thread(
                subprocess.run,
                # -I and -S: no variable, no folder of a user, no site-packages
                [python, "-I", "-S", "-c", CALLER, TOKEN],
                input=content,
                capture_output=True,
                cwd=tmp_path,
                env=environment,
                timeout=300,
                check=False,
            )
    assert done.returncode == 0, done.stderr.decode()
    status, answer, heavy = json.loads(done.stdout)
    assert (status, answer["new"], heavy) == (200, 25, [])
    assert len(subscription.legacy.rows("OneLogin_CL")) == 25
