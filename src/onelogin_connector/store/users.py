"""
The user inventory, and what events show of it.

A user is one row, by connector and id, as last listed. Events carry a copy of seven attributes (``known_…``)
instead of being joined to that row when a query asks: a join would take away the quick way to the newest
events, and could multiply them. So an event gets its copy when it comes in, and ``spread`` brings the copies of
older events up to date after users have changed. Whatever happens to users, no event gets or loses a row.

Users that were changed are marked in the same transaction (``spread`` is false) until all their events have the
new values; a crash in between leaves the mark, and the next call goes on.
"""

from collections.abc import Iterator, Sequence

import duckdb
from msgspec import Struct

from onelogin_connector.errors import Unavailable
from onelogin_connector.formats.onelogin_users import TEXTS, User, read_user
from onelogin_connector.store.database import Database
from onelogin_connector.store.trouble import first_line

SPREAD_EVENTS = 50_000
"""Events are brought up to date by about so many at once, so that intake waits for no more than that."""

SPAN_US = 3_600_000_000
"""They are cut by time, which DuckDB finds quickly, at full hours."""

KNOWN = tuple(f"known_{name}" for name in TEXTS)

JOINED = "LEFT JOIN users AS person ON person.connector = fresh.connector AND person.id = fresh.user_id"
"""To ``fresh``, rows with connector and user_id; the inventory's key lets it find one user at most."""
COPIED = ", ".join(f"coalesce(person.{name}, '') AS known_{name}" for name in TEXTS)

_ASSIGNED = ", ".join(f"known_{name} = person.{name}" for name in TEXTS)
_DIFFERS = " OR ".join(f"known_{name} <> person.{name}" for name in TEXTS)
_SAME = " AND ".join(f"{name} = excluded.{name}" for name in TEXTS)
_KEEP = f"""
    INSERT INTO users BY NAME
    SELECT $connector AS connector, make_timestamp($at::BIGINT) AS recorded_time, false AS spread,
        unnest($id::BIGINT[]) AS id, unnest($status::BIGINT[]) AS status,
        make_timestamp(unnest($updated_us::BIGINT[])) AS updated_time,
        {", ".join(f"unnest(${name}::VARCHAR[]) AS {name}" for name in TEXTS)}
    ON CONFLICT (connector, id) DO UPDATE SET
        recorded_time = excluded.recorded_time, status = excluded.status, updated_time = excluded.updated_time,
        spread = spread AND {_SAME}, {", ".join(f"{name} = excluded.{name}" for name in TEXTS)}"""
_SPANS = f"""
    SELECT epoch_us(event_time) // {SPAN_US}, count(*) FROM events
    WHERE (connector, user_id) IN (SELECT (connector, id) FROM users WHERE NOT spread)
    GROUP BY 1 ORDER BY 1"""
_SPREAD = f"""
    UPDATE events SET {_ASSIGNED}
    FROM users AS person
    WHERE person.connector = events.connector AND person.id = events.user_id AND NOT person.spread
        AND events.event_time >= make_timestamp($1::BIGINT) AND events.event_time < make_timestamp($2::BIGINT)
        AND ({_DIFFERS})"""
_PAGE = f"""
    SELECT id, status, epoch_us(updated_time), {", ".join(TEXTS)} FROM users
    WHERE connector = ? AND id > ? ORDER BY id LIMIT ?"""
_LOOKED_UP = f"""
    UPDATE events SET {", ".join(f"{name} = new.{name}" for name in KNOWN)}
    FROM (
        SELECT fresh.rowid AS row, {COPIED} FROM events AS fresh {JOINED}
        WHERE fresh.rowid IN (SELECT unnest($1::BIGINT[]))
    ) AS new WHERE events.rowid = new.row"""


class UsersMark(Struct, frozen=True):
    """
    How far a connector's users have been read.
    """

    updated_us: int | None
    """The latest change that was listed, by OneLogin's clock; None where no user told."""
    whole_at: float
    """Unix seconds at which all users were last listed."""


def keep(database: Database, users: Sequence[bytes], at: float, connector: str) -> int:
    """
    Keep users as they were listed, each in the place of what was known of it.

    Returns:
        How many could be read; a record without an id is left out.

    Raises:
        Unavailable: None was kept.
    """
    read = [user for user in map(read_user, users) if user.id is not None]
    latest = {user.id: user for user in read}  # a list that shifts while it is read names some twice
    if latest:
        values = {
            name: [getattr(user, name) for user in latest.values()]
            for name in ("id", "status", "updated_us", *TEXTS)
        }
        with database.transaction() as connection:
            connection.execute(_KEEP, values | {"connector": connector, "at": round(at * 1e6)})
    return len(read)


def spread(database: Database) -> int:
    """
    Bring events that are held up to date with users that have changed; intake goes on in between.

    Returns:
        How many events were changed.

    Raises:
        Unavailable: It was not finished; what is missing is done by the next call.
    """
    changed = 0
    with database.transaction() as connection:
        counts = connection.execute(_SPANS).fetchall()
    for first, last in _chunks(counts):
        with database.transaction() as connection:
            done = connection.execute(_SPREAD, [first * SPAN_US, (last + 1) * SPAN_US]).fetchone()
            changed += int(done[0]) if done else 0
    with database.transaction() as connection:
        connection.execute("UPDATE users SET spread = true WHERE NOT spread")
    return changed


def _chunks(counts: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """
    Cut spans in order, each with its number of events, into runs (first, last) of not too many.
    """
    first, events = None, 0
    for place, (span, count) in enumerate(counts):
        first, events = span if first is None else first, events + count
        if events >= SPREAD_EVENTS or place == len(counts) - 1:
            yield first, span
            first, events = None, 0


def look_up(connection: duckdb.DuckDBPyConnection, row_ids: Sequence[int]) -> None:
    """
    Give events anew what is known of their user, within the caller's transaction.
    """
    if row_ids:
        connection.execute(_LOOKED_UP, [list(row_ids)])


def page(database: Database, connector: str, after: int, limit: int) -> list[User]:
    """
    Return a connector's users in order of their ids, from after one on.

    Raises:
        Unavailable: The store cannot be read.
    """
    with database.read_lock:
        try:
            rows = database.reader.execute(_PAGE, [connector, after, limit]).fetchall()
        except duckdb.Error as error:
            raise Unavailable(f"The store cannot be read: {first_line(error)}") from error
    return [User(**dict(zip(("id", "status", "updated_us", *TEXTS), row, strict=True))) for row in rows]


def mark(database: Database, connector: str) -> UsersMark | None:
    """
    Return how far a connector's users have been read, None where they never were.

    Raises:
        Unavailable: The store cannot be read.
    """
    with database.read_lock:
        try:
            row = database.reader.execute(
                "SELECT epoch_us(updated_time), epoch(whole_time) FROM user_marks WHERE connector = ?",
                [connector],
            ).fetchone()
        except duckdb.Error as error:
            raise Unavailable(f"The store cannot be read: {first_line(error)}") from error
    return UsersMark(row[0], row[1]) if row else None


def set_mark(database: Database, connector: str, mark: UsersMark) -> None:
    """
    Remember how far a connector's users have been read.

    Raises:
        Unavailable: It was not.
    """
    with database.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO user_marks VALUES (?, make_timestamp(?::BIGINT), make_timestamp(?::BIGINT))",
            [connector, mark.updated_us, round(mark.whole_at * 1e6)],
        )
