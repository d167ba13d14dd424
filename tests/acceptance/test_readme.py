"""
The README's first five minutes, word for word: its shell blocks run against the program they describe.
"""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from patience import PATIENCE_SECONDS, wait_until_stored
from ports import free_port

ROOT = Path(__file__).parents[2]

FIVE_MINUTES = (
    (ROOT / "README.md").read_text().partition("## The first five minutes")[2].partition("\n## ")[0]
)
SEND, ASK, IMPORT, LOOK = re.findall(r"```sh\n(.*?)```", FIVE_MINUTES, re.DOTALL)


class Checkout:
    """
    A folder in which the program believes itself in a checkout, with the program running in it.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.environ = {**os.environ, "ONELOGIN_CONNECTOR_PORT": str(port), "COLUMNS": "200"}
        for name in ("pyproject.toml", "Makefile"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(sys.prefix)
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            command = [".venv/bin/onelogin-connector", "run"]
            self.process = subprocess.Popen(command, cwd=folder, env=self.environ, stdout=out, stderr=err)

    def shell(self, block: str) -> str:
        """
        Run a block of the README and return what it printed; only the port is another.
        """
        text = block.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["sh", "-eu", "-c", text],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout

    def wait_until_up(self) -> None:
        """
        Wait until it says where everything is: the port is open before that.
        """
        deadline = monotonic() + PATIENCE_SECONDS
        while "Data folder" not in self.log():
            assert self.process.poll() is None, self.log()
            assert monotonic() < deadline, self.log()
            sleep(0.05)

    def log(self) -> str:
        """
        Return what the program said.
        """
        return (self.folder / "stdout").read_text() + (self.folder / "stderr").read_text()

    def stop(self) -> int:
        """
        Stop it as Ctrl+C does; returns its exit status.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=PATIENCE_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def checkout(tmp_path, needs) -> Iterator[Checkout]:
    """
    Start the program in a folder of its own.
    """
    needs("curl")
    running = Checkout(tmp_path, free_port())
    try:
        running.wait_until_up()
        yield running
    finally:
        running.stop()


def test_the_first_five_minutes(checkout):
    """
    Send, send again, ask, import, import again, look: each block does what the README says of it.
    """
    first = json.loads(checkout.shell(SEND))
    assert (first["received"], first["new"]) == (1, 1)
    again = json.loads(checkout.shell(SEND))
    assert (again["received"], again["duplicates"]) == (1, 1)

    wait_until_stored(checkout.folder / "data")
    assert "Ada Lovelace" in checkout.shell(ASK)

    lines = [
        {
            "id": 900 + number,
            "created_at": f"2026-11-20T10:00:{number:02}.5Z",
            "event_type_id": 8,
            "account_id": 1,
        }
        for number in range(25)
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    (checkout.folder / "events-2026-11.json.gz").write_bytes(gzip.compress(content))
    assert "25 new" in checkout.shell(IMPORT)
    assert "25 duplicates" in checkout.shell(IMPORT)

    wait_until_stored(checkout.folder / "data")
    counted = checkout.shell(".venv/bin/onelogin-connector query 'OneLogin | count' --json")
    assert json.loads(counted) == [{"Count": 26}]
    assert "store" in checkout.shell(LOOK)


def test_what_it_says_of_secrets(checkout):
    """
    The file with the first secrets is readable by its owner alone, and none of them is in the output.
    """
    path = checkout.folder / "data" / "initial-secrets"
    assert path.stat().st_mode & 0o777 == 0o600
    secrets = re.findall(r'= "(.+)"', path.read_text())
    assert len(secrets) == 2
    checkout.shell(SEND)
    assert checkout.stop() == 0
    assert not [secret for secret in secrets if secret in checkout.log()]
