"""
What every test may rely on: a clean environment, no network but loopback, and repeatable chance.
"""

import atexit
import os
import shutil
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ON_CI = bool(os.environ.get("CI"))

settings.register_profile("dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if ON_CI else "dev"))

_SETTINGS_OF_MICROSOFT = ("OneLoginBearerToken", "WorkspaceID", "WorkspaceKey", "logAnalyticsUri")


class OutsideNetworkError(OSError):
    """
    A test tried to reach something other than this machine.
    """


def _refuse_outside(name: str, arguments: tuple[Any, ...]) -> None:
    """
    Let Python's sockets connect to loopback and unix sockets alone, and ask no name server.
    """
    if name == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
        inside = host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)
    elif name == "socket.getaddrinfo":
        host = _text(arguments[0])
        inside = host in {"", "localhost"} or _is_address(host)
    else:
        return
    if not inside:
        raise OutsideNetworkError(f"A test tried to reach {host}; tests talk to loopback alone.")


def _text(host: str | bytes | None) -> str:
    return host.decode() if isinstance(host, bytes) else host or ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


sys.addaudithook(_refuse_outside)

# No test meets a certificate that an authority has signed, and reading all of the machine's takes a client 26 ms.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("fixtures") / "nobody.pem")

# When an interpreter ends, DuckDB's binding lists there what is still held of it, for its own authors; of several
# processes that comes before the summary, which is to be the last that is said.
atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), 2)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Hide the settings of whoever runs the tests; a child process inherits the clean environment.
    """
    for name in list(os.environ):
        if name.upper().startswith("ONELOGIN") or name in _SETTINGS_OF_MICROSOFT:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """
    Run tests marked ``anyio`` on asyncio, the loop of the program.
    """
    return "asyncio"


@pytest.fixture
def needs() -> Callable[[str], str]:
    """
    Return a function that gives a tool's path, or skips the test by its name; on CI it fails instead.
    """

    def path_of(tool: str) -> str:
        found = shutil.which(tool)
        if found:
            return found
        if ON_CI:
            pytest.fail(f"{tool} is not installed here, and on CI nothing may be skipped for that")
        pytest.skip(f"needs {tool}")

    return path_of
