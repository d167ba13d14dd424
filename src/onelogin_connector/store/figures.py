"""
How many events there were of late, for the page that says how collection stands.

The figures are by the events' own time, so that a backfill does not look like a busy hour. Rows lie in the file about
as they came, so that all but the last day's are passed over unread.
"""

import duckdb
from msgspec import Struct

from onelogin_connector.errors import Unavailable
from onelogin_connector.store.database import Database
from onelogin_connector.store.trouble import first_line

SLOT_SECONDS = 900
SLOTS = 96
"""A day of quarters of an hour."""

HOUR_SLOTS = 4


class Counted(Struct, frozen=True):
    """
    The last day of one connector.
    """

    slots: tuple[int, ...]
    """Events of each quarter of an hour, the running one last."""
    webhook: tuple[int, ...]
    """Of these the ones that webhooks have brought."""
    api: tuple[int, ...]
    """And those that the API has listed; many come both ways."""
    hour: int
    """Events of the last sixty minutes."""
    webhook_hour: int
    api_hour: int
    last_webhook_us: int | None
    """Event time of the newest that a webhook brought in this day."""
    last_api_us: int | None

    @property
    def day(self) -> int:
        """
        Events of all slots.
        """
        return sum(self.slots)


class Figures:
    """
    Counts events of an open store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_day(self, now: float) -> dict[str, Counted]:
        """
        Return the last day by connector; one without events in it is left out.

        Raises:
            Unavailable: The store cannot be read.
        """
        first = int(now // SLOT_SECONDS) - SLOTS + 1
        try:
            with self._database.cursor() as cursor:
                rows = cursor.execute(
                    """
                    SELECT connector, epoch_us(event_time) // 1000000 // $slot - $first AS n, count(*),
                        count(*) FILTER (by_webhook), count(*) FILTER (by_api),
                        count(*) FILTER (recent), count(*) FILTER (recent AND by_webhook),
                        count(*) FILTER (recent AND by_api),
                        epoch_us(max(event_time) FILTER (by_webhook)), epoch_us(max(event_time) FILTER (by_api))
                    FROM (
                        SELECT connector, event_time, event_time > make_timestamp($hour_us::BIGINT) AS recent,
                            channel = 'webhook' OR twin_channel IS NOT DISTINCT FROM 'webhook' AS by_webhook,
                            channel = 'api' OR twin_channel IS NOT DISTINCT FROM 'api' AS by_api
                        FROM events
                        WHERE event_time >= make_timestamp($since_us::BIGINT)
                            AND event_time <= make_timestamp($until_us::BIGINT))
                    GROUP BY connector, n
                    """,
                    {
                        "slot": SLOT_SECONDS,
                        "first": first,
                        "since_us": first * SLOT_SECONDS * 1_000_000,
                        "until_us": round(now * 1e6),
                        "hour_us": round((now - 3_600) * 1e6),
                    },
                ).fetchall()
        except duckdb.Error as error:
            raise Unavailable(f"The store cannot be read: {first_line(error)}") from error
        return {
            name: _counted([row[1:] for row in rows if row[0] == name]) for name in {row[0] for row in rows}
        }


def _counted(rows: list[tuple[int | None, ...]]) -> Counted:
    lines = [[0] * SLOTS for _ in range(3)]
    hours, last = [0, 0, 0], [0, 0]
    for number, *counts in rows:
        for line, count in zip(lines, counts[:3], strict=True):
            line[int(number or 0)] = int(count or 0)
        hours = [known + int(count or 0) for known, count in zip(hours, counts[3:6], strict=True)]
        last = [max(known, int(at or 0)) for known, at in zip(last, counts[6:], strict=True)]
    slots, webhook, api = (tuple(line) for line in lines)
    return Counted(
        slots,
        webhook,
        api,
        hour=hours[0],
        webhook_hour=hours[1],
        api_hour=hours[2],
        last_webhook_us=last[0] or None,
        last_api_us=last[1] or None,
    )
