"""Offsets, stitching and lines on the page against Python's own: characters of any kind, passages that overlap."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browsing import Served

LETTERS = "aб جए🦊𐍅 \n\r\t#-.\u0301\u200f\u2028&<"
N_CASES = 300


def some_text(chance: random.Random, longest: int) -> str:
    text = "".join(chance.choices(LETTERS, k=chance.randrange(longest)))
    return chance.choice(["", "# ", "Title\n\n", "x" * 60 + "\n"]) + text


def passage(text: str, start: int, end: int) -> dict[str, Any]:
    return {"passage_id": f"{start}", "lang": "en", "start": start, "end": end, "text": text[start:end], "locator": ""}


def test_any_text_is_written_unchanged_and_marked_exactly(page: Page, served: Served) -> None:
    chance = random.Random(1)
    cases: list[dict[str, Any]] = []
    for _ in range(N_CASES):
        text = some_text(chance, 80)
        begin, end = sorted(chance.choices(range(len(text) + 1), k=2))
        cases.append({"text": text, "from": begin, "to": end, "title": chance.choice(["", "Title", "aб"])})
    page.goto(served.address)
    shown = page.evaluate(
        """async cases => {
          const { writeText } = await import("./web/text.js");
          return cases.map(({ text, ...how }) => {
            const one = document.createElement("div");
            writeText(one, text, how);
            const marks = [...one.querySelectorAll("mark")];
            const before = document.createRange();
            before.setStart(one, 0);
            if (marks.length) before.setEndBefore(marks[0]);
            const hidden = marks.some(m => m.querySelector(".said"));
            return [one.textContent, marks.map(m => m.textContent), marks.length ? before.toString() : "", hidden];
          });
        }""",
        cases,
    )
    for case, found in zip(cases, shown, strict=True):
        text, begin, end = case["text"], case["from"], case["to"]
        marked = [text[begin:end]] if end > begin else []
        assert found == [text, marked, text[:begin] if marked else "", False], case


def test_passages_are_stitched_as_the_document_has_them(page: Page, served: Served) -> None:
    chance = random.Random(2)
    cases: list[dict[str, Any]] = []
    texts = []
    for _ in range(N_CASES):
        text = some_text(chance, 300) + "end"
        spans = [(0, 0)]
        while spans[-1][1] < len(text):
            # The next one begins within the last, right after it, or some characters later.
            start = min(
                max(spans[-1][1] + chance.randrange(-9, 4), spans[-1][0] + 1 if spans[1:] else 0), len(text) - 1
            )
            end = min(max(start + chance.randrange(1, 40), spans[-1][1] + 1), len(text))
            spans.append((start, end))
        pieces = [passage(text, *span) for span in spans[1:]]
        at = chance.randrange(len(pieces))
        n = chance.randrange(4)
        cases.append({**pieces[at], "before": pieces[max(0, at - n) : at], "after": pieces[at + 1 : at + 1 + n]})
        texts.append(text)
    page.goto(served.address)
    shown = page.evaluate(
        """async cases => {
          const { stitch } = await import("./web/text.js");
          return cases.map(one => stitch(one).map(({ start, text, gap }) => [start, text, gap]));
        }""",
        cases,
    )
    n_cut = 0
    for text, case, found in zip(texts, cases, shown, strict=True):
        end = found[0][0]
        covered: set[int] = set()
        for start, piece, gap in found:
            assert start == end + gap  # nothing twice, and what lies between is counted
            end = start + len(piece)
            assert text[start:end] == piece
            covered.update(range(start, end))
        assert [case["start"], case["text"]] in [[start, piece] for start, piece, _ in found]
        given = [case, *case["before"], *case["after"]]
        assert covered == {at for one in given for at in range(one["start"], one["end"])}
        n_cut += len(covered) < sum(len(one["text"]) for one in given)
    assert n_cut > N_CASES // 3
