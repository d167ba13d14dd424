"""
A journal that only keeps: the smallest that shows what a source handed over.
"""

from onelogin_connector.errors import Unavailable
from onelogin_connector.journal.base import Receipt


class KeepingJournal:
    """
    Keep events by native id, letters in order; raise what is planted.
    """

    def __init__(self):
        self.natives = {}
        self.letters = []
        self.buried = []
        self.calls = 0
        self.last = []
        self.failure = None

    async def turn(self):
        pass

    async def append(self, events, dead=None, *, accept_duplicates=False):
        self.calls += 1
        if self.failure:
            raise self.failure
        self.last = list(events)
        fresh = 0
        for event in events:
            fresh += event.native not in self.natives
            self.natives.setdefault(event.native, event)
        if dead:
            self.letters.append(dead)
        return Receipt(entries=fresh, duplicates=len(events) - fresh, dead=dead.records if dead else 0)

    async def bury(self, letter):
        if self.failure:
            raise Unavailable("The ring is not there.")
        self.buried.append(letter)
