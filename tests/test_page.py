"""What the page shows of an answer: languages and directions, the closest sentence, context, groups, citations."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.browsing import REFUND, Served, answered, ask

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

RTL = {"fa", "ur", "he", "dv", "uz-Arab"}


def fetch(served: Served, path: str) -> Any:
    """Ask the server itself."""
    with urllib.request.urlopen(served.address + path, timeout=30) as answer:
        return json.load(answer)


def search(served: Served, query: str, **options: str | int) -> list[dict[str, Any]]:
    """Return the hits that the server gives."""
    from urllib.parse import urlencode

    hits: list[dict[str, Any]] = fetch(served, "search?" + urlencode({"q": query, **options}))["hits"]
    return hits


def texts(found: Locator) -> list[str]:
    return [text or "" for text in found.evaluate_all("all => all.map(one => one.textContent)")]


def one_space(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize(
    ("query", "lang"),
    [
        (REFUND, "en"),
        ("Kada grąžinami pinigai už internetu pirktą prekę?", "lt"),
        ("آن لائن خریدی ہوئی چیز کے پیسے کیسے واپس ملیں گے؟", "ur"),
        ("چگونه می‌توانم پولم را پس بگیرم؟", "fa"),
        ("నేను కొన్న వస్తువుకు డబ్బు వాపసు ఎలా పొందాలి?", "te"),
    ],
)
def test_every_result_says_its_language_and_direction(query: str, lang: str, page: Page, served: Served) -> None:
    page.goto(served.address)
    ask(page, query)
    shown = page.locator("article.entry").evaluate_all(
        "all => all.map(a => [a.dataset.passage, a.lang, a.dir, getComputedStyle(a.querySelector('.piece')).direction])"
    )
    hits = search(served, query)
    expected = [[hit["passage_id"], hit["lang"], *(2 * ["rtl" if hit["lang"] in RTL else "ltr"])] for hit in hits]
    assert shown == expected
    assert len({hit["lang"] for hit in hits}) > 1
    assert page.locator("#q").evaluate("q => getComputedStyle(q).direction") == ("rtl" if lang in RTL else "ltr")
    names = {"uz": "o‘zbek", "en": "English", "lt": "lietuvių", "ur": "اردو", "fa": "فارسی", "te": "తెలుగు"}
    assert names[lang] in (page.text_content("#seen") or "")
    assert page.locator(".badge").first.text_content() == names[hits[0]["lang"]]


def test_languages_of_any_script_side_by_side(page: Page, served: Served) -> None:
    langs = ["dv", "en", "fa", "he", "lt", "te", "ur", "uz", "uz-Arab"]
    page.goto(served.url(q=REFUND, group=1))
    answered(page)
    shown = page.locator("article.entry").evaluate_all("all => all.map(a => [a.lang, a.dir])")
    assert sorted(shown) == [[lang, "rtl" if lang in RTL else "ltr"] for lang in langs]
    # What the page itself says of a result is English and runs from left to right, wherever it stands.
    own = page.locator(".below").evaluate_all("all => all.map(b => [b.lang, b.dir, getComputedStyle(b).direction])")
    assert own == [["en", "ltr", "ltr"]] * len(langs)
    edges = page.locator(".spine").evaluate_all("all => all.map(s => Math.round(s.getBoundingClientRect().left))")
    assert len(set(edges)) == 1
    isolated = page.locator("bdi").evaluate_all("all => all.map(b => getComputedStyle(b).unicodeBidi)")
    assert set(isolated) == {"isolate"}
    face = "a => getComputedStyle(a.querySelector('.piece')).fontFamily"
    assert "Nastaliq" in page.locator("article[lang=ur]").evaluate(face)
    assert "Naskh" in page.locator("article[lang=fa]").evaluate(face)
    assert "Telugu" in page.locator("article[lang=te]").evaluate(face)
    heights = "a => parseFloat(getComputedStyle(a).lineHeight) / parseFloat(getComputedStyle(a).fontSize)"
    assert page.locator("article[lang=ur] .piece").evaluate(heights) >= 2
    # Nothing sticks out, at any width.
    page.click("#ranking summary")
    for width in (1200, 390, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    "query",
    ["When does the ferry to the island leave?", "the red fox by the river", "scribe in the margin", REFUND],
)
def test_the_closest_sentence_alone_is_marked(query: str, page: Page, served: Served) -> None:
    page.goto(served.url(q=query))
    answered(page)
    n_marks = 0
    for hit in search(served, query):
        begin, end = (offset - hit["start"] for offset in hit["highlight"])  # Python counts as the server does
        entry = page.locator(f"article[data-passage='{hit['passage_id']}']")
        assert "".join(texts(entry.locator(".piece"))) == hit["text"]
        marks = texts(entry.locator("mark"))
        if end - begin == len(hit["text"]) > 400:
            assert marks == []
            continue
        assert marks == [hit["text"][begin:end]]
        n_marks += 1
        before = entry.locator("mark").evaluate(
            "m => { const r = document.createRange(); r.setStart(m.closest('.piece'), 0); r.setEndBefore(m);"
            " return r.toString() }"
        )
        assert before == hit["text"][:begin]
    assert n_marks
    if "ferry" in query:
        assert "🦊🦊" in (page.locator(".piece").first.text_content() or "")
        assert texts(page.locator("mark"))[0].startswith("The ferry 🚢")


def test_chips_are_the_languages_of_the_index_and_filter(page: Page, served: Served) -> None:
    page.goto(served.address)
    page.wait_for_selector(".chip")
    held = fetch(served, "languages")["languages"]
    shown = page.locator(".chip").evaluate_all("all => all.map(c => [c.dataset.lang, c.ariaPressed])")
    assert shown == [["", "true"], *([one["lang"], "false"] for one in held)]
    counts = page.locator(".chip .count").evaluate_all("all => all.map(c => parseInt(c.textContent))")
    assert counts == [one["passages"] for one in held]
    assert page.locator(".chip[data-lang=te]").inner_text().split() == [
        "తెలుగు",
        "Telugu",
        str(counts[shown[1:].index(["te", "false"])]),
    ]
    page.click(".chip[data-lang=te]")
    page.click(".chip[data-lang=ur]")
    ask(page, REFUND)
    langs = set(page.locator("article.entry").evaluate_all("all => all.map(a => a.lang)"))
    assert langs == {"te", "ur"}
    page.click(".chip[data-lang=te]")
    page.wait_for_function("() => [...document.querySelectorAll('article.entry')].every(a => a.lang === 'ur')")
    assert page.evaluate("document.activeElement.dataset.lang") == "te"  # the keyboard stays where it was
    page.click(".chip[data-lang='']")
    page.wait_for_function("() => [...document.querySelectorAll('article.entry')].some(a => a.lang !== 'ur')")
    assert page.locator(".chip[aria-pressed=true]").count() == 1


def test_grouping_gives_the_best_of_each_language(page: Page, served: Served) -> None:
    page.goto(served.url(q=REFUND, lang="te,fa,lt,ur"))
    answered(page)
    page.click("#group")
    page.wait_for_selector(".group")
    hits = search(served, REFUND, lang="te,fa,lt,ur", per_language=3)
    order = list(dict.fromkeys(hit["lang"] for hit in hits))
    assert page.locator(".group-name bdi").evaluate_all("all => all.map(b => b.lang)") == order
    for place, lang in enumerate(order):
        group = page.locator(".group").nth(place)
        ids = group.locator("article").evaluate_all("all => all.map(a => a.dataset.passage)")
        assert ids == [hit["passage_id"] for hit in hits if hit["lang"] == lang]
    assert page.text_content("#status") == "12 passages in 4 languages"
    page.click("#ranking summary")
    page.select_option("#many", "1")
    page.wait_for_function("() => document.querySelectorAll('article').length === 4")
    assert "group=1" in page.url
    page.click("#group")
    page.wait_for_function("() => document.querySelectorAll('#found > ol article').length === 10")


def test_context_grows_and_nothing_is_said_twice(page: Page, served: Served) -> None:
    from index.sample_corpus import SAMPLES

    page.goto(served.url(q="Kaip dėžės nukentėjo paštomate?", lang="lt"))
    answered(page)
    entry = page.locator("article", has_text="11-parcel-lockers").first
    source = next(SAMPLES.glob("lt/11-*")).read_text("utf-8")
    own = one_space(" ".join(texts(entry.locator(".piece"))))
    shown = [own]
    for _ in range(9):
        if entry.locator(".more").get_attribute("aria-disabled") == "true":
            break
        n_before = entry.locator(".piece").count()
        entry.locator(".more").click()
        page.wait_for_function(
            "([a, n]) => a.querySelectorAll('.piece').length > n || a.querySelector('.more').ariaDisabled === 'true'",
            arg=[entry.element_handle(), n_before],
        )
        shown.append(one_space(" ".join(texts(entry.locator(".piece")))))
        assert shown[-1] in one_space(source)  # as the document has it: no sentence repeated, none left out
        assert shown[-2] in shown[-1]
        assert one_space(texts(entry.locator(".piece.own"))[0]) == own
        assert entry.locator("mark").count() == 1
    assert len(shown) > 2
    assert shown[-1] == one_space(source)
    assert entry.locator(".more").inner_text() == "No more text around it"
    entry.get_by_role("button", name="Less").click()
    assert one_space(" ".join(texts(entry.locator(".piece")))) == own
    assert entry.locator(".more").inner_text() == "More context"


def test_context_in_another_language_has_its_own_direction(page: Page, served: Served) -> None:
    page.goto(served.url(q="When are the tide tables of the harbour printed?", lang="en", k=3))
    answered(page)
    entry = page.locator("article", has_text="mixed.txt").first
    assert (entry.get_attribute("lang"), entry.get_attribute("dir")) == ("en", "ltr")
    for _ in range(3):
        if entry.locator(".piece[lang=fa]").count():
            break
        entry.locator(".more").click()
        page.wait_for_timeout(200)
    other = entry.locator(".piece[lang=fa]").first
    assert other.evaluate("p => [p.dir, getComputedStyle(p).direction, getComputedStyle(p).unicodeBidi]") == [
        *("rtl", "rtl", "isolate")
    ]
    assert "Naskh" in other.evaluate("p => getComputedStyle(p).fontFamily")


def test_locators_are_told_also_within_context(page: Page, served: Served) -> None:
    query = "When did a storm break the lamp of the lighthouse?"
    page.goto(served.url(q=query, k=5))
    answered(page)
    (hit,) = [one for one in search(served, query, k=5) if one["source"] == "odd/talk.srt"]
    assert hit["locator"] == "t=61.5"
    assert page.locator("article", has_text="talk.srt").locator(".locator").inner_text() == "1:01"
    told = page.evaluate(
        """async given => { const { toldLocator } = await import("./web/text.js"); return given.map(toldLocator) }""",
        ["page=3", "slide=4", "chapter=2", "t=61.5", "t=3723", "t=0", "", "page=x", "<b>"],
    )
    assert told == ["p. 3", "slide 4", "ch. 2", "1:01", "1:02:03", "0:00", "", "", ""]


def test_other_places_of_the_same_passage(page: Page, served: Served) -> None:
    page.goto(served.url(q="When is the museum of bicycles closed?", k=5))
    answered(page)
    entry = page.locator("article", has_text="bicycles").first
    assert entry.locator(".also summary").inner_text() == "Also in 2 other places"
    entry.locator(".also summary").click()
    assert entry.locator(".also li").all_inner_texts() == ["odd/two.txt · two", "odd/three.txt · three"]


def test_a_score_is_explained_when_asked(page: Page, served: Served) -> None:
    query = "ferry to the island"
    page.goto(served.url(q=query))
    answered(page)
    hit = search(served, query, explain="true")[0]
    entry = page.locator("article.entry").first
    assert "explain" not in page.url
    entry.get_by_role("button", name="Why this?").click()
    page.wait_for_selector(".reasons table")
    values = [float(text.replace("−", "-")) for text in entry.locator(".value").all_inner_texts()]
    assert values == pytest.approx([hit["dense"], hit["balance"], hit["lexical"], hit["score"]], abs=6e-4)
    assert entry.locator(".terms li").all_inner_texts() == hit["terms"]
    assert entry.get_by_role("button", name="Why this?").get_attribute("aria-expanded") == "true"
    entry.get_by_role("button", name="Why this?").click()
    assert not entry.locator(".reasons").is_visible()


CITED = "When did a storm break the lamp of the lighthouse?"


def citation_of(hit: dict[str, Any]) -> Sequence[str]:
    begin, end = (offset - hit["start"] for offset in hit["highlight"])
    return [f"“{one_space(hit['text'][begin:end])}”", hit["title"], "odd/talk.srt talk, 1:01"]


def test_a_citation_is_copied(page: Page, served: Served) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(served.url(q=CITED, k=5))
    answered(page)
    page.locator("article", has_text="talk.srt").get_by_role("button", name="Copy citation").click()
    page.wait_for_function("() => document.getElementById('toast').textContent === 'Citation copied.'")
    (hit,) = [one for one in search(served, CITED, k=5) if one["source"] == "odd/talk.srt"]
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == citation_of(hit)


def test_a_citation_is_copied_without_a_clipboard_interface(page: Page, served: Served) -> None:
    # As browsers have it on a page that comes neither from this machine nor by https.
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(served.url(q=CITED, k=5))
    answered(page)
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(document.activeElement.value) })")
    entry = page.locator("article", has_text="talk.srt")
    entry.get_by_role("button", name="Copy citation").click()
    page.wait_for_function("() => document.getElementById('toast').textContent === 'Citation copied.'")
    (hit,) = [one for one in search(served, CITED, k=5) if one["source"] == "odd/talk.srt"]
    assert page.evaluate("window.copied").splitlines() == citation_of(hit)
    # And where the browser lets nobody copy at all, it is there to be copied by hand.
    page.evaluate("document.execCommand = () => false")
    entry.get_by_role("button", name="Copy citation").click()
    assert page.input_value(".by-hand").splitlines() == citation_of(hit)
    assert page.evaluate("getSelection().toString() || document.activeElement.className") != ""
