"""PDFs of other programs: their text in reading order, their pages, and what cannot be read of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from index.config import FieldNames
from index.readers import SourceFile, pdf_file, read_file
from index.readers.page_lines import Glyph, PageLine, lines_in_order
from index.readers.pdf import without_furniture
from index.readers.pdf_file import open_pdf, pages_of
from index.records import Document, Mark, Rejected
from tests.builds import ROOT

FILES = ROOT / "tests" / "files" / "pdf"
SAMPLES = ROOT / "index" / "samples"
FA = "گوشی Samsung Galaxy A54 را با کد ABC-123 در تاریخ ۱۴۰۲/۰۵/۱۲ به قیمت 250,000 تومان خریدم (تا 48 ساعت)."
UR = (
    "موبائل Samsung A54 کا وارنٹی کارڈ نمبر 2023-115 ہے، قیمت 45,000 روپے (بشمول GST 18%) تھی۔ "
    "ای میل info@shop.pk پر لکھیں۔"
)
LONG = (
    "02-dry-cleaner-complaint-notebook",
    "08-veterinary-clinic-two-questions",
    "13-small-museum-accessibility",
    "03-training-garden-centre-season",
)


def read(path: Path) -> list[Document | Rejected]:
    file = SourceFile(str(path), f"in/{path.name}", path.name, path.stat().st_size)
    return list(read_file(file, fields=FieldNames()))


def document(name: str) -> Document:
    (item,) = read(FILES / name)
    assert isinstance(item, Document), item
    return item


def sample(*names: str) -> str:
    text = "\n\n".join((SAMPLES / name).read_text("utf-8") for name in names)
    return re.sub(r"^#+ ", "", text, flags=re.MULTILINE)


def share_in_order(read_words: Sequence[str], words: Sequence[str]) -> float:
    blocks = SequenceMatcher(None, words, read_words, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(words)


@pytest.mark.parametrize("program", ["browser", "office"])
@pytest.mark.parametrize(
    ("lang", "name", "more"),
    [
        ("fa", "fa/07-town-hall-notice.txt", FA),
        ("ur", "ur/07-municipal-office-notice.txt", UR),
        ("te", "te/07-municipal-office-notice.txt", ""),
    ],
)
def test_every_word_is_read_in_order(program: str, lang: str, name: str, more: str) -> None:
    """Letter by letter: joiners, marks, brackets, numbers and words of another script in their places."""
    found = document(f"{program}-{lang}.pdf")
    assert found.text.split() == f"{sample(name)} {more}".split()
    assert found.title
    assert found.title_in_text
    assert " ".join(found.text.partition("\n\n")[0].split()) == found.title
    assert found.marks == (Mark(0, "page=1"),)


def test_nastaliq_is_read_as_far_as_its_spaces_can_be_told() -> None:
    words = sample("ur/07-municipal-office-notice.txt").split()
    found = document("office-nastaliq.pdf").text.split()
    assert share_in_order(found, words) > 0.75
    assert share_in_order(list("".join(found)), list("".join(words))) > 0.97


def test_columns_are_read_one_after_the_other() -> None:
    found = document("browser-columns.pdf")
    assert found.text.split() == sample(*(f"lt/{name}.md" for name in LONG)).split()
    assert [mark.locator for mark in found.marks] == [f"page={n}" for n in range(1, 7)]
    assert found.title == ""  # "untitled"
    # A line of a column is no sentence: the chunker does not see that lines so short are wrapped.
    assert "\n\nEsu Rasa Kubilienė, Panevėžyje vadovauju cheminei valyklai „Baltas rytas“. Per savaitę" in found.text


def test_running_titles_are_left_out_and_paragraphs_run_over_pages() -> None:
    found = document("office-running.pdf")
    text = sample(*(f"lt/{name}.md" for name in LONG))
    assert found.text.split() == text.split()  # words divided at the ends of lines joined
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip())]
    assert [" ".join(part.split()) for part in found.text.split("\n\n")] == paragraphs
    assert [mark.locator for mark in found.marks] == [f"page={n}" for n in range(1, 10)]
    second = found.marks[1].start
    assert (found.text[:second][-13:], found.text[second:][:9]) == ("turime, taip\n", "ir sakome")
    assert found.title == ""  # "Microsoft Word - rajonas.docx"


def pages(*texts: str, size: float = 10.0) -> list[list[PageLine]]:
    """Return a page for each text, its lines 20 points apart, the first in letters of a size."""
    return [
        [PageLine(text, 50.0, 700.0 - 20 * n, 10.0 if n else size) for n, text in enumerate(page.split("\n"))]
        for page in texts
    ]


def words(found: list[list[PageLine]]) -> list[str]:
    return ["\n".join(line.text for line in lines) for lines in found]


def test_lines_that_differ_by_a_number_are_no_running_titles() -> None:
    rows = pages(*(f"Sales {n * n} tons\n{n * 37} 12\nWords of {n}.\nmore {n}{n}\n{n * 91}" for n in range(5, 15)))
    assert without_furniture(rows) == rows
    asked = pages(*(f"Question {n // 2}\nWhat is {n}?\nSo {n * n}.\nAnd {n * 7}." for n in range(10)))
    assert without_furniture(asked) == asked
    headed = pages(*(f"Question {n}\nWhat is asked?\nWords of {n * n}." for n in range(10)), size=14.0)
    assert without_furniture(headed) == headed


def test_numbers_that_count_the_pages_are_left_out() -> None:
    texts = [f"Words {n * n}.\nmore {n * n}.\nyet {n * n}." for n in range(12)]
    for foot in ("{}", "- {} -", "Page {} of 12", "A book of 2024 | {}", "۱{}"):
        found = pages(*(f"The title\n{text}\n{foot.format(n + 3)}" for n, text in enumerate(texts) if n < 7))
        assert words(without_furniture(found)) == texts[:7], foot
    sides = pages(*(f"{n} Left\n{text}" if n % 2 else f"Right {n}\n{text}" for n, text in enumerate(texts)))
    assert words(without_furniture(sides)) == texts


def declaring(path: Path, *texts: str) -> Path:
    """Write a page of lines of one letter, each of which declares a text."""
    drawn = "".join(
        f"/Span <</ActualText <FEFF{text.encode('utf-16-be').hex()}>>> BDC "
        f"BT /F 12 Tf 50 {700 - 20 * n} Td ({n}) Tj ET EMC\n"
        for n, text in enumerate(texts)
    )
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}endstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    out, places = "%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj{content}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    out += f"xref\n0 6\n0000000000 65535 f \n{table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF\n"
    path.write_text(out, "ascii")
    return path


@pytest.mark.parametrize(("most", "n_glyphs"), [(32_766, 4), (6001, 3 + 3000)])  # PDFium knows single ones, too
def test_a_declared_text_may_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, n_glyphs: int) -> None:
    monkeypatch.setattr(pdf_file, "_MAX_DECLARED", most)
    with open_pdf(declaring(tmp_path / "a.pdf", "آب", "ب" * 2047, "پ" * 3000, "ث")) as pdf:
        (page,) = pages_of(pdf)
        assert page
        drawn = [glyph.text for glyph in page.glyphs()]
        page.close()
    assert len(drawn) == n_glyphs
    assert "".join(drawn) == "آب" + "ب" * 2047 + "پ" * 3000 + "ث"


def test_a_scan_is_told() -> None:
    (item,) = read(FILES / "scanned.pdf")
    assert str(item) == (
        "in/scanned.pdf: has no text layer: 3 scanned pages. Recognise its text first, for example with ocrmypdf."
    )
    found, told = read(FILES / "half-scanned.pdf")
    assert isinstance(found, Document)
    assert found.text == "Pirmas lapas turi tekstą.\n\nKetvirtas lapas vėl su tekstu."
    assert found.marks == (Mark(0, "page=1"), Mark(27, "page=4"))
    assert (found.title, found.title_in_text) == ("Pusiau nuskaityta", False)
    assert str(told) == (
        "in/half-scanned.pdf: pages 2-3, 5 are scanned, without a text layer. Recognise its text first, for example "
        "with ocrmypdf."
    )


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (item,) = read(FILES / "encrypted.pdf")
    assert str(item) == "in/encrypted.pdf: is encrypted; save it without a password, or leave it out."
    (tmp_path / "note.pdf").write_text("only text")
    (item,) = read(tmp_path / "note.pdf")
    assert str(item) == "in/note.pdf: is damaged, or no PDF; open it in its own program and save it anew."


def glyphs(text: str, *, x: float = 100.0, y: float = 500.0, width: float = 6.0) -> list[Glyph]:
    """Draw a text from left to right, spaces as mere gaps."""
    return [
        Glyph(char, x + i * width, y, x + i * width, x + (i + 1) * width, y, y + 8, 10.0)
        for i, char in enumerate(text)
        if char != " "
    ]


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        ("words of one line", "words of one line"),
        ("תבש", "שבת"),
        ("2023 תנש", "שנת 2023"),
        ("(5 תבש)", "(שבת 5)"),
        (")5 תבש(", "(שבת 5)"),
        ("the word תבש ends", "the word שבת ends"),
        ("ABC-12 הלמ הלמ הלמ", "מלה מלה מלה ABC-12"),
        ("12/05/2023 ךיראת", "תאריך 12/05/2023"),
        ("ﻡﻼﺳ", "سلام"),
        ("ofﬁce", "office"),
    ],
)
def test_lines_are_read_in_order(drawn: str, text: str) -> None:
    assert [line.text for line in lines_in_order(glyphs(drawn))] == [text]


def test_marks_belong_to_the_letter_they_stand_at() -> None:
    letters = glyphs("תבש")
    dot = Glyph("\u05bc", 107.0, 503.0, 108.0, 109.0, 503.0, 504.0, 10.0)
    assert lines_in_order([dot, *letters])[0].text == "שב\u05bcת"
