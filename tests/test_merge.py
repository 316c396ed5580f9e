"""Segments merged into one hold what one written at once holds; which are merged costs little over time."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from index import postings
from index.layout import LANGS, VECTORS
from index.lexical import LexicalIndex
from index.lexical_files import LEXICAL_FILES, WEIGHTS
from index.manifest import Segment
from index.merge import first_to_merge, merge
from index.records import Passage
from index.segment_writer import SegmentWriter
from index.sentence_files import SENTENCE_FILES
from index.vectors import to_int8
from tests.toys import ToyEncoder

DIM = 32
WORDS = ["red", "apples", "grow", "old", "garden", "winter", "river", "upė", "sodas", "తోట"]


def passages(n: int) -> list[Passage]:
    """Passages of twelve words, so that all rows are of one length; some have sentences."""
    chance = random.Random(n)
    made = []
    for i in range(n):
        text = " ".join(chance.choices(WORDS, k=12))
        spans = ((0, 4), (5, 9), (10, len(text)))[: i % 4]
        made.append(Passage(0, len(text), text, ["en", "lt", "te"][i % 3], sentences=spans))
    return made


def write(folder: Path, name: str, made: Sequence[Passage]) -> Segment:
    toy = ToyEncoder(dim=DIM)
    writer = SegmentWriter(folder / name, DIM)
    sentences = [p.text[start:end] for p in made for start, end in p.sentences]
    writer.append(made, toy.encode_passages([p.text for p in made]), to_int8(toy.encode_passages(sentences)))
    writer.finish(np.array([["en", "lt", "te"].index(p.lang) for p in made], np.uint16))
    return Segment(name, len(made), writer.n_sentences, "")


@pytest.mark.parametrize("block", [7, 10**6])
@pytest.mark.parametrize(
    ("sizes", "dead"),
    [
        ([20, 10], []),
        ([20, 10, 1, 1], [0, 5, 19, 20, 30]),
        ([5], [2]),
        ([4, 4], [0, 1, 2, 3]),
        ([0, 3], []),
        ([3, 0], [1]),
        ([2, 2], [0, 1, 2, 3]),
    ],
)
def test_merged_is_as_written_at_once(
    sizes: list[int], dead: list[int], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = passages(sum(sizes))
    bounds = np.cumsum([0, *sizes])
    segments = [
        write(tmp_path, f"s{i:06d}", made[start:end]) for i, (start, end) in enumerate(itertools.pairwise(bounds))
    ]
    alive = [one for row, one in enumerate(made) if row not in dead]
    monkeypatch.setattr(postings, "BLOCK", block)
    monkeypatch.setattr("index.merge._BLOCK", 8)
    merged = merge(tmp_path, segments, np.array(dead, np.int64), "s000009", DIM)
    once = write(tmp_path, "once", alive)
    assert merged.segment == Segment("s000009", len(alive), once.sentences, "")
    assert merged.kept.tolist() == [row for row in range(len(made)) if row not in dead]
    for name in (VECTORS, LANGS, *SENTENCE_FILES, *LEXICAL_FILES):
        # Weights were reckoned with the length of a mean row, which is the same here.
        assert (tmp_path / "s000009" / name).read_bytes() == (tmp_path / "once" / name).read_bytes(), name
    assert all((tmp_path / one.name).is_dir() for one in segments)


def test_weights_stay_as_they_were_written(tmp_path: Path) -> None:
    short, long = Passage(0, 3, "red", "en"), Passage(0, 35, " ".join(["red"] + ["apples"] * 5), "en")
    segments = [write(tmp_path, "s000001", [short]), write(tmp_path, "s000002", [long])]
    merge(tmp_path, segments, np.empty(0, np.int64), "s000003", DIM)
    folders = [tmp_path / one.name for one in segments]
    before = LexicalIndex.open(folders, [1, 1], [2]).query("red").all_scores()
    after = LexicalIndex.open([tmp_path / "s000003"], [2], [2]).query("red").all_scores()
    np.testing.assert_array_equal(before, after)
    assert len(np.load(tmp_path / "s000003" / WEIGHTS)) == 3


@pytest.mark.parametrize(
    ("sizes", "n_dead", "first"),
    [
        ([], 0, 0),
        ([10], 0, 1),
        ([100, 10], 0, 2),
        ([41, 10], 0, 2),
        ([40, 10], 0, 0),
        ([1000, 10, 10], 0, 1),
        ([1000, 100, 10, 10, 3], 0, 2),  # 10 and 3 are merged, 23 with 10; 100 is more than four times 23
        ([1000, 100, 30], 0, 1),
        ([10], 2, 1),
        ([10], 3, 0),
        ([100, 10], 23, 0),
        ([100, 10], 22, 2),
    ],
)
def test_which_are_merged(sizes: list[int], n_dead: int, first: int) -> None:
    assert first_to_merge(sizes, n_dead) == first


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("largest", [1, 5, 100])
def test_there_are_few_segments_and_rows_are_seldom_rewritten(largest: int, seed: int) -> None:
    chance = random.Random(seed)
    sizes: list[int] = []
    n_written = 0
    for _ in range(5_000):
        sizes.append(chance.randint(1, largest))
        n_written += sizes[-1]
        at = first_to_merge(sizes, 0)
        if at < len(sizes):
            n_written += sum(sizes[at:])
            sizes[at:] = [sum(sizes[at:])]
        assert all(before > 4 * after for before, after in itertools.pairwise(sizes))
    total = sum(sizes)
    assert len(sizes) <= 1 + np.log(total) / np.log(4)
    assert n_written < 3 * np.log2(total) * total  # each row once for every time that all of them are doubled, or so
