"""Presentations (.pptx): slide by slide, each with its title, text, tables and the speaker's notes.

Slides that are hidden in the show are read too, so that their numbers are those of the program. Headers, footers,
dates and numbers of slides are left out; so is the text of charts and diagrams, which the file keeps elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from index.config import FieldNames
from index.extras import needs
from index.readers.members import open_archive
from index.readers.office import read_properties
from index.readers.source_file import SourceFile
from index.readers.writing import TextWriter, damage_told
from index.records import Document, Rejected

if TYPE_CHECKING:
    from pptx.shapes.base import BaseShape
    from pptx.slide import Slide
    from pptx.text.text import TextFrame, _Paragraph

SUFFIXES: tuple[str, ...] = (".pptx",)
ISOLATED = True

_MEDIA = ("ppt/media/",)
_RUNNING = ("ftr", "hdr", "dt", "sldNum")
"""Kinds of placeholders that say the same on every slide."""
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_BULLETS = (f"{_A}buChar", f"{_A}buAutoNum", f"{_A}buBlip")


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a presentation as one document, marked with the numbers of its slides.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: Not used: the format says itself how it is encoded.

    Raises:
        InputError: If it is damaged, protected, holds no text or unpacks to more than may be.
        OSError: If it cannot be read.
    """
    with needs("formats", "reading .pptx files"):
        import pptx
    kind = "a .pptx file"
    with open_archive(file.path, kind, skipped=_MEDIA) as archive:
        told = read_properties(archive)
    with damage_told(kind):
        writer = TextWriter()
        for number, slide in enumerate(pptx.Presentation(str(file.path)).slides, start=1):
            writer.mark(f"slide={number}")
            _write_slide(writer, slide)
    yield writer.document(file, title=told.title, lang=told.lang, metadata=told.metadata)


def _write_slide(writer: TextWriter, slide: Slide) -> None:
    title = slide.shapes.title
    if title is not None:
        writer.heading(title.text_frame.text)
    for shape in _leaves(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        _write_shape(writer, shape)
    if slide.has_notes_slide:
        for shape in _leaves(slide.notes_slide.shapes):
            _write_shape(writer, shape, in_notes=True)


def _leaves(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """Yield the shapes that are no groups, those in groups too, in the order of the file."""
    for shape in shapes:
        inner = getattr(shape, "shapes", None)
        if inner is None:
            yield shape
        else:
            yield from _leaves(inner)


def _write_shape(writer: TextWriter, shape: BaseShape, *, in_notes: bool = False) -> None:
    from pptx.shapes.autoshape import Shape
    from pptx.shapes.graphfrm import GraphicFrame

    placeholder = shape._element.ph if shape.is_placeholder else None
    kind = placeholder.get("type", "obj") if placeholder is not None else ""
    if kind in _RUNNING:
        return
    if isinstance(shape, GraphicFrame):
        for row in shape.table.rows if shape.has_table else ():
            writer.row(cell.text_frame.text for cell in row.cells if not cell.is_spanned)
    elif isinstance(shape, Shape):
        _write_text(writer, shape.text_frame, is_list=kind in ("obj", "body") and not in_notes)


def _write_text(writer: TextWriter, frame: TextFrame, *, is_list: bool) -> None:
    """Write the paragraphs of a frame; those with a bullet, which main text has unless it says otherwise, as items."""
    paragraphs = [paragraph for paragraph in frame.paragraphs if paragraph.text.strip()]
    for paragraph in paragraphs:
        if _has_bullet(paragraph, is_list and len(paragraphs) > 1):
            writer.item(paragraph.text)
        else:
            writer.paragraph(paragraph.text)


def _has_bullet(paragraph: _Paragraph, inherited: bool) -> bool:
    properties = paragraph._p.pPr
    if properties is None:
        return inherited
    if properties.find(f"{_A}buNone") is not None:
        return False
    return inherited or any(properties.find(name) is not None for name in _BULLETS)
