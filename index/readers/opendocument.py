"""OpenDocument texts and presentations (.odt, .odp): what .docx and .pptx files are, as LibreOffice writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from index.config import FieldNames
from index.errors import InputError
from index.readers.markup import parse_xml
from index.readers.members import open_archive
from index.readers.office import read_properties
from index.readers.source_file import SourceFile
from index.readers.writing import TextWriter, damage_told
from index.records import Document, Rejected

if TYPE_CHECKING:
    from index.readers.markup import Element

SUFFIXES: tuple[str, ...] = (".odt", ".odp")
ISOLATED = True

_MEDIA = ("Pictures/", "Thumbnails/", "media/")
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"

_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_MANIFEST = "META-INF/manifest.xml"

_UNSEEN = frozenset(
    [
        f"{_TEXT}tracked-changes",
        f"{_TEXT}note-citation",
        f"{_TEXT}table-of-content",
        f"{_OFFICE}annotation",
        f"{_SVG}title",
        f"{_SVG}desc",
    ]
)
"""What is deleted, only points elsewhere, or says what a picture shows."""
_RUNNING = ("header", "footer", "date-time", "page-number")
_SIGNS = {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
_MOST_SPACES = 100
_ANCHORED = frozenset([f"{_TEXT}note-body", f"{_DRAW}text-box"])
_PARAGRAPHS = frozenset([f"{_TEXT}p", f"{_TEXT}h"])


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a text, or a presentation with marks for its slides, as one document.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: Not used: the format says itself how it is encoded.

    Raises:
        InputError: If it is damaged, protected, holds no text or unpacks to more than may be.
        OSError: If it cannot be read.
    """
    kind = f"an {file.path.suffix.lower()} file"
    with open_archive(file.path, kind, skipped=_MEDIA) as archive, damage_told(kind):
        if b"encryption-data" in (archive.read(_MANIFEST) if _MANIFEST in archive.names else b""):
            raise InputError("is protected by a password; save it without one.")
        told = read_properties(archive, "meta.xml")
        root = parse_xml(archive.read("content.xml"))
        body = root.find(f"{_OFFICE}body")
        writer = TextWriter()
        if body is not None:
            _Body(writer, _hidden_styles(root)).write(body)
    yield writer.document(file, title=told.title, lang=told.lang, metadata=told.metadata)


def _hidden_styles(root: Element) -> frozenset[str]:
    """Return the names of the styles of text that is not shown."""
    hidden = (style for style in root.iter(f"{_STYLE}text-properties") if style.get(f"{_TEXT}display") == "none")
    return frozenset(parent.get(f"{_STYLE}name") or "" for style in hidden if (parent := style.getparent()) is not None)


class _Body:
    """Writes the blocks of a document, each with the notes and boxes that are anchored in it after it."""

    def __init__(self, writer: TextWriter, hidden: frozenset[str]) -> None:
        self._writer = writer
        self._hidden = hidden
        self._anchored: list[Element] = []
        self._slides = 0

    def write(self, container: Element, *, in_list: bool = False, is_title: bool = False) -> None:
        """Write the blocks below an element."""
        for child in container:
            tag = child.tag
            if tag in _UNSEEN or child.get(f"{_PRESENTATION}class") in _RUNNING:
                continue
            if tag in _PARAGRAPHS:
                self._paragraph(child, in_list, is_title)
            elif tag == f"{_TABLE}table":
                self._table(child)
            else:
                if tag == f"{_DRAW}page":
                    self._slides += 1
                    self._writer.mark(f"slide={self._slides}")
                is_title = child.get(f"{_PRESENTATION}class") == "title" or (is_title and tag == f"{_DRAW}text-box")
                self.write(child, in_list=in_list or tag == f"{_TEXT}list-item", is_title=is_title)
            anchored, self._anchored = self._anchored, []
            for element in anchored:
                self.write(element)

    def _paragraph(self, paragraph: Element, in_list: bool, is_title: bool) -> None:
        text = self._text(paragraph)
        level = paragraph.get(f"{_TEXT}outline-level") or "1"
        if is_title or paragraph.get(f"{_TEXT}style-name") == "Title":
            self._writer.heading(text)
        elif paragraph.tag == f"{_TEXT}h":
            self._writer.heading(text, int(level) if level.isdecimal() else 1)
        elif in_list:
            self._writer.item(text)
        else:
            self._writer.paragraph(text)

    def _table(self, table: Element) -> None:
        for row in table.iter(f"{_TABLE}table-row"):
            if next(row.iterancestors(f"{_TABLE}table"), None) is table:
                cells = [cell for cell in row if cell.tag == f"{_TABLE}table-cell"]
                self._writer.row(" ".join(self._text(p) for p in cell.iter(*_PARAGRAPHS)) for cell in cells)

    def _text(self, paragraph: Element) -> str:
        parts: list[str] = []
        self._collect(paragraph, parts)
        return "".join(parts)

    def _collect(self, element: Element, parts: list[str]) -> None:
        parts.append(element.text or "")
        for child in element:
            tag = child.tag
            if tag in _ANCHORED:
                self._anchored.append(child)
            elif tag in _SIGNS:
                parts.append(_SIGNS[tag])
            elif tag == f"{_TEXT}s":
                count = child.get(f"{_TEXT}c") or "1"
                parts.append(" " * min(int(count) if count.isdecimal() else 1, _MOST_SPACES))
            elif tag not in _UNSEEN and child.get(f"{_TEXT}style-name") not in self._hidden:
                self._collect(child, parts)
            parts.append(child.tail or "")
