"""PDF: one document a file, its pages marked."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, pairwise
from statistics import median

from index.config import FieldNames
from index.errors import InputError
from index.readers.page_lines import PageLine, folded, lines_in_order, needs_order
from index.readers.pdf_file import MAX_PAGES, PdfPage, open_pdf, pages_of, title_of
from index.readers.source_file import SourceFile
from index.records import Document, Mark, Rejected

SUFFIXES: tuple[str, ...] = (".pdf",)
ISOLATED = True

_FURNITURE_LINES = 2
_FURNITURE_PAGES = 3
_FURNITURE_SHARE = 0.3
"""A line among the first or last two of a page that comes back on three pages or more and on three tenths of all is a
running title or a page number. A number in it may be another one only where it counts the pages, from whatever it
begins with; lines in larger letters than their page has are headings."""
_MOST_NUMBERS = 6
"""Numbers in a line that may count pages; a row of a table has more."""
_HEADING = 1.15
_WIDE_GAP = 1.2
_OTHER_SIZE = 0.12
"""A paragraph begins after a gap this much wider than between most lines, and where letters are larger or smaller."""
_WRAPPED = (40, 120)
_NARROWEST = 15
_FULL = 0.6
"""Characters of the widest line of a paragraph whose lines the chunker sees to be wrapped; what is no column; and the
share of the widest line that most lines of a column fill: long words leave much of it."""
_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?!\d)")
_SENTENCE_END = re.compile(r"[.!?…।۔؟][\"'”’»›)\]]*$")
_HYPHENS = ("\u00ad", "-", "\u2010")
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_NO_TITLE = re.compile(
    r"microsoft \w+ - .*|untitled.*|unbenannt.*|document ?\d*|.*\.(?:docx?|odt|rtf|txt|html?|indd|dvi|tex|qxd|pdf|p65)",
    re.IGNORECASE,
)
_SCANNED = "Recognise its text first, for example with ocrmypdf."


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read the text layer of a PDF as one document.

    Lines that run on, across pages too, follow each other; a blank line stands between paragraphs. Words divided at
    the end of a line are joined; running titles and page numbers are left out.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: Not used: the format tells its own.

    Raises:
        InputError: If it has no text, is encrypted or damaged.
        ExtraMissingError: If the library is not installed.
        OSError: If it cannot be read.
    """
    pages: list[list[PageLine]] = []
    scanned: list[int] = []
    damaged: list[int] = []
    with open_pdf(file.path) as pdf:
        title = _title(title_of(pdf))
        n_pages = len(pdf)
        for number, page in enumerate(pages_of(pdf), start=1):
            lines = _lines(page) if page else []
            pages.append(lines)
            if page is None:
                damaged.append(number)
            elif not lines and page.has_image():
                scanned.append(number)
            if page:
                page.close()
    if not any(pages):
        raise InputError(_nothing(n_pages, len(scanned), len(damaged)))
    text, marks = _text(without_furniture(pages))
    first = text[: text.find("\n\n")] if "\n\n" in text else ""
    in_text = bool(title) and " ".join(first.split()) == title
    yield Document(file.doc_id, file.source, text, title=title, marks=marks, title_in_text=in_text)
    if scanned:
        yield Rejected(file.source, f"{_told(scanned)} scanned, without a text layer. {_SCANNED}")
    if damaged:
        yield Rejected(file.source, f"{_told(damaged)} damaged and cannot be read; save the file anew.")
    if n_pages > MAX_PAGES:
        yield Rejected(file.source, f"pages after page {MAX_PAGES:,} were not read; split the file.")


def _lines(page: PdfPage) -> list[PageLine]:
    """Return the lines of a page that hold something."""
    if needs_order(page.codes):
        found = lines_in_order(page.glyphs())
    else:
        found = [PageLine(folded(line.text), line.x, line.y, line.size) for line in page.lines()]
    kept = [PageLine(_cleaned(line.text), line.x, line.y, line.size) for line in found]
    return [line for line in kept if line.text]


def _cleaned(text: str) -> str:
    """Return a line without what is no text: controls, halves of surrogate pairs."""
    if not _NOT_TEXT.search(text):
        return text.strip()
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _NOT_TEXT.sub("", whole).strip()


def without_furniture(pages: Sequence[Sequence[PageLine]]) -> list[list[PageLine]]:
    """Return the pages without running titles and page numbers."""
    tops: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    sizes = [median(line.size for line in lines) if lines else 0.0 for lines in pages]
    for number, lines in enumerate(pages):
        tops.update({key for line in lines[:_FURNITURE_LINES] for key in _keys(line, number, sizes[number])})
        ends.update({key for line in lines[-_FURNITURE_LINES:] for key in _keys(line, number, sizes[number])})
    enough = max(_FURNITURE_PAGES, _FURNITURE_SHARE * sum(map(bool, pages)))
    kept = []
    for number, lines in enumerate(pages):
        rest = list(lines)
        for _ in range(_FURNITURE_LINES):
            if rest and any(tops[key] >= enough for key in _keys(rest[0], number, sizes[number])):
                rest.pop(0)
            if rest and any(ends[key] >= enough for key in _keys(rest[-1], number, sizes[number])):
                rest.pop()
        kept.append(rest)
    return kept if any(kept) else [list(lines) for lines in pages]


def _keys(line: PageLine, page: int, size: float) -> set[str]:
    """Return what a line may have in common with those of other pages: itself, and itself but for what counts pages.

    Args:
        line: The line.
        page: The number of its page.
        size: Of most letters of its page, in points.
    """
    keys = {line.text}
    numbers = {int(found) for found in _NUMBER.findall(line.text)}
    if len(numbers) <= _MOST_NUMBERS and line.size <= _HEADING * size:
        for counts in numbers:
            part = partial(_counted, counts=counts, first=counts - page)
            keys.add(_NUMBER.sub(part, line.text))
    return keys


def _counted(found: re.Match[str], *, counts: int, first: int) -> str:
    """Return a number, or by how much it is ahead of the page where it is the one that counts pages."""
    return f"#{first}#" if int(found[0]) == counts else found[0]


def _text(pages: Sequence[Sequence[PageLine]]) -> tuple[str, tuple[Mark, ...]]:
    """Return the text of a document, and where its pages begin."""
    parts: list[str] = []
    marks: list[Mark] = []
    length = 0
    before: PageLine | None = None
    for number, lines in enumerate(pages, start=1):
        usual = _usual_gaps(lines)
        for i, line in enumerate(lines):
            if before is not None:
                between = _between(before, line, usual.get(round(line.size), 0.0) if i else 0.0)
                if not between:  # the word goes on
                    parts[-1] = parts[-1][:-1]
                    length -= 1
                parts.append(between)
                length += len(between)
            if i == 0:
                marks.append(Mark(length, f"page={number}"))
            parts.append(line.text)
            length += len(line.text)
            before = line
    paragraphs = "".join(parts).split("\n\n")
    return "\n\n".join(map(_unwrapped, paragraphs)), tuple(marks)


def _unwrapped(paragraph: str) -> str:
    """Return a paragraph of narrow columns or very wide pages on one line; what has others is known to be wrapped."""
    lengths = [len(line) for line in paragraph.split("\n")]
    widest = max(lengths)
    is_full = 2 * sum(length >= _FULL * widest for length in lengths[:-1]) > len(lengths) - 1
    is_odd = len(lengths) > 1 and not _WRAPPED[0] <= widest <= _WRAPPED[1] and widest >= _NARROWEST
    return paragraph.replace("\n", " ") if is_odd and is_full else paragraph


def _between(before: PageLine, line: PageLine, usual: float) -> str:
    """Return what stands between two lines.

    Args:
        before: The first.
        line: The second.
        usual: The gap between most such lines of the page; 0 when another page begins.
    """
    if before.text.endswith(_HYPHENS) and before.text[-2:-1].isalpha() and line.text[0].islower():
        return ""
    if abs(before.size - line.size) > _OTHER_SIZE * line.size:
        return "\n\n"
    gap = before.y - line.y
    if usual <= 0.0 or gap < 0.0:  # another page, another column
        return "\n\n" if _SENTENCE_END.search(before.text) else "\n"
    return "\n\n" if gap > _WIDE_GAP * usual else "\n"


def _usual_gaps(lines: Sequence[PageLine]) -> dict[int, float]:
    """Return the gap between most lines of a page by the size of their letters, in points."""
    gaps: dict[int, list[float]] = {}
    for a, b in pairwise(lines):
        if a.y > b.y and round(a.size) == round(b.size):
            gaps.setdefault(round(b.size), []).append(a.y - b.y)
    return {size: median(found) for size, found in gaps.items()}


def _title(found: str) -> str:
    """Return a title, "" where a program wrote a file's name or nothing that a person would."""
    title = _cleaned(found)
    n_letters = sum(unicodedata.category(char)[0] in "LM" for char in title)
    return "" if n_letters < 3 or 2 * n_letters < len(title) or _NO_TITLE.fullmatch(title) else title


def _nothing(n_pages: int, n_scanned: int, n_damaged: int) -> str:
    """Say why a file without text has none."""
    if n_scanned:
        what = "1 scanned page" if n_scanned == 1 else f"{n_scanned:,} scanned pages"
        return f"has no text layer: {what}. {_SCANNED}"
    if n_damaged:
        return "is damaged: none of its pages can be read; open it in its own program and save it anew."
    return f"has no text on its {n_pages:,} pages; leave it out." if n_pages else "has no pages; leave it out."


def _told(numbers: Sequence[int]) -> str:
    """Say which pages are meant, runs of them shortened ("pages 2-5, 9 are")."""
    runs = [
        [number for _, number in group] for _, group in groupby(enumerate(numbers), key=lambda item: item[1] - item[0])
    ]
    shown = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    more = f" and {len(shown) - 20:,} more runs" if len(shown) > 20 else ""
    what = ", ".join(shown[:20]) + more
    return f"page {what} is" if len(numbers) == 1 else f"pages {what} are"
