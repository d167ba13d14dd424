"""
The real program as a process of its own, with a data folder of its own.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx2

from onelogin_connector.service.folder import control_socket

CHECKOUT = Path(__file__).parents[1]
START_SECONDS = 60.0
DRAIN_SECONDS = 300.0
NO_STORE = '[sinks.store]\nkind = "store"\nenabled = false\n'


class Program:
    """
    One data folder, and what runs on it.
    """

    def __init__(self, folder: Path, *, settings: str = "", module: str = "onelogin_connector") -> None:
        """
        Prepare to start.

        Args:
            module: What is started with the program's own flags.
        """
        self.data_dir = folder / "data"
        self._out = folder / "out"
        self._log = folder / "log"
        self._command = [sys.executable, "-m", module, "run", "--data-dir", str(self.data_dir), "--port", "0"]
        if settings:
            path = folder / "settings.toml"
            path.write_text(settings)
            self._command += ["--config", str(path)]
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._session: httpx2.Cookies | None = None

    def start(self) -> float:
        """
        Start, and return the seconds until it answers that it is ready.
        """
        began = perf_counter()
        with self._out.open("w") as out, self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=log, cwd=CHECKOUT)
        while "Data folder" not in (said := self._out.read_text()):
            assert self._process.poll() is None, self._log.read_text()
            assert perf_counter() - began < START_SECONDS, self._log.read_text()
            sleep(0.005)
        found = re.search(r"runs at http://[^:]+:(\d+)", said)
        assert found, said
        self.port = int(found[1])
        answer = httpx2.get(f"http://127.0.0.1:{self.port}/readyz")
        assert answer.status_code == 200, answer.text
        return perf_counter() - began

    @property
    def token(self) -> str:
        """
        The webhook token that the first start made.
        """
        found = re.search(r'webhook_token = "(.*)"', (self.data_dir / "initial-secrets").read_text())
        assert found
        return found[1]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """
        Call the API over the control socket.
        """
        transport = httpx2.HTTPTransport(uds=str(control_socket(self.data_dir)))
        with httpx2.Client(transport=transport, base_url="http://localhost", timeout=300) as client:
            answer = client.request(method, f"/api/v1/{path}", **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def signed_in(self) -> httpx2.Cookies:
        """
        Return the cookies of an admin; the link of the start is good for one session, which is then kept.
        """
        if self._session is None:
            link = (self.data_dir / "sign-in-link").read_text().strip()
            with httpx2.Client(timeout=60) as client:
                client.get(link)
                self._session = client.cookies
        return self._session

    @property
    def log(self) -> str:
        """
        What it has written to stderr.
        """
        return self._log.read_text()

    @property
    def entries(self) -> int:
        """
        How many entries the journal has taken in, all told.
        """
        return int(self.ask("GET", "status")["journal"]["last_offset"])

    def drain(self) -> float:
        """
        Wait until every sink has everything; returns seconds.
        """
        began = perf_counter()
        while any(sink["lag_events"] for sink in self.ask("GET", "status")["sinks"]):
            assert perf_counter() - began < DRAIN_SECONDS, "the store does not catch up"
            sleep(0.2)
        return perf_counter() - began

    @property
    def anonymous_mib(self) -> float:
        """
        Resident memory that belongs to the process alone, without pages of files, in MiB.
        """
        return self._status_kib("RssAnon") / 1_024

    @property
    def cpu_seconds(self) -> float:
        """
        Processor time used so far.
        """
        assert self._process
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def _status_kib(self, name: str) -> float:
        assert self._process
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found, status
        return float(found[1])

    def kill(self) -> None:
        """
        End it as a power cut would.
        """
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running(*, settings: str = "", module: str = "onelogin_connector") -> Iterator[Program]:
    """
    Give a started program on an empty folder, which goes with it.
    """
    with tempfile.TemporaryDirectory(dir=CHECKOUT, prefix=".bench-") as folder:
        program = Program(Path(folder), settings=settings, module=module)
        program.start()
        try:
            yield program
        finally:
            program.kill()
