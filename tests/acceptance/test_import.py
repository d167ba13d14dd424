"""
The command ``import`` takes whatever can be read to its end, and says what cannot.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS

PROGRAM = [sys.executable, "-m", "onelogin_connector"]
EVENTS = "\n".join(
    json.dumps({"uuid": f"u{n}", "event_type_id": 8, "event_timestamp": "2026-09-20 10:00:00 UTC"})
    for n in range(2_000)
).encode()


def started(folder: Path, *files: str, **options: object) -> "subprocess.Popen[bytes]":
    """
    Start an import into a data folder of its own.
    """
    words = [
        *PROGRAM,
        "import",
        *files,
        "--connector",
        "default",
        "--json",
        "--data-dir",
        str(folder / "data"),
    ]
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder / "tmp")},
        **options,
    )


def new_of(process: "subprocess.Popen[bytes]", sent: bytes | None = None) -> list[int]:
    """
    Return how many new events each file brought.
    """
    out, said = process.communicate(sent, timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said.decode()
    return [result["new"] for result in json.loads(out)]


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_imported(tmp_path, name):
    """
    A pipe can be read only once; it is imported all the same, and leaves no copy behind.
    """
    process = started(tmp_path, name, stdin=subprocess.PIPE)
    assert new_of(process, EVENTS) == [2_000]
    assert not list((tmp_path / "tmp").iterdir())


def test_files_and_pipes_are_imported_together(tmp_path):
    """
    A named pipe beside a file, and a file as standard input.
    """
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_bytes(EVENTS)
    with file.open("rb") as stdin:
        process = started(tmp_path, str(pipe), str(file), "/dev/stdin", stdin=stdin)
        pipe.write_bytes(EVENTS.replace(b'"u', b'"v'))
        assert new_of(process) == [2_000, 2_000, 0]


def test_an_interrupt_ends_the_wait_for_a_pipe(tmp_path):
    """
    Ctrl+C works while nobody writes.
    """
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = started(tmp_path, str(pipe))
    writer = None
    while writer is None:
        assert process.poll() is None
        with suppress(OSError):  # nobody reads yet
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_SECONDS)
    os.close(writer)
    assert process.returncode == 130
    assert not list((tmp_path / "tmp").iterdir())


def test_what_is_no_file_is_said_before_anything_is_imported(tmp_path):
    """
    A folder and a name of nothing have each their own sentence.
    """
    good = tmp_path / "good"
    good.write_bytes(EVENTS)
    for name, words in (
        (tmp_path, "is a folder"),
        (good / "x", "There is no file"),
        (tmp_path / "no", "no file"),
    ):
        process = started(tmp_path, str(good), str(name))
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1
        assert words in said.decode()
        assert str(name) in said.decode()
    assert not (tmp_path / "data").exists()
