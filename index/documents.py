"""The database of a generation, written: documents, passages, where these stand, and the files all came from."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.database import open_to_write
from index.errors import InputError
from index.records import Document, LeftOut, Passage, Rejected


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document with its passages and the lines left out of them.

    Attributes:
        document: It.
        passages: Its passages, or some of them.
        left_out: The lines that are in none.
        goes_on: Whether passages are added to the document where it is there already, instead of refusing it.
        where: The line or row of its source that it is, for messages, or "".
    """

    document: Document
    passages: Sequence[Passage]
    left_out: Sequence[LeftOut] = ()
    goes_on: bool = False
    where: str = ""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was read into an index.

    Attributes:
        source: The file as the user would name it.
        doc_id: What its documents are named by.
        status: How the file system described it: unchanged, it need not be read; "" says nothing.
        sha256: Of its content.
    """

    source: str
    doc_id: str
    status: str
    sha256: str


class DocumentWriter:
    """Writes the database of a generation.

    What it cannot write is a ``database.DatabaseError``.
    """

    def __init__(self, path: Path, n_rows: int = 0) -> None:
        """Open a database, which is made where there is none.

        Args:
            path: The file.
            n_rows: The rows of the segments there are: new passages get the next ones.
        """
        self._n_rows = n_rows
        self._database = open_to_write(path)
        self._loosened: set[int] = set()
        self._new_loosened: set[int] = set()
        """Rows that stood in documents which are gone."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Write what the block writes at once; inside another one, with it."""
        is_outer = self.begin()
        yield
        if is_outer:
            self.commit()

    def begin(self) -> bool:
        """Begin what ``commit`` ends; returns False when that was begun already."""
        if self._database.in_transaction:
            return False
        self._database.execute("BEGIN")
        return True

    def commit(self) -> None:
        """End what ``begin`` began."""
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the file; may be called again."""
        self._database.close()

    def add_documents(self, batch: Sequence[ChunkedDocument]) -> tuple[list[Rejected], list[Passage]]:
        """Write documents and where their passages stand.

        Returns:
            The documents refused, since their id was already used in their source or they cannot be stored; and the
            passages not seen before, in the order of their rows, which ``add_passages`` takes.
        """
        refused: list[Rejected] = []
        new: dict[str, tuple[int, Passage]] = {}
        for item in batch:
            try:
                doc = self._add_document(item.document, goes_on=item.goes_on)
            except InputError as error:
                refused.append(Rejected(item.document.source, f"{item.where}: {error}" if item.where else str(error)))
                continue
            text = item.document.text
            self._database.executemany(
                "INSERT INTO left_out VALUES (?, ?, ?, ?, ?)",
                [(doc, span.start, span.end, span.kind.value, text[span.start : span.end]) for span in item.left_out],
            )
            for passage in item.passages:
                place = (self._row_of(passage, new), doc, passage.start, passage.end)
                self._database.execute("INSERT OR IGNORE INTO occurrences VALUES (?, ?, ?, ?)", place)
        self._n_rows += len(new)
        return refused, [passage for _, passage in new.values()]

    def add_passages(self, first_row: int, passages: Sequence[Passage]) -> None:
        """Write passages, in the order of their rows."""
        self._database.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?)",
            [(row, p.passage_id, p.lang, p.context, p.text) for row, p in enumerate(passages, first_row)],
        )

    def _add_document(self, document: Document, *, goes_on: bool) -> int:
        """Write a document; returns its number, or that of the one that goes on.

        Raises:
            InputError: When it cannot be stored, or its id was used before.
        """
        content = content_hash(document)
        cursor = self._database.execute(
            "INSERT OR IGNORE INTO documents (source, doc_id, title, lang, metadata, content, n_chars) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                document.source,
                document.doc_id,
                document.title,
                document.lang,
                metadata_json(document),
                content,
                len(document.text),
            ),
        )
        known = self.known_document(document.source, document.doc_id) if goes_on and not cursor.rowcount else None
        doc = known[0] if known else cursor.lastrowid if cursor.rowcount else None
        if doc is None:
            raise InputError(f"the id {document.doc_id!r} is used twice in it; give each document its own")
        self._database.executemany(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)",  # of an empty page and the next one, the next
            [(doc, mark.start, mark.locator) for mark in document.marks],
        )
        return doc

    def _row_of(self, passage: Passage, new: dict[str, tuple[int, Passage]]) -> int:
        """Return the row of a passage; one not seen before is added to ``new`` with the next free row."""
        key = passage.passage_id
        if key in new:
            return new[key][0]
        found = self._database.execute("SELECT row FROM passages WHERE passage_id = ?", (key,)).fetchone()
        if found:
            return int(found[0])
        row = self._n_rows + len(new)
        new[key] = row, passage
        return row

    def known_documents(self, source: str) -> dict[str, tuple[int, str]]:
        """Return the documents of a source: id to number and content hash."""
        rows = self._database.execute("SELECT doc_id, doc, content FROM documents WHERE source = ?", (source,))
        return {str(doc_id): (int(doc), str(content)) for doc_id, doc, content in rows}

    def known_document(self, source: str, doc_id: str) -> tuple[int, str] | None:
        """Return a document's number and content hash; None when it is not there."""
        if (source, doc_id) != (as_text(source), as_text(doc_id)):  # no such name can be stored
            return None
        query = "SELECT doc, content FROM documents WHERE source = ? AND doc_id = ?"
        found = self._database.execute(query, (source, doc_id)).fetchone()
        return (int(found[0]), str(found[1])) if found else None

    def n_documents(self) -> int:
        """Return how many documents there are."""
        return int(self._database.execute("SELECT count(*) FROM documents").fetchone()[0])

    def remove_document(self, doc: int) -> None:
        """Take a document out; its passages stay until ``collect`` unless they stand elsewhere."""
        rows = self._database.execute("SELECT row FROM occurrences WHERE doc = ?", (doc,)).fetchall()
        self._loosened.update(row for (row,) in rows)
        self._new_loosened.update(row for (row,) in rows)
        for table in ("occurrences", "left_out", "marks", "documents"):
            self._database.execute(f"DELETE FROM {table} WHERE doc = ?", (doc,))

    def take_loosened(self) -> list[int]:
        """Return the rows of documents taken out since this was asked last, ascending."""
        rows, self._new_loosened = sorted(self._new_loosened), set()
        return rows

    def collect(self) -> list[int]:
        """Take passages out that stand in no document any more; returns their rows, ascending."""
        dead = [
            row
            for row in sorted(self._loosened)
            if not self._database.execute("SELECT 1 FROM occurrences WHERE row = ? LIMIT 1", (row,)).fetchone()
        ]
        self._database.executemany("DELETE FROM passages WHERE row = ?", [(row,) for row in dead])
        return dead

    def move(self, rows: Iterable[tuple[int, int]]) -> None:
        """Give passages other rows: pairs of the old row and the new one, ascending, none moved up."""
        pairs = [(new, old) for old, new in rows if old != new]
        for table in ("passages", "occurrences"):
            self._database.executemany(f"UPDATE {table} SET row = ? WHERE row = ?", pairs)

    def reject(self, source: str, rejected: Rejected) -> None:
        """Record something of a source, "" for none in particular, that could not be read."""
        shown = [as_text(part) for part in (source, rejected.where, rejected.reason)]
        self._database.execute("INSERT INTO rejected VALUES (?, ?, ?)", shown)

    def forgive(self, source: str) -> None:
        """Forget what could not be read of a source."""
        self._database.execute("DELETE FROM rejected WHERE source = ?", (as_text(source),))

    def add_file(self, file: KnownFile) -> None:
        """Record a file that was read."""
        row = (file.source, file.doc_id, file.status, file.sha256)
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", row)

    def half_read(self) -> list[str]:
        """Return the files that were not read to their end."""
        return [source for (source,) in self._database.execute("SELECT source FROM files WHERE sha256 = '' ORDER BY 1")]

    def forget_file(self, source: str) -> None:
        """Forget a file that is gone."""
        self._database.execute("DELETE FROM files WHERE source = ?", (source,))

    def counts(self) -> dict[str, Any]:
        """Return how many documents, repeated passages, lines left out by kind and rejections there are."""

        def one(query: str) -> int:
            return int(self._database.execute(query).fetchone()[0])

        kinds = self._database.execute("SELECT kind, count(*) FROM left_out GROUP BY kind ORDER BY kind")
        return {
            "documents": self.n_documents(),
            "duplicates": one("SELECT count(*) FROM occurrences") - one("SELECT count(*) FROM passages"),
            "left_out": dict(Counter({str(kind): int(n) for kind, n in kinds})),
            "rejected": one("SELECT count(*) FROM rejected"),
        }

    def remove_passages(self) -> None:
        """Remove all passages and where they stand: they are kept elsewhere."""
        for table in ("passages", "occurrences"):
            self._database.execute(f"DELETE FROM {table}")
        self._database.execute("VACUUM")

    def optimize(self) -> None:
        """Have SQLite gather what makes its queries fast."""
        self._database.execute("PRAGMA optimize")


def as_text(name: str) -> str:
    """Return a name as it can be stored: that of a file may hold bytes that are no text."""
    return name.encode("utf-8", "backslashreplace").decode()


def content_hash(document: Document) -> str:
    """Return 40 hexadecimal digits of all that decides a document's passages and what is shown of it.

    Raises:
        InputError: When it cannot be stored.
    """
    parts = (
        document.text,
        document.title,
        document.lang,
        metadata_json(document),
        str(document.title_in_text),
        document.source,
        document.doc_id,
        *(f"{mark.start} {mark.locator}" for mark in document.marks),
    )
    try:
        return hashlib.blake2b("\0".join(f"{len(part)}:{part}" for part in parts).encode(), digest_size=20).hexdigest()
    except UnicodeEncodeError as error:
        raise InputError(
            f"document {document.doc_id!r} holds half of a surrogate pair, which is no character; mend its text"
        ) from error


def metadata_json(document: Document) -> str:
    """Return a document's metadata as it is stored.

    Raises:
        InputError: When JSON cannot hold it.
    """
    try:
        return json.dumps(dict(document.metadata), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"document {document.doc_id!r} has metadata that JSON cannot hold ({error})") from error
