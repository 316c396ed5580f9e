"""Files made to harm whoever reads them: each is read or refused with a reason, soon, and harms nothing."""

from __future__ import annotations

import random
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.errors import InputError
from index.readers.members import MAX_MARKUP_BYTES, MAX_MEMBERS, MAX_UNPACKED_BYTES, open_archive
from index.records import Document, Rejected
from tests.reading_files import FILES, changed, items, member

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghij", "bcdefghijk", strict=True))
    + "]>"
)
TEXTS = {
    "four.docx": "word/document.xml",
    "deck.pptx": "ppt/slides/slide2.xml",
    "office.odt": "content.xml",
    "four.epub": "EPUB/text/ch001.xhtml",
}
SECONDS = 30.0


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS


def told(path: Path) -> str:
    """Read a file; return all that is read and why what is refused is refused."""
    found = items(path)
    assert found
    return "\n".join(item.text if isinstance(item, Document) else item.reason for item in found)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_entities_are_never_expanded(tmp_path: Path, name: str) -> None:
    text = member(FILES / name, TEXTS[name]).decode()
    start = text.index("<", text.index("?>"))
    while text[start + 1] == "!":
        start = text.index("<", start + 1)
    secret = tmp_path / "secret.txt"
    secret.write_text("slaptas žodis")
    outside = f'<!DOCTYPE x [<!ENTITY k SYSTEM "{secret.as_uri()}">]>'
    word = {"four.docx": "Rūta", "deck.pptx": "బిల్లు", "office.odt": "Vizitas", "four.epub": "Vilma"}[name]
    assert word in text
    for declared in (LAUGHS, outside):
        bomb = (declared + text[start:]).replace(word, f"{word} &k;")
        read = told(changed(FILES / name, tmp_path / name, {TEXTS[name]: bomb.encode()}))
        assert "slaptas" not in read
        assert "haha" not in read
        assert len(read) < 10_000


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_elements_nested_too_deeply_are_told(tmp_path: Path, name: str) -> None:
    text = member(FILES / name, TEXTS[name])
    nested = b"<w>" * 100_000 + b"x" + b"</w>" * 100_000
    end = text.rindex(b"</")
    path = changed(FILES / name, tmp_path / name, {TEXTS[name]: text[:end] + nested + text[end:]})
    (item,) = items(path)
    assert isinstance(item, Rejected) or name == "four.epub"
    assert len(told(path)) < 10_000


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "ul><li", "blockquote", "a"])
@pytest.mark.parametrize("ending", [".html", ".eml"])
def test_pages_nested_too_deeply_are_read_or_told(tmp_path: Path, tag: str, ending: str) -> None:
    page = "<html><body><p>Žodis pradžioje.</p>" + f"<{tag}>" * 100_000 + "giliai" + "</body></html>"
    head = "From: a@example.org\nContent-Type: text/html; charset=utf-8\n\n" if ending == ".eml" else ""
    path = tmp_path / f"a{ending}"
    path.write_text(head + page, "utf-8")
    (item,) = items(path)
    assert "Žodis pradžioje." in item.text if isinstance(item, Document) else len(item.reason) < 500


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Change a byte, take some out, or repeat some."""
    at, n = chance.randrange(len(data)), chance.randrange(1, 60)
    part = chance.choice([b"", data[at : at + n] * 2, bytes([chance.randrange(256)]), b"<", b"&", b"\0"])
    return data[:at] + part + data[at + chance.choice([0, 1, n]) :]


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.glob("*.*") if path.suffix != ".md"))
def test_damage_anywhere_is_read_or_told(tmp_path: Path, name: str) -> None:
    chance = random.Random(7)
    for _ in range(20):
        if name in TEXTS:
            path = changed(
                FILES / name, tmp_path / name, {TEXTS[name]: damaged(member(FILES / name, TEXTS[name]), chance)}
            )
        else:
            path = tmp_path / name
            path.write_bytes(damaged((FILES / name).read_bytes(), chance))
        for item in items(path):
            text = item.text if isinstance(item, Document) else item.reason
            assert text.strip()
            text.encode()
            assert isinstance(item, Document) or len(item.reason) < 500
        assert items(path) == items(path)


def bomb(path: Path, name: str, size: int) -> Path:
    """Write an archive of which a member unpacks to ``size`` zero bytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as stream,
    ):
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".odt", ".epub"])
def test_archives_that_unpack_to_too_much_are_refused_before_they_are_unpacked(tmp_path: Path, suffix: str) -> None:
    path = bomb(tmp_path / f"a{suffix}", "word/document.xml", MAX_MARKUP_BYTES + (1 << 20))
    assert f"its text unpacks to more than {MAX_MARKUP_BYTES:,} bytes" in told(path)


def test_archives_are_within_bounds(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.zip", "x.bin", MAX_UNPACKED_BYTES + (1 << 20))
    with pytest.raises(InputError, match="unpacks to more than"), open_archive(path, "a file"):
        pass
    with open_archive(path, "a file", skipped=("x",)) as archive, pytest.raises(InputError, match="unpacks to more"):
        archive.read("x.bin")
    with zipfile.ZipFile(path, "w") as many:
        for n in range(MAX_MEMBERS + 1):
            many.writestr(str(n), b"")
    with pytest.raises(InputError, match="members"), open_archive(path, "a file"):
        pass


def test_names_of_members_are_no_paths(tmp_path: Path) -> None:
    package = member(FILES / "four.epub", "EPUB/content.opf").decode()
    outside = tmp_path / "outside.xhtml"
    outside.write_text("<html><body>slaptas žodis</body></html>")
    for link in ("../../outside.xhtml", outside.as_uri(), str(outside), "../../../../../../etc/passwd"):
        bad = {"EPUB/content.opf": package.replace("text/ch001.xhtml", link).encode()}
        assert "slaptas" not in told(changed(FILES / "four.epub", tmp_path / "b.epub", bad))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n" + "<a" * 500_000),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\na" + "\n " * 500_000 + "b"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n" + "{" * 500_000),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n" + "a\n" * 200_000),
        ("a.vtt", "WEBVTT\n" + "a\n" * 500_000),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<v " * 300_000),
        ("a.vtt", "WEBVTT\n\n" + "00:01.000 --> 00:02.000\nx\n\n" * 50_000),
        ("a.html", "<html><body><table>" + "<tr><td>x<td>y" * 50_000),
        ("a.html", "<html><body>" + "&amp;" * 500_000),
        ("a.html", "<html><head>" + "<meta " * 200_000 + "<body>x"),
        ("a.html", "<html><body>" + "<p>a" * 50_000),
        ("a.eml", "From: a\nContent-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * 5_000),
        ("a.eml", "From: a\nSubject: " + "=?utf-8?q?a?= " * 20_000 + "\n\nx"),
        ("a.eml", "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(2_000))),
        ("a.eml", "From: a\nTo: " + "(" * 50_000 + "\n\nx"),
        ("a.eml", "From: a\nContent-Disposition: attachment; " + "".join(f"filename*{n}=a;" for n in range(2_000))),
        ("a.mbox", "From a\n\n" * 5_000),
    ],
)  # fmt: skip
def test_texts_that_take_long_in_careless_programs(tmp_path: Path, name: str, data: str) -> None:
    (tmp_path / name).write_text(data, "utf-8")
    assert told(tmp_path / name)
