"""Parquet files of passages: written block by block, and read a batch at a time; the one place that knows pyarrow."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from index.errors import InputError
from index.extras import needs
from index.ready import Block, no_numbers, told_by, vector_column

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX = ".parquet"
_KEY = b"manytongues"
"""Where the schema's metadata hold what an export says of itself."""
_GROUP_BYTES = 16 << 20
"""Bytes of vectors in a row group: what a reader of one must hold, and a writer."""
_AT_ONCE = 512
"""Rows read at a time."""


class ParquetPassages:
    """Writes the passages of an index to a file."""

    def __init__(self, file: BinaryIO, dim: int, told: Mapping[str, Any]) -> None:
        """Begin.

        Args:
            file: Open for writing; it is not closed.
            dim: The length of a vector; 0 to write none.
            told: What the export says of itself.

        Raises:
            ExtraMissingError: When pyarrow is not installed.
        """
        with needs("parquet", "writing Parquet"):
            import pyarrow as pa
            import pyarrow.parquet as pq
        text, number = pa.string(), pa.int64()
        other = [("source", text), ("doc_id", text), ("title", text), ("start", number), ("end", number)]
        columns = [("passage_id", text), ("lang", text), *other, ("text", text), ("context", text)]
        marks = pa.list_(pa.struct([("start", number), ("locator", text)]))
        of_place = [("metadata", text), ("locator", text), ("marks", marks)]
        columns += [*of_place, ("n_places", number), ("also_in", pa.list_(pa.struct([*other, *of_place])))]
        columns += [("sentences", pa.list_(pa.struct([("start", number), ("end", number), ("locator", text)])))]
        columns += [("vector", pa.list_(pa.float32(), dim))] if dim else []
        self._schema = pa.schema(columns, metadata={_KEY: json.dumps(told, ensure_ascii=False).encode()})
        self._dim = dim
        self._group = max(1024, min(16_384, _GROUP_BYTES // (4 * dim))) if dim else 16_384
        self._waiting: list[Any] = []
        # Vectors hardly ever repeat a number: a dictionary of them is time lost.
        repeating = ["lang", "source", "doc_id", "title", "metadata", "locator"]
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd", use_dictionary=repeating)

    def append(self, records: Sequence[Mapping[str, Any]], vectors: NDArray[np.float32] | None) -> None:
        """Add passages: their fields as ``index.exporter`` has them, metadata as text, and their vectors."""
        import pyarrow as pa

        columns = {name: [record[name] for record in records] for name in self._schema.names if name != "vector"}
        arrays = [pa.array(values, self._schema.field(name).type) for name, values in columns.items()]
        if vectors is not None:
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self._dim))
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= self._group:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._waiting = []

    def close(self) -> None:
        """Write the rest, and the file's end."""
        self._write()
        self._writer.close()

    def __enter__(self) -> ParquetPassages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            with contextlib.suppress(Exception):  # what is told is what went wrong first
                self._writer.close()


class ParquetRows:
    """The rows of Parquet files with ready vectors, one file after the other."""

    def __init__(self, paths: Sequence[Path], name: str, vector: str = "") -> None:
        """Look at files of the same columns.

        Args:
            paths: The files, in order.
            name: What the user named.
            vector: The column of vectors; "" to look for one.

        Raises:
            ExtraMissingError: When pyarrow is not installed.
            InputError: When one of them is no Parquet file, or there are no vectors.
        """
        with needs("parquet", f"{name}: reading Parquet"):
            import pyarrow.parquet as pq
        self.name = name
        self._paths = paths
        self._groups: list[tuple[Path, int, int]] = []
        for path in paths:
            with _readable(path), pq.ParquetFile(path) as file:
                groups = range(file.metadata.num_row_groups)
                self._groups += [(path, i, file.metadata.row_group(i).num_rows) for i in groups]
                if path == paths[0]:
                    self._schema = file.schema_arrow
                elif file.schema_arrow.names != self._schema.names:
                    raise InputError(f"{path}: has other columns than {paths[0].name}; import them one by one.")
        self.n_rows = sum(n for _, _, n in self._groups)
        self.n_bytes = sum(path.stat().st_size for path in paths)
        self.told: Mapping[str, Any] = told_by(name, (self._schema.metadata or {}).get(_KEY, b"{}"))
        self.columns: list[str] = list(self._schema.names)
        self._vector = vector_column(name, vector, self._schema.names)
        self._kept = [field.name for field in self._schema if field.name != self._vector and self._is_kept(field.type)]
        self.left_out: list[str] = [n for n in self._schema.names if n not in {*self._kept, self._vector}]
        """Columns that hold neither text nor plain values."""

    def _is_kept(self, kind: Any) -> bool:
        """Tell whether a column may be metadata: bytes, and further vectors, may not, wherever they are in it."""
        import pyarrow as pa
        import pyarrow.types as types

        if isinstance(kind, pa.BaseExtensionType):
            return self._is_kept(kind.storage_type)
        if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
            return self._is_kept(kind.value_type)
        if types.is_map(kind):
            return self._is_kept(kind.key_type) and self._is_kept(kind.item_type)
        if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            return bool(self.told) or not (types.is_floating(kind.value_type) or not self._is_kept(kind.value_type))
        if types.is_struct(kind):
            return all(self._is_kept(kind.field(i).type) for i in range(kind.num_fields))
        tests = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
        return not any(is_bytes(kind) for is_bytes in tests)

    def dim(self) -> int:
        """Return the length of the first vector.

        Raises:
            InputError: When the column holds something else.
        """
        import pyarrow.types as types

        kind = self._schema.field(self._vector).type
        is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        if not is_list or not (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)):
            raise InputError(no_numbers(self.name, self._vector, str(kind)))
        if types.is_fixed_size_list(kind):
            return int(kind.list_size)
        for _, _, batch in self._read([self._vector]):
            for value in batch.column(0):
                if value.is_valid and len(value):
                    return len(value)
        return 0

    def _read(self, columns: Sequence[str]) -> Iterator[tuple[Path, int, Any]]:
        """Yield a file, a row of it from 0, and a batch from there on; what is in memory is some pages of a file."""
        import pyarrow.parquet as pq

        for path in self._paths:
            with _readable(path), pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
                at = 0
                for batch in file.iter_batches(_AT_ONCE, columns=list(columns), use_threads=False):
                    yield path, at, batch
                    at += batch.num_rows

    def blocks(self, dim: int, *, vectors: bool = True) -> Iterator[Block]:
        """Yield all rows.

        Args:
            dim: Numbers of a vector; rows with others have NaN instead.
            vectors: Whether they are wanted.
        """
        first = 0
        for path, at, batch in self._read([*self._kept, self._vector] if vectors else self._kept):
            yield self._block(batch, first, dim, (path, at), wanted=vectors)
            first += batch.num_rows

    def _block(self, batch: Any, first: int, dim: int, place: tuple[Path, int], *, wanted: bool = True) -> Block:
        names = [name for name in batch.schema.names if name != self._vector]
        columns = [_values(batch.column(name)) for name in names]
        records = [
            next((one.told for one in values if isinstance(one, _Unread)), "")
            or {name: value for name, one in zip(names, values, strict=True) if (value := plain(one)) is not None}
            for values in zip(*columns, strict=True)
        ]
        places = [f"{place[0]}: row {place[1] + i + 1}" for i in range(batch.num_rows)]
        return Block(first, records, _numbers(batch.column(self._vector), dim) if wanted else None, places)

    def some(self, wanted: Sequence[int], dim: int) -> list[Block]:
        """Return single rows by their numbers, ascending; only their row groups are read."""
        import pyarrow.parquet as pq

        found: list[Block] = []
        base, begins = 0, dict[Path, int]()
        for path, group, n_rows in self._groups:
            begins.setdefault(path, base)
            left = [row for row in wanted if base <= row < base + n_rows]
            if left:
                with _readable(path), pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
                    columns, at = [*self._kept, self._vector], base
                    for batch in file.iter_batches(_AT_ONCE, row_groups=[group], columns=columns, use_threads=False):
                        here = [row for row in left if at <= row < at + batch.num_rows]
                        for row in here:
                            place = path, row - begins[path]
                            found.append(self._block(batch.slice(row - at, 1), row, dim, place))
                        at += batch.num_rows
                        if at > left[-1]:
                            break
            base += n_rows
        return found


@dataclass(frozen=True, slots=True)
class _Unread:
    """A value that cannot be read, which tells why."""

    told: str


def _values(column: Any) -> list[Any]:
    """Return the values of a column; dates and times that Python cannot hold are text."""
    with contextlib.suppress(*_UNHELD):
        return list(column.to_pylist())
    found: list[Any] = []
    for one in column:
        try:
            found.append(_value(one))
        except UnicodeDecodeError:
            found.append(_Unread("one of its texts is not UTF-8; mend or remove the row."))
    return found


def _value(scalar: Any) -> Any:
    """Return one value: of what Python cannot hold as it is, each part that it can."""
    import pyarrow as pa
    import pyarrow.types as types

    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        if types.is_string(scalar.type) or types.is_large_string(scalar.type):
            raise
    except _UNHELD:
        pass
    kind = scalar.type
    if isinstance(scalar, pa.StructScalar):
        return {kind.field(i).name: _value(scalar[i]) for i in range(kind.num_fields)}
    if isinstance(scalar, pa.ListScalar):  # of any length, and maps, which are lists of pairs
        return [_value(one) for one in scalar.values]
    if isinstance(scalar, pa.DictionaryScalar):
        return _value(scalar.value)
    if types.is_timestamp(kind) and kind.unit == "ns":  # parts of a microsecond
        with contextlib.suppress(pa.ArrowException):
            return str(scalar.cast(pa.string())).replace(" ", "T", 1)
    return f"{scalar.value} {kind}"


_UNHELD = (ValueError, OverflowError, LookupError, TypeError, ImportError)
"""What PyArrow raises for a value that Python cannot hold: a year of five digits, parts of a microsecond without
pandas, a time zone that nobody knows."""


def _numbers(column: Any, dim: int) -> NDArray[np.float32]:
    """Return a column of vectors, shape (n, dim); NaN where one is missing or of another length."""
    import numpy as np
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    found = np.full((len(column), dim), np.nan, np.float32)
    right = lengths == dim
    if right.any():
        flat = column.filter(right).flatten().to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            found[right] = flat.astype(np.float32).reshape(-1, dim)
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it; numbers that are none are left out as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what cannot be read into a message with its remedy."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = (getattr(error, "strerror", "") or str(error)).splitlines()[0][:200]
        raise InputError(f"{path}: cannot be read as Parquet ({reason}). Check the file, or write it again.") from error
