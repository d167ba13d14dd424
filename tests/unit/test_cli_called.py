"""
Hints name a command that works where they are read.
"""

import pytest

from onelogin_connector.cli.called import as_called, program


def executable(path):
    """
    Make a file that can be run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_on_the_path_is_called_by_its_name(tmp_path):
    """
    Installed, it is what the documentation says.
    """
    executable(tmp_path / "bin" / "onelogin-connector")
    assert program(folders=str(tmp_path / "bin")) == "onelogin-connector"


def test_in_a_checkout_it_is_called_from_its_environment(tmp_path):
    """
    Beside the interpreter of ``make run``, named from the folder where one stands, else whole.
    """
    python = executable(tmp_path / ".venv" / "bin" / "python")
    beside = executable(tmp_path / ".venv" / "bin" / "onelogin-connector")
    assert program(folders="", python=str(python), here=tmp_path) == ".venv/bin/onelogin-connector"
    assert program(folders="", python=str(python), here=tmp_path / "docs") == str(beside)


def test_a_folder_with_a_blank_is_quoted(tmp_path):
    """
    What is copied into a shell is one word there.
    """
    python = tmp_path / "my tools" / "python"
    assert program(folders="", python=str(python)) == f"'{python}' -m onelogin_connector"
    beside = executable(python.with_name("onelogin-connector"))
    assert program(folders="", python=str(python), here=tmp_path / "docs") == f"'{beside}'"


def test_without_a_script_the_module_is_called(tmp_path):
    """
    Where only the package is there, Python starts it.
    """
    python = str(tmp_path / "python3")
    assert program(folders="", python=python, here=tmp_path) == f"{python} -m onelogin_connector"


@pytest.mark.parametrize(
    "text",
    [
        "onelogin-connector: It failed.",
        "./onelogin-connector.toml when present",
        "my_onelogin-connector run",
        "myonelogin-connector run",
        "onelogin-connector",
        "",
    ],
)
def test_what_is_no_command_stays(text):
    """
    The name before a message and that of a file are no commands.
    """
    assert as_called(text) == text


def test_a_command_within_a_sentence_is_rewritten(monkeypatch, tmp_path):
    """
    Wherever it stands in the text, the rest of which stays as it is.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    text = "Choose another one: onelogin-connector run --port 8081, see `onelogin-connector status`."
    called = program()
    assert called != "onelogin-connector"
    assert as_called(text) == (f"Choose another one: {called} run --port 8081, see `{called} status`.")
