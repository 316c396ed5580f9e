"""Colour: when there is any, and that it only ever goes around what is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.hits import Hit
from search.paint import PLAIN, Look, Paint, looks
from search.passage_context import Neighbour, PassageInContext
from search.render import render_answer, render_hits, snippet, snippet_runs
from search.render_passage import render_passage
from tests.builds import ROOT, environment

ON = Paint(is_on=True)
FSI, PDI = "\u2068", "\u2069"
MARK = re.compile("\x1b\\[[0-9;]*m")


def hit(text: str, **changes: object) -> Hit:
    fields: dict[str, object] = {"query": "bread rotti", "rank": 1, "score": 0.5, "lang": "en", "source": "a.md"}
    fields |= {"doc_id": "a.md", "title": "", "passage_id": "0" * 20, "start": 10, "end": 10 + len(text), "text": text}
    return Hit(**{**fields, **changes})  # type: ignore[arg-type]


def bare(line: str) -> str:
    return MARK.sub("", line)


def test_the_closest_sentence_and_words_stand_out() -> None:
    given = hit("One first. A bread here. And last.", highlight=(21, 34))
    line = list(render_hits([given], width=80, paint=ON))[1]
    assert line == "     … \x1b[1mA \x1b[0m\x1b[1;33mbread\x1b[0m\x1b[1m here.\x1b[0m And last."
    whole = hit("A bread here.", highlight=(10, 23))
    assert list(render_hits([whole], width=80, paint=ON))[1] == "     A \x1b[1;33mbread\x1b[0m here."


def test_words_are_those_that_are_the_same_to_the_search() -> None:
    given = hit("నాణ్యత BREADS кот", query="bread నాణ్యత")
    line = list(render_hits([given], width=80, paint=ON))[1]
    assert line == "     \x1b[1;33mనాణ్యత\x1b[0m \x1b[1;33mBREADS\x1b[0m кот"


def test_marks_of_right_to_left_text_stay_within_its_isolate() -> None:
    text = "جمله نخست این است. نان تازه اینجاست."
    given = hit(text, query="نان", lang="fa", title="عنوان", source="نامه.md", doc_id="نامه.md", highlight=(29, 46))
    for line in render_answer("نان", "fa", [given], width=80, grouped=True, paint=ON):
        depth = is_open = 0
        for mark in re.findall(f"{FSI}|{PDI}|{MARK.pattern}", line):
            if mark in (FSI, PDI):
                assert not is_open or mark == FSI or depth == is_open  # closed where it was opened
                depth += 1 if mark == FSI else -1
            else:
                is_open = 0 if mark == "\x1b[0m" else depth + 1
        assert (depth, is_open) == (0, 0)
    painted = list(render_hits([given], width=80, paint=ON))[2]
    assert painted.startswith(f"     {FSI}… \x1b[1;33mنان\x1b[0m\x1b[1m تازه")
    assert painted.endswith(f"\x1b[0m{PDI}")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(texts, texts, st.integers(0, 60), st.integers(0, 60))
def test_without_its_marks_a_painted_answer_is_the_plain_one(text: str, query: str, begin: int, end: int) -> None:
    one = hit(text, query=query, title=query, source=text, highlight=(10 + begin, 10 + end), terms=(query,))
    options = {"width": 40, "grouped": True, "explain": True}
    painted = render_answer(query, "en", [one], **options, paint=ON)  # type: ignore[arg-type]
    assert list(map(bare, painted)) == render_answer(query, "en", [one], **options)  # type: ignore[arg-type]
    for line in painted:
        assert line.count("\x1b[0m") * 2 == line.count("\x1b")
    neighbours = (Neighbour("1" * 20, "en", 5, 12, text),)
    found = PassageInContext("0" * 20, "en", text, "d", query, 10, 10 + len(text), text, before=neighbours)
    assert list(map(bare, render_passage(found, one, ON))) == render_passage(found, one)


@given(texts, st.integers(1, 40), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4))
def test_runs_of_a_snippet_are_the_snippet(text: str, width: int, places: list[tuple[int, int]]) -> None:
    spans = [(min(place), max(place), Look.WORD) for place in places]
    assert "".join(run for run, _ in snippet_runs(text, width, spans)) == snippet(text, width)
    assert "".join(run for run, _ in looks(text, 0, len(text), spans)) == text


def test_a_passage_is_shown_whole_between_its_neighbours() -> None:
    text = "Bread is here.\n\nAnd a second line.\tEnd."
    before = Neighbour("1" * 20, "en", 0, 16, "The one. Shared.")
    after = Neighbour("2" * 20, "en", 9 + 34, 70, "\tEnd. What comes after.")
    found = PassageInContext(
        "0" * 20,
        "en",
        "docs/a.md",
        "a.md",
        "A  title",
        9,
        9 + len(text),
        text,
        locator="page=3",
        metadata={"year": 2024},
        n_places=3,
        before=(before,),
        after=(after,),
    )
    one = replace(hit(text), start=9, end=9 + len(text), highlight=(9, 23), rank=4)
    assert render_passage(found, one) == [
        "  4  0.500  en  docs/a.md p. 3",
        "     A title",
        "     The one.",
        "     Bread is here.",
        "",
        "     And a second line. End.",
        "     What comes after.",
        "     year: 2024",
        "     and in 2 more places",
    ]


@pytest.mark.parametrize(
    ("when", "changes", "is_on"),
    [
        ("auto", {}, False),  # no terminal
        ("always", {}, True),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", {}, False),
    ],
)
def test_when_there_is_colour(when: str, changes: dict[str, str], is_on: bool) -> None:
    code = f"from search.paint import paint_for; print(paint_for({when!r}).is_on)"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment(**changes), capture_output=True, cwd=ROOT, check=True
    )
    assert shown.stdout.decode().strip() == str(is_on)


def test_nothing_is_painted_without_colour() -> None:
    assert (PLAIN("a", Look.OK), ON("", Look.OK), ON("a", Look.OK)) == ("a", "", "\x1b[32ma\x1b[0m")
