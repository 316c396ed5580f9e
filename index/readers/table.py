"""Tables with a header row (CSV, TSV): one document a row."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from index.config import FieldNames
from index.errors import InputError
from index.readers.decoding import MAX_LINE_BYTES, Line, read_lines
from index.readers.fielded import FieldedFile, missing_text
from index.readers.source_file import SourceFile
from index.records import Document, Rejected

SUFFIXES: tuple[str, ...] = (".csv", ".tsv")

_DELIMITERS = (",", ";", "|", "\t")
_MAX_ROW_CHARACTERS = MAX_LINE_BYTES
"""The most characters of a row; one quote that is never closed would otherwise swallow the file."""

_SWALLOWED = (
    "a quote that begins here closes only on line {last}, with tabs between: the rows between were not read. "
    "Double the quotes that are part of the text, and put quotes around the field."
)
_REST_UNREAD = "The rows from line {line} on were not read."

# The limit belongs to the process, not to a parser.
_LIMIT_LOCK = threading.Lock()


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a table, a row at a time; blank rows are passed over.

    The columns of a ``.tsv`` are separated by tabs, those of a ``.csv`` by whichever of ``, ; |`` and tab makes the
    header contain the text field. Fields may be quoted, quotes in them doubled, and then hold line ends.

    Args:
        file: The file.
        fields: Which columns hold what; the others become metadata.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If the file has no row or no text column, is binary, its encoding cannot be told, or a quote is
            never closed, which leaves the rows after it unread.
        OSError: If it cannot be read.
    """
    rows = _open_rows(file, fields.text, encoding)
    header = next(rows)
    if header.problem:
        raise InputError(f"the header cannot be read: {header.problem}")
    names = _column_names(header.cells, fields)
    records = FieldedFile(file, fields)
    is_empty = True
    for row in rows:
        is_empty = False
        if row.problem:
            yield Rejected(file.at(row.line), row.problem)
        elif len(row.cells) != len(names):
            counts = f"{len(row.cells)} columns where the header has {len(names)}"
            yield Rejected(file.at(row.line), f"{counts}; quote fields that hold a separator, or fill the row up.")
        else:
            yield records.document(dict(zip(names, row.cells, strict=True)), row.line)
    if is_empty:
        raise InputError("has a header but no rows; add rows below it or remove it.")


def find_record(file: SourceFile, doc_id: str, *, fields: FieldNames, encoding: str) -> tuple[int, Document] | None:
    """Find the row of a document; arguments and errors as ``read`` has them.

    Returns:
        The number of the line that the row begins on and the document, None when there is no such row.
    """
    rows = _open_rows(file, fields.text, encoding)
    names = _column_names(next(rows).cells, fields)
    records = FieldedFile(file, fields)
    for row in rows:
        if not row.problem and len(row.cells) == len(names):
            found = records.document(dict(zip(names, row.cells, strict=True)), row.line)
            if isinstance(found, Document) and found.doc_id == doc_id:
                return row.line, found
    return None


@dataclass(frozen=True, slots=True)
class _Row:
    """A row with the number of the line it begins on, and why it is not to be used, or ""."""

    line: int
    cells: list[str]
    problem: str = ""


class _Feed:
    """Hands lines to the CSV parser and remembers what they were since the row began."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self.begin()
        self.is_exhausted = False

    def begin(self) -> None:
        """Note that the next line begins a row."""
        self.first_line = 0
        self.last_line = 0
        self.problem = ""
        self._n_characters = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self._lines, None)
        if line is None:
            self.is_exhausted = True
            raise StopIteration
        self.first_line = self.first_line or line.number
        self.last_line = line.number
        self.problem = self.problem or line.problem
        self._n_characters += len(line.text)
        # Whether the rest of the file is inside or outside quotes cannot be told any more.
        if line.is_too_long:
            raise InputError(f"line {line.number}: {line.problem} {_REST_UNREAD.format(line=self.first_line)}")
        if self._n_characters > _MAX_ROW_CHARACTERS:
            raise InputError(
                f"the row at line {self.first_line} is longer than {_MAX_ROW_CHARACTERS:,} characters; is a quote "
                f"never closed? {_REST_UNREAD.format(line=self.first_line)}"
            )
        return line.text


def _open_rows(file: SourceFile, text_field: str, encoding: str) -> Iterator[_Row]:
    """Begin to read a file's rows, the header first.

    Raises:
        InputError: If there is none.
    """
    lines = read_lines(file.path, encoding)
    first = next((line for line in lines if line.problem or line.text.strip()), None)
    if first is None:
        raise InputError("is empty; write a header and rows or remove it.")
    delimiter = "\t" if file.path.suffix.lower() == ".tsv" else _choose_delimiter(first.text, text_field)
    return _rows(chain([first], lines), delimiter)


def _rows(lines: Iterable[Line], delimiter: str) -> Iterator[_Row]:
    """Parse rows that are not blank; one that cannot be parsed has a problem and no cells.

    Raises:
        InputError: If a row is too long or never ends.
    """
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            with _long_fields():
                cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if feed.is_exhausted:
                raise InputError(
                    f"a quote in the row at line {feed.first_line} is never closed; close it. "
                    + _REST_UNREAD.format(line=feed.first_line)
                ) from error
            yield _Row(feed.first_line, [], _parse_problem(error))
        else:
            if cells or feed.problem:
                swallowed = delimiter == "\t" and feed.last_line > feed.first_line and _holds_rows(cells)
                problem = _SWALLOWED.format(last=feed.last_line) if swallowed else feed.problem
                yield _Row(feed.first_line, cells, problem)


def _holds_rows(cells: list[str]) -> bool:
    """Tell whether a field of a table separated by tabs holds whole rows: most such tables use no quotes at all."""
    tabs_a_row = len(cells) - 1
    return any(line.count("\t") >= tabs_a_row > 0 for cell in cells for line in cell.splitlines()[1:])


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let the parser take fields as long as a row may be, and put the limit of the process back."""
    with _LIMIT_LOCK:
        before = csv.field_size_limit()
        csv.field_size_limit(max(before, _MAX_ROW_CHARACTERS))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _choose_delimiter(header: str, text_field: str) -> str:
    """Choose the separator that makes a header line contain the text field, else the one that splits it most."""
    cells = {delimiter: _split(header, delimiter) for delimiter in _DELIMITERS}
    for delimiter in _DELIMITERS:
        if text_field in cells[delimiter]:
            return delimiter
    return max(_DELIMITERS, key=lambda delimiter: len(cells[delimiter]))


def _split(header: str, delimiter: str) -> list[str]:
    """Split a header line into names, as far as it can be parsed."""
    try:
        with _long_fields():
            return [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _column_names(header: list[str], fields: FieldNames) -> list[str]:
    """Name the columns, all differently: one without a name, or with that of an earlier one, gets its number.

    Raises:
        InputError: If there is no text column, or two columns have the name of a field that is used.
    """
    cells = [cell.strip() for cell in header]
    if fields.text not in cells:
        raise InputError(missing_text(fields.text, cells))
    for name in (fields.text, *fields.ids, fields.title, fields.lang):
        if name and cells.count(name) > 1:
            raise InputError(f"{cells.count(name)} columns are named {name!r}; rename all but one.")
    names: list[str] = []
    taken = {""}
    for number, cell in enumerate(cells, start=1):
        name = cell
        while name in taken:
            name = f"{name} (column {number})".strip()
        names.append(name)
        taken.add(name)
    return names


def _parse_problem(error: csv.Error) -> str:
    """Say in the file's own terms what the parser stumbled over."""
    if "new-line" in str(error):
        return "a carriage return stands outside quotes; quote the field, or end lines with LF or CRLF."
    return f"quotes are out of place ({error}); double the quotes inside a quoted field."
