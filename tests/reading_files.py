"""Reading the files of ``tests/files``, and files made of them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from index.config import FieldNames
from index.readers import SourceFile, read_file
from index.records import Document, Rejected
from tests.builds import ROOT

FILES = ROOT / "tests" / "files"


def items(path: Path, encoding: str = "") -> list[Document | Rejected]:
    """Read a file as a build does."""
    file = SourceFile(str(path), f"in/{path.name}", path.name, path.stat().st_size)
    return list(read_file(file, fields=FieldNames(), encoding=encoding))


def document(path: Path | str, encoding: str = "") -> Document:
    """Read a file that is one document, whose marks and title are what they should be."""
    (item,) = items(FILES / path, encoding)
    assert isinstance(item, Document), item
    assert (item.doc_id, item.source) == (Path(path).name, f"in/{Path(path).name}")
    starts = [mark.start for mark in item.marks]
    assert starts == sorted(set(starts))
    assert all(start == 0 or item.text[start - 1].isspace() for start in starts)
    assert not item.title_in_text or item.title in item.text
    return item


def reason(path: Path, encoding: str = "") -> str:
    """Read a file that is rejected as a whole; return why."""
    (item,) = items(path, encoding)
    assert isinstance(item, Rejected), item
    assert item.where == f"in/{path.name}"
    return item.reason


def marked(document: Document) -> dict[str, str]:
    """Return the text at each mark, up to the next one, by its locator."""
    ends = [*(mark.start for mark in document.marks[1:]), len(document.text)]
    return {
        mark.locator: document.text[mark.start : end].strip() for mark, end in zip(document.marks, ends, strict=True)
    }


def in_order(text: str, *pieces: str) -> None:
    """Check that a text holds some pieces, one after the other."""
    at = 0
    for piece in pieces:
        at = text.find(piece, at)
        assert at >= 0, f"{piece!r} is not there, or not in its order, in:\n{text}"
        at += len(piece)


def changed(path: Path, target: Path, members: Mapping[str, bytes | None]) -> Path:
    """Write a copy of an archive with some members replaced or added, or taken out (None)."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in dict.fromkeys([*old.namelist(), *members]):
            data = members[name] if name in members else old.read(name)
            if data is not None:
                new.writestr(name, data)
    return target


def member(path: Path, name: str) -> bytes:
    """Read one member of an archive."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)
