"""Vectors of the sentences of passages, in int8: what tells which part of a passage answers.

A passage's own vector blurs its sentences. Theirs are read only for the few passages that a search has to rank.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import REPAIR, IndexDamagedError
from index.segments import Bases
from index.sentence_files import SENTENCES, SPANS, STARTS
from index.vectors import ArrayFile, open_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Passage, Rows, Vectors


class SentenceWriter:
    """Appends the sentences of passages to the files of a generation."""

    def __init__(self, folder: Path, dim: int) -> None:
        self._dim = dim
        self._vectors = ArrayFile(folder / SENTENCES, "int8", (dim,))
        self._spans = ArrayFile(folder / SPANS, "int32", (2,))
        self._starts = ArrayFile(folder / STARTS, "int64", ())
        self._starts.append([0])

    @property
    def n_sentences(self) -> int:
        """Sentences so far."""
        return self._vectors.n_rows

    def append(self, passages: Sequence[Passage], vectors: NDArray[np.int8]) -> None:
        """Add the sentences of passages.

        Args:
            passages: In order of their rows.
            vectors: One of each sentence, in order, shape (n_sentences, dim), as ``to_int8`` gives them.
        """
        import numpy as np

        spans = np.array([span for passage in passages for span in passage.sentences], np.int32).reshape(-1, 2)
        self.append_found([len(passage.sentences) for passage in passages], spans, vectors)

    def append_found(self, counts: Sequence[int], spans: NDArray[np.int32], vectors: NDArray[np.int8]) -> None:
        """Add the sentences of passages: how many each has, and all their spans and vectors in order."""
        import numpy as np

        if len(spans) != len(vectors) or vectors.dtype != np.int8:
            raise ValueError(f"{len(vectors)} vectors of {vectors.dtype} came back for {len(spans)} sentences")
        ends = np.cumsum(counts, dtype=np.int64) + self.n_sentences
        self._vectors.append(vectors)
        self._spans.append(spans)
        self._starts.append(ends)

    def close(self) -> None:
        """Write the final numbers of rows and close the files, all of them even where one cannot be written."""
        with contextlib.ExitStack() as stack:
            for file in (self._vectors, self._spans, self._starts):
                stack.callback(file.close)


@dataclass(frozen=True, slots=True)
class FoundSentences:
    """The sentences of some passages, one passage after the other.

    Attributes:
        vectors: Shape (n_sentences, dim), unit rows.
        spans: Shape (n_sentences, 2): where each starts and ends in its passage's text.
        starts: Shape (n_passages + 1,): those of passage i are starts[i] to starts[i + 1].
    """

    vectors: Vectors
    spans: NDArray[np.int32]
    starts: NDArray[np.int64]


class SentenceVectors:
    """The sentences of all passages of an index, mapped into memory."""

    def __init__(
        self, folders: Sequence[Path], n_passages: Sequence[int], n_sentences: Sequence[int], dim: int
    ) -> None:
        """Open the files of segments.

        Args:
            folders: Of the segments, in the order of their rows.
            n_passages: How many rows each has.
            n_sentences: How many sentences each has.
            dim: The length of a vector.

        Raises:
            IndexDamagedError: When they are not the arrays that the manifest tells of.
        """
        import numpy as np

        self._folders = folders
        self._bases = Bases(n_passages)
        # NumPy's own class for mapped files takes rows more slowly.
        self._parts = [
            tuple(
                np.asarray(open_array(folder / name, shape, dtype))
                for name, shape, dtype in (
                    (SENTENCES, (n_of_segment, dim), "int8"),
                    (SPANS, (n_of_segment, 2), "int32"),
                    (STARTS, (n_rows + 1,), "int64"),
                )
            )
            for folder, n_rows, n_of_segment in zip(folders, n_passages, n_sentences, strict=True)
        ]
        self._dim = dim

    def counts(self, rows: Rows) -> NDArray[np.int64]:
        """Return how many sentences passages have, shape (len(rows),).

        Raises:
            IndexDamagedError: When the files contradict each other.
        """
        first, after, _ = self._places(rows)
        return after - first

    def of(self, rows: Rows) -> FoundSentences:
        """Return the sentences of passages.

        Raises:
            IndexDamagedError: When the files contradict each other.
        """
        import numpy as np

        spans, starts, stored = self.stored(rows)
        vectors = stored.astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        vectors /= np.maximum(lengths, 1.0)[:, None]  # a damaged row may be all zeros
        return FoundSentences(vectors, spans, starts)

    def stored(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]:
        """Return the spans, starts and vectors of the sentences of passages as ``FoundSentences`` has them, in int8.

        Raises:
            IndexDamagedError: When the files contradict each other.
        """
        import numpy as np

        first, after, numbers = self._places(rows)
        counts = after - first
        starts = np.concatenate([[0], np.cumsum(counts)])
        wanted = np.repeat(first - starts[:-1], counts) + np.arange(starts[-1])
        if len(self._parts) == 1:
            return self._parts[0][1][wanted], starts, self._parts[0][0][wanted]
        spans = np.empty((len(wanted), 2), np.int32)
        vectors = np.empty((len(wanted), self._dim), np.int8)
        owners = np.repeat(numbers, counts)
        for number in np.unique(owners).tolist():
            at = np.flatnonzero(owners == number)
            vectors[at], spans[at] = self._parts[number][0][wanted[at]], self._parts[number][1][wanted[at]]
        return spans, starts, vectors

    def _places(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return where the sentences of each row start and end in its segment, and the segment's number."""
        import numpy as np

        first, after, numbers = (np.zeros(len(rows), np.int64) for _ in range(3))
        for number, at, own in self._bases.parts(np.asarray(rows)):
            vectors, _, starts = self._parts[number]
            first[at], after[at], numbers[at] = starts[own], starts[own + 1], number
            # Compared, not subtracted: the difference of damaged numbers may be too large for its type.
            if (first[at] < 0).any() or (after[at] < first[at]).any() or (after[at] > len(vectors)).any():
                path = self._folders[number] / STARTS
                raise IndexDamagedError(f"{path}: damaged. {REPAIR}")
        return first, after, numbers
