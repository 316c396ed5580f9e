"""One generation of an index, opened for reading; ``index.layout`` tells what lies in its directory."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from index.balance import BalancedVectors
from index.documents import KnownFile
from index.errors import IndexDamagedError, NoIndexError, StoreError
from index.kinds import open_vector_index
from index.layout import CURRENT, DATABASE, DEAD, FAISS, GENERATIONS, LANGS, OFFSETS, VECTORS, files_of
from index.lexical import LexicalIndex
from index.manifest import Manifest, Segment, read_manifest
from index.reading import keep_open
from index.records import model_text
from index.segments import SegmentedIndex, SegmentedRows
from index.sentence_vectors import SentenceVectors
from index.vectors import open_array, open_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Rows, Vectors
    from index.vector_index import VectorIndex, VectorRows, VectorSearch

_ATTEMPTS = 20
"""How often opening is tried while writers switch and collect meanwhile."""
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


class Store:
    """One generation of an index, opened for reading. It stays on disk as long as it is open."""

    def __init__(self, directory: Path, folder: Path, manifest: Manifest, reading: contextlib.ExitStack) -> None:
        """Use ``Store.open``."""
        self.directory = directory
        self.folder = folder
        self.manifest = manifest
        self._reading_lock = reading
        self._database = _open_database(folder / DATABASE)
        self._is_closed = False
        self._langs: LangCodes | None = None

    @classmethod
    def open(cls, directory: str | Path) -> Store:
        """Open the current generation of an index; sizes and versions are checked, checksums are not.

        Raises:
            NoIndexError: When there is no index.
            IndexFormatError: When another version of the form wrote it.
            IndexDamagedError: When a file is missing or has another size.
        """
        directory = Path(directory)
        attempts = 0
        while True:
            folder = current_generation(directory)
            reading = contextlib.ExitStack()
            try:
                reading.enter_context(keep_open(folder))
                manifest = read_manifest(folder)
                check_sizes(folder, manifest)
                return cls(directory, folder, manifest, reading)
            except BaseException as error:
                reading.close()
                attempts += 1
                # A writer may have switched and collected between reading the name and opening the files.
                if not isinstance(error, IndexDamagedError) or attempts > _ATTEMPTS:
                    raise
                if current_generation(directory) == folder:
                    raise

    @property
    def n_passages(self) -> int:
        """The number of passages."""
        return self.manifest.counts.passages

    @property
    def n_rows(self) -> int:
        """The number of rows: the passages, and those that stand in no document any more."""
        return self.manifest.n_rows

    @property
    def lang_codes(self) -> LangCodes:
        """Shape (n_rows,): each row's position in ``manifest.languages``."""
        if self._langs is None:
            import numpy as np

            parts = [open_array(self._path(one, LANGS), (one.rows,), "uint16") for one in self.manifest.segments]
            self._langs = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return self._langs

    @property
    def has_parts(self) -> bool:
        """Whether there are sentences, words and offsets: an index in format 1 has vectors of passages alone."""
        return self.manifest.format_version > 1

    def alive(self) -> NDArray[np.bool_] | None:
        """Return which rows stand in a document, shape (n_rows,); None when all do.

        Raises:
            IndexDamagedError: When that cannot be read.
        """
        if not self.manifest.dead:
            return None
        import numpy as np

        alive = np.ones(self.n_rows, np.bool_)
        alive[self.dead_rows()] = False
        return alive

    def dead_rows(self) -> Rows:
        """Return the rows that stand in no document any more, ascending.

        Raises:
            IndexDamagedError: When they cannot be read.
        """
        import numpy as np

        if not self.manifest.dead:
            return np.empty(0, np.int64)
        dead: Rows = open_array(self.folder / DEAD, (self.manifest.dead,), "int64")
        if dead.min() < 0 or dead.max() >= self.n_rows or (np.diff(dead) <= 0).any():
            raise IndexDamagedError(f"{self.folder / DEAD}: holds what cannot be. Run `tongues verify`.")
        return dead

    def vectors(self) -> VectorRows:
        """Return the unit vectors as the model gave them, shape (n_rows, dim); read when they are asked for.

        Raises:
            IndexDamagedError: When they cannot be read.
        """
        dim = self.manifest.encoder.dim
        return SegmentedRows(
            [open_vectors(self._path(one, VECTORS), one.rows, dim) for one in self.manifest.segments], dim
        )

    def offsets(self) -> Vectors:
        """Return where each language stands apart in the vector space, shape (n_langs, dim), no unit rows.

        Raises:
            IndexDamagedError: When they cannot be read.
        """
        shape = (len(self.manifest.languages), self.manifest.encoder.dim)
        if not self.has_parts:
            import numpy as np

            return np.zeros(shape, np.float32)
        offsets: Vectors = open_array(self.folder / OFFSETS, shape, "float32")
        return offsets

    def sentences(self) -> SentenceVectors | None:
        """Open the vectors of sentences; None when there are none.

        Raises:
            IndexDamagedError: When they cannot be read or do not fit the manifest.
        """
        segments = self.manifest.segments
        if not any(segment.sentences for segment in segments):
            return None
        rows, sentences = ([getattr(one, name) for one in segments] for name in ("rows", "sentences"))
        return SentenceVectors(self.folders(), rows, sentences, self.manifest.encoder.dim)

    def lexical(self) -> LexicalIndex | None:
        """Open the words of the passages; None when there are none.

        Raises:
            IndexDamagedError: When they cannot be read or do not fit the manifest.
        """
        if not self.has_parts:
            return None
        counts = self.manifest.counts.languages
        by_code = [counts.get(lang, 0) for lang in self.manifest.languages]
        return LexicalIndex.open(self.folders(), [segment.rows for segment in self.manifest.segments], by_code)

    def vector_index(self) -> VectorSearch:
        """Open the vector index.

        Raises:
            IndexFormatError: When it is of a kind that this version does not know.
            IndexDamagedError: When it cannot be read or does not fit the manifest.
        """
        import numpy as np

        dim, offsets, strength = self.manifest.encoder.dim, np.array(self.offsets()), self.manifest.balance
        parts: list[VectorIndex] = []
        rows: list[VectorRows] = []
        for one in self.manifest.segments:
            vectors = open_vectors(self._path(one, VECTORS), one.rows, dim)
            codes = open_array(self._path(one, LANGS), (one.rows,), "uint16")
            rows.append(BalancedVectors(vectors, codes, offsets, strength))
            parts.append(open_vector_index(one.kind, self._path(one, FAISS), rows[-1]))
        return parts[0] if len(parts) == 1 else SegmentedIndex(parts, SegmentedRows(rows, dim))

    def folders(self) -> list[Path]:
        """Return the folders of the segments, in the order of their rows."""
        return [self.folder / segment.name for segment in self.manifest.segments]

    def _path(self, segment: Segment, name: str) -> Path:
        return self.folder / segment.name / name

    def passages(self, rows: Sequence[int]) -> list[StoredPassage]:
        """Return the passages of rows, in the order given.

        Raises:
            IndexDamagedError: When a row is not there.
        """
        with self._reading():
            return [self._read_row(row) for row in rows]

    def _read_row(self, row: int) -> StoredPassage:
        query = "SELECT passage_id, lang, context, text FROM passages WHERE row = ?"
        found = self._database.execute(query, (row,)).fetchone()
        if found is None:
            raise ValueError(f"row {row} is missing")
        passage_id, lang, context, text = found
        places = self._database.execute(
            "SELECT d.metadata, d.source, d.doc_id, d.title, o.start, o.end FROM occurrences o "
            "JOIN documents d ON d.doc = o.doc WHERE o.row = ? ORDER BY o.doc, o.start LIMIT ?",
            (row, _PLACES_READ),
        ).fetchall()
        if not places:
            raise ValueError(f"row {row} stands in no document")
        n_places = len(places)
        if n_places == _PLACES_READ:
            query = "SELECT count(*) FROM occurrences WHERE row = ?"
            (n_places,) = self._database.execute(query, (row,)).fetchone()
        occurrences = tuple(Occurrence(*place) for _, *place in places)
        return StoredPassage(passage_id, lang, context, text, occurrences, n_places, json.loads(places[0][0]))

    def iter_texts(
        self, rows: Sequence[int] | None = None, n_at_once: int = 4096
    ) -> Iterator[tuple[list[int], list[tuple[str, str]]]]:
        """Yield rows with the context and the text of each passage, some thousand at a time, in order.

        Args:
            rows: Which; those that are not there are passed over. None for all.
            n_at_once: How many at a time.

        Raises:
            IndexDamagedError: When they cannot be read.
        """
        wanted = sorted(range(self.n_rows) if rows is None else rows)
        for at in range(0, len(wanted), n_at_once):
            part = wanted[at : at + n_at_once]
            query = "SELECT row, context, text FROM passages WHERE row BETWEEN ? AND ? ORDER BY row"
            asked = set(part)
            with self._reading():
                found = [one for one in self._database.execute(query, (part[0], part[-1])) if one[0] in asked]
            yield [row for row, _, _ in found], [(str(context), str(text)) for _, context, text in found]

    def iter_langs(self, first: int, n_rows: int) -> Iterator[tuple[int, str]]:
        """Yield the passages of some rows, each with its language, in the order of their rows."""
        query = "SELECT row, lang FROM passages WHERE row >= ? AND row < ? ORDER BY row"
        with self._reading():
            yield from self._database.execute(query, (first, first + n_rows))

    def known_files(self) -> list[KnownFile]:
        """Return the files that were read, in the order of their names; none in formats 1 and 2."""
        if self.manifest.format_version < 3:
            return []
        with self._reading():
            query = "SELECT source, doc_id, status, sha256 FROM files ORDER BY source"
            return [KnownFile(*map(str, row)) for row in self._database.execute(query)]

    def known_documents(self, source: str) -> dict[str, str]:
        """Return the documents of a source: id to content hash (``index.documents.content_hash``)."""
        with self._reading():
            query = "SELECT doc_id, content FROM documents WHERE source = ?"
            return {str(doc_id): str(content) for doc_id, content in self._database.execute(query, (source,))}

    def document_langs(self) -> dict[str, str]:
        """Return the language of each document id: the one declared, or that of the document's first passage."""
        query = (
            "SELECT d.doc_id, coalesce(nullif(d.lang, ''), (SELECT p.lang FROM occurrences o "
            "JOIN passages p ON p.row = o.row WHERE o.doc = d.doc ORDER BY o.start LIMIT 1)) FROM documents d"
        )
        with self._reading():
            return {str(doc_id): str(lang) for doc_id, lang in self._database.execute(query)}

    def rejected(self, limit: int = -1) -> list[tuple[str, str]]:
        """Return what could not be read when the index was built: where, and why."""
        with self._reading():
            return list(self._database.execute("SELECT place, reason FROM rejected ORDER BY rowid LIMIT ?", (limit,)))

    def left_out(self, limit: int = -1) -> list[tuple[str, str, int, int, str, str]]:
        """Return the lines left out of all passages: source, document, offsets, kind, text."""
        query = (
            "SELECT d.source, d.doc_id, l.start, l.end, l.kind, l.text FROM left_out l "
            "JOIN documents d ON d.doc = l.doc ORDER BY l.doc, l.start LIMIT ?"
        )
        with self._reading():
            return list(self._database.execute(query, (limit,)))

    def check_database(self) -> tuple[str, int, int]:
        """Return what SQLite says of the database, how many passages it holds, and how many stand in a document."""
        with self._reading():
            (state,) = self._database.execute("PRAGMA integrity_check").fetchone()
            (stored,) = self._database.execute("SELECT count(*) FROM passages").fetchone()
            (placed,) = self._database.execute("SELECT count(DISTINCT row) FROM occurrences").fetchone()
        return str(state), int(stored), int(placed)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        if self._is_closed:
            raise StoreError(f"{self.directory}: this index was closed. Open it again.")
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:  # a value of another type, or an unknown row
            raise IndexDamagedError(
                f"{self.folder / DATABASE}: cannot be read ({error}). Run `tongues verify`, then `tongues repair`."
            ) from error

    def close(self) -> None:
        """Let go of the files."""
        self._is_closed = True
        self._database.close()
        self._langs = None
        self._reading_lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _open_database(path: Path) -> sqlite3.Connection:
    # Read-only and immutable: no lock, no journal, and nothing the file says can make SQLite write.
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    database: sqlite3.Connection | None = None
    try:
        database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("SELECT row FROM passages LIMIT 1")
    except sqlite3.Error as error:
        if database:
            database.close()
        raise IndexDamagedError(f"{path}: cannot be read ({error}). Build the index again.") from error
    return database


def current_generation(directory: Path) -> Path:
    """Return the folder of the current generation.

    Raises:
        NoIndexError: When the directory is no index.
        IndexDamagedError: When it names a generation that is not there.
    """
    try:
        name = (directory / CURRENT).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        what, remedy = "there is no such directory", f"Make one with: tongues build PATH... --out {directory}"
        if directory.exists():
            what, remedy = "no index here", "Name the directory that was given to tongues build with --out."
        raise NoIndexError(f"{directory}: {what}. {remedy}") from None
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{directory / CURRENT}: cannot be read ({reason}). Check the path and its rights.") from error
    except UnicodeDecodeError as error:
        raise IndexDamagedError(f"{directory / CURRENT}: damaged ({error}). Build the index again.") from error
    folder = directory / GENERATIONS / name
    if not re.fullmatch(r"g\d+", name, re.ASCII) or not folder.is_dir():
        raise IndexDamagedError(f"{directory / CURRENT}: names {name!r}, which is not there. Build the index again.")
    return folder


def expected_files(manifest: Manifest) -> tuple[str, ...]:
    """Return the paths, below a generation's folder, of the files that it has beside its manifest."""
    return files_of(manifest.format_version, [segment.name for segment in manifest.segments])


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check that every file of a generation is there in its full size.

    Raises:
        IndexDamagedError: Naming the first that is not.
    """
    if set(manifest.files) != set(expected_files(manifest)):
        raise IndexDamagedError(f"{folder}: its manifest names other files than an index has. Build the index again.")
    for name, record in manifest.files.items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise IndexDamagedError(f"{path}: missing. Build the index again.") from error
        if size != record.size:
            raise IndexDamagedError(f"{path}: {size} bytes where {record.size} were written. Build the index again.")
