"""
Users in the store: kept once, shown by events, and never a reason for a row more or less.
"""

from json import dumps
from pathlib import Path
from threading import Thread

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.kql_story import EPOCH, TWIN, morning, record, webhook
from onelogin_connector.errors import Unavailable
from onelogin_connector.event import Channel, Kind
from onelogin_connector.formats.onelogin_users import USERS, read_user, users_row
from onelogin_connector.onelogin import event_types
from onelogin_connector.store import Store, UsersMark
from onelogin_connector.testing.sinks import HOSTILE

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOW = 1_772_500_000
ANNA = {"id": 101, "username": "anna", "email": "anna@example.com", "department": "Payroll", "title": None}


@pytest.fixture
def store(tmp_path):
    """Give a store that holds the morning."""
    store = Store.open(tmp_path / "store.duckdb", names=event_types.name, clock=lambda: NOW)
    store.insert(morning(), EPOCH)
    yield store
    store.close()


def listed(*users):
    """Return users as the API lists them."""
    return [dumps(user).encode() for user in users]


def shown(store, user_id, *columns):
    """Return what the events of a user show, each combination once."""
    names = ", ".join(columns or ("UserAttributesUsername", "UserAttributesDepartment"))
    return store.query(f"OneLogin | where UserId == {user_id} | distinct {names}").rows


def test_events_show_their_user_whichever_came_first(store):
    """
    Events that were held before, and events that come after, show what is known of their user.
    """
    assert shown(store, 101) == [("", "")]
    assert store.set_users(listed(ANNA), NOW, connector="acme") == 1
    assert store.spread_users() == 2
    assert shown(store, 101) == [("anna", "Payroll")]
    store.insert([record(13, webhook(50, "11:00:00", 5, user_id=101))], EPOCH)
    assert store.query("OneLogin | where UserId == 101 | where UserAttributesTitle == ''| count").rows == [
        (3,)
    ]
    assert shown(store, 101) == [("anna", "Payroll")]
    assert shown(store, 101, "UserAttributesId") == [(101,)]
    assert store.spread_users() == 0


def test_what_the_event_says_itself_comes_first(store):
    """
    The inventory fills what a record left open; it never contradicts the record.
    """
    store.set_users(
        listed({"id": 102, "username": "other", "department": "Sales", "title": "Clerk"}),
        NOW,
        connector="acme",
    )
    store.spread_users()
    query = "OneLogin | where EventTypeId == 72 | project UserAttributesUsername, UserAttributesDepartment, UserAttributesTitle"
    assert store.query(query).rows == [("ben", "Finance", "Clerk")]
    assert store.query(
        "OneLogin_CL | where event_type_id_d == 72 | project user_attributes_title_s"
    ).rows == [("",)]


def test_a_changed_user_changes_what_events_show(store):
    """
    Events show a user as last listed, also where a value was taken away.
    """
    store.set_users(listed(ANNA), NOW, connector="acme")
    store.spread_users()
    store.set_users(
        listed(ANNA | {"department": "", "updated_at": "2026-03-02T12:00:00Z"}), NOW + 60, connector="acme"
    )
    assert store.spread_users() == 2
    assert shown(store, 101) == [("anna", "")]
    query = "OneLoginUsersV2_CL | project UserAttributesId, UserAttributesUsername, ConnectorId, UpdatedTime, TimeGenerated"
    ((id_, username, connector, updated, listed_at),) = store.query(query).rows
    assert (id_, username, connector) == (101, "anna", "acme")
    assert (updated.hour, listed_at.timestamp()) == (12, NOW + 60)


def test_a_user_that_is_only_listed_again_touches_no_event(store):
    """
    A sign-in changes a user's dates and nothing that events show: no event is written.
    """
    store.set_users(listed(ANNA), NOW, connector="acme")
    store.spread_users()
    store.set_users(
        listed(ANNA | {"last_login": "2026-03-02T12:00:00Z", "status": 3}), NOW + 60, connector="acme"
    )
    writer = store._database.writer
    assert writer.execute("SELECT spread, status FROM users").fetchall() == [(True, 3)]
    assert store.spread_users() == 0


def test_a_user_of_another_account_is_not_mixed_in(store):
    """
    Two accounts may use the same number for two people.
    """
    store.set_users(listed(ANNA), NOW, connector="other")
    assert store.spread_users() == 0
    assert shown(store, 101) == [("", "")]


def test_a_crash_before_the_events_are_up_to_date_is_made_up_for(store, tmp_path):
    """
    What was to be done to events is remembered with the users, and done after the next start.
    """
    store.set_users(listed(ANNA), NOW, connector="acme")
    store.close()
    again = Store.open(tmp_path / "store.duckdb", names=event_types.name)
    assert again.spread_users() == 2
    assert shown(again, 101) == [("anna", "Payroll")]
    again.close()


def test_a_twin_that_names_the_user_brings_what_is_known(store):
    """
    An event that learns its user from its other record shows that user at once, and forgets it with the record.
    """
    store.set_users(listed(ANNA), NOW, connector="acme")
    first = record(13, webhook(60, "12:00:00", 5, user_id=None))
    twin = {"id": 77, "created_at": "2026-03-02T12:00:00.5Z", "event_type_id": 5, "user_id": 101}
    store.insert([first, record(14, twin, kind=Kind.TWIN, of=first.key, channel=Channel.API)], EPOCH)
    query = f"OneLogin | where UUID == '{first.native}' | project UserId, UserAttributesUsername"
    assert store.query(query).rows == [(101, "anna")]
    other = record(15, webhook(61, "12:00:00", 5, user_id=None))
    store.insert([other, record(16, twin, kind=Kind.MOVE, of=other.key, channel=Channel.API)], EPOCH)
    assert store.query(query).rows == [(None, "")]
    assert store.query(query.replace(first.native, other.native)).rows == [(101, "anna")]


def test_hostile_users_are_kept_or_left_out(store):
    """
    Whatever an account calls its users, nothing is refused and nothing breaks.
    """
    strange = [
        {"id": "101", "username": 7, "email": ["a"], "department": {"x": 1}, "title": True},
        {"id": 102.0, "username": "x" * 100_000, "firstname": "a\0b", "lastname": "Robert'); DROP TABLE users;--"},
        {"id": 2**63}, {"id": -1}, {"id": None}, {"id": "x"}, {},
    ]  # fmt: skip
    raws = [*listed(*strange), *HOSTILE, b"null", b"[]", b"", b"\xff\xfe"]
    kept = store.set_users(raws, NOW, connector="acme")
    assert kept >= 2
    store.spread_users()
    assert shown(store, 101, "UserAttributesUsername", "UserAttributesEmail", "UserAttributesTitle") == [
        ("7", "", "true")
    ]
    ((name, length),) = store.query(
        "OneLogin | where UserId == 102 and EventTypeId == 5 | project UserAttributesLastname, strlen(UserAttributesUsername)"
    ).rows
    assert (name, length) == ("Robert'); DROP TABLE users;--", 1_000)
    assert store.query("OneLogin | count").rows == [(11,)]


def test_the_mark_outlives_the_process(store, tmp_path):
    """
    How far users were read is durable, per connector.
    """
    assert store.users_mark("acme") is None
    for mark in (UsersMark(None, 1.5), UsersMark(NOW * 1_000_000 + 7, NOW + 0.25)):
        store.set_users_mark("acme", mark)
        assert store.users_mark("acme") == mark
    assert store.users_mark("other") is None
    store.close()
    again = Store.open(tmp_path / "store.duckdb", names=event_types.name)
    assert again.users_mark("acme") == mark
    again.close()


def test_a_closed_store_asks_to_wait(store):
    """
    Every way to the users says that it is not possible now, and nothing else.
    """
    store.close()
    for call in (
        lambda: store.set_users(listed(ANNA), NOW, connector="acme"),
        store.spread_users,
        lambda: store.users_mark("acme"),
        lambda: store.set_users_mark("acme", UsersMark(1, 1.0)),
    ):
        with pytest.raises(Unavailable):
            call()


def test_a_failing_transaction_leaves_nothing_behind(store):
    """
    After an error in the middle the store is as before, and takes the next call.
    """

    def broken(statement):
        with store._database.transaction() as connection:
            connection.execute("DELETE FROM events")
            connection.execute(statement)

    with pytest.raises(Unavailable):
        broken("SELECT nonsense")
    with pytest.raises(TypeError):
        broken(None)
    assert store.query("OneLogin | count").rows == [(11,)]
    assert store.set_users(listed(ANNA), NOW, connector="acme") == 1


def test_events_come_in_while_users_are_spread(store):
    """
    Intake and users take turns; each event shows its user in the end, and each is there once.
    """
    numbers = range(100, 160)
    events = [record(n, webhook(n, f"13:{n % 60:02d}:00", 5, user_id=101)) for n in numbers]

    def take_in():
        for one in events:
            store.insert([one], EPOCH)

    intake = Thread(target=take_in)
    intake.start()
    for n in range(10):
        store.set_users(listed(ANNA | {"department": f"D{n}"}), NOW, connector="acme")
        store.spread_users()
    intake.join()
    assert store.stats()["rows"] == 11 + len(numbers)
    assert shown(store, 101) == [("anna", "D9")]


def test_a_user_is_one_row_by_the_tables_own_word(store):
    """
    Even by hand the inventory cannot be made to hold a user twice.
    """
    store.set_users(listed(ANNA), NOW, connector="acme")
    with pytest.raises(duckdb.ConstraintException):
        store._database.writer.execute("INSERT INTO users SELECT * FROM users")


def test_both_forms_of_a_user_give_the_same_row():
    """
    The pages of version 1 and 2 of the Users API give the columns of Microsoft's table, and null where they are silent.
    """
    from msgspec.json import decode, encode

    first = decode((FIXTURES / "users_api" / "v1_users_page.json").read_bytes())["data"][0]
    second = decode((FIXTURES / "users_api" / "v2_users_page.json").read_bytes())[0]
    row = users_row(read_user(encode(first)), at_us=NOW * 1_000_000)
    assert row == {
        "TimeGenerated": "2026-03-03T01:06:40.000000Z",
        "UserAttributesUsername": None,
        "UserAttributesFirstname": "ExampleQ",
        "UserAttributesEmail": "exampleq@jupiterone.com",
        "UserAttributesLastname": "Person",
        "UserAttributesDepartment": None,
        "UserAttributesOpenidName": "exampleq.person",
        "UserAttributesTitle": None,
        "UserAttributesId": 132422371,
    }
    row = users_row(read_user(encode(second)), at_us=0)
    assert set(row) == {"TimeGenerated", *USERS}
    assert (row["UserAttributesId"], row["UserAttributesOpenidName"]) == (252998076, None)
    assert read_user(encode(second)).status == 4


IDS = st.integers(101, 104)
PEOPLE = st.fixed_dictionaries(
    {"id": IDS},
    optional={
        "username": st.sampled_from(["", "a", "b", None, 7]),
        "department": st.sampled_from(["", "x", "y"]),
        "email": st.text(max_size=5),
    },
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("users"), st.sampled_from(["acme", "other"]), st.lists(PEOPLE, min_size=1, max_size=6)
        ),
        st.tuples(st.just("spread")),
        st.tuples(st.just("event"), st.one_of(st.none(), IDS)),
        st.tuples(st.just("twin"), IDS),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Give one store to all examples of a property; opening one takes longer than an example."""
    store = Store.open(tmp_path_factory.mktemp("users") / "store.duckdb", names=event_types.name)
    yield store
    store.close()


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_events_are_never_multiplied_and_show_the_latest(shared, steps):
    """
    Whatever users do: an event is one row in the view, and after a spread it shows its user as last listed.
    """
    for table in ("events", "users", "positions"):
        shared._database.writer.execute(f"DELETE FROM {table}")
    latest, events, offset = {}, {}, 0
    for step in [*steps, ("spread",)]:
        if step[0] == "users":
            shared.set_users(listed(*step[2]), NOW, connector=step[1])
            latest.update({(step[1], person["id"]): person for person in step[2]})
        elif step[0] == "spread":
            shared.spread_users()
        elif step[0] == "event":
            offset += 1
            one = record(offset, webhook(offset, "08:00:00", 5, user_id=step[1]))
            events[one.key] = step[1]
            shared.insert([one], EPOCH)
        elif events:
            offset += 1
            key = list(events)[-1]
            fields = TWIN | {"id": offset, "created_at": "2026-03-02T08:00:00Z", "user_id": step[1]}
            shared.insert([record(offset, fields, kind=Kind.TWIN, of=key, channel=Channel.API)], EPOCH)
            own = [one for one in shared.entries(0, offset, EPOCH, 100) if one.key == key]
            events[key] = read_user_id(own[0].raw) or step[1]
        assert shared.query("OneLogin | count").rows == [(len(events),)]
    wanted = [
        (
            user_id,
            *(str(latest.get(("acme", user_id), {}).get(name) or "") for name in ("username", "department")),
        )
        for user_id in events.values()
    ]
    found = shared.query("OneLogin | project UserId, UserAttributesUsername, UserAttributesDepartment").rows
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def read_user_id(raw):
    """Return the user that an event's own record names."""
    from msgspec.json import decode

    return decode(raw)["user_id"]


@given(st.sets(st.integers(0, 60), max_size=30), st.integers(1, 9))
@settings(max_examples=15)
def test_users_are_read_back_page_by_page(tmp_path_factory, ids, limit):
    """
    In order of their ids and each once, as they were listed; those of another connector are not among them.
    """
    store = Store.open(
        tmp_path_factory.mktemp("users") / "store.duckdb", names=event_types.name, clock=lambda: NOW
    )
    people = {id: ANNA | {"id": id, "username": f"u{id}", "updated_at": "2026-01-02T03:04:05Z"} for id in ids}
    store.set_users(listed(*people.values()), NOW, connector="acme")
    store.set_users(listed(ANNA), NOW, connector="other")
    found, after = [], -1
    while page := store.users("acme", after=after, limit=limit):
        assert len(page) <= limit
        found += page
        after = page[-1].id
    store.close()
    assert found == [read_user(dumps(people[id]).encode()) for id in sorted(ids)]
