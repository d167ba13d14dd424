"""
A simulated Azure as a process of its own, and sinks into it.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.program import CHECKOUT
from onelogin_connector.simulator.azure.subscription import LEGACY_ID, RULE_ID, STATIC_TOKEN, WORKSPACE_KEY

STREAM = "Custom-OneLogin_CL"


class Azure:
    """
    Where it answers, and what it was sent.
    """

    def __init__(self, url: str, pid: int, folder: Path) -> None:
        self.url, self.pid = url, pid
        self._folder = folder
        self._client = httpx2.Client(base_url=url, timeout=60)

    @property
    def sentinel(self) -> str:
        """
        Settings of a sink by the Logs Ingestion API.
        """
        return (
            f'[sinks.sentinel]\nkind = "logs_ingestion"\nendpoint = "{self.url}"\nrule_id = "{RULE_ID}"\n'
            f'credential = {{ kind = "static_token", token = {{ file = "{self._secret(STATIC_TOKEN)}" }} }}\n'
        )

    @property
    def legacy(self) -> str:
        """
        Settings of a sink by the Data Collector API.
        """
        return (
            f'[sinks.legacy]\nkind = "data_collector"\nendpoint = "{self.url}"\nworkspace_id = "{LEGACY_ID}"\n'
            f'workspace_key = {{ file = "{self._secret(WORKSPACE_KEY)}" }}\n'
        )

    def calls(self) -> tuple[int, list[dict[str, Any]]]:
        """
        Return the rows accepted so far, and the latest calls, a thousand at most.
        """
        told = self._client.get("/simulator/calls").json()
        return told["accepted"], told["calls"]

    def lost(self) -> list[Any]:
        """
        Return what was accepted and is not there as it was sent.
        """
        return [loss for table in self._client.get("/simulator/tables").json() for loss in table["lost"]]

    def fail(self, **fault: Any) -> None:
        """
        Let something go wrong from now on.
        """
        assert self._client.post("/simulator/faults", json=fault).status_code == 204

    def close(self) -> None:
        """
        Close the connection.
        """
        self._client.close()

    def _secret(self, text: str) -> Path:
        path = self._folder / f"secret-{len(text)}"
        path.write_text(text)
        path.chmod(0o600)
        return path


@contextmanager
def simulated() -> Iterator[Azure]:
    """
    Run it, and end it with the block.
    """
    command = [sys.executable, "-m", "onelogin_connector", "simulate", "--azure", "0"]
    with (
        tempfile.TemporaryDirectory(dir=CHECKOUT, prefix=".bench-") as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process,
    ):
        try:
            assert process.stdout
            found = re.search(r"simulated at (http://\S+[0-9])", process.stdout.readline())
            assert found, "it did not start"
            azure = Azure(found[1], process.pid, Path(folder))
            yield azure
            azure.close()
        finally:
            process.kill()
