"""Passages that come with their vectors: what every file of them gives, and where a build finds the vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from index.errors import InputError
from index.readers.fielded import missing_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Vectors

EXPORT_FORMAT = 1
"""The form of an export."""
PASSAGES, VECTORS, EXPORT_MANIFEST = "passages.jsonl", "vectors.npy", "manifest.json"
"""The files of an export to a folder."""
VECTOR_COLUMNS = ("vector", "embedding", "embeddings", "emb", "values")
"""What a column of vectors is called where nobody says so. Source: LanceDB, data sets on the hub, Pinecone."""


@dataclass(frozen=True, slots=True)
class ReadyFields:
    """What the columns of a file with ready vectors are called.

    Attributes:
        text: Of the passage's text.
        vector: Of the vector; "" for the first that is there of vector, embedding, embeddings, emb and values.
        id: Of the identifier; "" for the first that is there of _id, id and doc_id.
        source: Of the source; rows without one are of the file itself.
        title: Of the title, which is shown.
        lang: Of the BCP 47 language; detected where there is none.
        context: Of what was embedded before the text, a line above it: a title, a heading.
    """

    text: str = "text"
    vector: str = ""
    id: str = ""
    source: str = "source"
    title: str = "title"
    lang: str = "lang"
    context: str = "context"

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns that may hold the identifier, the first that is there counts."""
        return (self.id,) if self.id else ("_id", "id", "doc_id")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a file, in order.

    Attributes:
        first: The number of the first, from 0.
        records: Their fields by name, the vector left out; text where a record cannot be read, which tells why.
        vectors: Shape (n, dim), as they are in the file; NaN where one is missing, has another length, or holds
            something else than numbers. None when they were not asked for.
        places: Where each record is, for messages.
    """

    first: int
    records: Sequence[Mapping[str, Any] | str]
    vectors: NDArray[np.float32] | None
    places: Sequence[str]


class ReadyRows(Protocol):
    """The rows of a file, or of several, with ready vectors. Whatever cannot be read is an ``InputError``."""

    name: str
    """What the user named."""
    n_rows: int
    n_bytes: int
    """The size of the files."""
    told: Mapping[str, Any]
    """What an export of our own says of itself; empty for any other file."""
    columns: list[str]
    """The columns or fields there are, as far as the first record tells."""
    left_out: list[str]
    """Columns that are not read: they hold neither text nor plain values."""

    def dim(self) -> int:
        """Return the length of the first vector; 0 where there is none."""

    def blocks(self, dim: int, *, vectors: bool = True) -> Iterator[Block]:
        """Yield all rows, with vectors of ``dim`` numbers if they are wanted."""

    def some(self, wanted: Sequence[int], dim: int) -> list[Block]:
        """Return single rows by their numbers, ascending; little else is read."""


class ReadyVectors:
    """Vectors of the passages that a build is about to write, by their texts; forgotten when many more have come."""

    def __init__(self, most: int) -> None:
        """Remember the vectors of the last ``most`` passages."""
        self._most = most
        self._by_text: dict[str, Vectors] = {}

    def offer(self, model_text: str, vector: Vectors) -> None:
        """Take the vector of a passage, shape (dim,); the first of a text stays while it is remembered."""
        self._by_text.setdefault(model_text, vector)
        while len(self._by_text) > self._most:
            self._by_text.pop(next(iter(self._by_text)))

    def fill(self, texts: Sequence[str], known: NDArray[np.bool_], vectors: Vectors) -> None:
        """Write the vectors that came ready over those found elsewhere.

        Args:
            texts: What was embedded of passages.
            known: Which of them have a vector, shape (n,); changed.
            vectors: Theirs, shape (n, dim); changed.
        """
        for i, text in enumerate(texts):
            ready = self._by_text.get(text)
            if ready is not None:
                known[i], vectors[i] = True, ready


def open_rows(source: Path, fields: ReadyFields, vectors: Path | None = None) -> ReadyRows:
    """Open what holds passages with ready vectors.

    Args:
        source: A Parquet file, a folder of some, a JSON Lines file, or a folder that an export wrote.
        fields: What the columns are called.
        vectors: A NumPy file with the vectors of a JSON Lines file: row i is that of record i.

    Raises:
        InputError: When it is none of these, or cannot be read.
        ExtraMissingError: When it is Parquet and pyarrow is not installed.
    """
    from index.parquet import SUFFIX, ParquetRows
    from index.ready_lines import SUFFIXES, LineRows

    is_folder, told = source.is_dir(), {}
    if is_folder and (source / PASSAGES).is_file():
        told = _told(source / EXPORT_MANIFEST)
        vectors = vectors or (source / VECTORS if (source / VECTORS).exists() else None)
        return LineRows(source / PASSAGES, str(source), fields.vector, vectors, told)
    if vectors is None:
        parts = sorted(source.glob(f"*{SUFFIX}")) if is_folder else [source]
        if parts and all(part.suffix.lower() == SUFFIX and part.is_file() for part in parts):
            return ParquetRows(parts, str(source), fields.vector)
    if source.suffix.lower() in SUFFIXES and source.is_file():
        return LineRows(source, str(source), fields.vector, vectors, told)
    if not source.exists():
        raise InputError(f"{source}: is not there. Check the path.")
    raise InputError(
        f"{source}: holds no passages with vectors that can be read. Name a {SUFFIX} file or a folder of some, a "
        f"folder that `tongues export` wrote, or a {SUFFIXES[0]} file with its vectors in it or beside it "
        "(--vector-file)."
    )


def _told(path: Path) -> dict[str, Any]:
    """Return what an export's manifest says; empty when there is none."""
    try:
        return told_by(str(path), path.read_bytes()) if path.exists() else {}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check the file.") from error


def told_by(name: str, text: bytes) -> dict[str, Any]:
    """Return what an export says of itself.

    Raises:
        InputError: When that is damaged.
    """
    try:
        told = json.loads(text)
        if not isinstance(told, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: what it says of itself is damaged ({error}). Export the index again.") from error
    return told


def vector_column(name: str, wanted: str, found: Sequence[str]) -> str:
    """Return the column of vectors.

    Raises:
        InputError: When it is not there.
    """
    columns = (wanted,) if wanted else VECTOR_COLUMNS
    for column in columns:
        if column in found:
            return column
    what = f"no column {wanted!r}" if wanted else "no column of vectors"
    shown = ", ".join(found[:12]) or "none"
    raise InputError(f"{name}: {what} (found: {shown}); name it with --vector-field, or embed the texts with build.")


def check_text_column(name: str, wanted: str, found: Sequence[str]) -> None:
    """Check that there is a column of texts.

    Raises:
        InputError: When there is none.
    """
    if wanted not in found:
        raise InputError(f"{name}: {missing_text(wanted, list(found))}")


def no_numbers(name: str, column: str, kind: str) -> str:
    """Return what is wrong with a column that holds something else than vectors."""
    return f"{name}: column {column!r} holds {kind}, not lists of numbers; name another with --vector-field."
