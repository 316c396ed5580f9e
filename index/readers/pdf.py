"""PDF."""

from __future__ import annotations

from collections.abc import Iterator

from index.config import FieldNames
from index.extras import needs
from index.readers.source_file import SourceFile
from index.records import Document, Rejected

SUFFIXES: tuple[str, ...] = (".pdf",)
ISOLATED = True


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read."""
    with needs("formats", "reading .pdf files"):
        import pypdfium2
    pdf = pypdfium2.PdfDocument(file.place)
    yield Document(file.doc_id, file.source, "\n".join(p.get_textpage().get_text_range() for p in pdf))
