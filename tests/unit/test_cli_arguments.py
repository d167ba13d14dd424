"""
The command line's grammar and its twins in the environment.
"""

import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import pytest

from onelogin_connector.cli import MODULES, main
from onelogin_connector.cli.arguments import parser
from onelogin_connector.config import PREFIX


def parsed(*words: str, **environ: str):
    """
    Parse a command line in an environment.
    """
    return parser(environ)[0].parse_args(words)


def leaves(top: ArgumentParser) -> Iterator[ArgumentParser]:
    """
    Give the commands that do something.
    """
    groups = [action for action in top._actions if isinstance(action, _SubParsersAction)]
    if not groups:
        yield top
    for group in groups:
        for child in group.choices.values():
            yield from leaves(child)


def test_every_command_has_a_function():
    """
    A command that is offered can be called.
    """
    group = next(action for action in parser({})[0]._actions if isinstance(action, _SubParsersAction))
    assert set(group.choices) == set(MODULES)


def test_every_flag_names_its_twin_and_obeys_it():
    """
    Each flag's help names a variable; no two flags that can meet share one with another meaning.
    """
    for command in leaves(parser({})[0]):
        for action in command._actions:
            if action.option_strings and "--help" not in action.option_strings:
                assert re.search(rf"\[{PREFIX}[A-Z_]+\]$", str(action.help)), action.option_strings


def test_a_twin_is_the_flag():
    """
    A variable does what its flag does, and the flag wins over it.
    """
    assert parsed("status", ONELOGIN_CONNECTOR_STATUS_JSON="1").json
    assert not parsed("status", ONELOGIN_CONNECTOR_STATUS_JSON="0").json
    assert parsed("query", "x", ONELOGIN_CONNECTOR_QUERY_TIMEOUT="7").timeout == 7.0
    assert parsed("query", "x", "--timeout", "3", ONELOGIN_CONNECTOR_QUERY_TIMEOUT="7").timeout == 3.0
    assert parsed("import", "f", ONELOGIN_CONNECTOR_IMPORT_CONNECTOR="acme").connector == "acme"


def test_no_twin_reaches_into_another_command():
    """
    Asking every query for all rows must not discard every dead letter.
    """
    assert not parsed("dead-letters", "discard", ONELOGIN_CONNECTOR_QUERY_ALL="1").all


@pytest.mark.parametrize("before", [True, False])
def test_data_dir_stands_before_or_behind_the_command(before):
    """
    The common flags are taken on both sides of the command.
    """
    flag = ("--data-dir", "/d")
    words = (*flag, "status") if before else ("status", *flag)
    assert parsed(*words).data_dir == Path("/d")


@pytest.mark.parametrize(
    "words",
    [[], ["nonsense"], ["query"], ["import", "f"], ["run", "--port", "x"], ["query", "x", "--json", "--csv"]],
)
def test_wrong_usage_is_exit_status_2(words, capsys):
    """
    What cannot be understood says how it is used.
    """
    with pytest.raises(SystemExit) as ended:
        main(words, {})
    assert ended.value.code == 2
    assert "usage: onelogin-connector" in capsys.readouterr().err


def test_a_bad_twin_is_wrong_usage_too(capsys):
    """
    A variable that does not fit its flag is refused like the flag.
    """
    with pytest.raises(SystemExit) as ended:
        main(["query", "x"], {"ONELOGIN_CONNECTOR_QUERY_TIMEOUT": "soon"})
    assert ended.value.code == 2
    assert "--timeout" in capsys.readouterr().err


def test_init_writes_a_file_that_validates_and_never_overwrites(tmp_path, monkeypatch, capsys):
    """
    The written settings can be used as they are; a second `init` leaves them alone.
    """
    monkeypatch.chdir(tmp_path)
    assert main(["init"], {}) == 0
    path = tmp_path / "onelogin-connector.toml"
    text = path.read_text()
    assert main(["config", "validate"], {}) == 0
    assert main(["init"], {}) == 1
    assert path.read_text() == text
    assert "left as it is" in capsys.readouterr().err


def test_a_wrong_setting_is_named(tmp_path, monkeypatch, capsys):
    """
    `config validate` fails with the place of the mistake.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "onelogin-connector.toml").write_text("[web]\nprot = 1\n")
    assert main(["config", "validate"], {}) == 1
    assert "prot" in capsys.readouterr().err


def test_a_missing_folder_says_how_to_start(tmp_path, capsys):
    """
    A command on a folder that does not exist makes none.
    """
    assert main(["status", "--data-dir", str(tmp_path / "none")], {}) == 1
    assert "onelogin-connector run" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "words", [["run", "--port", "99999"], ["run", "--port", "x"], ["query", "x", "--timeout", "0"]]
)
def test_a_number_out_of_range_is_wrong_usage(words, capsys):
    """
    It is refused before anything is done, with exit status 2.
    """
    top, _ = parser({})
    with pytest.raises(SystemExit) as ended:
        top.parse_args(words)
    assert ended.value.code == 2
    assert "not '" in capsys.readouterr().err
