"""The quantized vector index without cells: the codes of all rows are looked at.

Source: Jégou, Douze, Schmid 2011, Product quantization for nearest neighbor search; André, Kermarrec, Le Scouarnec
2017, Accelerated nearest neighbor search with Quick ADC (codes of 4 bits scanned in registers: FAISS's "fast scan").
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from index.frames import checking
from index.scored_index import Ask, ScoredIndex
from index.vector_index import BLOCK, one_thread, read_index, spread_rows
from index.vectors import check_vectors

if TYPE_CHECKING:
    from index.records import Rows, Scores, Vectors
    from index.vector_index import VectorRows

BITS = 4
"""Each number has a code of its own: one code for two is wrong by .010 instead of .003, much where scores lie close.

Source: 200 questions on other matters than the 100,000 vectors mixed from real ones; of the ten best, 256 candidates by
codes of two numbers hold .89, 2,048 of them .998, 128 by codes of one number .9995.
"""
SCANNED = 32
"""Rows whose codes lie together, as fast scan reads them."""
TRAINED = 256 * 2**BITS
"""Rows that the centroids are learned from. Sixteen times as many made the codes' error 2 % smaller."""


class PqIndex(ScoredIndex):
    """Search by codes of 4 bits of all rows."""

    _CANDIDATES = 256
    _CODES_PER_CANDIDATE = 2

    @classmethod
    def build(cls, vectors: VectorRows) -> PqIndex:
        """Make an index of the rows, shape (n, dim), at least one; the same rows make the same index.

        It reads them whenever it searches: they must not change.
        """
        import faiss

        n_rows, dim = vectors.shape
        index = faiss.IndexPQFastScan(dim, dim, BITS, faiss.METRIC_INNER_PRODUCT, SCANNED)
        index.pq.cp.min_points_per_centroid = 1  # FAISS would warn of few rows
        with one_thread():
            index.train(spread_rows(vectors, 2**BITS, TRAINED))
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
        n_rows, dim = vectors.shape
        n_even = dim + dim % 2
        n_padded = -(-n_rows // SCANNED) * SCANNED
        with checking(path, "pq", n_rows, dim) as frame:
            frame.head(b"IPfs", n_rows, dim)
            frame.product_quantizer(dim, BITS)
            # Way of scanning, rows of a block, way for many queries, padded rows, padded codes.
            frame.expect("3i2Q", 0, SCANNED, 0, n_padded, n_even)
            frame.vector("u1", n_padded * n_even // 2)
        return cls(read_index(path, 0), vectors)

    def _propose(self, queries: Vectors, ask: Ask) -> tuple[Scores, Rows]:
        scores, rows = self._index.search(queries, ask.n)
        return scores, rows

    def _asked(self, n: int, share: float) -> int:
        return int(n / share)
