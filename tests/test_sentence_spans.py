"""The sentences of a passage: spans of its text, in order, that leave nothing out but headings and white space."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index.chunking import _LONGEST_HEADING, _SHORT_SENTENCE, Chunker
from index.config import ChunkSettings
from index.records import Document, Passage
from tests.toys import ToyEncoder

FIRST = "The library of the town opens at nine in the morning, on every day but Sunday."
SECOND = "Whoever forgot to bring a book back pays nothing for the first week after that."
THIRD = "Children go there after school, and many of them stay until it closes at seven."
LONG = "word " * (_SHORT_SENTENCE // 5 + 1) + "ends."
SHORT = "So"

LINE = st.sampled_from(
    [
        "",
        "# Skyrius",
        "Antraštė be taško",
        "Trumpas sakinys. Taip. Ne!",
        "Ilgas sakinys, kuris turi tikrai daug žodžių ir todėl nelabai telpa. Kitas sakinys! O gal ne?",
        f"{FIRST} {SECOND}",
        "- sąrašo eilutė, ilgesnė už daugelį kitų",
        "{{ x }}",
        "ఇది తెలుగు వాక్యం. ఇది మరొక వాక్యం, కొంచెం పెద్దది. అవును! మూడవ వాక్యం ఎక్కడ ఉంది?",
        "این یک جملهٔ فارسی است. آیا این هم جمله است؟ بله، این جمله کمی بلندتر از دیگران است.",
        "یہ پہلا جملہ ہے۔ کیا یہ دوسرا جملہ ہے؟ ہاں یہ ہے۔",
        "x" * 70,
        "ž. " * 12,
        "😀 e\u0301\u200c ends here. 😀",
        "\u00a0\u3000",
    ]
)
ANY_TEXT = st.text(max_size=300) | st.lists(LINE, max_size=20).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\n\n", " ", "\u2029"]).map(lambda end: end.join(lines))
)


def chunk(
    text: str, max_tokens: int = 192, *, overlap: int = 0, sentences: bool = True, lang: str = "", title: str = ""
) -> list[Passage]:
    chunker = Chunker(ChunkSettings(max_tokens, overlap), ToyEncoder().count_tokens, 512, sentences=sentences)
    return chunker.chunk(Document("d", "s", text, title, lang))[0]


def parts(passage: Passage) -> list[str]:
    return [passage.text[start:end] for start, end in passage.sentences]


def only(text: str) -> list[str]:
    """Return the sentences of a text that is one passage."""
    (passage,) = chunk(text, lang="en")
    return parts(passage)


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT, st.integers(16, 80), st.integers(0, 2), st.sampled_from(["", "lt", "te", "zz"]))
@example(f"# One\n\n# Two\n{FIRST}\n\n# Three", 80, 0, "")
@example(f"{FIRST}\n{{{{ x }}}}\n{SECOND} {THIRD}", 80, 1, "")
def test_any_text(text: str, max_tokens: int, overlap: int, lang: str) -> None:
    for passage in chunk(text, max_tokens, overlap=overlap, lang=lang):
        spans = passage.sentences
        assert len(spans) != 1
        for start, end in spans:
            assert passage.text[start:end] == passage.text[start:end].strip() != ""
            assert end - start >= _SHORT_SENTENCE
        bounds = [(0, 0), *spans, (len(passage.text), len(passage.text))] if spans else []
        for (_, end), (start, _) in itertools.pairwise(bounds):
            assert end <= start
            between = passage.text[end:start].split("\n")
            assert all(len(line.strip()) <= _LONGEST_HEADING + len("###### ") for line in between)


@settings(max_examples=50, deadline=None)
@given(ANY_TEXT, st.integers(16, 80), st.integers(0, 2))
def test_sentences_change_nothing_of_the_passages(text: str, max_tokens: int, overlap: int) -> None:
    told = chunk(text, max_tokens, overlap=overlap)
    without = chunk(text, max_tokens, overlap=overlap, sentences=False)
    assert [(p.start, p.end, p.text, p.lang, p.context, p.passage_id) for p in told] == [
        (p.start, p.end, p.text, p.lang, p.context, p.passage_id) for p in without
    ]
    assert all(p.sentences == () for p in without)


def test_each_sentence_is_told() -> None:
    assert only(f"{FIRST} {SECOND}\n{THIRD}") == [FIRST, SECOND, THIRD]
    assert only(f"{FIRST}\r\n\r\n{SECOND}") == [FIRST, SECOND]


def test_one_sentence_is_the_passage_itself() -> None:
    for text in (FIRST, SHORT, f"# Heading\n{FIRST}", f"{SHORT}. {SHORT}!", f"{SHORT}. {FIRST} {SHORT}."):
        assert only(text) == []


def test_short_sentences_are_joined_to_the_next_and_the_last_to_the_one_before() -> None:
    assert only(f"{SHORT}! {FIRST} {SHORT}? {SECOND} {SHORT}.") == [f"{SHORT}! {FIRST}", f"{SHORT}? {SECOND} {SHORT}."]
    assert only(f"{LONG} {FIRST}") == [LONG, FIRST]


def test_headings_are_in_no_sentence() -> None:
    long_heading = "A heading of the chapter that is longer than many sentences are"
    for heading in ("# Hours\n\n", f"{long_heading}\n\n", "# One\n# Two\n"):
        assert only(f"{heading}{FIRST} {SECOND}") == [FIRST, SECOND]


def test_a_passage_counts_from_its_own_beginning() -> None:
    sentences = [f"Sentence number {i} of a long text that goes on and on and on." for i in range(12)]
    text = "\n\n  " + " ".join(sentences)
    passages = chunk(text, 48, overlap=1, lang="en", title="A title of its own")
    assert len(passages) > 2
    for passage in passages:
        assert parts(passage) == [sentence for sentence in sentences if sentence in passage.text]
        assert [text[passage.start + a : passage.start + b] for a, b in passage.sentences] == parts(passage)


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        (
            "lt",
            [
                "Atvyko pvz. A. Jonaitis 10 val. ryto į Kauno geležinkelio stotį.",
                "Jis tenai laukė visą ilgą dieną, bet nieko nesutiko.",
            ],
        ),
        ("te", ["ఇది మొదటి వాక్యం, ఇందులో చాలా పదాలు ఉన్నాయి అని అనుకుంటున్నాను.", "ఇది రెండవ వాక్యం, ఇందులో కూడా చాలా పదాలు ఉన్నాయి కదా?"]),
        (
            "fa",
            [
                "آیا او فردا صبح زود با قطار از تهران به اصفهان می‌آید یا نه؟",
                "بله، او فردا صبح زود می‌آید و ما همه در ایستگاه منتظر او هستیم.",
            ],
        ),
        (
            "ur",
            [
                "یہ پہلا جملہ ہے اور اس میں بہت سے الفاظ ہیں جو لکھے گئے ہیں۔",
                "کیا یہ دوسرا جملہ ہے جس میں بھی بہت سے الفاظ لکھے گئے ہیں؟",
            ],
        ),
    ],
)
def test_sentences_in_every_script(lang: str, sentences: list[str]) -> None:
    (passage,) = chunk(" ".join(sentences), lang=lang)
    assert parts(passage) == sentences
