"""
Webhook requests, no two records alike, at next to no cost.

A few hundred records of the simulated company are turned into templates once; a request is then one formatting of
bytes, so that whoever sends costs little beside whoever receives. Half of the records name every key with its
nulls, as OneLogin's documentation shows them, half leave nulls out, as most published samples do: 1.2 KB on average.
"""

from itertools import islice
from time import gmtime, strftime, time

from msgspec.json import encode

from onelogin_connector.simulator.company import Company
from onelogin_connector.simulator.happening import Happening

SINCE_US = 1_795_200_000_000_000
USERS = 100_000


class Requests:
    """
    Bodies with so many records each.
    """

    def __init__(self, records: int, *, series: int = 1) -> None:
        """
        Make the templates.

        Args:
            records: In each request.
            series: Another series has other ids.
        """
        self.records = records
        self._series = series
        self._number = 0
        self._time = (0, b"")
        story = Company(1).story(SINCE_US)
        self._templates = [
            b"[%b]" % b",".join(_template(happening) for happening in islice(story, records))
            for _ in range(max(2, 320 // records))
        ]

    def body(self, second: int | None = None) -> bytes:
        """
        Return the next request's body.

        Args:
            second: Of its events, since 1970; now by default.
        """
        at = self._written(int(time()) if second is None else second)
        template = self._templates[self._number // self.records % len(self._templates)]
        values: list[bytes | int] = []
        for number in range(self._number, self._number + self.records):
            uuid = b"%08x-0000-4000-8000-%012x" % (self._series, number)
            values += (uuid, at, uuid, number % USERS + 1)
        self._number += self.records
        return template % tuple(values)

    def _written(self, second: int) -> bytes:
        if self._time[0] != second:
            self._time = (second, strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(second)).encode())
        return self._time[1]


def _template(happening: Happening) -> bytes:
    record = happening.to_webhook()
    record |= {
        "create": {"_id": "@uuid@"},
        "uuid": "@uuid@",
        "event_timestamp": "@time@",
        "user_id": "@user@",
    }
    if happening.number % 2:
        record = {name: value for name, value in record.items() if value is not None}
    raw = encode(record).replace(b"%", b"%%")
    return raw.replace(b"@uuid@", b"%b").replace(b"@time@", b"%b").replace(b'"@user@"', b"%d")
