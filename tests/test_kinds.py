"""What every kind of vector index keeps to, whatever it looks at: exact scores, order, filters, files, chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.kinds import VectorIndexKind, build_vector_index, open_vector_index
from index.recall import TARGET, Recall, Tunable, measure_recall, tune
from index.vector_index import VectorIndex
from index.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from index.records import Rows, Scores, Vectors

N, DIM = 9000, 64
TUNED = [VectorIndexKind.HNSW, VectorIndexKind.IVF_SQ, VectorIndexKind.IVF_PQ]


def clustered(n: int, dim: int = DIM, seed: int = 0) -> Vectors:
    """Rows around 40 centres, the same ones for every seed."""
    centres = np.random.default_rng(99).normal(size=(40, dim))
    chance = np.random.default_rng(seed)
    return unit_rows(centres[chance.integers(40, size=n)] + 0.7 * chance.normal(size=(n, dim)))


ROWS, QUERIES = clustered(N), clustered(50, seed=1)
SCORES = (QUERIES.astype(np.float64) @ ROWS.T.astype(np.float64)).astype(np.float32)


@pytest.fixture(scope="module")
def built() -> dict[VectorIndexKind, VectorIndex]:
    return {kind: build_vector_index(kind, ROWS) for kind in VectorIndexKind}


@pytest.fixture(params=VectorIndexKind)
def index(request: pytest.FixtureRequest, built: dict[VectorIndexKind, VectorIndex]) -> VectorIndex:
    return built[request.param]


def recall(found: list[tuple[Rows, Scores]], k: int, among: NDArray[np.bool_] | None = None) -> float:
    """Return the share of the truly best that was found, by NumPy."""
    allowed = np.arange(N) if among is None else np.flatnonzero(among)
    shares = []
    for (rows, _), scores in zip(found, SCORES, strict=True):
        best = allowed[np.lexsort((allowed, -scores[allowed]))][:k]
        shares.append(len(set(rows.tolist()) & set(best.tolist())) / len(best))
    return float(np.mean(shares))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(VectorIndexKind),
    asked=st.lists(st.integers(0, len(QUERIES) - 1), min_size=1, max_size=20),
    k=st.integers(0, 200) | st.sampled_from([N - 1, N, N + 1]),
    share=st.sampled_from([None, 0.0, 0.001, 0.1, 0.5, 0.8, 1.0]),
    seed=st.integers(0, 9),
)
def test_what_is_found_is_allowed_scored_exactly_ordered_and_never_fewer(
    kind: VectorIndexKind,
    asked: list[int],
    k: int,
    share: float | None,
    seed: int,
    built: dict[VectorIndexKind, VectorIndex],
) -> None:
    among = None if share is None else np.random.default_rng(seed).random(N) < share
    allowed = np.ones(N, np.bool_) if among is None else among
    found = built[kind].search(QUERIES[asked], k, among)
    assert len(found) == len(asked)
    for i, (rows, scores) in zip(asked, found, strict=True):
        assert rows.dtype == np.int64
        assert scores.dtype == np.float32
        assert len(rows) == min(k, allowed.sum())
        assert len(set(rows.tolist())) == len(rows)
        assert allowed[rows].all()
        np.testing.assert_allclose(scores, SCORES[i][rows], atol=1e-6)
        assert np.lexsort((rows, -scores)).tolist() == list(range(len(rows)))


@pytest.mark.parametrize("k", [1, 10, 100])
def test_enough_of_the_best_are_found(k: int, index: VectorIndex) -> None:
    assert recall(index.search(QUERIES, k), k) >= 0.98
    assert recall([index.search(query[None], k)[0] for query in QUERIES], k) >= 0.98


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
def test_enough_of_the_best_are_found_among_some(share: float, index: VectorIndex) -> None:
    by_chance = np.random.default_rng(3).random(N) < share
    far = SCORES[0] <= np.quantile(SCORES[0], share)
    for among in (by_chance, far):
        found = [index.search(query[None], 10, among)[0] for query in QUERIES]
        assert recall(found, 10, among) >= 0.97
        assert {len(rows) for rows, _ in found} == {min(10, among.sum())}


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(VectorIndexKind), asked=st.integers(0, len(QUERIES) - 1), k=st.integers(1, 15))
def test_hits_at_k_are_a_prefix_of_hits_at_one_more(
    kind: VectorIndexKind, asked: int, k: int, built: dict[VectorIndexKind, VectorIndex]
) -> None:
    query = QUERIES[asked : asked + 1]
    ((fewer, _),), ((more, _),) = (built[kind].search(query, n) for n in (k, k + 1))
    assert more[:k].tolist() == fewer.tolist()


@pytest.mark.parametrize("kind", VectorIndexKind)
@pytest.mark.parametrize("n_copies", [4, 700])
def test_equal_vectors_come_by_row(kind: VectorIndexKind, n_copies: int) -> None:
    vectors = np.repeat(clustered(2800 // n_copies), n_copies, axis=0)
    index = build_vector_index(kind, vectors)
    expected = build_vector_index(VectorIndexKind.FLAT, vectors)
    for k in (1, 6, n_copies):
        for query in QUERIES[:5]:
            ((rows, _),), ((others, _),) = index.search(query[None], k), expected.search(query[None], k)
            assert rows.tolist() == others.tolist()


@pytest.mark.parametrize("kind", VectorIndexKind)
@pytest.mark.parametrize("dim", [3, 64, 384])
@pytest.mark.parametrize("n", [1, 2, 40, 300])
def test_few_rows(kind: VectorIndexKind, n: int, dim: int, tmp_path: Path) -> None:
    vectors, queries = clustered(n, dim), clustered(4, dim, seed=1)
    index = build_vector_index(kind, vectors)
    index.save(tmp_path / "index.faiss")
    expected = build_vector_index(VectorIndexKind.FLAT, vectors).search(queries, 10)
    for one in (index, open_vector_index(kind, tmp_path / "index.faiss", vectors)):
        assert (one.n_rows, one.dim) == (n, dim)
        for query, (rows, scores) in zip(queries, expected, strict=True):
            ((found, same),), (some,) = one.search(query[None], 10), one.candidates(query[None], 10)
            assert len(found) == len(rows) == min(n, 10) <= len(some)
            if n <= 40:
                assert (found.tolist(), same.tolist()) == (rows.tolist(), scores.tolist())
            assert found[0] == rows[0]
            assert len(set(found.tolist()) & set(rows.tolist())) >= len(rows) - 2


@pytest.mark.parametrize("kind", VectorIndexKind)
def test_rows_that_are_all_alike(kind: VectorIndexKind, tmp_path: Path) -> None:
    vectors = np.repeat(clustered(1), 5000, axis=0)
    build_vector_index(kind, vectors).save(tmp_path / "index.faiss")
    index = open_vector_index(kind, tmp_path / "index.faiss", vectors)
    among = np.arange(5000) >= 400
    for query in (QUERIES[:1], vectors[:1]):
        assert index.search(query, 30)[0][0].tolist() == list(range(30))
        assert index.search(query, 3, among)[0][0].tolist() == [400, 401, 402]


def test_a_file_gives_back_the_index(
    index: VectorIndex, built: dict[VectorIndexKind, VectorIndex], tmp_path: Path
) -> None:
    (kind,) = (kind for kind, one in built.items() if one is index)
    index.save(tmp_path / "index.faiss")
    opened = open_vector_index(kind, tmp_path / "index.faiss", ROWS)
    assert getattr(opened, "effort", 0) == getattr(index, "effort", 0)
    among = np.arange(N) % 3 == 0
    for filtered in (None, among):
        before, after = index.search(QUERIES, 20, filtered), opened.search(QUERIES, 20, filtered)
        for (rows, scores), (others, same) in zip(before, after, strict=True):
            assert (rows.tolist(), scores.tolist()) == (others.tolist(), same.tolist())
    opened.save(tmp_path / "again.faiss")
    assert (tmp_path / "again.faiss").read_bytes() == (tmp_path / "index.faiss").read_bytes()


@pytest.mark.parametrize("kind", TUNED)
def test_the_same_rows_make_the_same_file_in_any_number_of_threads(kind: VectorIndexKind, tmp_path: Path) -> None:
    import faiss

    n_threads = faiss.omp_get_max_threads()
    files = []
    try:
        for n in (n_threads, 1, 3):
            faiss.omp_set_num_threads(n)
            build_vector_index(kind, ROWS[:3000]).save(tmp_path / "index.faiss")
            assert faiss.omp_get_max_threads() == n
            files.append((tmp_path / "index.faiss").read_bytes())
    finally:
        faiss.omp_set_num_threads(n_threads)
    assert files[0] == files[1] == files[2]


def test_recall_is_what_is_found_of_the_best(index: VectorIndex) -> None:
    measured = measure_recall(index, ROWS, QUERIES)
    found = [index.search(query[None], 10)[0] for query in QUERIES]
    assert (measured.k, measured.n_queries) == (10, len(QUERIES))
    assert measured.recall == pytest.approx(recall(found, 10), abs=1e-9)
    assert measure_recall(index, ROWS).recall >= TARGET


@pytest.mark.parametrize("kind", [VectorIndexKind.IVF_SQ, VectorIndexKind.IVF_PQ])
def test_an_index_looks_no_harder_than_it_must(
    kind: VectorIndexKind, built: dict[VectorIndexKind, VectorIndex], tmp_path: Path
) -> None:
    built[kind].save(tmp_path / "index.faiss")
    index = open_vector_index(kind, tmp_path / "index.faiss", ROWS)
    assert isinstance(index, Tunable)
    chosen = index.effort
    assert 1 < chosen < index.most_effort
    index.effort = chosen // 2
    assert measure_recall(index, ROWS).recall < TARGET
    tune(index, ROWS)
    assert index.effort == chosen


def test_recall_of_rows_that_nothing_is_beside() -> None:
    for n, expected in ((1, 1.0), (3, 1.0)):
        index = build_vector_index(VectorIndexKind.FLAT, ROWS[:n])
        assert measure_recall(index, ROWS[:n]) == Recall(expected, 10, n)
        assert measure_recall(index, ROWS[:n], QUERIES[:2]) == Recall(1.0, 10, 2)


def test_recall_tells_what_is_missed() -> None:
    opposite = build_vector_index(VectorIndexKind.FLAT, -ROWS)
    assert measure_recall(opposite, ROWS, QUERIES, 1) == Recall(0.0, 1, len(QUERIES))
