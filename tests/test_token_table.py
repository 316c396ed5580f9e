"""The table of token vectors: how near to the weights its rows are, and which files it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from index.config import Precision
from index.errors import IndexDamagedError
from index.token_table import SCALES, VALUES, TokenTable, write_table

PRECISIONS = [Precision.INT8, Precision.BF16, Precision.FP32]
# float32 itself becomes coarse below 1e-38; a model's weights are far above.
NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False).map(lambda x: x if abs(x) > 1e-30 else 0.0)
WEIGHTS = arrays.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 9)), elements=NUMBERS)


def table_of(weights: Any, folder: Path, precision: Precision) -> TokenTable:
    write_table(weights, folder, precision)
    return TokenTable.open(folder, len(weights), weights.shape[1], precision)


@pytest.fixture
def weights() -> Any:
    rows = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    return rows * np.logspace(-6, 3, 50, dtype=np.float32)[:, None]  # rare tokens have small rows


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(weights=WEIGHTS)
def test_int8_is_off_by_no_more_than_half_a_step_of_its_row(tmp_path: Path, weights: Any) -> None:
    rows = table_of(weights, tmp_path, Precision.INT8).rows(np.arange(len(weights)))
    steps = np.abs(weights).max(axis=1, keepdims=True) / 127
    assert (np.abs(rows - weights) <= steps * 0.50001).all()
    largest = np.abs(weights).argmax(axis=1)
    each = np.arange(len(weights))
    np.testing.assert_allclose(rows[each, largest], weights[each, largest], rtol=1e-6)


def test_a_small_row_keeps_its_digits_beside_large_ones(tmp_path: Path, weights: Any) -> None:
    rows = table_of(weights, tmp_path, Precision.INT8).rows(np.arange(50))
    cosines = (rows * weights).sum(axis=1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(weights, axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.parametrize(("precision", "dtype"), [(Precision.BF16, np.float16), (Precision.FP32, np.float32)])
def test_the_others_are_the_weights_in_their_number_format(
    tmp_path: Path, weights: Any, precision: Precision, dtype: Any
) -> None:
    rows = table_of(weights, tmp_path, precision).rows(np.arange(50))
    np.testing.assert_array_equal(rows, weights.astype(dtype).astype(np.float32))
    assert np.load(tmp_path / VALUES).dtype == dtype


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [(), (7,), (1, 1), (3, 5), (2, 3, 4), (0,), (2, 0)])
def test_ids_of_any_shape(tmp_path: Path, weights: Any, precision: Precision, shape: tuple[int, ...]) -> None:
    table = table_of(weights, tmp_path, precision)
    ids = np.random.default_rng(1).integers(0, 50, shape)
    rows = table.rows(ids)
    assert rows.shape == (*shape, 16)
    assert rows.dtype == np.float32
    every = table.rows(np.arange(50))
    for at in np.ndindex(shape):
        np.testing.assert_array_equal(rows[at], every[ids[at]])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_of_zeros_stay_zeros(tmp_path: Path, weights: Any, precision: Precision) -> None:
    weights[[0, 7]] = 0
    rows = table_of(weights, tmp_path, precision).rows(np.array([0, 7, 8]))
    assert not rows[:2].any()
    assert rows[2].any()


def test_what_is_returned_may_be_changed(tmp_path: Path, weights: Any) -> None:
    table = table_of(weights, tmp_path, Precision.FP32)
    table.rows(np.array([3]))[:] = 9
    np.testing.assert_array_equal(table.rows(np.array([3]))[0], weights[3])


@pytest.mark.parametrize("name", [VALUES, SCALES])
@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "missing", "other type", "other shape"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, weights: Any, name: str, damage: str) -> None:
    write_table(weights, tmp_path, Precision.INT8)
    path = tmp_path / name
    content, values = path.read_bytes(), np.load(path)
    match damage:
        case "cut":
            path.write_bytes(content[:-1])
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"no array" * 40)
        case "missing":
            path.unlink()
        case "other type":
            np.save(path, values.astype(np.float64))
        case "other shape":
            np.save(path, values[:-1])
    with pytest.raises(IndexDamagedError, match=name):
        TokenTable.open(tmp_path, 50, 16, Precision.INT8)


@pytest.mark.parametrize(
    ("written", "asked"), [(Precision.INT8, Precision.FP32), (Precision.FP32, Precision.BF16)], ids=str
)
def test_a_table_of_another_precision_is_not_taken(
    tmp_path: Path, weights: Any, written: Precision, asked: Precision
) -> None:
    write_table(weights, tmp_path, written)
    with pytest.raises(IndexDamagedError, match=VALUES):
        TokenTable.open(tmp_path, 50, 16, asked)
