"""
What every page has: the sign-in, the frame, the policy, both themes, the keyboard.
"""

import re
from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import Page, expect

from onelogin_connector.web.app import ENTRIES
from onelogin_connector.web.console.routes import View
from patience import PATIENCE_SECONDS

PAGES = ("/login", "/nothing", *(entry.path for entry in ENTRIES if isinstance(entry, View) and entry.title))


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_keeps_the_policy_in_both_themes(page: Page, path: str, theme: str):
    """
    Nothing is refused by the policy (the window sees to that), and the ground follows the theme.
    """
    page.emulate_media(color_scheme=theme)
    page.goto(path)
    page.wait_for_load_state("networkidle")
    expect(page.locator("h1")).to_be_visible()
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 3 * 128
    assert light == (theme == "light"), ground


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(page: Page, path: str, theme: str):
    """
    Text stands out from its ground by 4.5 to 1 in both themes, badges and muted words too.
    """
    page.emulate_media(color_scheme=theme)
    page.goto(path)
    poor = page.evaluate(
        """() => {
          const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
          const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
          const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
            .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
          const ground = (element) => {
            for (let each = element; each; each = each.parentElement) {
              const found = rgba(getComputedStyle(each).backgroundColor);
              if (found[3] === 255) return found;
            }
            return rgba("Canvas");
          };
          const poor = [];
          for (const element of document.querySelectorAll("body *")) {
            const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
            if (!own || !element.checkVisibility() || element.closest("svg, .unseen, caption, .skip")) continue;
            const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
          }
          return poor;
        }"""
    )
    assert poor == []


def test_signing_in_by_password_and_out_again(window: Callable[..., Page], site):
    """
    A wrong password is told; the right one leads to the state of things; signing out ends it.
    """
    page = window(base_url=site.url)
    page.goto("/status")
    expect(page).to_have_url(f"{site.url}/login")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("User or password is wrong")
    page.get_by_label("Password").fill(site.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Collection Status")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{site.url}/login")
    page.goto("/status")
    expect(page).to_have_url(f"{site.url}/login")


def test_the_first_tab_stop_skips_the_navigation(page: Page):
    """
    Who uses the keyboard reaches the content at once, and sees where the focus is.
    """
    page.goto("/status")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_what_is_not_there_is_said_in_the_frame(page: Page):
    """
    A wrong address keeps the navigation, and says what to do.
    """
    answer = page.goto("/no/such/page")
    assert answer
    assert answer.status == 404
    expect(page.locator(".trouble").get_by_role("alert")).to_contain_text("nothing at this address")
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


def test_the_weight_of_a_page(site):
    """
    The page with its style and script stays far under 100 kB on the line, and files may be kept for ever.
    """
    headers = {"authorization": f"Bearer {site.token('viewer')}", "accept-encoding": "gzip"}
    with httpx2.Client(base_url=site.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        total = 0
        text = client.get("/status").text
        for path in ["/status", *re.findall(r'(?:href|src)="(/static/[^"]+)"', text)]:
            with client.stream("GET", path) as answer:
                total += sum(len(piece) for piece in answer.iter_raw())
                if path.startswith("/static/"):
                    assert "immutable" in answer.headers["cache-control"]
    assert total < 60_000


def test_script_of_others_is_unchanged():
    """
    What we ship of others is what they published.
    """
    from hashlib import sha256

    from onelogin_connector.web.console.assets import FOLDER

    sums = list((FOLDER / "vendor").rglob("SHA256SUMS"))
    assert sums
    for path in sums:
        assert (path.parent / "LICENSE").exists()
        for line in path.read_text().splitlines():
            digest, name = line.split()
            assert sha256((path.parent / name).read_bytes()).hexdigest() == digest
