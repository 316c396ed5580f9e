"""Hits as text for people: directions isolated, nothing that steers a terminal, the document's words unchanged."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.stored import Occurrence
from search.hits import Hit
from search.render import columns, isolate, json_line, printable, render_answer, render_hits, snippet

FSI, PDI = "\u2068", "\u2069"
OPENERS = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"


def hit(text: str = "some text", **changes: object) -> Hit:
    fields: dict[str, object] = {
        "query": "q",
        "rank": 1,
        "score": 0.87654,
        "lang": "en",
        "source": "docs/a.md",
        "doc_id": "a.md",
        "title": "",
        "passage_id": "0" * 20,
        "start": 3,
        "end": 12,
        "text": text,
    }
    return Hit(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_hit_is_one_block() -> None:
    assert list(render_hits([hit()], width=80)) == [
        "  1  0.877  en  docs/a.md:3-12",
        "     some text",
    ]


@pytest.mark.parametrize(
    ("highlight", "shown"),
    [
        ((3, 40), "First one. Second one! Third one?"),
        ((14, 25), "… Second one! Third one?"),
        ((26, 36), "… Third one?"),
        ((25, 26), "… Third one?"),
        ((0, 0), "First one. Second one! Third one?"),  # a hit made by hand
        ((99, 120), "First one. Second one! Third one?"),
    ],
)
def test_what_is_shown_begins_with_the_closest_sentence(highlight: tuple[int, int], shown: str) -> None:
    given = hit("First one. Second one! Third one?", start=3, end=36, highlight=highlight)
    head, text = render_hits([given], width=80)
    assert head.endswith(":3-36")
    assert text == f"     {shown}"


def test_a_closest_sentence_is_cut_like_any_text_and_isolated() -> None:
    text = "نخست. " + "کیفیت خدمات " * 30
    (line,) = list(render_hits([hit(text, start=10, highlight=(16, 400))], width=40))[1:]
    assert line.startswith(f"     {FSI}… کیفیت خدمات")
    assert line.endswith(f" …{PDI}")
    assert columns(line) <= 5 + 2 * 40 - 12 + 4
    assert text.startswith("نخست")


def test_a_title_is_shown_unless_the_text_shown_begins_with_it() -> None:
    titled = hit("Title\n\nFirst one. Second one!", title="Title", start=0, highlight=(0, 17))
    assert len(list(render_hits([titled], width=80))) == 2
    later = hit("Title\n\nFirst one. Second one!", title="Title", start=0, highlight=(18, 29))
    assert list(render_hits([later], width=80))[1:] == ["     Title", "     … Second one!"]


def test_what_a_score_is_made_of() -> None:
    given = hit(dense=0.8123, balance=-0.0126, lexical=0.0004, terms=("text", "کیفیت", "a\x1b\u202e"))
    assert list(render_hits([given], width=80, explain=True))[2:] == [
        f"     dense 0.812  balance -0.013  lexical +0.000  words: text, {FSI}کیفیت{PDI}, a"
    ]
    bare = list(render_hits([hit(dense=-0.5)], width=80, explain=True))
    assert bare[2:] == ["     dense -0.500  balance +0.000  lexical +0.000"]
    assert list(render_hits([given], width=80)) == list(render_hits([given], width=80, explain=True))[:2]
    assert render_answer("q", "en", [given], width=80, grouped=False, explain=True)[1:] == list(
        render_hits([given], width=80, explain=True)
    )


def test_right_to_left_text_is_isolated() -> None:
    lines = list(render_hits([hit("کیفیت خدمات", lang="fa", title="عنوان", source="اسناد/نامه.md")], width=80))
    assert lines == [
        f"  1  0.877  fa  {FSI}اسناد/نامه.md a.md{PDI}:3-12",
        f"     {FSI}عنوان{PDI}",
        f"     {FSI}کیفیت خدمات{PDI}",
    ]


@pytest.mark.parametrize(
    ("source", "doc_id", "shown"),
    [
        ("docs/a.md", "a.md", "docs/a.md"),
        ("a.md", "a.md", "a.md"),
        ("docs/sub/a.md", "sub/a.md", "docs/sub/a.md"),
        ("rows.csv", "v", "rows.csv v"),
        ("rows.jsonl", "7", "rows.jsonl 7"),
    ],
)
def test_the_id_is_shown_unless_it_is_the_files_name(source: str, doc_id: str, shown: str) -> None:
    assert next(render_hits([hit(source=source, doc_id=doc_id)], width=80)).endswith(f"  {shown}:3-12")


def test_titles_are_shown_once() -> None:
    assert len(list(render_hits([hit("# Title\nand text", title="Title")], width=80))) == 2
    assert len(list(render_hits([hit("and text", title="Title")], width=80))) == 3
    long = "word " * 50
    assert list(render_hits([hit(title=long)], width=80))[1].endswith("word …")


def test_languages_are_headed_when_grouped() -> None:
    hits = [hit(lang="te"), hit(lang="te", rank=2), hit(lang="lt")]
    heads = [line for line in render_hits(hits, width=80, grouped=True) if line.startswith("──")]
    assert heads == ["── te ──", "── lt ──"]
    assert not any(line.startswith("──") for line in render_hits(hits, width=80))


def test_other_places_are_counted() -> None:
    place = Occurrence("b.md", "b.md", "", 0, 9)
    assert next(render_hits([hit(also_in=(place, place), n_places=1235)], width=80)).endswith(":3-12 (+1,234 more)")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text())
def test_nothing_escapes_its_isolate(text: str, title: str) -> None:
    for line in render_hits([hit(text, title=title, source=text, doc_id=title)], width=40):
        assert len(line.splitlines()) == 1
        assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in line)
        assert (line.count(FSI), line.count(PDI)) in ((0, 0), (1, 1))
        inside = line.split(FSI)[-1].split(PDI)[0]
        assert not set(inside) & set(OPENERS)


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert isolate("a\x1b[31mb\x07\u202ec\u2069d\u2029e\x9bf\x7fg\rh") == "a[31mbcdefgh"
    assert printable("x.txt\x1b]0;title\x07: \u2067bad\n") == "x.txt]0;title: bad"
    assert isolate("نیم\u200cفاصله") == f"{FSI}نیم\u200cفاصله{PDI}"  # a joiner belongs to the word


@given(st.text())
def test_json_is_the_same_and_steers_no_terminal(text: str) -> None:
    steering = "\x1b[2J\x7f\x9b31m\u202e\u2066\u2028"
    line = json_line({"text": f"žąsis {text}{steering}"})
    assert json.loads(line) == {"text": f"žąsis {text}{steering}"}
    assert printable(line) == line
    assert line.startswith('{"text": "žąsis ')


@given(st.text(), st.integers(1, 60))
def test_a_snippet_is_the_first_words_unchanged(text: str, width: int) -> None:
    words = text.split()
    shown = snippet(text, width).split(" ") if words else []
    goes_on = shown[-1:] == ["…"] and len(shown) <= len(words)
    kept = shown[:-1] if goes_on else shown
    assert kept == words[: len(kept)]
    assert goes_on or kept == words
    assert len(kept) <= 1 or columns(" ".join(kept)) <= width


def test_snippets() -> None:
    assert snippet("one two three", 13) == "one two three"
    assert snippet("one two three", 12) == "one two …"
    assert snippet("  one\n\ttwo\u2029three ", 99) == "one two three"
    assert snippet("Donaudampfschiff fährt", 4) == "Donaudampfschiff …"
    assert snippet("", 4) == ""


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("abc", 3),
        ("తె", 1),  # a consonant and its vowel sign
        ("స్త్రీ", 3),
        ("ž", 1),
        ("z\u030c", 1),
        ("کتاب", 4),
        ("می\u200cخواهم", 7),
        ("日本", 4),
        ("", 0),
    ],
)
def test_columns(text: str, n: int) -> None:
    assert columns(text) == n
