"""The flat vector index: every vector is looked at, in FAISS's own copy of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.frames import checking
from index.vector_index import best, count_allowed, no_rows, read_index, rounding, selector, write_index
from index.vectors import check_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors
    from index.vector_index import VectorRows


class FlatIndex:
    """Exact search over all rows by FAISS."""

    def __init__(self, faiss_index: Any) -> None:
        self._index = faiss_index
        self.n_rows = int(faiss_index.ntotal)
        self.dim = int(faiss_index.d)
        self._rounding = rounding(self.dim)

    @classmethod
    def build(cls, vectors: VectorRows) -> FlatIndex:
        """Make an index of the rows, shape (n, dim)."""
        import faiss

        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(check_vectors(vectors[:], index.d))  # at once: FAISS copies what it has whenever it grows
        return cls(index)

    @classmethod
    def open(cls, path: Path, n_rows: int, dim: int) -> FlatIndex:
        """Open an index file, mapped into memory.

        Args:
            path: The file.
            n_rows: How many vectors it holds.
            dim: How many numbers each has.

        Raises:
            IndexDamagedError: When FAISS cannot read it, it is of another kind, or of other vectors.
        """
        import faiss

        with checking(path, "flat", n_rows, dim) as frame:
            frame.head(b"IxFI", n_rows, dim)
            frame.vector("<f4", n_rows * dim)
        # IO_FLAG_MMAP, all that versions before 1.11 have, reads a flat index into memory of its own.
        mapped = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)
        return cls(read_index(path, mapped | faiss.IO_FLAG_READ_ONLY))

    def save(self, path: Path) -> None:
        """Write the index to a file.

        Raises:
            OSError: When it cannot be written whole.
        """
        write_index(self._index, path)

    def search(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[tuple[Rows, Scores]]:
        """Return for each query its ``k`` best rows and scores: scores down, equal scores by row."""
        queries = check_vectors(queries, self.dim)
        available = count_allowed(among, self.n_rows)
        k = min(k, available)
        if k <= 0:
            return [no_rows() for _ in queries]
        params, kept = self._selector(among)
        found: list[tuple[Rows, Scores] | None] = [None] * len(queries)
        pending: Sequence[int] = range(len(queries))
        n = min(k + k // 8 + 8, available)
        while pending:
            scores, rows = self._index.search(queries[list(pending)], n, params=params)
            unsure = []
            for i, row, score in zip(pending, rows, scores, strict=True):
                # FAISS adds up in another order for one query, for many and for a filter, and promises no order among
                # equal scores: k is cut only where the scores differ by more than any order of adding up can make.
                if n < available and float(score[k - 1]) - float(score[n - 1]) <= self._rounding:
                    unsure.append(i)
                else:
                    there = row[row >= 0]  # FAISS fills up with row -1 where it found fewer
                    found[i] = best(self._index.reconstruct_batch(there), there, queries[i], k)
            pending, n = unsure, min(4 * n, available)
        del kept
        return [pair for pair in found if pair is not None]

    def candidates(self, queries: Vectors, n: int, among: NDArray[np.bool_] | None = None) -> list[Rows]:
        """Return for each query the rows of its ``n`` best scores, in no certain order."""
        queries = check_vectors(queries, self.dim)
        n = min(n, count_allowed(among, self.n_rows))
        if n <= 0:
            return [no_rows()[0] for _ in queries]
        params, kept = self._selector(among)
        _, found = self._index.search(queries, n, params=params)
        del kept
        return [rows[rows >= 0] for rows in found]  # FAISS fills up with row -1 where it found fewer

    def _selector(self, among: NDArray[np.bool_] | None) -> tuple[Any, Any]:
        """Return FAISS's parameters for a filter, and what must live as long as they do."""
        import faiss

        if among is None:
            return None, None
        rows, bits = selector(among)
        return faiss.SearchParameters(sel=rows), (bits, rows)
