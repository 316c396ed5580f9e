"""Candidates of both kinds of vector index: enough of them, the best among them, none that a filter keeps out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.kinds import VectorIndexKind, build_vector_index
from index.vector_index import VectorIndex
from index.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from index.records import Vectors

DIM = 48
N = 4000


def clustered(n: int, seed: int) -> Vectors:
    """Rows around 40 centres, the same ones for every seed."""
    centres = np.random.default_rng(99).normal(size=(40, DIM))
    chance = np.random.default_rng(seed)
    return unit_rows(centres[chance.integers(40, size=n)] + 0.7 * chance.normal(size=(n, DIM)))


ROWS, QUERIES = clustered(N, 0), clustered(40, 1)
SCORES = QUERIES @ ROWS.T


@pytest.fixture(scope="module", params=VectorIndexKind)
def index(request: pytest.FixtureRequest) -> VectorIndex:
    return build_vector_index(request.param, ROWS)


def best_rows(asked: int, n: int, among: NDArray[np.bool_] | None = None) -> set[int]:
    """Return the rows of the best scores, by NumPy."""
    allowed = np.arange(N) if among is None else np.flatnonzero(among)
    return set(allowed[np.argsort(-SCORES[asked][allowed])][:n].tolist())


@settings(max_examples=80, deadline=None)
@given(
    asked=st.lists(st.integers(0, len(QUERIES) - 1), min_size=1, max_size=5),
    n=st.integers(1, 1500) | st.sampled_from([N - 1, N, N + 1, 10**7]),
    share=st.sampled_from([None, 0.0, 0.001, 0.03, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 5),
)
def test_enough_come_back_each_once_and_allowed(
    asked: list[int], n: int, share: float | None, seed: int, index: VectorIndex
) -> None:
    among = None if share is None else np.random.default_rng(seed).random(N) < share
    available = N if among is None else int(among.sum())
    found = index.candidates(QUERIES[asked], n, among)
    assert len(found) == len(asked)
    for i, rows in zip(asked, found, strict=True):
        assert rows.dtype == np.int64
        assert len(rows) >= min(n, available)
        assert len(set(rows.tolist())) == len(rows)
        assert rows.size == 0 or 0 <= rows.min() <= rows.max() < N
        assert among is None or among[rows].all()
        assert best_rows(i, 1, among) <= set(rows.tolist()) or n < 100  # few codes tell too little


@pytest.mark.parametrize("n", [100, 500, N])
@pytest.mark.parametrize("share", [None, 0.01, 0.25, 0.8])
def test_the_best_are_among_as_many_as_ranking_asks_for(n: int, share: float | None, index: VectorIndex) -> None:
    among = None if share is None else np.random.default_rng(3).random(N) < share
    kept = []
    for i, rows in enumerate(index.candidates(QUERIES, n, among)):
        best = best_rows(i, n, among)
        kept.append(len(best & set(rows.tolist())) / len(best))
        assert best_rows(i, n // 2, among) <= set(rows.tolist())
    assert np.mean(kept) > 0.98


@pytest.mark.parametrize("n", [1, 3, 100, 700])
def test_the_flat_index_gives_exactly_the_best(n: int) -> None:
    flat = build_vector_index(VectorIndexKind.FLAT, ROWS)
    few = np.arange(N) % 7 == 0
    for among in (None, few):
        for i, rows in enumerate(flat.candidates(QUERIES, n, among)):
            assert set(rows.tolist()) == best_rows(i, n, among)


def test_nothing_to_find(index: VectorIndex) -> None:
    assert index.candidates(QUERIES[:0], 5) == []
    for n, among in ((0, None), (5, np.zeros(N, np.bool_)), (-1, None)):
        assert [(rows.size, rows.dtype.name) for rows in index.candidates(QUERIES[:2], n, among)] == [(0, "int64")] * 2
    one = np.zeros(N, np.bool_)
    one[N - 1] = True
    assert [rows.tolist() for rows in index.candidates(QUERIES, 9, one)] == [[N - 1]] * len(QUERIES)


@pytest.mark.parametrize("kind", VectorIndexKind)
@pytest.mark.parametrize("n_rows", [1, 2, 15, 33])
def test_a_small_index_gives_all_it_has(kind: VectorIndexKind, n_rows: int) -> None:
    small = build_vector_index(kind, ROWS[:n_rows])
    for rows in small.candidates(QUERIES, 100):
        assert sorted(rows.tolist()) == list(range(n_rows))


def test_what_is_no_vector_or_filter_is_refused(index: VectorIndex) -> None:
    with pytest.raises(ValueError, match="vectors"):
        index.candidates(QUERIES[:, :-1], 1)
    with pytest.raises(ValueError, match="filter"):
        index.candidates(QUERIES, 1, np.ones(3, np.bool_))


def test_one_query_is_asked_as_many_are(index: VectorIndex) -> None:
    together = index.candidates(QUERIES, 50)
    for i, rows in enumerate(together):
        (alone,) = index.candidates(QUERIES[i : i + 1], 50)
        assert len(set(alone.tolist()) & set(rows.tolist())) >= 49
