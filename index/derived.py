"""What derives from the vectors of passages: the languages' offsets, and the vector index without a part of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.balance import STRENGTH, BalancedVectors, fit_offsets, language_means
from index.kinds import VectorIndexKind, build_vector_index, open_vector_index, suited_kind
from index.store import FAISS, OFFSETS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.records import LangCodes, Vectors


def write_derived(
    folder: Path,
    vectors: Vectors,
    codes: LangCodes,
    languages: Sequence[str],
    parallel: Mapping[str, NDArray[np.float64]],
) -> VectorIndexKind:
    """Write the offsets and the vector index of a generation.

    Args:
        folder: Of the generation.
        vectors: Of its passages, shape (n, dim), unit rows.
        codes: The language of each, shape (n,).
        languages: The languages by code; each has a passage.
        parallel: What ``index.parallel.parallel_means`` gives, or nothing.

    Raises:
        OSError: When they cannot be written.
    """
    import numpy as np

    counts = np.bincount(codes, minlength=len(languages)).tolist()
    offsets = fit_offsets(languages, counts, language_means(vectors, codes, len(languages)), parallel)
    save_array(folder / OFFSETS, offsets)
    rows = BalancedVectors(vectors, codes, offsets, STRENGTH)
    kind = suited_kind(len(vectors))
    build_vector_index(kind, rows).save(folder / FAISS)
    open_vector_index(kind, folder / FAISS, rows)  # what cannot be opened must not replace what can
    return kind


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file.

    Raises:
        OSError: When it cannot be written.
    """
    import numpy as np

    buffer = io.BytesIO()  # NumPy itself would not say that a disk is full
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())
