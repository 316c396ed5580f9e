"""Plain text: one document a file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from index.config import FieldNames
from index.errors import InputError
from index.readers.decoding import read_text
from index.readers.source_file import SourceFile
from index.records import Document, Rejected
from index.text import find_left_out

SUFFIXES: tuple[str, ...] = (".txt", ".text")

MAX_TITLE_CHARACTERS = 120
"""A first line longer than this is a paragraph, not a title."""

_TOP = 4_000
"""Characters in which a title is looked for."""

_LINE = re.compile(r"[^\r\n]+")
_VISIBLE = re.compile(r"\S")


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a text file as one document, with its first line as the title if it looks like one.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If the file is empty, too large, binary, or in an encoding that cannot be told.
        OSError: If it cannot be read.
    """
    text = read_text(file.path, encoding)
    refuse_empty(text)
    title = first_line_title(text)
    yield Document(file.doc_id, file.source, text, title=title, title_in_text=bool(title))


def refuse_empty(text: str) -> None:
    """Refuse a text without a visible character.

    Raises:
        InputError: If there is none.
    """
    if not _VISIBLE.search(text):
        raise InputError("is empty; write something in it or remove it.")


def first_line_title(text: str) -> str:
    """Find the title of a plain text: its first line, if it is short and something follows it.

    Blank lines and what a page template left behind are passed over.

    Returns:
        The line without the white space around it, or "".
    """
    left_out = {span.start for span in find_left_out(text[:_TOP])}
    for line in _LINE.finditer(text):
        title = line.group().strip()
        if title and line.end() - len(line.group().lstrip()) not in left_out:
            is_title = len(title) <= MAX_TITLE_CHARACTERS and _VISIBLE.search(text, line.end())
            return title if is_title else ""
    return ""
