"""
How a test waits for what a page does not tell by itself.
"""

import time
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator

from patience import PATIENCE_SECONDS

PATIENCE_MS = int(PATIENCE_SECONDS * 1_000)  # an idle machine needs a tenth of a second
LOOK_MS = 200


def opened(browser: Browser, **options: Any) -> BrowserContext:
    """
    Open a browser of nobody's, which is as patient as a test is.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    return context


def reload_until(wanted: Locator, count: int | None = None) -> None:
    """
    Load a page that is rendered once, again and again until it shows something.

    Args:
        count: How often it is to be shown; at least once if not said.
    """
    page = wanted.page
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := wanted.count()) != count and (count is not None or not found):
        assert time.monotonic() < deadline, f"{found} of {wanted} on {page.url}"
        page.wait_for_timeout(LOOK_MS)
        page.reload()
