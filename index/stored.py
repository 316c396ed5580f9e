"""The documents and passages of a generation as they are stored: what is asked of its database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.database import Database
from index.documents import KnownFile
from index.errors import StoreError
from index.guarded import parse_json
from index.records import model_text, passage_id

_PLACES_READ = 21
"""How many places of a passage are read, the first and 20 more: a line all pages share may stand in thousands."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Where a passage stands: a document and the offsets of its characters in the document's text."""

    source: str
    doc_id: str
    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as stored.

    Attributes:
        passage_id: Identifies it.
        lang: Its BCP 47 language.
        context: What the model read before the text, or "".
        text: The document's own text.
        occurrences: The first 21 places it stands in, in the order they were read.
        n_places: How many there are.
        metadata: Further fields of the document of the first.
    """

    passage_id: str
    lang: str
    context: str
    text: str
    occurrences: tuple[Occurrence, ...]
    n_places: int
    metadata: Mapping[str, Any]

    @property
    def model_text(self) -> str:
        """What was read for it, by the model and by the index of words."""
        return model_text(self.context, self.text)


class StoredDocuments:
    """The database of a generation, opened for reading.

    Whatever cannot be read, or holds what cannot be, is an ``IndexDamagedError``.
    """

    def __init__(self, path: Path, format_version: int) -> None:
        """Open a database of a generation of some format."""
        self._path = path
        self._format = format_version
        self._database = Database(path, format_version)
        self._is_closed = False
        self._has_marks: bool | None = None

    def passages(self, rows: Sequence[int]) -> list[StoredPassage]:
        """Return the passages of rows, in the order given."""
        with self._reading():
            return [self._read_row(row) for row in rows]

    def _read_row(self, row: int) -> StoredPassage:
        query = "SELECT passage_id, lang, context, text FROM passages WHERE row = ?"
        found = self._database.row(query, (str, str, str, str), (row,))
        if found is None:
            raise ValueError(f"row {row} is missing")
        known_as, lang, context, text = found
        if known_as != passage_id(lang, context, text):
            raise ValueError(f"row {row} holds another text than was written")
        # Not a JOIN that SQLite may turn round: statistics of its own, which it would go by, are in the file too.
        query = (
            "SELECT d.source, d.doc_id, d.title, o.start, o.end, o.doc FROM occurrences o "
            "CROSS JOIN documents d ON d.doc = o.doc WHERE o.row = ? ORDER BY o.doc, o.start LIMIT ?"
        )
        places = list(self._database.rows(query, (str, str, str, int, int, int), (row, _PLACES_READ)))
        if not places:
            raise ValueError(f"row {row} stands in no document")
        for source, doc_id, _, start, end, doc in places:
            self._check_place(row, len(text), source, doc_id, start, end, doc)
        n_places = len(places)
        if n_places == _PLACES_READ:
            query = "SELECT count(*) FROM occurrences WHERE row = ?"
            n_places = self._database.only(query, int, (row,))
        metadata = parse_json(self._database.only("SELECT metadata FROM documents WHERE doc = ?", str, places[0][5:]))
        if not isinstance(metadata, dict):
            raise ValueError(f"row {row} has metadata that is no object")
        occurrences = tuple(Occurrence(*place) for *place, _ in places)
        return StoredPassage(known_as, lang, context, text, occurrences, n_places, metadata)

    def _check_place(self, row: int, length: int, source: str, doc_id: str, start: int, end: int, doc: int) -> None:
        """Check a place of a passage: no checksum is computed when an index is opened, and none may name another text.

        Where it stands and what its document is called is in the file twice, in a table and in an index of it.

        Raises:
            ValueError: When the two differ, or it is not as long as its text.
        """
        if start < 0 or end - start != length:
            raise ValueError(f"row {row} stands where nothing can stand")
        query = (
            "SELECT doc FROM occurrences INDEXED BY occurrences_by_document WHERE doc = ? AND start = ? AND row = ? "
            "LIMIT 1"
        )
        if self._database.only(query, int, (doc, start, row)) != doc:
            raise ValueError(f"row {row} stands in another document")
        query = "SELECT doc FROM documents INDEXED BY sqlite_autoindex_documents_1 WHERE source = ? AND doc_id = ?"
        if self._database.only(query, int, (source, doc_id)) != doc:
            raise ValueError(f"document {doc_id!r} has another number")

    def row_of(self, passage_id: str) -> int | None:
        """Return the row of a passage; None when there is none with this id."""
        with self._reading():
            found = self._database.row("SELECT row FROM passages WHERE passage_id = ?", (int,), (passage_id,))
        return found[0] if found else None

    def rows_around(self, place: Occurrence, n: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return the rows and starts of up to ``n`` passages of a document before a place, and after it, in order."""
        query = "SELECT doc FROM documents WHERE source = ? AND doc_id = ?"
        of_document = "SELECT row, start FROM occurrences INDEXED BY occurrences_by_document WHERE doc = ? AND start"
        with self._reading():
            doc = self._database.only(query, int, (place.source, place.doc_id))
            before, after = (
                list(self._database.rows(f"{of_document} {side} LIMIT ?", (int, int), (doc, place.start, n)))
                for side in ("< ? ORDER BY start DESC", "> ? ORDER BY start")
            )
        return [(row, start) for row, start in reversed(before)], [(row, start) for row, start in after]

    def locators(self, places: Sequence[tuple[str, str, int]]) -> list[str]:
        """Return the page or time (``index.records.Mark``) of each place: source, document and offset of a character.

        It is "" in documents without any, and before the first one.
        """
        if self._format < 4:
            return [""] * len(places)
        query = (
            "SELECT m.locator FROM documents d CROSS JOIN marks m ON m.doc = d.doc AND m.start <= ? "
            "WHERE d.source = ? AND d.doc_id = ? ORDER BY m.start DESC LIMIT 1"
        )
        with self._reading():
            if self._has_marks is None:
                self._has_marks = self._database.row("SELECT doc FROM marks LIMIT 1", (int,)) is not None
            if not self._has_marks:
                return [""] * len(places)
            found = [self._database.row(query, (str,), (at, source, doc_id)) for source, doc_id, at in places]
        return [one[0] if one else "" for one in found]

    def of_documents(
        self, places: Sequence[tuple[str, str, int, int]]
    ) -> list[tuple[dict[str, Any], list[tuple[int, str]]]]:
        """Return, of each place, its document's metadata, and the marks between its first character and its end.

        Args:
            places: Source, document, offset of the first character and of the one after the last.
        """
        query = "SELECT doc, metadata FROM documents WHERE source = ? AND doc_id = ?"
        within = "SELECT start, locator FROM marks WHERE doc = ? AND start > ? AND start < ? ORDER BY start"
        told: list[tuple[dict[str, Any], list[tuple[int, str]]]] = []
        with self._reading():
            for source, doc_id, start, end in places:
                found = self._database.row(query, (int, str), (source, doc_id))
                if found is None:
                    raise ValueError(f"document {doc_id!r} is missing")
                metadata = parse_json(found[1])
                if not isinstance(metadata, dict):
                    raise ValueError(f"document {doc_id!r} has metadata that is no object")
                marks = self._database.rows(within, (int, str), (found[0], start, end)) if self._format >= 4 else ()
                told.append((metadata, [(at, locator) for at, locator in marks]))
        return told

    def iter_texts(
        self, first: int, n_rows: int, n_at_once: int = 1024
    ) -> Iterator[tuple[Sequence[int], Sequence[tuple[str, str]]]]:
        """Yield rows with the context and the text of each passage, some at a time, in the order of their rows.

        Args:
            first: The first row.
            n_rows: How many; those that are not there are passed over.
            n_at_once: How many at a time.
        """
        query = "SELECT row, context, text FROM passages WHERE row >= ? AND row < ? ORDER BY row"
        for at in range(first, first + n_rows, n_at_once):
            after = min(at + n_at_once, first + n_rows)
            with self._reading():
                found = list(self._database.rows(query, (int, str, str), (at, after)))
            yield [row for row, _, _ in found], [(context, text) for _, context, text in found]

    def texts(self, rows: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Return the context and the text of the passages of rows; those that are not there are left out."""
        query = "SELECT context, text FROM passages WHERE row = ?"
        with self._reading():
            found = {row: self._database.row(query, (str, str), (row,)) for row in rows}
        return {row: (one[0], one[1]) for row, one in found.items() if one}

    def iter_langs(self, first: int, n_rows: int) -> Iterator[tuple[Any, ...]]:
        """Yield the passages of some rows, each with its language, in the order of their rows."""
        query = "SELECT row, lang FROM passages WHERE row >= ? AND row < ? ORDER BY row"
        with self._reading():
            yield from self._database.rows(query, (int, str), (first, first + n_rows))

    def files(self) -> list[KnownFile]:
        """Return the files that were read, in the order of their names; none in formats 1 and 2."""
        if self._format < 3:
            return []
        query = "SELECT source, doc_id, status, sha256 FROM files ORDER BY source"
        with self._reading():
            return [KnownFile(*row) for row in self._database.rows(query, (str, str, str, str))]

    def source_without_file(self) -> str | None:
        """Return a source of documents that was no file: they were made in memory; None when there is none."""
        query = "SELECT source FROM documents WHERE source NOT IN (SELECT source FROM files) LIMIT 1"
        with self._reading():
            found = self._database.row(query, (str,))
        return found[0] if found else None

    def known(self, source: str) -> dict[str, str]:
        """Return the documents of a source: id to content hash (``index.documents.content_hash``)."""
        query = "SELECT doc_id, content FROM documents WHERE source = ?"
        with self._reading():
            return dict(self._database.rows(query, (str, str), (source,)))

    def langs(self) -> dict[str, str]:
        """Return the language of each document id: the one declared, or that of the document's first passage."""
        query = (
            "SELECT d.doc_id, coalesce(nullif(d.lang, ''), (SELECT p.lang FROM occurrences o "
            "JOIN passages p ON p.row = o.row WHERE o.doc = d.doc ORDER BY o.start LIMIT 1)) FROM documents d"
        )
        with self._reading():
            return dict(self._database.rows(query, (str, str)))

    def rejected(self, limit: int = -1) -> list[tuple[str, str]]:
        """Return what could not be read when the index was built: where, and why."""
        query = "SELECT place, reason FROM rejected ORDER BY rowid LIMIT ?"
        with self._reading():
            return [(where, why) for where, why in self._database.rows(query, (str, str), (limit,))]

    def unread(self) -> set[tuple[str, str]]:
        """Return the files that could not be read at all: where, and why; none in formats 1 and 2."""
        if self._format < 3:
            return set()
        with self._reading():
            return set(self._database.rows("SELECT place, reason FROM rejected WHERE source = ''", (str, str)))

    def left_out(self, limit: int = -1) -> list[tuple[str, str, int, int, str, str]]:
        """Return the lines left out of all passages: source, document, offsets, kind, text."""
        query = (
            "SELECT d.source, d.doc_id, l.start, l.end, l.kind, l.text FROM left_out l "
            "CROSS JOIN documents d ON d.doc = l.doc ORDER BY l.rowid LIMIT ?"  # as written: sorting needs memory
        )
        with self._reading():
            rows = self._database.rows(query, (str, str, int, int, str, str), (limit,))
            return [(source, doc, start, end, kind, text) for source, doc, start, end, kind, text in rows]

    def check(self) -> tuple[int, int]:
        """Check the whole database; returns how many passages it holds, and how many stand in a document."""
        with self._reading():
            self._database.check()
            stored = self._database.only("SELECT count(*) FROM passages", int)
            placed = self._database.only("SELECT count(DISTINCT row) FROM occurrences", int)
        return stored, placed

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        if self._is_closed:
            raise StoreError(f"{self._path}: this index was closed. Open it again.")
        with self._database.reading():
            yield

    def close(self) -> None:
        """Let go of the file."""
        self._is_closed = True
        self._database.close()
