"""
The container: its Dockerfile is linted, carried out in a folder, and what comes of it is started, asked and stopped.

Where a container engine is missing – here, and where the tests run for every change – ``dockerfile.py`` beside this file
says exactly what stands in for it.
"""

import importlib.util
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import httpx2
import pytest
import yaml

from patience import PATIENCE_SECONDS
from ports import free_port
from stopwatch import Stopwatch

ROOT = Path(__file__).parents[2]
RETRIES = 3
"""So many checks in a row have to fail until Docker calls a container unhealthy, unless the image says otherwise."""


def _beside() -> ModuleType:
    """
    Load the module beside this one; tests are collected by path and cannot import each other.
    """
    spec = importlib.util.spec_from_file_location("dockerfile", Path(__file__).with_name("dockerfile.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["dockerfile"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


pytestmark = pytest.mark.timeout(900)  # the image is made within the first test that needs it

dockerfile = _beside()
STEPS = dockerfile.read((ROOT / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def image() -> Iterator[object]:
    """
    Carry the Dockerfile out, once for all tests.

    Not in a folder of pytest's: those are closed to other users, as one of whom the program is to run.
    """
    with TemporaryDirectory(prefix="image-") as folder:
        root = Path(folder) / "root"
        for each in (root.parent, root):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)
        python = dockerfile.interpreter()
        if not python and os.environ.get("CI"):
            pytest.fail("there is no Python with venv here, and on CI nothing may be skipped for that")
        if not python:
            pytest.skip("needs a Python with its venv module (python3-venv)")
        made = dockerfile.Image(root, python)
        made.carry_out(STEPS)
        yield made


@pytest.fixture(scope="module")
def running(image) -> Iterator[tuple[object, int]]:
    """
    Start the image's command on a free port, and wait until it answers.
    """
    port = free_port()
    log = image.root / "log"
    with log.open("wb") as out:
        process = image.start(
            image.command, stdout=out, stderr=out, env={"ONELOGIN_CONNECTOR_PORT": str(port)}
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Data folder" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield image, port
    finally:
        process.kill()
        process.wait()


def test_dockerfile_is_linted():
    """
    Hadolint finds nothing; one rule is left out: it wants steps joined by a shell, which hides which of them failed.
    """
    tool = Path(sys.executable).parent / "hadolint"
    if not tool.exists():
        if os.environ.get("CI"):
            pytest.fail("hadolint is not installed here, and on CI nothing may be skipped for that")
        pytest.skip("needs hadolint, which is there for Linux on x86_64")
    words = [str(tool), "--failure-threshold", "style", "--ignore", "DL3059", "Dockerfile"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_base_image_is_pinned():
    """
    One base for both stages, in one version; no step needs root when the container runs.
    """
    (base,) = [step.rest for step in STEPS if step.word == "ARG"]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)
    assert all(step.rest.startswith("${PYTHON_IMAGE}") for step in STEPS if step.word == "FROM")


def test_builder_sees_no_data():
    """
    Neither settings nor data, history nor tests go to the builder.
    """
    seen = dockerfile.context()
    assert "pyproject.toml" in seen
    assert not [
        path
        for path in seen
        if not path.startswith(("src/", "requirements/", "pyproject", "README", "LICENSE"))
    ]
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    for path in (
        "data/initial-secrets",
        "onelogin-connector.toml",
        ".git/config",
        ".venv/bin/python",
        "src/x/__pycache__/a.pyc",
    ):
        assert dockerfile.ignored(path, [rule for rule in rules if rule and rule[0] != "#"]), path


def test_image_holds_what_is_locked_and_the_package(image):
    """
    The program's own package is a real install of the wheel; beside it are the locked requirements alone.
    """
    (packages,) = image.inside("/opt/onelogin-connector").glob("lib/python*/site-packages")
    own = packages / "onelogin_connector"
    assert own.is_dir()
    assert not own.is_symlink()
    assert (own / "web" / "templates").is_dir()
    found = {
        re.split(r"[-.]\d", each.name)[0].lower().replace("_", "-") for each in packages.glob("*.dist-info")
    }
    wanted = {
        name.lower().replace("_", "-") for name in dockerfile.locked(ROOT / "requirements" / "azure.txt")
    }
    assert found == wanted | {"onelogin-connector"}
    assert not image.inside("/build").exists()


def test_data_folder_is_the_users_own(image):
    """
    A volume takes mode and owner from the image; the program refuses a folder that others can read.
    """
    found = image.inside("/data").stat()
    assert stat.S_IMODE(found.st_mode) == 0o700
    assert image.volumes == ["/data"]
    assert image.user == 10001
    if os.getuid() == 0:
        assert found.st_uid == image.user


def test_container_starts_and_is_healthy(running):
    """
    The command listens, takes a webhook with the token of its first start, and the health check says yes.
    """
    image, port = running
    secrets = (image.inside("/data") / "initial-secrets").read_text()
    token = re.search(r'webhook_token = "(.*)"', secrets)[1]
    answer = httpx2.post(
        f"http://127.0.0.1:{port}/webhook/default",
        content=b'[{"uuid": "3d2b0c52-6a35-4f6a-9f38-111111111111", "event_type_id": 5, "account_id": 1}]',
        headers={"authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.status_code == 200
    assert is_healthy(image)


def is_healthy(image) -> bool:
    """
    Check as Docker does: a check has seconds, which a busy machine may exceed once.
    """
    retries = int(image.health_options.get("retries", RETRIES))
    return any(image.start(image.health).wait(timeout=PATIENCE_SECONDS) == 0 for _ in range(retries))


def test_container_listens_on_every_address(running):
    """
    Docker's port comes from outside the container, so loopback alone would not do.
    """
    image, port = running
    wanted = f"00000000:{port:04X} 00000000:0000 0A"
    assert wanted in Path("/proc/net/tcp").read_text(), "not found as listening on 0.0.0.0"
    assert image.ports == [8080]


def test_sign_in_link_is_in_the_data_folder(running):
    """
    The log names the file and not the link, which signs in a browser on the host that has the port.
    """
    image, port = running
    link = (image.inside("/data") / "sign-in-link").read_text().strip()
    log = (image.root / "log").read_text()
    assert link not in log
    assert "sign-in-link" in log
    with httpx2.Client(follow_redirects=False) as client:
        answer = client.get(link, headers={"host": f"localhost:{port}"}, timeout=PATIENCE_SECONDS)
    assert answer.status_code < 400


def test_container_runs_as_its_user(running):
    """
    The process has the image's user and no other group, where this machine lets the test see it.
    """
    image, _ = running
    if not image.drops:
        pytest.skip(f"needs root, and a Python like {image.python} that other users may run")
    lock = (image.inside("/data") / "lock").read_text().split()
    status = Path(f"/proc/{lock[0]}/status").read_text()
    assert f"Uid:\t{image.user}\t{image.user}\t{image.user}\t{image.user}" in status
    assert re.search(r"^Groups:\s*$", status, re.MULTILINE)


def test_health_check_sees_a_service_that_hangs(running):
    """
    A stopped process is not healthy, and the check says so within its own time limit; going on, it is again.
    """
    image, _ = running
    pid = int((image.inside("/data") / "lock").read_text().split()[0])
    limit = float(image.health_options["timeout"].rstrip("s"))
    os.kill(pid, signal.SIGSTOP)
    try:
        with Stopwatch() as watch:
            assert image.start(image.health, stderr=subprocess.DEVNULL).wait(timeout=PATIENCE_SECONDS) != 0
        assert watch.seconds < limit + 10  # the limit, and a slow machine's start of Python
    finally:
        os.kill(pid, signal.SIGCONT)
    assert is_healthy(image)


def test_container_stops_at_sigterm(image):
    """
    ``docker stop`` ends it in good order, well before Docker would kill it.
    """
    data = image.root / "data2"
    data.mkdir(mode=0o700)
    if image.drops:
        os.chown(data, image.user, image.user)
    process = image.start(
        image.command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"ONELOGIN_CONNECTOR_PORT": "0", "ONELOGIN_CONNECTOR_DATA_DIR": str(data)},
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (data / "sign-in-link").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with Stopwatch() as watch:
        process.terminate()
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    assert watch.seconds < 20
    # with nothing running, the check says no at once instead of opening the folder itself
    health = image.start(image.health, stderr=subprocess.PIPE, env={"ONELOGIN_CONNECTOR_DATA_DIR": str(data)})
    said = health.communicate(timeout=PATIENCE_SECONDS)[1].decode()
    assert health.returncode == 1
    assert "No service runs" in said


def test_compose_file_is_closed():
    """
    The demo's port is for this machine alone, and the container can do nothing but write to its data.
    """
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    (service,) = compose["services"].values()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [volume.partition(":") for volume in service["volumes"]] == [("data", ":", "/data")]
    assert set(compose["volumes"]) == {"data"}
    assert service["command"][:2] == ["onelogin-connector", "run"]
