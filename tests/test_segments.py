"""Rows of several segments read as those of one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from index.kinds import VectorIndexKind, build_vector_index
from index.segments import Bases, SegmentedIndex, SegmentedRows
from index.vectors import unit_rows

if TYPE_CHECKING:
    from index.records import Vectors

SIZES = [[7], [3, 4], [1, 1, 1], [40, 0, 2, 10], [5, 0]]


def parts_of(sizes: list[int]) -> tuple[Vectors, list[Vectors]]:
    rows = unit_rows(np.random.default_rng(1).normal(size=(sum(sizes), 16)))
    return rows, np.split(rows, np.cumsum(sizes)[:-1])


@pytest.mark.parametrize("sizes", SIZES)
def test_rows_are_those_of_one_array(sizes: list[int]) -> None:
    rows, parts = parts_of(sizes)
    both = SegmentedRows(parts, 16)
    n = len(rows)
    assert (len(both), both.shape) == (n, (n, 16))
    chance = np.random.default_rng(2)
    asked: list[Any] = [
        slice(None),
        slice(1, n - 1),
        slice(None, None, -2),
        slice(n, n + 5),
        np.arange(0),
        np.array([n - 1, 0, 0]),
    ]
    asked += [chance.integers(0, n, size=size) for size in (1, 5, 50)]
    for one in asked:
        np.testing.assert_array_equal(both[one], rows[one])


@pytest.mark.parametrize("sizes", SIZES)
def test_bases_say_where_rows_are(sizes: list[int]) -> None:
    bases = Bases(sizes)
    asked = np.random.default_rng(3).permutation(sum(sizes))
    found = np.full(len(asked), -1)
    for number, at, own in bases.parts(asked):
        assert ((own >= 0) & (own < sizes[number])).all()
        found[at] = own + sum(sizes[:number])
    np.testing.assert_array_equal(found, asked)


@pytest.mark.parametrize("sizes", [sizes for sizes in SIZES if 0 not in sizes])
@pytest.mark.parametrize("some", [False, True])
def test_a_search_finds_what_one_index_finds(sizes: list[int], some: bool) -> None:
    rows, parts = parts_of(sizes)
    whole = build_vector_index(VectorIndexKind.FLAT, rows)
    both = SegmentedIndex([build_vector_index(VectorIndexKind.FLAT, part) for part in parts], SegmentedRows(parts, 16))
    assert (both.n_rows, both.dim) == (len(rows), 16)
    queries = unit_rows(np.random.default_rng(4).normal(size=(5, 16)))
    among = np.arange(len(rows)) % 3 != 1 if some else None
    for k in (1, 3, len(rows), len(rows) + 5):
        for (found, scores), (expected, wanted) in zip(
            both.search(queries, k, among), whole.search(queries, k, among), strict=True
        ):
            assert found.tolist() == expected.tolist()
            np.testing.assert_allclose(scores, wanted, atol=1e-6)
    for found, (best, _) in zip(both.candidates(queries, 2, among), whole.search(queries, 2, among), strict=True):
        assert set(best.tolist()) <= set(found.tolist())
        assert len(set(found.tolist())) == len(found)


def test_equal_scores_are_ordered_by_row() -> None:
    rows = np.repeat(unit_rows(np.eye(2)), 4, axis=0)
    parts = [rows[:3], rows[3:]]
    both = SegmentedIndex([build_vector_index(VectorIndexKind.FLAT, part) for part in parts], SegmentedRows(parts, 2))
    ((found, _),) = both.search(unit_rows(np.array([[1, 1]])), 6)
    assert found.tolist() == [0, 1, 2, 3, 4, 5]
