"""Vectors against NumPy as the oracle: exact search by FAISS, the vector file, normalisation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.errors import IndexDamagedError, ModelError
from index.flat_index import FlatIndex
from index.vectors import VectorFile, check_vectors, open_array, open_vectors, unit_rows

if TYPE_CHECKING:
    from index.records import Vectors


def random_rows(n: int, dim: int = 16, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def axes(*numbers: int, dim: int = 8) -> Vectors:
    """Rows that each lie on one axis: every score is exactly 0 or 1."""
    rows: Vectors = np.eye(dim, dtype=np.float32)[list(numbers)]
    return rows


def oracle(vectors: Vectors, query: Vectors, k: int, among: NDArray[np.bool_] | None = None) -> list[int]:
    scores = vectors @ query
    rows = np.arange(len(vectors)) if among is None else np.flatnonzero(among)
    return [int(row) for row in rows[np.lexsort((rows, -scores[rows]))][:k]]


@pytest.mark.parametrize("n", [1, 2, 17, 400])
@pytest.mark.parametrize("k", [1, 5, 9, 1000])
def test_search_gives_what_numpy_gives(n: int, k: int) -> None:
    vectors, queries = random_rows(n), random_rows(25, seed=1)
    found = FlatIndex.build(vectors).search(queries, k)
    assert len(found) == 25
    for query, (rows, scores) in zip(queries, found, strict=True):
        assert rows.tolist() == oracle(vectors, query, k)
        assert rows.dtype == np.int64
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, (vectors @ query)[rows], atol=1e-6)


@pytest.mark.parametrize("share", ["none", "one", "few", "half", "all"])
def test_filters(share: str) -> None:
    vectors, queries = random_rows(300), random_rows(3, seed=1)
    among = np.zeros(300, np.bool_)
    among[{"none": [], "one": [299], "few": [0, 8, 9, 150], "half": range(0, 300, 2), "all": range(300)}[share]] = True
    for query, (rows, _) in zip(queries, FlatIndex.build(vectors).search(queries, 7, among), strict=True):
        assert rows.tolist() == oracle(vectors, query, 7, among)
        assert len(rows) == min(7, among.sum())


def test_k_cut_inside_equal_scores_gives_the_lowest_rows() -> None:
    # 200 rows alike: far more than FAISS is asked for at first
    vectors = axes(*[1] * 100, 0, *[1] * 100)
    index = FlatIndex.build(vectors)
    ((rows, scores),) = index.search(axes(1), 12)
    assert rows.tolist() == list(range(12))
    assert scores.tolist() == [1.0] * 12
    ((rows, _),) = index.search(axes(1), 105)
    assert rows.tolist() == [*range(100), *range(101, 106)]
    among = np.zeros(201, np.bool_)
    among[150:] = True
    ((rows, _),) = index.search(axes(1), 3, among)
    assert rows.tolist() == [150, 151, 152]


def test_scores_go_down_and_equal_ones_by_row() -> None:
    vectors = unit_rows(np.array([[3, 4], [1, 0], [4, 3], [1, 0], [0, 1]], np.float32))
    ((rows, scores),) = FlatIndex.build(vectors).search(unit_rows(np.array([[1, 0]])), 5)
    assert rows.tolist() == [1, 3, 2, 0, 4]
    np.testing.assert_allclose(scores, [1, 1, 0.8, 0.6, 0], atol=1e-7)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 62), st.integers(0, 3))
def test_hits_at_k_are_a_prefix_of_hits_at_one_more(numbers: list[int], k: int, asked: int) -> None:
    index = FlatIndex.build(axes(*numbers))
    ((fewer, _),) = index.search(axes(asked), k)
    ((more, _),) = index.search(axes(asked), k + 1)
    assert more[: len(fewer)].tolist() == fewer.tolist()
    assert len(fewer) == min(k, len(numbers))
    assert fewer.tolist() == oracle(axes(*numbers), axes(asked)[0], k)


def test_nothing_to_find() -> None:
    index = FlatIndex.build(random_rows(3))
    assert index.search(random_rows(0), 5) == []
    assert [rows.size for rows, _ in index.search(random_rows(2), 0)] == [0, 0]
    empty = FlatIndex.build(random_rows(0))
    assert [(rows.size, scores.size) for rows, scores in empty.search(random_rows(2), 5)] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros(8),
        np.zeros((2, 7)),
        np.zeros((2, 8, 1)),
        [[float("nan")] * 8],
        [[float("inf")] * 8],
        [[1e300] * 8],
        [["1"] * 8],
        [[1j] * 8],
        np.zeros((1, 8), object),
    ],
)
def test_rows_that_are_no_vectors_are_refused(rows: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vectors"):
        check_vectors(rows, 8)
    with pytest.raises(ValueError, match="vectors"):
        FlatIndex.build(axes(0)).search(rows, 1)  # type: ignore[arg-type]
    file = VectorFile(tmp_path / "v.npy", 8)
    with pytest.raises(ValueError, match="vectors"):
        file.append(rows)
    assert file.n_rows == 0
    file.close()


def test_rows_are_made_float32_and_contiguous() -> None:
    checked = check_vectors(np.asfortranarray(np.ones((3, 8), np.float64)), 8)
    assert checked.dtype == np.float32
    assert checked.flags.c_contiguous


@pytest.mark.parametrize("among", [np.ones(2, np.bool_), np.zeros(4, np.bool_), np.ones((3, 1), np.bool_), np.ones(3)])
def test_filters_that_do_not_fit_are_refused(among: NDArray[np.bool_]) -> None:
    with pytest.raises(ValueError, match="filter"):
        FlatIndex.build(axes(0, 1, 2)).search(axes(0), 1, among)


def test_a_score_is_the_same_however_it_is_asked_for() -> None:
    # FAISS takes other paths for one query, for many, and for a filter
    vectors = random_rows(60_000, 48)
    index = FlatIndex.build(vectors)
    queries = unit_rows(vectors[:40] + random_rows(40, 48, seed=1))
    everything = np.ones(len(vectors), np.bool_)
    for k in (1, 10, 100):
        batch = index.search(queries, k)
        for among in (None, everything):
            alone = [index.search(query[np.newaxis], k, among)[0] for query in queries]
            for other in (alone, index.search(queries, k, among)):
                for (rows, scores), (others, same) in zip(batch, other, strict=True):
                    assert rows.tolist() == others.tolist()
                    assert scores.tolist() == same.tolist()
    exact = vectors[batch[0][0]].astype(np.float64) @ queries[0].astype(np.float64)
    assert batch[0][1].tolist() == exact.astype(np.float32).tolist()


def test_scores_closer_than_faiss_tells_apart_are_cut_in_the_right_place() -> None:
    query = random_rows(1, 48)
    vectors = unit_rows(query + 3e-7 * random_rows(500, 48, seed=1))
    exact = (vectors.astype(np.float64) @ query[0].astype(np.float64)).astype(np.float32)
    ((rows, scores),) = FlatIndex.build(vectors).search(query, 10)
    assert rows.tolist() == np.lexsort((np.arange(500), -exact))[:10].tolist()
    assert scores.tolist() == exact[rows].tolist()


def test_equal_vectors_score_alike_and_come_by_row() -> None:
    vectors = np.repeat(random_rows(300, 48), 5, axis=0)
    for rows, scores in FlatIndex.build(vectors).search(random_rows(20, 48, seed=1), 50):
        assert all(len(set(group)) == 1 for group in scores.reshape(-1, 5).tolist())
        assert (np.diff(rows.reshape(-1, 5), axis=1) == 1).all()


def test_unit_rows() -> None:
    rows = unit_rows(np.array([[3, 4], [0, -2]], np.int64))
    np.testing.assert_array_equal(rows, np.array([[0.6, 0.8], [0, -1]], np.float32))
    assert rows.dtype == np.float32
    assert unit_rows(np.zeros((0, 5))).shape == (0, 5)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_rows_without_a_direction_are_a_models_fault(value: float) -> None:
    with pytest.raises(ModelError, match="not finite or is all zeros"):
        unit_rows(np.array([[1.0, 0.0], [value, value]]))


@pytest.mark.parametrize("parts", [[], [0], [1], [3, 1, 4], [99_999, 2]])
def test_vector_file_gives_back_what_was_written(parts: list[int], tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    rows = random_rows(sum(parts), 3)
    file = VectorFile(path, 3)
    at = 0
    for n in parts:
        file.append(rows[at : at + n])
        at += n
    file.close()
    assert file.n_rows == len(rows)
    np.testing.assert_array_equal(open_vectors(path, len(rows), 3), rows)
    np.testing.assert_array_equal(np.load(path), rows)  # a plain .npy file, for anyone's tools


def test_damaged_vector_files(tmp_path: Path) -> None:
    path, other = tmp_path / "vectors.npy", tmp_path / "other.npy"
    file = VectorFile(path, 4)
    file.append(random_rows(5, 4))
    file.close()
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[:-1], b"PK\x03\x04", b"no array", whole.replace(b"}", b" ", 1)):
        other.write_bytes(content)
        with pytest.raises(IndexDamagedError, match=r"other\.npy"):
            open_vectors(other, 5, 4)
    with pytest.raises(IndexDamagedError, match=r"\(6, 4\)"):
        open_vectors(path, 6, 4)
    with pytest.raises(IndexDamagedError, match="float32"):
        open_vectors(path, 5, 3)
    np.save(other, np.zeros((5, 4)))
    with pytest.raises(IndexDamagedError, match="float64"):
        open_vectors(other, 5, 4)
    np.save(other, np.array([{}], object), allow_pickle=True)
    with pytest.raises(IndexDamagedError, match="header is not as it was written"):
        open_array(other, (1,), "uint16")
    with pytest.raises(IndexDamagedError, match="missing"):
        open_vectors(tmp_path / "missing.npy", 5, 4)


def test_every_flipped_bit_of_a_header_is_told_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    rows = random_rows(5, 4)
    file = VectorFile(path, 4)
    file.append(rows)
    file.close()
    whole = path.read_bytes()
    n_told = 0
    for at in range(128):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(open_vectors(path, 5, 4), rows)
        except IndexDamagedError:
            n_told += 1
    assert n_told > 60


def test_faiss_file_gives_back_the_index(tmp_path: Path) -> None:
    vectors = random_rows(50)
    FlatIndex.build(vectors).save(tmp_path / "index.faiss")
    opened = FlatIndex.open(tmp_path / "index.faiss", 50, 16)
    assert (opened.n_rows, opened.dim) == (50, 16)
    ((rows, _),) = opened.search(vectors[:1], 50)
    assert rows.tolist() == oracle(vectors, vectors[0], 50)


def own_memory() -> int:
    """Return the bytes of this process that no file holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what memory is a file's")
def test_an_opened_index_stays_in_its_file(tmp_path: Path) -> None:
    vectors = random_rows(90_000, 128)
    built = FlatIndex.build(vectors)
    built.save(tmp_path / "index.faiss")
    before = own_memory()
    opened = FlatIndex.open(tmp_path / "index.faiss", 90_000, 128)
    found = opened.search(vectors[:1], 10)
    assert own_memory() - before < vectors.nbytes / 10
    ((rows, scores),), ((expected, same),) = found, built.search(vectors[:1], 10)
    assert (rows.tolist(), scores.tolist()) == (expected.tolist(), same.tolist())


def test_damaged_faiss_files(tmp_path: Path) -> None:
    import faiss

    path = tmp_path / "index.faiss"
    FlatIndex.build(random_rows(5)).save(path)
    whole = path.read_bytes()
    n_told = 0
    for content in (b"", whole[:3], whole[:20], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(IndexDamagedError, match=r"index\.faiss"):
            FlatIndex.open(path, 5, 16)
    for at in range(45):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            FlatIndex.open(path, 5, 16)
        except IndexDamagedError:
            n_told += 1
    assert n_told == 45  # nothing but vectors may be any bytes
    faiss.write_index(faiss.IndexFlatL2(16), str(path))
    with pytest.raises(IndexDamagedError, match="not an index of kind flat of 5 vectors of 16 numbers"):
        FlatIndex.open(path, 5, 16)
    with pytest.raises(IndexDamagedError, match=r"none\.faiss"):
        FlatIndex.open(tmp_path / "none.faiss", 5, 16)


def test_an_index_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        FlatIndex.build(axes(0)).save(tmp_path / "missing" / "index.faiss")
