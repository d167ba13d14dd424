"""
Completeness by the hour: what the API listed, what of it came by webhook, and what it never listed.

An event belongs to the hour of its ``created_at`` once that is known, else to that of its own time. The figures
come from the events held and from the sweeps (``hours``); the macro ``completeness`` in ``views.sql`` is their one
definition. What no listing of an hour has shown a day after its end is *unconfirmed*: it may be forged. Those
events are marked when that sweep is recorded, or when they come in later than that.
"""

from collections.abc import Sequence

import duckdb
from msgspec import Struct

from onelogin_connector.errors import Unavailable
from onelogin_connector.store.database import Database
from onelogin_connector.store.trouble import first_line

HOUR_US = 3_600_000_000
_UNLISTED = "NOT is_listed(events.way, events.channel, events.twin_way, events.twin_channel)"
_OVER = "is_over(swept.hour, swept.swept_time)"

JOINED = """LEFT JOIN hours AS swept ON swept.connector = fresh.connector
    AND swept.hour = epoch_us(fresh.event_time) // 3_600_000_000"""
"""To ``fresh``, rows with connector and event_time."""
COPIED = f"{_OVER} AND NOT is_listed(fresh.way, fresh.channel, NULL, NULL) AS unconfirmed"

_KEEP = """
    INSERT OR REPLACE INTO hours BY NAME
    SELECT unnest($connector::VARCHAR[]) AS connector, unnest($hour::INTEGER[]) AS hour,
        unnest($sweeps::INTEGER[]) AS sweeps, unnest($settled::BOOLEAN[]) AS settled,
        unnest($listed::BIGINT[]) AS listed, make_timestamp(unnest($at::BIGINT[])) AS swept_time,
        unnest($webhooks::BOOLEAN[]) AS webhooks"""
_DOUBT = f"""
    UPDATE events SET unconfirmed = true FROM hours AS swept
    WHERE swept.connector = events.connector AND swept.hour = epoch_us(events.event_time) // 3_600_000_000
        AND {_OVER} AND NOT events.unconfirmed AND {_UNLISTED}
        AND events.event_time >= make_timestamp($first::BIGINT) AND events.event_time < make_timestamp($end::BIGINT)"""
_FIGURES = """
    SELECT "ConnectorId", epoch_us("TimeGenerated") // 3_600_000_000, "Listed", "Matched", "Repaired", "Late",
        "Unconfirmed", "Entries", "Settled", "Sweeps", "ListedBySweep", epoch("LastSweepTime"),
        "CompleteAsFarAsListed", "Verdict"
    FROM completeness(make_timestamp($since::BIGINT), make_timestamp($until::BIGINT))
    WHERE "ConnectorId" = $connector
    ORDER BY 2"""


class Swept(Struct, frozen=True):
    """
    What the last sweep of an hour found.
    """

    connector: str
    hour: int
    """Since 1970, UTC."""
    sweeps: int
    """How often the hour has been listed whole."""
    settled: bool
    """Whether the last sweep found the same ids as the one before."""
    listed: int
    """Distinct ids that the last sweep listed."""
    at: float
    """Unix seconds of the last sweep."""
    webhooks: bool | None = None
    """Whether the connector takes webhooks; None leaves it to whether any came in that hour."""


class HourFigures(Struct, frozen=True):
    """
    One hour of one connector.
    """

    connector: str
    hour: int
    """Since 1970, UTC."""
    listed: int
    """Events held that the API has listed."""
    matched: int
    """Of these, those that a webhook brought as well."""
    repaired: int
    """Of these, those that no webhook brought while webhooks were on."""
    late: int
    """Of these, those that were first listed after the tail had passed."""
    unconfirmed: int | None
    """Held, and not listed a day after the hour's end; None while that is not known."""
    entries: int
    """Events held."""
    settled: bool
    sweeps: int
    listed_by_sweep: int | None
    """What the last sweep listed; None where there was none."""
    swept_at: float | None
    """Unix seconds of the last sweep."""
    complete: bool | None
    """Settled, and everything listed is held; None where there was no sweep."""
    verdict: str
    """The same in words."""


def set_hours(database: Database, rows: Sequence[Swept]) -> None:
    """
    Record sweeps, each in the place of the one before of its hour, and mark what they leave unconfirmed.

    Raises:
        Unavailable: Nothing was recorded.
    """
    if not rows:
        return
    latest = {(row.connector, row.hour): row for row in rows}.values()
    values = {
        name: [getattr(row, name) for row in latest]
        for name in ("connector", "hour", "sweeps", "settled", "listed", "webhooks")
    }
    values["at"] = [round(row.at * 1e6) for row in latest]
    hours = values["hour"]
    with database.transaction() as connection:
        connection.execute(_KEEP, values)
        connection.execute(_DOUBT, {"first": min(hours) * HOUR_US, "end": (max(hours) + 1) * HOUR_US})


def figures(database: Database, connector: str, since_us: int, until_us: int) -> list[HourFigures]:
    """
    Return a connector's hours that begin in a span of time, in order; quiet hours without a sweep are left out.

    Raises:
        Unavailable: The store cannot be read.
    """
    bounds = {"connector": connector, "since": since_us, "until": until_us}
    with database.read_lock:
        try:
            rows = database.reader.execute(_FIGURES, bounds).fetchall()
        except duckdb.Error as error:
            raise Unavailable(f"The store cannot be read: {first_line(error)}") from error
    return [HourFigures(*row) for row in rows]


def forget(connection: duckdb.DuckDBPyConnection, cutoff: float) -> None:
    """
    Remove the sweeps of hours that began before a time: their events are not all held any more.

    Args:
        cutoff: Unix seconds.
    """
    connection.execute("DELETE FROM hours WHERE hour * 3_600 < ?", [cutoff])
