"""Vectors: their normalisation, their file, and what every holder of vectors may rely on."""

from __future__ import annotations

import io
import math
import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from index.config import VectorNumbers
from index.errors import REPAIR, IndexDamagedError, ModelError
from index.guarded import open_regular

if TYPE_CHECKING:
    from typing import BinaryIO, Literal

    import numpy as np
    from numpy.typing import NDArray

    from index.records import Vectors

_LONGEST_HEADER = 1_024
"""The most bytes of an array file that are its header; what is written has 128."""
_BEFORE_HEADER = 10
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][a-z]\d{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,19}, ?)*\d{0,19})\), \}",
    re.DOTALL,
)
"""The beginning of an array file in NumPy's format 1.0: length, type, order and shape."""
_LARGEST = 127
"""What the largest number of a vector becomes in int8."""


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


class ArrayFile:
    """Appends rows to a ``.npy`` file whose number of rows is not known beforehand."""

    def __init__(self, path: Path, dtype: str, row_shape: tuple[int, ...]) -> None:
        """Begin a file.

        Args:
            path: The file.
            dtype: NumPy's name of the type of its numbers.
            row_shape: The shape of one row, () for a single number.
        """
        import numpy as np

        self._file: BinaryIO = path.open("wb")
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._row_shape = row_shape
        self.n_rows = 0
        self._write_header()
        self._header_size = self._file.tell()

    def _write_header(self) -> None:
        import numpy as np

        # The format pads its header so that the first axis may grow in place.
        shape = (self.n_rows, *self._row_shape)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: Any) -> None:
        """Add rows.

        Raises:
            ValueError: When they are of another shape.
        """
        import numpy as np

        rows = np.asarray(rows)
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows of shape {rows.shape[1:]} given where {self._row_shape} is needed")
        self._file.write(rows.astype(self._dtype, copy=False).tobytes())
        self.n_rows += len(rows)

    def close(self) -> None:
        """Write the final number of rows and close the file."""
        try:
            self._file.flush()
            self._file.seek(0)
            self._write_header()
            if self._file.tell() != self._header_size:
                raise ValueError("the header of the file changed its size")
        finally:
            self._file.close()


class VectorFile(ArrayFile):
    """Appends checked vectors to a file; in other numbers than float32, only their directions are kept."""

    def __init__(self, path: Path, dim: int, numbers: VectorNumbers = VectorNumbers.FLOAT32) -> None:
        super().__init__(path, numbers, (dim,))
        self._dim = dim
        self._numbers = numbers

    def append(self, rows: Any) -> None:
        """Add vectors, shape (n, dim).

        Raises:
            ValueError: When they are not two-dimensional, not of ``dim`` columns, not real numbers, or not finite.
        """
        checked = check_vectors(rows, self._dim)
        super().append(to_int8(checked) if self._numbers is VectorNumbers.INT8 else checked)


class StoredVectors:
    """Unit vectors in a file of fewer bytes a number, made float32 when they are asked for."""

    def __init__(self, rows: NDArray[Any]) -> None:
        """Look at stored rows, shape (n, dim), float16 or int8."""
        import numpy as np

        self._rows = np.asarray(rows)  # NumPy's own class for mapped files takes rows more slowly
        self.shape: tuple[int, ...] = rows.shape

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Vectors:
        """Return rows, shape (n, dim), unit rows, for a slice or an array of row numbers."""
        import numpy as np

        found: Vectors = self._rows[rows].astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any number
            lengths = np.sqrt(np.einsum("ij,ij->i", found, found))
            found /= np.where(lengths > 0, lengths, 1.0).astype(np.float32)[:, None]
        return found


@overload
def open_vectors(path: Path, n_rows: int, dim: int, *, scattered: bool = False) -> Vectors: ...
@overload
def open_vectors(
    path: Path, n_rows: int, dim: int, numbers: VectorNumbers | str, *, scattered: bool = False
) -> Vectors | StoredVectors: ...
def open_vectors(
    path: Path,
    n_rows: int,
    dim: int,
    numbers: VectorNumbers | str = VectorNumbers.FLOAT32,
    *,
    scattered: bool = False,
) -> Vectors | StoredVectors:
    """Map a vector file into memory.

    Args:
        path: The file.
        n_rows: How many rows it holds.
        dim: How many numbers a row has.
        numbers: What it was written in.
        scattered: Whether rows are read one here and one there, as a search does.

    Returns:
        What gives float32 unit rows for a slice or an array of row numbers; the array itself where it is float32.

    Raises:
        IndexDamagedError: When it is not the array the manifest tells of.
    """
    rows = open_array(path, (n_rows, dim), VectorNumbers(numbers))
    if scattered:
        _read_scattered(rows)
    return rows if numbers == VectorNumbers.FLOAT32 else StoredVectors(rows)


def _read_scattered(rows: NDArray[Any]) -> None:
    """Tell the operating system not to read around what is asked for.

    Source: 1,000,000 rows of 384 numbers, nothing in memory: the first question takes .02 s instead of .9; after 500,
    .5 GB of the file lie in memory instead of all 1.5.
    """
    if isinstance(rows.base, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):  # not on Windows
        rows.base.madvise(mmap.MADV_RANDOM)


def to_int8(vectors: Vectors) -> NDArray[np.int8]:
    """Return vectors with their largest number at 127; their lengths are lost, and those of unit vectors known."""
    import numpy as np

    if not len(vectors):
        return np.empty(vectors.shape, np.int8)
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    rows: NDArray[np.int8] = np.rint(vectors * (_LARGEST / np.where(largest > 0, largest, 1.0))).astype(np.int8)
    return rows


def open_array(path: Path, shape: tuple[int, ...] | None, dtype: str) -> NDArray[Any]:
    """Map a ``.npy`` file into memory.

    Args:
        path: The file.
        shape: What it must have, or None for what its header tells.
        dtype: NumPy's name of the type of its numbers.

    Raises:
        IndexDamagedError: When it is no array of this shape and type.
    """
    import numpy as np

    try:
        found, is_fortran, found_dtype, offset, size = _read_header(path)
    except Exception as error:  # a damaged header makes NumPy raise whatever parsing it ended in
        raise IndexDamagedError(f"{path}: cannot be read ({str(error)[:200]}). {REPAIR}") from error
    shape = shape or found
    if not shape:
        raise IndexDamagedError(f"{path}: holds a single value. {REPAIR}")
    if found != shape or found_dtype != np.dtype(dtype):
        raise IndexDamagedError(
            f"{path}: holds {str(found)[:40]} values of {str(found_dtype)[:40]}, not {shape} of {dtype}. {REPAIR}"
        )
    n_bytes = math.prod(shape) * found_dtype.itemsize
    if min(shape, default=0) < 0 or size != offset + n_bytes:
        raise IndexDamagedError(f"{path}: {size:,} bytes where {offset + n_bytes:,} belong. {REPAIR}")
    order: Literal["C", "F"] = "F" if is_fortran else "C"
    if not n_bytes:  # nothing cannot be mapped
        return np.empty(shape, found_dtype, order)
    try:
        return np.memmap(path, found_dtype, "r", offset, shape, order)
    except (OSError, ValueError, OverflowError) as error:
        raise IndexDamagedError(f"{path}: cannot be mapped ({error}). {REPAIR}") from error


def _read_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any], int, int]:
    """Return the shape, the order and the type of an array file, where its numbers start, and the file's size.

    Headers are read as they are written here. NumPy would read all of one of any length, and has Python parse it as a
    program; where two threads do that at once, Python 3.11 may fail, and a sound index would seem damaged.
    """
    import numpy as np

    with open_regular(path) as file:
        start = file.read(_LONGEST_HEADER)
        size = file.seek(0, io.SEEK_END)
    found = _HEADER.match(start)
    if not found:
        raise ValueError("its header is not as it was written")
    length, dtype, is_fortran, shape = found.groups()
    n_header = _BEFORE_HEADER + int.from_bytes(length, "little")
    if n_header < found.end() or start[found.end() : n_header].strip():
        raise ValueError("its header has another length than it tells")
    numbers = tuple(int(number) for number in shape.split(b",") if number.strip())
    return numbers, is_fortran == b"True", np.dtype(dtype.decode()), n_header, size


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
