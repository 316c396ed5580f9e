"""JSON Lines with ready vectors: a list of numbers in each record, or a NumPy file beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import InputError
from index.readers.decoding import Line, read_lines
from index.readers.jsonl import SUFFIXES, parse_object
from index.ready import Block, no_numbers, vector_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "LineRows"]

_AT_ONCE = 512
"""Rows read at a time."""


class LineRows:
    """The records of a JSON Lines file and their vectors."""

    def __init__(self, path: Path, name: str, vector: str, vectors: Path | None, told: Mapping[str, Any]) -> None:
        """Look at a file; its lines are counted.

        Args:
            path: The file.
            name: What the user named.
            vector: The field with the vector; "" to look for one. Not used with ``vectors``.
            vectors: A NumPy file of shape (n, dim): row i is the vector of record i.
            told: What an export says of itself.

        Raises:
            InputError: When there are no vectors, or not one of each record.
        """
        self.name = name
        self.told = told
        self.left_out: list[str] = []
        self._path = path
        try:
            self.n_bytes = path.stat().st_size
            parsed = map(_parsed, self._lines())
            self._first: Mapping[str, Any] = next((one for one in parsed if not isinstance(one, str)), {})
            self.columns = list(self._first)
            with path.open("rb") as file:
                self.n_rows = sum(bool(line.strip()) for line in file)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check the file.") from error
        self._vectors = _open(vectors) if vectors else None
        self._field = "" if vectors else vector_column(name, vector, list(self._first))
        if self._vectors is not None:
            self.n_bytes += int(self._vectors.nbytes)
            if len(self._vectors) != self.n_rows:
                raise InputError(
                    f"{vectors}: holds {len(self._vectors):,} vectors, and {path} {self.n_rows:,} records; row i must "
                    "be the vector of record i. Name the file that belongs to it."
                )

    def _lines(self) -> Iterator[Line]:
        """Yield the lines that are not blank."""
        try:
            yield from (line for line in read_lines(self._path, "utf-8") if line.problem or line.text.strip())
        except InputError as error:
            raise InputError(f"{self._path}: {error}") from error

    def dim(self) -> int:
        """Return the length of the first vector; 0 where there is none.

        Raises:
            InputError: When it is none.
        """
        if self._vectors is not None:
            return int(self._vectors.shape[1])
        value = self._first.get(self._field)
        if not isinstance(value, list):
            raise InputError(no_numbers(self.name, self._field, type(value).__name__))
        return len(value)

    def blocks(self, dim: int, *, vectors: bool = True) -> Iterator[Block]:
        """Yield all records, with vectors of ``dim`` numbers if they are wanted."""
        first = 0
        lines: list[Line] = []
        for line in self._lines():
            lines.append(line)
            if len(lines) == _AT_ONCE:
                yield self._block(first, lines, dim, wanted=vectors)
                first, lines = first + len(lines), []
        if lines:
            yield self._block(first, lines, dim, wanted=vectors)

    def _block(self, first: int, lines: Sequence[Line], dim: int, *, wanted: bool) -> Block:
        import numpy as np

        places = [f"{self._path}:{line.number}" for line in lines]
        records = [_parsed(line) for line in lines]
        inline = [None if isinstance(record, str) else record.pop(self._field, None) for record in records]
        if not wanted:
            return Block(first, records, None, places)
        if self._vectors is not None:
            rows = self._vectors[first : first + len(records)]
            with np.errstate(over="ignore"):
                return Block(first, records, np.array(rows, np.float32), places)
        found = np.full((len(records), dim), np.nan, np.float32)
        for row, value in zip(found, inline, strict=True):
            if isinstance(value, list) and len(value) == dim and all(type(one) in (int, float) for one in value):
                with np.errstate(over="ignore"):
                    row[:] = np.array(value, np.float64)
        return Block(first, records, found, places)

    def some(self, wanted: Sequence[int], dim: int) -> list[Block]:
        """Return single records by their numbers, ascending; the others are not parsed."""
        found: list[Block] = []
        left = set(wanted)
        for i, line in enumerate(self._lines()):
            if i in left:
                found.append(self._block(i, [line], dim, wanted=True))
            if len(found) == len(left):
                break
        return found


def _parsed(line: Line) -> dict[str, Any] | str:
    """Return a record, or what is wrong with it."""
    try:
        return line.problem or parse_object(line.text.rstrip("\r\n"))
    except InputError as error:
        return str(error)


def _open(path: Path) -> NDArray[Any]:
    """Map a NumPy file of vectors into memory.

    Raises:
        InputError: When it is none.
    """
    import numpy as np

    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", "") or str(error).splitlines()[0][:200]
        raise InputError(f"{path}: cannot be read as a NumPy array ({reason}). Check the file.") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "fiu":
        shape = getattr(rows, "shape", "no")
        raise InputError(f"{path}: holds {shape} values, where vectors are (n, dim) numbers. Write it with numpy.save.")
    return rows
