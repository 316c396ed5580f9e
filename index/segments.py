"""Several segments read as one: rows are counted on from segment to segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from index.vector_index import best

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors
    from index.vector_index import VectorIndex, VectorRows


class Bases:
    """Where segments begin among all rows."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """Lay segments of these sizes one after the other."""
        import numpy as np

        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.n_rows = int(self.starts[-1])

    def parts(self, rows: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.int64] | slice, NDArray[Any]]]:
        """Yield, for each segment that holds some of the rows: its number, where they are in ``rows``, its own rows."""
        import numpy as np

        if len(self.starts) == 2:
            yield 0, slice(None), rows
            return
        numbers = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(numbers).tolist():
            at = np.flatnonzero(numbers == number)
            yield number, at, rows[at] - self.starts[number]


class SegmentedRows:
    """The vectors of several segments."""

    def __init__(self, parts: Sequence[VectorRows], dim: int) -> None:
        """Lay them one after the other; each has ``dim`` columns."""
        self._parts = parts
        self._bases = Bases([len(part) for part in parts])
        self.shape = (self._bases.n_rows, dim)

    def __len__(self) -> int:
        return self._bases.n_rows

    def __getitem__(self, rows: Any) -> Vectors:
        """Return rows, shape (n, dim), for a slice or an array of row numbers."""
        import numpy as np

        if len(self._parts) == 1:
            return self._parts[0][rows]
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        found = np.empty((len(rows), self.shape[1]), np.float32)
        for number, at, own in self._bases.parts(np.asarray(rows)):
            found[at] = self._parts[number][own]
        return found


class SegmentedIndex:
    """The vector indexes of several segments."""

    def __init__(self, parts: Sequence[VectorIndex], vectors: VectorRows) -> None:
        """Search them all, and score by the vectors of all rows."""
        self._parts = parts
        self._vectors = vectors
        self._bases = Bases([part.n_rows for part in parts])
        self.n_rows, self.dim = vectors.shape

    def search(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[tuple[Rows, Scores]]:
        """Return for each query its ``k`` best rows and scores: scores down, equal scores by row."""
        import numpy as np

        found = [part.search(queries, k, of_part) for part, of_part in self._each(among)]
        bests = []
        for i, query in enumerate(queries):
            rows = np.concatenate([pairs[i][0] + base for pairs, base in zip(found, self._bases.starts, strict=False)])
            bests.append(best(self._vectors[rows], rows, query, k))
        return bests

    def candidates(self, queries: Vectors, n: int, among: NDArray[np.bool_] | None = None) -> list[Rows]:
        """Return for each query rows worth ranking: about the ``n`` best of each segment, in no order."""
        import numpy as np

        found = [part.candidates(queries, n, of_part) for part, of_part in self._each(among)]
        starts = self._bases.starts
        return [
            np.concatenate([rows[i] + base for rows, base in zip(found, starts, strict=False)])
            for i in range(len(queries))
        ]

    def _each(self, among: NDArray[np.bool_] | None) -> Iterator[tuple[VectorIndex, NDArray[np.bool_] | None]]:
        starts = self._bases.starts
        for i, part in enumerate(self._parts):
            yield part, None if among is None else among[starts[i] : starts[i + 1]]
