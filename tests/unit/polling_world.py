"""
A OneLogin account without a network: events that appear when they like, and whatever else can go wrong.
"""

import inspect
from dataclasses import dataclass

from onelogin_connector.errors import ConfigError, Unavailable
from onelogin_connector.sources.polling import Poller
from onelogin_connector.testing import MemoryProgress

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
BEGIN = 1_800_000_000 * SECOND  # within an hour, as real beginnings are


class Killed(BaseException):
    """
    The process ends here.
    """


@dataclass
class Happened:
    """
    One event of the account.
    """

    id: int
    created_us: int
    visible_us: int
    listed: int = 0

    @property
    def raw(self) -> bytes:
        seconds, micros = divmod(self.created_us, SECOND)
        return b'{"id":%d,"created_at":%d.%06d,"event_type_id":5,"account_id":7}' % (self.id, seconds, micros)


@dataclass
class Page:
    """
    As the client gives it.
    """

    records: list[bytes]
    cursor: str | None
    date_us: int | None


class Account:
    """
    The Events API of one account: ids in any order, cursors that are places among the ids.
    """

    def __init__(self, now_us=BEGIN, *, page_records=50):
        self.now_us = now_us
        self.page_records = page_records
        self.happened: list[Happened] = []
        self.calls = 0
        self.windows = []
        self.faults = []
        """Raised or called, one per call."""
        self.says_time = True

    def happen(self, *, created_us=None, late_us=0, id=None):
        created = self.now_us if created_us is None else created_us
        event = Happened(id or len(self.happened) + 1, created, created + late_us)
        self.happened.append(event)
        return event

    def visible(self, since_us=0, until_us=2**62):
        return [
            each
            for each in self.happened
            if each.visible_us <= self.now_us and since_us < each.created_us < until_us
        ]

    async def events(self, *, since_us, until_us, cursor=None, limit=50):
        self.calls += 1
        self.windows.append((since_us, until_us, cursor))
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, BaseException):
                raise fault
            if fault is not None:
                return fault(since_us, until_us, cursor)
        if cursor is not None and not cursor.startswith("id:"):
            raise ConfigError("after_cursor is not valid.")
        after = int(cursor.partition(":")[2]) if cursor else 0
        found = sorted(self.visible(since_us, until_us), key=lambda each: each.id)
        rest = [each for each in found if each.id > after]
        page = rest[: min(limit, self.page_records)]
        for each in page:
            each.listed += 1
        more = f"id:{page[-1].id}" if len(rest) > len(page) else None
        date = self.now_us // SECOND * SECOND if self.says_time else None
        return Page([each.raw for each in page], more, date)


class Driven:
    """
    A poller driven step by step through an account's time, killed and started again at will.
    """

    def __init__(self, account, journal, *, skew_us=0, **options):
        self.account, self.journal = account, journal
        self.progress = MemoryProgress()
        self.skew_us = skew_us
        """How far our clock is ahead of OneLogin's."""
        self.options = {"poll_seconds": 60.0, "overlap_minutes": 10.0} | options
        self.told = []
        self.start()

    def clock(self):
        return (self.account.now_us + self.skew_us) / SECOND

    def start(self):
        async def told(hours):
            self.told += hours

        self.poller = Poller(
            "acme", self.account, self.journal, self.progress, clock=self.clock, on_swept=told, **self.options
        )

    async def step(self):
        """
        Do one step, and let the time pass that the poller would rest; a kill starts it again.
        """
        try:
            seconds = await self.poller.step()
        except Killed:
            self.start()
            return
        self.account.now_us += int(seconds * SECOND) + SECOND // 5  # a call takes its time too

    async def until(self, end_us, each=None):
        """
        Go on until a moment.
        """
        while self.account.now_us < end_us:
            before = self.account.now_us
            await self.step()
            if each:
                each(before)


def outage(calls):
    """
    Return the faults of an API that is away for so many calls.
    """
    return [Unavailable("The API is down.") for _ in range(calls)]


class Fragile:
    """
    A thing of which some calls end the process, before they do anything or after they have done it.
    """

    def __init__(self, inner, names, deaths):
        self._inner, self._names, self._deaths = inner, names, deaths

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name not in self._names:
            return found
        if inspect.iscoroutinefunction(found):

            async def dangerous(*args, **kwargs):
                self._maybe_die("before")
                result = await found(*args, **kwargs)
                self._maybe_die("after")
                return result
        else:

            def dangerous(*args, **kwargs):
                self._maybe_die("before")
                result = found(*args, **kwargs)
                self._maybe_die("after")
                return result

        return dangerous

    def _maybe_die(self, when):
        if self._deaths(when):
            raise Killed
