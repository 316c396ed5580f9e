"""The frame of a FAISS file, checked before FAISS reads it.

FAISS believes its files: another number in the frame makes it ask for any amount of memory, or end the process. So all
of a file that is not vectors, codes or centroids, which may be any bytes, is compared with what must stand there.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import REPAIR, IndexDamagedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Frame:
    """Goes through a file from its beginning; whatever does not fit raises ``ValueError``."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._bytes = np.memmap(path, np.uint8, "r")
        self._at = 0

    def expect(self, form: str, *values: bytes | float) -> None:
        """Pass over values that must stand here, told as ``struct`` does, without padding."""
        expected = struct.pack("<" + form, *values)
        if self._take(len(expected)).tobytes() != expected:
            raise ValueError("other values than belong there")

    def number(self, form: str) -> int:
        """Return a whole number."""
        (value,) = struct.unpack("<" + form, self._take(struct.calcsize("<" + form)).tobytes())
        return int(value)

    def array(self, dtype: str, n: int) -> NDArray[Any]:
        """Return ``n`` numbers as they lie in the file."""
        import numpy as np

        return self._take(n * np.dtype(dtype).itemsize).view(dtype)

    def vector(self, dtype: str, n: int) -> NDArray[Any]:
        """Return ``n`` numbers that their count must stand before."""
        self.expect("Q", n)
        return self.array(dtype, n)

    def head(self, kind: bytes, n_rows: int, dim: int) -> None:
        """Pass over what every index begins with: its kind, dim, rows, two without meaning, trained, inner product."""
        self.expect("4siqqq?i", kind, dim, n_rows, 1 << 20, 1 << 20, True, 0)

    def product_quantizer(self, dim: int, bits: int) -> None:
        """Pass over a product quantizer with a code for each number."""
        self.expect("3Q", dim, dim, bits)
        self.vector("<f4", 2**bits * dim)

    def scalar_quantizer(self, dim: int) -> None:
        """Pass over a scalar quantizer of 8 bits, whose range was learned as FAISS does by itself."""
        self.expect("iifQQ", 0, 0, 0.0, dim, dim)
        self.vector("<f4", 2 * dim)

    def list_sizes(self, n: int) -> NDArray[np.uint64]:
        """Return the sizes of ``n`` lists, which FAISS writes in pairs with their places where most are empty."""
        import numpy as np

        form = self._take(4).tobytes()
        if form == b"full":
            sizes: NDArray[np.uint64] = self.vector("<u8", n)
            return sizes
        if form != b"sprs":
            raise ValueError("sizes of lists in an unknown form")
        n_pairs, odd = divmod(self.number("Q"), 2)
        pairs = self.array("<u8", 2 * n_pairs).reshape(-1, 2)
        if odd or n_pairs > n or (pairs[:, 0] >= n).any() or len(np.unique(pairs[:, 0])) != n_pairs:
            raise ValueError("sizes of lists that do not exist")
        return pairs[:, 1]

    def end(self) -> None:
        """Check that nothing follows."""
        if self._at != len(self._bytes):
            raise ValueError("more bytes than belong to it")

    def _take(self, n: int) -> NDArray[Any]:
        if not 0 <= n <= len(self._bytes) - self._at:
            raise ValueError("it ends too early")
        self._at += n
        return self._bytes[self._at - n : self._at]


@contextlib.contextmanager
def checking(path: Path, kind: str, n_rows: int, dim: int) -> Iterator[Frame]:
    """Give the frame of a file that must be an index of a kind, and must end where the block does.

    Raises:
        IndexDamagedError: When it is not.
    """
    try:
        frame = Frame(path)
        yield frame
        frame.end()
    except OSError as error:
        raise IndexDamagedError(f"{path}: cannot be read ({error}). {REPAIR}") from error
    except ValueError as error:
        raise IndexDamagedError(
            f"{path}: not an index of kind {kind} of {n_rows} vectors of {dim} numbers ({error}). {REPAIR}"
        ) from error
