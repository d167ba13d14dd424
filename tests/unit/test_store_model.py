"""
The store against a model: random histories of entries, twins, links made anew, repeats, and crashes.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.kql_story import key_of, record
from onelogin_connector.event import Channel, Kind
from onelogin_connector.store import Store

EPOCH = "model"
FIELDS = ("user_name", "app_id", "risk_score", "policy_name", "spare")
QUERY = "OneLogin | project tolong(Raw.number), EventId, UserName, TargetAppId, RiskScore, PolicyName, AdditionalFields"

fields = st.fixed_dictionaries(
    {},
    optional={
        "user_name": st.sampled_from(["", "Anna", "Ben\0", "Özil 😀", None]),
        "app_id": st.sampled_from([None, 1, "2", 3.0, "x"]),
        "risk_score": st.integers(0, 100),
        "policy_name": st.text(max_size=5).map(lambda text: text.encode("utf-8", "replace").decode()),
        "spare": st.sampled_from([None, {"deep": [1]}, "more"]),
    },
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("entry"), fields),
        st.tuples(st.just("twin"), fields, st.integers(0, 8)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("repeat"), st.integers(0, 30)),
        st.tuples(st.just("reopen")),
    ),
    max_size=40,
)


def normal(value):
    """Return a field's value as its column holds it: nothing, a number, or text."""
    return None if value in (None, "") else value


def expected(entry, twin):
    """Merge two records by the rule itself: the entry's field, else the twin's."""
    merged = {name: normal(entry.get(name)) for name in FIELDS}
    for name in FIELDS:
        if twin is not None and merged[name] is None:
            merged[name] = normal(twin.get(name))
    # an id that is no number is no value of its column, so that the twin's stands there
    ids = [normal(one.get("app_id")) for one in (entry, twin) if one is not None]
    number = next((int(one) for one in ids if one not in (None, "x")), None)
    aside = {"number": entry["number"]} | ({"spare": merged["spare"]} if merged["spare"] else {})
    if "x" in ids:
        aside["app_id"] = "x"
    twin_id = None if twin is None else twin["id"]
    return (
        entry["number"], twin_id, merged["user_name"] or "", number, merged["risk_score"],
        merged["policy_name"] or "", aside,
    )  # fmt: skip


@settings(max_examples=25)
@given(steps=steps)
def test_every_entry_has_one_row_with_the_right_fields(steps):
    """
    Whatever comes again, and however often the store is opened, each row is its entry and its latest twin.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.duckdb"
        store = Store.open(path, names=lambda id: None, threads=1)
        journal, entries, twins = [], [], {}
        for step in [*steps, ("commit",)]:
            if step[0] == "entry":
                sent = {
                    "uuid": f"u{len(journal)}",
                    "number": len(entries),
                    "event_timestamp": "2026-03-02 08:00:00 UTC",
                }
                entries.append(sent | step[1])
                journal.append(record(len(journal) + 1, entries[-1]))
            elif step[0] == "twin" and entries:
                at = step[2] % len(entries)
                twin = {"id": len(journal) + 1000, "created_at": "2026-03-02T08:00:00.9Z"} | step[1]
                twins[at] = twin
                of = key_of(entries[at]["uuid"])
                journal.append(record(len(journal) + 1, twin, kind=Kind.TWIN, of=of, channel=Channel.API))
            elif step[0] == "commit":
                store.insert(journal[store.position(EPOCH) or 0 :], EPOCH)
            elif step[0] == "repeat":
                store.insert(journal[: step[1]], EPOCH)
            elif step[0] == "reopen":
                store.close()
                store = Store.open(path, names=lambda id: None, threads=1)
        found = store.query(QUERY, limit=None).rows
        store.close()
    wanted = [expected(entry, twins.get(at)) for at, entry in enumerate(entries)]
    assert sorted(found, key=lambda row: row[0]) == wanted


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fixtures.kql_story import key_of, record
from onelogin_connector.event import Channel, Kind
from onelogin_connector.store import Store
store = Store.open(Path(sys.argv[1]), names=lambda id: None, threads=1)
offset = store.position("killed") or 0
print(offset, flush=True)
while True:
    batch = []
    for _ in range(40):
        offset += 1
        if offset % 2:
            fields = {"uuid": f"u{offset}", "event_timestamp": "2026-03-02 08:00:00 UTC", "user_id": offset}
            batch.append(record(offset, fields))
        else:
            fields = {"id": offset, "created_at": "2026-03-02T08:00:00.5Z", "app_id": offset}
            batch.append(record(offset, fields, kind=Kind.TWIN, of=key_of(f"u{offset - 1}"), channel=Channel.API))
    store.insert(batch, "killed")
    print(offset, flush=True)
"""


def test_killed_at_any_moment_it_holds_each_once(tmp_path):
    """
    A process killed while it inserts leaves whole batches: the position and its rows, and nothing between.
    """
    path, acknowledged = tmp_path / "store.duckdb", 0
    for lines in (3, 9, 14):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), str(Path(__file__).parents[1])],
            stdout=subprocess.PIPE,
            text=True,
        )
        seen = [int(child.stdout.readline()) for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert seen[0] >= acknowledged, "what was committed before the kill is gone"
        acknowledged = seen[-1]
    store = Store.open(path, names=lambda id: None)
    position = store.position("killed")
    assert position >= acknowledged
    assert position % 40 == 0
    rows = store.query(
        "OneLogin | project UserId, TargetAppId, EventId | sort by UserId asc", limit=None
    ).rows
    store.close()
    assert rows == [(n, n + 1, n + 1) for n in range(1, position, 2)]
