"""
Collection Status as an operator uses it.
"""

import csv
import io
import json
import re

from playwright.sync_api import Page, Route, expect

from browser.waiting import PATIENCE_MS, reload_until


def test_a_connector_that_works_is_active(page: Page):
    """
    The simulated account and both its ways in are listed as Active, with what came in the last day.
    """
    page.goto("/status")
    row = page.locator("#connector-acme")
    # the API is not answered before the whole history was told
    expect(row.get_by_text("Active", exact=True)).to_be_visible(timeout=2 * PATIENCE_MS)
    page.reload()
    sources = page.locator("tbody", has=row).locator("tr.part")
    expect(sources).to_have_count(2)
    for source in sources.all():
        expect(source.locator(".badge")).to_have_text("Active")
    # more than a thousand; the history may still be on its way
    expect(row.locator("td.number").nth(1)).to_have_text(re.compile(r"[1-9]\s[0-9]{3}"))


def test_trouble_is_told_by_word_shape_and_cause(page: Page):
    """
    A connector whose API nobody answers is late or in error, and says why; so does the title.
    """
    page.goto("/status")
    group = page.locator("tbody", has=page.locator("#connector-sandbox"))
    expect(group.locator(".why").first).to_be_visible()
    # until its history was sent, the simulated account is not answered either
    reload_until(page.locator(".answer").filter(has_text="EMEA sandbox needs a look"))
    badge = group.locator("tr.part", has_text="API poll").locator(".badge")
    assert badge.inner_text().strip() in {"Late", "Error"}
    assert badge.locator("svg path").count() >= 1
    expect(page).to_have_title("1 of 4 is in trouble – Collection Status – OneLogin Connector")
    strip = group.locator("svg.strip").first
    assert "half hours" in (strip.get_attribute("aria-label") or "")
    assert "a secret that must not be seen" not in page.content()


def test_what_waits_is_pending(page: Page):
    """
    A connector that nothing has come to yet is neither well nor ill.
    """
    page.goto("/status?state=pending")
    expect(page.locator("tbody tr.whole")).to_have_count(1)
    expect(page.locator("#connector-spare .badge")).to_have_text("Pending")


def test_search_and_filter_apply_as_they_are_chosen(page: Page):
    """
    The choice is in the address, so that it can be sent to a colleague.
    """
    page.goto("/status")
    page.keyboard.press("/")
    page.keyboard.type("sandbox")
    page.keyboard.press("Enter")
    page.wait_for_url("**/status?q=sandbox&state=")
    expect(page.locator("tbody tr.whole")).to_have_count(1)
    page.get_by_label("Status", exact=True).select_option("active")
    expect(page.get_by_text("No connector fits")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr.whole")).to_have_count(4)


def test_the_page_refreshes_itself_but_not_under_somebodys_hands(page: Page):
    """
    Figures renew without a reload; an open menu stays as it is.
    """
    page.clock.install()
    page.goto("/status")
    page.evaluate("document.title = 'kept over refreshes'; window.kept = true")
    before = page.locator(".toolbar time").last.get_attribute("datetime")
    page.clock.run_for(11_000)
    page.wait_for_function(
        "before => document.querySelector('.toolbar time:last-of-type').dateTime !== before", arg=before
    )
    assert page.evaluate("window.kept")
    page.locator("#menu-acme summary").click()
    seen = page.locator(".toolbar time").last.get_attribute("datetime")
    page.clock.run_for(31_000)
    expect(page.locator("#menu-acme .items")).to_be_visible()
    assert page.locator(".toolbar time").last.get_attribute("datetime") == seen


def test_a_menu_that_opens_while_figures_are_on_their_way_stays_open(page: Page):
    """
    An answer that was asked for before somebody opened a menu does not close it again.
    """
    held: list[Route] = []
    page.clock.install()
    page.goto("/status")
    page.evaluate("document.addEventListener('htmx:afterRequest', () => { window.answered = true; })")
    page.route("**/status", lambda route: held.append(route))  # noqa: PLW0108 - it refuses a method of a list
    with page.expect_request("**/status"):
        page.clock.run_for(11_000)
    page.locator("#menu-acme summary").click()
    for each in held:
        each.continue_()
    page.wait_for_function("() => window.answered")
    expect(page.locator("#menu-acme .items")).to_be_visible()


def test_a_page_that_cannot_refresh_says_so_until_it_can(bare_context, site, signed_in):
    """
    Figures that are old do not pass for new ones: with the server out of reach, and again with the session ended.
    """
    page = bare_context(storage_state=signed_in, base_url=site.url).new_page()
    page.clock.install()
    page.goto("/status")
    told = page.locator("#main > .told")
    page.context.set_offline(True)
    page.clock.run_for(21_000)
    expect(told).to_have_text("The server cannot be reached. This page shows what was before.")
    page.context.set_offline(False)
    page.clock.run_for(11_000)
    expect(told).to_have_count(0)
    page.context.clear_cookies()
    page.clock.run_for(11_000)
    expect(told).to_have_text("You are no longer signed in. Load the page again.")


def test_on_a_laptop_every_column_is_seen(page: Page):
    """
    On a window of 1366 points no table has to be moved sideways to reach its last column.
    """
    page.set_viewport_size({"width": 1366, "height": 768})
    for path in ("/status", "/connectors", "/sinks", "/events"):
        page.goto(path)
        hidden = page.evaluate(
            "[...document.querySelectorAll('.table')].filter(e => e.checkVisibility()).map(e => e.scrollWidth - e.clientWidth)"
        )
        assert hidden, path
        assert max(hidden) == 0, (path, hidden)


def test_stopping_starting_and_deleting(plain_page: Page, site):
    """
    Without script: stop, see it Inactive with a message, and delete only then, confirmed.
    """
    page = plain_page
    page.goto("/status")
    page.locator("#menu-spare summary").click()
    expect(page.locator("#menu-spare").get_by_role("button", name="Restart")).to_be_visible()
    expect(page.locator("#menu-spare").get_by_text("Delete…")).to_have_count(0)
    page.locator("#menu-spare").get_by_role("button", name="Stop").click()
    expect(page.locator(".flash.ok")).to_contain_text("spare is stopped")
    expect(page.locator("#connector-spare .badge")).to_have_text("Inactive")
    page.reload()
    expect(page.locator(".flash")).to_have_count(0)
    page.locator("#menu-spare summary").first.click()
    page.locator("#menu-spare").get_by_role("button", name="Start").click()
    expect(page.locator("#connector-spare .badge")).to_have_text("Pending")
    log = site.ask(
        "POST", "query", json={"kql": "OneLoginConnectorAudit | project Action, Target", "all": True}
    )
    assert {"Action": "connector_stopped", "Target": "spare"} in log["rows"]


def test_pausing_a_sink(page: Page):
    """
    A paused sink is in error with who paused it, and goes on when started.
    """
    page.goto("/status")
    page.locator("#menu-sink-store summary").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#sink-store .badge")).to_have_text("Error")
    expect(page.get_by_text("Paused by admin.").first).to_be_visible()
    page.locator("#menu-sink-store summary").click()
    page.locator("#menu-sink-store").get_by_role("button", name="Start").click()
    expect(page.locator("#sink-store .badge")).to_have_text("Active")


def test_exports(page: Page):
    """
    Both carry when they were made, and one line per connector, source and sink.
    """
    page.goto("/status")
    with page.expect_download() as got:
        page.get_by_role("link", name="CSV").click()
    text = got.value.path().read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert got.value.suggested_filename.startswith("collection-status-")
    assert {row["row"] for row in rows} == {"connector", "webhook", "poll", "sink"}
    assert all(row["generated_at"] for row in rows)
    with page.expect_download() as got:
        page.get_by_role("link", name="JSON").click()
    told = json.loads(got.value.path().read_text())
    assert [row["id"] for row in told["connectors"]] == ["acme", "sandbox", "spare"]
    assert told["at"].endswith("Z")


def test_on_a_small_screen_nothing_is_cut_off(page: Page):
    """
    On a telephone the page itself does not scroll sideways; tables do in their frame.
    """
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/status")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
