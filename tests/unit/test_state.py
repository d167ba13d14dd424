"""
The settings database: what is kept, what is only kept as a hash, and what ends when.
"""

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.setting import Secret
from onelogin_connector.sinks.base import Stage, StageState
from onelogin_connector.state import State, hashed
from onelogin_connector.state.database import Database, migrations, queries
from passwords import QUICK

PASSWORD = "correct horse battery"
KEY, OLD_KEY = "k" * 32, "o" * 40


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    """Give a function that opens the state of the test's folder."""
    states = []

    def open_state(key=None, folder=tmp_path):
        states.append(State(folder, secret_key=key and Secret(key), clock=clock, hasher=QUICK))
        return states[-1]

    yield open_state
    for state in states:
        state.close()


@pytest.fixture
def state(opened):
    """Give an open state."""
    return opened()


def bytes_of(folder):
    """Return everything that stands in a folder's files."""
    return b"".join(path.read_bytes() for path in sorted(Path(folder).iterdir()))


def test_first_start_makes_one_administrator(opened):
    """
    The password is given once, works, and is not made again after a restart.
    """
    password = opened().ensure_admin()
    again = opened()
    assert again.ensure_admin() is None
    assert again.people.verify("Admin ", password).role == "admin"
    assert again.people.verify("admin", password + "x") is None
    assert again.people.verify("nobody", password) is None


def test_a_configured_password_is_set_whenever_it_differs(state):
    """
    Changing the variable and restarting is the way back in; it signs everybody else out.
    """
    assert state.ensure_admin(Secret(PASSWORD)) is None
    cookie = state.people.begin_session("admin", hours=1)
    assert state.ensure_admin(Secret(PASSWORD)) is None
    assert state.people.session(cookie)
    assert state.ensure_admin(Secret("another password")) is None
    assert state.people.session(cookie) is None
    assert state.people.verify("admin", "another password")


def test_nothing_secret_stands_in_the_files(state, tmp_path):
    """
    Neither a password nor a token nor a console-made secret can be read from the folder.
    """
    plain = [
        state.ensure_admin(),
        state.people.make_link(),
        state.people.begin_session("admin", hours=1),
        state.people.add_api_token("ci", "viewer", created_by="admin"),
        state.ensure_webhook_token("default"),
    ]
    state.save_part("sink", "siem", {"kind": "x"}, {"token": Secret("very secret value")})
    state.note(
        "admin", "part.save", "siem", token=Secret("very secret value"), deep={"s": [Secret("abc-abc")]}
    )
    state.backup(tmp_path / "copy.db")
    found = bytes_of(tmp_path)
    for secret in [*plain, "very secret value", "abc-abc"]:
        assert secret.encode() not in found
    assert b"siem" in found


@pytest.mark.parametrize("password", ["", "short", "x" * 1_001])
def test_unfit_passwords_are_refused(state, password):
    """
    Too short guesses easily, too long keeps the machine busy.
    """
    with pytest.raises(ConfigError, match="12 to 1000"):
        state.people.add_user("eve", "viewer", password)
    assert state.people.users() == []


def test_a_changed_password_ends_sessions_and_links(state):
    """
    Whoever held a session or a link under the old password is out.
    """
    state.people.add_user("ann", "operator", PASSWORD)
    state.people.add_user("bob", "viewer", PASSWORD)
    cookie, link = state.people.begin_session("ann", hours=1), state.people.make_link("ann")
    other = state.people.begin_session("bob", hours=1)
    state.people.set_password("ann", "an entirely new one")
    assert state.people.session(cookie) is None
    assert state.people.use_link(link) is None
    assert state.people.session(other).user == "bob"


def test_a_link_signs_in_once_and_not_late(state, clock):
    """
    A second use, a late use and an invented link lead nowhere.
    """
    state.ensure_admin(Secret(PASSWORD))
    first, late = state.people.make_link(seconds=60), state.people.make_link(seconds=60)
    assert state.people.use_link(first) == "admin"
    assert state.people.use_link(first) is None
    clock.now += 60
    assert state.people.use_link(late) is None
    assert state.people.use_link("invented") is None


def test_sessions_end(state, clock):
    """
    By time, by signing out, and with their user; the role is the present one.
    """
    state.ensure_admin(Secret(PASSWORD))
    state.people.add_user("ann", "operator", PASSWORD)
    one, two, three = (state.people.begin_session("ann", hours=12, peer="10.0.0.1") for _ in range(3))
    assert (state.people.session(one).role, state.people.session(one).peer) == ("operator", "10.0.0.1")
    state.people.end_session(one)
    assert state.people.session(one) is None
    clock.now += 12 * 3_600
    assert state.people.session(two) is None
    fresh = state.people.begin_session("ann", hours=1)
    assert state.people.remove_user("ann")
    assert state.people.session(fresh) is None
    assert state.people.session(three) is None


def test_the_last_administrator_stays(state):
    """
    Nobody can lock everybody out.
    """
    state.ensure_admin(Secret(PASSWORD))
    assert not state.people.remove_user("admin")
    state.people.add_user("second", "admin", PASSWORD)
    assert state.people.remove_user("admin")
    assert not state.people.remove_user("second")


def test_api_tokens_carry_a_role_and_can_be_ended(state, clock):
    """
    A token is shown once; afterwards its name, role and last use are known.
    """
    plain = state.people.add_api_token("grafana", "viewer", created_by="admin")
    short = state.people.add_api_token("once", "admin", created_by="admin", seconds=30)
    assert plain.startswith("olc_")
    assert state.people.api_token(plain).role == "viewer"
    assert state.people.api_tokens()[1].used_at == clock.now
    assert state.people.api_token(short)
    clock.now += 30
    assert state.people.api_token(short) is None
    assert state.people.api_token(plain[:-1]) is None
    assert state.people.revoke_api_token(state.people.api_token(plain).id)
    assert state.people.api_token(plain) is None


def test_a_webhook_token_is_made_once_and_rotates_with_an_overlap(state, clock):
    """
    During a rotation two tokens are valid, never three; the old one ends by itself.
    """
    first = state.ensure_webhook_token("acme")
    assert state.ensure_webhook_token("acme") is None
    assert len(first) >= 24
    assert state.people.webhook_hashes("acme") == [hashed(first)]
    second = state.people.rotate_webhook_token("acme", keep_seconds=3_600)
    assert state.people.webhook_hashes("acme") == [hashed(second), hashed(first)]
    third = state.people.rotate_webhook_token("acme", keep_seconds=3_600)
    assert state.people.webhook_hashes("acme") == [hashed(third), hashed(second)]
    clock.now += 3_600
    assert state.people.webhook_hashes("acme") == [hashed(third)]
    assert state.people.webhook_hashes("other") == []


def test_a_leaked_token_can_be_ended_at_once(state):
    """
    A rotation without overlap leaves the new token alone.
    """
    state.ensure_webhook_token("acme")
    fresh = state.people.rotate_webhook_token("acme", keep_seconds=0)
    assert state.people.webhook_hashes("acme") == [hashed(fresh)]


def test_a_secret_goes_to_no_host_it_was_not_saved_for(state):
    """
    A change of host voids the stored secret, and no other host gets it meanwhile.
    """
    state.save_part("sink", "siem", {"host": "a"}, {"key": Secret("s3cret")}, bound_to="a")
    assert state.secret("sink", "siem", "key", bound_to="a").reveal() == "s3cret"
    assert state.secret("sink", "siem", "key", bound_to="b") is None
    state.save_part("sink", "siem", {"host": "a", "size": 5}, bound_to="a")
    assert state.secret("sink", "siem", "key", bound_to="a")
    state.save_part("sink", "siem", {"host": "b"}, bound_to="b")
    state.save_part("sink", "siem", {"host": "a"}, bound_to="a")
    assert state.secret("sink", "siem", "key", bound_to="a") is None


def test_parts_are_kept_and_removed_whole(opened):
    """
    Settings survive a restart; with the part go its secrets and tokens.
    """
    first = opened()
    first.save_part("connector", "acme", {"domain": "acme.onelogin.com", "n": [1, None]}, {"id": Secret("x")})
    first.ensure_webhook_token("acme")
    first.save_part("sink", "acme", {})
    again = opened()
    assert [(part.id, part.settings) for part in again.parts("connector")] == [
        ("acme", {"domain": "acme.onelogin.com", "n": [1, None]})
    ]
    assert again.remove_part("connector", "acme")
    assert not again.remove_part("connector", "acme")
    assert again.secret("connector", "acme", "id") is None
    assert again.people.webhook_hashes("acme") == []
    assert len(again.parts("sink")) == 1


def test_a_failed_save_changes_nothing(state):
    """
    When one secret cannot be kept, neither are the new settings.
    """
    state.save_part("sink", "siem", {"host": "a"}, {"key": Secret("old")})

    class Broken(Secret):
        def reveal(self):
            raise ConfigError("no")

    with pytest.raises(ConfigError):
        state.save_part("sink", "siem", {"host": "b"}, {"key": Secret("new"), "other": Broken("")})
    assert state.parts("sink")[0].settings == {"host": "a"}
    assert state.secret("sink", "siem", "key").reveal() == "old"


def test_keys_rotate(opened):
    """
    With new and old key both read; after renewal the new one suffices; a wrong one explains itself.
    """
    opened(OLD_KEY).save_part("sink", "siem", {}, {"key": Secret("s3cret")})
    with pytest.raises(ConfigError, match="decrypted") as refused:
        opened(KEY).secret("sink", "siem", "key")
    assert "s3cret" not in str(refused.value)
    both = opened(f"{KEY}, {OLD_KEY}")
    assert both.secret("sink", "siem", "key").reveal() == "s3cret"
    assert both.renew_secrets() == 1
    assert opened(KEY).secret("sink", "siem", "key").reveal() == "s3cret"
    with pytest.raises(ConfigError, match="32 characters"):
        opened("short")


def test_the_key_file_is_made_once_and_private(opened, tmp_path):
    """
    Both files are readable by their owner alone, also under a generous umask.
    """
    before = os.umask(0)
    try:
        opened().save_part("sink", "siem", {}, {"key": Secret("s3cret")})
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name
    assert opened().secret("sink", "siem", "key").reveal() == "s3cret"
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(ConfigError, match="32 characters"):
        opened()


def test_the_audit_log_is_read_in_pages(state):
    """
    Newest first, and the last id of a page leads to the next.
    """
    for number in range(5):
        state.note("ann", "query.run", f"q{number}", rows=number)
    page = state.deeds(limit=2)
    assert [deed.target for deed in page] == ["q4", "q3"]
    rest = state.deeds(before=page[-1].id)
    assert [deed.detail for deed in rest] == [{"rows": 2}, {"rows": 1}, {"rows": 0}]


def test_checks_and_queries_keep_the_latest(state):
    """
    A target has one check, a name one query.
    """
    state.save_check("siem", [Stage("tcp", StageState.FAILED, "No.", action="Open it.")], ok=False)
    state.save_check("siem", [Stage("tcp", StageState.PASSED, "Yes.")], ok=True)
    (check,) = state.checks()
    assert (check.ok, check.stages[0]["message"]) == (True, "Yes.")
    first = state.save_query("Failures", "OneLogin | take 1", "ann")
    assert state.save_query("Failures", "OneLogin | take 2", "bob") == first
    assert [(query.text, query.author) for query in state.saved_queries()] == [("OneLogin | take 2", "bob")]
    assert state.remove_query(first)
    assert state.saved_queries() == []


def test_a_newer_schema_is_not_touched(opened, tmp_path):
    """
    A file of a later version is refused with both numbers, and left as it is.
    """
    opened().close()
    with sqlite3.connect(tmp_path / "state.db") as file:
        file.execute("PRAGMA user_version = 999")
    file.close()
    with pytest.raises(ConfigError, match=r"newer version.*schema 999; this one knows up to"):
        opened()


def test_a_file_that_is_no_database_explains_itself(opened, tmp_path):
    """
    Garbage, a folder in its place and a missing folder are configuration errors, not crashes.
    """
    (tmp_path / "state.db").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(ConfigError, match="backup"):
        opened()
    (tmp_path / "state.db").unlink()
    (tmp_path / "state.db").mkdir()
    with pytest.raises(ConfigError, match="cannot be opened"):
        opened()
    with pytest.raises(ConfigError, match=r"secret\.key"):
        opened(folder=tmp_path / "missing")


def test_migrations_stand_in_a_row_and_start_anywhere(tmp_path, monkeypatch):
    """
    Numbers have no gaps; one that fails leaves the schema before it.
    """
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))
    Database(tmp_path / "a.db").close()
    broken = [*migrations(), (len(migrations()) + 1, "CREATE TABLE good (x); CREATE TABLE good (x);")]
    monkeypatch.setattr("onelogin_connector.state.database.migrations", lambda: broken)
    with pytest.raises(ConfigError, match="already exists"):
        Database(tmp_path / "a.db")
    monkeypatch.undo()
    database = Database(tmp_path / "a.db")
    assert database.rows("users") == []
    database.close()


def test_every_statement_is_used_and_described():
    """
    A statement has a sentence above it, and some code that names it.
    """
    folder = Path(__file__).parents[2] / "src/onelogin_connector/state"
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    for name, text in queries().items():
        assert text.startswith("-- "), name
        assert text.splitlines()[0].endswith("."), name
        assert f'"{name}"' in code, name


def test_a_backup_is_whole_private_and_never_overwrites(opened, tmp_path):
    """
    It holds what was written last, opens like the original, and replaces no file.
    """
    state = opened(KEY)
    state.save_part("sink", "siem", {"n": 1}, {"key": Secret("s3cret")})
    folder = tmp_path / "copy"
    folder.mkdir()
    state.backup(folder / "state.db")
    assert (folder / "state.db").stat().st_mode & 0o077 == 0
    assert opened(KEY, folder).secret("sink", "siem", "key").reveal() == "s3cret"
    with pytest.raises(ConfigError, match="cannot be made"):
        state.backup(folder / "state.db")


def test_threads_share_one_state(state):
    """
    Writers in many threads lose nothing, and a failing transaction takes no other's work along.
    """
    failures = []

    def work(name):
        try:
            for number in range(20):
                state.note(name, "work", str(number))
                try:
                    with state._database.transaction():
                        state.note(name, "undone")
                        raise KeyError(name)
                except KeyError:
                    pass
        except Exception as error:  # noqa: BLE001 - the test judges it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    deeds = state.deeds(limit=1_000)
    assert len(deeds) == 120
    assert {deed.action for deed in deeds} == {"work"}


def test_a_locked_file_is_unavailable_not_a_crash(state, tmp_path):
    """
    While another process holds the file, the caller is told to come again.
    """
    state._database._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="locked"):
        state.note("ann", "work")
    other.close()
    state.note("ann", "work")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_data(state, name, text):
    """
    Names, tokens and passwords of any characters are compared, never run, and crash nothing.
    """
    assert state.people.verify(name, text) is None
    assert state.people.session(text) is None
    assert state.people.api_token(text) is None
    assert state.people.use_link(text) is None
    assert state.people.webhook_hashes("default") == []
