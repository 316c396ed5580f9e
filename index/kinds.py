"""The kinds of vector index: which one suits, and how each is made and opened."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import IndexDamagedError, IndexFormatError
from index.flat_index import FlatIndex
from index.pq_index import PqIndex

if TYPE_CHECKING:
    from index.vector_index import VectorIndex, VectorRows

PQ_FROM = 20_000
"""Rows from which an index is quantized.

Source: medians of milliseconds a query, flat and quantized, at 384 numbers, k of 10, 2 cores: 1,000 rows .05 and .09;
3,000 .10 and .10; 8,000 .17 and .15; 20,000 1.4 and .20; 100,000 6.9 and .47; 1,000,000 150 and 6.9. It would pay from
5,000 on; below 20,000 it is nothing that anyone notices, and the flat index is exact for certain.
"""


class VectorIndexKind(StrEnum):
    """What the manifest calls them: all vectors compared, or candidates found by product-quantized codes."""

    FLAT = "flat"
    PQ = "pq"


def suited_kind(n_rows: int) -> VectorIndexKind:
    """Return the kind for so many rows: exact for certain while that is fast, then quantized."""
    return VectorIndexKind.PQ if n_rows >= max(PQ_FROM, 1) else VectorIndexKind.FLAT


def build_vector_index(kind: VectorIndexKind, vectors: VectorRows) -> VectorIndex:
    """Make an index of the rows, shape (n, dim)."""
    return PqIndex.build(vectors) if kind is VectorIndexKind.PQ else FlatIndex.build(vectors)


def open_vector_index(kind: str, path: Path, vectors: VectorRows) -> VectorIndex:
    """Open an index file.

    Args:
        kind: As the manifest tells.
        path: The file.
        vectors: The rows it was made of.

    Raises:
        IndexFormatError: When this version knows no such kind.
        IndexDamagedError: When it cannot be read, is of another kind, or was made of other rows.
    """
    if kind == VectorIndexKind.PQ:
        return PqIndex.open(path, vectors)
    if kind != VectorIndexKind.FLAT:
        known = ", ".join(VectorIndexKind)
        raise IndexFormatError(
            f"{path}: a vector index of kind {kind!r}; this version reads {known}. Build the index again, or use the "
            "version that wrote it."
        )
    index = FlatIndex.open(path)
    n_rows, dim = vectors.shape
    if (index.n_rows, index.dim) != (n_rows, dim):
        raise IndexDamagedError(
            f"{path}: holds {index.n_rows} vectors of {index.dim} numbers, not {n_rows} of {dim}. Build the index "
            "again."
        )
    return index
