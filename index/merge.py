"""Merges segments into one: what stands in no document any more is left out, nothing is computed by the model again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from index import postings
from index.config import VectorNumbers
from index.derived import save_array
from index.layout import LANGS, VECTORS
from index.lexical import LexicalIndex, write_postings
from index.lexical_files import ROWS, STARTS, TERMS, WEIGHTS
from index.manifest import Segment
from index.segments import SegmentedRows
from index.sentence_vectors import SentenceVectors, SentenceWriter
from index.vectors import VectorFile, open_array, open_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.lexical import Postings

_BLOCK = 16_384
"""Rows copied at a time."""
_RATIO = 4
"""Segments are merged from the last one on, as long as the next has at most four times the rows of those merged so far.

So each segment has more than four times the rows of the next: there are few (some ten for a million passages), and a
passage is rewritten seldom.
"""
_DEAD_SHARE = 0.2
"""The part of all rows from which those that stand in no document are got rid of by merging everything."""


def first_to_merge(sizes: Sequence[int], n_dead: int) -> int:
    """Return from which segment on all are merged into one; the number of segments when none is.

    Args:
        sizes: The rows of each segment.
        n_dead: How many of them all stand in no document any more.
    """
    if n_dead > _DEAD_SHARE * sum(sizes):
        return 0
    at, total = len(sizes) - 1, sizes[-1] if sizes else 0
    while at > 0 and sizes[at - 1] <= _RATIO * total:
        at -= 1
        total += sizes[at]
    return at if at < len(sizes) - 1 else len(sizes)


@dataclass(frozen=True, slots=True)
class Merged:
    """What merging gave.

    Attributes:
        segment: The new segment, its vector index not made yet.
        kept: The rows that were kept, counted from the first merged segment's first: their places are their new rows.
    """

    segment: Segment
    kept: NDArray[np.int64]


def merge(
    folder: Path,
    segments: Sequence[Segment],
    dead: NDArray[np.int64],
    name: str,
    dim: int,
    numbers: VectorNumbers | str = VectorNumbers.FLOAT32,
) -> Merged:
    """Write one segment of the rows of several.

    Args:
        folder: The generation's, which holds them all.
        segments: Which; they stay.
        dead: The rows to leave out, counted from the first of these segments' first row.
        name: Of the new segment.
        dim: The length of a vector.
        numbers: Number format of the new segment's vectors.

    Raises:
        IndexDamagedError: When a segment cannot be read.
        OSError: When the new one cannot be written.
    """
    import numpy as np

    folders, sizes = [folder / one.name for one in segments], [one.rows for one in segments]
    parts = [open_vectors(folder / one.name / VECTORS, one.rows, dim, one.numbers) for one in segments]
    kept = np.setdiff1d(np.arange(sum(sizes)), dead)
    new = folder / name
    new.mkdir()
    vectors = SegmentedRows(parts, dim)
    sentences = SentenceVectors(folders, sizes, [one.sentences for one in segments], dim)
    codes = np.concatenate([open_array(at / LANGS, (n,), "uint16") for at, n in zip(folders, sizes, strict=True)])[kept]
    with (
        contextlib.closing(VectorFile(new / VECTORS, dim, VectorNumbers(numbers))) as vector_file,
        contextlib.closing(SentenceWriter(new, dim)) as sentence_file,
    ):
        for at in range(0, len(kept), _BLOCK):
            rows = kept[at : at + _BLOCK]
            vector_file.append(vectors[rows])
            spans, starts, stored = sentences.stored(rows)
            sentence_file.append_found(np.diff(starts).tolist(), spans, stored)
        n_sentences = sentence_file.n_sentences
    save_array(new / LANGS, codes)
    # Of those that are dead nothing is known but that they were like the others.
    n_terms = sum(one.terms for one in segments) * len(kept) // max(1, sum(sizes))
    write_postings(new, _postings(LexicalIndex.open(folders, sizes, []), kept), codes)
    return Merged(Segment(name, len(kept), n_sentences, "", VectorNumbers(numbers), terms=n_terms), kept)


def _postings(index: LexicalIndex, kept: NDArray[np.int64]) -> Iterator[Postings]:
    """Yield the postings of rows that are kept, by term, then row, as many at a time as memory should hold."""
    import numpy as np

    numbers = np.full(index.n_rows, -1, np.int64)
    numbers[kept] = np.arange(len(kept))
    total = sum(len(part.arrays[ROWS]) for part in index.parts)
    # Terms are hashes, so equal ranges of them hold equal shares of the postings.
    n_ranges = max(1, -(-total // postings.BLOCK))
    bounds = np.array([i * 2**64 // n_ranges for i in range(1, n_ranges)], np.uint64)
    cuts = [[0, *np.searchsorted(part.arrays[TERMS], bounds), len(part.arrays[TERMS])] for part in index.parts]
    for i in range(n_ranges):
        found = []
        for part, of_part in zip(index.parts, cuts, strict=True):
            first, after = int(of_part[i]), int(of_part[i + 1])
            starts = part.arrays[STARTS][first : after + 1]
            low, high = int(starts[0]), int(starts[-1])
            terms = np.repeat(part.arrays[TERMS][first:after], np.diff(starts))
            rows = numbers[part.arrays[ROWS][low:high].astype(np.int64) + part.base]
            found.append((terms, rows, part.arrays[WEIGHTS][low:high]))
        terms, rows, weights = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.flatnonzero(rows >= 0)
        order = order[np.argsort(terms[order], kind="stable")]  # which keeps the rows of a term in order
        if len(order):
            yield terms[order], rows[order].astype(np.uint32), weights[order]
