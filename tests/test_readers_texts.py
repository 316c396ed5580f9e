"""Plain text and Markdown: one document a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from index.config import FieldNames
from index.readers import SourceFile, read_file
from index.records import Document, Rejected


def read_one(tmp_path: Path, text: str, name: str) -> Document | Rejected:
    path = tmp_path / name
    path.write_bytes(text.encode())
    file = SourceFile(str(path), f"docs/{name}", name, path.stat().st_size)
    (item,) = read_file(file, fields=FieldNames())
    return item


def document(tmp_path: Path, text: str, name: str) -> Document:
    item = read_one(tmp_path, text, name)
    assert isinstance(item, Document)
    assert (item.text, item.doc_id, item.source, item.metadata) == (text, name, f"docs/{name}", {})
    return item


@pytest.mark.parametrize("name", ["a.txt", "a.text", "a.md", "a.markdown"])
@pytest.mark.parametrize("text", ["", " \r\n\t\u2003\n", "\ufeff"])
def test_a_text_without_visible_characters_is_rejected(tmp_path: Path, name: str, text: str) -> None:
    assert read_one(tmp_path, text, name) == Rejected(f"docs/{name}", "is empty; write something in it or remove it.")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Pavadinimas\n\nTekstas.", "Pavadinimas"),
        ("\r\n  \r\n\t عنوان \r\nمتن", "عنوان"),
        ("Title\rText", "Title"),
        ("x" * 120 + "\nText", "x" * 120),
        ("x" * 121 + "\nText", ""),
        ("Only a line", ""),
        ("Only a line\n \n", ""),
    ],
)
def test_the_title_of_plain_text(tmp_path: Path, text: str, title: str) -> None:
    read = document(tmp_path, text, "a.txt")
    assert (read.title, read.title_in_text, read.lang) == (title, bool(title), "")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Title #\n\nText", "Title"),
        ("Text first.\n\n## Later *title*\n", "Later *title*"),
        ("#\n# Second\n", "Second"),
        ("#hashtag\n\n####### seven\n\nText", ""),
        ("# C#\n", "C#"),
        ("# #\n\n### ### \n\n# a ## b ##\t\n", "a ## b"),
        ("   # indented\n", "indented"),
        ("    # code\n", ""),
        ("Title\n=====\n", "Title"),
        ("Title in\r\ntwo lines\r\n---\r\nText", "Title in two lines"),
        ("\n---\n\nText\n", ""),
        ("- item\n---\n\n> quotation\n---\n\n***\n---\n", ""),
        ("Text\n\n---\n\nTitle\n---\n", "Title"),
        ("```\n# code\n```\n# Title\n", "Title"),
        ("~~~~ python\n# code\n~~~\n# code\n~~~~~\nTitle\n=\n", "Title"),
        ("```\n# never closed\n", ""),
        ("Just text.\n", ""),
    ],
)
def test_the_title_is_the_first_heading(tmp_path: Path, text: str, title: str) -> None:
    read = document(tmp_path, text, "a.md")
    assert (read.title, read.title_in_text) == (title, bool(title))


@pytest.mark.parametrize(
    ("front", "title", "lang"),
    [
        ("title: Pirma išklausyti\nlang: lt", "Pirma išklausyti", "lt"),
        ("lang: LT-lt\nauthor: me\ntitle: 'It''s: a title' # note", "It's: a title", "lt-lt"),
        ('title: "A \\"quoted\\" title"\nlang: "fa"', 'A "quoted" title', "fa"),
        ("# a comment\nTitle: C# for all # a remark", "C# for all", ""),
        ("title: First\ntitle: Second", "First", ""),
        ("title: unclosed\nlang: no language", "unclosed", ""),
        ('title: "unclosed', "unclosed", ""),
        ("tags:\n  title: nested\ntitle: Own", "Own", ""),
    ],
)
def test_front_matter(tmp_path: Path, front: str, title: str, lang: str) -> None:
    read = document(tmp_path, f"---\n{front}\n---\n\n# Heading\n", "a.md")
    assert (read.title, read.lang, read.title_in_text) == (title, lang, False)


@pytest.mark.parametrize(
    "front", ["lang: te", "title:\nlang: te", "title: |\n  block\nlang: te", "title: ''\nlang: te"]
)
def test_without_a_title_in_the_front_matter_the_heading_is_the_title(tmp_path: Path, front: str) -> None:
    read = document(tmp_path, f"---\r\n{front}\r\n...\r\n# Heading\r\n", "a.md")
    assert (read.title, read.lang, read.title_in_text) == ("Heading", "te", True)


@pytest.mark.parametrize(
    "text",
    ["---\ntitle: No\n\n# Heading\n", "---\nProse.\n\ntitle: No\n---\n\n# Heading", "\n---\ntitle: No\n---\n# Heading"],
)
def test_what_is_no_front_matter(tmp_path: Path, text: str) -> None:
    read = document(tmp_path, text, "a.md")
    assert (read.title == "No", read.lang) == (False, "")


def test_the_title_is_not_what_a_template_left(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("$config[footer] not found\n\nTikras pavadinimas\n\nTekstas čia.", "utf-8")
    (document,) = read_file(SourceFile(str(tmp_path / "a.txt"), "a.txt", "a.txt", 1), fields=FieldNames())
    assert isinstance(document, Document)
    assert document.title == "Tikras pavadinimas"
