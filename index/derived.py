"""What derives from the vectors of passages: the languages' offsets, and the vector index without a part of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.balance import STRENGTH, BalancedVectors, fit_offsets, language_means
from index.kinds import build_vector_index, open_vector_index, suited_kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Vectors
    from index.vector_index import VectorRows


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


def write_vector_index(path: Path, vectors: VectorRows, codes: LangCodes, offsets: Vectors) -> str:
    """Write the vector index of a segment; returns its kind.

    Args:
        path: The file.
        vectors: Of the segment's passages, shape (n, dim), unit rows.
        codes: The language of each, shape (n,).
        offsets: Of the languages, shape (n_langs, dim).

    Raises:
        OSError: When it cannot be written.
    """
    rows = BalancedVectors(vectors, codes, offsets, STRENGTH)
    kind = suited_kind(len(rows))
    build_vector_index(kind, rows).save(path)
    open_vector_index(kind, path, rows)  # what cannot be opened must not replace what can
    return str(kind)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file.

    Raises:
        OSError: When it cannot be written.
    """
    import numpy as np

    buffer = io.BytesIO()  # NumPy itself would not say that a disk is full
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())
