"""Where a search finds passages: what it asks of them, wherever they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from index.sentence_vectors import FoundSentences, SentenceVectors
from index.stored import Occurrence, StoredDocuments, StoredPassage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Rows, Vectors
    from index.vector_index import VectorRows, VectorSearch

Part: TypeAlias = tuple[Sequence[int], Sequence[tuple[str, str]]]
"""Rows, and the context and the text of each."""
Texts: TypeAlias = Iterator[Part]

_LARGE = 20_000
"""Rows from which a vector index is quantized: then a filter of nearly all rows costs more than more candidates."""
_MARGIN = 16


@dataclass(frozen=True, slots=True)
class Placed:
    """A passage at one of its places: the offsets of its characters in the text of a document."""

    passage: StoredPassage
    start: int

    @property
    def end(self) -> int:
        """Offset just after the last character."""
        return self.start + len(self.passage.text)


class Passages(Protocol):
    """The passages of an index with their vectors. Whatever cannot be read is a ``StoreError``."""

    def near(self, queries: Vectors, n: int, codes: Sequence[int] | None) -> list[Rows]:
        """Return for each query rows worth ranking: about its ``n`` best, at least as many where they exist, unordered.

        Args:
            queries: Shape (n_queries, dim), unit rows.
            n: How many.
            codes: The languages that may be found; None for all.
        """

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of rows as the model gave them, shape (n, dim), unit rows."""

    def sentences(self, rows: Rows) -> FoundSentences | None:
        """Return the sentences of rows; None when the index has none."""

    def passages(self, rows: Sequence[int]) -> list[StoredPassage]:
        """Return the passages of rows, in the order given."""

    def row_of(self, passage_id: str) -> int | None:
        """Return the row of a passage; None when there is none with this id."""

    def around(self, row: int, place: Occurrence, n: int) -> tuple[list[Placed], list[Placed]]:
        """Return up to ``n`` passages of a document before a place of a row, and after it, in the order of the text."""

    def iter_texts(self) -> Texts:
        """Yield the texts of all passages, in the order of their rows."""

    def close(self) -> None:
        """Let go of what was opened for them."""


class Masks:
    """Which rows may be found, by their languages."""

    def __init__(self, codes: LangCodes, alive: NDArray[np.bool_] | None) -> None:
        """Prepare for the rows of an index.

        Args:
            codes: The language of each, shape (n_rows,).
            alive: Which of them stand in a document, shape (n_rows,); None for all.
        """
        self._codes = codes
        self._alive = alive
        self._masks: dict[tuple[int, ...], NDArray[np.bool_]] = {}

    def of(self, codes: Sequence[int] | None) -> NDArray[np.bool_] | None:
        """Return which rows are of these languages, shape (n_rows,); None for all rows."""
        import numpy as np

        if codes is None:
            return self._alive
        key = tuple(codes)
        if key not in self._masks:
            mask = np.isin(self._codes, key)
            self._masks[key] = mask if self._alive is None else mask & self._alive
        return self._masks[key]


class PassagesInFiles:
    """The passages of a generation that has them in files of its own."""

    def __init__(
        self,
        documents: StoredDocuments,
        vector_index: VectorSearch | None,
        vectors: VectorRows,
        sentences: SentenceVectors | None,
        masks: Masks,
    ) -> None:
        """Look at what was opened; without a vector index, ``near`` cannot be asked."""
        self._documents = documents
        self._index = vector_index
        self._vectors = vectors
        self._sentences = sentences
        self._masks = masks

    def near(self, queries: Vectors, n: int, codes: Sequence[int] | None) -> list[Rows]:
        """Return for each query rows worth ranking, as ``Passages`` has it."""
        if self._index is None:
            raise ValueError("the vector index was not opened")
        alive = self._masks.of(None)
        if codes is None and alive is not None and len(alive) >= _LARGE:
            # A few more, of which the dead ones are left out: a filter would cost more than that.
            found = self._index.candidates(queries, n + n // 2 + _MARGIN)
            found = [rows[alive[rows]] for rows in found]
            if all(len(rows) >= n for rows in found):
                return found
        return self._index.candidates(queries, n, self._masks.of(codes))

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of rows as the model gave them, shape (n, dim), unit rows."""
        return self._vectors[rows]

    def sentences(self, rows: Rows) -> FoundSentences | None:
        """Return the sentences of rows; None when the index has none."""
        return self._sentences.of(rows) if self._sentences else None

    def passages(self, rows: Sequence[int]) -> list[StoredPassage]:
        """Return the passages of rows, in the order given."""
        return self._documents.passages(rows)

    def row_of(self, passage_id: str) -> int | None:
        """Return the row of a passage; None when there is none with this id."""
        return self._documents.row_of(passage_id)

    def around(self, row: int, place: Occurrence, n: int) -> tuple[list[Placed], list[Placed]]:
        """Return the passages around a place, as ``Passages`` has it."""
        del row  # the database finds them by their document
        before, after = self._documents.rows_around(place, n)
        found = self.passages([row for row, _ in (*before, *after)])
        placed = [Placed(one, start) for one, (_, start) in zip(found, (*before, *after), strict=True)]
        return placed[: len(before)], placed[len(before) :]

    def iter_texts(self) -> Texts:
        """Yield the texts of all passages, in the order of their rows."""
        return self._documents.iter_texts(0, len(self._vectors))

    def close(self) -> None:
        """Do nothing: who opened the files closes them."""
