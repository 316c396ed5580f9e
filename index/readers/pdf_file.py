"""What PDFium knows of a page: its glyphs with their places, its lines, its images."""

from __future__ import annotations

import codecs
import ctypes
import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from index.errors import InputError
from index.extras import needs
from index.readers.page_lines import Glyph, PageLine

MAX_PAGES = 20_000
_MAX_OBJECTS = 200_000
_MAX_CHARS = 1_000_000
_MAX_DEPTH = 8
_USUAL_DECLARED, _MAX_DECLARED = 4096, 32_766
"""Bounds of what is looked at: pages of a file, objects and characters of a page, forms within forms, and the bytes of
a declared text, of which few are longer than usual; PDFium cuts those of a page's program after 32,767."""
_MAX_TITLE = 300
_ENDS = "\r\n"
_HYPHEN = 2
"""How PDFium writes a hyphen at the end of a line where the word goes on."""


class PdfPage:
    """One page."""

    def __init__(self, page: Any) -> None:
        import pypdfium2.raw as raw

        self._raw = raw
        self._page = page
        self._text = page.get_textpage()
        self._two = ctypes.c_double(), ctypes.c_double()
        self._box = raw.FS_RECTF()
        self._matrix, self._length, self._size_of = raw.FS_MATRIX(), ctypes.c_ulong(), ctypes.c_float()
        self._edges = [ctypes.c_float() for _ in range(4)]
        self._buffer = (ctypes.c_ubyte * _USUAL_DECLARED)()
        self._n = min(self._text.count_chars(), _MAX_CHARS)
        get = raw.FPDFText_GetUnicode
        handle = self._text.raw
        self.codes = [get(handle, i) for i in range(self._n)]
        """The code points that PDFium reads, in its order."""

    def close(self) -> None:
        """Let go of it."""
        self._text.close()
        self._page.close()

    def has_image(self) -> bool:
        """Tell whether something is drawn that may be a scan: an image."""
        return any(kind == self._raw.FPDF_PAGEOBJ_IMAGE for kind, _ in self._objects())

    def lines(self) -> Iterator[PageLine]:
        """Yield the lines as PDFium orders them."""
        start = 0
        for i in range(self._n + 1):
            # Where a word goes on, PDFium writes a hyphen of its own and no end of the line.
            is_hyphen = i < self._n and self.codes[i] == _HYPHEN
            if i < self._n and self.codes[i] != 10 and not is_hyphen:
                continue
            text = "".join(_character(code) for code in self.codes[start : i + is_hyphen])
            first = next((at for at in range(start, i) if self.codes[at] not in (13, 32)), -1)
            if first >= 0:
                x, y = self._origin(first)
                yield PageLine(text.strip(), x, y, self._size(first))
            start = i + 1

    def glyphs(self) -> Iterator[Glyph]:
        """Yield what is drawn, in the order of the page's own program.

        What the page declares a text for (ActualText) gets that: what it means, in reading order, and letters that
        leave no trace on paper, such as a non-joiner. PDFium itself drops those, and turns others around.
        """
        drawn: dict[int, list[int]] = {}
        for i in range(self._n):
            drawn.setdefault(self._owner(i), []).append(i)
        declared: dict[int, tuple[str, list[Glyph]]] = {}
        last = 0
        for kind, handle in self._objects():
            if kind != self._raw.FPDF_PAGEOBJ_TEXT:
                continue
            x, y, size = self._place(handle)
            own = list(self._drawn(drawn.get(_address(handle), ()), size))
            mark, text = self._actual_text(handle)
            if mark != last and last:
                yield from _joined(*declared.pop(last))
            last = mark
            if not mark:
                yield from own
                continue
            left, bottom, right, top = self._bounds(handle)
            box = Glyph("", x, y, left, right, bottom, top, size)
            declared.setdefault(mark, (text, []))[1].extend([box, *own])
        if last:
            yield from _joined(*declared.pop(last))

    def _drawn(self, numbers: Iterable[int], size: float) -> Iterator[Glyph]:
        """Yield the glyphs of one object."""
        last: tuple[float, float] | None = None
        for i in numbers:
            x, y = self._origin(i)
            self._raw.FPDFText_GetLooseCharBox(self._text.raw, i, self._box)
            box = self._box
            yield Glyph(
                _character(self.codes[i]),
                x,
                y,
                box.left,
                box.right,
                box.bottom,
                box.top,
                size,
                is_more=(x, y) == last,
            )
            last = None if self.codes[i] == 32 else (x, y)

    def _place(self, handle: Any) -> tuple[float, float, float]:
        """Return where an object's text begins, and the size of its letters in points."""
        matrix, size = self._matrix, self._size_of
        self._raw.FPDFPageObj_GetMatrix(handle, matrix)
        self._raw.FPDFTextObj_GetFontSize(handle, size)
        return matrix.e, matrix.f, size.value * math.hypot(matrix.c, matrix.d) or 1.0

    def _bounds(self, handle: Any) -> tuple[float, float, float, float]:
        self._raw.FPDFPageObj_GetBounds(handle, *self._edges)
        left, bottom, right, top = (edge.value for edge in self._edges)
        return left, bottom, right, top

    def _actual_text(self, handle: Any) -> tuple[int, str]:
        """Return the mark by which an object declares its text, and the text; 0 and "" when it does not.

        One that is too long is as good as none: what is drawn is read.
        """
        for i in range(min(self._raw.FPDFPageObj_CountMarks(handle), _MAX_DEPTH)):
            mark = self._raw.FPDFPageObj_GetMark(handle, i)
            data = self._declared(mark)
            if data.startswith(codecs.BOM_UTF16_BE):
                return _address(mark), data[2:].decode("utf-16-be", "replace")
        return 0, ""

    def _declared(self, mark: Any) -> bytes:
        """Return the bytes of a mark's text; none when it has none, or too many."""
        get, length = self._raw.FPDFPageObjMark_GetParamBlobValue, self._length
        buffer = self._buffer
        if not get(mark, b"ActualText", buffer, len(buffer), length):
            return b""
        if length.value > len(buffer):  # which was left as it was
            if length.value > _MAX_DECLARED:
                return b""
            buffer = (ctypes.c_ubyte * length.value)()
            get(mark, b"ActualText", buffer, len(buffer), length)
        return bytes(buffer[: length.value])

    def _objects(self) -> Iterator[tuple[int, Any]]:
        """Yield the kind and the handle of what the page draws, in its order, forms opened."""
        raw = self._raw
        page = self._page.raw
        opened: list[Iterator[Any]] = [
            (raw.FPDFPage_GetObject(page, i) for i in range(raw.FPDFPage_CountObjects(page)))
        ]
        for _ in range(_MAX_OBJECTS):
            while opened and (handle := next(opened[-1], None)) is None:
                opened.pop()
            if not opened:
                return
            kind = raw.FPDFPageObj_GetType(handle)
            yield kind, handle
            if kind == raw.FPDF_PAGEOBJ_FORM and len(opened) < _MAX_DEPTH:
                opened.append(self._within(handle))

    def _within(self, form: Any) -> Iterator[Any]:
        raw = self._raw
        return (raw.FPDFFormObj_GetObject(form, i) for i in range(raw.FPDFFormObj_CountObjects(form)))

    def _owner(self, i: int) -> int:
        """Return the address of the object that draws a character; 0 when none does."""
        return _address(self._raw.FPDFText_GetTextObject(self._text.raw, i))

    def _origin(self, i: int) -> tuple[float, float]:
        x, y = self._two
        self._raw.FPDFText_GetCharOrigin(self._text.raw, i, x, y)
        return x.value, y.value

    def _size(self, i: int) -> float:
        return float(self._raw.FPDFText_GetFontSize(self._text.raw, i)) or 1.0


def _joined(text: str, parts: Sequence[Glyph]) -> Iterator[Glyph]:
    """Yield the one glyph that several objects draw together: it begins where the widest one does."""
    if text:
        widest = max(parts, key=lambda part: part.right - part.left)
        yield dataclasses.replace(
            widest,
            text=text,
            left=min(part.left for part in parts),
            right=max(part.right for part in parts),
            bottom=min(part.bottom for part in parts),
            top=max(part.top for part in parts),
            is_ink=True,
            is_more=False,
        )


@contextmanager
def open_pdf(path: Path) -> Iterator[Any]:
    """Open a PDF.

    Raises:
        InputError: When it is none, is damaged or encrypted.
        ExtraMissingError: When the library is not installed.
    """
    with needs("formats", "reading .pdf files"):
        import pypdfium2
        import pypdfium2.raw as raw
    try:
        pdf = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        code = getattr(error, "err_code", None)
        if code == raw.FPDF_ERR_PASSWORD:
            raise InputError("is encrypted; save it without a password, or leave it out.") from error
        if code == raw.FPDF_ERR_SECURITY:
            raise InputError("is encrypted in a way that is not known; save it without a password.") from error
        raise InputError("is damaged, or no PDF; open it in its own program and save it anew.") from error
    try:
        yield pdf
    finally:
        pdf.close()


def pages_of(pdf: Any) -> Iterator[PdfPage | None]:
    """Yield the pages; None for one that cannot be loaded."""
    import pypdfium2

    for i in range(min(len(pdf), MAX_PAGES)):
        try:
            yield PdfPage(pdf[i])
        except pypdfium2.PdfiumError:
            yield None


def title_of(pdf: Any) -> str:
    """Return the title that a PDF's metadata give, "" when they give none."""
    found = str(pdf.get_metadata_value("Title") or "")
    return " ".join(found.encode("utf-8", "replace").decode("utf-8").split())[:_MAX_TITLE]


def _character(code: int) -> str:
    """Return a character as text; a hyphen where a word goes on is a soft one."""
    if code == _HYPHEN:
        return "\u00ad"
    return "" if chr(code) in _ENDS or code == 0 else chr(code)


def _address(handle: Any) -> int:
    return ctypes.addressof(handle.contents) if handle else 0
