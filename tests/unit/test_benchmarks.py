"""
The runner of the benchmarks: it finds them, prints one table, and hides no failure.
"""

import json
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as runner
from benchmarks.row import Row


def test_rows_as_json(tmp_path, monkeypatch, capsys):
    """
    A named script runs, and its rows come out with their ratios.
    """
    monkeypatch.chdir(tmp_path)
    assert runner.main(["fdatasync", "--quick", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["unit"] for row in rows} == {"events/s"}
    assert all(row["value"] > 0 for row in rows)
    assert any(row["ratio"] for row in rows)
    assert list(tmp_path.iterdir()) == []


def test_every_script_has_its_interface():
    """
    Each script of the folder can be imported and has ``run``.
    """
    assert "fdatasync" in runner.names()
    for name in runner.names():
        module = runner.import_module(f"benchmarks.bench_{name}")
        assert callable(module.run), name
        assert module.__doc__, name


def test_a_wrong_name_is_said(capsys):
    """
    A name that does not exist is wrong usage, with those that do.
    """
    with pytest.raises(SystemExit, match="2"):
        runner.main(["speed"])
    assert "fdatasync" in capsys.readouterr().err


def test_a_failing_script_hides_no_other(tmp_path, monkeypatch, capsys):
    """
    A script that breaks is named, the others still report, and the exit code says so.
    """
    (tmp_path / "bench_a.py").touch()
    (tmp_path / "bench_b.py").touch()
    rows = {"benchmarks.bench_b": [Row("b", 1_234.5, "1/s", "a", 0.5)]}

    class Script:
        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, quick: bool) -> list[Row]:
            return rows[self.name]

    monkeypatch.setattr(runner, "FOLDER", tmp_path)
    monkeypatch.setattr(runner, "import_module", Script)
    assert runner.main([]) == 1
    output = capsys.readouterr()
    assert "KeyError" in output.err
    assert "1,234" in output.out
    assert "0.50" in output.out


def test_a_count_of_kills_outlives_its_run(tmp_path, monkeypatch):
    """
    What an ended run counted is counted on by the next one, but not kills of other sources, nor half a journal.
    """
    script = runner.import_module("benchmarks.bench_crashes")
    tally, names = tmp_path / "folder" / "tally.json", []

    def child(command, **_):
        names.append(command[-2])
        if len(names) == 3:
            raise KeyboardInterrupt
        return SimpleNamespace(stdout=b"[40, 300, 900]")

    monkeypatch.setattr(script, "subprocess", SimpleNamespace(run=child, PIPE=-1))
    with pytest.raises(KeyboardInterrupt):
        script._kills(100, tally)
    script.keep(tally, [*script.judged(tally), other(script)])
    rows = {row.name: row.value for row in script._kills(100, tally)}
    assert names == ["bench 0", "bench 1", "bench 2", "bench 2"]
    assert rows["kills of a journal"] == 120
    assert rows["records in them"] == 2_700
    assert other(script) in script.judged(tally)


def other(script):
    """
    Return a journal of sources that are not these.
    """
    return script.Judged("other", 1_000, 1_000, 1_000, 1.0)
