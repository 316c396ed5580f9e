"""Vectors: their normalisation, their file, and the index that finds the nearest. The one home of FAISS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from index.errors import IndexDamagedError, ModelError

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors

_BLOCK = 65_536
"""Rows handled at a time, so that memory does not grow with the index."""


def unit_rows(raw: NDArray[Any]) -> Vectors:
    """Return float32 rows of unit length: the one place where vectors are normalised.

    Raises:
        ModelError: When a row is not finite or has no length, so that no cosine exists.
    """
    import numpy as np

    rows = np.ascontiguousarray(raw, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ModelError("the model returned a vector that is not finite or is all zeros; its weights may be damaged.")
    return np.asarray(rows / lengths, dtype=np.float32)


class VectorFile:
    """Appends rows to a ``.npy`` file whose number of rows is not known beforehand."""

    def __init__(self, path: Path, dim: int) -> None:
        self._file: BinaryIO = path.open("wb")
        self._dim = dim
        self.n_rows = 0
        self._write_header()
        self._header_size = self._file.tell()

    def _write_header(self) -> None:
        import numpy as np

        # The format pads its header so that the first axis may grow in place.
        header = {"descr": "<f4", "fortran_order": False, "shape": (self.n_rows, self._dim)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: Vectors) -> None:
        """Add rows, shape (n, dim)."""
        self._file.write(check_vectors(rows, self._dim).astype("<f4", copy=False).tobytes())
        self.n_rows += len(rows)

    def close(self) -> None:
        """Write the final number of rows and close the file."""
        try:
            self._file.flush()
            self._file.seek(0)
            self._write_header()
            if self._file.tell() != self._header_size:
                raise ValueError("the header of the vector file changed its size")
        finally:
            self._file.close()


def open_vectors(path: Path, n_rows: int, dim: int) -> Vectors:
    """Map a vector file into memory, shape (n_rows, dim).

    Raises:
        IndexDamagedError: When it is not the array the manifest tells of.
    """
    rows: Vectors = open_array(path, (n_rows, dim), "float32")
    return rows


def open_array(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Map a ``.npy`` file into memory.

    Raises:
        IndexDamagedError: When it is no array of this shape and type.
    """
    import numpy as np

    try:
        if shape[0]:
            array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        else:  # nothing cannot be mapped
            with path.open("rb") as file:
                array = np.lib.format.read_array(file)
    except Exception as error:  # a damaged header makes NumPy raise whatever parsing it ended in
        raise IndexDamagedError(f"{path}: cannot be read ({error}). Build the index again.") from error
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise IndexDamagedError(
            f"{path}: holds {array.shape} values of {array.dtype}, not {shape} of {dtype}. Build the index again."
        )
    return array


def check_vectors(rows: Any, dim: int) -> Vectors:
    """Return rows as C-contiguous float32 after checking what a vector index must be able to rely on.

    Raises:
        ValueError: When they are not two-dimensional, not of ``dim`` columns, not real numbers, or not finite.
    """
    import numpy as np

    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"vectors of shape {rows.shape} given where (n, {dim}) is needed")
    if rows.dtype.kind not in "fiu":
        raise ValueError(f"vectors of type {rows.dtype} given where float32 is needed")
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, which is told below
        checked: Vectors = np.ascontiguousarray(rows, np.float32)
    if not np.isfinite(checked).all():
        raise ValueError("vectors hold values that are not finite")
    return checked


class VectorIndex(Protocol):
    """Finds the rows nearest to query vectors by inner product."""

    n_rows: int

    def search(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[tuple[Rows, Scores]]:
        """Return for each query its ``k`` best rows and scores: scores down, equal scores by row.

        Args:
            queries: Shape (n, dim), unit rows.
            k: How many; fewer come back when fewer rows exist.
            among: Shape (n_rows,): the rows that may be found; all when None.
        """


class FlatIndex:
    """Exact search over all rows by FAISS."""

    def __init__(self, faiss_index: Any) -> None:
        self._index = faiss_index
        self.n_rows = int(faiss_index.ntotal)
        self.dim = int(faiss_index.d)
        # Twice what float32 can be wrong by in the inner product of two unit vectors, in whatever order it is added up.
        # Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1.
        self._rounding = 2 * (self.dim + 2) * 2.0**-24

    @classmethod
    def build(cls, vectors: Vectors) -> FlatIndex:
        """Make an index of the rows, shape (n, dim)."""
        import faiss
        import numpy as np

        index = faiss.IndexFlatIP(vectors.shape[1])
        for at in range(0, len(vectors), _BLOCK):
            check_vectors(vectors[at : at + _BLOCK], index.d)
        index.add(np.ascontiguousarray(vectors, np.float32))  # at once: FAISS copies what it has whenever it grows
        return cls(index)

    @classmethod
    def open(cls, path: Path) -> FlatIndex:
        """Open an index file, mapped into memory.

        Raises:
            IndexDamagedError: When FAISS cannot read it, or it is of another kind.
        """
        import faiss

        # IO_FLAG_MMAP, all that versions before 1.11 have, reads a flat index into memory of its own.
        mapped = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)
        try:
            index = faiss.read_index(str(path), mapped | faiss.IO_FLAG_READ_ONLY)
        except (RuntimeError, MemoryError) as error:  # a damaged length asks for more memory than there is
            raise IndexDamagedError(
                f"{path}: FAISS cannot read it ({_reason(error)}). Build the index again."
            ) from error
        if not isinstance(index, faiss.IndexFlat) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise IndexDamagedError(f"{path}: not a flat index of inner products. Build the index again.")
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the index to a file.

        Raises:
            OSError: When it cannot be written whole.
        """
        import faiss

        try:
            # Not by name: FAISS passes over a disk that is full when it closes its file.
            with path.open("wb") as file:
                faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))
        except RuntimeError as error:  # FAISS wraps what the file raised
            raise OSError(f"FAISS could not write it: {_reason(error)}") from error

    def search(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[tuple[Rows, Scores]]:
        """Return for each query its ``k`` best rows and scores: scores down, equal scores by row."""
        import numpy as np

        queries = check_vectors(queries, self.dim)
        if among is not None and (among.shape != (self.n_rows,) or among.dtype != np.bool_):
            raise ValueError(f"a filter of {among.shape} {among.dtype} given where ({self.n_rows},) bool is needed")
        available = self.n_rows if among is None else int(np.count_nonzero(among))
        k = min(k, available)
        if k <= 0:
            return [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
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
                    found[i] = self._best(queries[i], row, k)
            pending, n = unsure, min(4 * n, available)
        del kept
        return [pair for pair in found if pair is not None]

    def _best(self, query: Vectors, rows: Rows, k: int) -> tuple[Rows, Scores]:
        """Return the best of the rows FAISS found, scored so that equal vectors have equal scores however asked."""
        import numpy as np

        rows = rows[rows >= 0]  # FAISS fills up with row -1 where it found fewer
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any number
            products = np.multiply(self._index.reconstruct_batch(rows), query, dtype=np.float64)
            scores = products.sum(axis=1).astype(np.float32)
        order = np.lexsort((rows, -scores))[:k]
        return rows[order], scores[order]

    def _selector(self, among: NDArray[np.bool_] | None) -> tuple[Any, Any]:
        """Return FAISS's parameters for a filter, and what must live as long as they do."""
        import faiss
        import numpy as np

        if among is None:
            return None, None
        bits = np.packbits(among, bitorder="little")
        selector = faiss.IDSelectorBitmap(bits)
        return faiss.SearchParameters(sel=selector), (bits, selector)


def _reason(error: BaseException) -> str:
    """Return the last line of a C++ error, without the place in FAISS's source."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[-1].rpartition(": Error: ")[2]
