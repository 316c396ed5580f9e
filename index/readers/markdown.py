"""Markdown: one document a file, with a title and a language from its front matter or a title from a heading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from index.config import FieldNames
from index.readers.decoding import SURROGATE, read_text
from index.readers.fielded import language_tag
from index.readers.plain import refuse_empty
from index.readers.source_file import SourceFile
from index.records import Document, Rejected
from index.text import front_matter_end, is_template

SUFFIXES: tuple[str, ...] = (".md", ".markdown")

_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_FRONT_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+(.*))?$")
_ATX = re.compile(r" {0,3}#{1,6}(?:[ \t](.*))?$")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO_PARAGRAPH = re.compile(r"[ \t]*$|[ \t]*(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)|[ \t]*>|    |\t| {0,3}(?:[-_*][ \t]*){3,}$")
"""What cannot be the first line of a Setext heading: blank, a list item, a quotation, indented code, a rule."""


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a Markdown file as one document.

    The title is that of the front matter, else the first heading. A ``lang`` of the front matter that is not shaped
    like a BCP 47 tag counts as none; it stays in the text, like all of the front matter.

    Args:
        file: The file.
        fields: Not used: the front matter's keys are ``title`` and ``lang``.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If the file is empty, too large, binary, or in an encoding that cannot be told.
        OSError: If it cannot be read.
    """
    text = read_text(file.path, encoding)
    refuse_empty(text)
    front, body_start = front_matter(text)
    title = front.get("title", "")
    heading = "" if title else first_heading(text, body_start)
    if is_template(heading):
        heading = ""  # the page's template was never filled in
    yield Document(
        file.doc_id,
        file.source,
        text,
        title=title or heading,
        lang=language_tag(front.get("lang", "")),
        title_in_text=bool(heading),
    )


def front_matter(text: str) -> tuple[dict[str, str], int]:
    """Read the simple ``key: value`` lines of front matter, which stands between ``---`` lines at the very top.

    Only what stands on a key's own line is read: nested keys, lists and block scalars are not.

    Returns:
        The values by key, and the character offset of what follows the front matter: ({}, 0) if there is none.
    """
    end = front_matter_end(text)
    values: dict[str, str] = {}
    for line, _, _ in _lines(text[:end], 0):
        if key := _FRONT_KEY.match(line):
            values.setdefault(key.group(1).lower(), _scalar(key.group(2) or ""))
    return values, end


def first_heading(text: str, start: int = 0) -> str:
    """Find the first heading, ``# ATX`` or underlined, that is not inside a fenced code block.

    Args:
        text: The Markdown text.
        start: The character offset to begin at.

    Returns:
        The heading's text with its inline markup, on one line, or "" if there is none.
    """
    fence = ""
    paragraph: list[str] = []
    for line, _, _ in _lines(text, start):
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark.group(1).startswith(fence) and not line[mark.end() :].strip()
            fence = "" if closes else fence
        elif mark:
            fence, paragraph = mark.group(1), []
        elif paragraph and _UNDERLINE.match(line):
            return " ".join(paragraph)
        elif atx := _ATX.match(line):
            paragraph = []
            if heading := _without_closing(atx.group(1) or ""):
                return heading
        elif paragraph and line.strip():
            # A long paragraph is not kept: nobody underlines one.
            paragraph = [*paragraph, line.strip()] if len(paragraph) < 8 and not _NO_PARAGRAPH.match(line) else []
        else:
            paragraph = [] if _NO_PARAGRAPH.match(line) else [line.strip()]
    return ""


def _without_closing(heading: str) -> str:
    """Return the words of an ATX heading without the signs that may close it: "Words ##", but not "C#"."""
    words = heading.strip()
    opened = words.rstrip("#")
    return words if opened and opened[-1] not in " \t" else opened.rstrip()


def _lines(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield each line from an offset on without its end, its start, and the offset just after its end."""
    for match in _LINE.finditer(text, start):
        if match.start() == len(text):
            return
        yield match.group(1), match.start(), match.end()


def _scalar(value: str) -> str:
    """Read a YAML scalar that stands on one line; "" for the beginning of anything longer."""
    value = value.strip()
    if value.startswith('"'):
        try:
            quoted, end = json.JSONDecoder().raw_decode(value)
        except ValueError:
            return value.strip('"')
        is_whole = not value[end:].strip() or value[end:].lstrip().startswith("#")
        return str(quoted) if is_whole and not SURROGATE.search(quoted) else value
    if value.startswith("'"):
        closing = re.match(r"'((?:[^']|'')*)'", value)
        return closing.group(1).replace("''", "'") if closing else value.strip("'")
    value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    return "" if value[:1] in ("|", ">", "[", "{", "&", "*") else value
