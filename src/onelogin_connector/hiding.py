"""
Keep secrets out of what is said of the other side's words.

An answer may repeat what was sent to it: a proxy's error page shows the headers, an error names the token. So no
text of the other side reaches a message before it was cleaned here.
"""

from collections import deque
from re import compile as pattern

PIECE = 8
"""A text that holds so many characters of a secret in a row is not shown at all."""
LEAST_SECRET = 4  # what is shorter would hide every text, and protects nothing
MOST_SHOWN = 200  # characters of a text of the other side
MOST_REMEMBERED = 16  # secrets; tokens come and go
_UNSHOWN = pattern(r"[^\x20-\x7e\xa1-\u024f]+")  # controls, marks of direction, and half characters


class Hidden:
    """
    The secrets that may not be shown.
    """

    def __init__(self, *secrets: str, quotes: bool = True) -> None:
        """
        Begin with the secrets that never change.

        Args:
            quotes: Whether words of the other side may be repeated at all.
        """
        self._secrets: deque[str] = deque(secrets, MOST_REMEMBERED)
        self._kept = secrets
        self.quotes = quotes

    def __repr__(self) -> str:
        return "Hidden(…)"

    def add(self, secret: str) -> None:
        """
        Hide one more; of many the newest are remembered, beside those from the start.
        """
        if secret not in self._secrets:
            self._secrets.append(secret)

    def clean(self, text: str) -> str:
        """
        Return a text fit to be shown: one short line without a secret.
        """
        shown = " ".join(_UNSHOWN.sub(" ", text).split())
        bare = shown.replace(" ", "")  # also one that was broken into lines
        if any(map(bare.__contains__, self._pieces())):
            return "its text is not shown, since it repeats a secret"
        return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"

    def _pieces(self) -> set[str]:
        return {
            secret[at : at + PIECE]
            for secret in {*self._kept, *self._secrets}
            if len(secret) >= LEAST_SECRET
            for at in range(max(1, len(secret) - PIECE + 1))
        }
