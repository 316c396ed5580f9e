"""Vectors of the sentences of passages, in int8: what tells which part of a passage answers.

A passage's own vector blurs its sentences. Theirs are read only for the few passages that a search has to rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import IndexDamagedError
from index.vectors import ArrayFile, check_vectors, open_array, to_int8

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Passage, Rows, Vectors

SENTENCES = "sentences.npy"
SPANS = "sentence-spans.npy"
STARTS = "sentence-starts.npy"
SENTENCE_FILES = (SENTENCES, SPANS, STARTS)


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

    def append(self, passages: Sequence[Passage], vectors: Vectors) -> None:
        """Add the sentences of passages.

        Args:
            passages: In order of their rows.
            vectors: One of each sentence, in order, shape (n_sentences, dim), unit rows.
        """
        import numpy as np

        spans = [span for passage in passages for span in passage.sentences]
        if len(spans) != len(vectors):
            raise ValueError(f"{len(vectors)} vectors came back for {len(spans)} sentences")
        ends = np.cumsum([len(passage.sentences) for passage in passages], dtype=np.int64) + self.n_sentences
        self._vectors.append(to_int8(check_vectors(vectors, self._dim)))
        self._spans.append(np.array(spans, np.int32).reshape(-1, 2))
        self._starts.append(ends)

    def close(self) -> None:
        """Write the final numbers of rows and close the files."""
        for file in (self._vectors, self._spans, self._starts):
            file.close()


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

    def __init__(self, folder: Path, n_passages: int, n_sentences: int, dim: int) -> None:
        """Open the files.

        Raises:
            IndexDamagedError: When they are not the arrays that the manifest tells of.
        """
        import numpy as np

        # NumPy's own class for mapped files takes rows more slowly.
        self._vectors = np.asarray(open_array(folder / SENTENCES, (n_sentences, dim), "int8"))
        self._spans = np.asarray(open_array(folder / SPANS, (n_sentences, 2), "int32"))
        self._starts = np.asarray(open_array(folder / STARTS, (n_passages + 1,), "int64"))
        self._path = folder / STARTS

    def of(self, rows: Rows) -> FoundSentences:
        """Return the sentences of passages.

        Raises:
            IndexDamagedError: When the files contradict each other.
        """
        import numpy as np

        first, after = self._starts[rows], self._starts[rows + 1]
        # Compared, not subtracted: the difference of damaged numbers may be too large for its type.
        if (first < 0).any() or (after < first).any() or (after > len(self._vectors)).any():
            raise IndexDamagedError(f"{self._path}: damaged. Run `tongues verify`, then build the index again.")
        counts = after - first
        starts = np.concatenate([[0], np.cumsum(counts)])
        wanted = np.repeat(first - starts[:-1], counts) + np.arange(starts[-1])
        vectors = self._vectors[wanted].astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        vectors /= np.maximum(lengths, 1.0)[:, None]  # a damaged row may be all zeros
        return FoundSentences(vectors, self._spans[wanted], starts)
