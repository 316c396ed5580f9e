"""The index directory: generations, each complete before it is switched to and never changed after.

DIR/CURRENT                     the name of the generation to read
DIR/generations/NAME/
    manifest.json               what is in it, with size and sha256 of every file
    passages.sqlite             documents, passages, which passage stands where
    vectors.npy                 one unit vector a passage, float32
    langs.npy                   one language code a passage, uint16
    offsets.npy                 where each language stands apart in the vector space, float32
    index.faiss                 the vector index of the vectors with these offsets partly taken out
    sentences.npy, ...          vectors of the passages' sentences, int8, and where they stand
    lexical-rows.npy, ...       which passages hold which words
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from index.balance import BalancedVectors
from index.database import Database
from index.errors import IndexDamagedError, NoIndexError, StoreError
from index.guarded import parse_json, read_small, regular_size
from index.kinds import open_vector_index
from index.lexical import LEXICAL_FILES, LexicalIndex
from index.manifest import FileRecord, Manifest, is_as_recorded, read_manifest
from index.records import model_text
from index.sentence_vectors import SENTENCE_FILES, SentenceVectors
from index.vectors import open_array, open_vectors

if TYPE_CHECKING:
    from index.records import LangCodes, Vectors
    from index.vector_index import VectorIndex

CURRENT = "CURRENT"
GENERATIONS = "generations"
DATABASE = "passages.sqlite"
VECTORS = "vectors.npy"
LANGS = "langs.npy"
FAISS = "index.faiss"
OFFSETS = "offsets.npy"
_FORMAT_1 = (DATABASE, VECTORS, LANGS, FAISS)
FILES = (*_FORMAT_1, OFFSETS, *SENTENCE_FILES, *LEXICAL_FILES)
"""The files of a generation beside its manifest."""

LONGEST_NAME = 256
"""The most bytes that the name of a generation can have."""
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
    """One generation of an index, opened for reading."""

    def __init__(self, directory: Path, folder: Path, manifest: Manifest) -> None:
        """Use ``Store.open``."""
        self.directory = directory
        self.folder = folder
        self.manifest = manifest
        self._database = Database(folder / DATABASE)
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
        for attempt in (1, 2):
            folder = current_generation(directory)
            try:
                manifest = read_manifest(folder)
                check_sizes(folder, manifest)
                return cls(directory, folder, manifest)
            except IndexDamagedError:
                # A build may have switched and cleared away between reading the name and opening the files.
                if attempt == 2 or current_generation(directory) == folder:
                    raise
        raise AssertionError("unreachable")

    @property
    def n_passages(self) -> int:
        """The number of passages, and of rows."""
        return self.manifest.counts.passages

    @property
    def lang_codes(self) -> LangCodes:
        """Shape (n_passages,): each row's position in ``manifest.languages``."""
        if self._langs is None:
            self._langs = open_array(self.folder / LANGS, (self.n_passages,), "uint16")
        return self._langs

    @property
    def has_parts(self) -> bool:
        """Whether there are sentences, words and offsets: an index in format 1 has vectors of passages alone."""
        return self.manifest.format_version > 1

    def vectors(self) -> Vectors:
        """Return the unit vectors as the model gave them, mapped into memory, shape (n_passages, dim)."""
        return open_vectors(self.folder / VECTORS, self.n_passages, self.manifest.encoder.dim)

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
        n = self.manifest.counts.sentences
        return SentenceVectors(self.folder, self.n_passages, n, self.manifest.encoder.dim) if n else None

    def lexical(self) -> LexicalIndex | None:
        """Open the words of the passages; None when there are none.

        Raises:
            IndexDamagedError: When they cannot be read or do not fit the manifest.
        """
        counts = [self.manifest.counts.languages[lang] for lang in self.manifest.languages]
        return LexicalIndex.open(self.folder, self.n_passages, counts) if self.has_parts else None

    def vector_index(self) -> VectorIndex:
        """Open the vector index.

        Raises:
            IndexFormatError: When it is of a kind that this version does not know.
            IndexDamagedError: When it cannot be read or does not fit the manifest.
        """
        vectors = BalancedVectors(self.vectors(), self.lang_codes, self.offsets(), self.manifest.balance)
        return open_vector_index(self.manifest.kind, self.folder / FAISS, vectors)

    def passages(self, rows: Sequence[int]) -> list[StoredPassage]:
        """Return the passages of rows, in the order given.

        Raises:
            IndexDamagedError: When a row is not there.
        """
        with self._reading():
            return [self._read_row(row) for row in rows]

    def _read_row(self, row: int) -> StoredPassage:
        query = "SELECT passage_id, lang, context, text FROM passages WHERE row = ?"
        found = self._database.row(query, (str, str, str, str), (row,))
        if found is None:
            raise ValueError(f"row {row} is missing")
        passage_id, lang, context, text = found
        # Not a JOIN that SQLite may turn round: statistics of its own, which it would go by, are in the file too.
        query = (
            "SELECT d.source, d.doc_id, d.title, o.start, o.end, o.doc FROM occurrences o "
            "CROSS JOIN documents d ON d.doc = o.doc WHERE o.row = ? ORDER BY o.doc, o.start LIMIT ?"
        )
        places = list(self._database.rows(query, (str, str, str, int, int, int), (row, _PLACES_READ)))
        if not places:
            raise ValueError(f"row {row} stands in no document")
        if any(not 0 <= start <= end for *_, start, end, _ in places):
            raise ValueError(f"row {row} stands where nothing can stand")
        n_places = len(places)
        if n_places == _PLACES_READ:
            query = "SELECT count(*) FROM occurrences WHERE row = ?"
            n_places = self._database.only(query, int, (row,))
        metadata = parse_json(self._database.only("SELECT metadata FROM documents WHERE doc = ?", str, places[0][5:]))
        if not isinstance(metadata, dict):
            raise ValueError(f"row {row} has metadata that is no object")
        occurrences = tuple(Occurrence(*place) for *place, _ in places)
        return StoredPassage(passage_id, lang, context, text, occurrences, n_places, metadata)

    def document_langs(self) -> dict[str, str]:
        """Return the language of each document id: the one declared, or that of the document's first passage."""
        query = (
            "SELECT d.doc_id, coalesce(nullif(d.lang, ''), (SELECT p.lang FROM occurrences o "
            "JOIN passages p ON p.row = o.row WHERE o.doc = d.doc ORDER BY o.start LIMIT 1)) FROM documents d"
        )
        with self._reading():
            return dict(self._database.rows(query, (str, str)))

    def rejected(self, limit: int = -1) -> list[tuple[str, str]]:
        """Return what could not be read when the index was built: where, and why."""
        with self._reading():
            query = "SELECT place, reason FROM rejected ORDER BY rowid LIMIT ?"
            return [(where, why) for where, why in self._database.rows(query, (str, str), (limit,))]

    def left_out(self, limit: int = -1) -> list[tuple[str, str, int, int, str, str]]:
        """Return the lines left out of all passages: source, document, offsets, kind, text."""
        query = (
            "SELECT d.source, d.doc_id, l.start, l.end, l.kind, l.text FROM left_out l "
            "CROSS JOIN documents d ON d.doc = l.doc ORDER BY l.rowid LIMIT ?"  # as written: sorting needs memory
        )
        with self._reading():
            rows = self._database.rows(query, (str, str, int, int, str, str), (limit,))
            return [(source, doc, start, end, kind, text) for source, doc, start, end, kind, text in rows]

    def check_counts(self) -> None:
        """Check the database, and that every file holds as many rows as the manifest tells.

        Raises:
            IndexDamagedError: Naming the first file that does not.
        """
        n = self.n_passages
        with self._reading():
            self._database.check()
            stored = self._database.only("SELECT count(*) FROM passages", int)
            placed = self._database.only("SELECT count(DISTINCT row) FROM occurrences", int)
        if (stored, placed) != (n, n):
            raise IndexDamagedError(
                f"{self.folder / DATABASE}: {stored} passages, {placed} of them in a document, where the manifest has "
                f"{n}. Build the index again."
            )
        self.vector_index()
        self.sentences()
        self.lexical()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        if self._is_closed:
            raise StoreError(f"{self.directory}: this index was closed. Open it again.")
        with self._database.reading():
            yield

    def close(self) -> None:
        """Let go of the files."""
        self._is_closed = True
        self._database.close()
        self._langs = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def current_generation(directory: Path) -> Path:
    """Return the folder of the current generation.

    Raises:
        NoIndexError: When the directory is no index.
        IndexDamagedError: When it names a generation that is not there.
    """
    try:
        name = read_small(directory / CURRENT, LONGEST_NAME).decode().strip()
    except (FileNotFoundError, NotADirectoryError):
        what, remedy = "there is no such directory", f"Make one with: tongues build PATH... --out {directory}"
        if directory.exists():
            what, remedy = "no index here", "Name the directory that was given to tongues build with --out."
        raise NoIndexError(f"{directory}: {what}. {remedy}") from None
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{directory / CURRENT}: cannot be read ({reason}). Check the path and its rights.") from error
    except ValueError as error:  # too long, or no text
        raise IndexDamagedError(f"{directory / CURRENT}: damaged ({error}). Build the index again.") from error
    folder = directory / GENERATIONS / name
    if not re.fullmatch(r"g\d+", name, re.ASCII) or not folder.is_dir():
        raise IndexDamagedError(f"{directory / CURRENT}: names {name!r}, which is not there. Build the index again.")
    return folder


def files_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the files that a generation has beside its manifest."""
    return FILES if manifest.format_version > 1 else _FORMAT_1


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check that every file of a generation is there in its full size.

    Raises:
        IndexDamagedError: Naming the first that is not.
    """
    if set(manifest.files) != set(files_of(manifest)):
        raise IndexDamagedError(f"{folder}: its manifest names other files than an index has. Build the index again.")
    for name, record in manifest.files.items():
        path = folder / name
        try:
            size = regular_size(path)
        except OSError as error:
            what = "missing" if isinstance(error, FileNotFoundError) else error.strerror or error
            raise IndexDamagedError(f"{path}: {what}. Build the index again.") from error
        if size != record.size:
            raise IndexDamagedError(f"{path}: {size} bytes where {record.size} were written. Build the index again.")


def verify(directory: str | Path) -> list[str]:
    """Check every checksum and count of an index; returns what is wrong, nothing when it is whole.

    Raises:
        NoIndexError: When there is no index.
        IndexFormatError: When another version of the form wrote it.
    """
    try:
        folder = current_generation(Path(directory))
        manifest = read_manifest(folder)
        problems = [
            problem for name in files_of(manifest) if (problem := _problem(folder / name, manifest.files.get(name)))
        ]
        if not problems:
            with Store.open(directory) as store:
                store.check_counts()
    except IndexDamagedError as error:
        return [str(error)]
    return [f"{problem}. Build the index again." for problem in problems]


def _problem(path: Path, record: FileRecord | None) -> str:
    """Say in what a file differs from its record, or ""."""
    try:
        same = record is not None and is_as_recorded(path, record)
    except FileNotFoundError:
        return f"{path}: missing"
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror or error})"
    return "" if same else f"{path}: damaged (its size or sha256 differs from the manifest)"
