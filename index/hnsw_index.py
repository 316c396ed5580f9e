"""The vector index as a graph of neighbours, walked from row to row towards the query.

Source: Malkov, Yashunin 2020, Efficient and robust approximate nearest neighbor search using hierarchical navigable
small world graphs, IEEE TPAMI 42(4).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.frames import Frame, checking
from index.scored_index import Ask, ScoredIndex
from index.vector_index import BLOCK, one_thread, read_index, spread_rows
from index.vectors import check_vectors

if TYPE_CHECKING:
    from index.records import Rows, Scores, Vectors
    from index.vector_index import VectorRows

_NEIGHBOURS = 16
"""Links of a row in the upper levels; twice as many in the lowest."""
_BUILD_EFFORT = 100
_TRAINED = 16_384
"""Rows that the range of the codes is learned from."""
_MOST_EFFORT = 4096
"""FAISS's time grows with the square of the rows in view."""
_ROWS_PER_STEP = 8
"""Rows scored by their vectors in the time of a step on the walk: 2.5 microseconds to .2 to .4."""


class HnswIndex(ScoredIndex):
    """Search by a graph over codes of 8 bits a number."""

    _CODES_PER_CANDIDATE = 2

    @property
    def effort(self) -> int:
        """How many of the nearest rows seen are kept in view on the walk."""
        return int(self._index.hnsw.efSearch)

    @effort.setter
    def effort(self, n_rows: int) -> None:
        self._index.hnsw.efSearch = n_rows

    @property
    def most_effort(self) -> int:
        """The most that is of use."""
        return min(self.n_rows, _MOST_EFFORT)

    @classmethod
    def build(cls, vectors: VectorRows) -> HnswIndex:
        """Make an index of the rows, shape (n, dim), at least one; the same rows make the same index.

        In one thread, since the graph depends on which row comes first: much longer than other kinds take. It reads the
        rows whenever it searches: they must not change.
        """
        n_rows, dim = vectors.shape
        index = _empty(dim)
        with one_thread():
            index.train(spread_rows(vectors, 1, _TRAINED))
            for at in range(0, n_rows, BLOCK):
                index.add(check_vectors(vectors[at : at + BLOCK], dim))
        made = cls(index, vectors)
        made.effort = min(made.effort, made.most_effort)
        return made

    @classmethod
    def open(cls, path: Path, vectors: VectorRows) -> HnswIndex:
        """Open an index file; all links are checked, and the codes mapped into memory.

        Args:
            path: The file.
            vectors: The rows it was made of.

        Raises:
            IndexDamagedError: When FAISS cannot read it, or it is not such an index of as many rows.
        """
        import faiss

        n_rows, dim = vectors.shape
        with checking(path, "hnsw", n_rows, dim) as frame:
            frame.head(b"IHNs", n_rows, dim)
            _check_graph(frame, n_rows, dim)
            frame.head(b"IxSQ", n_rows, dim)
            frame.scalar_quantizer(dim)
            frame.vector("u1", n_rows * dim)
        return cls(read_index(path, getattr(faiss, "IO_FLAG_MMAP_IFC", 0) | faiss.IO_FLAG_READ_ONLY), vectors)

    def _propose(self, queries: Vectors, ask: Ask) -> tuple[Scores, Rows]:
        import faiss

        params = faiss.SearchParametersHNSW(efSearch=self._in_view(ask))
        scores, rows = self._index.search(queries, ask.n, params=params)
        return scores, rows

    def _asked(self, n: int, share: float) -> int:
        return n if share == 1 else math.ceil(max(n, self.effort) / share)

    def _fewest(self) -> int:
        # Fewer than that in view: the rows near the query are those that the filter keeps out.
        return self.effort // 2

    def _cost(self, ask: Ask) -> int:
        in_view = self._in_view(ask)
        return _ROWS_PER_STEP * in_view if in_view <= _MOST_EFFORT else self.n_rows + 1

    def _in_view(self, ask: Ask) -> int:
        return max(ask.n, self.effort * ask.wider)


def _empty(dim: int) -> Any:
    import faiss

    index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILD_EFFORT
    return index


def _check_graph(frame: Frame, n_rows: int, dim: int) -> None:
    """Check that every link leads to a row that has the link's level, and every row has the room its levels need."""
    import faiss
    import numpy as np

    like = _empty(dim)
    frame.vector("<f8", like.hnsw.assign_probas.size())
    # Where each level's links begin among those of a row.
    begins = faiss.vector_to_array(like.hnsw.cum_nneighbor_per_level)
    if not np.array_equal(frame.vector("<i4", len(begins)), begins):
        raise ValueError("another number of links")
    n_levels = frame.vector("<i4", n_rows)
    if n_levels.min() < 1 or n_levels.max() >= len(begins):
        raise ValueError("a row in no level")
    starts = frame.vector("<u8", n_rows + 1)
    if starts[0] or not np.array_equal(np.diff(starts), begins[n_levels].astype(np.uint64)):
        raise ValueError("links that overlap")
    links = frame.vector("<i4", int(starts[-1]))
    if links.min() < -1 or links.max() >= n_rows:
        raise ValueError("a link to a row that does not exist")
    for level in range(1, n_levels.max()):
        rows = np.flatnonzero(n_levels > level)
        of_level = links[starts[rows].astype(np.int64)[:, None] + np.arange(begins[level], begins[level + 1])]
        if (n_levels[of_level[of_level >= 0]] <= level).any():
            raise ValueError("a link to a row that is not in its level")
    first, top = frame.number("i"), frame.number("i")
    if not 0 <= first < n_rows or n_levels[first] != top + 1 or top + 1 != n_levels.max():
        raise ValueError("no way in")
    frame.expect("i", _BUILD_EFFORT)
    if not 1 <= frame.number("i") <= n_rows:
        raise ValueError("an effort out of range")
    frame.expect("i", 1)
