"""How texts are parted into batches that run side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.encoder import token_batches
from index.openvino_encoder import spread_batches


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(1, [1]), (2, [1, 1]), (3, [1, 1, 1]), (9, [4, 4, 1]), (16, [8, 8]), (31, [8, 8, 8, 4, 2, 1]), (32, [8] * 4)],
)
def test_few_texts_keep_both_streams_busy(n: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in spread_batches([32] * n, 1024, 2)] == sizes


def test_like_lengths_go_together() -> None:
    assert spread_batches([16, 64, 16, 64], 1024, 2) == [[1, 3], [0, 2]]


@given(
    widths=st.lists(st.integers(1, 12).map(lambda n: 16 * n), min_size=1, max_size=60),
    budget=st.integers(1, 2048),
    n_streams=st.integers(1, 8),
)
def test_each_text_once_and_no_batch_beyond_its_budget(widths: list[int], budget: int, n_streams: int) -> None:
    batches = spread_batches(widths, budget, n_streams)
    assert sorted(i for batch in batches for i in batch) == list(range(len(widths)))
    assert all(len(batch) == 1 or len(batch) * max(widths[i] for i in batch) <= budget for batch in batches)
    if sum(widths) > n_streams * budget:
        assert batches == list(token_batches(widths, budget))
    else:
        assert {len(batch) for batch in batches} <= {1, 2, 4, 8}
