"""
Backup of the running service, restore into a stopped one, and what a wrong mixture does.
"""

import json
import shutil

import pytest


def events(first: int, count: int) -> bytes:
    """
    Make up webhook events numbered from a first one.
    """
    return json.dumps(
        [
            {
                "uuid": f"{n:08d}-0000-4000-8000-000000000000",
                "event_timestamp": "2026-11-21 09:30:00 UTC",
                "account_id": 1,
                "event_type_id": 5,
                "user_id": n,
            }
            for n in range(first, first + count)
        ]
    ).encode()


def users(program) -> list[int]:
    """
    Return what the store holds, by the numbers of the events.
    """
    return sorted(row["user_id_d"] for row in program.rows("OneLogin_CL | project user_id_d"))


def test_a_backup_brings_everything_back(program):
    """
    Events, tokens and what is known of repeats come back; what came after the backup is new again.
    """
    program.start()
    program.post(events(0, 50))
    backup, folder = program.folder / "backup.tar", program.folder / "backup"
    for target in (backup, folder):
        done = program.call("backup", str(target))
        assert done.returncode == 0, done.stderr
    assert program.call("backup", str(backup)).returncode == 1
    program.post(events(50, 10))
    busy = program.call("restore", str(backup), "--force")
    assert busy.returncode == 1
    assert "process" in busy.stderr
    token = program.token
    program.drained().stop()
    refused = program.call("restore", str(backup))
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert len(users(program)) == 60
    assert program.call("restore", str(backup), "--force").returncode == 0
    program.start()
    assert program.token == token
    assert users(program) == list(range(50))
    assert program.post(events(40, 20)).json() == {
        "received": 20,
        "new": 10,
        "twins": 0,
        "duplicates": 10,
        "dead": 0,
    }
    assert users(program) == list(range(60))
    assert program.status()["alarms"] == []
    program.stop()
    assert program.call("restore", str(folder), "--force").returncode == 0
    program.drained()
    assert users(program) == list(range(50))


@pytest.mark.parametrize("lost", [True, False])
def test_a_journal_behind_its_store_begins_a_new_epoch(program, lost):
    """
    With the journal lost, or an older one put back, events go on being kept once, and an alarm says what happened.
    """
    program.start()
    program.post(events(0, 20))
    program.drained()
    program.stop()
    older = program.folder / "older"
    shutil.copytree(program.data_dir / "journal", older)
    program.start()
    program.post(events(20, 20))
    program.drained()
    program.stop()
    shutil.rmtree(program.data_dir / "journal")
    if not lost:
        shutil.copytree(older, program.data_dir / "journal")
    program.start()
    assert len(program.status()["alarms"]) == 1
    answer = program.post(events(10, 50)).json()
    program.drained()
    assert users(program) == list(range(60))
    assert answer["new"] == 20, answer
    program.kill()
    program.start()
    program.drained()
    assert users(program) == list(range(60))
