"""The quantized vector index against the flat one: the same scores, nearly always the same rows, never fewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.errors import IndexDamagedError, IndexFormatError
from index.flat_index import FlatIndex
from index.kinds import CELLS_FROM, PQ_FROM, VectorIndexKind, build_vector_index, open_vector_index, suited_kind
from index.pq_index import PqIndex
from index.vector_index import VectorIndex
from index.vectors import unit_rows

if TYPE_CHECKING:
    from index.records import Rows, Scores, Vectors

DIM = 160
"""More than 128, so that a code stands for two numbers, as with real models."""
SHARES = {"none": 0.0, "few": 0.01, "some": 0.2, "half": 0.5, "all": 1.0}


def clustered(n: int, dim: int = DIM, seed: int = 0) -> Vectors:
    """Rows around 40 centres, the same ones for every seed."""
    centres = np.random.default_rng(99).normal(size=(40, dim))
    chance = np.random.default_rng(seed)
    return unit_rows(centres[chance.integers(40, size=n)] + 0.7 * chance.normal(size=(n, dim)))


def one_by_one(
    index: VectorIndex, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None
) -> list[tuple[Rows, Scores]]:
    return [index.search(query[np.newaxis], k, among)[0] for query in queries]


def share_found(found: list[tuple[Rows, Scores]], expected: list[tuple[Rows, Scores]]) -> float:
    pairs = zip(found, expected, strict=True)
    return float(np.mean([len(set(rows) & set(others)) / len(others) for (rows, _), (others, _) in pairs]))


ROWS = clustered(5000)
QUERIES = clustered(60, seed=1)


@pytest.fixture(scope="module")
def pq() -> PqIndex:
    return PqIndex.build(ROWS)


@pytest.fixture(scope="module")
def flat() -> FlatIndex:
    return FlatIndex.build(ROWS)


@pytest.fixture(scope="module")
def every_score(flat: FlatIndex) -> NDArray[np.float32]:
    """Shape (n_queries, n_rows)."""
    scores = np.empty((len(QUERIES), len(ROWS)), np.float32)
    for i, (rows, found) in enumerate(flat.search(QUERIES, len(ROWS))):
        scores[i, rows] = found
    return scores


@pytest.mark.parametrize("k", [1, 3, 10, 100, 1000, 5000, 9999])
def test_rows_and_scores_are_those_of_the_flat_index(k: int, pq: PqIndex, flat: FlatIndex) -> None:
    expected = flat.search(QUERIES, k)
    for found in (pq.search(QUERIES, k), one_by_one(pq, QUERIES, k)):
        assert share_found(found, expected) >= 0.999
        for (rows, scores), (others, same) in zip(found, expected, strict=True):
            assert len(rows) == len(others) == min(k, 5000)
            assert rows.dtype == np.int64
            assert scores.dtype == np.float32
            if rows.tolist() == others.tolist():
                assert scores.tolist() == same.tolist()


@settings(max_examples=60, deadline=None)
@given(
    asked=st.integers(0, len(QUERIES) - 1),
    k=st.integers(0, 300),
    share=st.sampled_from([None, *SHARES]),
    seed=st.integers(0, 9),
)
def test_what_is_found_is_allowed_scored_exactly_ordered_and_never_fewer(
    asked: int, k: int, share: str | None, seed: int, pq: PqIndex, every_score: NDArray[np.float32]
) -> None:
    among = None if share is None else np.random.default_rng(seed).random(len(ROWS)) < SHARES[share]
    ((rows, scores),) = pq.search(QUERIES[asked : asked + 1], k, among)
    allowed = np.arange(len(ROWS)) if among is None else np.flatnonzero(among)
    assert len(rows) == min(k, len(allowed))
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(allowed)
    exact = every_score[asked]
    assert scores.tolist() == exact[rows].tolist()
    assert np.lexsort((rows, -scores)).tolist() == list(range(len(rows)))
    best = allowed[np.lexsort((allowed, -exact[allowed]))][:k]
    assert len(set(rows) & set(best)) >= len(best) - 1


@settings(max_examples=40, deadline=None)
@given(asked=st.integers(0, len(QUERIES) - 1), k=st.integers(1, 400))
def test_hits_at_k_are_a_prefix_of_hits_at_one_more(asked: int, k: int, pq: PqIndex) -> None:
    query = QUERIES[asked : asked + 1]
    ((fewer, _),), ((more, _),) = pq.search(query, k), pq.search(query, k + 1)
    assert more[:k].tolist() == fewer.tolist()


def test_filters_by_one_row_and_by_rows_far_from_the_query(
    pq: PqIndex, flat: FlatIndex, every_score: NDArray[np.float32]
) -> None:
    one = np.zeros(len(ROWS), np.bool_)
    one[4321] = True
    assert [rows.tolist() for rows, _ in pq.search(QUERIES, 7, one)] == [[4321]] * len(QUERIES)
    for share in (0.9, 0.5, 0.1):
        far = every_score[0] < np.quantile(every_score[0], share)
        ((rows, scores),), ((others, same),) = pq.search(QUERIES[:1], 10, far), flat.search(QUERIES[:1], 10, far)
        assert (rows.tolist(), scores.tolist()) == (others.tolist(), same.tolist())


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 31, 32, 129, 130, 383, 768, 1024])
@pytest.mark.parametrize("n", [1, 5, 17, 1000])
def test_any_dim_and_number_of_rows(dim: int, n: int, tmp_path: Path) -> None:
    if dim > 700 and n > 17:
        n = 600
    vectors, queries = clustered(n, dim), clustered(4, dim, seed=1)
    index = PqIndex.build(vectors)
    index.save(tmp_path / "index.faiss")
    expected = FlatIndex.build(vectors).search(queries, 10)
    for one in (index, PqIndex.open(tmp_path / "index.faiss", vectors)):
        assert (one.n_rows, one.dim) == (n, dim)
        assert share_found(one_by_one(one, queries, 10), expected) == 1


def test_many_queries_over_many_rows() -> None:
    vectors, queries = clustered(30_000, 32), clustered(500, 32, seed=1)
    pq, flat = PqIndex.build(vectors), FlatIndex.build(vectors)
    found, expected = pq.search(queries, 10), flat.search(queries, 10)
    assert share_found(found, expected) >= 0.999
    assert share_found(one_by_one(pq, queries[:50], 10), expected[:50]) >= 0.999
    among = np.random.default_rng(0).random(30_000) < 0.3
    assert share_found(pq.search(queries, 10, among), flat.search(queries, 10, among)) >= 0.999


@pytest.mark.parametrize("n_copies", [3, 700, 5000])
def test_equal_vectors_come_by_row(n_copies: int) -> None:
    vectors = np.repeat(clustered(6000 // n_copies, 64), n_copies, axis=0)
    queries = clustered(5, 64, seed=1)
    pq, flat = PqIndex.build(vectors), FlatIndex.build(vectors)
    for k in (1, 10, 800):
        for (rows, _), (others, _) in zip(one_by_one(pq, queries, k), flat.search(queries, k), strict=True):
            assert rows.tolist() == others.tolist()


def test_vectors_closer_than_their_codes_tell_apart() -> None:
    query = clustered(1, seed=1)
    vectors = unit_rows(query + 1e-4 * np.random.default_rng(0).normal(size=(2000, DIM)))
    vectors[500:] = clustered(1500)
    ((rows, scores),) = PqIndex.build(vectors).search(query, 10)
    ((others, same),) = FlatIndex.build(vectors).search(query, 10)
    assert (rows.tolist(), scores.tolist()) == (others.tolist(), same.tolist())


def test_nothing_to_find(pq: PqIndex) -> None:
    assert pq.search(QUERIES[:0], 5) == []
    assert [rows.size for rows, _ in pq.search(QUERIES[:2], 0)] == [0, 0]
    nobody = np.zeros(len(ROWS), np.bool_)
    assert [(rows.size, scores.size) for rows, scores in pq.search(QUERIES[:2], 5, nobody)] == [(0, 0), (0, 0)]


def test_what_is_no_vector_or_filter_is_refused(pq: PqIndex) -> None:
    with pytest.raises(ValueError, match="vectors"):
        pq.search(QUERIES[:, :-1], 1)
    with pytest.raises(ValueError, match="filter"):
        pq.search(QUERIES, 1, np.ones(3, np.bool_))
    with pytest.raises(ValueError, match="not finite"):
        PqIndex.build(np.full((3, DIM), np.nan, np.float32))


def test_the_same_rows_make_the_same_file_in_any_number_of_threads(tmp_path: Path) -> None:
    import faiss

    n_threads = faiss.omp_get_max_threads()
    files = []
    try:
        for n in (n_threads, 1, 3):
            faiss.omp_set_num_threads(n)
            PqIndex.build(ROWS).save(tmp_path / "index.faiss")
            assert faiss.omp_get_max_threads() == n
            files.append((tmp_path / "index.faiss").read_bytes())
    finally:
        faiss.omp_set_num_threads(n_threads)
    assert files[0] == files[1] == files[2]


def test_a_file_gives_back_the_index(pq: PqIndex, tmp_path: Path) -> None:
    pq.save(tmp_path / "index.faiss")
    assert (tmp_path / "index.faiss").stat().st_size < ROWS.nbytes / 7
    opened = PqIndex.open(tmp_path / "index.faiss", ROWS)
    for (rows, scores), (others, same) in zip(opened.search(QUERIES, 20), pq.search(QUERIES, 20), strict=True):
        assert (rows.tolist(), scores.tolist()) == (others.tolist(), same.tolist())


def test_a_file_that_cannot_be_written_is_told(pq: PqIndex, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        pq.save(tmp_path / "missing" / "index.faiss")


def test_damaged_files_are_told_or_still_score_exactly(tmp_path: Path) -> None:
    vectors, path = clustered(700, 6), tmp_path / "index.faiss"
    PqIndex.build(vectors).save(path)
    whole = path.read_bytes()
    n_head, n_centroids, n_middle = 69, 4 * 16 * 6, 36
    frame = {*range(n_head), *range(n_head + n_centroids, n_head + n_centroids + n_middle)}
    exact = vectors.astype(np.float64) @ vectors[0].astype(np.float64)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        if at in frame:  # nothing of it is believed: FAISS would end the process
            with pytest.raises(IndexDamagedError, match=r"index\.faiss: not an index of kind pq of 700 vectors of 6"):
                PqIndex.open(path, vectors)
        elif at % 25 == 0:
            ((rows, scores),) = PqIndex.open(path, vectors).search(vectors[:1], 5)
            assert scores.tolist() == exact[rows].astype(np.float32).tolist()
            assert len(rows) == 5
    for content in (b"", whole[:3], whole[:60], whole[:200], whole[:-1], whole + b"\0", b"\xff" * len(whole)):
        path.write_bytes(content)
        with pytest.raises(IndexDamagedError, match=r"index\.faiss"):
            PqIndex.open(path, vectors)
    with pytest.raises(IndexDamagedError, match=r"none\.faiss: cannot be read"):
        PqIndex.open(tmp_path / "none.faiss", vectors)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 0.0])
def test_numbers_of_any_size_in_a_damaged_file(value: float, tmp_path: Path) -> None:
    vectors, path = clustered(700, 6), tmp_path / "index.faiss"
    PqIndex.build(vectors).save(path)
    whole = path.read_bytes()
    centroids = np.full(16 * 6, value, "<f4").tobytes()
    path.write_bytes(whole[:69] + centroids + whole[69 + len(centroids) :])
    ((rows, _),) = PqIndex.open(path, vectors).search(vectors[:1], 5)
    assert rows.tolist() == FlatIndex.build(vectors).search(vectors[:1], 5)[0][0].tolist()
    path.write_bytes(whole)
    changed = vectors.copy()
    changed[::2] = value
    ((rows, scores),) = PqIndex.open(path, changed).search(vectors[:1], 5)
    assert len(rows) == len(scores) <= 5


def test_the_kind_follows_from_the_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [suited_kind(n) for n in (0, 1, PQ_FROM - 1, PQ_FROM)] == ["flat", "flat", "flat", "pq"]
    assert [suited_kind(n) for n in (CELLS_FROM - 1, CELLS_FROM)] == ["pq", "ivf-pq"]
    assert [suited_kind(n, "hnsw") for n in (0, 1, CELLS_FROM)] == ["flat", "hnsw", "hnsw"]
    monkeypatch.setattr("index.kinds.PQ_FROM", 0)
    assert [suited_kind(n) for n in (0, 1)] == ["flat", "pq"]


@pytest.mark.parametrize("kind", VectorIndexKind)
def test_each_kind_opens_its_own_files_only(kind: VectorIndexKind, tmp_path: Path) -> None:
    vectors, path = clustered(100, 24), tmp_path / "index.faiss"
    build_vector_index(kind, vectors).save(path)
    index = open_vector_index(kind.value, path, vectors)
    assert index.search(vectors[:1], 1)[0][0].tolist() == [0]
    others = [(other, vectors) for other in VectorIndexKind if other != kind]
    for name, rows in (*others, (kind, vectors[:50]), (kind, clustered(100, 23))):
        with pytest.raises(IndexDamagedError, match=r"index\.faiss"):
            open_vector_index(name, path, rows)
    with pytest.raises(IndexFormatError, match=r"kind 'lsh'; this version reads flat, pq, hnsw, ivf-sq"):
        open_vector_index("lsh", path, vectors)
