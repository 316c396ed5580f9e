"""How much of the truly best a vector index finds, and how hard it must look to find enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from index.vector_index import VectorIndex, rounding
from index.vectors import check_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Vectors
    from index.vector_index import VectorRows

TARGET = 0.995
"""The recall that a search should have.

Source: questions lie farther from passages than these from each other. Where .995 of the rows nearest to rows were
found, it was .9935 of those nearest to real questions among 100,000 rows, .9875 among 1,000,000.
"""
_QUERIES = 256
_BLOCK = 16_384


@dataclass(frozen=True, slots=True)
class Recall:
    """What share of the ``k`` truly best rows was found, over so many queries."""

    recall: float
    k: int
    n_queries: int


@runtime_checkable
class Tunable(VectorIndex, Protocol):
    """A vector index that can look more or less hard."""

    effort: int

    @property
    def most_effort(self) -> int:
        """The most that is of use."""


@dataclass(frozen=True, slots=True)
class _Truth:
    """Queries with what is truly best.

    Attributes:
        queries: Shape (n, dim).
        own: The row that each query is, which counts for nothing; None where they are no rows.
        least: The score of the last of the best, shape (n,).
        n_best: How many these are.
    """

    queries: Vectors
    own: Rows | None
    least: NDArray[np.float32]
    n_best: int


def measure_recall(index: VectorIndex, vectors: VectorRows, queries: Vectors | None = None, k: int = 10) -> Recall:
    """Compare what an index finds, asked query by query, with exact search.

    A row that scores as well as the last of the best is as good as that one.

    Args:
        index: The index.
        vectors: The rows it was made of, shape (n_rows, dim).
        queries: Shape (n, dim), unit rows; None for up to 256 of the rows, each left out of its own answers.
        k: How many are to be found.
    """
    return _measure(index, _truth(vectors, queries, k), k)


def tune(index: Tunable, vectors: VectorRows, queries: Vectors | None = None, k: int = 10) -> None:
    """Have an index look as hard as it needs to find ``TARGET`` of the best, and no harder.

    Args:
        index: The index; its effort is set.
        vectors: The rows it was made of, shape (n_rows, dim).
        queries: As for ``measure_recall``.
        k: How many are to be found.
    """
    truth = _truth(vectors, queries, k)
    for effort in _efforts(index.most_effort):
        index.effort = effort
        if _measure(index, truth, k).recall >= TARGET:
            break


def _efforts(most: int) -> list[int]:
    """Return efforts to try: 1, 2, 3, 4, 6, 8, 12, ... to the most."""
    steps = sorted({n for power in range(most.bit_length()) for n in (2**power, 3 * 2**power // 2)})
    return [*(n for n in steps if n < most), most]


def _truth(vectors: VectorRows, queries: Vectors | None, k: int) -> _Truth:
    import numpy as np

    n_rows, dim = vectors.shape
    own: Rows | None = None
    if queries is None:
        own = np.unique(np.linspace(0, n_rows - 1, min(n_rows, _QUERIES)).astype(np.int64))
        queries = vectors[own]
    queries = check_vectors(queries, dim)
    n_best = min(k, n_rows - (own is not None))
    best = np.full((len(queries), n_best), -np.inf, np.float32)
    for at in range(0, n_rows, _BLOCK):
        scores = queries @ vectors[at : at + _BLOCK].T
        if own is not None:
            inside = np.flatnonzero((own >= at) & (own < at + _BLOCK))
            scores[inside, own[inside] - at] = -np.inf
        both = np.concatenate([best, scores], axis=1)
        best = np.partition(both, -n_best, axis=1)[:, both.shape[1] - n_best :] if n_best else best
    least = best.min(axis=1) if n_best else np.zeros(len(queries), np.float32)
    return _Truth(queries, own, least, n_best)


def _measure(index: VectorIndex, truth: _Truth, k: int) -> Recall:
    import numpy as np

    n_found, rounded = 0, rounding(index.dim)
    for i, query in enumerate(truth.queries):
        ((rows, scores),) = index.search(query[np.newaxis], truth.n_best + (truth.own is not None))
        if truth.own is not None:
            scores = scores[rows != truth.own[i]][: truth.n_best]
        n_found += int((scores >= truth.least[i] - rounded).sum())
    n_expected = truth.n_best * len(truth.queries)
    return Recall(n_found / n_expected if n_expected else 1.0, k, len(truth.queries))
