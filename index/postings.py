"""Sorts what is too much for memory: which term stands how often in which row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

BLOCK = 1_048_576
"""Postings held in memory at a time."""
_POSTING = [("term", "<u8"), ("row", "<u4"), ("count", "<u4")]
_POSTING_BYTES = 16
_BUCKET_BITS = 12
"""Terms fall into 4,096 buckets by their first bits; a bucket is what is sorted at once when it exceeds a block."""


class PostingSorter:
    """Takes postings in the order of their rows, and gives them back by term, then row."""

    def __init__(self, path: Path) -> None:
        """Use a temporary file, which ``close`` removes."""
        self._path = path
        self._file: BinaryIO = path.open("w+b")
        self._runs: list[NDArray[np.int64]] = []
        self.n_postings = 0

    def add(self, terms: NDArray[np.uint64], rows: NDArray[np.uint32]) -> None:
        """Add the terms of rows as they occur; a row comes whole, and after all lower ones."""
        import numpy as np

        if not len(terms):
            return
        order = np.argsort(terms, kind="stable")  # which keeps the rows of a term in order
        terms, rows = terms[order], rows[order]
        first = np.flatnonzero(changes(terms) | changes(rows))
        run = np.empty(len(first), _POSTING)
        run["term"], run["row"] = terms[first], rows[first]
        run["count"] = np.diff(first, append=len(terms))
        buckets = np.arange((1 << _BUCKET_BITS) + 1)
        starts = np.searchsorted(run["term"] >> np.uint64(64 - _BUCKET_BITS), buckets.astype(np.uint64))
        self._runs.append(self.n_postings + starts)
        self._file.write(run.tobytes())
        self.n_postings += len(run)

    def iter_sorted(self) -> Iterator[NDArray[Any]]:
        """Yield all postings by term, then row, with the fields ``term``, ``row`` and ``count``; a term in one part."""
        import numpy as np

        if not self._runs:
            return
        sizes = np.sum([np.diff(run) for run in self._runs], axis=0)
        for low, high in _group(sizes.tolist(), BLOCK):
            part = np.concatenate([self._read(int(run[low]), int(run[high])) for run in self._runs])
            yield part[np.argsort(part["term"], kind="stable")]

    def _read(self, start: int, end: int) -> NDArray[Any]:
        import numpy as np

        self._file.seek(start * _POSTING_BYTES)
        content = self._file.read((end - start) * _POSTING_BYTES)
        if len(content) != (end - start) * _POSTING_BYTES:
            raise OSError(f"{self._path} was cut short while it was in use")
        return np.frombuffer(content, _POSTING)

    def close(self) -> None:
        """Remove the temporary file; may be called again."""
        with contextlib.suppress(OSError):  # what could not be written is not needed any more
            self._file.close()
        self._path.unlink(missing_ok=True)


def changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell for each value whether it differs from the one before; the first does."""
    import numpy as np

    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _group(sizes: list[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of buckets that hold at most ``most`` together, or are one bucket."""
    low = total = 0
    for i, size in enumerate(sizes):
        if i > low and total + size > most:
            yield low, i
            low, total = i, 0
        total += size
    yield low, len(sizes)
