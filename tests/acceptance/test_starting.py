"""
Starting and stopping: clear messages, private files, seconds.
"""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import httpx2
import pytest

from patience import PATIENCE_SECONDS


def test_the_first_lines_lead_in(program):
    """
    The address and a link that signs in, once, come first; secrets go to a private file, not to a pipe.
    """
    program.start()
    assert program.greeting.splitlines()[0].endswith(program.url)
    kept = program.data_dir / "sign-in-link"
    assert f"Sign in, once: {kept}" in program.greeting
    assert kept.stat().st_mode & 0o777 == 0o600
    link = kept.read_text().strip()
    assert link not in program.greeting + program.log()
    with httpx2.Client(follow_redirects=True, timeout=PATIENCE_SECONDS) as browser:
        page = browser.get(link, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "<title>Collection Status" in page.text
        assert "Sign out" in page.text
    assert httpx2.get(link, timeout=PATIENCE_SECONDS).status_code == 401
    secrets = program.data_dir / "initial-secrets"
    assert secrets.stat().st_mode & 0o777 == 0o600
    for value in (program.token, program.secret("password")):
        assert value not in program.greeting + program.log()


def test_everything_in_the_folder_is_private(program):
    """
    No file of the data folder can be read by others, whatever the umask was.
    """
    before = os.umask(0)
    try:
        program.start()
    finally:
        os.umask(before)
    program.post(b'[{"uuid": "00000000-0000-4000-8000-000000000001", "event_type_id": 5}]')
    for path in [program.data_dir, *program.data_dir.rglob("*")]:
        with suppress(FileNotFoundError):  # the store's log of changes comes and goes
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_start_names_the_first(program):
    """
    One data folder, one service: the message says which process, and what to do.
    """
    program.start()
    pid = program.process.pid
    second = program.call("run", "--port", "0")
    assert second.returncode == 1
    assert f"process {pid}" in second.stderr
    assert "--data-dir" in second.stderr
    assert program.status()["journal"]["entries"] == 0


def test_a_taken_port_names_the_way_out(program):
    """
    The message gives the command that avoids the port.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = program.call("run", "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert re.search(r"onelogin-connector run --port \d+", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_readable_folder_is_refused(program):
    """
    A folder that others can read is not used, and the message has the command that mends it.
    """
    program.data_dir.mkdir(mode=0o755)
    program.data_dir.chmod(0o755)
    for words in (["run", "--port", "0"], ["password"]):
        done = program.call(*words, stdin="a long enough password\n")
        assert done.returncode == 1
        assert f"chmod 700 {program.data_dir}" in done.stderr
    assert list(program.data_dir.iterdir()) == []


def test_a_damaged_store_is_explained(program):
    """
    A file that is no database stops the start with a message, and the lock is free again.
    """
    program.data_dir.mkdir(mode=0o700)
    (program.data_dir / "store.duckdb").write_bytes(b"this is no database" * 1_000)
    done = program.call("run", "--port", "0")
    assert done.returncode == 1
    assert "store.duckdb" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_very_long_folder_works(program):
    """
    A unix socket's path is short; a data folder's need not be.
    """
    program.data_dir = program.folder / ("long-" * 30)
    program.start()
    assert program.status()["connectors"]
    assert not (program.data_dir / "control.sock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_under_load_takes_seconds_and_loses_nothing(program, number):
    """
    What was acknowledged before the end is there after it, and the exit status is 0 (G1).
    """
    program.start()
    url, token = f"{program.url}/webhook/default", program.token
    acknowledged: list[str] = []

    def send(lane: int) -> None:
        headers = {"authorization": f"Bearer {token}"}
        with httpx2.Client(headers=headers, timeout=PATIENCE_SECONDS) as client:
            for at in range(100_000):
                names = [f"{lane:08d}-0000-4000-8000-{at * 10 + n:012d}" for n in range(10)]
                try:
                    answer = client.post(
                        url, content=json.dumps([{"uuid": name, "event_type_id": 5} for name in names])
                    )
                except httpx2.TransportError:
                    return
                if answer.status_code != 200:
                    return
                acknowledged.extend(names)

    lanes = [threading.Thread(target=send, args=(lane,)) for lane in range(4)]
    for lane in lanes:
        lane.start()
    time.sleep(0.5)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(acknowledged) <= 100:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    code, seconds = program.stop(number)
    for lane in lanes:
        lane.join()
    assert code == 0, program.log()
    assert seconds < 10
    assert len(acknowledged) > 100
    program.drained()
    found = {row["uuid_g"] for row in program.rows("OneLogin_CL | project uuid_g")}
    assert set(acknowledged) <= found
    assert "Traceback" not in program.log()


def test_a_broken_pipe_is_no_traceback(program):
    """
    `query … | head -1` ends quietly.
    """
    program.start()
    program.post(
        json.dumps(
            [{"uuid": f"{n:08d}-0000-4000-8000-000000000000", "event_type_id": 5} for n in range(500)]
        ).encode()
    )
    program.drained()
    command = (
        f"{sys.executable} -m onelogin_connector query 'OneLogin' --data-dir {program.data_dir} | head -1"
    )
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.stdout.startswith("TimeGenerated")
    assert "Traceback" not in done.stderr


def test_a_command_does_not_keep_the_service_from_starting(program):
    """
    A start waits for the command that has the folder, says so, and then serves.
    """
    program.start()
    program.stop()
    with (program.data_dir / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} command\n")
        lock.flush()
        starting = threading.Thread(target=program.start)
        starting.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Waiting for the command that uses the data folder" not in program.log():
            assert time.monotonic() < deadline, program.log()
            time.sleep(0.05)
        starting.join(0.5)
        assert starting.is_alive()
    starting.join()
    assert httpx2.get(f"{program.url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200


def test_a_mistake_in_a_query_is_pointed_at(program):
    """
    The command line shows the line that is meant, with a mark under the place.
    """
    program.start()
    asked = program.call("query", "OneLogin\n| take 5\n| project Nope")
    assert asked.returncode == 1
    assert "line 3, column 11:" in asked.stderr
    assert "  | project Nope\n            ^" in asked.stderr
