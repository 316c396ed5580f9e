"""The kinds of vector index: which one suits, and how each is made and opened."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from index.config import IndexKind
from index.errors import IndexFormatError
from index.flat_index import FlatIndex
from index.hnsw_index import HnswIndex
from index.ivf_index import IvfPqIndex, IvfSqIndex
from index.pq_index import PqIndex
from index.recall import Tunable, tune

if TYPE_CHECKING:
    from index.records import Vectors
    from index.scored_index import ScoredIndex
    from index.vector_index import VectorIndex, VectorRows

PQ_FROM = 20_000
"""Rows from which an index is quantized.

Source: medians of milliseconds a query, flat and quantized, at 384 numbers, k of 10, 2 cores: 1,000 rows .05 and .09;
3,000 .10 and .10; 8,000 .17 and .15; 20,000 1.4 and .20; 100,000 6.9 and .47; 1,000,000 150 and 6.9. It would pay from
5,000 on; below 20,000 it is nothing that anyone notices, and the flat index is exact for certain.
"""
CELLS_FROM = 300_000
"""Rows from which an index is also divided into cells.

Source: medians of milliseconds a query without and with cells, at 384 numbers, k of 10, 2 cores: 100,000 rows .75 and
.31; 1,000,000 8.8 and .9. Without cells all of the ten best are found, with them .995 at most times; below 300,000 rows
that takes 2 ms at most, less than the question's own embedding.
"""


class VectorIndexKind(StrEnum):
    """What the manifest calls them."""

    FLAT = "flat"
    """All vectors are compared."""
    PQ = "pq"
    """The codes of all rows are looked at: 4 bits a number."""
    HNSW = "hnsw"
    """A graph of neighbours is walked, over codes of 8 bits a number."""
    IVF_SQ = "ivf-sq"
    """The nearest cells are looked at, by codes of 8 bits a number."""
    IVF_PQ = "ivf-pq"
    """The nearest cells are looked at, by codes of 4 bits a number."""


_SCORED: dict[VectorIndexKind, type[PqIndex | HnswIndex | IvfSqIndex | IvfPqIndex]] = {
    VectorIndexKind.PQ: PqIndex,
    VectorIndexKind.HNSW: HnswIndex,
    VectorIndexKind.IVF_SQ: IvfSqIndex,
    VectorIndexKind.IVF_PQ: IvfPqIndex,
}


def suited_kind(n_rows: int, wanted: IndexKind | str = IndexKind.AUTO) -> VectorIndexKind:
    """Return the kind for so many rows: the one wanted, or exact for certain while that is fast, then quantized.

    No rows make a flat index, whatever is wanted: there is nothing to learn codes from.

    Raises:
        ValueError: When no such kind exists.
    """
    wanted = IndexKind(wanted)
    if not n_rows:
        return VectorIndexKind.FLAT
    if wanted is not IndexKind.AUTO:
        return VectorIndexKind(wanted.value)
    if n_rows < PQ_FROM:
        return VectorIndexKind.FLAT
    return VectorIndexKind.PQ if n_rows < CELLS_FROM else VectorIndexKind.IVF_PQ


def build_vector_index(kind: VectorIndexKind, vectors: VectorRows, queries: Vectors | None = None) -> VectorIndex:
    """Make an index of the rows, shape (n, dim), which looks as hard as it must (``index.recall.TARGET``).

    Args:
        kind: Another one than flat needs at least one row.
        vectors: The rows. They are read whenever the index searches: they must not change.
        queries: What is tried to find out how hard it must look, shape (n, dim), unit rows that are none of the rows;
            None for some of the rows, each left out of its own answers.
    """
    if kind is VectorIndexKind.FLAT:
        return FlatIndex.build(vectors)
    index: ScoredIndex = _SCORED[kind].build(vectors)
    if isinstance(index, Tunable):
        tune(index, vectors, queries)
    return index


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
    if kind not in set(VectorIndexKind):
        known = ", ".join(VectorIndexKind)
        raise IndexFormatError(
            f"{path}: a vector index of kind {kind!r}; this version reads {known}. Build the index again, or use the "
            "version that wrote it."
        )
    if kind != VectorIndexKind.FLAT:
        return _SCORED[VectorIndexKind(kind)].open(path, vectors)
    return FlatIndex.open(path, *vectors.shape)
