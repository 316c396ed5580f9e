"""Web pages: the main text of a saved page, found by trafilatura; all that is visible where it finds none."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from index.config import FieldNames
from index.errors import InputError
from index.extras import needs
from index.readers.decoding import read_bytes
from index.readers.markup import decode_markup, name_of, parse_html
from index.readers.source_file import SourceFile
from index.readers.visible import write_visible
from index.readers.writing import TextWriter, damage_told, hush_libraries, one_line
from index.records import Document, Rejected

if TYPE_CHECKING:
    from trafilatura.metadata import Document as Found

    from index.readers.markup import Element

SUFFIXES: tuple[str, ...] = (".html", ".htm", ".xhtml")
ISOLATED = True

MAX_PAGE_BYTES = 20_000_000
"""The most bytes of a page. Source: trafilatura's own MAX_FILE_SIZE."""

_MOST_ELEMENTS = 30_000
"""Elements of a page above which its main text is not looked for: that would take many seconds. Few have 5,000."""
_LATEST_DATE = "2100-01-01"
"""Else a date's plausibility hangs on the day on which the page is read."""
_LITTLE = 0.02
"""Share of what is visible below which the main text was hardly found, ..."""
_FEW = 80
"""... if it is shorter than so many characters too."""
_MOST = 0.6
"""Share of what is visible that must be main text for a page to be read whole when the main text lacks its headings.

Pages that a program exported are one plain body: trafilatura finds the paragraphs of some, and not what is between."""


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a page as one document: its main text with headings, lists and tables.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: The name of its encoding, or "" to go by the page and detection.

    Raises:
        InputError: If the page shows no text, is too large, or in an encoding that cannot be told.
        OSError: If it cannot be read.
    """
    root = parse_html(decode_markup(read_bytes(file.path, MAX_PAGE_BYTES), encoding))
    lang = declared_language(root)
    title = next((one_line(element.text or "") for element in root.iter("title")), "")
    with damage_told("a web page"):
        found = _main(root) if sum(1 for _ in root.iter()) <= _MOST_ELEMENTS else None
        whole, main = TextWriter(), TextWriter()
        write_visible(root, whole)
        if found is not None:
            write_visible(found.body, main, unseen=("graphic",))
    if not whole.text.strip() and not main.text.strip():
        raise InputError("shows no text (it may be filled in by a script); save the page as a browser shows it.")
    best = main if found is not None and _is_better(main, whole) else whole
    guessed = (found.title if found is not None else "") or ""
    yield best.document(file, title=_title(title, best.first_heading, guessed), lang=lang, metadata=_metadata(found))


def _title(declared: str, heading: str, guessed: str) -> str:
    """Choose a page's title: its heading where that says more or less what its head does, which often adds the site.

    Args:
        declared: What the page's head says.
        heading: The first heading of what was read.
        guessed: What trafilatura takes for the title, which on some pages is a heading of a menu.
    """
    for words in (heading, one_line(guessed)):
        ours, theirs = words.casefold(), declared.casefold()
        if words and (ours in theirs or theirs in ours):
            return words
    return declared


def _is_better(main: TextWriter, whole: TextWriter) -> bool:
    """Tell whether the main text is enough, and its headings and tables were kept."""
    n_main, n_whole = len(main.text.strip()), len(whole.text)
    if n_main < max(1, min(_FEW, _LITTLE * n_whole)):
        return False
    return n_main < _MOST * n_whole or all(main.has(kind) for kind in ("heading", "row") if whole.has(kind))


def declared_language(root: Element) -> str:
    """Return the language that the root of a page declares, or ""."""
    for element in root.iter():
        if name_of(element) in ("html", "body"):
            lang = element.get("lang") or element.get("{http://www.w3.org/XML/1998/namespace}lang")
            if lang or name_of(element) == "body":
                return lang or ""
    return ""


def _main(root: Element) -> Found | None:
    """Find the main text and what the page says of itself.

    Nothing is remembered from page to page: what was seen before must not change what is read.
    """
    with needs("formats", "reading .html files"):
        import trafilatura
    hush_libraries()
    found = trafilatura.bare_extraction(
        copy.deepcopy(root),
        fast=True,  # its fallbacks lose headings; where it finds little, all that is visible is read
        include_comments=False,
        include_tables=True,
        include_formatting=False,
        deduplicate=False,
        with_metadata=True,
        date_extraction_params={"original_date": True, "extensive_search": False, "max_date": _LATEST_DATE},
    )
    return None if isinstance(found, dict) else found


def _metadata(found: Found | None) -> dict[str, str | None]:
    if found is None:
        return {}
    return {"author": found.author, "date": found.date, "url": found.url, "site": found.sitename}
