"""What readers of richer formats share: writing a document's text down, and its title, language and metadata.

The text they write is plain, with as much of Markdown as the chunker knows: ``# `` before headings, ``- `` before the
items of a list, ``|`` around the cells of a table's row. Blocks stand apart by a blank line.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping

from index.errors import InputError, TonguesError
from index.language import detect_language
from index.language_model import rank
from index.readers.fielded import language_tag
from index.readers.plain import refuse_empty
from index.readers.source_file import SourceFile
from index.records import UNKNOWN_LANG, Document, Mark

_TOP = 4_000
"""Characters of a text in which its own title is looked for."""
_LONGEST_VALUE = 1_000
"""Characters kept of one value of the metadata."""
_LONGEST_TITLE = 300
_WINDOW = 600
_WINDOWS = 8
"""Pieces of a text whose language is compared with the one declared, and how many characters of each are looked at."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n\s*\n")
_SPACES = re.compile(r"[ \t\r\f\v]+")
_LIBRARIES = ("htmldate", "justext", "pysubs2", "readability", "trafilatura", "courlan", "charset_normalizer")


class TextWriter:
    """Puts blocks together to the text of a document, and knows where each place of its source begins."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.length = 0
        """Characters written so far."""
        self._last = ""
        self._kinds: set[str] = set()
        self._marks: list[Mark] = []
        self._pending = ""
        self.first_heading = ""
        """The words of the first heading."""
        self.last_line = ""
        """The line that ``run_on`` writes on."""

    def mark(self, locator: str) -> None:
        """Say where the next block is; a place without a block leaves no mark."""
        self._pending = locator

    def heading(self, words: str, level: int = 1) -> None:
        """Write a heading on one line."""
        if words := one_line(words):
            self.first_heading = self.first_heading or words
            self._write(f"{'#' * min(max(level, 1), 6)} {words}", "heading")

    def paragraph(self, text: str) -> None:
        """Write a paragraph; its own line ends stay, blank lines too."""
        lines = "\n".join(_SPACES.sub(" ", line).strip() for line in clean(text).split("\n"))
        if lines := _BLANK_LINES.sub("\n\n", lines).strip():
            self._write(lines, "paragraph")

    def item(self, text: str) -> None:
        """Write an item of a list on one line."""
        if words := one_line(text):
            self._write(f"- {words}", "item")

    def row(self, cells: Iterable[str]) -> None:
        """Write a row of a table; one without a word is none."""
        words = [one_line(cell) for cell in cells]
        if any(words):
            self._write("| " + " | ".join(words) + " |", "row")

    def run_on(self, text: str, between: str) -> None:
        """Write on after what is there, with ``between`` before it unless it is the first."""
        self._append(text, between if self._parts else "")
        self.last_line = text if "\n" in between else f"{self.last_line}{between}{text}"
        self._last = "run"

    def _write(self, block: str, kind: str) -> None:
        together = kind == self._last and kind in ("item", "row")
        self._append(block, ("\n" if together else "\n\n") if self._parts else "")
        self._last = kind
        self._kinds.add(kind)

    def has(self, kind: str) -> bool:
        """Tell whether a block of a kind was written: "heading", "paragraph", "item" or "row"."""
        return kind in self._kinds

    def _append(self, text: str, before: str) -> None:
        start = self.length + len(before)
        self._parts += [before, text]
        self.length = start + len(text)
        if self._pending:
            self._marks.append(Mark(start, self._pending))
            self._pending = ""

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self._parts)

    def document(
        self, file: SourceFile, *, title: str = "", lang: str = "", metadata: Mapping[str, str | None] | None = None
    ) -> Document:
        """Make the document of what was written.

        Args:
            file: Where it came from.
            title: What the source declares as its title; without one, or with a file's name, the first heading is it.
            lang: The language that the source declares; it counts when it is plausible.
            metadata: Further fields; empty ones are left out.

        Raises:
            InputError: If nothing visible was written.
        """
        text = self.text
        refuse_empty(text)
        told, in_text = _title(text, title, self.first_heading)
        return Document(
            file.doc_id,
            file.source,
            text,
            title=told,
            lang=plausible_language(lang, text),
            metadata=cleaned(metadata or {}),
            title_in_text=in_text,
            marks=tuple(self._marks),
        )


def clean(text: str) -> str:
    """Return a text with plain line ends, without control characters and halves of surrogate pairs."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\v", "\n").replace("\x0c", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROLS.sub("", text))


def one_line(text: str) -> str:
    """Return a text on one line, its white space single spaces."""
    return " ".join(clean(text).split())


def cleaned(metadata: Mapping[str, str | None]) -> dict[str, object]:
    """Return the values that say something, each on one line and not too long."""
    values = {name: one_line(value or "")[:_LONGEST_VALUE] for name, value in metadata.items()}
    return {name: value for name, value in values.items() if value}


def _title(text: str, declared: str, heading: str) -> tuple[str, bool]:
    """Return a document's title, and whether it is a line of its text."""
    lines = [one_line(line.lstrip("#")) for line in text[:_TOP].split("\n")]
    title = one_line(declared)[:_LONGEST_TITLE]
    if title:
        return title, title.casefold() in (line.casefold() for line in lines)
    return heading[:_LONGEST_TITLE], bool(heading)


def plausible_language(declared: str, text: str) -> str:
    """Return the language that a source declares for its text, "" when some of the text is in another.

    Templates and tools declare English whatever is written in them, and a book has one language where its chapters
    have several. A language that detection does not know cannot be refuted.

    Args:
        declared: A BCP 47 tag, or anything.
        text: What is written.
    """
    primary = language_tag(declared.replace("_", "-")).partition("-")[0]
    if primary not in {lang for lang, _ in rank("a")}:
        return primary
    step = max(_WINDOW, len(text) // _WINDOWS)
    found = {detect_language(text[at : at + _WINDOW], expected=(primary,)) for at in range(0, len(text), step)}
    return primary if found <= {primary, UNKNOWN_LANG} else ""


@contextlib.contextmanager
def damage_told(kind: str) -> Iterator[None]:
    """Turn whatever a library raises over a damaged file into one error of our own.

    Libraries fail over files that somebody damaged on purpose in any way: no list of exceptions would be complete.

    Args:
        kind: What the file should be: "a .docx file".

    Raises:
        InputError: For every failure that is not the file system's, memory's or our own.
    """
    try:
        yield
    except (TonguesError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = one_line(str(error))[:200] or type(error).__name__
        raise InputError(f"cannot be read as {kind} ({reason}); mend it, or save it again with the program.") from error


def hush_libraries() -> None:
    """Keep libraries from writing to standard error when the program has set up no logging."""
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
