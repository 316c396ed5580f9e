"""The page when something is wrong: keys, a busy or absent server, nothing found, hostile documents."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browsing import IMAGE, KEY, REFUND, SCRIPT, answered, ask, serving, wait_until_free, watched_page

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

    from tests.browsing import Served

MARKUP = "harmful zebra markup"


def test_a_document_is_text_whatever_stands_in_it(browser: Browser, served: Served) -> None:
    context = browser.new_context()
    page, watch = watched_page(context, served.address, stops=True)
    page.goto(served.url(q=MARKUP, k=5))
    answered(page)
    entry = page.locator("article", has_text="zebra").first
    assert entry.locator(".title").inner_text() == f"{IMAGE}{SCRIPT}"
    assert (
        f"{SCRIPT} Harmful zebra markup {IMAGE} stands in this <b>text</b> &amp;"
        in entry.locator(".piece").inner_text()
    )
    assert entry.locator(".where").inner_text() == f"odd/{SCRIPT}.jsonl · {IMAGE}7"
    entry.get_by_role("button", name="Why this?").click()
    page.wait_for_selector(".reasons table")
    assert f"<i>{SCRIPT}" in entry.locator(".reasons").inner_text()
    entry.locator(".more").click()
    page.wait_for_function("() => document.querySelector('.more').ariaDisabled === 'true'")
    page.fill("#q", f"{SCRIPT}{IMAGE}")
    page.press("#q", "Enter")
    page.wait_for_function("() => document.title.startsWith('<script>')")
    answered(page)
    assert page.locator("article img, article script, article b, article i, article a").count() == 0
    assert page.evaluate("window.harmed") is None
    assert page.locator("script").evaluate_all("all => all.map(s => s.getAttribute('src'))") == [
        "web/theme.js",
        "web/app.js",
    ]
    context.close()
    watch.check()
    assert watch.asked  # the one who watches was awake


def test_the_policies_are_in_force(browser: Browser, served: Served) -> None:
    context = browser.new_context()
    page, watch = watched_page(context, served.address)
    answer = page.goto(served.address)
    assert answer is not None
    policy = answer.header_value("content-security-policy") or ""
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    page.wait_for_selector(".chip")
    broken = page.evaluate(
        """async () => {
          const told = [];
          document.addEventListener("securitypolicyviolation", event => told.push(event.effectiveDirective));
          const script = document.createElement("script");
          try { script.textContent = "window.harmed = 1" } catch { told.push("no inline script") }
          try { document.body.innerHTML += "" } catch { told.push("no markup") }
          await new Promise(done => setTimeout(done, 100));
          return told;
        }"""
    )
    context.close()
    assert {"no inline script", "no markup", "require-trusted-types-for"} <= set(broken)
    assert watch.complaints  # the one who watches hears of what is refused


def test_a_page_asks_no_other_host(browser: Browser, served: Served) -> None:
    context = browser.new_context()
    page, watch = watched_page(context, served.address, stops=True)
    page.goto(served.address)
    ask(page, REFUND)
    page.locator(".more").first.click()
    page.wait_for_function("() => document.querySelector('.in-context, .more[aria-disabled=true]')")
    page.click("#help-open")
    context.close()
    watch.check()
    paths = {urlsplit(one).path.split("/")[1] for one in watch.asked}
    assert paths <= {"", "web", "search", "languages", "passages", "favicon.ico"}
    assert {"", "web", "search", "languages", "passages"} <= paths


def test_the_key_is_asked_for_kept_and_forgotten(browser: Browser, page_index: Path) -> None:
    with serving(page_index, TONGUES_API_KEY=KEY) as served:
        context = browser.new_context()
        page, watch = watched_page(context, served.address)
        page.goto(served.address)
        page.wait_for_selector("#key")  # also before anything is asked
        page.goto(served.url(q="ferry"))
        page.wait_for_selector("#key")
        assert page.evaluate("document.activeElement.id") == "key"
        assert page.locator("article").count() == 0
        page.fill("#key", "this-is-not-the-right-key")
        page.press("#key", "Enter")
        page.wait_for_function("() => document.getElementById('problem').textContent.includes('was not accepted')")
        page.fill("#key", "ключ")  # no header can carry it
        page.press("#key", "Enter")
        assert page.locator("#key").is_visible()
        page.fill("#key", f"  {KEY} ")
        page.press("#key", "Enter")
        answered(page)
        page.wait_for_selector(".chip")
        page.locator(".more").first.click()
        page.wait_for_function("() => document.querySelector('.in-context, .more[aria-disabled=true]')")
        kept = page.evaluate(
            "[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie, location.href]"
        )
        assert KEY in kept[0]
        assert KEY not in "".join(kept[1:])
        page.reload()
        answered(page)
        page.click("#forget")
        page.wait_for_selector("#key")
        assert page.evaluate("sessionStorage.length") == 0
        assert page.locator("article").count() == 0
        assert page.locator("#forget").is_hidden()
        assert page.locator(".chip").count() == 0
        assert not [path for path in watch.asked if KEY in path]
        context.close()
        watch.check()


def test_a_server_that_is_gone_and_comes_back(browser: Browser, page_index: Path) -> None:
    context = browser.new_context()
    with serving(page_index) as served:
        page, watch = watched_page(context, served.address)
        page.goto(served.address)
        ask(page, "ferry")
        served.end()
        wait_until_free(served.address)
        page.locator(".more").first.click()
        page.wait_for_function("() => document.querySelector('.trouble').textContent.includes('does not answer')")
        page.fill("#q", "island")
        page.press("#q", "Enter")
        page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem-title") == "The server does not answer"
    assert "tongues serve --index DIR" in page.inner_text("#problem")
    assert page.text_content("#status") == "The server does not answer"
    assert page.locator("article").count() == 0
    with serving(page_index, port=urlsplit(served.address).port or 0):
        page.get_by_role("button", name="Try again").click()
        answered(page)
        assert page.locator("#problem").is_hidden()
        context.close()
    watch.check()


def test_a_busy_server_is_asked_again_by_itself(page: Page, served: Served) -> None:
    answers = [429, 503]

    def turn_away(route: Route) -> None:
        if answers:
            route.fulfill(status=answers.pop(0), headers={"Retry-After": "1"}, json={"error": "busy"})
        else:
            route.continue_()

    page.route("**/search?*", turn_away)
    page.goto(served.url(q="ferry"))
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem-title") == "The server is busy"
    assert page.inner_text("#problem p") == "Trying again in 1 second."
    page.wait_for_function(
        "() => document.getElementById('problem-title')?.textContent === 'The server is getting ready'"
    )
    answered(page)
    assert page.locator("#problem").is_hidden()


def test_a_server_that_stays_busy_is_left_alone_after_some_tries(page: Page, served: Served) -> None:
    page.clock.install()
    asked = []

    def turn_away(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=429, headers={"Retry-After": "3"}, json={"error": "busy"})

    page.route("**/search?*", turn_away)
    page.goto(served.url(q="ferry"))
    for _ in range(20):
        page.clock.run_for(1000)
        page.wait_for_timeout(20)
    page.wait_for_function("() => document.getElementById('problem').textContent.includes('stayed busy')")
    assert len(asked) == 6
    page.unroute("**/search?*")
    page.get_by_role("button", name="Try again").click()
    answered(page)


@pytest.mark.parametrize("content", ["<html>proxy error</html>", '{"error": 3}', "", '{"error": "no passages.sqlite"}'])
def test_a_server_that_fails(content: str, page: Page, served: Served) -> None:
    page.route("**/search?*", lambda route: route.fulfill(status=500, body=content))
    page.goto(served.url(q="ferry"))
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem-title") == "Something went wrong on the server"
    assert "tongues verify" in page.inner_text("#problem") or "no passages.sqlite" in page.inner_text("#problem")
    page.unroute("**/search?*")
    page.get_by_role("button", name="Try again").click()
    answered(page)


@pytest.mark.parametrize(("status", "content"), [(403, ""), (404, "<html>proxy</html>"), (413, "{}"), (422, "[]")])
def test_a_refusal_that_is_not_the_servers_own_is_told_too(
    status: int, content: str, page: Page, served: Served
) -> None:
    page.route("**/search?*", lambda route: route.fulfill(status=status, body=content))
    page.goto(served.url(q="ferry"))
    page.wait_for_selector("#problem:not([hidden])")
    if status == 403:  # as if by a key that is not accepted
        assert page.locator("#key").is_visible()
        return
    assert page.inner_text("#problem-title") == "The server cannot answer this"
    assert page.inner_text("#problem p").startswith("It did not say why")
    page.unroute("**/search?*")
    page.get_by_role("button", name="Try again").click()
    answered(page)


@pytest.mark.parametrize(
    ("status", "told"), [(422, "That is the most around it"), (404, "no passage has this id"), (413, "no passage")]
)
def test_only_the_limit_of_the_context_is_told_as_such(status: int, told: str, page: Page, served: Served) -> None:
    error = {"error": "no passage has this id"}
    page.goto(served.url(q="Kaip dėžės nukentėjo paštomate?", lang="lt"))
    answered(page)
    page.route("**/passages/*context=2*", lambda route: route.fulfill(status=status, json=error))
    entry = page.locator("article", has_text="11-parcel-lockers").first
    entry.locator(".more").click()
    page.wait_for_selector(".in-context")
    entry.locator(".more").click()
    page.wait_for_function("told => document.getElementById('found').textContent.includes(told)", arg=told)


def test_what_the_server_refuses_is_told_in_its_words(page: Page, served: Served) -> None:
    page.goto(served.url(q="ferry", lang="te,xx"))
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem-title") == "The server cannot answer this"
    assert "xx" in page.inner_text("#problem p")
    assert page.locator(".chip[data-lang=xx]").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Search all languages").click()
    answered(page)
    assert page.locator(".chip[data-lang=xx]").count() == 0
    assert "lang" not in urlsplit(page.url).query


def test_nothing_found_says_why(page: Page, served: Served) -> None:
    page.goto(served.url(q="qqqzzz", mode="lexical"))
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem-title") == "Nothing found"
    assert page.text_content("#status") == "Nothing found"
    page.get_by_role("button", name="Search by meaning too").click()
    answered(page)
    assert page.input_value("#mode") == "hybrid"
    page.fill("#q", "   ")
    page.press("#q", "Enter")
    assert page.text_content("#toast") == "Type a question first, in any language."


def test_a_notice_is_shown(page: Page, served: Served) -> None:
    def tell(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(json={**answer.json(), "notice": "No <b>words</b> to rank by."})

    page.route("**/search?*", tell)
    page.goto(served.url(q="ferry"))
    answered(page)
    assert page.inner_text("#notice") == "No <b>words</b> to rank by."


def test_a_page_without_storage_works(page: Page, served: Served) -> None:
    refuse = "{ get() { throw new DOMException('denied', 'SecurityError') } }"
    page.add_init_script(
        f"for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, {refuse})"
    )
    page.goto(served.url(q="ferry"))
    answered(page)
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: light"
