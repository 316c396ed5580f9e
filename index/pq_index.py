"""The quantized vector index: product-quantized codes find candidates, the vectors themselves score them.

Source: Jégou, Douze, Schmid 2011, Product quantization for nearest neighbor search; André, Kermarrec, Le Scouarnec
2017, Accelerated nearest neighbor search with Quick ADC (codes of 4 bits scanned in registers: FAISS's "fast scan").
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import IndexDamagedError
from index.vector_index import BLOCK, best, count_allowed, no_rows, read_index, rounding, write_index
from index.vectors import check_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors
    from index.vector_index import VectorRows

_BITS = 4
_CENTROIDS = 2**_BITS
"""Each number has a code of its own: one code for two is wrong by .010 instead of .003, much where scores lie close.

Source: 200 questions on other matters than the 100,000 vectors mixed from real ones; of the ten best, 256 candidates by
codes of two numbers hold .89, 2,048 of them .998, 128 by codes of one number .9995.
"""
_SCANNED = 32
"""Rows whose codes lie together, as fast scan reads them."""
_TRAINED = 256 * _CENTROIDS
"""Rows that the centroids are learned from. Sixteen times as many made the codes' error 2 % smaller."""

_CANDIDATES = 256
"""Candidates for up to 16 passages; twice as many for up to 32, and so on."""
_SURE = 3.5
"""How many standard deviations of the codes' error the last candidate must be away from the last hit.

From 3.5 on, at least .9994 of the true hits were among the candidates on everything measured: the real vectors of 3,132
passages, 20,000 and 100,000 mixed from them, 50,000 random ones of 64, 128 and 384 numbers; k of 1, 10 and 100.
"""
_CODES_PER_CANDIDATE = 2
"""Codes looked at for each candidate that is asked for."""
_MEASURED = 32
"""The fewest candidates that tell the error."""
_AT_ONCE = 2**20
"""Candidates held at a time, so that memory does not grow with the number of queries."""
_EXACT_ROWS, _EXACT_QUERIES = 16_384, 256
"""Rows and queries scored together by the vectors themselves."""
_MANY = 16
"""From so many queries on, all rows are scored by one product of matrices, which so pays the sooner."""


class PqIndex:
    """Search by codes of 4 bits, scored exactly by the vectors, which stay in their file."""

    def __init__(self, faiss_index: Any, vectors: VectorRows) -> None:
        """Use ``build`` or ``open``."""
        self._index = faiss_index
        self._vectors = vectors
        self.n_rows, self.dim = vectors.shape
        self._rounding = rounding(self.dim)

    @classmethod
    def build(cls, vectors: VectorRows) -> PqIndex:
        """Make an index of the rows, shape (n, dim), at least one; the same rows make the same index.

        It reads them whenever it searches: they must not change.
        """
        import faiss
        import numpy as np

        n_rows, dim = vectors.shape
        index = faiss.IndexPQFastScan(dim, dim, _BITS, faiss.METRIC_INNER_PRODUCT, _SCANNED)
        index.pq.cp.min_points_per_centroid = 1  # FAISS would warn of few rows
        # Spread evenly over the rows; repeated where there are fewer rows than centroids.
        sample = np.linspace(0, n_rows - 1, min(max(n_rows, _CENTROIDS), _TRAINED)).astype(np.int64)
        _train(index, check_vectors(vectors[sample], dim))
        for at in range(0, n_rows, BLOCK):
            index.add(check_vectors(vectors[at : at + BLOCK], dim))
        return cls(index, vectors)

    @classmethod
    def open(cls, path: Path, vectors: VectorRows) -> PqIndex:
        """Open an index file; the codes are read, half a byte a number.

        Args:
            path: The file.
            vectors: The rows it was made of.

        Raises:
            IndexDamagedError: When FAISS cannot read it, or it is not such an index of as many rows.
        """
        _check_frame(path, *vectors.shape)
        return cls(read_index(path, 0), vectors)

    def save(self, path: Path) -> None:
        """Write the index to a file, without the vectors.

        Raises:
            OSError: When it cannot be written whole.
        """
        write_index(self._index, path)

    def search(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[tuple[Rows, Scores]]:
        """Return for each query its ``k`` best rows and scores: scores down, equal scores by row.

        The scores are exact. A row is missed where its codes are wrong by more than they are on the candidates.
        """
        queries = check_vectors(queries, self.dim)
        available = count_allowed(among, self.n_rows)
        k = min(k, available)
        if k <= 0:
            return [no_rows() for _ in queries]
        found: dict[int, tuple[Rows, Scores]] = {}
        pending = list(range(len(queries)))
        n = _n_candidates(k, available / self.n_rows)
        while pending and n * min(len(pending), _MANY) <= available:  # where scoring all that are allowed costs more
            at_once = max(1, _AT_ONCE // n)
            for at in range(0, len(pending), at_once):
                found |= self._by_codes(queries, pending[at : at + at_once], k, n, among)
            pending = [i for i in pending if i not in found]
            n *= 4
        for at in range(0, len(pending), _EXACT_QUERIES):
            part = pending[at : at + _EXACT_QUERIES]
            found |= zip(part, self._by_vectors(queries[part], k, among), strict=True)
        return [found[i] for i in range(len(queries))]

    def candidates(self, queries: Vectors, n: int, among: NDArray[np.bool_] | None = None) -> list[Rows]:
        """Return for each query the rows of its best codes, at least ``n`` where so many are allowed, in no order."""
        queries = check_vectors(queries, self.dim)
        available = count_allowed(among, self.n_rows)
        n = min(n, available)
        n_codes = _CODES_PER_CANDIDATE * n * self.n_rows // max(1, available)
        if n <= 0 or n_codes > available:  # few rows of many: the vectors themselves are looked at
            return [rows for rows, _ in self.search(queries, n, among)]
        found: list[Rows] = []
        at_once = max(1, _AT_ONCE // n_codes)
        for at in range(0, len(queries), at_once):
            for rows in self._index.search(queries[at : at + at_once], n_codes)[1]:
                found.append(rows[rows >= 0] if among is None else rows[(rows >= 0) & among[rows]])
        few = [i for i, rows in enumerate(found) if len(rows) < n]
        for i, (rows, _) in zip(few, self.search(queries[few], n, among) if few else [], strict=True):
            found[i] = rows
        return found

    def _by_codes(
        self, queries: Vectors, asked: Sequence[int], k: int, n: int, among: NDArray[np.bool_] | None
    ) -> dict[int, tuple[Rows, Scores]]:
        """Return the best of ``n`` candidates for those queries asked where that is sure to be the best of all."""
        found = {}
        guesses, candidates = self._index.search(queries[asked], n)
        for i, guessed, rows in zip(asked, guesses, candidates, strict=True):
            keep = rows >= 0 if among is None else (rows >= 0) & among[rows]
            pair = self._best_candidates(queries[i], rows[keep], guessed[keep], float(guessed[-1]), k)
            if pair is not None:
                found[i] = pair
        return found

    def _best_candidates(
        self, query: Vectors, rows: Rows, guessed: Scores, last: float, k: int
    ) -> tuple[Rows, Scores] | None:
        """Return the best rows, or None where one that is no candidate may be better.

        Args:
            query: Shape (dim,).
            rows: Candidates.
            guessed: Their scores by their codes.
            last: What all other rows score by their codes at most.
            k: How many.
        """
        import numpy as np

        if len(rows) < max(k, _MEASURED):
            return None
        vectors = self._vectors[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any number
            scores = _products(vectors, query)
            errors = scores - guessed
            least = float(np.partition(scores, -k)[-k])
            error = max(float(errors.mean()), 0.0) + _SURE * float(errors.std()) + self._rounding
        if not least - last > error:
            return None
        near = np.flatnonzero(scores >= least - self._rounding)
        return best(vectors[near], rows[near], query, k)

    def _by_vectors(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None) -> list[tuple[Rows, Scores]]:
        """Return the best rows after scoring all that are allowed."""
        import numpy as np

        allowed = np.arange(self.n_rows) if among is None else np.flatnonzero(among)
        found = [no_rows() for _ in queries]
        for at in range(0, len(allowed), _EXACT_ROWS):
            rows = allowed[at : at + _EXACT_ROWS]
            vectors = self._vectors[at : at + _EXACT_ROWS] if among is None else self._vectors[rows]
            with np.errstate(over="ignore", invalid="ignore"):
                many = len(queries) >= _MANY
                scores = queries @ vectors.T if many else [_products(vectors, query) for query in queries]
            for i, query in enumerate(queries):
                have, same = found[i]
                least = np.partition(scores[i], -k)[-k] if len(rows) > k else -np.inf
                least = max(least, same[-1]) if len(have) == k else least
                near = np.flatnonzero(scores[i] >= least - self._rounding)
                if len(near):
                    both = np.concatenate([have, rows[near]])
                    found[i] = best(self._vectors[both], both, query, k)
        return found


def _products(vectors: Vectors, query: Vectors) -> Scores:
    """Return the rows' inner products with a query, in one thread.

    A product of NumPy's takes threads from 1,000 rows on, which wait for each other for up to 10 ms when the processor
    has anything else to do, FAISS's own threads to begin with.
    """
    import numpy as np

    products: Scores = np.einsum("ij,j->i", vectors, query)
    return products


def _train(index: Any, sample: Vectors) -> None:
    """Learn the centroids, in one thread: the work falls into parts too small to share, seconds become many."""
    import faiss

    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index.train(sample)
    finally:
        faiss.omp_set_num_threads(n_threads)


def _n_candidates(k: int, share: float) -> int:
    """Return how many candidates hold ``k`` hits: in steps, so that one hit more is seldom found among other ones.

    Args:
        k: How many hits.
        share: How many of the rows may be found, above 0 to 1.
    """
    n = max(_CANDIDATES, _CANDIDATES // 16 * k) / share
    return int(2 ** (int(n) - 1).bit_length())


def _check_frame(path: Path, n_rows: int, dim: int) -> None:
    """Check all that FAISS's file holds beside centroids and codes, which may be any bytes.

    FAISS believes its file: other numbers here make it ask for any amount of memory, or end the process.

    Raises:
        IndexDamagedError: When the file is not an index of ``n_rows`` rows of ``dim`` numbers as built here.
    """
    n_even = dim + dim % 2
    n_padded = -(-n_rows // _SCANNED) * _SCANNED
    n_bytes = n_padded * n_even // 2
    # Index: dim, rows, two without meaning, whether trained, metric. Quantizer: dim, codes, bits, size of centroids.
    head = struct.pack("<4siqqq?i4Q", b"IPfs", dim, n_rows, 1 << 20, 1 << 20, True, 0, dim, dim, _BITS, 16 * dim)
    # Scan: way, rows of a block, way for many queries, padded rows, padded codes, size of the codes.
    middle = struct.pack("<3i3Q", 0, _SCANNED, 0, n_padded, n_even, n_bytes)
    n_centroids = 4 * _CENTROIDS * dim
    try:
        with path.open("rb") as file:
            fits = file.read(len(head)) == head
            file.seek(n_centroids, 1)
            fits = fits and file.read(len(middle)) == middle
            size = file.seek(0, 2)
    except OSError as error:
        raise IndexDamagedError(f"{path}: cannot be read ({error}). Build the index again.") from error
    if not fits or size != len(head) + n_centroids + len(middle) + n_bytes:
        raise IndexDamagedError(
            f"{path}: not a quantized index of {n_rows} vectors of {dim} numbers. Build the index again."
        )
