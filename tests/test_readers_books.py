"""Books in EPUB, of pandoc and put together by hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from index.records import Document, Rejected
from tests.reading_files import FILES, changed, document, in_order, items, marked, member, reason
from tests.test_readers_office import FOUR

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:title>Knyga</dc:title><dc:creator>Ona</dc:creator><dc:creator>Jonas</dc:creator><dc:language>en</dc:language>
</metadata><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="cover" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/vienas%20du.xhtml#top" media-type="application/xhtml+xml"/>
<item id="two" href="text/../two.xhtml" media-type="application/xhtml+xml"/>
<item id="pic" href="p.svg" media-type="image/svg+xml"/>
</manifest><spine><itemref idref="nav"/><itemref idref="cover"/><itemref idref="two"/><itemref idref="one"/>
<itemref idref="two"/><itemref idref="pic"/><itemref idref="missing"/></spine></package>"""
PAGE = (
    '<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
    'xmlns:epub="http://www.idpf.org/2007/ops"><head><title/></head><body>{body}</body></html>'
)


def book(tmp_path: Path, **members: str | bytes) -> Path:
    """Write a book; names of members with ``__`` for a folder and ``_`` for a dot are replaced or added."""
    parts: dict[str, str | bytes] = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/b.opf": PACKAGE,
        "OEBPS/nav.xhtml": PAGE.format(encoding="utf-8", body="<nav><ol><li>Turinys</li></ol></nav>"),
        "OEBPS/cover.xhtml": PAGE.format(encoding="utf-8", body='<img src="c.png" alt="x"/>'),
        "OEBPS/text/vienas du.xhtml": PAGE.format(
            encoding="utf-8",
            body='<nav epub:type="toc"><p>Rodyklė</p></nav><h1>Antras&nbsp;skyrius</h1>'
            '<p>Pirma<br/>eilutė.<span epub:type="pagebreak">12</span> Toliau<a epub:type="noteref">3</a>.</p>',
        ),
        "OEBPS/two.xhtml": PAGE.format(encoding="windows-1257", body="<h1>Pirmas</h1><p>Žąsys ėjo.</p>").encode(
            "cp1257"
        ),
    }
    parts |= members
    path = tmp_path / "b.epub"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def test_chapters_of_four_languages_in_order() -> None:
    read = document("four.epub")
    in_order(read.text, *FOUR[:4], *FOUR[4:])
    chapters = marked(read)
    assert list(chapters) == [f"chapter={n}" for n in range(1, 6)]
    assert chapters["chapter=1"].startswith("# Keturios kalbos, vienas klausimas")
    assert chapters["chapter=3"].startswith("# هفت روز کاری برای پشیمانی\n")
    assert chapters["chapter=4"].startswith("# చెడిపోయిన ఫ్రిజ్")
    assert chapters["chapter=5"].startswith("# فریج خراب نکلے")
    assert "Pastaba: diena, kai siunta atiduota į rankas." in chapters["chapter=2"]
    assert read.text.count("Keturiolika dienų apsigalvoti") == 1  # the table of contents is left out
    assert (read.title, read.title_in_text, read.lang) == ("Keturios kalbos, vienas klausimas", True, "")
    # It declares Lithuanian, which only some of its chapters are in.
    assert b"<dc:language>lt</dc:language>" in member(FILES / "four.epub", "EPUB/content.opf")
    assert (read.metadata["author"], read.metadata["date"]) == ("Rūta Žukaitė", "2024-09-12")


def test_the_spine_decides_the_order_and_pages_without_text_are_no_chapters(tmp_path: Path) -> None:
    read = document(book(tmp_path))
    assert marked(read) == {
        "chapter=1": "# Pirmas\n\nŽąsys ėjo.",
        "chapter=2": "# Antras skyrius\n\nPirma\neilutė. Toliau.",
    }
    assert (read.title, read.lang, read.metadata) == ("Knyga", "", {"author": "Ona, Jonas"})


def test_a_page_that_is_not_well_formed_is_read(tmp_path: Path) -> None:
    path = book(tmp_path, **{"OEBPS/two.xhtml": "<html><body><h1>Pirmas<p>Nebaigta <b>žyma</body>"})
    in_order(document(path).text, "Pirmas", "Nebaigta žyma", "# Antras skyrius")


def test_a_locked_book_is_told(tmp_path: Path) -> None:
    locked = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData><e:CipherData>'
        '<e:CipherReference URI="OEBPS/{}"/></e:CipherData></e:EncryptedData></encryption>'
    )
    path = book(tmp_path, **{"META-INF/encryption.xml": locked.format("two.xhtml")})
    assert reason(path) == "its text is encrypted (it was sold with a lock); only its own program can show it."
    path = book(tmp_path, **{"META-INF/encryption.xml": locked.format("font.otf")})
    assert document(path).title == "Knyga"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("META-INF/container.xml", "is no book (META-INF/container.xml is missing)"),
        ("EPUB/content.opf", "cannot be read as an .epub file"),
    ],
)
def test_a_missing_member_is_told(tmp_path: Path, name: str, told: str) -> None:
    assert member(FILES / "four.epub", name)
    assert told in reason(changed(FILES / "four.epub", tmp_path / "a.epub", {name: None}))


def test_a_page_that_is_missing_or_damaged_leaves_the_others(tmp_path: Path) -> None:
    name = "EPUB/text/ch001.xhtml"
    for data in (None, b"\0\1\2" * 50, b""):
        read, rejected = items(changed(FILES / "four.epub", tmp_path / "a.epub", {name: data}))
        assert isinstance(read, Document)
        in_order(read.text, "# هفت روز کاری برای پشیمانی", "# చెడిపోయిన ఫ్రిజ్", "# فریج خراب نکلے")
        assert isinstance(rejected, Rejected)
        assert rejected.where == "in/a.epub"
        assert f"lacks pages that could not be read, {name}: {name} " in rejected.reason


def test_a_book_of_which_no_page_can_be_read_is_told(tmp_path: Path) -> None:
    path = book(tmp_path)
    gone = {f"OEBPS/{page}": None for page in ("cover.xhtml", "two.xhtml", "text/vienas du.xhtml")}
    assert "cannot be read as an .epub file" in reason(changed(path, tmp_path / "c.epub", gone))


def test_pages_of_older_books_are_read(tmp_path: Path) -> None:
    old = PACKAGE.replace(
        'two.xhtml" media-type="application/xhtml+xml"', 'two.xhtml" media-type="text/x-oeb1-document"'
    )
    assert old != PACKAGE
    assert marked(document(book(tmp_path, **{"OEBPS/b.opf": old})))["chapter=1"] == "# Pirmas\n\nŽąsys ėjo."
