"""Vector indexes in cells: only the rows of the cells nearest to a query are looked at, by codes of theirs.

Source: Sivic, Zisserman 2003, Video Google; Jégou, Douze, Schmid 2011, Product quantization for nearest neighbor
search, section 4.
"""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from index.errors import REPAIR, IndexDamagedError
from index.frames import Frame, checking
from index.pq_index import BITS, SCANNED
from index.scored_index import Ask, ScoredIndex
from index.vector_index import BLOCK, one_thread, read_index, selector, spread_rows, write_index
from index.vectors import check_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors
    from index.vector_index import VectorRows

_PER_CELL = 64
"""Rows for each cell that the cells are learned from."""
_ITERATIONS = 10
_SEED = 1
_TRAINED = 16_384
"""Rows that the codes are learned from."""
_FILTERED, _MORE_ROWS = 1.5, 0.5
"""Of ``share`` of the rows that a filter lets through, the part looked at is ``_FILTERED * share ** -_MORE_ROWS`` times
that of all rows without one.

Source: 1,000,000 rows, 100 real questions, 64 of 1,024 cells; recall@10 with 1 and 0, 1 and .25, 1 and .5: 1 % of the
rows by chance .919, .959, .999; 10 % by chance .981, .981, .994; the 10 % farthest from a passage .886, .955, .985; the
25 % farthest .933, .953, .978. With 48 cells the last is .956 by 1 and .5, .983 by 1.5 and .5.
"""
_KEPT_FILTERS = 32
"""Filters whose cells are remembered: a search with a filter of languages asks with the same ones again."""


@dataclass(frozen=True, slots=True)
class _CellFilter:
    """A filter in FAISS's form.

    Attributes:
        rows: Lets through the allowed rows.
        coarse: The parameters that let through the cells that have any.
        counts: How many allowed rows each cell holds, shape (n_cells of all,).
        n_cells: How many cells have any.
        alive: What must live as long.
    """

    rows: Any
    coarse: Any
    counts: NDArray[np.int64]
    n_cells: int
    alive: tuple[Any, ...]


class IvfIndex(ScoredIndex):
    """Search in the nearest cells; the kinds differ in their codes."""

    _KIND: ClassVar[str]
    _FOURCC: ClassVar[bytes]
    _MAPPED: ClassVar[bool]
    """Whether FAISS can leave the lists of cells in their file."""
    _FEW_ALLOWED = 4096

    def __init__(self, faiss_index: Any, vectors: VectorRows) -> None:
        """Use ``build`` or ``open``.

        Raises:
            ValueError: When the cells do not hold each row once.
        """
        super().__init__(faiss_index, vectors)
        self._cells = _cells_of(faiss_index, self.n_rows)
        self._filters: dict[bytes, _CellFilter] = {}
        self._mapped_from: Path | None = None

    @property
    def effort(self) -> int:
        """How many cells are looked at."""
        return int(self._index.nprobe)

    @effort.setter
    def effort(self, n_cells: int) -> None:
        self._index.nprobe = n_cells

    @property
    def most_effort(self) -> int:
        """The number of cells."""
        return int(self._index.nlist)

    @staticmethod
    @abstractmethod
    def _make(middles: Any, n_cells: int) -> Any:
        """Return a FAISS index, yet to be trained, over cells with these middles."""

    @staticmethod
    @abstractmethod
    def _check_lists(frame: Frame, n_rows: int, dim: int, n_cells: int) -> None:
        """Check what stands in a file after the cells' middles."""

    @classmethod
    def build(cls, vectors: VectorRows) -> Self:
        """Make an index of the rows, shape (n, dim), at least one; the same rows make the same index.

        It reads them whenever it searches: they must not change.
        """
        import faiss

        n_rows, dim = vectors.shape
        n_cells = suited_cells(n_rows)
        with one_thread():
            learned = faiss.Kmeans(
                dim,
                n_cells,
                niter=_ITERATIONS,
                seed=_SEED,
                spherical=True,
                min_points_per_centroid=1,  # FAISS would warn of few rows
                max_points_per_centroid=_PER_CELL,
            )
            learned.train(spread_rows(vectors, n_cells, _PER_CELL * n_cells))
            middles = faiss.IndexFlatIP(dim)
            middles.add(learned.centroids)
            index = cls._make(middles, n_cells)
            index.train(spread_rows(vectors, 2**BITS, _TRAINED))
            for at in range(0, n_rows, BLOCK):
                index.add(check_vectors(vectors[at : at + BLOCK], dim))
        return cls(index, vectors)

    @classmethod
    def open(cls, path: Path, vectors: VectorRows) -> Self:
        """Open an index file.

        Args:
            path: The file.
            vectors: The rows it was made of.

        Raises:
            IndexDamagedError: When FAISS cannot read it, or it is not such an index of as many rows.
        """
        import faiss

        n_rows, dim = vectors.shape
        with checking(path, cls._KIND, n_rows, dim) as frame:
            frame.head(cls._FOURCC, n_rows, dim)
            n_cells, n_probed = frame.number("q"), frame.number("q")
            if not 1 <= n_probed <= n_cells <= n_rows:
                raise ValueError(f"{n_probed} of {n_cells} cells")
            frame.head(b"IxFI", n_cells, dim)
            frame.vector("<f4", n_cells * dim)
            frame.expect("bQ", 0, 0)  # no map from rows to cells
            cls._check_lists(frame, n_rows, dim, n_cells)
        mapped = faiss.IO_FLAG_MMAP if cls._MAPPED and os.name != "nt" else 0  # FAISS cannot map lists on Windows
        try:
            index = cls(read_index(path, mapped | faiss.IO_FLAG_READ_ONLY), vectors)
            index._mapped_from = path if mapped else None
            return index
        except ValueError as error:
            raise IndexDamagedError(f"{path}: damaged ({error}). {REPAIR}") from error

    def save(self, path: Path) -> None:
        """Write the index to a file, without the vectors.

        Raises:
            OSError: When it cannot be written whole.
        """
        if self._mapped_from is None:
            super().save(path)
            return
        whole = read_index(self._mapped_from, 0)  # FAISS would write where mapped lists lie, not what they hold
        whole.nprobe = self.effort
        write_index(whole, path)

    def _propose(self, queries: Vectors, ask: Ask) -> tuple[Scores, Rows]:
        import faiss
        import numpy as np

        n_probed = min(self.most_effort, self.effort * ask.wider)
        if ask.among is None:
            # Making parameters takes a tenth of a search.
            params = faiss.SearchParametersIVF(nprobe=n_probed) if ask.wider > 1 else None
            scores, rows = self._index.search(queries, ask.n, params=params)
            return scores, rows
        chosen = self._filter(ask.among)
        _, cells = self._index.quantizer.search(queries, chosen.n_cells, params=chosen.coarse)
        part = n_probed / self.most_effort * _FILTERED * ask.share**-_MORE_ROWS
        least = min(1.0, part) * chosen.counts.sum()
        found = []
        for query, near in zip(queries, cells, strict=True):
            n_enough = int(np.searchsorted(np.cumsum(chosen.counts[near]), least)) + 1
            params = faiss.SearchParametersIVF(
                nprobe=min(chosen.n_cells, max(n_probed, n_enough)), sel=chosen.rows, quantizer_params=chosen.coarse
            )
            found.append(self._index.search(query[np.newaxis], ask.n, params=params))
        return np.concatenate([scores for scores, _ in found]), np.concatenate([rows for _, rows in found])

    def _filter(self, among: NDArray[np.bool_]) -> _CellFilter:
        """Return a filter in FAISS's form, which costs as much as some searches to make."""
        import faiss
        import numpy as np

        rows, bits = selector(among)
        key = bits.tobytes()
        made = self._filters.get(key)
        if made is None:
            counts = np.bincount(self._cells[among], minlength=self.most_effort)
            cells, cell_bits = selector(counts > 0)
            coarse = faiss.SearchParameters(sel=cells)
            made = _CellFilter(rows, coarse, counts, int((counts > 0).sum()), (bits, cells, cell_bits))
            if len(self._filters) >= _KEPT_FILTERS:
                self._filters.clear()
            self._filters[key] = made
        return made


class IvfSqIndex(IvfIndex):
    """Search by codes of 8 bits a number, left in their file."""

    _KIND, _FOURCC, _MAPPED = "ivf-sq", b"IwSq", True

    @staticmethod
    def _make(middles: Any, n_cells: int) -> Any:
        import faiss

        bits = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexIVFScalarQuantizer(middles, middles.d, n_cells, bits, faiss.METRIC_INNER_PRODUCT, False)

    @staticmethod
    def _check_lists(frame: Frame, n_rows: int, dim: int, n_cells: int) -> None:
        frame.scalar_quantizer(dim)
        frame.expect("Q?", dim, False)
        frame.expect("4sQQ", b"ilar", n_cells, dim)
        sizes = frame.list_sizes(n_cells)
        if (sizes > n_rows).any() or int(sizes.sum()) != n_rows:
            raise ValueError("its cells hold more or fewer rows")
        frame.array("u1", n_rows * (dim + 8))


class IvfPqIndex(IvfIndex):
    """Search by codes of 4 bits a number, scanned in registers."""

    _KIND, _FOURCC, _MAPPED = "ivf-pq", b"IwPf", False
    _CANDIDATES = 256
    _CODES_PER_CANDIDATE = 2

    @staticmethod
    def _make(middles: Any, n_cells: int) -> Any:
        import faiss

        dim = middles.d
        index = faiss.IndexIVFPQFastScan(middles, dim, n_cells, dim, BITS, faiss.METRIC_INNER_PRODUCT, SCANNED)
        index.by_residual = False
        index.pq.cp.min_points_per_centroid = 1
        return index

    @staticmethod
    def _check_lists(frame: Frame, n_rows: int, dim: int, n_cells: int) -> None:
        n_even = dim + dim % 2
        frame.expect("?QiQiQ", False, -(-dim // 2), SCANNED, n_even, 0, 0)
        frame.product_quantizer(dim, BITS)
        block = SCANNED * n_even // 2
        frame.expect("4sQqQQ", b"ilbl", n_cells, -1, SCANNED, block)
        n_left = n_rows
        for _ in range(n_cells):
            size = frame.number("Q")
            frame.array("<i8", size)
            frame.vector("u1", -(-size // SCANNED) * block)
            n_left -= size
        if n_left:
            raise ValueError("its cells hold more or fewer rows")


def suited_cells(n_rows: int) -> int:
    """Return how many cells suit so many rows: near the root, where looking for cells costs little beside looking in.

    Source: of 1,000,000 rows, 64 of 1,024 cells hold .980 of the ten best of real questions and are 11 % of the rows,
    256 of 4,096 cells .983 and 7 %, for nine times the work of learning them.
    """
    return int(2 ** max(0, round(math.log2(max(1, n_rows)) / 2)))


def _cells_of(faiss_index: Any, n_rows: int) -> NDArray[np.int32]:
    """Return the cell of each row, shape (n_rows,).

    Raises:
        ValueError: When the cells do not hold each row once.
    """
    import faiss
    import numpy as np

    cells = np.full(n_rows, -1, np.int32)
    for cell in range(faiss_index.nlist):
        size = faiss_index.invlists.list_size(cell)
        if size:
            rows = faiss.rev_swig_ptr(faiss_index.invlists.get_ids(cell), size)
            if rows.min() < 0 or rows.max() >= n_rows:
                raise ValueError("a cell holds a row that does not exist")
            cells[rows] = cell
    if n_rows and cells.min() < 0:
        raise ValueError("its cells do not hold all rows")
    return cells
