"""From documents to passages: sizes, places, headings, languages."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index.chunking import Chunker, CountTokens
from index.config import ChunkSettings
from index.records import Document, Passage
from index.text import find_left_out
from tests.toys import ToyEncoder

WORDS = ToyEncoder().count_tokens


def count_letters(texts: Sequence[str]) -> list[int]:
    """Count every visible character as a token, so that long words must be cut."""
    return [len("".join(text.split())) for text in texts]


def chunk(
    text: str,
    max_tokens: int = 16,
    *,
    overlap: int = 0,
    count: CountTokens = WORDS,
    model_tokens: int = 512,
    title: str = "",
    lang: str = "",
) -> list[Passage]:
    document = Document("d", "s", text, title=title, lang=lang)
    passages, _ = Chunker(ChunkSettings(max_tokens, overlap), count, model_tokens).chunk(document)
    return passages


def texts(passages: Sequence[Passage]) -> list[str]:
    return [passage.text for passage in passages]


def sentences(n: int, words: int = 5) -> list[str]:
    """Return n sentences of so many words, all different."""
    return [f"Sakinys {' '.join(f'žodis{i}' for _ in range(words - 2))} baigtas{i}." for i in range(n)]


LINE = st.sampled_from(
    [
        "",
        " ",
        "# Skyrius",
        "Antraštė be taško",
        "## Labai ilga antraštė " + "žodis " * 20,
        "Trumpas sakinys.",
        "Ilgas sakinys, kuris turi tikrai daug žodžių ir todėl nelabai telpa. Kitas sakinys! O gal ne?",
        "- sąrašo eilutė",
        "{{ x }}",
        "Turinys:",
        "Tas pats pavadinimas",
        "ఇది తెలుగు వాక్యం. ఇది మరొక వాక్యం, కొంచెం పెద్దది.",
        "این یک جملهٔ فارسی است. آیا این هم جمله است؟ بله.",
        "x" * 50,
        "ž. " * 12,
        "***",
        "\u200b",
    ]
)
ANY_TEXT = st.text(max_size=300) | st.lists(LINE, max_size=20).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\n\n", "\r"]).map(lambda end: end.join(lines))
)


@settings(max_examples=150, deadline=None)
@given(
    ANY_TEXT,
    st.sampled_from([WORDS, count_letters]),
    st.integers(16, 40),
    st.integers(0, 2),
    st.sampled_from(["", "A b"]),
)
@example("Pirmas\n{{ x }}\nAntras sakinys.", WORDS, 16, 0, "")
@example("Vienas\n\nDu\n\n" * 20 + "{{ x }}\nTekstas.", WORDS, 16, 0, "Pavadinimas")
@example("# " + "ilga " * 40 + "\n\nTekstas.", WORDS, 16, 1, "ilgas pavadinimas " * 20)
def test_any_text(text: str, count: CountTokens, max_tokens: int, overlap: int, title: str) -> None:
    passages = chunk(text, max_tokens, overlap=overlap, count=count, title=title)
    left_out = [(span.start, span.end) for span in find_left_out(text)]
    assert all(text[p.start : p.end] == p.text == p.text.strip() != "" for p in passages)
    assert all(a.start < b.start and a.end < b.end for a, b in itertools.pairwise(passages))
    assert all(p.end <= start or end <= p.start for p in passages for start, end in left_out)
    budget = max_tokens - 4
    assert all(count([p.context])[0] + count([p.text])[0] <= budget for p in passages)
    # What is in no passage and was not left out is a heading, which the next passage's context holds whole.
    at = 0
    for start, end in sorted([(p.start, p.end) for p in passages] + left_out):
        missing = " ".join(text[at:start].split())
        assert missing in next((p.context for p in passages if p.start >= start), "")
        at = max(at, end)
    assert not text[at:].strip()


def test_sentences_fill_passages_evenly() -> None:
    lines = sentences(6)
    assert texts(chunk(" ".join(lines), 20)) == [" ".join(lines[:3]), " ".join(lines[3:])]
    # 7 sentences of 5 words would fit as 3+3+1; a passage of one sentence says less than it could.
    assert [p.text.count(".") for p in chunk(" ".join(sentences(7)), 20)] == [2, 3, 2]


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_passages_share_as_many_sentences_as_the_settings_say(overlap: int) -> None:
    lines = sentences(12, 3)
    passages = chunk(" ".join(lines), 34, overlap=overlap)
    assert len(passages) > 1
    for before, after in itertools.pairwise(passages):
        shared = before.text.split(". ")[len(before.text.split(". ")) - overlap :]
        assert after.start == before.end + 1 if not overlap else after.text.startswith(". ".join(shared))
        assert sum(line in before.text and line in after.text for line in lines) == overlap


def test_a_long_sentence_is_not_repeated_for_the_overlap() -> None:
    lines = sentences(4, 12)
    assert texts(chunk(" ".join(lines), 20, overlap=1)) == lines


@pytest.mark.parametrize("count", [WORDS, count_letters])
def test_a_small_model_and_a_long_title(count: CountTokens) -> None:
    passages = chunk(" ".join(sentences(9)), 256, count=count, model_tokens=32, title="Labai ilgas pavadinimas " * 30)
    assert len(passages) > 1
    assert all(count([p.context])[0] + count([p.text])[0] <= 28 for p in passages)
    assert {p.context for p in passages} == {
        "Labai ilgas pavadinimas Labai ilgas pavadinimas" if count is WORDS else "Labai"
    }


def test_titles_and_words_of_long_sentences_are_counted_once() -> None:
    counted: list[str] = []

    def count(parts: Sequence[str]) -> list[int]:
        counted.extend(parts)
        return WORDS(parts)

    chunker = Chunker(ChunkSettings(16, 0), count, 512)
    document = Document("d", "s", " ".join(["vienas", "du", "trys"] * 9), title="Skaičiai")
    first = chunker.chunk(document)
    assert sorted(counted) == sorted(["Skaičiai", document.text, "vienas", "du", "trys"])
    assert chunker.chunk(document) == first == Chunker(ChunkSettings(16, 0), WORDS, 512).chunk(document)
    assert counted[5:] == [document.text]


def test_a_title_without_spaces_is_cut_rather_than_lost() -> None:
    (passage,) = chunk("正文在这里。", 32, count=count_letters, title="图书馆" * 10)
    assert passage.context.startswith("图书馆")


def test_a_heading_stays_with_the_text_after_it_and_is_told_to_later_passages() -> None:
    lines = sentences(5)
    passages = chunk("Apie upę\n\n" + " ".join(lines), 16)
    assert passages[0].text.startswith(f"Apie upę\n\n{lines[0]}")
    assert [p.context for p in passages] == [""] + ["Apie upę"] * (len(passages) - 1)
    assert len(passages) == 3


def test_a_new_heading_begins_a_new_passage_unless_the_sections_are_small() -> None:
    long = " ".join(sentences(2))
    assert texts(chunk(f"# Viena\n{long}\n# Du #\n{long}", 24)) == [f"# Viena\n{long}", f"# Du #\n{long}"]
    small = "# Viena\nTaip.\n\n# Du\nNe."
    assert texts(chunk(small, 64)) == [small]
    later = chunk(f"## Kalba C# ##\n{' '.join(sentences(4))}", 16)[-1]
    assert later.context == "Kalba C#"


def test_a_heading_cut_off_from_its_text_is_told_before_it() -> None:
    (passage,) = chunk("Apie upę\n\n{{ image }}\n\nUpė teka į jūrą.", title="Knyga")
    assert (passage.text, passage.context) == ("Upė teka į jūrą.", "Knyga\nApie upę")


def test_many_short_lines_before_a_line_left_out_are_not_lost() -> None:
    terms = "\n\n".join(f"terminas{i} reikšmė{i}" for i in range(30))
    passages = chunk(f"{terms}\n{{{{ x }}}}\nTekstas.", 24)
    assert all(any(f"reikšmė{i}" in p.text for p in passages) for i in range(30))


def test_wrapped_paragraphs_are_read_through_and_lists_line_by_line() -> None:
    wrapped = (
        "Upė teka iš kalnų per miškus ir laukus, kol pasiekia jūrą. Jos\n"
        "krantuose stovi miestai ir kaimai, kuriuose gyvena daug įvairių\nžmonių."
    )
    assert texts(chunk(wrapped)) == [wrapped[: wrapped.index(" Jos")], wrapped[wrapped.index("Jos") :]]
    items = [f"- {i} daiktas, kurį reikia nusipirkti turguje anksti šeštadienio rytą" for i in range(3)]
    assert texts(chunk("\n".join(items))) == items


@pytest.mark.parametrize(
    ("lang", "whole"),
    [
        ("lt", ["Atvyko pvz. A. Jonaitis 10 val. ryto.", "Jis buvo iš Kauno.", "Žr. V. Krėvė 1998 m. Vilniuje."]),
        ("ur", ["یہ پہلا جملہ ہے۔", "کیا یہ دوسرا ہے؟", "ہاں یہ ہے۔"]),
        ("fa", ["آیا او فردا می‌آید؟", "بله او می‌آید.", "خیلی خوب است!"]),
        ("te", ["ఇది మొదటి వాక్యం.", "ఇది రెండవదా?", "అవును ఇది రెండవది!"]),
        ("lt-LT", ["Žr. Prof. Petraičio knygą.", "Ji gera."]),
    ],
)
@pytest.mark.parametrize("declared", [True, False])
def test_where_sentences_end(lang: str, whole: list[str], declared: bool) -> None:
    # A count that lets no two sentences stand together.
    def count(parts: Sequence[str]) -> list[int]:
        return [7 if part in whole else 8 if any(part in one for one in whole) else 100 for part in parts]

    assert texts(chunk(" ".join(whole), 16, count=count, lang=lang if declared else "")) == whole


def test_telugu_is_never_cut_inside_a_letter_with_its_signs() -> None:
    text = "క్షేత్రమాహాత్మ్యం" * 40
    letters = regex.findall(r"\X", text)
    ends = set(itertools.accumulate(map(len, letters)))
    passages = chunk(text, count=count_letters)
    assert "".join(texts(passages)) == text
    assert len(passages) > 30
    assert {p.end for p in passages} <= ends


def test_every_passage_has_its_own_language_and_none_holds_two() -> None:
    lithuanian = "Vaikai į mokyklą eina pėsčiomis kiekvieną rytą."
    persian = "کودکان هر روز صبح پیاده به مدرسه می‌روند."
    passages = chunk(f"{lithuanian}\n\n{persian}\n\n{lithuanian} Taip.", 256)
    assert [(p.lang, p.text) for p in passages] == [
        ("lt", lithuanian),
        ("fa", persian),
        ("lt", f"{lithuanian} Taip."),
    ]
    (whole,) = chunk(f"{lithuanian}\n\n{persian}", 256, lang="ur")
    assert whole.lang == "ur"


def test_front_matter_does_not_decide_the_language() -> None:
    front = "---\ntitle: The children of this city\ndescription: When the library opens, they walk to it\n---\n"
    (passage,) = chunk(f"{front}Vaikai eina namo.")
    assert (passage.lang, passage.text) == ("lt", "Vaikai eina namo.")


@pytest.mark.parametrize("text", ["", " \n\r\n\t", "{{ x }}", "Turinys:\n{{ x }}"])
def test_a_document_without_text_has_no_passage(text: str) -> None:
    assert chunk(text) == []


@pytest.mark.parametrize(
    ("piece", "n"),
    [
        ("abcdefghij", 100_000),
        ("క్షే", 250_000),
        ("Sakinys apie upę ir miestą.\n\n", 35_000),
        ("“A. ", 100_000),
        ("ok. ", 250_000),
    ],
)
def test_a_megabyte_takes_seconds(piece: str, n: int) -> None:
    started = time.monotonic()
    passages = chunk(piece * n, 256, count=count_letters)
    assert len(passages) > 1000
    assert time.monotonic() - started < 20


def test_a_long_line_of_white_space_in_a_heading_takes_no_time() -> None:
    started = time.monotonic()
    assert len(chunk("# a" + " " * 300_000 + "b", 256)) == 1
    assert time.monotonic() - started < 5
