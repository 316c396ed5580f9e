"""Word documents, presentations, OpenDocument: files that LibreOffice and pandoc made (tests/files/README.md)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from index.config import FieldNames
from index.readers import SourceFile
from index.readers.registry import read_here
from index.records import Rejected
from tests.reading_files import FILES, changed, document, in_order, marked, member, reason

FOUR = [
    "# Dulkių siurblys per garsus, o parduotuvė tyli\n",
    "ji internetu nusipirko dulkių siurblį robotą",
    "\n## Keturiolika dienų apsigalvoti\n",
    "\nSkaičiuojama nuo pristatymo dienos. Plačiau mūsų puslapyje.\n",
    "\n- pirmas dalykas\n- antras dalykas\n",
    "\n| Batai | Kaina |\n| Aulinukai | 140 eurų |\n| Šlepetės | 15 eurų |\n",
    "\n# هفت روز کاری برای پشیمانی\n",
    "آپارتمان ۵۵ متری‌اش زیادی بزرگ بود",
    "\n## قانون چه می‌گوید\n",
    "\n# చెడిపోయిన ఫ్రిజ్, మొండికేసిన దుకాణం: కొన్నవారు ఏం చేయవచ్చు?\n",
    "నిజామాబాద్‌కు చెందిన అంగన్‌వాడీ టీచర్",
    "\n# فریج خراب نکلے تو پہلے نوٹس، پھر دعویٰ\n",
    "گوجرانوالہ کی نادیہ اکرم نے 6 مئی کو",
    "\n## قانون کیا کہتا ہے",
]
"""What the texts made from one source say, in this order."""
NOTE = "\nPastaba: diena, kai siunta atiduota į rankas.\n"


@pytest.mark.parametrize("name", ["four.docx", "four.odt"])
def test_headings_lists_tables_and_four_languages_are_read_in_order(name: str) -> None:
    read = document(name)
    in_order(read.text, "# Keturios kalbos, vienas klausimas\n", *FOUR)
    in_order(read.text, FOUR[3], NOTE, FOUR[4])  # a note stands after the paragraph that cites it
    assert (read.title, read.title_in_text, read.lang) == ("Keturios kalbos, vienas klausimas", True, "")
    assert read.metadata["author"] == "Rūta Žukaitė"
    assert read.marks == ()


@pytest.mark.parametrize("name", ["office.docx", "office.odt"])
def test_what_a_page_shows_is_read_and_nothing_else(name: str) -> None:
    read = document(name)
    assert read.text == (
        "# Eilė ir vizitai\n\n"
        "Vizitas užsakomas telefonu. Vėluojant įterptas laikas perduodamas kitam.\n\n"
        "Išnaša: penkiolika minučių.\n\n"
        "Po laukelio eina ši pastraipa.\n\n"
        "Teksto laukelis: pirmadieniais nedirbame.\n\n"
        "## Kainos\n\n"
        "- kirpimas – 15 eurų\n- dažymas – 40 eurų\n\n"
        "| Diena | Valandos |\n| Antradienis | 9–18 |\n\n"
        "Pabaiga.\n\n"
        "Galinė pastaba: kainos su mokesčiais."
    )
    assert (read.title, read.title_in_text, read.lang) == ("Kirpyklos taisyklės", False, "lt")
    assert read.metadata == {"author": "Jonas Petraitis", "date": "2024-03-05"}


WORD = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:body>{}</w:body></w:document>'
)


def tag(name: str, *inner: str) -> str:
    """Return an element; what follows a space in its name are attributes."""
    return f"<w:{name}>{''.join(inner)}</w:{name.split()[0]}>"


def run(text: str, *before: str) -> str:
    return tag("r", *before, tag('t xml:space="preserve"', text))


def row(*cells: str) -> str:
    return tag("tr", *(tag("tc", cell) for cell in cells))


BOX = tag("txbxContent", tag("p", run("kartą")))
CHOICES = (f"<mc:Choice>{BOX}</mc:Choice>", f"<mc:Fallback>{BOX}</mc:Fallback>")


def word(tmp_path: Path, body: str) -> str:
    """Return the text that is read of a Word document with this body."""
    data = WORD.format(body).encode()
    return document(changed(FILES / "four.docx", tmp_path / "a.docx", {"word/document.xml": data})).text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (tag("p", tag("hyperlink", run("Saitas ")), run("čia")), "Saitas čia"),
        (tag("p", tag("moveFrom", run("sena")), tag("moveTo", run("nauja"))), "nauja"),
        (tag("p", tag("del", tag("r", tag("delText", "sena"))), tag("ins", run("nauja"))), "nauja"),
        (tag("p", run("ne", tag("rPr", "<w:vanish/>")), run("taip", tag("rPr", '<w:vanish w:val="0"/>'))), "taip"),
        (tag("p", run("viena"), tag("r", "<w:br/>"), run("dvi"), tag("r", "<w:tab/>"), run("trys")), "viena\ndvi trys"),
        (tag("sdt", tag("sdtContent", tag("p", run("valdiklyje")))), "valdiklyje"),
        (
            tag("p", tag("r", "<mc:AlternateContent>", *CHOICES, "</mc:AlternateContent>")),
            "kartą",
        ),
        (tag("p", tag("pPr", '<w:outlineLvl w:val="1"/>'), run("Skyrius")), "## Skyrius"),
        (tag("p", tag("pPr", '<w:pStyle w:val="Heading3"/>'), run("Skyrelis")), "### Skyrelis"),
        (tag("p", run("لطفاً می‌آیم", tag("instrText", "PAGE"))), "لطفاً می‌آیم"),
        (tag("tbl", row(tag("p", run("a")) + tag("tbl", row(tag("p", run("b")))), "<w:p/>")), "| a b |  |"),
    ],
    ids=["link", "moved", "deleted", "hidden", "line", "control", "box", "outline", "style", "field", "nested"],
)
def test_words_of_a_paragraph(tmp_path: Path, body: str, text: str) -> None:
    assert word(tmp_path, body) == text


def test_a_note_that_cites_itself_is_written_once(tmp_path: Path) -> None:
    notes = member(FILES / "four.docx", "word/footnotes.xml").decode()
    cited = next(piece for piece in notes.split("<w:footnote ") if "Pastaba" in piece).partition('w:id="')[2]
    number = cited.partition('"')[0]
    looped = notes.replace("Pastaba:", f'Pastaba:</w:t><w:footnoteReference w:id="{number}" /><w:t>', 1)
    path = changed(FILES / "four.docx", tmp_path / "a.docx", {"word/footnotes.xml": looped.encode()})
    assert document(path).text.count("Pastaba:") == 1


def test_a_document_without_properties_has_none_made_up(tmp_path: Path) -> None:
    for name in ("four.docx", "deck.pptx", "office.odt"):
        gone = "meta.xml" if name.endswith("odt") else "docProps/core.xml"
        path = changed(FILES / name, tmp_path / name, {gone: None})
        relations = "_rels/.rels"
        if not name.endswith("odt"):
            kept = b"".join(part for part in _relations(member(path, relations)) if b"core.xml" not in part)
            path = changed(path, tmp_path / f"x-{name}", {relations: kept})
        read = document(path)
        assert read.metadata == {}
        assert read.title == read.text.partition("\n")[0].lstrip("# ")


def _relations(data: bytes) -> list[bytes]:
    head, *rest = data.split(b"<Relationship ")
    tail = rest[-1].partition(b"/>")
    return [head, *(b"<Relationship " + part for part in [*rest[:-1], tail[0] + tail[1]]), tail[2]]


DECK = {
    "slide=1": "# ఫిర్యాదు ఎలా చేయాలి\n\nLakshmi",
    "slide=2": (
        "# ముందు రాతపూర్వకంగా అడగండి\n\n- దుకాణానికి ఉత్తరం రాయండి\n- బిల్లు నకలు జత చేయండి\n\n"
        "Pranešėjo pastaba: parodyti sąskaitos pavyzdį."
    ),
    "slide=3": "# قیمت‌ها\n\n| جنس | قیمت |\n| کفش چرمی | ۱۴۰ یورو |",
    "slide=4": "# اردو میں خلاصہ\n\nپہلے نوٹس بھیجیں، پھر صارف عدالت میں دعویٰ دائر کریں۔",
}


def test_slides_with_titles_lists_tables_and_notes() -> None:
    read = document("deck.pptx")
    assert marked(read) == DECK
    assert (read.title, read.title_in_text) == ("ఫిర్యాదు ఎలా చేయాలి", True)
    assert read.metadata["author"] == "Lakshmi"


@pytest.mark.parametrize("name", ["office.pptx", "office.odp"])
def test_groups_and_hidden_slides_are_read(name: str) -> None:
    read = document(name)
    assert marked(read) == {
        "slide=1": (
            "Kaip sutikti klientą\n\nGrupėje pirmas: pasisveikinti.\n\nGrupės grupėje: paklausti vardo.\n\n"
            "Ir užrašyti.\n\nPranešėjui: neskubėti."
        ),
        "slide=2": "یادداشت پنهان: قیمت‌ها از فروردین تغییر می‌کند.",
        "slide=3": "| సేవ | ధర |\n| కత్తిరింపు | రూ. 150 |",
    }
    assert (read.title, read.title_in_text) == ("Kirpyklos mokymai", False)
    assert read.metadata == {"author": "Jonas Petraitis", "date": "2024-03-05"}


def test_a_slide_without_text_counts(tmp_path: Path) -> None:
    slide = member(FILES / "office.pptx", "ppt/slides/slide2.xml")
    start, end = slide.index(b"<p:sp>"), slide.rindex(b"</p:sp>") + len(b"</p:sp>")
    emptied = {"ppt/slides/slide2.xml": slide[:start] + slide[end:]}
    read = document(changed(FILES / "office.pptx", tmp_path / "a.pptx", emptied))
    assert [mark.locator for mark in read.marks] == ["slide=1", "slide=3"]
    assert read.text[read.marks[1].start :].startswith("| సేవ | ధర |")


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".odt", ".odp", ".epub"])
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "cannot be read as a"),
        (b"Just text.", "cannot be read as a"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "of an older program, or protected by a password"),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, suffix: str, data: bytes, told: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    assert told in reason(path)


@pytest.mark.parametrize("name", ["four.docx", "deck.pptx", "office.odt", "four.epub"])
def test_a_file_cut_short_is_told(tmp_path: Path, name: str) -> None:
    data = (FILES / name).read_bytes()
    for share in (0.3, 0.9):
        (tmp_path / name).write_bytes(data[: int(len(data) * share)])
        assert "cannot be read as a" in reason(tmp_path / name)


def test_a_document_without_words_is_empty(tmp_path: Path) -> None:
    data = WORD.format("<w:p/>").encode()
    path = changed(FILES / "four.docx", tmp_path / "a.docx", {"word/document.xml": data})
    assert reason(path) == "is empty; write something in it or remove it."


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("docx", "four.docx"),
        ("pptx", "deck.pptx"),
        ("lxml", "four.odt"),
        ("lxml", "four.epub"),
        ("lxml", "gmail-te.eml"),
        ("trafilatura", "news-lt.html"),
        ("pysubs2", "bom-fa.srt"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, library: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    path = FILES / name
    file = SourceFile(str(path), name, name, path.stat().st_size)
    (item,) = read_here(file, fields=FieldNames(), encoding="")
    assert isinstance(item, Rejected)
    assert item.reason.endswith("pip install 'manytongues[formats]'")
    assert item.out_of_reach  # it is read as soon as the library is there
