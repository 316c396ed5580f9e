"""No barriers: axe finds none in any state of the page, in light and dark, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.browsing import DESKTOP, PHONE, REFUND, Served, answered, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def barriers(page: Page) -> list[Any]:
    """Return what axe finds: the rule and the elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]


def home(page: Page, served: Served) -> None:
    page.goto(served.address)
    page.wait_for_selector(".chip")


def results(page: Page, served: Served) -> None:
    page.goto(served.url(q=REFUND, k=8))
    answered(page)
    page.locator(".more").first.click()
    page.wait_for_function("() => document.querySelector('.in-context, .more[aria-disabled=true]')")
    page.locator(".act[aria-expanded]").first.click()
    page.wait_for_selector(".reasons table")


def grouped(page: Page, served: Served) -> None:
    page.goto(served.url(q=REFUND, group=1))
    answered(page)
    page.click("#ranking summary")


def empty(page: Page, served: Served) -> None:
    page.goto(served.url(q="qqqzzz", mode="lexical", lang="te"))
    page.wait_for_selector("#problem:not([hidden])")


def refused(page: Page, served: Served) -> None:
    page.goto(served.url(q="ferry", lang="xx"))
    page.wait_for_selector("#problem:not([hidden])")


def key_wanted(page: Page, served: Served) -> None:
    page.route("**/search?*", lambda route: route.fulfill(status=401, json={"error": "a key"}))
    page.goto(served.url(q="ferry"))
    page.wait_for_selector("#key")


def help_open(page: Page, served: Served) -> None:
    results(page, served)
    page.click("#help-open")


STATES = [home, results, grouped, empty, refused, key_wanted, help_open]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_barriers(
    state: Callable[[Page, Served], None], scheme: Literal["light", "dark"], browser: Browser, served: Served
) -> None:
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
    page, watch = watched_page(context, served.address)
    page.set_viewport_size(DESKTOP)
    state(page, served)
    assert barriers(page) == []
    page.set_viewport_size(PHONE)
    assert barriers(page) == []
    context.close()
    watch.check()


def test_axe_would_find_one(page: Page, served: Served) -> None:
    home(page, served)
    page.evaluate("document.getElementById('tagline').style.color = '#eee'")
    page.evaluate("document.querySelector('label[for=q]').remove()")
    assert {"color-contrast", "label-title-only"} <= {rule for rule, _ in barriers(page)}


def test_what_changes_is_said_and_the_parts_of_the_page_have_names(page: Page, served: Served) -> None:
    page.goto(served.url(q=REFUND, lang="te,lt"))
    answered(page)
    tree = page.locator("body").aria_snapshot()
    for part in ("banner:", "main:", "search:", 'searchbox "Your question"', 'region "Results"', "status:"):
        assert part in tree
    assert 'heading "Ask in one language, find in all." [level=1]' in tree
    assert page.locator("#status").get_attribute("role") == "status"
    assert page.inner_text("#status") == "10 passages in 2 languages"
    first = page.locator("article").first
    assert (page.get_by_role("article").first.get_attribute("data-passage")) == first.get_attribute("data-passage")
    title = first.locator(".title").inner_text()
    assert page.get_by_role("article", name=f"Result 1 {title}").count() == 1
    assert page.get_attribute("#q", "aria-describedby") == "seen"
    assert page.text_content("#seen") == "Question in English"


def test_targets_on_a_phone_are_large_enough(browser: Browser, served: Served) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 780}, has_touch=True)
    page, _ = watched_page(context, served.address)
    results(page, served)
    small = page.locator("button:visible, summary:visible").evaluate_all(
        "all => all.filter(b => b.getBoundingClientRect().height < 24).map(b => b.textContent)"
    )
    context.close()
    assert small == []
