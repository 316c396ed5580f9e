"""The words of all passages: which term stands in which row, for ranking by BM25."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from index import postings
from index.errors import REPAIR, IndexDamagedError
from index.lexical_files import LANG_COUNTS, LANG_STARTS, LEXICAL_FILES, ROWS, STARTS, TERMS, TYPES, WEIGHTS, term_key
from index.lexical_query import LexicalQuery
from index.postings import PostingSorter, changes
from index.terms import terms
from index.vectors import ArrayFile, open_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes

    Postings: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint8]]
    """Terms, rows and weights, one of each a posting."""

__all__ = ["LEXICAL_FILES", "LexicalIndex", "LexicalQuery", "LexicalWriter"]


_TEMPORARY = "lexical-postings.tmp"

_K1 = 1.2
_B = 0.75
"""Source: Robertson, Zaragoza 2009, The probabilistic relevance framework: BM25 and beyond, section 3.5."""


class LexicalWriter:
    """Receives the texts of rows, and writes the files of a lexical index.

    Memory grows by four bytes a row, at the end by some twelve more, and not with the texts. What cannot be
    written is an ``OSError``.
    """

    def __init__(self, folder: Path) -> None:
        """Begin in a folder; a temporary file in it lasts until ``finish`` or ``abandon``."""
        self._folder = folder
        self._sorter = PostingSorter(folder / _TEMPORARY)
        self._keys = array("Q")
        self._first_row = 0
        self._lengths = array("I")

    def append(self, texts: Sequence[str]) -> None:
        """Add the next rows."""
        for text in texts:
            keys = [term_key(term) for term in terms(text)]
            self._keys.extend(keys)
            self._lengths.append(len(keys))
            if len(self._keys) >= postings.BLOCK:
                self._flush()

    def _flush(self) -> None:
        import numpy as np

        n_rows = len(self._lengths)
        rows = np.arange(self._first_row, n_rows, dtype=np.uint32)
        lengths = np.array(self._lengths[self._first_row :], np.int64)
        self._sorter.add(np.array(self._keys, np.uint64), np.repeat(rows, lengths))
        self._keys, self._first_row = array("Q"), n_rows

    @property
    def n_terms(self) -> int:
        """The terms of all rows so far, each as often as it occurs."""
        return sum(self._lengths)

    def finish(self, lang_codes: LangCodes, beside: tuple[int, int] = (0, 0)) -> None:
        """Write the files.

        Args:
            lang_codes: Shape (n_rows,).
            beside: The terms and the rows of the index's other segments: what is long or short is told by all of them.
        """
        import numpy as np

        if len(lang_codes) != len(self._lengths):
            raise ValueError(f"{len(lang_codes)} languages given for {len(self._lengths)} rows")
        try:
            self._flush()
            lengths = np.array(self._lengths, np.float64)
            average = max((lengths.sum() + beside[0]) / max(len(lengths) + beside[1], 1), 1e-9)
            norms = (_K1 * (1 - _B + _B * lengths / average)).astype(np.float32)
            write_postings(self._folder, _weighted(self._sorter, norms), lang_codes)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the temporary file without finishing."""
        self._sorter.close()


def _weighted(sorter: PostingSorter, norms: NDArray[np.float32]) -> Iterator[Postings]:
    """Yield sorted postings with what each term is worth in its row."""
    import numpy as np

    for part in sorter.iter_sorted():
        weights = part["count"] / (part["count"] + norms[part["row"]])
        yield part["term"], part["row"], np.maximum(np.rint(255 * weights), 1).astype(np.uint8)


def write_postings(folder: Path, parts: Iterable[Postings], lang_codes: LangCodes) -> None:
    """Write the files of a lexical index.

    Args:
        folder: Where they go.
        parts: Terms, rows and weights, by term, then row; a term in one part only.
        lang_codes: The language of each row.

    Raises:
        OSError: When they cannot be written.
    """
    import numpy as np

    with contextlib.ExitStack() as stack:
        files = {}
        for name, dtype in TYPES.items():
            file = ArrayFile(folder / name, dtype, (2,) if name == LANG_COUNTS else ())
            files[name] = stack.enter_context(contextlib.closing(file))
        n_postings = n_langs = 0
        for terms_of_part, rows, weights in parts:
            first = changes(terms_of_part)
            starts = np.flatnonzero(first)
            files[TERMS].append(terms_of_part[starts])
            files[STARTS].append(n_postings + starts)
            files[ROWS].append(rows)
            files[WEIGHTS].append(weights)
            # Terms are numbered within the part, so that term and language make one number that sorts.
            pairs, counts = np.unique((np.cumsum(first) - 1) * 65_536 + lang_codes[rows], return_counts=True)
            files[LANG_STARTS].append(n_langs + np.flatnonzero(changes(pairs // 65_536)))
            files[LANG_COUNTS].append(np.stack((pairs % 65_536, counts), axis=1))
            n_postings += len(rows)
            n_langs += len(pairs)
        files[STARTS].append(np.array([n_postings]))
        files[LANG_STARTS].append(np.array([n_langs]))


@dataclass(frozen=True, slots=True, eq=False)
class LexicalPart:
    """The words of one segment.

    Attributes:
        folder: Where its files are.
        base: Its first row among those of all segments.
        n_rows: The number of its rows.
        arrays: The files by name, mapped into memory.
    """

    folder: Path
    base: int
    n_rows: int
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class LexicalIndex:
    """The words of all passages, opened for reading; nothing is read before a query asks for it.

    Attributes:
        parts: The words of each segment.
        n_rows: The number of rows of all of them.
        lang_counts: Shape (n_langs,): passages by language.
    """

    parts: Sequence[LexicalPart]
    n_rows: int
    lang_counts: NDArray[np.float64]

    @classmethod
    def open(cls, folders: Sequence[Path], sizes: Sequence[int], lang_counts: Sequence[int]) -> LexicalIndex:
        """Open the files of an index.

        Args:
            folders: Of its segments, in the order of their rows.
            sizes: The number of rows of each.
            lang_counts: How many of them are in each language, by code.

        Raises:
            IndexDamagedError: When a file cannot be read, or does not fit the others.
        """
        import numpy as np

        parts, base = [], 0
        for folder, n_rows in zip(folders, sizes, strict=True):
            parts.append(LexicalPart(folder, base, n_rows, open_arrays(folder)))
            base += n_rows
        return cls(parts, base, np.array(lang_counts, np.float64))

    def query(self, text: str) -> LexicalQuery:
        """Look up the terms of a query.

        Raises:
            IndexDamagedError: When a file holds what cannot be.
        """
        return LexicalQuery(self, text)


def open_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Map the files of a segment's words into memory, by name.

    Raises:
        IndexDamagedError: When a file cannot be read, or does not fit the others.
    """
    import numpy as np

    arrays = {name: np.asarray(open_array(folder / name, None, dtype)) for name, dtype in TYPES.items()}
    n_terms = len(arrays[TERMS])
    shapes = {
        TERMS: (n_terms,),
        STARTS: (n_terms + 1,),
        ROWS: (len(arrays[ROWS]),),
        WEIGHTS: (len(arrays[ROWS]),),
        LANG_STARTS: (n_terms + 1,),
        LANG_COUNTS: (len(arrays[LANG_COUNTS]), 2),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise IndexDamagedError(f"{folder / name}: {arrays[name].shape} values where {shape} belong. {REPAIR}")
    for name, into in ((STARTS, ROWS), (LANG_STARTS, LANG_COUNTS)):
        if (arrays[name][0], arrays[name][-1]) != (0, len(arrays[into])):
            raise IndexDamagedError(f"{folder / name}: does not fit {into}. {REPAIR}")
    return arrays
