"""Vectors of sentences: what is written comes back to the nearest of 255 steps, with its place; damage is told."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.errors import IndexDamagedError
from index.records import Passage
from index.sentence_files import SENTENCE_FILES, SENTENCES, STARTS
from index.sentence_vectors import SentenceVectors, SentenceWriter
from index.vectors import to_int8, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.records import Vectors

DIM = 24
COUNTS = [2, 0, 3, 5, 0, 0, 2, 0]
"""Sentences of each passage."""


def random_rows(n: int, dim: int = DIM, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def passages(counts: Sequence[int]) -> list[Passage]:
    """Make passages of so many sentences, each of its own length."""
    made = []
    for number, n in enumerate(counts):
        spans = [(10 * i, 10 * i + 9 - number) for i in range(n)]
        made.append(Passage(0, 10 * n + 1, "x" * (10 * n + 1), "en", sentences=tuple(spans)))
    return made


def write(folder: Path, counts: Sequence[int], vectors: Vectors, n_at_once: int = 3) -> SentenceVectors:
    """Write the sentences of passages, some passages at a time, and open them."""
    writer = SentenceWriter(folder, vectors.shape[1])
    made = passages(counts)
    for at in range(0, len(made), n_at_once):
        before, after = sum(counts[:at]), sum(counts[: at + n_at_once])
        assert writer.n_sentences == before
        writer.append(made[at : at + n_at_once], to_int8(vectors[before:after]))
    writer.close()
    assert writer.n_sentences == sum(counts)
    return SentenceVectors([folder], [len(counts)], [sum(counts)], vectors.shape[1])


def rows(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize("n_at_once", [1, 3, 100])
def test_sentences_come_back_with_their_places(n_at_once: int, tmp_path: Path) -> None:
    vectors = random_rows(sum(COUNTS))
    written = write(tmp_path, COUNTS, vectors, n_at_once)
    starts = np.cumsum([0, *COUNTS])
    made = passages(COUNTS)
    for asked in (rows(*range(8)), rows(3), rows(6, 1, 2, 2, 0), rows(4, 5, 7), rows()):
        found = written.of(asked)
        expected = np.concatenate([np.arange(0), *(np.arange(starts[row], starts[row + 1]) for row in asked)])
        assert found.starts.tolist() == np.cumsum([0, *(COUNTS[row] for row in asked)]).tolist()
        assert [tuple(span) for span in found.spans.tolist()] == [s for row in asked for s in made[row].sentences]
        assert found.vectors.shape == (len(expected), DIM)
        assert found.vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(found.vectors, vectors[expected.astype(int)], atol=0.01)


@pytest.mark.parametrize("dim", [1, 2, 64, 384, 1024])
def test_the_steps_are_fine(dim: int, tmp_path: Path) -> None:
    vectors, queries = random_rows(200, dim), random_rows(50, dim, seed=1)
    found = write(tmp_path, [200], vectors).of(rows(0)).vectors
    # Each number is off by at most half a step of a 127th of the largest, before the length is made 1 again.
    half = np.abs(vectors).max(axis=1) / 254
    assert (np.abs(to_int8(vectors) * (2 * half[:, None]) - vectors) <= half[:, None] + 1e-6).all()
    error = np.abs((found - vectors) @ queries.T)
    assert error.max() <= np.sqrt(dim) * half.max() * 2
    assert error.mean() < 0.004


def test_the_largest_number_is_127_on_either_side() -> None:
    vectors = unit_rows(np.array([[3, -4, 0], [0, 0, 5], [1e-9, -1, 1], [-7, 0, 0]]))
    assert to_int8(vectors).tolist() == [[95, -127, 0], [0, 0, 127], [0, -127, 127], [-127, 0, 0]]
    assert to_int8(vectors[:0]).shape == (0, 3)


@pytest.mark.parametrize("counts", [[], [0], [0, 0, 0]])
def test_no_sentence_at_all(counts: list[int], tmp_path: Path) -> None:
    written = write(tmp_path, counts, random_rows(0))
    found = written.of(rows(*range(len(counts))))
    assert found.vectors.shape == (0, DIM)
    assert found.spans.shape == (0, 2)
    assert found.starts.tolist() == [0] * (len(counts) + 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(SENTENCE_FILES)


def test_a_vector_too_few_or_none_at_all_is_refused(tmp_path: Path) -> None:
    writer = SentenceWriter(tmp_path, DIM)
    with pytest.raises(ValueError, match="4 vectors of int8 came back for 5 sentences"):
        writer.append(passages([2, 3]), to_int8(random_rows(4)))
    with pytest.raises(ValueError, match="2 vectors of float32 came back"):
        writer.append(passages([2]), random_rows(2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rows of shape"):
        writer.append(passages([2]), to_int8(random_rows(2, DIM + 1)))
    assert writer.n_sentences == 0
    writer.close()


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("value", [-(2**63), -1, 1, 9, 11, 13, 2**62, 2**63 - 1])
def test_starts_that_cannot_be_are_told(at: int, value: int, tmp_path: Path) -> None:
    write(tmp_path, COUNTS, random_rows(12))
    starts = np.load(tmp_path / STARTS)
    starts[at] = value
    np.save(tmp_path / STARTS, starts)
    damaged = SentenceVectors([tmp_path], [8], [12], DIM)
    told = [not 0 <= first <= after <= 12 for first, after in itertools.pairwise(starts.tolist())]
    for row in range(8):
        if told[row]:
            with pytest.raises(IndexDamagedError, match=rf"{STARTS}: damaged.*tongues repair"):
                damaged.of(rows(row))
        else:
            assert len(damaged.of(rows(row)).spans) == starts[row + 1] - starts[row]
    if any(told):
        with pytest.raises(IndexDamagedError):
            damaged.of(np.arange(8))
    assert any(told) or 0 < value < 12


def test_a_row_of_zeros_is_no_vector_and_no_warning(tmp_path: Path) -> None:
    write(tmp_path, [3], random_rows(3))
    np.save(tmp_path / SENTENCES, np.zeros((3, DIM), np.int8))
    assert not SentenceVectors([tmp_path], [1], [3], DIM).of(rows(0)).vectors.any()


@pytest.mark.parametrize("name", SENTENCE_FILES)
def test_files_of_another_shape_are_told(name: str, tmp_path: Path) -> None:
    write(tmp_path, COUNTS, random_rows(sum(COUNTS)))
    whole = np.load(tmp_path / name)
    for other in (whole[:-1], whole.astype(np.float64), whole[:0]):
        np.save(tmp_path / name, other)
        with pytest.raises(IndexDamagedError, match=name):
            SentenceVectors([tmp_path], [len(COUNTS)], [sum(COUNTS)], DIM)
    (tmp_path / name).unlink()
    with pytest.raises(IndexDamagedError, match=name):
        SentenceVectors([tmp_path], [len(COUNTS)], [sum(COUNTS)], DIM)
