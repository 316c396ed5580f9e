"""Ways through the page: the address, back and forward, the keyboard alone, themes, and which answer wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from tests.browsing import DESKTOP, REFUND, Served, answered, ask, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

FOCUSED = "document.activeElement.dataset.passage ?? (document.activeElement.id || document.activeElement.tagName)"


def test_everything_shown_is_in_the_address(page: Page, served: Served) -> None:
    page.goto(served.address)
    ask(page, REFUND)
    page.click(".chip[data-lang=te]")
    page.click(".chip[data-lang=fa]")
    page.click("#ranking summary")
    page.select_option("#mode", "dense")
    page.select_option("#balance", "full")
    page.select_option("#many", "5")
    page.wait_for_function("() => document.querySelectorAll('article').length === 5")
    assert page.url == served.url(q=REFUND) + "&lang=te,fa&mode=dense&balance=full&k=5"
    page.click("#group")
    page.wait_for_selector(".group")
    link = page.url
    assert "&group=3" in link
    shown = page.locator("article").evaluate_all("all => all.map(a => a.dataset.passage)")
    # Somebody who is sent the link sees the same.
    page.goto("about:blank")
    page.goto(link)
    answered(page)
    assert page.locator("article").evaluate_all("all => all.map(a => a.dataset.passage)") == shown
    assert page.input_value("#q") == REFUND
    pressed = page.locator(".chip[aria-pressed=true]").evaluate_all("all => all.map(c => c.dataset.lang)")
    assert sorted(pressed) == ["fa", "te"]
    assert (page.input_value("#mode"), page.input_value("#balance"), page.input_value("#many")) == (
        "dense",
        "full",
        "3",
    )
    assert page.get_attribute("#group", "aria-checked") == "true"
    page.click("#home")
    page.wait_for_function("() => document.documentElement.dataset.view === 'home'")
    assert page.locator("article").count() == 0


def test_an_address_with_nonsense_in_it_still_asks(page: Page, served: Served) -> None:
    page.goto(served.url(q="ferry", k="many", group="-3", mode="magic", balance="<b>", lang=",,", more="1"))
    answered(page)
    assert page.locator("article").count() == 10


def test_back_and_forward(page: Page, served: Served) -> None:
    first, second = "How are parcels damaged?", "ferry to the island"
    page.goto(served.address)
    ask(page, first)
    best_of_first = page.locator("article").first.get_attribute("data-passage")
    ask(page, second)
    ask(page, second)  # the same again is no new page
    best_of_second = page.locator("article").first.get_attribute("data-passage")
    assert best_of_first != best_of_second
    page.go_back()
    page.wait_for_selector(f".row:first-child article[data-passage='{best_of_first}']")
    assert page.input_value("#q") == first
    page.go_forward()
    page.wait_for_selector(f".row:first-child article[data-passage='{best_of_second}']")
    assert page.input_value("#q") == second
    page.go_back()
    page.go_back()
    page.wait_for_function("() => document.documentElement.dataset.view === 'home'")
    assert page.input_value("#q") == ""
    assert page.title() == "manytongues"


def test_no_count_is_offered_that_the_server_refuses(page: Page, served: Served) -> None:
    def limited(route: Route) -> None:
        limits = {"k": 10, "per_language": 3, "context": 2}
        route.fulfill(json={**route.fetch().json(), "limits": limits})

    page.route("**/languages", limited)
    options = "() => [...document.querySelectorAll('#many option')].map(o => o.value).join()"
    page.goto(served.url(q=REFUND))
    page.wait_for_function(f"() => ({options})() === '5,10'")
    page.goto(served.url(q=REFUND, group=50))
    page.wait_for_function(f"() => ({options})() === '1,2,3,20'")  # the most of any server
    answered(page)


def test_the_skip_link_asks_nothing_anew(page: Page, served: Served) -> None:
    asked: list[str] = []
    page.goto(served.url(q="Kaip dėžės nukentėjo paštomate?", lang="lt"))
    answered(page)
    page.locator("article", has_text="11-parcel-lockers").first.locator(".more").click()
    page.wait_for_selector(".in-context")
    page.on("request", lambda request: asked.append(request.url))
    page.locator("a[href='#results']").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash === '#results'")
    page.wait_for_timeout(200)
    page.go_back()
    page.wait_for_function("() => location.hash === ''")
    page.wait_for_timeout(200)
    assert [url for url in asked if not url.endswith("favicon.svg")] == []  # which browsers ask when they like
    assert page.locator(".in-context").count() == 1


def test_the_latest_question_wins(page: Page, served: Served) -> None:
    slow: list[Route] = []
    page.route("**/search?q=slow*", lambda route: slow.append(route))
    page.goto(served.address)
    page.fill("#q", "slow question")
    page.press("#q", "Enter")
    page.wait_for_function("() => document.getElementById('status').textContent === 'Searching…'")
    ask(page, "ferry to the island")
    best = page.locator("article").first.get_attribute("data-passage")
    assert len(slow) == 1
    slow[0].fulfill(json={"query": "slow", "lang": "en", "notice": "too late", "took_ms": 1, "hits": []})
    page.wait_for_timeout(150)
    assert page.locator("article").first.get_attribute("data-passage") == best
    assert page.locator("#notice").is_hidden()
    assert page.title().startswith("ferry")
    assert page.get_attribute("#results", "aria-busy") is None


def test_by_keyboard_alone(page: Page, served: Served) -> None:
    keys = page.keyboard
    page.goto(served.address)
    page.wait_for_selector(".chip")
    assert page.evaluate(FOCUSED) == "q"  # one types at once
    keys.type("Kaip dėžės nukentėjo paštomate?")
    keys.press("Enter")
    answered(page)
    ids = page.locator("article").evaluate_all("all => all.map(a => a.dataset.passage)")
    keys.press("ArrowDown")
    assert page.evaluate(FOCUSED) == ids[0]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    for key, at in (("j", 1), ("ArrowDown", 2), ("k", 1), ("ArrowUp", 0), ("j", 1), ("k", 0)):
        keys.press(key)
        assert page.evaluate(FOCUSED) == ids[at]
    keys.press("Enter")
    page.wait_for_selector("article:first-of-type .piece.around")
    keys.press("Escape")
    assert page.locator(".piece.around").count() == 0
    assert page.evaluate(FOCUSED) == ids[0]
    keys.press("w")
    page.wait_for_selector(".reasons table")
    keys.press("g")
    page.wait_for_selector(".group")
    keys.press("/")
    assert page.evaluate(FOCUSED) == "q"
    keys.type("ferry/j?")  # letters are letters in the box
    assert page.input_value("#q") == "ferry/j?"
    keys.press("Escape")
    assert page.evaluate(FOCUSED) != "q"
    keys.press("?")
    assert page.locator("#help").is_visible()
    assert page.locator("#help kbd").all_inner_texts()[:3] == ["/", "↓", "↑"]
    keys.press("j")
    keys.press("Escape")
    assert page.locator("#help").is_hidden()
    # Tab goes through what can be pressed: from the first result to its buttons.
    page.locator("article").first.focus()
    reached = []
    for _ in range(3):
        keys.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))
    assert reached == ["More context", "Copy citation", "Why this?"]


def test_up_from_the_first_result_is_the_box_and_escape_goes_back(page: Page, served: Served) -> None:
    page.goto(served.url(q="ferry"))
    answered(page)
    page.locator("#q").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(FOCUSED) == "q"
    page.keyboard.press("ArrowDown")
    first = page.evaluate(FOCUSED)
    page.keyboard.press("Escape")  # no context is open: back to the question
    assert page.evaluate(FOCUSED) == "q"
    page.keyboard.press("Escape")
    assert page.evaluate(FOCUSED) == first
    assert page.input_value("#q") == "ferry"  # browsers empty a search box at this key


def test_the_panel_of_ranking_goes_away(page: Page, served: Served) -> None:
    page.goto(served.url(q="ferry"))
    answered(page)
    page.click("#ranking summary")
    page.locator("#mode").focus()
    page.keyboard.press("Escape")
    assert page.locator("#mode").is_hidden()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.click("#ranking summary")
    page.mouse.click(20, 600)
    assert page.locator("#mode").is_hidden()


def test_keys_of_one_letter_can_be_switched_off(page: Page, served: Served) -> None:
    page.goto(served.url(q="ferry"))
    answered(page)
    page.click("#help-open")
    page.uncheck("#single")
    page.click("#help-close")
    page.locator("article").first.focus()
    first = page.evaluate(FOCUSED)
    page.keyboard.press("j")
    assert page.evaluate(FOCUSED) == first
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) != first
    page.reload()
    answered(page)
    page.locator("article").first.focus()
    page.keyboard.press("?")
    assert page.locator("#help").is_hidden()


PAPER = "getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("system", ["light", "dark"])
def test_themes(system: Literal["light", "dark"], browser: Browser, served: Served) -> None:
    context = browser.new_context(color_scheme=system, viewport=DESKTOP)
    page, watch = watched_page(context, served.address)
    page.goto(served.address)
    of_system = page.evaluate(PAPER)
    assert page.inner_text("#theme") == "Theme: system"
    page.click("#theme")
    light = page.evaluate(PAPER)
    page.click("#theme")
    dark = page.evaluate(PAPER)
    assert light != dark
    assert of_system == (dark if system == "dark" else light)
    page.reload()
    assert page.inner_text("#theme") == "Theme: dark"
    assert page.evaluate(PAPER) == dark
    page.click("#theme")
    page.reload()
    assert page.evaluate(PAPER) == of_system
    context.close()
    watch.check()


def test_what_is_printed_is_the_text(page: Page, served: Served) -> None:
    page.goto(served.url(q=REFUND, k=5))
    answered(page)
    page.emulate_media(media="print")
    assert page.locator("article .piece").first.is_visible()
    assert page.locator("article .source").first.is_visible()
    for gone in (".actions", ".choices", ".tools", ".ask"):
        assert page.locator(gone).first.is_hidden()
    assert "underline" in page.locator("mark").first.evaluate("m => getComputedStyle(m).textDecorationLine")


def test_nothing_moves_for_those_who_want_it_so(page: Page, served: Served) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(served.url(q=REFUND))
    answered(page)
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => { const s = getComputedStyle(e);"
        " return s.animationName !== 'none' || s.transitionDuration.split(', ').some(d => parseFloat(d) > 0) }).length"
    )
    assert moving == 0
