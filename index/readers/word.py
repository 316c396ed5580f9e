"""Word documents (.docx): paragraphs, headings, lists, tables, notes and text boxes in the order of the text.

Read as a page shows them once all changes are accepted: what was inserted is there, what was deleted or hidden is not.
Headers and footers are left out, since they repeat on every page; pages exist only once a program lays them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from index.config import FieldNames
from index.extras import needs
from index.readers.archives import open_archive
from index.readers.markup import parse_xml
from index.readers.office import read_properties
from index.readers.source_file import SourceFile
from index.readers.writing import TextWriter, damage_told
from index.records import Document, Rejected

if TYPE_CHECKING:
    from docx.document import Document as Opened
    from lxml.etree import _Element as Element

SUFFIXES: tuple[str, ...] = (".docx",)
ISOLATED = True

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_NOTES = {"footnotes": "footnoteReference", "endnotes": "endnoteReference"}
_UNSEEN = ("del", "moveFrom", "pPr", "rPr", "instrText", "delText")
_LEFT_OUT = frozenset([*(f"{_W}{name}" for name in _UNSEEN), _FALLBACK])
_SIGNS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "\u2011"}
_OFF = ("0", "false", "off", "none")
_HEADING = re.compile(r"heading ([1-9])$", re.IGNORECASE)
_STYLES_DEEP = 20
"""The most styles that may be based on one another."""


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a Word document as one document.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: Not used: the format says itself how it is encoded.

    Raises:
        InputError: If it is damaged, protected, holds no text or unpacks to more than may be.
        OSError: If it cannot be read.
    """
    with needs("formats", "reading .docx files"):
        import docx
    kind = "a .docx file"
    with open_archive(file.path, kind) as archive:
        told = read_properties(archive)
    with damage_told(kind):
        opened = docx.Document(str(file.path))
        writer = TextWriter()
        _Body(opened, writer).write(opened.element.body)
    yield writer.document(file, title=told.title, lang=told.lang, metadata=told.metadata)


class _Body:
    """Writes the blocks of a document, each with the notes and boxes that are anchored in it after it."""

    def __init__(self, opened: Opened, writer: TextWriter) -> None:
        self._writer = writer
        self._levels = _heading_levels(opened)
        self._notes = {reference: _read_notes(opened, part, reference) for part, reference in _NOTES.items()}
        self._boxes: list[Element] = []
        self._cited: list[Element] = []

    def write(self, container: Element) -> None:
        """Write the blocks of the body, a note or a text box."""
        for block in _blocks(container):
            if block.tag == f"{_W}p":
                self._paragraph(block)
            else:
                for row in block.iterfind(f"{_W}tr"):
                    if row.find(f"{_W}trPr/{_W}del") is None:
                        self._writer.row(self._cell(cell) for cell in _children(row, f"{_W}tc"))
            self._anchored()

    def _anchored(self) -> None:
        boxes, self._boxes = self._boxes, []
        cited, self._cited = self._cited, []
        for element in (*boxes, *cited):
            self.write(element)

    def _paragraph(self, paragraph: Element) -> None:
        text = self._text(paragraph)
        level = self._level(paragraph)
        if level:
            self._writer.heading(text, level)
        elif paragraph.find(f"{_W}pPr/{_W}numPr") is not None:
            self._writer.item(text)
        else:
            self._writer.paragraph(text)

    def _level(self, paragraph: Element) -> int:
        """Return the level of a heading, 0 of other paragraphs."""
        own = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if own is not None:
            return _outline(own)
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        return self._levels.get(style.get(f"{_W}val") or "", 0) if style is not None else 0

    def _cell(self, cell: Element) -> str:
        """Return the words of a table's cell, those of a table in it too."""
        return " ".join(self._text(paragraph) for paragraph in _paragraphs(cell))

    def _text(self, paragraph: Element) -> str:
        """Return a paragraph's words; boxes and notes in it are put by."""
        parts: list[str] = []
        self._collect(paragraph, parts)
        return "".join(parts)

    def _collect(self, element: Element, parts: list[str]) -> None:
        for child in element:
            tag = child.tag
            if tag in _LEFT_OUT or (tag == f"{_W}r" and _is_hidden(child)):
                continue
            if tag == f"{_W}t":
                parts.append(child.text or "")
            elif tag in _SIGNS:
                parts.append(_SIGNS[tag])
            elif tag == f"{_W}txbxContent":
                self._boxes.append(child)
            elif isinstance(tag, str) and tag.removeprefix(_W) in self._notes:
                note = self._notes[tag.removeprefix(_W)].pop(child.get(f"{_W}id") or "", None)
                self._cited += [note] if note is not None else []
            else:
                self._collect(child, parts)


def _children(element: Element, *tags: str) -> Iterator[Element]:
    """Yield the children of some names, looking into what only wraps them (controls, insertions)."""
    for child in element:
        if child.tag in tags:
            yield child
        elif child.tag not in _LEFT_OUT and child.tag not in (f"{_W}p", f"{_W}tbl", f"{_W}tc"):
            yield from _children(child, *tags)


def _blocks(container: Element) -> Iterator[Element]:
    return _children(container, f"{_W}p", f"{_W}tbl")


def _paragraphs(cell: Element) -> Iterator[Element]:
    for block in _blocks(cell):
        if block.tag == f"{_W}p":
            yield block
        else:
            for row in block.iterfind(f"{_W}tr"):
                for inner in _children(row, f"{_W}tc"):
                    yield from _paragraphs(inner)


def _is_hidden(run: Element) -> bool:
    vanish = run.find(f"{_W}rPr/{_W}vanish")
    return vanish is not None and (vanish.get(f"{_W}val") or "on") not in _OFF


def _outline(element: Element) -> int:
    """Return the level of a heading from the outline's, which counts from 0; 9 is body text."""
    value = element.get(f"{_W}val") or ""
    return int(value) + 1 if value.isdecimal() and int(value) < 9 else 0


def _heading_levels(opened: Opened) -> dict[str, int]:
    """Return the levels of the styles of headings by their ids, those that are based on them too."""
    styles = {style.get(f"{_W}styleId") or "": style for style in opened.styles.element.iterfind(f"{_W}style")}
    levels = {}
    for name, style in styles.items():
        at: Element | None = style
        for _ in range(_STYLES_DEEP):
            if at is None or (level := _own_level(at)) is not None:
                break
            based = at.find(f"{_W}basedOn")
            at = styles.get(based.get(f"{_W}val") or "") if based is not None else None
        else:
            at = None
        levels[name] = (level or 0) if at is not None else 0
    return levels


def _own_level(style: Element) -> int | None:
    """Return what a style itself says of the level; None when it says nothing."""
    outline = style.find(f"{_W}pPr/{_W}outlineLvl")
    if outline is not None:
        return _outline(outline)
    named = style.find(f"{_W}name")
    name = (named.get(f"{_W}val") or "") if named is not None else ""
    if heading := _HEADING.match(name):
        return int(heading.group(1))
    return 1 if name.lower() == "title" else None


def _read_notes(opened: Opened, part: str, reference: str) -> dict[str, Element]:
    """Return the notes of a part by their ids; separators, which are notes to the format, are never cited."""
    for relation in opened.part.rels.values():
        if relation.reltype.rpartition("/")[2] == part and not relation.is_external:
            root = parse_xml(relation.target_part.blob)
            name = f"{_W}{reference.removesuffix('Reference')}"
            return {note.get(f"{_W}id") or "": note for note in root.iterfind(name)}
    return {}
