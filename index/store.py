"""One generation of an index, opened for reading; ``index.layout`` tells what lies in its directory."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from index.balance import BalancedVectors
from index.errors import REPAIR, IndexDamagedError, NoIndexError, StoreError
from index.guarded import read_small, regular_size
from index.kinds import open_vector_index
from index.layout import CURRENT, DATABASE, DEAD, FAISS, GENERATIONS, LANGS, MANIFEST, OFFSETS, VECTORS, files_of
from index.lexical import LexicalIndex
from index.manifest import Manifest, Segment, read_manifest
from index.passages import Masks, Passages, PassagesInFiles
from index.reading import keep_open
from index.segments import SegmentedIndex, SegmentedRows
from index.sentence_vectors import SentenceVectors
from index.stored import StoredDocuments, StoredPassage
from index.vectors import open_array, open_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Rows, Vectors
    from index.vector_index import VectorIndex, VectorRows, VectorSearch

_ATTEMPTS = 20
"""How often opening is tried while writers switch and collect meanwhile."""
LONGEST_NAME = 256
"""The most bytes that the name of a generation can have."""


class Store:
    """One generation of an index, opened for reading. It stays on disk as long as it is open."""

    def __init__(self, directory: Path, folder: Path, manifest: Manifest, reading: contextlib.ExitStack) -> None:
        """Use ``Store.open``."""
        self.directory = directory
        self.folder = folder
        self.manifest = manifest
        self._reading_lock = reading
        self.documents = StoredDocuments(folder / DATABASE, manifest.format_version)
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

    def vectors(self, *, scattered: bool = False) -> VectorRows:
        """Return the unit vectors as the model gave them, shape (n_rows, dim); read when they are asked for.

        Args:
            scattered: Whether rows are read one here and one there, as a search does.

        Raises:
            IndexDamagedError: When they cannot be read.
        """
        dim = self.manifest.encoder.dim
        parts = [
            open_vectors(self._path(one, VECTORS), one.rows, dim, one.numbers, scattered=scattered)
            for one in self.manifest.segments
        ]
        return SegmentedRows(parts, dim)

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
            vectors = open_vectors(self._path(one, VECTORS), one.rows, dim, one.numbers, scattered=True)
            codes = open_array(self._path(one, LANGS), (one.rows,), "uint16")
            rows.append(BalancedVectors(vectors, codes, offsets, strength))
            parts.append(open_vector_index(one.kind, self._path(one, FAISS), rows[-1]))
        return parts[0] if len(parts) == 1 else SegmentedIndex(parts, SegmentedRows(rows, dim))

    def masks(self) -> Masks:
        """Return which rows may be found, by their languages."""
        import numpy as np

        return Masks(np.minimum(self.lang_codes, max(0, len(self.manifest.languages) - 1)), self.alive())

    def open_passages(self, masks: Masks | None = None, *, to_search: bool = True) -> Passages:
        """Open the passages with their vectors, wherever they are.

        Args:
            masks: What ``masks`` gave, if it was asked before.
            to_search: Open the vector index too.

        Raises:
            StoreError: When they cannot be read or reached.
        """
        if self.manifest.store:
            import numpy as np

            from index.milvus_index import PassagesInMilvus

            return PassagesInMilvus(self.manifest, self.lang_codes, np.array(self.offsets()))
        index = self.vector_index() if to_search else None
        return PassagesInFiles(
            self.documents, index, self.vectors(scattered=to_search), self.sentences(), masks or self.masks()
        )

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
        return self.documents.passages(rows)

    def document_langs(self) -> dict[str, str]:
        """Return the language of each document id: the one declared, or that of the document's first passage."""
        return self.documents.langs()

    def rejected(self, limit: int = -1) -> list[tuple[str, str]]:
        """Return what could not be read when the index was built: where, and why."""
        return self.documents.rejected(limit)

    def left_out(self, limit: int = -1) -> list[tuple[str, str, int, int, str, str]]:
        """Return the lines left out of all passages: source, document, offsets, kind, text."""
        return self.documents.left_out(limit)

    def close(self) -> None:
        """Let go of the files."""
        self.documents.close()
        self._langs = None
        self._reading_lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def current_generation(directory: Path) -> Path:
    """Return the folder of the current generation.

    Raises:
        NoIndexError: When the directory is no index.
        IndexDamagedError: When it names a generation that is not there, or has generations and names none.
    """
    try:
        name = read_small(directory / CURRENT, LONGEST_NAME).decode().strip()
    except (FileNotFoundError, NotADirectoryError):
        if any(directory.glob(f"{GENERATIONS}/g*/{MANIFEST}")):  # or a first build was killed just before it ended
            raise IndexDamagedError(f"{directory / CURRENT}: missing. {REPAIR}") from None
        what, remedy = "there is no such directory", f"Make one with: tongues build PATH... --out {directory}"
        if directory.exists():
            what, remedy = "no index here", "Name the directory that was given to tongues build with --out."
        raise NoIndexError(f"{directory}: {what}. {remedy}") from None
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{directory / CURRENT}: cannot be read ({reason}). Check the path and its rights.") from error
    except ValueError as error:  # too long, or no text
        raise IndexDamagedError(f"{directory / CURRENT}: damaged ({error}). {REPAIR}") from error
    folder = directory / GENERATIONS / name
    if not re.fullmatch(r"g\d+", name, re.ASCII) or not folder.is_dir():
        raise IndexDamagedError(f"{directory / CURRENT}: names {name!r}, which is not there. {REPAIR}")
    return folder


def expected_files(manifest: Manifest) -> tuple[str, ...]:
    """Return the paths, below a generation's folder, of the files that it has beside its manifest."""
    names = [segment.name for segment in manifest.segments]
    return files_of(manifest.format_version, names, elsewhere=bool(manifest.store))


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check that every file of a generation is there in its full size.

    Raises:
        IndexDamagedError: Naming the first that is not.
    """
    if set(manifest.files) != set(expected_files(manifest)):
        raise IndexDamagedError(f"{folder}: its manifest names other files than an index has. {REPAIR}")
    for name, record in manifest.files.items():
        path = folder / name
        try:
            size = regular_size(path)
        except OSError as error:
            raise IndexDamagedError(f"{path}: missing. {REPAIR}") from error
        if size != record.size:
            raise IndexDamagedError(f"{path}: {size} bytes where {record.size} were written. {REPAIR}")
