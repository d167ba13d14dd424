"""
Events from OneLogin's Events API: the tail, what is read again behind it, and backfills.

The order that everything rests on: a page is in the journal first, then the place behind it is saved. So a
kill between any two steps costs at most one page that is listed twice, and is recognised.

The clock that counts is OneLogin's, as the ``Date`` of its answers tells it. The watermark moves only when a
window was listed to its end, to the end of that window or to OneLogin's time when its first page came,
whichever is earlier. What appears in the API later than that is found by reading again: each moment once more
when it is between one and two overlaps old, and each hour 1, 6 and 24 hours after its end. Away from the
borders of these windows, which are widened by a second to both sides, no event is listed more than five times.
"""

from onelogin_connector.sources.polling.base import Events, Page, Progress
from onelogin_connector.sources.polling.poller import Poller

__all__ = ["Events", "Page", "Poller", "Progress"]
