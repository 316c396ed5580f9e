"""Vectors in fewer bytes a number: unit rows come back, near those written; every kind of index is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.balance import BalancedVectors
from index.config import VectorNumbers
from index.errors import IndexDamagedError
from index.kinds import VectorIndexKind, build_vector_index, open_vector_index
from index.vectors import VectorFile, open_vectors, unit_rows

if TYPE_CHECKING:
    from index.records import Vectors

LEAST = {VectorNumbers.FLOAT32: 1 - 1e-6, VectorNumbers.FLOAT16: 1 - 1e-6, VectorNumbers.INT8: 0.9998}
"""The least cosine of a vector of 384 numbers and what is stored of it."""


def random_rows(n: int, dim: int = 384, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def write(path: Path, rows: Vectors, numbers: VectorNumbers) -> None:
    file = VectorFile(path, rows.shape[1], numbers)
    for at in range(0, len(rows), 70):
        file.append(rows[at : at + 70])
    file.close()


@pytest.mark.parametrize("numbers", VectorNumbers)
def test_unit_rows_come_back_near_those_written(numbers: VectorNumbers, tmp_path: Path) -> None:
    rows, path = random_rows(200), tmp_path / "vectors.npy"
    write(path, rows, numbers)
    assert path.stat().st_size - 128 == rows.size * np.dtype(numbers).itemsize
    stored = open_vectors(path, 200, 384, numbers)
    assert (stored.shape, len(stored)) == ((200, 384), 200)
    some = np.array([7, 199, 0, 7])
    np.testing.assert_array_equal(open_vectors(path, 200, 384, numbers, scattered=True)[some], stored[some])
    for found, expected in ((stored[:], rows), (stored[30:60], rows[30:60]), (stored[some], rows[some])):
        assert found.dtype == np.float32
        assert np.einsum("ij,ij->i", found, expected).min() >= LEAST[numbers]
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("numbers", VectorNumbers)
def test_a_file_in_other_numbers_is_told(numbers: VectorNumbers, tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    write(path, random_rows(5), numbers)
    for other in set(VectorNumbers) - {numbers}:
        with pytest.raises(IndexDamagedError, match=rf"vectors\.npy: holds \(5, 384\) values of {numbers}, not"):
            open_vectors(path, 5, 384, other)
    with pytest.raises(ValueError, match="float8"):
        open_vectors(path, 5, 384, "float8")


@pytest.mark.parametrize("numbers", [VectorNumbers.FLOAT16, VectorNumbers.INT8])
def test_rows_of_zeros_and_of_no_numbers_do_no_harm(numbers: VectorNumbers, tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    write(path, np.zeros((3, 4), np.float32), numbers)
    assert open_vectors(path, 3, 4, numbers)[:].tolist() == [[0.0] * 4] * 3
    path.write_bytes(path.read_bytes()[:128] + b"\xff" * (12 * np.dtype(numbers).itemsize))
    assert open_vectors(path, 3, 4, numbers)[1:].shape == (2, 4)
    write(path, np.zeros((0, 4), np.float32), numbers)
    assert open_vectors(path, 0, 4, numbers, scattered=True)[:].shape == (0, 4)


@pytest.mark.parametrize("numbers", [VectorNumbers.FLOAT16, VectorNumbers.INT8])
@pytest.mark.parametrize("kind", VectorIndexKind)
def test_every_kind_of_index_finds_what_is_stored(
    kind: VectorIndexKind, numbers: VectorNumbers, tmp_path: Path
) -> None:
    rows, path = random_rows(300, 32), tmp_path / "index.faiss"
    write(tmp_path / "vectors.npy", rows, numbers)
    stored = open_vectors(tmp_path / "vectors.npy", 300, 32, numbers)
    offsets = np.zeros((2, 32), np.float32)
    offsets[1, 0] = 0.3
    for vectors in (stored, BalancedVectors(stored, np.arange(300, dtype=np.uint16) % 2, offsets, 0.7)):
        build_vector_index(kind, vectors).save(path)
        exact = vectors[:].astype(np.float64) @ rows[11].astype(np.float64)
        ((found, scores),) = open_vector_index(kind, path, vectors).search(rows[11:12], 5)
        assert found[0] == 11
        assert found.tolist() == np.argsort(-exact)[:5].tolist()
        assert scores.tolist() == exact[found].astype(np.float32).tolist()
