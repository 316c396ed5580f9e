"""What all quantized vector indexes share: codes find candidates, the vectors themselves score them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from index.vector_index import best, count_allowed, no_rows, rounding, write_index
from index.vectors import check_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors
    from index.vector_index import VectorRows

_SURE = 3.5
"""How many standard deviations of the codes' error the last candidate must be away from the last hit.

From 3.5 on, at least .9994 of the true hits were among the candidates on everything measured: the real vectors of 3,132
passages, 20,000 and 100,000 mixed from them, 50,000 random ones of 64, 128 and 384 numbers; k of 1, 10 and 100.
"""
_MEASURED = 32
"""The fewest candidates that tell the error."""
_AT_ONCE = 2**20
"""Candidates held at a time, so that memory does not grow with the number of queries."""
_EXACT_ROWS, _EXACT_QUERIES = 16_384, 256
"""Rows and queries scored together by the vectors themselves."""
_MANY = 16
"""From so many queries on, all rows are scored by one product of matrices, which so pays the sooner."""
_WIDER = 4
"""How many times more is looked at when it was too little."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What codes are asked for.

    Attributes:
        n: How many rows of each query.
        among: Shape (n_rows,): the rows that may be found; all when None.
        share: How many of all rows these are, above 0 to 1.
        wider: How many times more than usual is to be looked at.
    """

    n: int
    among: NDArray[np.bool_] | None
    share: float
    wider: int = 1


class ScoredIndex(ABC):
    """Search by codes, scored exactly by the vectors, which stay in their file."""

    _CANDIDATES: ClassVar[int] = 64
    """Candidates for up to 16 passages; twice as many for up to 32, and so on."""
    _CODES_PER_CANDIDATE: ClassVar[int] = 1
    """Codes looked at for each candidate that is asked for."""
    _FEW_ALLOWED: ClassVar[int] = 0
    """Where a filter lets fewer rows through, all of these are scored by their vectors."""

    def __init__(self, faiss_index: Any, vectors: VectorRows) -> None:
        """Use ``build`` or ``open``."""
        self._index = faiss_index
        self._vectors = vectors
        self.n_rows, self.dim = vectors.shape
        self._rounding = rounding(self.dim)

    @abstractmethod
    def _propose(self, queries: Vectors, ask: Ask) -> tuple[Scores, Rows]:
        """Return the rows of the best codes and their scores by these, best first, each of shape (n_queries, ask.n).

        Where fewer were found, row -1 follows. Rows that the filter keeps out may be among them.
        """

    def _asked(self, n: int, share: float) -> int:
        """Return how many rows to propose to have ``n`` of those that are a share of all."""
        return n

    def _fewest(self) -> int:
        """Return how many rows a filter must leave of those proposed, so that these are trusted to hold the best."""
        return 0

    def save(self, path: Path) -> None:
        """Write the index to a file, without the vectors.

        Raises:
            OSError: When it cannot be written whole.
        """
        write_index(self._index, path)

    def search(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[tuple[Rows, Scores]]:
        """Return for each query its ``k`` best rows and scores: scores down, equal scores by row.

        The scores are exact. A row is missed where its codes are wrong by more than they are on the candidates, and
        where it is not looked at.
        """
        queries = check_vectors(queries, self.dim)
        available = count_allowed(among, self.n_rows)
        k = min(k, available)
        if k <= 0:
            return [no_rows() for _ in queries]
        found: dict[int, tuple[Rows, Scores]] = {}
        pending = list(range(len(queries)))
        share, wider = available / self.n_rows, 1
        n = self._n_candidates(k, share)
        while pending and self._pays(Ask(n, among, share, wider), len(pending), available):
            at_once = max(1, _AT_ONCE // n)
            for at in range(0, len(pending), at_once):
                found |= self._by_codes(queries, pending[at : at + at_once], k, Ask(n, among, share, wider))
            pending = [i for i in pending if i not in found]
            n, wider = n * _WIDER, wider * _WIDER
        for at in range(0, len(pending), _EXACT_QUERIES):
            part = pending[at : at + _EXACT_QUERIES]
            found |= zip(part, self._by_vectors(queries[part], k, among), strict=True)
        return [found[i] for i in range(len(queries))]

    def candidates(self, queries: Vectors, n: int, among: NDArray[np.bool_] | None = None) -> list[Rows]:
        """Return for each query the rows of its best codes, at least ``n`` where so many are allowed, in no order."""
        queries = check_vectors(queries, self.dim)
        available = count_allowed(among, self.n_rows)
        n = min(n, available)
        share = available / max(1, self.n_rows)
        n_codes = self._asked(self._CODES_PER_CANDIDATE * n, share) if n > 0 else 0
        ask = Ask(n_codes, among, share)
        if n <= 0 or not self._pays(ask, 1, available):
            return [rows for rows, _ in self.search(queries, n, among)]
        found: list[Rows] = []
        at_once = max(1, _AT_ONCE // n_codes)
        for at in range(0, len(queries), at_once):
            for rows in self._propose(queries[at : at + at_once], ask)[1]:
                found.append(rows[rows >= 0] if among is None else rows[(rows >= 0) & among[rows]])
        least = n if among is None else max(n, self._fewest())
        few = [i for i, rows in enumerate(found) if len(rows) < least]
        for i, (rows, _) in zip(few, self.search(queries[few], n, among) if few else [], strict=True):
            found[i] = rows
        return found

    def _pays(self, ask: Ask, n_queries: int, available: int) -> bool:
        """Return whether to look at codes, or else score all rows that are allowed by their vectors."""
        if ask.among is not None and available < self._FEW_ALLOWED:
            return False
        return self._cost(ask) * min(n_queries, _MANY) <= available

    def _cost(self, ask: Ask) -> int:
        """Return how many rows could be scored by their vectors while codes are looked at for one query."""
        return ask.n

    def _n_candidates(self, k: int, share: float) -> int:
        """Return how many candidates hold ``k`` hits: in steps, so that one hit more is seldom found among other ones.

        Args:
            k: How many hits.
            share: How many of the rows may be found, above 0 to 1.
        """
        n = self._asked(max(self._CANDIDATES, self._CANDIDATES // 16 * k), share)
        return int(2 ** (n - 1).bit_length())

    def _by_codes(self, queries: Vectors, asked: Sequence[int], k: int, ask: Ask) -> dict[int, tuple[Rows, Scores]]:
        """Return the best of the candidates for those queries asked where that is sure to be the best of all."""
        import numpy as np

        found = {}
        guesses, candidates = self._propose(queries[asked], ask)
        for i, guessed, rows in zip(asked, guesses, candidates, strict=True):
            keep = rows >= 0 if ask.among is None else (rows >= 0) & ask.among[rows]
            if ask.among is not None and np.count_nonzero(keep) < self._fewest():
                continue
            pair = self._best_candidates(queries[i], rows[keep], guessed[keep], float(guessed[-1]), k)
            if pair is not None:
                found[i] = pair
        return found

    def _best_candidates(
        self, query: Vectors, rows: Rows, guessed: Scores, last: float, k: int
    ) -> tuple[Rows, Scores] | None:
        """Return the best rows, or None where one that is no candidate may be better.

        Args:
            query: Shape (dim,).
            rows: Candidates.
            guessed: Their scores by their codes.
            last: What all other rows score by their codes at most.
            k: How many.
        """
        import numpy as np

        if len(rows) < max(k, _MEASURED):
            return None
        vectors = self._vectors[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any number
            scores = _products(vectors, query)
            errors = scores - guessed
            least = float(np.partition(scores, -k)[-k])
            # NumPy's own mean and std take longer than all the rest.
            mean = float(errors.sum()) / len(errors)
            deviation = math.sqrt(max(float(np.dot(errors, errors)) / len(errors) - mean * mean, 0.0))
            error = max(mean, 0.0) + _SURE * deviation + self._rounding
        if not least - last > error:
            return None
        near = np.flatnonzero(scores >= least - self._rounding)
        return best(vectors[near], rows[near], query, k)

    def _by_vectors(self, queries: Vectors, k: int, among: NDArray[np.bool_] | None) -> list[tuple[Rows, Scores]]:
        """Return the best rows after scoring all that are allowed."""
        import numpy as np

        allowed = np.arange(self.n_rows) if among is None else np.flatnonzero(among)
        found = [no_rows() for _ in queries]
        for at in range(0, len(allowed), _EXACT_ROWS):
            rows = allowed[at : at + _EXACT_ROWS]
            vectors = self._vectors[at : at + _EXACT_ROWS] if among is None else self._vectors[rows]
            with np.errstate(over="ignore", invalid="ignore"):
                many = len(queries) >= _MANY
                scores = queries @ vectors.T if many else [_products(vectors, query) for query in queries]
            for i, query in enumerate(queries):
                have, same = found[i]
                least = np.partition(scores[i], -k)[-k] if len(rows) > k else -np.inf
                least = max(least, same[-1]) if len(have) == k else least
                near = np.flatnonzero(scores[i] >= least - self._rounding)
                if len(near):
                    both = np.concatenate([have, rows[near]])
                    found[i] = best(self._vectors[both], both, query, k)
        return found


def _products(vectors: Vectors, query: Vectors) -> Scores:
    """Return the rows' inner products with a query, in one thread.

    A product of NumPy's takes threads from 1,000 rows on, which wait for each other for up to 10 ms when the processor
    has anything else to do, FAISS's own threads to begin with.
    """
    import numpy as np

    products: Scores = np.einsum("ij,j->i", vectors, query)
    return products
