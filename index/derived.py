"""What derives from the vectors of passages: the languages' offsets, and the vector index without a part of them."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.balance import STRENGTH, BalancedVectors, fit_offsets, language_means
from index.config import IndexKind
from index.kinds import VectorIndexKind, build_vector_index, open_vector_index, suited_kind
from index.layout import FAISS, LANGS, VECTORS
from index.manifest import Segment
from index.recall import measure_recall
from index.sentence_files import SENTENCES
from index.vectors import open_array, open_vectors, unit_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Vectors
    from index.vector_index import VectorRows

_QUERIES = 256
"""Sentences that a vector index is tried with."""


def fit(
    vectors: VectorRows,
    codes: LangCodes,
    languages: Sequence[str],
    parallel: Mapping[str, NDArray[np.float64]],
) -> Vectors:
    """Return the languages' offsets, shape (n_langs, dim).

    Args:
        vectors: Of the passages, shape (n, dim), unit rows.
        codes: The language of each, shape (n,).
        languages: The languages by code.
        parallel: What ``index.parallel.parallel_means`` gives, or nothing.
    """
    import numpy as np

    counts = np.bincount(codes, minlength=len(languages)).tolist()
    return fit_offsets(languages, counts, language_means(vectors, codes, len(languages)), parallel)


def write_vector_index(
    folder: Path, segment: Segment, offsets: Vectors, wanted: IndexKind | str = IndexKind.AUTO
) -> Segment:
    """Write the vector index of a segment; returns the segment with its kind, and how much the index finds.

    Args:
        folder: Of the segment; its other files are written.
        segment: What it holds.
        offsets: Of the languages, shape (n_langs, dim).
        wanted: The kind of vector index.

    Raises:
        OSError: When it cannot be written.
    """
    import numpy as np

    path, dim = folder / FAISS, offsets.shape[1]
    codes = np.asarray(open_array(folder / LANGS, (segment.rows,), "uint16"))
    vectors = open_vectors(folder / VECTORS, segment.rows, dim, segment.numbers)
    rows = BalancedVectors(vectors, codes, offsets, STRENGTH)
    kind = suited_kind(len(rows), wanted)
    path.unlink(missing_ok=True)  # it may be shared with the generation before
    queries = None if kind is VectorIndexKind.FLAT else _some_sentences(folder, segment, dim)
    build_vector_index(kind, rows, queries).save(path)
    index = open_vector_index(kind, path, rows)  # what cannot be opened must not replace what can
    recall = {} if kind is VectorIndexKind.FLAT else dataclasses.asdict(measure_recall(index, rows, queries))
    return dataclasses.replace(segment, kind=str(kind), recall=recall)


def _some_sentences(folder: Path, segment: Segment, dim: int) -> Vectors | None:
    """Return vectors of sentences, which lie as far from passages as questions may; None where there are too few."""
    import numpy as np

    if segment.sentences < _QUERIES:
        return None
    sample = np.linspace(0, segment.sentences - 1, _QUERIES).astype(np.int64)
    found: Vectors = open_array(folder / SENTENCES, (segment.sentences, dim), "int8")[sample].astype(np.float32)
    there = found[found.any(axis=1)]
    return unit_rows(there) if len(there) else None


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file.

    Raises:
        OSError: When it cannot be written.
    """
    import numpy as np

    buffer = io.BytesIO()  # NumPy itself would not say that a disk is full
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())
