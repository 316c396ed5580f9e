"""Word documents (.docx): paragraphs, headings, lists, tables, notes and text boxes in the order of the text.

Read as a page shows them once all changes are accepted: what was inserted is there, what was deleted or hidden is not.
The table of contents, headers and footers are left out, since they only repeat; pages exist only once a program lays
them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from index.config import FieldNames
from index.extras import needs
from index.readers.markup import parse_xml
from index.readers.members import open_archive
from index.readers.office import read_properties
from index.readers.source_file import SourceFile
from index.readers.writing import TextWriter, damage_told
from index.records import Document, Rejected

if TYPE_CHECKING:
    from docx.document import Document as Opened

    from index.readers.markup import Element

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
        self._styles = _read_styles(opened)
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
        named = paragraph.find(f"{_W}pPr/{_W}pStyle")
        style = self._styles.get((named.get(f"{_W}val") or "") if named is not None else "", _PLAIN)
        if style.is_contents:
            return
        text = self._text(paragraph)
        outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if level := style.level if outline is None else _outline(outline):
            self._writer.heading(text, level)
        elif style.is_item or paragraph.find(f"{_W}pPr/{_W}numPr") is not None:
            self._writer.item(text)
        else:
            self._writer.paragraph(text)

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


@dataclass(frozen=True, slots=True)
class _Style:
    """What a style of paragraphs makes of them: a heading of a level, an item of a list, a line of the contents."""

    level: int = 0
    is_item: bool = False
    is_contents: bool = False


_PLAIN = _Style()


def _read_styles(opened: Opened) -> dict[str, _Style]:
    """Return the styles by their ids, each with what it has from those that it is based on."""
    elements = {style.get(f"{_W}styleId") or "": style for style in opened.styles.element.iterfind(f"{_W}style")}
    styles = {}
    for name in elements:
        line: list[Element] = []
        at = elements.get(name)
        while at is not None and at not in line and len(line) < _STYLES_DEEP:
            line.append(at)
            based = at.find(f"{_W}basedOn")
            at = elements.get(based.get(f"{_W}val") or "") if based is not None else None
        level = next((level for level in map(_own_level, line) if level is not None), 0)
        is_item = any(style.find(f"{_W}pPr/{_W}numPr") is not None for style in line)
        styles[name] = _Style(level, is_item, _name(elements[name]).startswith("toc "))
    return styles


def _own_level(style: Element) -> int | None:
    """Return what a style itself says of the level; None when it says nothing."""
    outline = style.find(f"{_W}pPr/{_W}outlineLvl")
    if outline is not None:
        return _outline(outline)
    if heading := _HEADING.match(_name(style)):
        return int(heading.group(1))
    return 1 if _name(style) == "title" else None


def _name(style: Element) -> str:
    """Return a style's name, which is English in every language of the program."""
    named = style.find(f"{_W}name")
    return (named.get(f"{_W}val") or "").lower() if named is not None else ""


def _read_notes(opened: Opened, part: str, reference: str) -> dict[str, Element]:
    """Return the notes of a part by their ids; separators, which are notes to the format, are never cited."""
    for relation in opened.part.rels.values():
        if relation.reltype.rpartition("/")[2] == part and not relation.is_external:
            root = parse_xml(relation.target_part.blob)
            name = f"{_W}{reference.removesuffix('Reference')}"
            return {note.get(f"{_W}id") or "": note for note in root.iterfind(name)}
    return {}
