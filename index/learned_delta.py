"""A small file of what training added to a model's weights: one low-rank matrix for each layer, in int8.

The delta of a weight of shape (n_out, n_in) is ``(up * scale) @ down``: ``up`` int8 of shape (n_out, rank), ``scale``
float32 of shape (rank,), ``down`` int8 of shape (rank, n_in). On disk they are the tensors ``NAME.up``, ``NAME.scale``
and ``NAME.down`` of a safetensors file, whose metadata say how it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from index.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LARGEST = 127
_PARTS = ("up", "scale", "down")


@dataclass(frozen=True, slots=True)
class LowRank:
    """The delta of one weight.

    Attributes:
        up: Shape (n_out, rank).
        scale: Shape (rank,).
        down: Shape (rank, n_in).
    """

    up: NDArray[np.int8]
    scale: NDArray[np.float32]
    down: NDArray[np.int8]

    @classmethod
    def of(cls, matrix: NDArray[np.floating[Any]], rank: int) -> LowRank:
        """Return the best approximation of a matrix of shape (n_out, n_in) by so many directions, each in int8."""
        import numpy as np

        left, sizes, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
        left, sizes, right = left[:, :rank], sizes[:rank], right[:rank]
        of_left = np.maximum(np.abs(left).max(axis=0), 1e-12) / _LARGEST
        of_right = np.maximum(np.abs(right).max(axis=1), 1e-12) / _LARGEST
        return cls(
            np.rint(left / of_left).astype(np.int8),
            (sizes * of_left * of_right).astype(np.float32),
            np.rint(right / of_right[:, None]).astype(np.int8),
        )

    def matrix(self) -> NDArray[np.float32]:
        """Return the delta itself, shape (n_out, n_in)."""
        import numpy as np

        product: NDArray[np.float32] = (self.up.astype(np.float32) * self.scale) @ self.down.astype(np.float32)
        return product


Delta: TypeAlias = Mapping[str, LowRank]
"""The name of a weight, as sentence-transformers has it, to its delta."""


def write_delta(path: Path, delta: Delta, about: Mapping[str, Any]) -> str:
    """Write a delta; returns the file's sha256.

    Args:
        path: The file.
        delta: What to write.
        about: How it was made, and its licence; kept as JSON in the metadata ``about``.

    Raises:
        OSError: When it cannot be written.
    """
    from safetensors.numpy import save

    arrays = {f"{name}.{part}": getattr(low, part) for name, low in sorted(delta.items()) for part in _PARTS}
    # One entry: the library writes several in any order, and the sha256 is to be the same whenever the delta is.
    content = save(arrays, metadata={"about": json.dumps(about, ensure_ascii=False, sort_keys=True)})
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read_delta(path: Path, sha256: str) -> Delta:
    """Read a delta.

    Args:
        path: The file.
        sha256: What it must be.

    Raises:
        ModelError: When it cannot be read, or is another file.
    """
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error}). Reinstall manytongues.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{path}: not the expected file (its sha256 differs). Reinstall manytongues.")
    arrays = load(content)
    names = {name.rpartition(".")[0] for name in arrays}
    return {name: LowRank(*(arrays[f"{name}.{part}"] for part in _PARTS)) for name in names}
