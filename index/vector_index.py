"""What all kinds of vector index share: their protocol, their scores, and how their file is read and written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from index.errors import REPAIR, IndexDamagedError
from index.vectors import check_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors

BLOCK = 65_536
"""Rows handled at a time, so that memory does not grow with the index."""


class VectorRows(Protocol):
    """Vectors that stay where they are: an array, or what computes rows when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_rows, dim)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Vectors:
        """Return rows for a slice or an array of row numbers."""


class VectorSearch(Protocol):
    """Finds the rows nearest to query vectors by inner product."""

    n_rows: int
    dim: int

    def search(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[tuple[Rows, Scores]]:
        """Return for each query its ``k`` best rows and scores: scores down, equal scores by row.

        Args:
            queries: Shape (n, dim), unit rows.
            k: How many; fewer come back when fewer rows exist.
            among: Shape (n_rows,): the rows that may be found; all when None.
        """

    def candidates(self, queries: Vectors, n: int, among: NDArray[np.bool_] | None = None) -> list[Rows]:
        """Return for each query rows worth ranking: about its ``n`` best and maybe more, in no order.

        At least ``n`` come back where so many exist. Cheaper than ``search``, which is sure of the best.
        """


class VectorIndex(VectorSearch, Protocol):
    """A ``VectorSearch`` that is kept in a file."""

    def save(self, path: Path) -> None:
        """Write the index to a file.

        Raises:
            OSError: When it cannot be written whole.
        """


def best(vectors: Vectors, rows: Rows, query: Vectors, k: int) -> tuple[Rows, Scores]:
    """Return the best of some rows, scored so that equal vectors have equal scores however asked.

    Args:
        vectors: Those rows' vectors, shape (len(rows), dim).
        rows: Their numbers.
        query: Shape (dim,).
        k: How many.
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any number
        scores = np.multiply(vectors, query, dtype=np.float64).sum(axis=1).astype(np.float32)
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


def no_rows() -> tuple[Rows, Scores]:
    """Return what a search gives that finds nothing."""
    import numpy as np

    return np.empty(0, np.int64), np.empty(0, np.float32)


def rounding(dim: int) -> float:
    """Return twice what float32 can be wrong by in the inner product of two unit vectors, in whatever order added up.

    Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    return 2 * (dim + 2) * 2.0**-24


def count_allowed(among: NDArray[np.bool_] | None, n_rows: int) -> int:
    """Return how many rows a filter lets through.

    Raises:
        ValueError: When it is no filter for ``n_rows`` rows.
    """
    import numpy as np

    if among is None:
        return n_rows
    if among.shape != (n_rows,) or among.dtype != np.bool_:
        raise ValueError(f"a filter of {among.shape} {among.dtype} given where ({n_rows},) bool is needed")
    return int(np.count_nonzero(among))


def selector(mask: NDArray[np.bool_]) -> tuple[Any, Any]:
    """Return FAISS's filter that lets through what is true, and what must live as long as it does."""
    import faiss
    import numpy as np

    bits = np.packbits(mask, bitorder="little")
    return faiss.IDSelectorBitmap(bits), bits


def spread_rows(vectors: VectorRows, least: int, most: int) -> Vectors:
    """Return rows to learn from, spread evenly over all; rows are repeated where there are fewer than ``least``."""
    import numpy as np

    n_rows, dim = vectors.shape
    sample = np.linspace(0, n_rows - 1, min(max(n_rows, least), most)).astype(np.int64)
    return check_vectors(vectors[sample], dim)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have FAISS work in one thread: for what falls into parts too small to share, or depends on who comes first."""
    import faiss

    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)


def read_index(path: Path, flags: int) -> Any:
    """Read a FAISS index.

    Raises:
        IndexDamagedError: When FAISS cannot read it.
    """
    import faiss

    try:
        return faiss.read_index(str(path), flags)
    except (RuntimeError, MemoryError) as error:  # a damaged length asks for more memory than there is
        raise IndexDamagedError(f"{path}: FAISS cannot read it ({_reason(error)}). {REPAIR}") from error


def write_index(faiss_index: Any, path: Path) -> None:
    """Write a FAISS index to a file.

    Raises:
        OSError: When it cannot be written whole.
    """
    import faiss

    try:
        # Not by name: FAISS passes over a disk that is full when it closes its file.
        with path.open("wb") as file:
            faiss.write_index(faiss_index, faiss.PyCallbackIOWriter(file.write))
    except RuntimeError as error:  # FAISS wraps what the file raised
        raise OSError(f"FAISS could not write it: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return the last line of a C++ error, without the place in FAISS's source."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[-1].rpartition(": Error: ")[2]
