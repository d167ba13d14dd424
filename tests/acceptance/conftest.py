"""
The real program as a process of its own: started, fed, asked, stopped, killed.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

import ports
from onelogin_connector.service.folder import control_socket
from patience import PATIENCE_SECONDS
from stopwatch import Stopwatch

PROGRAM = [sys.executable, "-m", "onelogin_connector"]
FIXTURES = Path(__file__).parents[1] / "fixtures"


class Program:
    """
    One data folder, and the service that runs on it.
    """

    def __init__(self, folder: Path, command: Sequence[str] = PROGRAM) -> None:
        self.folder = folder
        self.command = command
        self.data_dir = folder / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, *flags: str, settings: str = "") -> "Program":
        """
        Start the service on a free port, and wait until it says where it runs.
        """
        words = ["run", "--data-dir", str(self.data_dir), "--port", "0", *flags]
        if settings:
            path = self.folder / "settings.toml"
            path.write_text(settings)
            words += ["--config", str(path)]
        out = self.folder / "out"
        with out.open("w") as said, (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen([*self.command, *words], stdout=said, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Data folder" not in (seen := out.read_text()):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)
        self.greeting = seen
        self.url = re.search(r"runs at (\S+)", seen)[1]
        return self

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def token(self) -> str:
        return self.secret("webhook_token")

    def secret(self, name: str) -> str:
        """
        Return what the first start made.
        """
        return re.search(rf'{name} = "(.*)"', (self.data_dir / "initial-secrets").read_text())[1]

    def post(self, body: bytes, *, connector: str = "default", **headers: str) -> httpx2.Response:
        """
        Send one webhook request.
        """
        authorized = {"authorization": f"Bearer {self.token}"} | headers
        return httpx2.post(
            f"{self.url}/webhook/{connector}", content=body, headers=authorized, timeout=PATIENCE_SECONDS
        )

    def call(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """
        Run another command on the same folder.
        """
        return subprocess.run(
            [*PROGRAM, *words, "--data-dir", str(self.data_dir)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            cwd=self.folder,
        )

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """
        Call the API over the control socket, as commands do, but without starting a process for it.
        """
        transport = httpx2.HTTPTransport(uds=str(control_socket(self.data_dir)))
        with httpx2.Client(
            transport=transport, base_url="http://localhost", timeout=PATIENCE_SECONDS
        ) as client:
            answer = client.request(method, f"/api/v1/{path}", **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, kql: str) -> list[dict[str, Any]]:
        """
        Return every row of a query once the store has everything; by the command alone when nothing runs.

        A query itself waits a second for what is still on its way to the store, which a busy machine may exceed.
        """
        if self.process is not None:
            self._wait_for("store")
            return self.rows_now(kql)
        done = self.call("query", kql, "--json", "--all")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows_now(self, kql: str) -> list[dict[str, Any]]:
        """
        Return every row that a query of the running service gives at this moment.
        """
        return self.ask("POST", "query", json={"kql": kql, "all": True})["rows"]

    def status(self) -> dict[str, Any]:
        """
        Return the state of every part; by the command alone when nothing runs.
        """
        if self.process is not None:
            return self.ask("GET", "status")
        done = self.call("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def drained(self) -> "Program":
        """
        Wait until every sink has everything.
        """
        return self._wait_for()

    def _wait_for(self, kind: str = "") -> "Program":
        """
        Wait until the sinks of a kind, or all, have everything.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(sink["lag_events"] for sink in self.status()["sinks"] if not kind or sink["kind"] == kind):
            assert time.monotonic() < deadline, "a sink does not catch up"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """
        End the process as a power cut would.
        """
        if self.process and self.process.poll() is None:
            self.process.kill()
        self._wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """
        Ask it to stop; returns exit status and seconds.
        """
        assert self.process
        with Stopwatch() as watch:
            self.process.send_signal(number)
            self.process.wait(timeout=PATIENCE_SECONDS)
        return self._wait(), watch.seconds

    def _wait(self) -> int:
        if self.process is None:
            return 0
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        self.process = None
        return code

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """
    Make a program that is not started yet, and end it in any case.
    """
    made = Program(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def free_port() -> int:
    """
    Find a port that nobody listened on a moment ago.
    """
    return ports.free_port()
