"""
How long until a browser paints each page of the console, with ten million events in the store.

Chromium, without a window, on the same cores as the program; needs ``chromium`` or ``google-chrome`` on the path, and
stops by name where neither is. *First* are visits in new windows, with nothing in the browser's cache and a process of their
own, opened when the window before is gone; *again* are visits that come by way of another page. Before both, each page is
visited once after the start. The baseline is the sign-in page of the same program in the same browser, which reads nothing.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

from benchmarks.program import Program
from benchmarks.row import Row, percentile
from benchmarks.stores import filled

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETTINGS = '[sinks.store]\nkind = "store"\nretention_days = 3650\n'
"""What is older than a quarter of a year would else be removed at the start."""

BASELINE = "/login"
PAGES = (
    "/status",
    "/connectors",
    "/connectors/default",
    "/connectors/default/edit",
    "/completeness",
    "/completeness?span=7d",
    "/completeness?span=30d",
    "/events",
    "/events?range=7d",
    "/events?range=all",
    "/events?range=all&type=USER_LOGGED_INTO_ONELOGIN",
    "/events?text=password",
    "/events?range=all&text=password",
    "/events?range=all&text=no-such-text",
    "/events/query",
    "/sinks",
    "/sinks/store",
    "/dead-letters",
    "/health",
    "/access",
    "/access/tokens",
    "/audit",
    "/account",
)

PAINTED = """() => new Promise(done => {
    const look = () => {
        const paint = performance.getEntriesByName("first-contentful-paint")[0];
        if (!paint) return setTimeout(look, 5);
        const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
        done([paint.startTime, all[0].responseStart, all.reduce((sum, one) => sum + one.encodedBodySize, 0)]);
    };
    look();
})"""


SETTLING_SECONDS = 1.0
"""What the browser gets for taking a window down, so that nobody's first paint is held up by the visit before."""


class Visit(NamedTuple):
    """
    One visit of a page.
    """

    painted_ms: float
    answered_ms: float
    """Until the first byte."""
    body_bytes: float
    """Of the page with its style and script, compressed."""


def run(quick: bool) -> list[Row]:
    """
    Visit every page of a program on a filled store.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, f"needs a browser: none of {', '.join(BROWSERS)} is installed"
    with (
        filled(50_000 if quick else 10_000_000) as store,
        on(store) as program,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            return _rows(browser, program, 2 if quick else 5)
        finally:
            browser.close()


@contextmanager
def on(store: Path) -> Iterator[Program]:
    """
    Give a running program with the same file, whose own log of changes goes with its folder.
    """
    with TemporaryDirectory(dir=store.parent, prefix=".bench-") as folder:
        program = Program(Path(folder), settings=SETTINGS)
        program.data_dir.mkdir(mode=0o700)
        os.link(store, program.data_dir / "store.duckdb")
        program.start()
        try:
            yield program
        finally:
            program.kill()


def _rows(browser: Browser, program: Program, times: int) -> list[Row]:
    url = f"http://127.0.0.1:{program.port}"
    signed_in = _signed_in(browser, program)
    after_start = _visits(browser, signed_in, url, PAGES, 1)[PAGES[0]]
    first: dict[str, list[Visit]] = {path: [] for path in (BASELINE, *PAGES)}
    for _ in range(times):
        for path, visits in first.items():
            state = None if path == BASELINE else signed_in
            visits.extend(_visits(browser, state, url, [path], 1)[path])
    again = _visits(browser, signed_in, url, PAGES, times) | _visits(browser, None, url, [BASELINE], times)
    rows = [Row.of(f"{PAGES[0]}: painted after a start", [visit.painted_ms for visit in after_start], "ms")]
    for path in PAGES:
        rows += [
            Row.of(
                f"{path}: first painted {name}",
                [visit.painted_ms for visit in visits],
                "ms",
                baseline="the sign-in page (less is better)",
                against=percentile([visit.painted_ms for visit in plain], 0.5),
                goal="< 200",
            )
            for name, visits, plain in (
                ("first", first[path], first[BASELINE]),
                ("again", again[path], again[BASELINE]),
            )
        ]
        rows.append(Row.of(f"{path}: first byte", [visit.answered_ms for visit in again[path]], "ms"))
    heaviest = max(PAGES, key=lambda path: first[path][0].body_bytes)
    weight = first[heaviest][0].body_bytes / 1_000
    return [*rows, Row.of(f"heaviest page: {heaviest}", [weight], "kB", goal="< 100")]


def _signed_in(browser: Browser, program: Program) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto((program.data_dir / "sign-in-link").read_text().strip())
    page.wait_for_url("**/status")
    state = context.storage_state()
    context.close()
    return state


def _visits(
    browser: Browser, state: Any, url: str, paths: Sequence[str], times: int
) -> dict[str, list[Visit]]:
    """
    Visit pages in turn in a window of its own, whose cache is empty at first.
    """
    context = browser.new_context(storage_state=state, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    sleep(SETTLING_SECONDS)
    found: dict[str, list[Visit]] = {path: [] for path in paths}
    for _ in range(times):
        for path in paths:
            answer = page.goto(url + path, wait_until="load")
            assert answer is not None
            assert answer.status == 200, f"{path}: {answer.status}"
            assert page.locator("main .reading").is_hidden()
            found[path].append(Visit(*page.evaluate(PAINTED)))
    context.close()
    return found
