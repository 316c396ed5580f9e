"""Documents whose lines are of several languages, and headings that lose their text."""

from __future__ import annotations

import pytest

from index.chunking import Chunker
from index.config import ChunkSettings
from index.language import detect_language
from index.records import Document, LeftOutKind
from tests.toys import ToyEncoder

TE = "గ్రంథాలయం ప్రతి ఆదివారం ఉదయం తొమ్మిది గంటలకు తెరుస్తారు."
FA = "کتابخانه هر جمعه ساعت نه صبح باز می‌شود و همه می‌توانند بیایند."
LT = "Biblioteka kiekvieną sekmadienį atidaroma devintą valandą ryto."
UR = "کتب خانہ ہر اتوار کی صبح نو بجے کھلتا ہے اور سب آ سکتے ہیں۔"
EN = "The library opens at nine in the morning on every Sunday of the year."


def chunker() -> Chunker:
    return Chunker(ChunkSettings(max_tokens=200, overlap_sentences=1), ToyEncoder().count_tokens, 512)


@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_line_in_another_language_is_a_passage_of_its_own(between: str) -> None:
    passages, _ = chunker().chunk(Document("d", "s", between.join([TE, EN, UR, FA, LT])))
    assert [(p.lang, p.text) for p in passages] == [("te", TE), ("en", EN), ("ur", UR), ("fa", FA), ("lt", LT)]


def test_short_lines_stay_with_the_language_around_them() -> None:
    text = f"{LT}\nJohn Smith\n{LT[:-1]} dažniausiai.\n\nTaip, gerai."
    passages, _ = chunker().chunk(Document("d", "s", text))
    assert [(p.lang, p.text) for p in passages] == [("lt", text)]


def test_a_short_line_in_another_script_is_not_hidden() -> None:
    passages, _ = chunker().chunk(Document("d", "s", f"{EN}\nధన్యవాదాలు మిత్రమా.\n{EN}"))
    assert [p.lang for p in passages] == ["en", "te", "en"]


def test_a_heading_without_its_text_is_counted_and_told_before_the_next_passage() -> None:
    text = f"Miesto biblioteka\n\nAnonim\n\n{LT}"
    passages, left_out = chunker().chunk(Document("d", "s", text))
    assert [(p.context, p.text) for p in passages] == [("Miesto biblioteka", LT)]
    assert [(text[span.start : span.end], span.kind) for span in left_out] == [
        ("Miesto biblioteka", LeftOutKind.HEADING),
        ("Anonim", LeftOutKind.TEMPLATE),
    ]


@pytest.mark.parametrize(
    ("text", "expected", "lang"),
    [
        ("oras", {"en", "lt"}, "lt"),
        ("ساعت کار", {"fa", "lt"}, "fa"),
        ("refund policy", {"en", "lt", "te"}, "en"),
        ("Prahalad, The Future of Competition, Harvard Business School Press, 2004.", {"lt"}, "en"),
        ("oras", {"te"}, ""),
    ],
)
def test_short_texts_are_in_an_expected_language_of_their_script(text: str, expected: set[str], lang: str) -> None:
    found = detect_language(text, expected)
    assert found == lang if lang else found not in expected
